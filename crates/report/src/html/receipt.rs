//! The parts of the page that come from the receipt.

use maud::{Markup, html};
use sysforge_plan::Receipt;
use sysforge_plan::receipt::Unreplayed;

use super::{Row, bars, listed, percent};
use sysforge_plan::units::{bytes, count, duration};

/// Returns the outcomes of the precompile statements.
pub(super) fn statements(receipt: &Receipt) -> Markup {
    let counts = &receipt.statements;
    let row = |name: &str, value: usize, bad| Row {
        name: name.to_owned(),
        value: value as f64,
        shown: value.to_string(),
        bad,
    };
    let rows = [
        row(
            "replayed as recorded",
            counts.replayed.saturating_sub(counts.mended),
            false,
        ),
        row("replayed after correction", counts.mended, false),
        row("skipped", counts.skipped.len(), true),
        row("failed", counts.failed.len(), true),
    ];
    let reasons = |list: &[Unreplayed]| -> Markup {
        listed(
            "Which, and why",
            list.iter()
                .map(|u| (u.statement.as_str(), Some(u.reason.as_str()))),
        )
    };
    html! {
        section {
            h2 { "Statements by outcome" }
            p { (count(counts.recorded, "precompile statement was", "precompile statements were")) " recorded." }
            (bars(&rows))
            @if !counts.failed.is_empty() { p { "Failed:" } (reasons(&counts.failed)) }
            @if !counts.skipped.is_empty() { p { "Skipped:" } (reasons(&counts.skipped)) }
        }
    }
}

/// Returns the steps of the build in order.
pub(super) fn timeline(receipt: &Receipt) -> Markup {
    let whole: f64 = receipt.timings.iter().map(|timing| timing.seconds).sum();
    let watched = receipt.timings.iter().any(|t| t.peak_memory.is_some());
    let mut before = 0.0;
    let steps: Vec<_> = receipt
        .timings
        .iter()
        .map(|timing| {
            let start = before;
            before += timing.seconds;
            (timing, start)
        })
        .collect();
    html! {
        @if !steps.is_empty() {
            section {
                h2 { "How it was built" }
                p {
                    (duration(whole)) " in all."
                    @if watched { " Beside each time is the most memory that was seen." }
                }
                table {
                    tbody {
                        @for (timing, start) in &steps {
                            tr {
                                td { (timing.step) }
                                td class="number" { (duration(timing.seconds)) }
                                @if watched {
                                    td class="number" { (timing.peak_memory.map(bytes).unwrap_or_default()) }
                                }
                                td class="bar" {
                                    i style={
                                        "margin-left:" (percent(*start, whole)) "%;width:" (percent(timing.seconds, whole)) "%"
                                    } {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the statements that were compiled for the workloads' own functions, and the residuals of
/// each round.
pub(super) fn rounds(receipt: &Receipt) -> Markup {
    let check = &receipt.check;
    let left: Vec<_> = check.rounds.iter().map(ToString::to_string).collect();
    html! {
        @if left.len() > 1 { p { "Residual statements after each round: " (left.join(", ")) "." } }
        @if !check.own.is_empty() {
            p {
                "In addition, " (count(check.own.len(), "statement is", "statements are"))
                " for functions and types that the workloads define themselves: an image of the packages \
                 cannot contain their code."
            }
            (listed("Which", check.own.iter().map(|own| (own.as_str(), None))))
        }
    }
}

/// Returns the requirements of the image on a machine.
pub(super) fn portability(receipt: &Receipt) -> Markup {
    let Some(found) = &receipt.check.portability else {
        return html! {};
    };
    let needed: Vec<_> = found.needed().map(|found| found.path.as_str()).collect();
    html! {
        section {
            h2 { "Requirements" }
            p {
                @match &found.oldest_system {
                    Some(system) => { "Its Julia, and " (system) " or newer." }
                    None => { "Only its Julia." }
                }
            }
            @if needed.is_empty() {
                p { "It contains no paths of the machine that built it, except those of sources." }
            } @else {
                p {
                    "It contains " (count(needed.len(), "path", "paths"))
                    " of the machine that built it, which may not exist elsewhere."
                }
                (listed("Which", needed.iter().map(|path| (*path, None))))
            }
            @if !found.artifacts.is_empty() {
                p { (count(found.artifacts.len(), "artifact is", "artifacts are")) " in the archive:" }
                ul {
                    @for artifact in &found.artifacts {
                        li { (artifact.name) " of " (artifact.package) }
                    }
                }
            }
        }
    }
}

/// Returns the packages in the image.
pub(super) fn packages(receipt: &Receipt) -> Markup {
    html! {
        section {
            h2 { "Packages" }
            table {
                tbody {
                    @for package in &receipt.packages {
                        tr {
                            td { (package.name) }
                            td { (package.version.as_deref().unwrap_or("standard library")) }
                            td class="soft" { @if package.requested { "requested" } @else { "dependency" } }
                        }
                    }
                }
            }
        }
    }
}

/// Returns other facts from the receipt.
pub(super) fn facts(receipt: &Receipt) -> Markup {
    let held = receipt.targets.held.as_ref();
    let facts = [
        ("Julia", receipt.julia.version.to_string()),
        ("platform", receipt.julia.triplet.to_string()),
        (
            "image",
            format!("{}, {}", receipt.image.name, bytes(receipt.image.size)),
        ),
        ("SHA-256", receipt.image.sha256.to_string()),
        ("CPU targets requested", receipt.targets.requested.clone()),
        (
            "CPU targets in the image",
            held.map_or_else(|| "not known".to_owned(), |held| held.join(";")),
        ),
        ("linked by", receipt.link.linker.clone()),
        (
            "built by",
            format!("{} {}", receipt.tool.name, receipt.tool.version),
        ),
        ("digest of the inputs", receipt.inputs_digest.to_string()),
    ];
    html! {
        section {
            h2 { "From the receipt" }
            dl { @for (name, value) in &facts { dt { (name) } dd { (value) } } }
        }
    }
}
