//! A stub of macOS's system library, for linkers used without Apple's SDK.

use std::collections::BTreeSet;

use crate::link::symbols::{SymbolLibrary, library_of};

/// Names in the system library that the linker itself needs.
const ALWAYS: &[&str] = &["dyld_stub_binder"];

/// Returns a text-based stub (TBD version 4) of `libSystem` with those symbols of `undefined` (in C
/// spelling) that the system library defines: it includes the C library, the mathematical library
/// and the compiler's support functions. Other symbols stay undefined, so that the linker reports
/// them.
pub fn libsystem(undefined: &BTreeSet<String>) -> String {
    let is_there = |name: &&str| {
        matches!(
            library_of(name),
            Some(SymbolLibrary::C | SymbolLibrary::Math | SymbolLibrary::Compiler)
        ) || ALWAYS.contains(name)
    };
    let wanted = undefined.iter().map(String::as_str).filter(is_there);
    let mut symbols: Vec<_> = wanted.chain(ALWAYS.iter().copied()).collect();
    symbols.sort_unstable();
    symbols.dedup();
    let symbols: Vec<_> = symbols.iter().map(|name| format!("'_{name}'")).collect();
    // Only the binder is not a C function and has no leading underscore.
    let symbols = symbols
        .join(", ")
        .replace("'_dyld_stub_binder'", "dyld_stub_binder");
    format!(
        "--- !tapi-tbd\n\
         tbd-version: 4\n\
         targets: [ x86_64-macos, arm64-macos ]\n\
         install-name: '/usr/lib/libSystem.B.dylib'\n\
         current-version: 1.0.0\n\
         exports:\n  \
         - targets: [ x86_64-macos, arm64-macos ]\n    \
         symbols: [ {symbols} ]\n...\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stub_has_what_the_system_has() {
        let undefined = ["memcpy", "pow", "__divti3", "jl_throw", "dgemm_64_"];
        let stub = libsystem(&undefined.map(String::from).into());
        assert!(
            stub.contains("symbols: [ '___divti3', dyld_stub_binder, '_memcpy', '_pow' ]"),
            "{stub}"
        );
    }
}
