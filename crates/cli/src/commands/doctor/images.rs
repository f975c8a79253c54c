//! Whether the images that are installed here agree with the projects that are used here.

use std::path::{Path, PathBuf};

use sysforge_engine::{Location, ProjectFiles};
use sysforge_plan::image_environment::conflicts;
use sysforge_publish::install::Installed;

use super::{Finding, State};
use crate::paths::absolute;
use crate::session::Session;

const CHECK: &str = "images";

/// One line for each image that has a package in another version than a project: that of the folder,
/// and the one that `JULIA_PROJECT` makes the active one of this shell.
pub(super) fn conflicting(session: &Session) -> Vec<Finding> {
    let images = session.images().ok().and_then(|images| images.list().ok());
    let images = images.unwrap_or_default();
    if images.is_empty() {
        return Vec::new();
    }
    let mut given = vec![session.global.project.clone()];
    let active = session.variables.get("JULIA_PROJECT");
    // `@.` and an empty name are the folder's.
    let active = active.filter(|name| !name.is_empty() && *name != "@.");
    given.extend(active.map(|name| {
        let path = Path::new(name);
        Some(match name.to_string_lossy().starts_with('@') {
            true => path.to_owned(),
            false => absolute(path),
        })
    }));
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut findings = Vec::new();
    for given in given {
        let Ok(host) = Session::host() else { continue };
        let location = Location {
            project: given,
            ..session.engine.location.clone()
        };
        let Ok(files) = location.read(&[], host) else {
            continue;
        };
        if seen.contains(&files.file) {
            continue;
        }
        let found = images.iter().filter_map(|image| finding(image, &files));
        findings.extend(found);
        seen.push(files.file);
    }
    findings
}

fn finding(image: &Installed, files: &ProjectFiles) -> Option<Finding> {
    let manifest = files.inputs.manifests.of(&image.built_for.version);
    let manifest = manifest.and_then(|file| file.content.as_ref().ok());
    let found = conflicts(&image.packages(), &files.inputs.project, manifest);
    let pairs = found.iter().map(|conflict| {
        format!(
            "{} {} (the project has {})",
            conflict.name, conflict.image, conflict.project
        )
    });
    let pairs: Vec<_> = pairs.collect();
    (!pairs.is_empty()).then(|| {
        Finding::bad(
            CHECK,
            State::Worth,
            format!(
                "{} holds {}; started with it, Julia uses the versions of the image in {}",
                image.build_id,
                pairs.join(", "),
                files.folder.display()
            ),
            "start Julia without the image there, take the versions of the image into the manifest, \
             or build an image of the project with `sysforge build`",
        )
    })
}
