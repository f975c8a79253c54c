//! Translates serde's messages, which name Rust's types, to what a user can act on.

use crate::text::shortened;

/// Maximum number of characters of a value that a message quotes.
const SHOWN: usize = 60;

/// A message of serde about a value of the wrong kind.
struct Mismatch<'m> {
    /// What serde found: `string "x"`, ``integer `5` ``, `sequence`.
    found: &'m str,
    /// What it expected: `a string`, `u64`, `struct FileRecord`.
    expected: &'m str,
}

/// Returns `message` in plain words. `subject` is the value that it is about, as it begins a sentence;
/// `table` is what the format calls a value with keys.
pub(crate) fn plain(message: &str, subject: &str, table: &str) -> String {
    let quoted = |prefix: &str| message.strip_prefix(prefix)?.split('`').next();
    if let Some(mismatch) = Mismatch::parse(message) {
        let found = mismatch.found(table);
        return match mismatch.expected(table) {
            Some(expected) => format!("{subject} is {found}, and must be {expected}"),
            None => format!("{subject} is {found}, which is not allowed here"),
        };
    }
    if let Some(rest) = message.strip_prefix("invalid length ") {
        // A list stands for the fields of a type in turn, until there are too few.
        if rest.contains(", expected struct ") {
            return format!("{subject} is a list, and must be {table}");
        }
        let count = rest.split(',').next().unwrap_or_default();
        return format!("{subject} is a list of length {count}, which is not allowed here");
    }
    if let Some(field) = quoted("missing field `") {
        return format!("{subject} has no `{field}`");
    }
    if let Some(field) = quoted("duplicate field `") {
        return format!("{subject} has `{field}` twice");
    }
    if let Some(field) = quoted("unknown field `") {
        return format!(
            "{subject} has the unknown key `{}`",
            shortened(field, SHOWN)
        );
    }
    if let Some(variant) = quoted("unknown variant `") {
        let variant = shortened(variant, SHOWN);
        return format!("{subject} is `{variant}`, which this version of Sysforge does not know");
    }
    if message.starts_with("data did not match any variant") {
        return format!("{subject} has none of the allowed forms");
    }
    match message.strip_prefix("expected ") {
        Some(expected) => format!("{subject} must be {expected}"),
        None => message.to_owned(),
    }
}

impl<'m> Mismatch<'m> {
    fn parse(message: &'m str) -> Option<Self> {
        let rest = ["invalid type: ", "invalid value: "]
            .into_iter()
            .find_map(|prefix| message.strip_prefix(prefix))?;
        // What was found may contain these words; what was expected does not.
        let (found, expected) = rest.rsplit_once(", expected ")?;
        Some(Self { found, expected })
    }

    fn found(&self, table: &str) -> String {
        let inner = |open: &str, close: char| {
            let text = self.found.strip_prefix(open)?.strip_suffix(close)?;
            Some(shortened(text, SHOWN))
        };
        if let Some(text) = inner("string \"", '"') {
            return match text.is_empty() {
                true => "an empty string".to_owned(),
                false => format!("the string `{text}`"),
            };
        }
        let wide = |open: &str| {
            let text = self.found.strip_prefix(open)?;
            let text = text
                .strip_suffix("` as i128")
                .or_else(|| text.strip_suffix("` as u128"));
            Some(shortened(text?, SHOWN))
        };
        if let Some(number) = wide("integer `")
            .or_else(|| inner("integer `", '`'))
            .or_else(|| inner("floating point `", '`'))
        {
            return format!("the number {number}");
        }
        if let Some(truth) = inner("boolean `", '`') {
            return truth;
        }
        match self.found {
            "map" => table.to_owned(),
            "sequence" => "a list".to_owned(),
            "date" => "a date".to_owned(),
            "null" | "unit value" => "null".to_owned(),
            _ => "a value of another kind".to_owned(),
        }
    }

    /// Returns what is expected, unless serde only names a type of the program.
    fn expected(&self, table: &str) -> Option<String> {
        let plain = match self.expected {
            "u8" => "a whole number from 0 to 255",
            "u16" => "a whole number from 0 to 65535",
            "u32" => "a whole number from 0 to 4294967295",
            "u64" | "u128" | "usize" => "a whole number that is not negative",
            "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number",
            "f32" | "f64" => "a number",
            "a boolean" => "true or false",
            "a string" | "string" | "str" | "a borrowed string" => "a string",
            "path string" => "a path, as a string",
            "a sequence" | "sequence" => "a list",
            "a map" | "map" => table,
            "unit" | "null" => "null",
            other if other.starts_with("a tuple of size") => "a list",
            other => {
                let is_table = ["struct ", "internally tagged ", "adjacently tagged "];
                if is_table.iter().any(|kind| other.starts_with(kind)) {
                    return Some(table.to_owned());
                }
                let is_internal = ["enum ", "variant", "tuple ", "newtype ", "unit struct"];
                if is_internal.iter().any(|kind| other.contains(kind)) {
                    return None;
                }
                other
            }
        };
        Some(plain.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::PathBuf;

    use serde::Deserialize;
    use serde::de::DeserializeOwned;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its errors are read")]
    struct Inner {
        size: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Plain {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One,
    }

    #[derive(Debug, Deserialize)]
    #[serde(untagged)]
    #[expect(dead_code, reason = "only its errors are read")]
    enum Untagged {
        One(u8),
        Two(String),
    }

    fn said<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> String {
        let value: serde_json::Value = serde_json::from_str(json).unwrap();
        let error = serde_json::from_value::<T>(value).unwrap_err();
        plain(&error.to_string(), "it", "an object")
    }

    #[test]
    fn no_message_names_a_type_of_rust() {
        for (said, expected) in [
            (
                said::<u8>("256"),
                "it is the number 256, and must be a whole number from 0 to 255",
            ),
            (
                said::<u64>("-1"),
                "it is the number -1, and must be a whole number that is not negative",
            ),
            (
                said::<u64>("1.5"),
                "it is the number 1.5, and must be a whole number that is not negative",
            ),
            (
                said::<i32>("\"x\""),
                "it is the string `x`, and must be a whole number",
            ),
            (
                said::<f64>("\"\""),
                "it is an empty string, and must be a number",
            ),
            (
                said::<bool>("[]"),
                "it is a list, and must be true or false",
            ),
            (
                said::<String>("{}"),
                "it is an object, and must be a string",
            ),
            (
                said::<PathBuf>("null"),
                "it is null, and must be a path, as a string",
            ),
            (said::<Vec<u8>>("true"), "it is true, and must be a list"),
            (
                said::<BTreeMap<String, u8>>("5"),
                "it is the number 5, and must be an object",
            ),
            (
                said::<(u8, u8)>("5"),
                "it is the number 5, and must be a list",
            ),
            (
                said::<[u8; 2]>("[1]"),
                "it is a list of length 1, which is not allowed here",
            ),
            (
                said::<Inner>("5"),
                "it is the number 5, and must be an object",
            ),
            (said::<Inner>("[]"), "it is a list, and must be an object"),
            (said::<Inner>("{}"), "it has no `size`"),
            (
                said::<Inner>("{\"sise\": 1}"),
                "it has the unknown key `sise`",
            ),
            (
                said::<Plain>("\"two\""),
                "it is `two`, which this version of Sysforge does not know",
            ),
            (
                said::<Tagged>("5"),
                "it is the number 5, and must be an object",
            ),
            (said::<Tagged>("{}"), "it has no `kind`"),
            (said::<Untagged>("[]"), "it has none of the allowed forms"),
        ] {
            assert_eq!(said, expected);
        }
        for said in [
            said::<Plain>("5"),
            said::<()>("5"),
            said::<Plain>("{}"),
            said::<char>("5"),
        ] {
            for name in ["enum", "variant", "struct", "Plain"] {
                assert!(!said.contains(name), "{said}");
            }
        }
    }

    #[test]
    fn a_quoted_value_is_short_and_may_contain_serdes_words() {
        let text = format!("\"a, expected u8{}\"", "x".repeat(10_000));
        let said = said::<u8>(&text);
        assert!(
            said.starts_with("it is the string `a, expected u8xx"),
            "{said}"
        );
        assert!(
            said.ends_with("…`, and must be a whole number from 0 to 255"),
            "{said}"
        );
    }
}
