//! Test support: servers and files that replace external ones. Not part of the program; like tests,
//! it may panic.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "a failing helper fails its test"
)]

pub mod archives;
pub mod fuzz_corpus;
pub mod github;
pub mod gitlab;
pub mod hostile;
pub mod keys;
pub mod mirror_dir;
pub mod packages;
pub mod server;
mod skips;
pub mod tls;

pub use skips::skip;
use std::time::{Duration, Instant};

/// Maximum waiting time. On a busy machine, emitting starts late.
const MAX_WAIT: Duration = Duration::from_secs(240);

/// Waits until `is_done` returns true. `what` names the event in the panic message.
///
/// # Panics
///
/// If it does not happen within four minutes.
#[track_caller]
pub fn wait_for(what: &str, mut is_done: impl FnMut() -> bool) {
    let since = Instant::now();
    while !is_done() {
        assert!(since.elapsed() < MAX_WAIT, "{what} did not happen in time");
        std::thread::sleep(Duration::from_millis(20));
    }
}
