//! Test support: what the outside world would be, made to order. Nothing here is part of the
//! program; tests may panic, and so may this.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a failing helper fails its test"
)]

pub mod archives;
pub mod github;
pub mod hostile;
pub mod keys;
pub mod mirror_dir;
pub mod packages;
pub mod server;
pub mod tls;

use std::time::{Duration, Instant};

/// How long a moment may take to come. Emitting on a busy machine begins late.
const PATIENCE: Duration = Duration::from_secs(240);

/// Waits until `come` says that `what` came.
///
/// # Panics
///
/// If it does not come within minutes.
#[track_caller]
pub fn wait_for(what: &str, mut come: impl FnMut() -> bool) {
    let since = Instant::now();
    while !come() {
        assert!(since.elapsed() < PATIENCE, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
