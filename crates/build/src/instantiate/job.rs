//! The job file of the script, with lines `key<TAB>value…`.

use std::fmt::Write;
use std::path::Path;

use sysforge_plan::config::LazyArtifacts;

use super::Request;
use super::folder::Folder;

/// Appends a line. Names, paths and addresses that Pkg accepts cannot contain tabs or newlines.
fn line(job: &mut String, key: &str, values: &[&str]) {
    job.push_str(key);
    for value in values {
        let value: String = value.chars().filter(|c| !c.is_control()).collect();
        let _ = write!(job, "\t{value}");
    }
    job.push('\n');
}

/// Returns the job for precompiling only.
pub(super) fn precompile(packages: &[(String, String)]) -> String {
    let mut job = String::new();
    for (name, uuid) in packages {
        line(&mut job, "precompile", &[name, uuid]);
    }
    job
}

/// Returns the job for installing and precompiling.
pub(super) fn install(request: &Request<'_>, folder: &Folder, journal: &Path) -> String {
    let mut job = String::new();
    let shown = |path: &Path| path.display().to_string();
    line(&mut job, "install", &["1"]);
    line(
        &mut job,
        "environment",
        &[&shown(&folder.packages().project)],
    );
    line(&mut job, "journal", &[&shown(journal)]);
    if request.offline {
        line(&mut job, "offline", &["1"]);
    }
    let lazy = match request.lazy_artifacts {
        LazyArtifacts::None => "none",
        LazyArtifacts::Used => "used",
        LazyArtifacts::All => "all",
    };
    line(&mut job, "lazy", &[lazy]);
    for url in request.registries {
        line(&mut job, "registry", &[url]);
    }
    if let Some(resolution) = folder.resolution() {
        line(&mut job, "resolve", &["1"]);
        for pin in &resolution.pins {
            line(&mut job, "pin", &[&pin.name, &pin.uuid, &pin.version]);
        }
        for package in &resolution.local {
            let place = shown(&package.folder);
            line(&mut job, "path", &[&package.name, &package.uuid, &place]);
        }
        for package in &resolution.repositories {
            let revision = package.revision.as_deref().unwrap_or_default();
            let subdir = package.folder.as_deref().unwrap_or_default();
            let values = [&*package.name, &*package.url, revision, subdir];
            line(&mut job, "repository", &values);
        }
    }
    // In a resolved environment, the project is an ordinary package.
    if let (Some((name, _)), None) = (folder.itself(), folder.resolution()) {
        let place = shown(request.project.parent().unwrap_or(Path::new(".")));
        line(&mut job, "itself", &[name, &place]);
    }
    for (name, uuid) in folder.direct() {
        line(&mut job, "precompile", &[name, uuid]);
    }
    if let Some((place, workload)) = folder.workload() {
        line(&mut job, "workload", &[&shown(place)]);
        line(&mut job, "workload-manifest", &[&shown(&workload.manifest)]);
        for package in &workload.local {
            let at = shown(&package.folder);
            line(
                &mut job,
                "workload-path",
                &[&package.name, &package.uuid, &at],
            );
        }
        for (name, uuid) in &workload.packages {
            let uuid = uuid.as_deref().unwrap_or_default();
            line(&mut job, "workload-package", &[name, uuid]);
        }
    }
    job
}
