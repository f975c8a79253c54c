//! Durations as they are typed: `90s`, `5m`, `12h`, `30d`, `4w`.

use std::time::Duration;

use jiff::SpanRelativeTo;

/// Reads a duration with its unit.
pub(super) fn with_unit(text: &str) -> Result<Duration, String> {
    let span = text.parse::<jiff::Span>().ok();
    let length = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    length
        .and_then(|length| Duration::try_from(length).ok())
        .ok_or_else(|| format!("`{text}` is not a duration such as 30d, 12h, 15m or 90s"))
}

/// Reads a duration, of which a number alone means seconds.
pub(super) fn seconds(text: &str) -> Result<u64, String> {
    match text.parse() {
        Ok(seconds) => Ok(seconds),
        Err(_) => with_unit(text).map(|length| length.as_secs()),
    }
}

/// The same, but not zero.
pub(super) fn positive_seconds(text: &str) -> Result<u64, String> {
    match seconds(text)? {
        0 => Err("it must be at least a second".to_owned()),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        assert_eq!(with_unit("30d"), Ok(Duration::from_secs(2_592_000)));
        assert_eq!(with_unit("4w"), Ok(Duration::from_secs(2_419_200)));
        assert_eq!(with_unit("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(with_unit("0s"), Ok(Duration::ZERO));
        for text in ["", "d", "30", "30x", "-3d", "2mo", "99999999999999999999d"] {
            assert!(with_unit(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_number_alone_means_seconds_where_it_always_did() {
        assert_eq!(seconds("600"), Ok(600));
        assert_eq!(seconds("0"), Ok(0));
        assert_eq!(seconds("1h30m"), Ok(5400));
        assert_eq!(positive_seconds("5m"), Ok(300));
        assert!(positive_seconds("0").is_err());
        assert!(positive_seconds("0s").is_err());
        assert!(positive_seconds("soon").is_err());
    }
}
