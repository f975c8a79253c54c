//! Formats numbers for display.

use std::time::Duration;

/// Formats an elapsed time, with tenths of a second for short ones.
pub fn elapsed(time: Duration) -> String {
    match time.as_secs() {
        0..120 => format!("{:.1} s", time.as_secs_f64()),
        seconds => format!("{}:{:02} min", seconds / 60, seconds % 60),
    }
}

/// Formats an estimated time: in whole minutes, or in seconds if it is short.
pub fn about(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..100 => format!("about {} s", seconds.max(1)),
        seconds => format!("about {} min", (seconds + 30) / 60),
    }
}

/// Formats a number of seconds in words, rounded down to the largest unit of which there are at least two.
pub fn span(seconds: u64) -> String {
    match seconds {
        1 => "1 second".to_owned(),
        0..120 => format!("{seconds} seconds"),
        120..7200 => format!("{} minutes", seconds / 60),
        7200..172_800 => format!("{} hours", seconds / 3600),
        172_800..31_536_000 => format!("{} days", seconds / 86_400),
        _ => "more than a year".to_owned(),
    }
}

/// Formats a measured duration in seconds, in the most readable unit.
pub fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => format!("{:.2} ms", s * 1e3),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.2} s"),
        s => format!("{:.1} min", s / 60.0),
    }
}

/// Formats a size in decimal units, as usual for disks and downloads.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1000 => format!("{bytes} B"),
        1000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}

/// Formats a ratio with its significant digits.
pub fn ratio(ratio: f64) -> String {
    match ratio {
        r if r < 10.0 => format!("{r:.1}"),
        r => format!("{r:.0}"),
    }
}

/// Formats a number with the singular or plural of a noun.
pub fn count(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_magnitude_has_its_unit() {
        assert_eq!(elapsed(Duration::from_millis(1234)), "1.2 s");
        assert_eq!(elapsed(Duration::from_secs(300)), "5:00 min");
        assert_eq!(about(Duration::from_millis(20)), "about 1 s");
        assert_eq!(about(Duration::from_secs(99)), "about 99 s");
        assert_eq!(about(Duration::from_secs(131)), "about 2 min");
        assert_eq!(span(119), "119 seconds");
        assert_eq!(span(7199), "119 minutes");
        assert_eq!(span(86_400), "24 hours");
        assert_eq!(span(172_800), "2 days");
        assert_eq!(span(u64::MAX), "more than a year");
        assert_eq!(duration(0.0005), "0.50 ms");
        assert_eq!(duration(0.39), "390.0 ms");
        assert_eq!(duration(6.5), "6.50 s");
        assert_eq!(duration(150.0), "2.5 min");
        assert_eq!(bytes(172_000_000), "172.0 MB");
        assert_eq!(bytes(2_400_000_000), "2.40 GB");
        assert_eq!(ratio(1.04), "1.0");
        assert_eq!(ratio(361.2), "361");
        assert_eq!(count(1, "statement", "statements"), "1 statement");
    }
}
