//! What operating systems and file systems do differently with files, in one place.
//!
//! Architecture invariants of this crate:
//!
//! - A file that is written here is there whole, or as it was before, at any instant.
//! - Nothing here knows what the files are for; errors are the system's own, and whoever calls adds
//!   the path.

mod lock;
mod regular;
mod whole;

pub use lock::{FileLock, LockAttempt, exclusive, try_exclusive};
pub use regular::{open_regular, read_regular};
pub use whole::{is_held, rename, sync_folder, whole, write_program, write_whole};
