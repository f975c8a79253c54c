//! Project.toml, Manifest.toml and Sysimage.toml: never a panic, whatever they hold. The parts of
//! the input, which zero bytes separate, are these three; a plan is made from those that can be
//! read.

use sysforge_plan::config::Config;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::manifests::{ManifestFile, Manifests, Origin};
use sysforge_plan::plan::{Inputs, PlannedJulia};
use sysforge_plan::project::Project;
use sysforge_plan::{JuliaBuild, JuliaVersion, Triplet};

/// A Julia of each kind of manifest: before and after versioned manifests and workspaces.
fn julia(minor: u64) -> PlannedJulia {
    PlannedJulia::Given {
        executable: "/opt/julia".into(),
        build: JuliaBuild {
            version: JuliaVersion::new(1, minor, 0),
            commit: String::new(),
            triplet: Triplet::X86_64_LINUX_GNU,
        },
    }
}

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut parts = text.split('\0');
    let mut part = || parts.next().unwrap_or_default();
    let project = Project::from_toml("Project.toml", part());
    let manifest = ManifestFile {
        name: "Manifest.toml".to_owned(),
        path: "/project/Manifest.toml".into(),
        folder: "/project".into(),
        origin: Origin::Plain,
        of_workspace: false,
        content: Manifest::from_toml("Manifest.toml", part()),
    };
    let config = Config::from_toml("Sysimage.toml", part());
    let (Ok(project), Ok(config)) = (project, config) else {
        return;
    };
    let inputs = Inputs {
        project,
        manifests: Manifests(vec![manifest]),
        config,
        folder: "folder".to_owned(),
        requests: Vec::new(),
        triplet: Triplet::X86_64_LINUX_GNU,
    };
    let _ = inputs.requests();
    for minor in [5, 12] {
        let _ = inputs.plan(vec![julia(minor)]);
    }
}
