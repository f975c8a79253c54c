//! The command line as clap gets it: what the derived definition cannot say. Every command has
//! examples, and a usage line that shows what can be typed, not what variables have set.

use clap::{Command, CommandFactory as _};

use super::Cli;

/// Examples of every command: what is typed, and what it does.
const EXAMPLES: &[(&str, &[(&str, &str)])] = &[
    (
        "init",
        &[
            ("sysforge init", "write Sysimage.toml for this project"),
            (
                "sysforge init --workflow",
                "and the workflow that builds on every tag",
            ),
        ],
    ),
    (
        "plan",
        &[
            ("sysforge plan", "what would be built on this machine"),
            ("sysforge plan --julia lts,release", "for two Julias"),
            (
                "sysforge plan --matrix",
                "for every platform, as JSON for a workflow",
            ),
        ],
    ),
    (
        "build",
        &[
            (
                "sysforge build",
                "build the image of the project in this folder",
            ),
            ("sysforge build --julia lts", "for another Julia"),
            (
                "sysforge build --explain",
                "and say why each step runs again",
            ),
            (
                "sysforge build --timeout 30m",
                "stop a Julia that takes longer",
            ),
        ],
    ),
    (
        "run",
        &[
            (
                "sysforge run",
                "start a REPL with the image and the project",
            ),
            (
                "sysforge run script.jl --year 2020",
                "run a script with its arguments",
            ),
            (
                "sysforge run -- -t 4 script.jl",
                "with arguments of Julia before it",
            ),
        ],
    ),
    (
        "clean",
        &[
            (
                "sysforge clean",
                "remove dist and .sysforge of this project",
            ),
            ("sysforge clean --dry-run", "only say what would be removed"),
        ],
    ),
    (
        "instantiate",
        &[
            (
                "sysforge instantiate",
                "install the packages that are missing",
            ),
            (
                "sysforge instantiate --depot /shared/depot",
                "into this depot",
            ),
        ],
    ),
    (
        "trace",
        &[(
            "sysforge trace",
            "run the workloads and record what they compile",
        )],
    ),
    ("emit", &[("sysforge emit", "emit the object file")]),
    (
        "link",
        &[
            ("sysforge link", "link the image of this project"),
            ("sysforge link --linker driver-lld", "by this way only"),
            (
                "sysforge link image-o.a --out image.so --julia 1.12",
                "link an object that is there",
            ),
        ],
    ),
    (
        "check",
        &[
            ("sysforge check", "check the image that was linked last"),
            ("sysforge check image.so", "or another file"),
        ],
    ),
    ("pack", &[("sysforge pack", "pack the image into dist")]),
    (
        "bench",
        &[
            (
                "sysforge bench",
                "how fast it is, with and without the image",
            ),
            ("sysforge bench --html report.html", "the same, as a page"),
        ],
    ),
    (
        "julia list",
        &[("sysforge julia list", "the newest version of each series")],
    ),
    (
        "julia install",
        &[
            ("sysforge julia install", "the newest release"),
            ("sysforge julia install lts 1.12.7", "several"),
        ],
    ),
    (
        "julia path",
        &[("sysforge julia path 1.12", "the newest installed 1.12")],
    ),
    (
        "toolchain list",
        &[("sysforge toolchain list", "the compilers for this platform")],
    ),
    (
        "toolchain install",
        &[("sysforge toolchain install", "the recommended one")],
    ),
    (
        "toolchain path",
        &[("sysforge toolchain path", "the path of its compiler")],
    ),
    (
        "doctor",
        &[("sysforge doctor", "what is missing here, and what mends it")],
    ),
    (
        "cache path",
        &[("sysforge cache path", "the folder of the store")],
    ),
    (
        "cache list",
        &[(
            "sysforge cache list --verify",
            "the entries, every byte of them read",
        )],
    ),
    (
        "cache prune",
        &[
            (
                "sysforge cache prune --dry-run",
                "only say what would be removed",
            ),
            (
                "sysforge cache prune --older-than 4w",
                "what was not used for four weeks",
            ),
            ("sysforge cache prune --keep 5GB", "and then all above 5 GB"),
        ],
    ),
    (
        "publish",
        &[
            (
                "sysforge publish --to dir:/srv/images",
                "to a folder or a static site",
            ),
            ("sysforge publish --tag v1.0.0", "to a release on GitHub"),
            ("sysforge publish --dry-run", "only say what would happen"),
        ],
    ),
    (
        "install",
        &[
            (
                "sysforge install OWNER/REPO",
                "the latest release on GitHub",
            ),
            ("sysforge install /srv/images@v1.0.0", "from a folder"),
            (
                "sysforge install OWNER/REPO --launcher bin/julia-demo",
                "with a launcher",
            ),
            ("sysforge install list", "what is installed"),
        ],
    ),
    (
        "install list",
        &[("sysforge install list", "every image that is installed")],
    ),
    (
        "install upgrade",
        &[
            ("sysforge install upgrade", "every image"),
            ("sysforge install upgrade demo", "one of them"),
        ],
    ),
    (
        "install remove",
        &[(
            "sysforge install remove demo",
            "the image, its launchers and channels",
        )],
    ),
    (
        "verify",
        &[(
            "sysforge verify OWNER/REPO@v1.0.0",
            "install and run what was published",
        )],
    ),
    (
        "workflow",
        &[
            ("sysforge workflow", "write .github/workflows/sysimage.yml"),
            ("sysforge workflow --check", "fail if it is not up to date"),
        ],
    ),
    (
        "schema",
        &[("sysforge schema config", "of Sysimage.toml, for editors")],
    ),
    (
        "completions",
        &[("sysforge completions bash", "a script to be sourced")],
    ),
    (
        "man",
        &[
            ("sysforge man build", "the page of one command"),
            ("sysforge man --out man1", "all pages, into a folder"),
        ],
    ),
];

/// The whole command line.
pub(crate) fn command() -> Command {
    let mut root = Cli::command();
    root = finished(root, "");
    root.build();
    with_usage(root)
}

/// Adds the examples, and leaves the values of variables out of the help.
fn finished(command: Command, path: &str) -> Command {
    let examples = EXAMPLES.iter().find(|(name, _)| *name == path);
    let mut command = command.mut_args(|arg| arg.hide_env_values(true));
    if let Some((_, examples)) = examples {
        command = command.after_help(section(examples));
    }
    let names: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names {
        let below = match path {
            "" => name.clone(),
            path => format!("{path} {name}"),
        };
        command = command.mut_subcommand(&name, |subcommand| finished(subcommand, &below));
    }
    command
}

fn section(examples: &[(&str, &str)]) -> String {
    let width = examples.iter().map(|(line, _)| line.len()).max();
    let width = width.unwrap_or_default();
    let lines = examples
        .iter()
        .map(|(line, about)| format!("  {line:width$}  {about}"));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// clap's own usage lines of errors list the options that were used, and those that variables have set
/// count as used.
fn with_usage(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.strip_prefix("Usage:").unwrap_or(&usage).trim();
    let usage = usage.to_owned();
    let names: Vec<String> = command
        .get_subcommands()
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect();
    for name in names.iter().filter(|name| *name != "help") {
        command = command.mut_subcommand(name, with_usage);
    }
    command.override_usage(usage)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(command: &Command, path: &str, found: &mut Vec<String>) {
        for subcommand in command.get_subcommands() {
            let name = subcommand.get_name();
            if name == "help" {
                continue;
            }
            let below = format!("{path} {name}");
            if subcommand.get_subcommands().all(|s| s.get_name() == "help") || name == "install" {
                found.push(below.trim().to_owned());
            }
            leaves(subcommand, &below, found);
        }
    }

    #[test]
    fn every_command_has_examples_that_can_be_typed() {
        let mut commands = Vec::new();
        leaves(&command(), "", &mut commands);
        for name in &commands {
            let examples = EXAMPLES.iter().find(|(command, _)| command == name);
            let (_, examples) = examples.unwrap_or_else(|| panic!("`{name}` has no examples"));
            for (line, _) in *examples {
                let words = shell_words::split(line).unwrap();
                let parsed = command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(
                    line.starts_with(&format!("sysforge {name}")) || name.starts_with("install")
                );
            }
        }
        for (name, _) in EXAMPLES {
            assert!(commands.iter().any(|command| command == name), "{name}");
        }
    }

    #[test]
    fn the_options_of_a_command_come_before_the_global_ones() {
        let mut root = command();
        let build = root.find_subcommand_mut("build").unwrap();
        let help = build.render_long_help().to_string();
        let at = |text: &str| help.find(text).unwrap_or_else(|| panic!("{text}: {help}"));
        assert!(at("--explain") < at("Global options:"), "{help}");
        assert!(at("Global options:") < at("--project"), "{help}");
        assert!(at("Global options:") < at("--trusted-key"), "{help}");
    }

    #[test]
    fn no_usage_line_shows_an_option_that_a_variable_may_have_set() {
        let root = command();
        let error = root
            .try_get_matches_from(["sysforge", "install", "--require-attestation"])
            .unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("Usage: sysforge install [OPTIONS] <SOURCE>"),
            "{text}"
        );
    }

    #[test]
    fn the_values_of_linker_are_named() {
        let all = sysforge_plan::link::Strategy::ALL.map(|strategy| strategy.to_string());
        assert_eq!(all.each_ref().map(String::as_str), super::super::STRATEGIES);
        let mut root = command();
        let build = root.find_subcommand_mut("build").unwrap();
        let help = build.render_long_help().to_string();
        assert!(
            help.contains("julia-lld") && help.contains("driver-mold"),
            "{help}"
        );
    }
}
