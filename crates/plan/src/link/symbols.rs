//! Undefined symbols: parsing their names from a linker's messages, and finding the library that
//! should define each.

use std::collections::BTreeSet;

/// Returns the undefined symbols in the messages of any linker, in C spelling.
pub fn undefined_in(messages: &str) -> BTreeSet<String> {
    messages.lines().filter_map(undefined_in_line).collect()
}

fn undefined_in_line(line: &str) -> Option<String> {
    // GNU ld: undefined reference to `name'   (also with typographic quotes)
    // lld, mold: undefined symbol: name
    // zig (ELF): undefined symbol: name; zig (Mach-O): undefined symbol: _name
    // Apple ld: "_name", referenced from:
    let name = if let Some((_, rest)) = line.split_once("undefined reference to ") {
        rest.trim_matches(|c| "`'‘’\"; ".contains(c)).to_owned()
    } else if let Some((_, rest)) = line.split_once("undefined symbol: ") {
        rest.split_whitespace().next()?.to_owned()
    } else if let Some((name, _)) = line.trim().split_once("\", referenced from:") {
        name.trim_start_matches('"').to_owned()
    } else {
        return None;
    };
    Some(in_c(&name).to_owned()).filter(|name| !name.is_empty())
}

/// Returns the C spelling of a name that a linker printed: without the import prefix of Windows and
/// the leading underscore of Mach-O.
pub fn in_c(name: &str) -> &str {
    let name = name.strip_prefix("__imp_").unwrap_or(name);
    match name.strip_prefix('_') {
        Some(rest) if rest.starts_with("jl_") || rest.starts_with("ijl_") => rest,
        _ => name,
    }
}

/// A library that may define a symbol of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SymbolLibrary {
    /// `libjulia`, or since 1.6 `libjulia-internal`.
    Julia,
    /// The compiler's support library: libgcc, compiler-rt.
    Compiler,
    /// The mathematical library: libm, openlibm.
    Math,
    /// The C library.
    C,
}

impl SymbolLibrary {
    /// Returns the library's common name.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Julia => "libjulia",
            Self::Compiler => "the compiler's support library (libgcc or compiler-rt)",
            Self::Math => "the mathematical library (libm or openlibm)",
            Self::C => "the C library",
        }
    }
}

/// Returns the library that should define `symbol` (in C spelling), judging by its name.
///
/// Julia resolves the C functions of a package at their first call. The linker resolves only
/// Julia's runtime and functions that LLVM calls for operations that the CPU does not support
/// (`RuntimeLibcalls.def`).
pub fn library_of(symbol: &str) -> Option<SymbolLibrary> {
    let symbol = in_c(symbol);
    let julia = ["jl_", "ijl_", "julia_", "jlplt_", "_jl_"];
    if julia.iter().any(|prefix| symbol.starts_with(prefix)) {
        return Some(SymbolLibrary::Julia);
    }
    if has(C, symbol) {
        return Some(SymbolLibrary::C);
    }
    if is_builtin(symbol) {
        return Some(SymbolLibrary::Compiler);
    }
    let plain = |suffix| {
        symbol
            .strip_suffix(suffix)
            .is_some_and(|stem| has(MATH, stem))
    };
    (has(MATH, symbol) || plain("f") || plain("l")).then_some(SymbolLibrary::Math)
}

/// Whether a word is in a list, separated by spaces.
fn has(list: &str, word: &str) -> bool {
    list.split(' ').any(|other| other == word)
}

/// Returns whether this is the name of a compiler support function: `__divti3`, `__truncdfhf2`,
/// `__extendhfsf2`, `__gnu_h2f_ieee`, `__aeabi_…`, `__atomic_…`, `__emutls_…`, stack probes.
fn is_builtin(symbol: &str) -> bool {
    if ["_Unwind_Resume", "___chkstk_ms", "_alloca"].contains(&symbol) {
        return true;
    }
    let Some(rest) = symbol.strip_prefix("__") else {
        return false;
    };
    const STEMS: &str = "\
        gnu_h2f gnu_f2h aeabi_ atomic_ sync_ emutls chkstk stack_chk gcc_personality \
        gxx_personality trunc extend fix float udiv umod div mod mul ash lsh pow popcount clz ctz \
        cmp ucmp neg eq ne lt le gt ge unord bswap parity add sub cpu_model cpu_indicator";
    STEMS.split(' ').any(|stem| rest.starts_with(stem))
}

/// Functions of the C library. The init code of C libraries (crates/bundle/src/c/init.c) uses some
/// of them.
const C: &str = "\
    memcpy memmove memset memcmp bcmp bzero strlen strcmp malloc free calloc realloc abort exit \
    setjmp _setjmp __sigsetjmp sigsetjmp _setjmpex longjmp _longjmp siglongjmp __intrinsic_setjmp \
    __intrinsic_setjmpex puts printf __tls_get_addr __cxa_finalize __cxa_atexit __errno_location \
    dyld_stub_binder ___tls_get_addr _tlv_bootstrap __bzero memset_pattern16 memset_pattern4 \
    memset_pattern8 __stack_chk_fail __stack_chk_guard _tls_index _fltused __memcpy_chk close \
    dladdr dlerror dlopen dlsym getenv open read realpath setenv strchr strncmp strstr unsetenv \
    write";

/// Functions of the mathematical library, without the suffixes of other precisions.
const MATH: &str = "\
    acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf exp exp10 __exp10 exp2 \
    expm1 fabs floor fma fmax fmin fmod frexp hypot ldexp llrint llround log log10 log1p log2 \
    lrint lround modf nearbyint pow remainder rint round roundeven scalbn sin sincos \
    __sincos_stret __sincos sinh sqrt tan tanh tgamma trunc";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_linker_is_understood() {
        let messages = "\
/usr/bin/ld: X-o.a(text.o): in function `julia_f_1':
text:(.text+0x1): undefined reference to `jl_gone'
ld.lld: error: undefined symbol: jl_gone_too
>>> referenced by text
mold: error: undefined symbol: lost_by_mold
lld-link: error: undefined symbol: __imp_jl_on_windows
Undefined symbols for architecture arm64:
  \"_jl_on_macos\", referenced from:
error: undefined symbol: _jl_by_zig
collect2: error: ld returned 1 exit status";
        let names: Vec<_> = undefined_in(messages).into_iter().collect();
        assert_eq!(
            names,
            [
                "jl_by_zig",
                "jl_gone",
                "jl_gone_too",
                "jl_on_macos",
                "jl_on_windows",
                "lost_by_mold"
            ]
        );
    }

    #[test]
    fn a_symbol_is_assigned_to_the_library_that_defines_it() {
        for (symbol, wanted) in [
            ("jl_apply_generic", Some(SymbolLibrary::Julia)),
            ("__imp_ijl_throw", Some(SymbolLibrary::Julia)),
            ("_jl_throw", Some(SymbolLibrary::Julia)),
            ("__divti3", Some(SymbolLibrary::Compiler)),
            ("__truncdfhf2", Some(SymbolLibrary::Compiler)),
            ("__gnu_h2f_ieee", Some(SymbolLibrary::Compiler)),
            ("___chkstk_ms", Some(SymbolLibrary::Compiler)),
            ("powf", Some(SymbolLibrary::Math)),
            ("fmod", Some(SymbolLibrary::Math)),
            ("__sigsetjmp", Some(SymbolLibrary::C)),
            ("memset", Some(SymbolLibrary::C)),
            ("dgemm_64_", None),
        ] {
            assert_eq!(library_of(symbol), wanted, "{symbol}");
        }
    }
}
