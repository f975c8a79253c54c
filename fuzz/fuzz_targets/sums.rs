//! See `checks/sums.rs`.
#![no_main]

#[path = "../checks/sums.rs"]
mod sums;

libfuzzer_sys::fuzz_target!(|input: &[u8]| sums::check(input));
