//! The text of everything that decides the content of a bundle and is not an input of the user. It
//! is part of the fingerprints: results of an older Sysforge that differ are not reused.

use sysforge_plan::config::Run;

use crate::launcher::{START, STATEMENTS, readers_of_standard_input};
use crate::library::INTERFACE;
use crate::observe::{self, OBSERVE, Planned};

/// The sources of the programs in bundles. The source text is used instead of the compiled program,
/// so that a plan made on another system has the same fingerprint.
const PROGRAMS: &[&str] = &[
    include_str!("c/init.c"),
    include_str!("../../launcher/src/arguments.rs"),
    include_str!("../../launcher/src/description.rs"),
    include_str!("../../launcher/src/julia.rs"),
    include_str!("../../launcher/src/location.rs"),
    include_str!("../../launcher/src/main.rs"),
    include_str!("../../launcher/src/system.rs"),
];

/// Returns the text that decides how these apps are traced: the scripts that run them, and the
/// statements that all apps have.
pub fn of_traces(apps: &[Planned]) -> String {
    let scripts = apps.iter().flat_map(|planned| {
        planned
            .runs
            .iter()
            .map(|run: &Run| observe::text(&planned.app, run))
    });
    let mut parts: Vec<String> = scripts.collect();
    parts.extend(STATEMENTS.iter().map(|text| (*text).to_owned()));
    parts.extend(readers_of_standard_input());
    parts.push(START.to_owned());
    parts.join("\n")
}

/// Returns the text that decides how the functions of a library are found and called during a
/// trace.
pub fn of_libraries() -> String {
    [INTERFACE, START, include_str!("library.rs")].concat()
}

/// The code that selects the files of a bundle and changes them.
const FILES: &[&str] = &[
    include_str!("assemble.rs"),
    include_str!("copy.rs"),
    include_str!("libraries.rs"),
    include_str!("strip.rs"),
];

/// Returns the text that decides how bundles are made.
pub fn of_bundles() -> String {
    [PROGRAMS.concat(), OBSERVE.to_owned(), FILES.concat()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::Described;

    #[test]
    fn the_text_of_each_script_counts() {
        let planned = |args: &[&str]| Planned {
            app: Described {
                name: "tally".to_owned(),
                package: "Tally".to_owned(),
                uuid: "11111111-2222-4333-8444-555555555555".to_owned(),
                entry: "julia_main".parse().unwrap(),
                options: Vec::new(),
            },
            runs: vec![Run {
                args: args.iter().map(|arg| (*arg).to_owned()).collect(),
                stdin: Some("x".to_owned()),
                ..Run::default()
            }],
        };
        let one = of_traces(&[planned(&["a"])]);
        assert!(
            one.contains("String[\"a\"]") && one.contains("redirect_stdin"),
            "{one}"
        );
        assert!(
            one.contains("Base.push!") && one.contains("module SysforgeStart"),
            "{one}"
        );
        assert_ne!(one, of_traces(&[planned(&["b"])]));
        assert!(of_bundles().contains("jl_parse_opts") && of_bundles().contains("dllist"));
    }
}
