//! See `checks/catalogue.rs`.
#![no_main]

#[path = "../checks/catalogue.rs"]
mod catalogue;

libfuzzer_sys::fuzz_target!(|input: &[u8]| catalogue::check(input));
