//! Output for the user who built an image, from its receipt: a headline, and warnings.

use std::time::Duration;

use sysforge_plan::Receipt;
use sysforge_plan::text::counted;
use sysforge_plan::units::elapsed;

/// Maximum number of statements or paths that are listed.
const MAX_LISTED: usize = 5;

/// A possible problem of an image, with a hint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The problem.
    pub text: String,
    /// The hint.
    pub hint: Option<&'static str>,
}

/// Returns one line about an archive of `size` bytes that was built in the time `wall`.
pub fn headline(receipt: &Receipt, size: u64, wall: Duration) -> String {
    let (id, archive) = (&receipt.build_id, size / 1_000_000);
    if let Some(bundle) = &receipt.bundle {
        let library = bundle.library.as_ref();
        let library = library.map(|library| {
            let functions = counted(library.functions.len(), "function");
            format!("{} {}, {functions}", library.name, library.version)
        });
        let names = bundle.apps.iter().map(|app| app.name.clone());
        let names: Vec<_> = names.chain(library).collect();
        let unpacked: u64 = bundle.files.iter().map(|file| file.size).sum();
        return format!(
            "Built {id}: {}, unpacked {} MB, archive {archive} MB",
            names.join(", "),
            unpacked / 1_000_000,
        );
    }
    let residuals = match receipt.check.residuals.len() {
        0 => "nothing left to compile".to_owned(),
        count => format!("{} left to compile", counted(count, "statement")),
    };
    format!(
        "Built {id} in {}: image {} MB, archive {archive} MB, {residuals}",
        elapsed(wall),
        receipt.image.size / 1_000_000,
    )
}

/// Returns warnings about an image: statements that were not replayed, missing CPU targets, and
/// paths that do not exist on other machines. An archive of apps has none.
pub fn warnings(receipt: &Receipt) -> Vec<Warning> {
    let mut warnings = Vec::new();
    if receipt.bundle.is_some() {
        return warnings;
    }
    let mut warn = |text: String, hint| warnings.push(Warning { text, hint });
    let failed = &receipt.statements.failed;
    for unreplayed in failed.iter().take(MAX_LISTED) {
        let (reason, statement) = (&unreplayed.reason, &unreplayed.statement);
        warn(format!("not replayed: {reason}: {statement}"), None);
    }
    if let more @ 1.. = failed.len().saturating_sub(MAX_LISTED) {
        let text = format!("and {more} more statements; the receipt lists them");
        warn(text, None);
    }
    let targets = &receipt.targets;
    let requested = targets.requested.split(';').count();
    if let Some(held) = targets.held.as_ref().filter(|held| held.len() < requested) {
        warn(
            format!(
                "of the {requested} CPU targets that were asked for, Julia put only {} into the \
                 image: {}",
                held.len(),
                held.join(";")
            ),
            Some(
                "the image runs wherever that target does; `cpu` may also be a list, for one image \
                 each",
            ),
        );
    }
    let portability = receipt.check.portability.iter();
    let needed: Vec<_> = portability.flat_map(|found| found.needed()).collect();
    for found in needed.iter().take(MAX_LISTED) {
        let path = &found.path;
        let text = match found.needed {
            Some(_) => {
                format!("the workloads fail where a path of this machine does not exist: {path}")
            }
            None => {
                let times = counted(found.times, "time");
                format!("the image holds a path of this machine: {path} ({times})")
            }
        };
        warn(text, None);
    }
    if !needed.is_empty() {
        warn(
            format!(
                "{} of this machine may be missed where the image runs",
                counted(needed.len(), "path")
            ),
            Some(
                "a package that computes a path once keeps it: compute it in a function or in \
                 `__init__`, or use an artifact; the receipt lists all",
            ),
        );
    }
    warnings
}

/// Formats the number of artifacts in the archive of an image, if there are any.
pub fn artifacts(receipt: &Receipt) -> Option<String> {
    let artifacts = match (&receipt.bundle, &receipt.check.portability) {
        (None, Some(portability)) => portability.artifacts.len(),
        _ => 0,
    };
    let text = format!(
        "the archive contains {} of the packages",
        counted(artifacts, "artifact")
    );
    (artifacts > 0).then_some(text)
}
