//! Extracts the text of lines on which a program has drawn a progress bar.

/// Returns the final text of a child's line, if it is meaningful. A progress bar is removed, and a
/// bar that has not started is not meaningful.
pub fn meaningful(line: &str) -> Option<String> {
    let mut shown = String::new();
    for part in line.split('\r') {
        for (index, text) in part.split("\u{1b}[").enumerate() {
            let end = text.find(|c: char| c.is_ascii_alphabetic());
            let (command, text) = match end.filter(|_| index > 0) {
                Some(end) => (&text[end..=end], &text[end + 1..]),
                None => ("", text),
            };
            // Carriage returns, and sequences that move the cursor or erase, start a new text;
            // colours do not.
            if command != "m" {
                shown.push('\n');
            }
            shown.push_str(text);
        }
    }
    let texts = shown.lines().rev().map(|text| without_bar(text.trim()));
    texts.flatten().find(|text| !text.is_empty())
}

/// Returns a text without its progress bar; `None` for a bar at 0 %.
fn without_bar(text: &str) -> Option<String> {
    let Some((before, rest)) = text.split_once('[') else {
        // curl draws a bar that does not name what it downloads.
        let drawn = text.contains('#') && text.chars().all(|c| "#=O- .%0123456789".contains(c));
        return (!drawn).then(|| text.to_owned());
    };
    let Some((bar, after)) = rest.split_once(']') else {
        return Some(text.to_owned());
    };
    let is_bar = bar.len() > 1 && bar.chars().all(|c| "=>#-━╸ ".contains(c));
    match (is_bar, after.trim()) {
        (false, _) => Some(text.to_owned()),
        (true, "" | "0 %" | "0%" | "0.0 %" | "0.0%") => None,
        (true, after) => Some(format!("{} {after}", before.trim())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drawn_progress_bar_is_told_in_words_or_not_at_all() {
        for (line, expected) in [
            (
                "   Cloning git-repo `https://x/y.git`",
                Some("Cloning git-repo `https://x/y.git`"),
            ),
            (
                "\u{1b}[?25l\u{1b}[36mFetching:\u{1b}[39m [>        ]  0.0 %",
                None,
            ),
            (
                "\u{1b}[?25lFetching: [>   ]  0.0 %\u{1b}[1GFetching: [==> ]  60.5 %",
                Some("Fetching: 60.5 %"),
            ),
            ("10 %\r50 %\r", Some("50 %")),
            (
                "Updating registry\r######          25.3%\r######## 100.0%",
                Some("Updating registry"),
            ),
            ("#=#=#", None),
            (
                "   Building Wreck → `~/x.log`",
                Some("Building Wreck → `~/x.log`"),
            ),
            (
                " Installed X [8dfed614] v1.0.0",
                Some("Installed X [8dfed614] v1.0.0"),
            ),
            ("", None),
            ("\u{1b}[2K\u{1b}[?25h", None),
        ] {
            assert_eq!(meaningful(line).as_deref(), expected, "{line:?}");
        }
    }
}
