//! Release notes: a table of the images, and the one line that installs the right one. They are
//! one section of the notes; what a maintainer wrote around it stays.

use std::fmt::Write as _;

use sysforge_plan::Receipt;

use crate::dist::Build;

/// The most characters that GitHub takes as notes.
pub const LIMIT: usize = 125_000;

const BEGIN: &str = "<!-- sysforge:begin -->";
const END: &str = "<!-- sysforge:end -->";

/// What a key adds to the notes, at most.
const KEY_ROOM: usize = 300;

/// The section about these images. `source` is what a user types after `sysforge install`,
/// `index` the address of the release index, for what does not fit.
#[must_use]
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
    format!(
        "{BEGIN}\n## Images\n\n\
         Install the one that fits your machine and your Julia:\n\n\
         ```sh\nsysforge install {source}\n```\n\n\
         | platform | Julia | CPU | image | size | residual compilations | first call |\n\
         |---|---|---|---|---:|---:|---:|\n"
    )
}

/// Names the key that the release is signed with, below the command that installs it.
#[must_use]
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
        cpu(receipt),
        receipt.name,
        size(build.archive.size),
        receipt.check.residuals.len(),
        first_call(receipt),
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

fn first_call(receipt: &Receipt) -> String {
    let Some(latency) = receipt.check.latency else {
        return "not measured".to_owned();
    };
    let first = format!("{:.2} s", latency.first_call_s);
    match (
        receipt.check.first_call_without_image_s,
        receipt.check.first_call_speedup(),
    ) {
        (Some(without), Some(times)) => {
            format!("{first}, without the image {without:.2} s: **{times:.0} × faster**")
        }
        _ => {
            let ratio = receipt.check.first_over_second().unwrap_or_default();
            format!("{first} ({ratio:.1} × the second)")
        }
    }
}

/// A size as people read it, in decimal megabytes as release pages show them.
#[must_use]
pub fn size(bytes: u64) -> String {
    let tenths = bytes / 100_000;
    match bytes {
        0..=999_999 => format!("{} kB", bytes.div_ceil(1000)),
        _ => format!("{}.{} MB", tenths / 10, tenths % 10),
    }
}

/// Puts our section into notes that are there already: in place of an older one, or at the end.
/// Notes that would be too long are cut, and end with a link to the whole.
#[must_use]
pub fn merge(existing: &str, section: &str, whole: &str) -> String {
    let merged = match (existing.find(BEGIN), existing.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            let after = existing[end + END.len()..].trim_start_matches('\n');
            format!("{}{section}{after}", &existing[..begin])
        }
        _ if existing.trim().is_empty() => section.to_owned(),
        _ => format!("{}\n\n{section}", existing.trim_end()),
    };
    if merged.chars().count() <= LIMIT {
        return merged;
    }
    // Our section is the part that is made anew anyway; what is cut is the end of the rest.
    let room = LIMIT.saturating_sub(section.chars().count() + 200);
    let kept: String = existing.chars().take(room).collect();
    format!("{kept}\n\n… cut here: [read on]({whole})\n\n{section}")
}

/// Whether these notes carry our section.
#[must_use]
pub fn is_ours(notes: &str) -> bool {
    notes.contains(BEGIN)
}
