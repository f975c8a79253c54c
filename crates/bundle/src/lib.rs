//! Apps and C libraries: creates a folder from a linked image, a Julia and the packages' artifacts,
//! which runs on a machine without Julia, and checks that it does.
//!
//! Architecture invariants: this crate writes only into the folders that it is given. The content
//! of a bundle is decided by the dependencies of its libraries and by the libraries that the app
//! opened, never by a list for a Julia version. Nothing is compiled at run time: the launcher of
//! apps and the initialization code of libraries are embedded in this crate.

pub mod assemble;
pub mod check;
pub mod error;
pub mod launcher;
pub mod layout;
pub mod libraries;
pub mod library;
pub mod observe;
pub mod recipe;
pub mod sign;

mod copy;
mod sandbox;
mod strip;

pub use assemble::{Sources, assemble};
pub use check::{Checked, check};
pub use error::BundleError;
pub use library::{Library, LibraryFiles};
pub use sign::Signing;
