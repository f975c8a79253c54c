//! The report of the staging script: the result of every statement.

use std::collections::BTreeMap;
use std::path::Path;

use sysforge_files::unless_gone;
use sysforge_plan::receipt::{StatementCounts, Unreplayed};

use super::error::EmitError;

/// One line of the report.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ReplayResult {
    pub(super) index: usize,
    replayed: bool,
    skipped: bool,
    mended: bool,
    reason: String,
}

/// Skipped statements, by index, with reasons.
pub(super) type LeftOut = BTreeMap<usize, String>;

/// Reads the report; returns `None` if the process ended before it reached the statements.
pub(super) fn read(path: &Path) -> Result<Option<Vec<ReplayResult>>, EmitError> {
    let text = unless_gone(sysforge_files::read_text(path).map(Some));
    let text = text.map_err(|source| EmitError::Report {
        path: path.to_owned(),
        source,
    })?;
    Ok(text.map(|text| text.lines().filter_map(read_result).collect()))
}

fn read_result(line: &str) -> Option<ReplayResult> {
    let mut fields = line.splitn(4, '\t');
    let index: usize = fields.next()?.parse().ok()?;
    let result = fields.next()?;
    Some(ReplayResult {
        index: index.checked_sub(1)?,
        replayed: result == "replayed",
        skipped: result == "skipped",
        mended: fields.next()? == "true",
        reason: fields.next()?.to_owned(),
    })
}

/// Counts the results. The script reports every statement, but a report may be cut off: a statement
/// without a result counts as failed, so that all are accounted for.
pub(super) fn account(
    statements: &[String],
    results: &[ReplayResult],
    left_out: &LeftOut,
) -> StatementCounts {
    let mut counts = StatementCounts {
        recorded: statements.len(),
        ..StatementCounts::default()
    };
    let results: BTreeMap<usize, &ReplayResult> = results
        .iter()
        .map(|result| (result.index, result))
        .collect();
    for (index, statement) in statements.iter().enumerate() {
        let unreplayed = |reason: &str| Unreplayed {
            statement: statement.clone(),
            reason: reason.to_owned(),
        };
        match (left_out.get(&index), results.get(&index)) {
            (Some(reason), _) => counts.failed.push(unreplayed(reason)),
            (None, Some(result)) if result.replayed => {
                counts.replayed += 1;
                counts.mended += usize::from(result.mended);
            }
            (None, Some(result)) if result.skipped => {
                counts.skipped.push(unreplayed(&result.reason));
            }
            (None, Some(result)) => counts.failed.push(unreplayed(&result.reason)),
            (None, None) => counts
                .failed
                .push(unreplayed("the emitting script did not reach it")),
        }
    }
    counts
}

/// Where a process crashed that reported these results for `count` statements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    /// While loading the packages.
    Loading,
    /// At the statement of this index.
    Statement(usize),
    /// After all statements.
    AfterStatements,
}

pub(super) fn at(count: usize, results: Option<&[ReplayResult]>, left_out: &LeftOut) -> At {
    let Some(results) = results else {
        return At::Loading;
    };
    let start = results.last().map_or(0, |last| last.index + 1);
    let next = (start..count).find(|index| !left_out.contains_key(index));
    next.map_or(At::AfterStatements, At::Statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(lines: &[&str]) -> Vec<ReplayResult> {
        lines.iter().filter_map(|line| read_result(line)).collect()
    }

    #[test]
    fn every_statement_is_accounted_for() {
        let statements: Vec<String> = ["a", "b", "c", "d", "e"].map(str::to_owned).into();
        let results = results(&[
            "1\treplayed\ttrue\t",
            "2\tfailed\tfalse\tX is not defined",
            "3\tskipped\tfalse\tMain",
            "garbage",
        ]);
        let left_out = LeftOut::from([(4, "Julia crashes on it".to_owned())]);
        let counts = account(&statements, &results, &left_out);
        assert_eq!((counts.recorded, counts.replayed, counts.mended), (5, 1, 1));
        assert_eq!(counts.check(), Ok(()));
        let reasons: Vec<_> = counts.failed.iter().map(|f| f.reason.as_str()).collect();
        assert_eq!(
            reasons,
            [
                "X is not defined",
                "the emitting script did not reach it",
                "Julia crashes on it"
            ]
        );
        assert_eq!(counts.skipped[0].statement, "c");
    }

    #[test]
    fn a_crash_is_placed_at_its_statement() {
        let none = LeftOut::new();
        assert_eq!(at(2, None, &none), At::Loading);
        assert_eq!(at(2, Some(&[]), &none), At::Statement(0));
        let first = results(&["1\treplayed\tfalse\t"]);
        assert_eq!(at(2, Some(&first), &none), At::Statement(1));
        let skipping = LeftOut::from([(1, String::new())]);
        assert_eq!(at(2, Some(&first), &skipping), At::AfterStatements);
        assert_eq!(at(3, Some(&first), &skipping), At::Statement(2));
    }
}
