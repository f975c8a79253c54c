//! The crate from outside: whole installs from made mirrors.

mod install;
mod support;
