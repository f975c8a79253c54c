//! Release indexes: reading, writing and reading again gives the same value, and every name in it
//! is one that its constructor takes.

use sysforge_plan::text::{FileName, ImageName, Tag};
use sysforge_plan::{BuildId, ReleaseIndex};

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(index) = ReleaseIndex::from_json(text) else {
        return;
    };
    Tag::new(index.tag.as_str()).unwrap();
    for image in &index.images {
        let id = BuildId::new(image.build_id().as_str()).unwrap();
        assert!(!id.contains(['/', '\\', '\n', '\0']));
        ImageName::new(image.receipt.name.as_str()).unwrap();
        for file in image.pieces().iter().chain([&image.archive]) {
            FileName::new(file.name.as_str()).unwrap();
        }
    }
    assert_eq!(ReleaseIndex::from_json(index.to_json()).unwrap(), index);
}
