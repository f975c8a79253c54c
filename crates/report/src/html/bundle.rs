//! The parts of the page about the apps and the C library that were made from the image.

use maud::{Markup, html};
use sysforge_plan::app::{AppRecord, BundleRecord, BundledFile};
use sysforge_plan::library::LibraryRecord;

use super::percent;
use sysforge_plan::units::{bytes, count, duration};

/// Files smaller than this fraction of the bundle are combined.
const MIN_FRACTION: f64 = 0.002;

/// Returns what was run from an archive of apps or of a library, and the size and the reason of each
/// file.
pub(super) fn bundle(bundle: &BundleRecord) -> Markup {
    let (title, what) = match &bundle.library {
        Some(library) => (format!("C library {}", library.name), "library"),
        None => ("Apps".to_owned(), "apps"),
    };
    html! {
        section {
            h2 { (title) }
            p {
                @if bundle.isolated {
                    "Everything ran from the unpacked archive, where nothing else existed but the C library \
                     of the system."
                } @else {
                    "Everything ran from the unpacked archive with an empty environment."
                }
                @if let Some(system) = &bundle.oldest_system {
                    " It needs " (system) " or newer."
                }
            }
            @match &bundle.library {
                Some(library) => (calls(library)),
                None => (runs(&bundle.apps)),
            }
            h2 { "Size of the " (what) ", by file" }
            (files(bundle))
        }
    }
}

/// Returns the runs of the apps.
fn runs(apps: &[AppRecord]) -> Markup {
    html! {
        table {
            tbody {
                @for app in apps {
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
    }
}

/// Returns the calls of the library's functions, and the functions that the header does not declare.
fn calls(library: &LibraryRecord) -> Markup {
    html! {
        p {
            "Version " (library.version) ", found as " code { (library.soname) } ": "
            (count(library.functions.len(), "function", "functions"))
            ". Julia was running after " (duration(library.init_ms / 1000.0)) ", and the calls compiled "
            (count(library.residuals.len(), "statement", "statements")) "."
        }
        table {
            tbody {
                @for call in &library.calls {
                    tr {
                        td { code { (call.call) } }
                        td { "returned " code { (call.result) } }
                        td class="number" { (duration(call.wall_ms / 1000.0)) }
                    }
                }
                @for function in &library.functions {
                    @if let Some(why) = &function.undeclared {
                        tr {
                            td { code { (function.name) } }
                            td colspan="2" { "not in the header: " (why) }
                        }
                    }
                }
            }
        }
    }
}

/// Returns the size of each file, and the reason for it.
fn files(bundle: &BundleRecord) -> Markup {
    let whole: u64 = bundle.files.iter().map(|file| file.size).sum();
    let mut files: Vec<&BundledFile> = bundle.files.iter().collect();
    files.sort_by(|a, b| b.size.cmp(&a.size).then_with(|| a.path.cmp(&b.path)));
    let large = files.partition_point(|file| file.size as f64 >= whole as f64 * MIN_FRACTION);
    let small = files.split_off(large);
    let small_size: u64 = small.iter().map(|file| file.size).sum();
    html! {
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
