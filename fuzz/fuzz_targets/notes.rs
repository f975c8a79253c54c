//! See `checks/notes.rs`.
#![no_main]

#[path = "../checks/notes.rs"]
mod notes;

libfuzzer_sys::fuzz_target!(|input: &[u8]| notes::check(input));
