//! Packing: the archive with the image and its receipt, the receipt beside it, and `SHA256SUMS`.
//!
//! Architecture invariants: this room writes in the dist directory and nowhere else; it starts no
//! process and reads no environment. The same image and receipt give the same bytes, on every
//! system and whatever the number of threads. A file appears under its own name when it is whole.

pub mod archive;
pub mod error;
pub mod existing;
pub mod sums;

mod hashing;

pub use archive::{Packed, Packing};
pub use error::PackError;
pub use existing::existing;
pub use hashing::sha256_of;

/// The receipt's name inside an archive.
pub const RECEIPT_NAME: &str = "receipt.json";
