//! Notes of installed images and lists of releases: reading, writing and reading again gives the
//! same value.

use sysforge_plan::release::Site;
use sysforge_publish::install::Installed;

/// Checks one input.
pub(crate) fn check(input: &[u8]) {
    if let Ok(note) = serde_json::from_slice::<Installed>(input) {
        let written = serde_json::to_vec(&note).unwrap();
        let again: Installed = serde_json::from_slice(&written).unwrap();
        // A password in the source is read, though never written.
        assert_eq!(again.source.to_string(), note.source.to_string());
        assert_eq!((again.build_id, again.image), (note.build_id, note.image));
    }
    if let Ok(site) = serde_json::from_slice::<Site>(input) {
        let written = serde_json::to_vec(&site).unwrap();
        assert_eq!(serde_json::from_slice::<Site>(&written).unwrap(), site);
    }
}
