//! Test support: what the outside world would be, made to order. Nothing here is part of the
//! program; tests may panic, and so may this.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a failing helper fails its test"
)]

pub mod archives;
pub mod github;
pub mod keys;
pub mod mirror_dir;
pub mod server;
pub mod tls;
