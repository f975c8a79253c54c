//! See `checks/project.rs`.
#![no_main]

#[path = "../checks/project.rs"]
mod project;

libfuzzer_sys::fuzz_target!(|input: &[u8]| project::check(input));
