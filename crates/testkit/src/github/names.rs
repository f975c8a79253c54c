//! The names that GitHub gives to uploaded files. Written from the documentation of the API
//! ("GitHub renames asset filenames that have special characters, non-alphanumeric characters, and
//! leading or trailing periods") and from the names of real uploads. It shares no code with the
//! program under test, so that a wrong prediction there shows as a difference here.

/// The stored name of a file uploaded as `sent`.
pub(super) fn stored_name(sent: &str) -> String {
    let words: Vec<String> = sent
        .split(|c: char| !(c.is_ascii_alphanumeric() || "-_+@".contains(c)))
        .map(str::to_owned)
        .collect();
    let begins_badly = words.first().is_some_and(String::is_empty);
    let kept: Vec<String> = words.into_iter().filter(|word| !word.is_empty()).collect();
    match (begins_badly, kept.is_empty()) {
        (_, true) => "default".to_owned(),
        (true, false) => format!("default.{}", kept.join(".")),
        (false, false) => kept.join("."),
    }
}

#[cfg(test)]
mod tests {
    use super::stored_name;

    #[test]
    fn the_names_agree_with_real_uploads() {
        for (sent, stored) in [
            ("a-julia1.13.0+0.aarch64.zip", "a-julia1.13.0+0.aarch64.zip"),
            ("my image.so", "my.image.so"),
            ("a (1).so", "a.1.so"),
            (".hidden", "default.hidden"),
            ("end.", "end"),
            ("..", "default"),
            ("x~y.tar.gz", "x.y.tar.gz"),
            ("größe.so", "gr.e.so"),
        ] {
            assert_eq!(stored_name(sent), stored);
        }
    }
}
