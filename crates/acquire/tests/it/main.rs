//! Tests of the public interface: whole installs from test mirrors.

#![allow(
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "tests say what they expect by unwrapping it"
)]

mod catalogue;
mod install;
mod network;
mod places;
mod resume;
mod signatures;
mod store;
mod support;
