//! The reference pages of the documentation that are made from the code: commands and options from
//! the definition of the arguments, keys from the schema of `Sysimage.toml`. Tests keep the pages
//! as the code says, and keep every command line of the documentation one that can be typed.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use clap::{Command, Parser};
use sysforge_plan::config::Config;

use crate::args::Cli;

/// The pages, relative to the repository's root, with their texts.
fn pages() -> Vec<(&'static str, String)> {
    vec![
        ("docs/src/reference/commands.md", commands()),
        ("docs/src/reference/sysimage-toml.md", keys()),
    ]
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn commands() -> String {
    let mut text = String::from(
        "# Commands\n\n\
         <!-- Made from the definition of the arguments; see CONTRIBUTING.md. -->\n\n\
         Results go to standard output, everything else to standard error; `--json` gives results \
         for programs. The exit codes are in [Exit codes](exit-codes.md), the environment variables \
         in [Environment variables](environment.md).\n",
    );
    // What the machine that renders has set must not appear.
    let mut root = crate::args::command()
        .max_term_width(90)
        .mut_args(|arg| arg.hide_env_values(true));
    root.build();
    section(&mut text, &root);
    text
}

fn section(text: &mut String, command: &Command) {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let shown = command.clone().term_width(90);
    let mut shown = shown.mut_args(|arg| arg.hide_env_values(true));
    let help = shown.render_long_help().to_string();
    let title = name.replace('-', " ");
    let help = help
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n");
    let _ = write!(
        text,
        "\n## `{title}`\n\n```text\n{}\n```\n",
        help.trim_end()
    );
    for subcommand in command.get_subcommands() {
        if subcommand.get_name() != "help" {
            section(text, subcommand);
        }
    }
}

fn keys() -> String {
    let schema = Config::json_schema();
    let mut text = String::from(
        "# Sysimage.toml\n\n\
         <!-- Made from the schema; see CONTRIBUTING.md. -->\n\n\
         The file lies beside `Project.toml`. Every key has a default, and so has the file: without \
         one, the image holds the project and its direct dependencies. Paths are relative to its \
         folder and written with `/` on every system. An unknown key is an error that names the \
         nearest known one.\n\n\
         `sysforge schema config` prints the JSON Schema, with which editors complete and check the \
         file.\n",
    );
    table(&mut text, &schema, &schema["$defs"]);
    for (title, name) in [
        ("`[platforms.\"TRIPLET\"]`", "PlatformConfig"),
        ("`[[overrides]]`", "Override"),
        ("`[[app]]`", "App"),
        ("`runs` of `[[app]]`", "Run"),
        ("`[library]`", "Library"),
        ("`calls` of `[library]`", "LibraryCall"),
        ("`[bundle]`", "Bundle"),
        ("`[workflow]`", "Workflow"),
        ("`[workflow.tool]`", "Tool"),
    ] {
        let _ = write!(text, "\n## {title}\n");
        table(&mut text, &schema["$defs"][name], &schema["$defs"]);
    }
    text
}

fn table(text: &mut String, schema: &serde_json::Value, definitions: &serde_json::Value) {
    text.push_str("\n| key | type | |\n|---|---|---|\n");
    let properties = schema["properties"].as_object();
    for (name, property) in properties.into_iter().flatten() {
        let about = property["description"].as_str().unwrap_or_default();
        let _ = writeln!(
            text,
            "| `{name}` | {} | {} |",
            kind(property, definitions),
            one_line(about).replace('|', "\\|")
        );
    }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The type of a key, as a TOML file has it.
fn kind(property: &serde_json::Value, definitions: &serde_json::Value) -> String {
    if let Some(reference) = property["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return kind(&definitions[name], definitions);
    }
    let named = |value: &serde_json::Value| match value.as_str() {
        Some("string") => Some("text"),
        Some("boolean") => Some("true or false"),
        Some("integer" | "number") => Some("number"),
        Some("array") => Some("list"),
        Some("object") => Some("table"),
        _ => None,
    };
    let choices = ["anyOf", "oneOf"].map(|key| property[key].as_array());
    let mut kinds: Vec<String> = match choices.into_iter().flatten().next() {
        Some(choices) => choices.iter().map(|one| kind(one, definitions)).collect(),
        None => {
            let several = property["type"].as_array().into_iter().flatten();
            let kinds = several.chain([&property["type"]]).filter_map(named);
            kinds.map(str::to_owned).collect()
        }
    };
    kinds.retain(|kind| !kind.is_empty());
    kinds.dedup();
    match &*kinds {
        [one] => one.clone(),
        several => several.join(", or ").replace("or list", "or a list"),
    }
}

#[test]
fn the_type_of_a_key_is_what_its_definition_accepts() {
    let schema = Config::json_schema();
    let of = |name: &str| kind(&schema["properties"][name], &schema["$defs"]);
    for (name, wanted) in [
        ("lazy-artifacts", "text"),
        ("base", "text"),
        ("name", "text"),
        ("library", "table"),
        ("bundle", "table"),
        ("packages", "text, or a list"),
        ("workload-environment", "text, or a list"),
        ("workloads", "list"),
        ("rounds", "number"),
        ("repl", "true or false"),
    ] {
        assert_eq!(of(name), wanted, "{name}");
    }
    let base = &schema["$defs"]["Override"]["properties"]["base"];
    assert_eq!(kind(base, &schema["$defs"]), "text");
}

#[test]
fn the_reference_is_what_the_code_says() {
    for (path, text) in pages() {
        let there = std::fs::read_to_string(root().join(path)).unwrap_or_default();
        // Not assert_eq: two whole pages on one line help nobody.
        assert!(
            there.replace("\r\n", "\n") == text,
            "{path} is out of date: run `cargo test -p sysforge reference -- --ignored`"
        );
    }
}

#[test]
#[ignore = "writes the pages"]
fn write_the_reference() {
    for (path, text) in pages() {
        std::fs::write(root().join(path), text).unwrap();
    }
}

#[test]
fn help_fits_sixty_columns() {
    fn check(command: &Command) {
        let mut narrow = command
            .clone()
            .term_width(60)
            .mut_args(|arg| arg.hide_env_values(true));
        let help = narrow.render_long_help().to_string();
        for line in help.lines() {
            // Usage lines and what is quoted as it is typed are not broken.
            let given = line.starts_with("Usage:") || line.trim_start().starts_with("sysforge");
            assert!(given || line.chars().count() <= 60, "{line}");
        }
        command.get_subcommands().for_each(check);
    }
    let mut root = crate::args::command();
    root.build();
    check(&root);
}

#[test]
fn every_environment_variable_is_documented() {
    let page = std::fs::read_to_string(root().join("docs/src/reference/environment.md")).unwrap();
    fn check(command: &Command, page: &str) {
        for name in command.get_arguments().filter_map(|arg| arg.get_env()) {
            let name = format!("`{}`", name.to_string_lossy());
            assert!(page.contains(&name), "{name} is missing");
        }
        for subcommand in command.get_subcommands() {
            check(subcommand, page);
        }
    }
    check(&crate::args::command(), &page);
}

/// The Markdown files of the repository that tell people what to type.
fn documents() -> Vec<PathBuf> {
    fn below(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    let mut found = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "ARCHITECTURE.md",
    ]
    .map(|name| root().join(name))
    .to_vec();
    below(&root().join("docs/src"), &mut found);
    found.sort();
    found
}

/// The lines of shell blocks that call Sysforge, with continued lines joined.
fn command_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut language = None::<&str>;
    let mut pending = String::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(info) = trimmed.strip_prefix("```") {
            language = match language {
                Some(_) => None,
                None => Some(info.split([',', ' ']).next().unwrap_or_default()),
            };
            continue;
        }
        let typed = match language {
            Some("sh" | "bash" | "powershell" | "dockerfile") => trimmed,
            Some("console") => match trimmed.strip_prefix("$ ") {
                Some(typed) => typed,
                None => continue,
            },
            _ => continue,
        };
        match typed.strip_suffix('\\') {
            Some(begun) => pending.push_str(begun),
            None => lines.push(std::mem::take(&mut pending) + typed),
        }
    }
    lines
}

/// The words after `sysforge` in each simple command of a shell line.
fn calls(line: &str) -> Vec<Vec<String>> {
    // A remark begins with a blank and `#`.
    let code = line.split(" #").next().unwrap_or_default();
    let parts = code
        .replace("$(", "\n")
        .replace("&&", "\n")
        .replace([';', '|', ')'], "\n");
    parts
        .lines()
        .filter_map(|part| {
            let words = shell_words::split(part).ok()?;
            let at = words.iter().position(|word| word == "sysforge")?;
            // `cd … && sysforge`, `RUN sysforge`, `VAR=x sysforge`; but not `--bin sysforge`.
            let leads = words[..at]
                .iter()
                .all(|word| word == "RUN" || word.contains('='));
            let redirected = |word: &String| word.contains('>') || word.starts_with('<');
            leads.then(|| {
                let rest = words[at..].iter();
                rest.take_while(|word| !redirected(word)).cloned().collect()
            })
        })
        .collect()
}

#[test]
fn every_command_line_of_the_documentation_can_be_typed() {
    let mut tried = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in command_lines(&text) {
            for words in calls(&line) {
                tried += 1;
                if let Err(error) = Cli::try_parse_from(&words) {
                    let said = !error.use_stderr();
                    assert!(said, "{}: `{line}`: {error}", path.display());
                }
            }
        }
    }
    assert!(tried > 40, "only {tried} command lines were found");
}

#[test]
fn lines_are_taken_apart() {
    let text = "```sh\nsysforge --mirror X \\\n  build  # a remark\n```\nsysforge no\n```console\n$ sysforge plan\noutput sysforge x\n```\n";
    assert_eq!(
        command_lines(text),
        ["sysforge --mirror X build  # a remark", "sysforge plan"]
    );
    assert_eq!(
        calls("x=$(sysforge julia path 1.5) && echo $x >y"),
        [["sysforge", "julia", "path", "1.5"]]
    );
    assert!(calls("cargo build --bin sysforge").is_empty());
}

/// The texts of the libraries and of this program, with the strings that are continued on a further
/// line in one piece.
fn sources() -> Vec<(PathBuf, String)> {
    fn below(folder: &Path, found: &mut Vec<(PathBuf, String)>) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let mut joined = String::new();
                for line in text.lines() {
                    match line.strip_suffix('\\') {
                        Some(begun) => joined.push_str(begun.trim_start()),
                        None => joined.push_str(&format!("{}\n", line.trim_start())),
                    }
                }
                found.push((path, joined));
            }
        }
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        below(&entry.path().join("src"), &mut found);
    }
    found
}

/// The calls of Sysforge that a source names in backticks, in hints and remarks.
fn named_calls(text: &str) -> Vec<String> {
    let parts = text.split("`sysforge ").skip(1);
    let calls = parts.filter_map(|part| part.split(['`', '\n']).next());
    // Neither what is put in when the hint is given, nor several commands at once.
    let known = |call: &&str| !call.starts_with('{') && !call.contains('|');
    calls
        .filter(known)
        .map(|call| call.replace("{wanted}", "x86_64-w64-mingw32"))
        .collect()
}

#[test]
fn hints_name_commands_and_options_that_there_are() {
    use clap::error::ErrorKind::{InvalidSubcommand, InvalidValue, UnknownArgument};
    use clap::error::{ContextKind, ContextValue};
    let empty = ContextValue::String(String::new());
    let mut tried = 0;
    for (path, text) in sources() {
        for call in named_calls(&text) {
            tried += 1;
            let words = shell_words::split(&call).unwrap_or_default();
            let words = std::iter::once("sysforge".to_owned()).chain(words);
            // A hint may leave out what a command needs, but name nothing that is not there.
            let Err(error) = Cli::try_parse_from(words) else {
                continue;
            };
            let wrong = match error.kind() {
                InvalidSubcommand | UnknownArgument => true,
                // An option without its value.
                InvalidValue => error.get(ContextKind::InvalidValue) != Some(&empty),
                _ => false,
            };
            assert!(!wrong, "{}: `sysforge {call}`: {error}", path.display());
        }
    }
    assert!(tried > 40, "only {tried} calls were found");
}

#[test]
fn every_result_for_programs_is_documented() {
    fn leaves(command: &Command, name: &str, found: &mut Vec<String>) {
        for subcommand in command
            .get_subcommands()
            .filter(|sub| sub.get_name() != "help")
        {
            let name = format!("{name} {}", subcommand.get_name());
            if subcommand.has_subcommands() {
                leaves(subcommand, &name, found);
            } else {
                found.push(name.trim().to_owned());
            }
        }
    }
    let page = std::fs::read_to_string(root().join("docs/src/reference/json.md")).unwrap();
    let mut found = Vec::new();
    leaves(&crate::args::command(), "", &mut found);
    assert!(found.len() > 20, "{found:?}");
    for name in found {
        assert!(page.contains(&format!("`{name}`")), "`{name}` is missing");
    }
}

#[test]
fn exit_codes_and_documents_are_documented() {
    use sysforge_plan::{Class, Receipt, ReleaseIndex};
    let page =
        |name: &str| std::fs::read_to_string(root().join("docs/src/reference").join(name)).unwrap();
    let codes = page("exit-codes.md");
    for class in [
        Class::Bug,
        Class::Usage,
        Class::Acquire,
        Class::Toolchain,
        Class::Julia,
        Class::Check,
        Class::Publish,
        Class::Machine,
    ] {
        assert!(
            codes.contains(&format!("\n| {} |", class.exit_code())),
            "{class:?}"
        );
    }
    let documented = |page: &str, schema: &serde_json::Value, quote: char| {
        for field in schema["properties"].as_object().into_iter().flatten() {
            let name = format!("{quote}{}{quote}", field.0);
            assert!(page.contains(&name), "{name} is missing");
        }
    };
    documented(&page("receipt.md"), &Receipt::json_schema(), '`');
    documented(&page("release-index.md"), &ReleaseIndex::json_schema(), '"');
}
