//! Project.toml, Manifest.toml and Sysimage.toml: never a panic, whatever they hold. The parts of
//! the input, which zero bytes separate, are these three; a plan is made from those that can be
//! read.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysforge_plan::Triplet;
use sysforge_plan::config::Config;
use sysforge_plan::plan::Inputs;
use sysforge_plan::project::{Manifest, Project};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let mut parts = text.split('\0');
    let mut part = || parts.next().unwrap_or_default();
    let project = Project::from_toml("Project.toml", part());
    let manifest = Manifest::from_toml("Manifest.toml", part());
    let config = Config::from_toml("Sysimage.toml", part());
    let (Ok(project), Ok(config)) = (project, config) else {
        return;
    };
    let inputs = Inputs {
        project,
        manifest: manifest.ok(),
        config,
        folder: "folder".to_owned(),
        requests: Vec::new(),
        triplet: Triplet::X86_64_LINUX_GNU,
    };
    let _ = inputs.requests();
    let _ = inputs.plan(Vec::new());
});
