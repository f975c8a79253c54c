//! The differences between operating systems and file systems in handling files, in one place.
//!
//! Architecture invariants of this crate:
//!
//! - At any instant, a file written here has either its old or its complete new content.
//! - The crate does not know what the files are for. Errors are the system's own; the caller adds
//!   the path.

mod canonical;
mod folders;
mod lock;
mod regular;
mod whole;

pub use canonical::{canonical, canonical_or_given};
pub use folders::{check_writable, create_folders, nearest_existing};
pub use lock::{FileLock, LockAttempt, exclusive, try_exclusive, try_shared};
pub use regular::{
    create, is_special, open_or_create, open_regular, read_bytes, read_named_by_user, read_regular,
    read_text, read_text_named_by_user, write_named_by_user,
};
pub use whole::{
    is_sharing_violation, rename, sync_folder, unless_gone, write_program, write_whole,
    write_whole_with,
};
