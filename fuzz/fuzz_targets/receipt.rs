//! See `checks/receipt.rs`.
#![no_main]

#[path = "../checks/receipt.rs"]
mod receipt;

libfuzzer_sys::fuzz_target!(|input: &[u8]| receipt::check(input));
