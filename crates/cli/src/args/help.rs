//! Completes the derived definition of the command line: every command gets examples, and a usage line
//! that does not depend on the environment.

use clap::{Arg, Command, CommandFactory as _};

use super::Cli;
use super::variables::ignoring_empty;

/// Examples of every command. A line `[COMMAND]` precedes those of a command; each has a comment.
const EXAMPLES: &str = include_str!("examples.txt");

/// The examples of a command: what is typed, and what it does.
fn examples_of(command: &str) -> Vec<(&'static str, &'static str)> {
    let sections = EXAMPLES.split("\n\n");
    let mut sections = sections.filter_map(|section| section.split_once('\n'));
    let section = sections.find(|(head, _)| {
        let name = head
            .strip_prefix('[')
            .and_then(|head| head.strip_suffix(']'));
        name == Some(command)
    });
    let lines = section
        .into_iter()
        .flat_map(|(_, examples)| examples.lines());
    lines.filter_map(|line| line.split_once("  # ")).collect()
}

/// The help of a subcommand: the global options take one line, and `sysforge --help` describes them.
const TEMPLATE: &str = "\
{before-help}{about-with-newline}
{usage-heading} {usage}

{all-args}

Global options: --julia, --json, … (`sysforge --help`){after-help}";

/// The whole command line.
pub(crate) fn command() -> Command {
    let mut root = finished(Cli::command(), "");
    root.build();
    with_usage(root)
}

/// Adds the examples, and leaves the values of variables out of the help.
fn finished(command: Command, path: &str) -> Command {
    let examples = examples_of(path);
    let mut command = command.mut_args(|arg| ignoring_empty(arg).hide_env_values(true));
    if !examples.is_empty() {
        command = command.after_help(section(&examples));
    }
    command.mut_subcommands(|subcommand| {
        let below = format!("{path} {}", subcommand.get_name());
        finished(subcommand, below.trim_start())
    })
}

fn section(examples: &[(&str, &str)]) -> String {
    let widths = examples.iter().map(|(line, _)| line.len());
    let width = widths.max().unwrap_or_default();
    let lines = examples
        .iter()
        .map(|(line, about)| format!("  {line:width$}  {about}"));
    format!("Examples:\n{}", lines.collect::<Vec<_>>().join("\n"))
}

/// Fixes the usage lines, and hides the global options of subcommands. clap's own usage lines of errors
/// list the options that were used, and those that variables have set count as used.
fn with_usage(mut command: Command) -> Command {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage:").trim().to_owned();
    let is_of_root = |arg: &Arg| arg.get_help_heading() == Some("Global options");
    let brief = |arg: Arg| arg.clone().hide(is_of_root(&arg));
    let command = command.mut_subcommands(|subcommand| match subcommand.get_name() {
        "help" => subcommand,
        _ => with_usage(subcommand.help_template(TEMPLATE).mut_args(brief)),
    });
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
            let examples = examples_of(name);
            assert!(!examples.is_empty(), "`{name}` has no examples");
            for (line, _) in examples {
                let words = shell_words::split(line).unwrap();
                let parsed = command().try_get_matches_from(words);
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(
                    line.starts_with(&format!("sysforge {name}")) || name.starts_with("install")
                );
            }
        }
        for head in EXAMPLES.lines().filter(|line| line.starts_with('[')) {
            let name = head.trim_matches(['[', ']']);
            assert!(commands.iter().any(|command| command == name), "{name}");
        }
    }

    #[test]
    fn the_global_options_are_one_line_of_a_commands_help() {
        let mut root = command();
        for name in ["--project <", "--trusted-key <", "--color <", "--json"] {
            assert!(root.render_long_help().to_string().contains(name), "{name}");
        }
        let globals: Vec<String> = root
            .get_arguments()
            .filter_map(Arg::get_long)
            .map(|long| format!("--{long}"))
            .collect();
        let mut commands = Vec::new();
        leaves(&root, "", &mut commands);
        for path in commands {
            let mut words = path.split(' ');
            let found =
                words.try_fold(&mut root, |command, name| command.find_subcommand_mut(name));
            let help = found.unwrap().render_long_help().to_string();
            let (own, after) = help.split_once("\nGlobal options: ").unwrap();
            let line = after.lines().next().unwrap();
            assert!(line.len() < 60 && after.contains("\nExamples:\n"), "{help}");
            assert!(
                !own.contains("--store <") && !own.contains("--color <"),
                "{help}"
            );
            let named = line
                .split([' ', ','])
                .filter(|word| word.starts_with("--") && *word != "--help`)");
            for name in named {
                assert!(globals.contains(&name.to_owned()), "{name}");
            }
        }
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
