//! The documentation as text: links are valid, pages are in the table of contents, and quoted
//! messages exist in the sources.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "the support module serves other tests, too"
)]

mod support;

use std::path::Path;

use support::{markdown, root};

/// The links of a Markdown text, except those to other sites.
fn links(text: &str) -> Vec<String> {
    let mut links = Vec::new();
    let mut code = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            code = !code;
        }
        if code {
            continue;
        }
        for part in line.split("](").skip(1) {
            links.extend(part.split(')').next().map(str::to_owned));
        }
        if let Some((name, target)) = line.split_once("]: ")
            && name.starts_with('[')
        {
            links.push(target.trim().to_owned());
        }
    }
    links.retain(|link| !link.contains("://") && !link.starts_with("mailto:"));
    links
}

/// The anchor of a heading, as mdBook and GitHub generate it.
fn anchor(heading: &str) -> String {
    let plain = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = plain
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[test]
fn links_are_valid() {
    let mut pages = Vec::new();
    markdown(&root(), &mut pages);
    let mut broken = Vec::new();
    for page in &pages {
        let text = std::fs::read_to_string(page).unwrap();
        for link in links(&text) {
            let (file, fragment) = link.split_once('#').unwrap_or((&link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.parent().unwrap().join(file),
            };
            let found = target.exists()
                && (fragment.is_empty()
                    || std::fs::read_to_string(&target)
                        .unwrap()
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == fragment));
            if !found {
                broken.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let source = root().join("docs/src");
    let summary = std::fs::read_to_string(source.join("SUMMARY.md")).unwrap();
    let mut pages = Vec::new();
    markdown(&source, &mut pages);
    for page in pages {
        let name = page
            .strip_prefix(&source)
            .unwrap()
            .to_string_lossy()
            .replace('\\', "/");
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("({name})")),
            "{name}"
        );
    }
}

/// Messages of other programs quoted in the troubleshooting page; our sources do not contain them.
const OTHER_PROGRAMS: [&str; 2] = ["Image file failed consistency check", "Artifact "];

/// The text of all sources, with string literals over several lines joined.
fn everything_said() -> String {
    fn below(folder: &Path, said: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                below(&path, said);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                for line in std::fs::read_to_string(&path).unwrap().lines() {
                    let line = line.trim_start();
                    said.push_str(line.strip_suffix('\\').unwrap_or(line));
                    said.push_str(if line.ends_with('\\') { "" } else { "\n" });
                }
            }
        }
    }
    let mut said = String::new();
    for entry in std::fs::read_dir(root().join("crates")).unwrap().flatten() {
        let source = entry.path().join("src");
        if source.is_dir() {
            below(&source, &mut said);
        }
    }
    said
}

#[test]
fn quoted_messages_exist_in_the_sources() {
    let page = root().join("docs/src/troubleshooting.md");
    let page = std::fs::read_to_string(page).unwrap();
    let said = everything_said();
    let mut tried = 0;
    for quote in page.lines().filter_map(|line| line.strip_prefix("> ")) {
        if OTHER_PROGRAMS
            .iter()
            .any(|theirs| quote.starts_with(theirs))
        {
            continue;
        }
        tried += 1;
        // The message itself is the text around names and figures.
        let parts = quote.split(|c: char| c.is_ascii_digit() || "`…".contains(c));
        let longest = parts.max_by_key(|part| part.len()).unwrap().trim();
        let words: Vec<_> = longest.split(' ').collect();
        // Names at the ends are also inserted.
        let found = (0..words.len().min(3)).any(|skip| {
            (0..words.len().min(3)).any(|drop| {
                let rest = words.get(skip..words.len() - drop);
                let rest = rest.unwrap_or_default().join(" ");
                rest.len() > 5 && said.contains(&rest)
            })
        });
        assert!(
            found,
            "no source says `{longest}`, which is quoted as `{quote}`"
        );
    }
    assert!(tried > 8, "only {tried} quotes were found");
}

/// The sentences of a page: those of its paragraphs, entries of lists and rows of tables, in one line each.
fn sentences(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines().map(str::trim) {
        if line.is_empty() || line.starts_with(['#', '-', '|']) {
            blocks.push(String::new());
        }
        let is_text = !line.starts_with('#') && !line.starts_with("|---");
        if is_text && let Some(block) = blocks.last_mut() {
            block.push_str(line.trim_start_matches("- ").trim_matches('|').trim());
            block.push(' ');
        }
    }
    let text = blocks.join("\n").replace(". ", ".\n").replace("; ", ";\n");
    let sentences = text.lines().map(|sentence| sentence.trim().to_owned());
    sentences.filter(|sentence| !sentence.is_empty()).collect()
}

/// The text of every file of tests and of the crates.
fn sources(folder: &Path, all: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() && entry.file_name() != "target" {
            sources(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}

#[test]
fn each_sentence_about_security_names_its_tests() {
    let read = |name: &str| std::fs::read_to_string(root().join(name)).unwrap();
    let text = read("CONTRIBUTING.md");
    let (_, section) = text
        .split_once("## Security promises and their tests")
        .unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let rows: Vec<(&str, &str)> = section
        .lines()
        .filter(|line| line.starts_with("| "))
        .skip(1)
        .map(|line| line.trim_matches('|').split_once(" | ").unwrap())
        .map(|(sentence, tests)| (sentence.trim(), tests.trim()))
        .collect();
    let security = read("SECURITY.md");
    let (_, security) = security.split_once("## What is trusted").unwrap();
    let (_, security) = security.split_once('\n').unwrap();
    let trust = read("docs/src/explanation/trust.md");
    let heading = "what | how far it is trusted";
    let pages: Vec<String> = [security, &trust].into_iter().flat_map(sentences).collect();
    for sentence in pages.iter().filter(|sentence| *sentence != heading) {
        let named = rows.iter().any(|(part, _)| sentence.contains(part));
        assert!(
            named,
            "no row of CONTRIBUTING.md names the tests of: {sentence}"
        );
    }
    let mut code = String::new();
    for folder in ["crates", "tests"] {
        sources(&root().join(folder), &mut code);
    }
    for (part, tests) in rows {
        let is_there = pages.iter().any(|sentence| sentence.contains(part));
        assert!(is_there, "no sentence about security contains: {part}");
        if tests.starts_with("no test: ") {
            continue;
        }
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty(), "{part}");
        for name in names {
            assert!(
                code.contains(&format!("fn {name}(")),
                "there is no test `{name}`"
            );
        }
    }
}
