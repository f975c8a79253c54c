//! Predicts how GitHub renames the files of a release, so that two files which would get the same
//! name are refused before the upload instead of overwriting each other.

use std::collections::BTreeMap;

/// Two files to which a host would give the same name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{first}` and `{second}` would both be called `{kept_as}` at the host")]
pub struct Collision {
    /// One file.
    pub first: String,
    /// The other file.
    pub second: String,
    /// The name that both would get.
    pub kept_as: String,
}

/// Returns the name that GitHub gives to a file: every run of characters other than letters, digits
/// and `- _ . + @` becomes one `.`, and leading and trailing periods are removed ("GitHub renames
/// asset filenames that have special characters, non-alphanumeric characters, and leading or
/// trailing periods", REST API, "Upload a release asset").
pub fn kept_name(name: &str) -> String {
    let mut kept = String::with_capacity(name.len());
    for c in name.chars() {
        let c = if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '+' | '@') {
            c
        } else {
            '.'
        };
        if c != '.' || !kept.ends_with('.') {
            kept.push(c);
        }
    }
    let trimmed = kept.trim_matches('.');
    if trimmed.is_empty() || kept.starts_with('.') {
        // A name that would begin with a period gets the prefix `default`.
        return format!("default.{trimmed}")
            .trim_end_matches('.')
            .to_owned();
    }
    trimmed.to_owned()
}

/// Checks that the names of all files stay distinct. Ignores case, because the same files are
/// copied to hosts with case-insensitive file systems.
///
/// # Errors
///
/// The first [`Collision`].
pub fn no_collisions<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), Collision> {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for name in names {
        let kept_as = kept_name(name);
        if let Some(first) = seen.insert(kept_as.to_lowercase(), name) {
            return Err(Collision {
                first: first.to_owned(),
                second: name.to_owned(),
                kept_as,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn build_identifiers_keep_their_names() {
        for name in [
            "insurance-julia1.12.7-x86_64-linux-gnu.tar.gz",
            "a-julia1.13.0+0.aarch64-x86_64-w64-mingw32.zip",
            "SHA256SUMS",
        ] {
            assert_eq!(kept_name(name), name);
        }
    }

    #[test]
    fn other_characters_become_periods() {
        for (name, kept) in [
            ("my image.so", "my.image.so"),
            ("a (1).so", "a.1.so"),
            (".hidden", "default.hidden"),
            ("end.", "end"),
            ("größe.so", "gr.e.so"),
        ] {
            assert_eq!(kept_name(name), kept);
        }
    }

    #[test]
    fn two_files_under_one_name_are_found_before_sending() {
        let collision = no_collisions(["a b.so", "c.so", "a.b.so"]).unwrap_err();
        assert_eq!(
            collision.to_string(),
            "`a b.so` and `a.b.so` would both be called `a.b.so` at the host"
        );
        assert!(no_collisions(["A.so", "a.so"]).is_err());
        assert!(no_collisions(["a.so", "b.so"]).is_ok());
    }
}
