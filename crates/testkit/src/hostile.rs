//! Hostile texts to insert into documents in place of names and other strings.

use serde_json::Value;

/// Texts that must be refused wherever they could become a path, a script, an identifier or part of
/// a file, and be harmless elsewhere.
pub fn texts() -> Vec<String> {
    let short = [
        "../../outside",
        "/tmp/sysforge-outside",
        "C:\\outside",
        "\\\\host\\outside",
        "a/../../outside",
        "a\nLD_PRELOAD=/tmp/x.so",
        "a\r\n::add-mask::x",
        "::stop-commands::x",
        "##[add-mask]x",
        "a\"; touch outside; \"",
        "a'; touch outside; '",
        "$(touch outside)",
        "`touch outside`",
        "a\0b",
        "a\u{1b}]0;title\u{7}\u{1b}[2J",
        "a\u{9b}2Jb",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{200b}b",
        "CON",
        "nul.so",
        "COM1.txt",
        "a.",
        "a<b",
        "${{ secrets.TOKEN }}",
    ];
    let long = "x".repeat(10_000);
    short
        .iter()
        .map(ToString::to_string)
        .chain([long])
        .collect()
}

/// JSON pointers to every string of a document, and to every null, which could be a string.
pub fn leaves(document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    collect(document, String::new(), &mut found);
    found
}

fn collect(value: &Value, pointer: String, found: &mut Vec<String>) {
    match value {
        Value::String(_) | Value::Null => found.push(pointer),
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, format!("{pointer}/{index}"), found);
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields {
                let name = name.replace('~', "~0").replace('/', "~1");
                collect(field, format!("{pointer}/{name}"), found);
            }
        }
        _ => {}
    }
}

/// Replaces one value of a document by a text.
///
/// # Panics
///
/// If the pointer does not exist.
pub fn with_text(document: &Value, pointer: &str, text: &str) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = text.into();
    document
}

/// All variants of a document with one hostile text, each with its pointer and the text.
pub fn variants(document: &Value) -> impl Iterator<Item = (String, String, Value)> + '_ {
    leaves(document).into_iter().flat_map(move |pointer| {
        texts().into_iter().map(move |text| {
            let changed = with_text(document, &pointer, &text);
            (pointer.clone(), text, changed)
        })
    })
}

/// The first character that controls a terminal, is invisible or changes the writing direction;
/// newlines do not count.
pub fn first_deceptive(text: &str) -> Option<char> {
    let deceptive = |c: &char| *c != '\n' && sysforge_plan::text::is_deceptive(*c);
    text.chars().find(deceptive)
}
