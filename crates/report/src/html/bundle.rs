//! The part of the page about the apps that were made from the image.

use maud::{Markup, html};
use sysforge_plan::app::{BundleRecord, BundledFile};

use super::percent;
use sysforge_plan::units::{bytes, count, duration};

/// Files smaller than this fraction of the bundle are combined.
const MIN_FRACTION: f64 = 0.002;

/// Returns the runs of the apps, and the size and the reason of each file.
pub(super) fn apps(bundle: &BundleRecord) -> Markup {
    let whole: u64 = bundle.files.iter().map(|file| file.size).sum();
    let mut files: Vec<&BundledFile> = bundle.files.iter().collect();
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    let large = files.partition_point(|file| file.size as f64 >= whole as f64 * MIN_FRACTION);
    let small = files.split_off(large);
    let small_size: u64 = small.iter().map(|file| file.size).sum();
    html! {
        section {
            h2 { "Apps" }
            p {
                @if bundle.isolated {
                    "Each run started from the unpacked archive, where nothing else existed but the C \
                     library of the system."
                } @else {
                    "Each run started from the unpacked archive with an empty environment."
                }
                @if let Some(system) = &bundle.oldest_system { " The apps need " (system) " or newer." }
            }
            table {
                tbody {
                    @for app in &bundle.apps {
                        @for run in &app.runs {
                            tr {
                                td { code { (app.name) @for arg in &run.args { " " (arg) } } }
                                td { "exit code " (run.exit) }
                                td class="number" { (duration(run.wall_ms / 1000.0)) }
                                td class="number" { (run.peak_memory.map(bytes).unwrap_or_default()) }
                                td { (count(run.residuals.len(), "statement", "statements")) " compiled" }
                            }
                        }
                    }
                }
            }
            h2 { "Size of the apps, by file" }
            p { (bytes(whole)) " in " (count(bundle.files.len(), "file", "files")) ", each once." }
            table {
                tbody {
                    @for file in &files {
                        tr {
                            td { (file.path) br; span class="soft" { (file.why) } }
                            td class="number" { (bytes(file.size)) }
                            td class="bar" {
                                i style={ "width:" (percent(file.size as f64, files[0].size as f64)) "%" } {}
                            }
                        }
                    }
                    @if !small.is_empty() {
                        tr {
                            td { (count(small.len(), "smaller file", "smaller files")) }
                            td class="number" { (bytes(small_size)) }
                            td class="bar" {}
                        }
                    }
                }
            }
        }
    }
}
