//! Finding the statement on which Julia crashes.
//!
//! Three ways, the cheapest first. The report of the process that crashed may end before the last
//! statement: then it is the next one. Else the crash came when the code of all statements was
//! generated at once; a trial process, which compiles each statement when it comes to it, mostly
//! crashes as well, and its report tells. If it does not, halving the list finds the statement, with
//! a whole emission for each step.

use super::attempt::{Attempt, crash};
use super::error::EmitError;
use super::report::At;
use super::{Emission, Kind, Staged, stage};
use crate::context::Context;

/// The index of the statement that crashes Julia, which crashed at `at`, and how; `None` if none is
/// to blame.
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
        At::Behind => {}
    }
    if let Staged::Failed(source, At::Statement(index), _) =
        stage(context, emission, attempt, Kind::Trial).await?
        && let Some(how) = crash(&source)
    {
        return Ok(Some((index, how)));
    }
    halve(context, emission, attempt, how).await
}

/// Finds it by whole emissions, each with the first so many statements.
async fn halve(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    mut how: String,
) -> Result<Option<(usize, String)>, EmitError> {
    let given: Vec<usize> = (0..emission.count())
        .filter(|index| !attempt.left_out.contains_key(index))
        .collect();
    // First with none at all: the packages alone may crash it.
    if crashes(context, emission, attempt, &given).await?.is_some() {
        return Ok(None);
    }
    // With the first `well` of them Julia does not crash, with the first `badly` it does.
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

/// How Julia crashes without these statements, if it still does.
async fn crashes(
    context: &Context,
    emission: &Emission<'_>,
    attempt: &Attempt,
    without: &[usize],
) -> Result<Option<String>, EmitError> {
    let mut fewer = attempt.clone();
    let without = without.iter().map(|index| (*index, String::new()));
    fewer.left_out.extend(without);
    match stage(context, emission, &fewer, Kind::Emit).await? {
        Staged::Done(..) => Ok(None),
        Staged::Failed(source, ..) => match crash(&source) {
            Some(how) => Ok(Some(how)),
            // Something else is wrong as well: that is what the user must hear.
            None => Err(EmitError::Julia {
                during: None,
                retries: 0,
                source: Box::new(source),
            }),
        },
    }
}
