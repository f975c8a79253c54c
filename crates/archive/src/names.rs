//! Checks the names of entries in an archive.

use sysforge_plan::text::is_windows_device;

use super::Error;

/// Returns a clean path relative to the archive's folder: plain names joined by `/`. Returns `None`
/// for the folder itself. Removes the first `strip` components.
pub(crate) fn clean(raw: &[u8], strip: usize) -> Result<Option<String>, Error> {
    let Ok(text) = std::str::from_utf8(raw) else {
        return Err(invalid_name(raw, "is not UTF-8"));
    };
    if text.starts_with('/') {
        return Err(invalid_name(raw, "is absolute"));
    }
    let mut parts = Vec::new();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => return Err(invalid_name(raw, "leaves its folder")),
            name => {
                check_component(name, raw)?;
                parts.push(name);
            }
        }
    }
    if parts.len() <= strip {
        return Ok(None);
    }
    Ok(Some(parts[strip..].join("/")))
}

fn check_component(name: &str, whole: &[u8]) -> Result<(), Error> {
    if name.chars().any(char::is_control) {
        return Err(invalid_name(whole, "contains control characters"));
    }
    if name.contains('\\') {
        return Err(invalid_name(
            whole,
            "contains a backslash, which is a separator on Windows",
        ));
    }
    if name.len() > 255 {
        return Err(invalid_name(whole, "is too long for a file name"));
    }
    if cfg!(windows) && !fits_windows(name) {
        return Err(invalid_name(whole, "is not a valid file name on Windows"));
    }
    Ok(())
}

/// Returns whether a name is safe on Windows, which treats colons (streams, drives), device names
/// and trailing dots specially.
pub fn fits_windows(name: &str) -> bool {
    !name.contains([':', '<', '>', '"', '|', '?', '*'])
        && !name.ends_with(['.', ' '])
        && !is_windows_device(name)
}

/// Checks that a relative link at `link` stays in the archive's folder, by its text alone.
pub(crate) fn link_target(link: &str, target: &str) -> Result<(), Error> {
    let refuse = |why| {
        Err(Error::Link {
            link: displayed_name(link.as_bytes()),
            target: displayed_name(target.as_bytes()),
            why,
        })
    };
    if target.is_empty() {
        return refuse("is empty");
    }
    if target.starts_with('/') || target.contains('\\') || has_drive(target) {
        return refuse("is absolute");
    }
    if target.chars().any(char::is_control) {
        return refuse("contains control characters");
    }
    // The folders above a link are folders, so up to the first name the text alone decides. After
    // it, another link may be followed; `listing::resolve` knows all links.
    let depth = link.matches('/').count();
    let parts = target.split('/').filter(|part| !matches!(*part, "" | "."));
    if parts.take_while(|part| *part == "..").count() > depth {
        return refuse("leads out of the archive's folder");
    }
    Ok(())
}

fn has_drive(target: &str) -> bool {
    let mut chars = target.chars();
    matches!((chars.next(), chars.next()), (Some(c), Some(':')) if c.is_ascii_alphabetic())
}

fn invalid_name(name: &[u8], why: &'static str) -> Error {
    Error::Name {
        name: displayed_name(name),
        why,
    }
}

/// Escapes and shortens a name for a message.
pub(crate) fn displayed_name(name: &[u8]) -> String {
    let escaped: String = String::from_utf8_lossy(name).escape_debug().collect();
    match escaped.char_indices().nth(200) {
        Some((cut, _)) => format!("{}…", &escaped[..cut]),
        None => escaped,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_accepted_name_stays_in_its_folder(
            raw in "(\\PC|\n){0,12}|(/|\\.|\\.\\.|a|\\\\|:){0,12}|([a.]{1,3}/){0,5}",
            strip in 0..3_usize,
        ) {
            if let Ok(Some(name)) = clean(raw.as_bytes(), strip) {
                prop_assert!(!name.starts_with('/'));
                for part in name.split('/') {
                    prop_assert!(!matches!(part, "" | "." | ".."), "{}", name);
                }
                // A clean name is not changed.
                prop_assert_eq!(clean(name.as_bytes(), 0).unwrap(), Some(name));
            }
        }

        #[test]
        fn a_name_for_a_message_is_short_and_plain(raw in prop::collection::vec(any::<u8>(), 0..400)) {
            let shown = displayed_name(&raw);
            prop_assert!(shown.chars().count() <= 201);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }

    #[test]
    fn leading_components_are_stripped() {
        for (raw, strip, name) in [
            ("julia-1.5.3/bin/julia", 1, Some("bin/julia")),
            ("./julia-1.5.3/bin/", 1, Some("bin")),
            ("julia-1.5.3/", 1, None),
            ("a//b/./c", 0, Some("a/b/c")),
        ] {
            assert_eq!(clean(raw.as_bytes(), strip).unwrap().as_deref(), name);
        }
    }

    #[test]
    fn names_outside_of_the_folder_are_refused() {
        for raw in [
            &b"/etc/passwd"[..],
            b"julia/../../x",
            b"..",
            b"julia/a\nb",
            b"julia\\..\\x",
            b"julia/\xff",
            b"julia/a\0b",
        ] {
            assert!(clean(raw, 1).is_err(), "{raw:?}");
        }
        assert!(clean("x/".repeat(3).as_bytes(), 1).is_ok());
        assert!(clean("x".repeat(300).as_bytes(), 0).is_err());
    }

    #[test]
    fn names_reserved_by_windows_are_refused() {
        for name in [
            "a:b",
            "NUL",
            "nul.txt",
            "COM1",
            "com\u{b9}",
            "x.",
            "x ",
            "a?b",
        ] {
            assert!(!fits_windows(name), "{name}");
        }
        for name in ["null", "com10", "console", "libstdc++.dll.a", ".gitignore"] {
            assert!(fits_windows(name), "{name}");
        }
    }
}
