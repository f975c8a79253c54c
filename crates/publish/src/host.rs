//! Release hosts: GitHub, and a plain directory.

pub mod dir;
pub mod github;
