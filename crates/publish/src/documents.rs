//! The documents that travel with the images of a release. Each is made from the receipts alone,
//! the same bytes for the same images, so that a second run has nothing to send.

pub mod artifacts_toml;
pub mod notes;
pub mod provenance;
pub mod sbom;
pub use sysforge_plan::release::sums;
