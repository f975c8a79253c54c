//! Project.toml, Manifest.toml and Sysimage.toml: never a panic, whatever they hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sysforge_plan::config::Config;
use sysforge_plan::project::{Manifest, Project};

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let _ = Project::from_toml("Project.toml", text);
    let _ = Manifest::from_toml("Manifest.toml", text);
    let _ = Config::from_toml("Sysimage.toml", text);
});
