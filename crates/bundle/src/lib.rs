//! Apps and C libraries: from a linked image, a Julia and the packages' artifacts to a folder that runs on a machine
//! without Julia, and the proof that it does.
//!
//! Architecture invariants: this crate writes only into the folders that it is given. What the folder
//! contains is decided by what the libraries need and by what the app was seen to open, never by a list
//! of a Julia version. Nothing is compiled: the launcher of apps and the
//! init code of libraries travel in this crate.

pub mod assemble;
pub mod check;
pub mod error;
pub mod launcher;
pub mod layout;
pub mod libraries;
pub mod library;
pub mod observe;
pub mod recipe;

mod copy;
mod sandbox;

pub use assemble::{Sources, assemble};
pub use check::{Checked, check};
pub use error::BundleError;
pub use library::{Library, LibraryFiles};
