//! The machine: its platform, writable folders, disk space and memory.

use sysforge_acquire::Store;
use sysforge_build::machine::{free_memory, free_space};
use sysforge_files::{check_writable, nearest_existing};
use sysforge_plan::Triplet;

use super::{Finding, State};
use crate::engine::Engine;

/// Whether this machine has that platform at all. `None` if it has.
pub(super) fn platform(triplet: Triplet) -> Option<Finding> {
    let found = match Engine::host() {
        Ok(host) if host == triplet => return None,
        Ok(host) => format!("this is {host}, and an image is made where it will run"),
        Err(error) => error.to_string(),
    };
    Some(Finding::bad(
        "platform",
        State::Missing,
        found,
        format!("build on {triplet}, or have hosted runners do it (`sysforge workflow`)"),
    ))
}

/// Checks the folder of Julias and toolchains. A read-only one can still be used for what it
/// contains.
pub(super) fn store(engine: &Engine) -> Finding {
    const CHECK: &str = "store";
    let path = match engine.store_path() {
        Ok(path) => path,
        Err(error) => {
            return Finding::bad(CHECK, State::Missing, error.to_string(), "--store DIR");
        }
    };
    match Store::open(path).check_writable() {
        Ok(()) => Finding::good(CHECK, path.display().to_string()),
        Err(error) => Finding::bad(
            CHECK,
            State::Warning,
            format!("{} cannot be written to ({error})", path.display()),
            "sysforge --store DIR … (or SYSFORGE_STORE)",
        ),
    }
}

/// Checks the folder that builds work in.
pub(super) fn build_folder(engine: &Engine) -> Finding {
    const CHECK: &str = "build folder";
    let project = engine.location.folder();
    // Another check reports that there is no project.
    let project = project.unwrap_or_else(|_| engine.location.here.clone());
    let folder = engine.build_folder_of(&project);
    match check_writable(&folder) {
        Ok(()) => Finding::good(CHECK, folder.display().to_string()),
        Err(error) => Finding::bad(
            CHECK,
            State::Missing,
            format!("{} cannot be written to ({error})", folder.display()),
            "sysforge --build-dir DIR … (or SYSFORGE_BUILD_DIR)",
        ),
    }
}

/// Disk space for building an image, in bytes: objects, image, archive, and the Julia itself.
const SPACE: u64 = 4 << 30;

/// Whether the disk has space for the build.
pub(super) fn space(engine: &Engine) -> Finding {
    const CHECK: &str = "disk space";
    let folder = engine.build_folder_of(&engine.location.here);
    match free_space(nearest_existing(&folder)) {
        Some(free) if free >= SPACE => Finding::good(CHECK, format!("{} GB", free / 1_000_000_000)),
        Some(free) => Finding::bad(
            CHECK,
            State::Warning,
            format!(
                "{:.1} GB; images of several GB of objects need more",
                free as f64 / 1e9
            ),
            "free some, or build on a larger disk (--build-dir DIR)",
        ),
        None => Finding::good(CHECK, "unknown"),
    }
}

/// Memory for emitting if there is no plan to derive it from, in bytes: the minimum of any Julia.
const MEMORY: u64 = 2_000_000_000;

/// Checks the memory for the build, which is expected to need `expected` bytes.
pub(super) fn memory(expected: Option<u64>) -> Finding {
    const CHECK: &str = "memory";
    let gb = |bytes: u64| format!("{:.1} GB", bytes as f64 / 1e9);
    let Some(free) = free_memory() else {
        return Finding::good(CHECK, "unknown");
    };
    let takes = expected.map(|bytes| format!("; emitting takes about {}", gb(bytes)));
    let found = format!("{} available{}", gb(free), takes.unwrap_or_default());
    match free >= expected.unwrap_or(MEMORY) {
        true => Finding::good(CHECK, found),
        false => Finding::bad(
            CHECK,
            State::Warning,
            found,
            "close other programs, add swap, or use a larger machine",
        ),
    }
}
