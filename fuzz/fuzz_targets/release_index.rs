//! See `checks/release_index.rs`.
#![no_main]

#[path = "../checks/release_index.rs"]
mod release_index;

libfuzzer_sys::fuzz_target!(|input: &[u8]| release_index::check(input));
