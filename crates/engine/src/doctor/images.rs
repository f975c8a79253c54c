//! Checks whether the installed images agree with the projects in use.

use std::path::{Path, PathBuf};

use sysforge_plan::image_environment::conflicts;
use sysforge_publish::install::Installed;

use super::{Finding, State};
use crate::engine::Engine;
use crate::project::{Location, ProjectFiles};

const CHECK: &str = "images";

/// Returns a finding for each folder among the installed images that is ignored.
pub(super) fn unusable(engine: &Engine) -> Vec<Finding> {
    let bad = |found: String, hint: String| Finding::bad(CHECK, State::Warning, found, hint);
    // Another check says that the store cannot be used.
    let Ok(images) = engine.images() else {
        return Vec::new();
    };
    match images.unusable() {
        Ok(images) => images
            .into_iter()
            .map(|image| bad(image.to_string(), image.hint()))
            .collect(),
        Err(error) => vec![bad(
            error.to_string(),
            "check the permissions of the store".to_owned(),
        )],
    }
}

/// Returns a finding for each image that has a package in another version than a project. The
/// projects are that of the current folder, and `active`, the one that the shell activates.
pub(super) fn conflicting(active: Option<&Path>, engine: &Engine) -> Vec<Finding> {
    let images = engine.images().ok().and_then(|images| images.list().ok());
    let images = images.unwrap_or_default();
    let Ok(host) = Engine::host() else {
        return Vec::new();
    };
    if images.is_empty() {
        return Vec::new();
    }
    // `@.` and an empty name are the folder's project.
    let active = active.filter(|name| !name.as_os_str().is_empty() && *name != Path::new("@."));
    let active = active.map(|name| match name.to_string_lossy().starts_with('@') {
        true => Some(name.to_owned()),
        false => Some(engine.absolute(name)),
    });
    let mut seen: Vec<PathBuf> = Vec::new();
    let mut findings = Vec::new();
    for project in [engine.location.project.clone()].into_iter().chain(active) {
        let location = Location {
            project,
            ..engine.location.clone()
        };
        let Ok(files) = location.read(&[], host) else {
            continue;
        };
        if !seen.contains(&files.file) {
            findings.extend(images.iter().filter_map(|image| finding(image, &files)));
            seen.push(files.file);
        }
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
            State::Warning,
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
