//! The executable of an app. It finds its bundle from its own path, opens the bundle's libjulia,
//! passes on options and arguments, calls the entry point and exits with the code that it returned.
//!
//! One launcher is compiled per platform, when Sysforge itself is built, and copied into every
//! bundle under the app's name. The differences between apps are in a small text file
//! (`description.rs`). All `unsafe` blocks of Sysforge are in `julia.rs`, `system.rs` and the
//! `main` function below.

// Rust's own start-up code is not used: it ignores SIGPIPE and installs handlers for signals that
// Julia handles here.
#![cfg_attr(not(test), no_main)]
// The tests call everything except `main`.
#![cfg_attr(test, allow(dead_code))]

mod arguments;
mod description;
mod julia;
mod location;
mod system;

use std::ffi::OsString;
use std::path::Path;

use crate::arguments::Arguments;
use crate::description::Description;
use crate::julia::{Julia, Outcome};
use crate::location::Variables;
use crate::system::Library;

/// The exit code of an app that could not be started, as in `env` and `timeout`.
const NOT_STARTED: i32 = 125;

/// The C entry point.
#[cfg(not(test))]
#[unsafe(no_mangle)]
extern "C" fn main(argc: std::ffi::c_int, argv: *const *const std::ffi::c_char) -> std::ffi::c_int {
    // SAFETY: the C runtime calls `main` once, with `argc` strings that live as long as the process.
    let arguments = unsafe { system::arguments(argc, argv) };
    match run(&arguments) {
        Ok(code) => code,
        Err(problem) => {
            let name = arguments.first().map(|name| name.to_string_lossy());
            let name = name.as_deref().unwrap_or("app");
            let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
            // Standard error may be closed.
            let _ = std::io::Write::write_all(
                &mut std::io::stderr(),
                format!("{name}: {problem}\n").as_bytes(),
            );
            NOT_STARTED
        }
    }
}

/// Runs the app and returns its exit code.
fn run(given: &[OsString]) -> Result<i32, String> {
    let executable = system::executable(given.first().map(Path::new))?;
    let root = location::root(&executable)?;
    let description = Description::read(&root, &executable)?;
    let variables = Variables::of_process();
    let arguments = Arguments::split(
        given.get(1..).unwrap_or_default(),
        variables.julia_arguments.as_deref(),
        &description.options,
    )?;
    let separator = system::PATH_LIST_SEPARATOR;
    let depots = location::depots(&root, &description.name, &variables, separator)?;
    let load_path = location::load_path(&root, separator)?;

    let image = root.join(&description.image);
    // Julia crashes without its image.
    if !image.metadata().is_ok_and(|file| file.len() > 0) {
        return Err(format!(
            "{} is missing or empty: the folder of the app is incomplete, unpack its archive again",
            image.display()
        ));
    }
    // If a library is loaded already, other libraries that need one of that name use it.
    for library in &description.preload {
        Library::open(&root.join(library))?;
    }
    let julia = Julia::open(&root.join(&description.library))?;
    julia.parse_options(&executable, &arguments.julia)?;
    // Julia reads these while it starts. A Julia that the app itself starts must see the user's
    // values.
    let before = system::replace_variables(&[
        ("JULIA_DEPOT_PATH", Some(&depots)),
        ("JULIA_LOAD_PATH", Some(&load_path)),
        ("JULIA_PROJECT", None),
    ]);
    system::interruptible(|| julia.start(&root.join("bin"), &image))?;
    system::restore_variables(before);

    julia.set_arguments(&executable, &arguments.app)?;
    let code = match julia.run(&description) {
        Outcome::Returned(code) => code,
        Outcome::BrokenPipe if system::output_is_broken() => {
            julia.finish(1);
            system::die_of_broken_pipe()
        }
        Outcome::BrokenPipe => 1,
        Outcome::Failed(problem) => return Err(problem),
    };
    julia.finish(code);
    Ok(code)
}
