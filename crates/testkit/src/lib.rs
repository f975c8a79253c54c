//! Test support for Sysforge: servers on loopback that behave as the real ones do, also badly.

pub mod github;
