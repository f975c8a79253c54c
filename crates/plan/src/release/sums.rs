//! The file `SHA256SUMS`, in the format of `sha256sum --check` and `actions/attest`.

use std::collections::BTreeMap;

use crate::Sha256;
use crate::text::FileName;

/// The name of the file.
pub use super::SUMS_NAME as NAME;

/// Returns the text of the list, sorted by file name.
pub fn write<'a>(files: impl IntoIterator<Item = (&'a str, Sha256)>) -> String {
    let files: BTreeMap<_, _> = files.into_iter().collect();
    files
        .into_iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect()
}

/// Parses a list; ignores lines of another form and names that are not portable.
pub fn read(text: &str) -> BTreeMap<FileName, Sha256> {
    text.lines()
        .filter_map(|line| {
            let (digest, name) = line.split_once(' ')?;
            let name = name.trim_start_matches([' ', '*']);
            Some((FileName::new(name).ok()?, digest.parse().ok()?))
        })
        .collect()
}

/// Parses a list that must be complete: each line has a digest and a file name, no file appears
/// twice, and there is at least one.
///
/// # Errors
///
/// Describes the problem, as a phrase that follows the file's name.
pub fn read_strictly(text: &str) -> Result<BTreeMap<String, Sha256>, String> {
    let mut listed = BTreeMap::new();
    for (number, line) in (1..).zip(text.lines()) {
        let wrong = || format!("cannot be read: line {number} is not a checksum and a name");
        let (digest, rest) = line.split_once(' ').ok_or_else(wrong)?;
        let digest = digest.parse().map_err(|_| wrong())?;
        let name = rest.strip_prefix([' ', '*']).ok_or_else(wrong)?;
        FileName::new(name).map_err(|_| wrong())?;
        if listed.insert(name.to_owned(), digest).is_some() {
            return Err(format!("lists `{name}` twice"));
        }
    }
    match listed.is_empty() {
        true => Err("lists no file".to_owned()),
        false => Ok(listed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_emptied_cut_or_garbled_is_refused() {
        let digest = Sha256::new([9; 32]);
        let whole = format!("{digest}  a\n{digest} *b\n");
        assert_eq!(read_strictly(&whole).unwrap().len(), 2);
        for (text, why) in [
            (String::new(), "lists no file"),
            ("\n".to_owned(), "line 1 is not"),
            (whole[..whole.len() - 2].to_owned(), "line 2 is not"),
            (format!("{whole}{}", &whole[..40]), "line 3 is not"),
            (format!("{whole}{digest}  ../a\n"), "line 3 is not"),
            (format!("{whole}{digest}  a\n"), "lists `a` twice"),
        ] {
            let error = read_strictly(&text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn reads_what_it_writes_and_what_sha256sum_writes() {
        let digest = Sha256::new([9; 32]);
        let text = write([("b", digest), ("a", digest)]);
        assert_eq!(text, format!("{digest}  a\n{digest}  b\n"));
        assert_eq!(read(&text).len(), 2);
        assert_eq!(read(&format!("{digest} *a\nrubbish\n"))["a"], digest);
        for name in ["../a", "/etc/passwd", "a\u{1b}b", "nul.so"] {
            assert!(read(&format!("{digest}  {name}\n")).is_empty(), "{name:?}");
        }
    }
}
