//! The order of two tags.

use std::cmp::Ordering;

/// Compares two tags by the versions or dates in them. Numbers are compared by value. As in
/// semantic versioning, a version with a suffix after a first `-` comes before the one without it.
/// `None` if the tags have no numbers or different prefixes, so that they cannot be compared.
pub(super) fn order(one: &str, two: &str) -> Option<Ordering> {
    if one == two {
        return Some(Ordering::Equal);
    }
    let (one, two) = (Version::read(one)?, Version::read(two)?);
    if one.prefix != two.prefix {
        return None;
    }
    Some(one.cmp_numbers(&two))
}

/// `images/v1.2.0-rc.1+2` is the prefix `images/`, the numbers 1, 2 and 0, the pre-release `rc.1`
/// and the build `2`.
struct Version<'a> {
    prefix: &'a str,
    core: Vec<&'a str>,
    pre: Option<Vec<&'a str>>,
    build: Vec<&'a str>,
}

impl<'a> Version<'a> {
    fn read(tag: &'a str) -> Option<Self> {
        let start = tag.find(|c: char| c.is_ascii_digit())?;
        let (prefix, rest) = tag.split_at(start);
        // `v1.2` and `1.2` are versions of the same kind.
        let prefix = prefix.strip_suffix(['v', 'V']).unwrap_or(prefix);
        let (rest, build) = rest.split_once('+').unwrap_or((rest, ""));
        let (core, pre) = match rest.split_once('-') {
            Some((core, pre)) => (core, Some(pre)),
            None => (rest, None),
        };
        let parts = |text: &'a str| -> Vec<&'a str> { text.split(['.', '-', '_']).collect() };
        Some(Self {
            prefix,
            core: parts(core),
            pre: pre.map(parts),
            build: parts(build),
        })
    }

    fn cmp_numbers(&self, other: &Self) -> Ordering {
        let pre = |one: &Option<Vec<&str>>, two: &Option<Vec<&str>>| match (one, two) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
            (Some(one), Some(two)) => cmp_parts(one, two),
        };
        cmp_parts(&self.core, &other.core)
            .then_with(|| pre(&self.pre, &other.pre))
            .then_with(|| cmp_parts(&self.build, &other.build))
    }
}

/// Compares part by part; a missing part counts as 0, so that `1.2` equals `1.2.0`.
fn cmp_parts(one: &[&str], two: &[&str]) -> Ordering {
    let length = one.len().max(two.len());
    let part = |parts: &[&str], index: usize| -> String {
        parts.get(index).map_or("0", |part| *part).to_owned()
    };
    (0..length)
        .map(|index| cmp_part(&part(one, index), &part(two, index)))
        .find(|ordering| *ordering != Ordering::Equal)
        .unwrap_or(Ordering::Equal)
}

/// Compares numbers by value, whatever their length, and before words. Words are compared by
/// letters, then by the number at the end (`rc2` before `rc10`).
fn cmp_part(one: &str, two: &str) -> Ordering {
    let split = |text: &str| -> (String, String) {
        let word = text.trim_end_matches(|c: char| c.is_ascii_digit());
        let number = text[word.len()..].trim_start_matches('0');
        (word.to_owned(), number.to_owned())
    };
    let ((word, number), (other_word, other_number)) = (split(one), split(two));
    word.cmp(&other_word)
        .then_with(|| number.len().cmp(&other_number.len()))
        .then_with(|| number.cmp(&other_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_and_dates_are_in_order() {
        for (older, newer) in [
            ("v1.0.0", "v1.0.1"),
            ("v1.9.0", "v1.10.0"),
            ("1.2", "v1.2.1"),
            ("v1.2.0-rc1", "v1.2.0"),
            ("v1.2.0-rc2", "v1.2.0-rc10"),
            ("v1.2.0-alpha.9", "v1.2.0-beta.1"),
            ("v1.5.3+1", "v1.5.3+2"),
            ("v1.5.3", "v1.5.3+2"),
            ("2026-09-30", "2026-11-26"),
            ("images/v1", "images/v2"),
            ("v99999999999999999998", "v99999999999999999999"),
        ] {
            assert_eq!(order(older, newer), Some(Ordering::Less), "{older} {newer}");
            assert_eq!(
                order(newer, older),
                Some(Ordering::Greater),
                "{newer} {older}"
            );
        }
        assert_eq!(order("v1.2", "1.2.0"), Some(Ordering::Equal));
        assert_eq!(order("spring", "spring"), Some(Ordering::Equal));
    }

    #[test]
    fn tags_without_an_order_are_told_apart() {
        for (one, two) in [("spring", "summer"), ("spring", "v1"), ("a/v1", "b/v2")] {
            assert_eq!(order(one, two), None, "{one} {two}");
        }
    }
}
