//! Packing: writes the archive with the image and its receipt, a separate copy of the receipt, and
//! `SHA256SUMS`.
//!
//! Architecture invariants: this crate writes only into the dist directory; it starts no process
//! and does not read the environment. The same image and receipt produce the same bytes, on every
//! system and for any number of threads. A file appears under its final name only when it is
//! complete.

pub mod archive;
pub mod error;
pub mod existing;
pub mod sums;

mod hashing;

pub use archive::{Content, Packed, Packing, record_of};
pub use error::PackError;
pub use existing::existing;
pub use hashing::sha256_of;

/// The name of the receipt inside an archive.
pub const RECEIPT_NAME: &str = "receipt.json";
