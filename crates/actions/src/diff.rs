//! How a file differs from what it should be, as a unified diff.

use similar::TextDiff;

/// The diff that turns `have` into `want`; `None` if they are the same. Line ends do not count:
/// a checkout on Windows may have others.
#[must_use]
pub fn unified(name: &str, have: &str, want: &str) -> Option<String> {
    let have = have.replace("\r\n", "\n");
    if have == want {
        return None;
    }
    let diff = TextDiff::from_lines(have.as_str(), want);
    let mut unified = diff.unified_diff();
    let text = unified
        .context_radius(3)
        .header(name, &format!("{name} (as it should be)"))
        .to_string();
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_what_has_drifted_and_not_line_ends() {
        assert_eq!(unified("a.yml", "one\r\ntwo\r\n", "one\ntwo\n"), None);
        insta::assert_snapshot!(unified("a.yml", "one\n2\n", "one\ntwo\n").unwrap(), @r"
        --- a.yml
        +++ a.yml (as it should be)
        @@ -1,2 +1,2 @@
         one
        -2
        +two
        ");
    }
}
