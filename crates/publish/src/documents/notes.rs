//! Release notes: a table of the images, and the command that installs the right one. They are one
//! section of the notes; text that a maintainer wrote around it is kept.

use std::fmt::Write as _;

use sysforge_plan::Receipt;
use sysforge_plan::text::{escaped, markdown, quoted};

use crate::dist::Build;

/// The name of the file with the notes, for hosts without release notes.
pub const NAME: &str = "NOTES.md";

/// Maximum number of characters in GitHub's release notes.
pub const LIMIT: usize = 125_000;

const BEGIN: &str = "<!-- sysforge:begin -->";
const END: &str = "<!-- sysforge:end -->";

/// Maximum number of characters that a key adds to the notes.
const KEY_ROOM: usize = 300;

/// Returns the section about these images. `source` is what a user types after `sysforge install`;
/// `index` is the URL of the release index, which is linked if not all rows fit.
pub fn write(builds: &[Build], source: &str, index: &str) -> String {
    let rows: Vec<String> = builds.iter().map(row).collect();
    let mut text = head(source);
    for (done, row) in rows.iter().enumerate() {
        let left = rows.len() - done;
        let rest = format!("\n… and {left} more: see [the release index]({index}).\n");
        if text.chars().count() + row.chars().count() + rest.chars().count() + END.len() + 1
            > LIMIT - KEY_ROOM
        {
            text.push_str(&rest);
            break;
        }
        text.push_str(row);
    }
    text.push_str(END);
    text.push('\n');
    text
}

fn head(source: &str) -> String {
    // Readers copy this line into a shell, and a tag or a folder may have any name.
    let source = quoted(&escaped(source));
    let fence = "`".repeat(longest_run('`', &source).max(2) + 1);
    format!(
        "{BEGIN}\n## Images\n\n\
         Install the one that fits your machine and your Julia:\n\n\
         {fence}sh\nsysforge install {source}\n{fence}\n\n\
         | platform | Julia | CPU | image | size | residual compilations | load and first call |\n\
         |---|---|---|---|---:|---:|---:|\n"
    )
}

/// Returns the length of the longest run of a character.
fn longest_run(c: char, text: &str) -> usize {
    let runs = text.split(|other| other != c);
    runs.map(|run| run.chars().count()).max().unwrap_or(0)
}

/// Inserts a text at the beginning of the section.
pub fn with_text(section: &str, text: &str) -> String {
    // Within the text, the markers would end the section early.
    let text = text.replace(BEGIN, "").replace(END, "");
    let begun = format!("{BEGIN}\n{}\n\n", text.trim());
    section.replacen(&format!("{BEGIN}\n"), &begun, 1)
}

/// Maximum number of commits in the notes.
const MOST_COMMITS: usize = 200;

/// Returns a list of commits, as a text for the beginning of the section. `since` is the previous
/// tag.
pub fn changes(subjects: &[String], since: Option<&str>) -> String {
    let mut text = match since {
        Some(tag) => format!("## Changes since {}\n\n", markdown(tag)),
        None => "## Changes\n\n".to_owned(),
    };
    if subjects.is_empty() {
        text.push_str("No commits.\n");
    }
    for subject in subjects.iter().take(MOST_COMMITS) {
        let _ = writeln!(text, "- {}", markdown(subject));
    }
    if subjects.len() > MOST_COMMITS {
        let _ = writeln!(text, "- … and {} more", subjects.len() - MOST_COMMITS);
    }
    text
}

/// Adds the key that the release is signed with, below the command that installs it.
pub fn with_key(section: &str, key: &str) -> String {
    let line = format!(
        "The release is signed: add `--verify-key {key}` to insist on this \
         [minisign](https://jedisct1.github.io/minisign/) key.\n\n| platform |"
    );
    section.replacen("| platform |", &line, 1)
}

fn row(build: &Build) -> String {
    let receipt = &build.receipt;
    let mut row = String::new();
    let _ = writeln!(
        row,
        "| {} | {} | {} | {} | {} | {} | {} |",
        receipt.julia.triplet,
        receipt.julia.version,
        markdown(&cpu(receipt)),
        markdown(&receipt.name),
        size(build.archive.size),
        receipt.check.residuals.len(),
        waiting(receipt),
    );
    row
}

fn cpu(receipt: &Receipt) -> String {
    receipt.targets.tier.clone().unwrap_or_else(|| {
        let first = receipt.targets.requested.split([';', ',']).next();
        match first {
            Some("generic") | Some("") | None => "any".to_owned(),
            Some(name) => name.to_owned(),
        }
    })
}

/// Formats the waiting times: of a program, and of an interactive session if it was measured.
fn waiting(receipt: &Receipt) -> String {
    let first = first_result(receipt);
    match receipt.check.interactive {
        Some(times) => format!(
            "{first}; first prompt {:.2} s, without the image {:.2} s",
            times.first_prompt_s, times.first_prompt_without_image_s
        ),
        None => first,
    }
}

/// Formats the time for loading the packages and running the workloads once.
fn first_result(receipt: &Receipt) -> String {
    let Some(latency) = receipt.check.latency else {
        return "not measured".to_owned();
    };
    let check = &receipt.check;
    let first = format!("{:.2} s", latency.first_result_s());
    match (
        check.first_result_without_image_s(),
        check.first_result_speedup(),
        check.first_over_second(),
    ) {
        (Some(without), Some(times), _) => {
            format!("{first}, without the image {without:.2} s: **{times:.0} × faster**")
        }
        (_, _, Some(ratio)) => format!("{first} (the first call is {ratio:.1} × the second)"),
        _ => first,
    }
}

/// Formats a size in decimal megabytes, as release pages do.
pub fn size(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    match bytes {
        0..=999_999 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", tenths / 10, tenths % 10),
    }
}

/// Inserts our section into existing notes: it replaces an older one, or is appended. Notes that
/// would be too long are cut, and end with a link to the full text.
pub fn merge(existing: &str, section: &str, whole: &str) -> String {
    let (before, after) = match (existing.find(BEGIN), existing.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            let after = existing[end + END.len()..].trim_start_matches('\n');
            (existing[..begin].to_owned(), after)
        }
        _ if existing.trim().is_empty() => (String::new(), ""),
        _ => (format!("{}\n\n", existing.trim_end()), ""),
    };
    let merged = format!("{before}{section}{after}");
    if merged.chars().count() <= LIMIT {
        return merged;
    }
    // Our section is kept whole; the text around it is cut at its end.
    let cut = format!("\n\n… cut here: [read on]({whole})\n\n");
    let room = LIMIT.saturating_sub(section.chars().count() + cut.chars().count());
    let around = format!("{before}{after}");
    let kept: String = around.chars().take(room).collect();
    format!("{kept}{cut}{section}")
}

/// Whether these notes contain our section.
pub fn is_ours(notes: &str) -> bool {
    notes.contains(BEGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(text: &str) -> String {
        format!("{BEGIN}\n{text}\n{END}\n")
    }

    #[test]
    fn the_command_in_the_notes_is_one_command_whatever_the_source_is_called() {
        let line = |source| {
            let text = head(source);
            text.lines().nth(6).unwrap().to_owned()
        };
        assert_eq!(line("octo/images@v1"), "sysforge install octo/images@v1");
        for (source, word) in [
            ("octo/images@v1;id", "'octo/images@v1;id'"),
            ("octo/images@v1&&id", "'octo/images@v1&&id'"),
            ("dir:/it's", r"'dir:/it'\''s'"),
            ("dir:/a\n```\nid", r"'dir:/a\n```\nid'"),
        ] {
            assert_eq!(line(source), format!("sysforge install {word}"));
        }
        let text = head("dir:/a```b");
        assert_eq!(text.lines().nth(5), Some("````sh"), "{text}");
        assert_eq!(text.lines().nth(7), Some("````"), "{text}");
    }

    #[test]
    fn our_section_takes_the_place_of_its_older_self() {
        let (old, new) = (section("old"), section("new"));
        assert_eq!(merge("", &new, "w"), new);
        assert_eq!(merge("Mine.\n", &new, "w"), format!("Mine.\n\n{new}"));
        let around = format!("Mine.\n\n{old}\nMore.\n");
        assert_eq!(merge(&around, &new, "w"), format!("Mine.\n\n{new}More.\n"));
        assert_eq!(
            merge(&merge(&around, &new, "w"), &new, "w"),
            merge(&around, &new, "w")
        );
    }

    #[test]
    fn a_text_of_the_maintainer_is_replaced_with_the_section() {
        let one = with_text(&section("images"), "# First\n<!-- sysforge:end -->\n");
        assert_eq!(one, section("# First\n\nimages"));
        let two = with_text(&section("images"), "# Second");
        assert_eq!(merge(&one, &two, "w"), two);
    }

    #[test]
    fn notes_over_the_limit_are_cut_with_a_link_and_keep_one_section() {
        let (old, new) = (section("old"), section(&"é".repeat(80_000)));
        let around = format!("{}{old}{}", "a".repeat(60_000), "z".repeat(60_000));
        let merged = merge(&around, &new, "https://example.org/index");
        assert!(merged.chars().count() <= LIMIT);
        assert_eq!(
            (merged.matches(BEGIN).count(), merged.matches(END).count()),
            (1, 1)
        );
        assert!(merged.contains("… cut here: [read on](https://example.org/index)"));
        assert!(merged.ends_with(&new) && !merged.contains("old"));
        // Merging the same section again changes nothing.
        assert_eq!(merge(&merged, &new, "https://example.org/index"), merged);
    }
}
