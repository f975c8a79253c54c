//! Lists of checksums: reading, writing and reading again gives the same value, by both readers.

use sysforge_plan::text::FileName;
use sysforge_publish::documents::sums;

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let listed = sums::read(text);
    for name in listed.keys() {
        FileName::new(name.as_str()).unwrap();
    }
    let written = sums::write(listed.iter().map(|(name, digest)| (name.as_str(), *digest)));
    assert_eq!(sums::read(&written), listed);
    if let Ok(strict) = sums::read_strictly(text) {
        assert_eq!(strict.len(), listed.len());
    }
}
