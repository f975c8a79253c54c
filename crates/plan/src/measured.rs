//! Measured numbers of a receipt: others read and sum them, so they are checked when it is parsed.

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

/// The longest time that a receipt may contain, in seconds: 30 days.
const LONGEST_S: f64 = 30.0 * 24.0 * 3600.0;

/// The largest file that a receipt may contain, in bytes.
const LARGEST: u64 = 16 << 30;

fn check_time<E: serde::de::Error>(time: f64, per_second: f64) -> Result<(), E> {
    match (0.0..=LONGEST_S * per_second).contains(&time) {
        true => Ok(()),
        false => Err(E::custom("a measured time is between 0 and 30 days")),
    }
}

/// Deserialises a time in seconds.
///
/// # Errors
///
/// If it is not a number, negative or longer than 30 days.
pub(crate) fn seconds<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let time = f64::deserialize(from)?;
    check_time(time, 1.0).map(|()| time)
}

/// Deserialises an optional time in seconds.
///
/// # Errors
///
/// If it is present and not a number, negative or longer than 30 days.
pub(crate) fn optional_seconds<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<f64>, D::Error> {
    let time = Option::<f64>::deserialize(from)?;
    time.map_or(Ok(()), |time| check_time(time, 1.0))?;
    Ok(time)
}

/// Deserialises a time in milliseconds.
///
/// # Errors
///
/// If it is not a number, negative or longer than 30 days.
pub(crate) fn milliseconds<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    let time = f64::deserialize(from)?;
    check_time(time, 1e3).map(|()| time)
}

/// Deserialises times in milliseconds.
///
/// # Errors
///
/// If one is not a number, negative or longer than 30 days.
pub(crate) fn costs<'de, D: Deserializer<'de>>(from: D) -> Result<BTreeMap<String, f64>, D::Error> {
    let times = BTreeMap::<String, f64>::deserialize(from)?;
    for time in times.values() {
        check_time(*time, 1e3)?;
    }
    Ok(times)
}

/// Deserialises the size of a file in bytes.
///
/// # Errors
///
/// If it is not a whole number, or larger than any file in an archive.
pub(crate) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    match u64::deserialize(from)? {
        size if size <= LARGEST => Ok(size),
        _ => Err(D::Error::custom("a file in an archive has at most 16 GiB")),
    }
}
