//! Checks whether the packages of the project are installed, or can be.

use sysforge_build::depots::{self, MissingPackage};
use sysforge_build::instantiate;
use sysforge_files::check_writable;
use sysforge_plan::plan::Versions;
use sysforge_plan::text::counted;

use super::{Finding, State};
use crate::committed::{self, Lacking};
use crate::engine::Engine;
use crate::options::PackageOptions;
use crate::planning::Planned;
use crate::project::ProjectFiles;
use crate::{packages, runner, workflow};

/// Checks the folder that packages are installed in, and whether it can be written to.
pub(super) fn depot(files: &ProjectFiles, engine: &Engine) -> Finding {
    const CHECK: &str = "depot";
    const REMEDY: &str = "`depot = \"DIR\"` in Sysimage.toml, or JULIA_DEPOT_PATH";
    let depots = packages::depots(engine, files, None, &PackageOptions::default());
    let spare = runner::spare_depot(engine);
    let problem = match depots.first() {
        Some(first) => match check_writable(first) {
            Ok(()) => return Finding::good(CHECK, first.display().to_string()),
            Err(error) => format!("{} cannot be written to ({error})", first.display()),
        },
        None => "neither JULIA_DEPOT_PATH nor HOME names one".to_owned(),
    };
    match spare {
        Some(spare) => {
            let found = format!("{problem}; packages are installed in {}", spare.display());
            Finding::bad(CHECK, State::Warning, found, REMEDY)
        }
        None => Finding::bad(CHECK, State::Missing, problem, REMEDY),
    }
}

/// Returns a finding for everything in the depots that Pkg or Julia cannot use.
pub(super) fn unusable(files: &ProjectFiles, engine: &Engine) -> Vec<Finding> {
    let all = packages::unusable(engine, files).into_iter();
    all.map(|one| Finding::bad(one.subject, State::Warning, one.message, one.hint))
        .collect()
}

/// Checks how many packages have to be installed, and whether they can be. `None` if there are
/// none.
pub(super) async fn missing(planned: &Planned, engine: &Engine) -> Option<Finding> {
    const CHECK: &str = "packages";
    let files = &planned.files;
    let options = PackageOptions::default();
    let mut missing: Vec<MissingPackage> = Vec::new();
    let mut unresolved = None;
    for build in &planned.plan.builds {
        let julia = build.julia.version();
        if let Versions::Resolved { because } = &build.versions {
            if runner::recorded(engine, planned, build, &options).is_none() {
                unresolved.get_or_insert_with(|| because.explain(julia));
            }
            continue;
        }
        let depots = packages::depots(engine, files, Some(build), &options);
        let file = files.inputs.manifests.of(julia);
        let manifest = file.and_then(|file| file.content.as_ref().ok());
        let of_build = manifest.map_or_else(Vec::new, |manifest| depots.missing(manifest));
        let new = of_build.into_iter().filter(|one| !missing.contains(one));
        missing.extend(new.collect::<Vec<_>>());
    }
    if missing.is_empty() && unresolved.is_none() {
        return None;
    }
    let server = packages::server(engine);
    let what = match (missing.is_empty(), unresolved) {
        (true, why) => format!(
            "{}: the versions have to be resolved",
            why.unwrap_or_default()
        ),
        (false, _) => {
            let sources = depots::sources(&missing, server.as_deref()).into_iter();
            let sources: Vec<_> = sources
                .map(|(source, names)| format!("{}, from {source}", names.join(", ")))
                .collect();
            let count = counted(missing.len(), "package");
            format!("no depot holds {count}: {}", sources.join("; "))
        }
    };
    let resolves_here = missing.is_empty() && !instantiate::may_need_registry(&files.file);
    if resolves_here {
        let found = format!("{what}, which needs no registry");
        return Some(Finding::good(CHECK, found));
    }
    if engine.network.offline {
        let remedy = "run `sysforge instantiate` once while online";
        return Some(Finding::bad(CHECK, State::Missing, what, remedy));
    }
    let registered = missing.is_empty() || missing.iter().any(|package| package.repo.is_none());
    let Some(server) = server.filter(|_| registered) else {
        return Some(Finding::good(
            CHECK,
            format!("{what}; a build installs them"),
        ));
    };
    let depots = packages::depots(engine, files, None, &options);
    Some(match packages::problem_of(&server, &depots, engine).await {
        None => Finding::good(CHECK, format!("{what}; a build installs them")),
        Some(problem) => Finding::bad(
            CHECK,
            State::Missing,
            format!("{what}; {server} {problem}"),
            "check the network, the proxy variables, JULIA_PKG_SERVER, and the token in \
             `servers/HOST/auth.toml` of the depot if the server wants one",
        ),
    })
}

/// Checks whether the runs of the workflow will have the manifest, if there is a workflow.
pub(super) async fn committed(files: &ProjectFiles, engine: &Engine) -> Vec<Finding> {
    if !workflow::is_generated(&files.folder) {
        return Vec::new();
    }
    let lacking = committed::lacking(files, engine).await.into_iter();
    lacking
        .map(|Lacking { what, hint }| Finding::bad("manifest", State::Warning, what, hint))
        .collect()
}
