//! Compares a file with its expected content, as a unified diff.

use similar::TextDiff;

/// Returns the diff from `have` to `want`; `None` if they are equal. Line endings are ignored,
/// because a checkout on Windows may change them.
pub fn unified(name: &str, have: &str, want: &str) -> Option<String> {
    let have = have.replace("\r\n", "\n");
    if have == want {
        return None;
    }
    let diff = TextDiff::from_lines(have.as_str(), want);
    let mut unified = diff.unified_diff();
    let text = unified
        .context_radius(3)
        .header(name, &format!("{name} (expected)"))
        .to_string();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_changes_but_not_line_endings() {
        assert_eq!(unified("a.yml", "one\r\ntwo\r\n", "one\ntwo\n"), None);
        insta::assert_snapshot!(unified("a.yml", "one\n2\n", "one\ntwo\n").unwrap(), @r"
        --- a.yml
        +++ a.yml (expected)
        @@ -1,2 +1,2 @@
         one
        -2
        +two
        ");
    }
}
