//! Rules for text from untrusted sources: the characters and lengths allowed in each kind of name,
//! and how to display such text safely.
//!
//! A [`Rule`] defines what is allowed in one kind of text. Types whose values become paths, scripts
//! or identifiers ([`FileName`], [`ImageName`], [`Tag`], [`TreeHash`], [`Repository`],
//! [`crate::BuildId`]) cannot be created without checking their rule, and are checked again when
//! they are deserialised. Fields that are only compared or shown are plain strings, and are
//! deserialised with [`string`], [`optional`] or [`list`].

use std::borrow::{Borrow, Cow};
use std::fmt;
use std::ops::Deref;
use std::path::Path;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

/// The maximum number of characters of a refused text in its error.
const SHOWN: usize = 60;

/// The maximum length of a file name, in bytes, on any supported file system.
const LONGEST_NAME: usize = 255;

/// A text violates the rule of its kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: {why}")]
pub struct InvalidText {
    what: &'static str,
    text: String,
    why: &'static str,
}

impl InvalidText {
    /// Returns only the reason.
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

/// The rule for one kind of text.
pub trait Rule {
    /// The kind with its article, for messages.
    const WHAT: &'static str;

    /// Checks a text.
    fn check(text: &str) -> Result<(), &'static str>;

    /// Checks a text and returns a complete error.
    fn validate(text: &str) -> Result<(), InvalidText> {
        Self::check(text).map_err(|why| InvalidText {
            what: Self::WHAT,
            text: shortened(text, SHOWN),
            why,
        })
    }
}

/// Lets serde read and write a type as its text: `#[serde(try_from = "String", into = "String")]`.
macro_rules! as_string {
    ($name:ident) => {
        impl TryFrom<String> for $name {
            type Error = <Self as std::str::FromStr>::Err;

            fn try_from(text: String) -> Result<Self, Self::Error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
pub(crate) use as_string;

/// Returns a value as indented JSON with a final newline. A value that is no JSON is empty.
pub fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

/// Returns whether a character is invisible, changes the direction of text, or controls a terminal.
/// Such characters can disguise a text.
pub fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

/// Replaces every deceptive character, including line ends, by its escape (`\u{1b}`).
pub fn escaped(text: &str) -> Cow<'_, str> {
    escaped_but(text, |_| false)
}

/// Does the same as [`escaped`], but keeps line ends.
pub fn escaped_lines(text: &str) -> Cow<'_, str> {
    escaped_but(text, |c| c == '\n')
}

fn escaped_but(text: &str, keep: impl Fn(char) -> bool) -> Cow<'_, str> {
    let hidden = |c: char| is_deceptive(c) && !keep(c);
    if !text.contains(hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match hidden(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    Cow::Owned(out)
}

/// Quotes a word for a POSIX shell.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%=:,".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Escapes a text for one line of Markdown or a table cell, so that it is shown literally: no
/// markup, HTML, formula or mention of a user, and no start of a list, quotation or heading.
pub fn markdown(text: &str) -> String {
    let text = text.replace(['\n', '\r', '\t'], " ");
    let text = escaped(text.trim());
    let mut out = String::with_capacity(text.len() + 16);
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    // `1. ` begins a list, but `1.2` does not.
    let is_item = text
        .get(digits + 1..)
        .is_some_and(|rest| digits > 0 && (rest.is_empty() || rest.starts_with(' ')));
    for (at, c) in text.char_indices() {
        match c {
            '<' => out.push_str("&lt;"),
            '&' => out.push_str("&amp;"),
            '@' => out.push_str("&#64;"),
            '$' => out.push_str("&#36;"),
            '|' | '*' | '[' | ']' | '\\' | '#' | '`' | '~' => out.extend(['\\', c]),
            '-' | '+' | '=' | '>' | '_' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if is_item && at == digits => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out
}

/// Returns at most `width` characters of a text, escaped and on one line.
pub fn shortened(text: &str, width: usize) -> String {
    let mut kept: String = text.chars().take(width + 1).collect();
    let cut = kept.chars().count() > width;
    if cut {
        kept.pop();
    }
    let mut kept = escaped(&kept).into_owned();
    if cut {
        kept.push('…');
    }
    kept
}

/// Returns whether a file of this name, whatever its case and extension, is a device on Windows.
pub fn is_windows_device(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "conin$", "conout$"];
    let stem = name.split('.').next().unwrap_or(name).trim_end();
    let stem = stem.to_lowercase();
    let mut chars = stem.chars();
    let prefix: String = chars.by_ref().take(3).collect();
    let numbered = matches!(&*prefix, "com" | "lpt")
        && matches!(
            (chars.next(), chars.next()),
            (Some('0'..='9' | '¹' | '²' | '³'), None)
        );
    numbered || DEVICES.contains(&&*stem)
}

/// Checks that the name of a file or folder means the same on every system.
fn portable(name: &str) -> Result<(), &'static str> {
    if name.is_empty() {
        return Err("it is empty");
    }
    if name.len() > LONGEST_NAME {
        return Err("it is longer than 255 bytes");
    }
    if name.starts_with('.') {
        return Err("it begins with a dot");
    }
    if name.ends_with(['.', ' ']) {
        return Err("Windows does not keep the dot or space at its end");
    }
    if name.contains(['/', '\\']) {
        return Err("it contains a path separator");
    }
    if name.contains(is_deceptive) {
        return Err("it contains a control character or an invisible one");
    }
    if name.contains(['<', '>', ':', '"', '|', '?', '*']) {
        return Err("it contains one of `<>:\"|?*`, which Windows has in no file name");
    }
    if is_windows_device(name) {
        return Err("it is the name of a device on Windows");
    }
    Ok(())
}

/// Returns whether a text contains only ASCII letters and digits and characters of `more`.
fn only(text: &str, more: &str) -> bool {
    text.chars()
        .all(|c| c.is_ascii_alphanumeric() || more.contains(c))
}

fn length(text: &str, least: usize, most: usize) -> Result<(), &'static str> {
    match text.len() {
        length if length < least => Err("it is too short"),
        length if length > most => Err("it is too long"),
        _ => Ok(()),
    }
}

fn no_shell(text: &str) -> Result<(), &'static str> {
    match text.contains(['\'', '"', '`', '$']) {
        true => Err("it contains a quote, a backtick or a dollar sign"),
        false => Ok(()),
    }
}

/// Defines a type of text that cannot be created without checking its rule.
macro_rules! validated {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl Rule for $name {
            const WHAT: &'static str = $what;

            fn check(text: &str) -> Result<(), &'static str> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text)
            }
        }

        impl $name {
            /// Checks and wraps a text.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                <Self as Rule>::validate(&text)?;
                Ok(Self(text))
            }

            /// Returns the text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Deref for $name {
            type Target = str;

            fn deref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.0, f)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<Path> for $name {
            fn as_ref(&self) -> &Path {
                Path::new(&self.0)
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl PartialEq<str> for $name {
            fn eq(&self, other: &str) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&str> for $name {
            fn eq(&self, other: &&str) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<String> for $name {
            fn eq(&self, other: &String) -> bool {
                self.0 == *other
            }
        }

        impl PartialEq<$name> for String {
            fn eq(&self, other: &$name) -> bool {
                *self == other.0
            }
        }

        impl FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        $crate::text::as_string!($name);

        impl From<&$name> for String {
            fn from(text: &$name) -> Self {
                text.0.clone()
            }
        }

        impl schemars::JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "description": concat!("The text is ", $what),
                })
            }
        }
    };
}
pub(crate) use validated;

validated! {
    /// A file name without folders that means the same on every system. In quotes, a shell takes it
    /// literally.
    FileName,
    "a portable file name",
    |text| {
        portable(text)?;
        no_shell(text)?;
        match text.starts_with('-') {
            true => Err("it begins like an option"),
            false => Ok(()),
        }
    }
}

validated! {
    /// The name of an image, which becomes part of file names, identifiers and release assets.
    ImageName,
    "the name of an image",
    |text| {
        length(text, 1, 64)?;
        if !only(text, "._-") {
            return Err("only letters, digits, `.`, `_` and `-` may be in it");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err("it does not begin with a letter or digit");
        }
        portable(text)
    }
}

validated! {
    /// A CPU tier: the part of a build identifier that distinguishes the images of one platform.
    CpuTier,
    "the name of a CPU tier",
    |text| {
        length(text, 1, 64)?;
        if !only(text, "._+,-") {
            return Err("only letters, digits and `.`, `_`, `+`, `,`, `-` may be in it");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err("it does not begin with a letter or digit");
        }
        portable(text)
    }
}

validated! {
    /// The tag of a release, valid as a git tag and, part by part, as a folder name on every
    /// system.
    Tag,
    "the tag of a release",
    |text| {
        length(text, 1, 200)?;
        if text.starts_with("refs/") {
            return Err("it begins with `refs/`, which is a reference and no tag of a release");
        }
        text.split('/').try_for_each(portable)?;
        no_shell(text)?;
        if text.contains(|c: char| c.is_whitespace() || "~^[".contains(c)) {
            return Err("it contains a space or one of `~^[`, which git has in no tag");
        }
        if text.contains("..") || text.contains("@{") {
            return Err("it contains `..` or `@{`, which git has in no tag");
        }
        match text.starts_with('-') {
            true => Err("it begins like an option"),
            false => Ok(()),
        }
    }
}

impl Tag {
    /// Returns the tag name in user input: `refs/tags/v1`, the form of `${{ github.ref }}`, is the
    /// tag `v1`.
    pub fn name_in(typed: &str) -> &str {
        typed.strip_prefix("refs/tags/").unwrap_or(typed)
    }
}

validated! {
    /// A git tree hash, which is the name of an artifact's folder.
    TreeHash,
    "a git tree hash",
    |text| match text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(()),
        false => Err("it does not have 40 hexadecimal digits"),
    }
}

validated! {
    /// A repository of a host, as `OWNER/NAME`.
    Repository,
    "a repository (OWNER/NAME)",
    |text| {
        length(text, 3, 200)?;
        let Some((owner, name)) = text.split_once('/') else {
            return Err("it has no `/`");
        };
        for part in [owner, name] {
            if !only(part, "._-") || part.is_empty() {
                return Err("only letters, digits, `.`, `_` and `-` may be in it");
            }
            if matches!(part, "." | "..") {
                return Err("it leads to another folder");
            }
        }
        Ok(())
    }
}

/// Defines a rule for text that is only compared or shown.
macro_rules! rule {
    ($(#[$doc:meta])* $name:ident, $what:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub enum $name {}

        impl Rule for $name {
            const WHAT: &'static str = $what;

            fn check(text: &str) -> Result<(), &'static str> {
                let check: fn(&str) -> Result<(), &'static str> = $check;
                check(text)
            }
        }
    };
}

rule! {
    /// The name of a file in an archive, without folders: like [`FileName`], but quotes and dollar
    /// signs are allowed.
    PlainName,
    "a portable file name",
    portable
}

rule! {
    /// The name of an executable or of a shared library, without folders. Programs and shells need no
    /// quotes for it.
    ProgramName,
    "the name of a program",
    |text| {
        portable(text)?;
        length(text, 1, 64)?;
        if !only(text, "._+-") {
            return Err("only letters and digits of ASCII, `.`, `_`, `+` and `-` may be in it");
        }
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            return Err("it does not begin with a letter or digit");
        }
        Ok(())
    }
}

rule! {
    /// The path of a file in an archive, relative to its root, with `/` between the parts.
    RelativePath,
    "a path in an archive",
    |text| {
        length(text, 1, 4096)?;
        if text.contains(['\\', ':']) {
            return Err("it contains a backslash or a colon, which are part of a path on Windows");
        }
        if text.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err("it is absolute, leads to another folder, or has an empty part");
        }
        match text.contains(is_deceptive) {
            true => Err("it contains a control character or an invisible one"),
            false => Ok(()),
        }
    }
}

rule! {
    /// One line of text for display.
    Line,
    "a line of text",
    |text| {
        length(text, 0, 1000)?;
        match text.contains(is_deceptive) {
            true => Err("it contains a control character or an invisible one"),
            false => Ok(()),
        }
    }
}

rule! {
    /// The name of a Julia package, which is an identifier.
    PackageName,
    "the name of a package",
    |text| {
        length(text, 1, 128)?;
        let mut chars = text.chars();
        let first = |c: char| c.is_alphabetic() || c == '_';
        if !chars.next().is_some_and(first) {
            return Err("it does not begin with a letter");
        }
        match chars.all(|c| c.is_alphanumeric() || c == '_' || c == '!') {
            true => Ok(()),
            false => Err("only letters, digits, `_` and `!` may be in it"),
        }
    }
}

rule! {
    /// A channel of juliaup.
    ChannelName,
    "the name of a channel",
    |text| {
        length(text, 1, 128)?;
        if text.starts_with('-') {
            return Err("it begins like an option");
        }
        match only(text, "._+-/~@") {
            true => Ok(()),
            false => Err("only letters, digits and `.`, `_`, `+`, `-`, `/`, `~`, `@` may be in it"),
        }
    }
}

rule! {
    /// A UUID.
    Uuid,
    "a UUID",
    |text| {
        let hyphens = [8, 13, 18, 23];
        let digit = |(at, byte): (usize, u8)| match hyphens.contains(&at) {
            true => byte == b'-',
            false => byte.is_ascii_hexdigit(),
        };
        match text.len() == 36 && text.bytes().enumerate().all(digit) {
            true => Ok(()),
            false => Err("it is not of the form 8dfed614-e22c-5e08-85e1-65c5234f0b40"),
        }
    }
}

rule! {
    /// The version of a package or a program.
    PlainVersion,
    "a version",
    |text| {
        length(text, 1, 64)?;
        match only(text, ".+-_") {
            true => Ok(()),
            false => Err("only letters, digits, `.`, `+`, `-` and `_` may be in it"),
        }
    }
}

rule! {
    /// A git commit; empty if unknown.
    Commit,
    "a commit",
    |text| match text.len() <= 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        true => Ok(()),
        false => Err("it does not have at most 64 hexadecimal digits"),
    }
}

rule! {
    /// A `--cpu-target` string.
    CpuTargets,
    "a CPU target of Julia",
    |text| {
        length(text, 0, 2000)?;
        match only(text, "._+,;()= -") {
            true => Ok(()),
            false => Err("only letters, digits and `.`, `_`, `+`, `-`, `,`, `;`, `=`, `(`, `)` may be in it"),
        }
    }
}

rule! {
    /// The address of a file.
    WebAddress,
    "an address",
    |text| {
        length(text, 1, 4000)?;
        if text.contains(|c: char| is_deceptive(c) || c.is_whitespace() || "<>\"'`{}|\\^".contains(c)) {
            return Err("it contains a character that belongs into no address");
        }
        match text.parse::<url::Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https" | "file") => Ok(()),
            Ok(_) => Err("it begins with none of `https://`, `http://`, `file://`"),
            Err(_) => Err("it cannot be read as one"),
        }
    }
}

/// Deserialises a string and checks its rule.
pub fn string<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    R::validate(&text).map_err(serde::de::Error::custom)?;
    Ok(text)
}

/// Deserialises an optional string and checks its rule.
pub fn optional<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(from)?;
    if let Some(text) = &text {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(text)
}

/// Deserialises a list of strings and checks the rule for each.
pub fn list<'de, R: Rule, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let texts = Vec::<String>::deserialize(from)?;
    for text in &texts {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(texts)
}

/// Deserialises an optional list of strings and checks the rule for each.
pub fn optional_list<'de, R: Rule, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Vec<String>>, D::Error> {
    let texts = Option::<Vec<String>>::deserialize(from)?;
    for text in texts.iter().flatten() {
        R::validate(text).map_err(serde::de::Error::custom)?;
    }
    Ok(texts)
}

/// Formats a count with a noun: `1 statement`, `2 statements`.
pub fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

#[cfg(test)]
#[path = "text/tests.rs"]
mod tests;
