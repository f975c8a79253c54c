//! Finds the statement that crashes Julia.
//!
//! There are three methods, the cheapest first. If the report of the crashed process ends before
//! the last statement, the next one is the cause. Otherwise Julia crashed while generating the code
//! of all statements. A process that writes no image compiles each statement immediately, so it usually crashes
//! too, and its report identifies the statement. If it does not crash, a binary search over the
//! list finds it, with a complete emission for each step.

use super::attempt::{Attempt, crash};
use super::error::EmitError;
use super::report::At;
use super::{Emission, Staged, Staging, stage};
use crate::context::Context;

/// Returns the index of the statement that crashes Julia, and how; `None` if no statement is the
/// cause. Julia crashed at `at`.
pub(super) async fn find(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    at: At,
    how: String,
) -> Result<Option<(usize, String)>, EmitError> {
    match at {
        At::Loading => return Ok(None),
        At::Statement(index) => return Ok(Some((index, how))),
        At::AfterStatements => {}
    }
    if let Staged::Failed(source, At::Statement(index), _) =
        stage(context, emission, attempt, Staging::Replay).await?
        && let Some(how) = crash(&source)
    {
        return Ok(Some((index, how)));
    }
    halve(context, emission, attempt, how).await
}

/// Finds it by complete emissions with the first statements of the list.
async fn halve(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    mut how: String,
) -> Result<Option<(usize, String)>, EmitError> {
    let given: Vec<usize> = (0..emission.count())
        .filter(|index| !attempt.left_out.contains_key(index))
        .collect();
    // First without statements: the packages alone may crash Julia.
    if crashes(context, emission, attempt, &given).await?.is_some() {
        return Ok(None);
    }
    // Invariant: Julia does not crash with the first `well` statements, and crashes with the first
    // `badly`.
    let (mut well, mut badly) = (0, given.len());
    while badly - well > 1 {
        let middle = well.midpoint(badly);
        match crashes(context, emission, attempt, &given[middle..]).await? {
            Some(found) => (badly, how) = (middle, found),
            None => well = middle,
        }
    }
    Ok(given.get(well).map(|index| (*index, how)))
}

/// Describes how Julia crashes without these statements, if it still does.
async fn crashes(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    without: &[usize],
) -> Result<Option<String>, EmitError> {
    let mut fewer = attempt.clone();
    let without = without.iter().map(|index| (*index, String::new()));
    fewer.left_out.extend(without);
    match stage(context, emission, &fewer, Staging::Emission).await? {
        Staged::Done(..) => Ok(None),
        Staged::Failed(source, ..) => match crash(&source) {
            Some(how) => Ok(Some(how)),
            // Another error occurred, which the user must see.
            None => Err(EmitError::Julia {
                during: None,
                retries: 0,
                source: Box::new(source),
            }),
        },
    }
}
