//! `SHA256SUMS`, in the form that `sha256sum --check` and `actions/attest` read.

use std::collections::BTreeMap;

use sysforge_plan::Sha256;

/// The name of the file.
pub use sysforge_plan::release::SUMS_NAME as NAME;

/// The list of these files, in the order of their names.
#[must_use]
pub fn write<'a>(files: impl IntoIterator<Item = (&'a str, Sha256)>) -> String {
    let files: BTreeMap<_, _> = files.into_iter().collect();
    files
        .into_iter()
        .map(|(name, digest)| format!("{digest}  {name}\n"))
        .collect()
}

/// Reads such a list; what is no line of one is passed over.
#[must_use]
pub fn read(text: &str) -> BTreeMap<String, Sha256> {
    text.lines()
        .filter_map(|line| {
            let (digest, name) = line.split_once(' ')?;
            let name = name.trim_start_matches([' ', '*']);
            Some((name.to_owned(), digest.parse().ok()?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes_and_what_sha256sum_writes() {
        let digest = Sha256::new([9; 32]);
        let text = write([("b", digest), ("a", digest)]);
        assert_eq!(text, format!("{digest}  a\n{digest}  b\n"));
        assert_eq!(read(&text).len(), 2);
        assert_eq!(read(&format!("{digest} *a\nrubbish\n"))["a"], digest);
    }
}
