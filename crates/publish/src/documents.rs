//! The documents that are published with the images of a release. Each is derived from the receipts
//! only and has the same bytes for the same images, so that a second run has nothing to send.

pub mod artifacts_toml;
pub mod notes;
pub mod provenance;
pub mod sbom;
pub use sysforge_plan::release::sums;
