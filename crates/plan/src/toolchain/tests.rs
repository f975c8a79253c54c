//! Compilers' descriptions of themselves, and the Julias for which they are suitable.

use super::*;

const DEBIAN_MINGW: &str = "\
Using built-in specs.
Target: x86_64-w64-mingw32
Configured with: ../../src/configure --enable-threads=win32 --disable-sjlj-exceptions
Thread model: win32
gcc version 12-win32 (GCC)
";
const RUNNER_MINGW: &str = "\
Target: x86_64-w64-mingw32
Thread model: posix
gcc version 15.2.0 (x86_64-posix-seh-rev0, Built by MinGW-Builds project)
";
const UCRT_MACROS: &str = "#define _UCRT \n#define __SEH__ 1\n";
const MSVCRT_MACROS: &str = "#define __MSVCRT_VERSION__ 0x700\n#define __SEH__ 1\n";

#[test]
fn a_ucrt_compiler_for_an_msvcrt_julia_is_an_error_that_explains() {
    let found = Traits::read(RUNNER_MINGW, UCRT_MACROS).unwrap();
    assert_eq!(found.runtime, Some(Runtime::Ucrt));
    let error = found.check("gcc", Triplet::X86_64_W64_MINGW32).unwrap_err();
    assert_eq!(
        error.to_string(),
        "`gcc` links against the C runtime UCRT, while Julia for x86_64-w64-mingw32 uses msvcrt"
    );
    assert_eq!(error.class(), Class::Toolchain);
    assert!(error.hints()[0].contains("two heaps"));
}

#[test]
fn what_does_not_suit_is_told_from_what_does() {
    let (windows, linux) = (Triplet::X86_64_W64_MINGW32, Triplet::X86_64_LINUX_GNU);
    let i686: Triplet = "i686-w64-mingw32".parse().unwrap();
    let compiler = Traits::read(DEBIAN_MINGW, MSVCRT_MACROS).unwrap();
    let of_windows = |target| Traits {
        target: Some(target),
        ..compiler.clone()
    };
    for (traits, triplet, words) in [
        (
            of_windows(windows),
            linux,
            "`cc` compiles for x86_64-w64-mingw32, not for x86_64-linux-gnu",
        ),
        (
            // 32-bit Julia unwinds with DWARF tables.
            of_windows(i686),
            i686,
            "`cc` unwinds exceptions with seh, while Julia for i686-w64-mingw32 uses dwarf",
        ),
        (
            Traits {
                exceptions: Some(Exceptions::Sjlj),
                ..of_windows(windows)
            },
            windows,
            "`cc` unwinds exceptions with sjlj, while Julia for x86_64-w64-mingw32 uses seh",
        ),
        (
            Traits {
                runtime: Some(Runtime::Musl),
                ..of_windows(linux)
            },
            linux,
            "`cc` links against the C runtime musl, while Julia for x86_64-linux-gnu uses glibc",
        ),
    ] {
        let error = traits.check("cc", triplet).unwrap_err();
        assert_eq!(error.to_string(), words);
        assert_eq!(error.class(), Class::Toolchain);
        assert_eq!(
            error.hints(),
            ["`sysforge toolchain list` shows what suits"]
        );
    }
}

#[test]
fn every_platform_is_told_how_to_come_by_a_compiler() {
    for (triplet, runtime, words) in [
        ("x86_64-linux-gnu", "glibc", "apt-get install gcc"),
        ("x86_64-linux-musl", "musl", "apk add gcc"),
        (
            "aarch64-apple-darwin",
            "libSystem",
            "xcode-select --install",
        ),
        ("x86_64-unknown-freebsd", "FreeBSD libc", "pkg install llvm"),
        ("x86_64-w64-mingw32", "msvcrt", "sysforge toolchain install"),
    ] {
        let target: Triplet = triplet.parse().unwrap();
        assert_eq!(Runtime::of_julia(target).to_string(), runtime);
        let error = Unsuitable::None { target };
        assert_eq!(error.class(), Class::Usage);
        assert!(error.hints()[0].contains(words), "{:?}", error.hints());
    }
    let elsewhere = Unsuitable::Host {
        toolchain: "winlibs".to_owned(),
        runs_on: Os::Windows,
    };
    assert!(elsewhere.hints()[0].contains("gcc-mingw-w64"));
    let mistyped = Unsuitable::Unknown {
        name: "winlib".to_owned(),
        suggestion: Some("winlibs"),
    };
    assert_eq!(mistyped.hints()[0], "did you mean `winlibs`?");
}

#[test]
fn debians_compiler_for_windows_suits() {
    let found = Traits::read(DEBIAN_MINGW, MSVCRT_MACROS).unwrap();
    assert_eq!(found.threads, Some(Threads::Win32));
    assert_eq!(found.exceptions, Some(Exceptions::Seh));
    found
        .check("x86_64-w64-mingw32-gcc", Triplet::X86_64_W64_MINGW32)
        .unwrap();
}

#[test]
fn compilers_are_told_apart() {
    for (verbose, maker, target) in [
        (
            "Target: x86_64-linux-gnu\nThread model: posix\ngcc version 12.2.0 (Debian 12.2.0-14)\n",
            Maker::Gcc,
            Some("x86_64-linux-gnu"),
        ),
        (
            "Debian clang version 19.1.4 (1~deb12u1)\nTarget: x86_64-pc-linux-gnu\n",
            Maker::Clang,
            Some("x86_64-linux-gnu"),
        ),
        (
            "Apple clang version 16.0.0 (clang-1600.0.26.6)\nTarget: arm64-apple-darwin24.1.0\n",
            Maker::AppleClang,
            Some("aarch64-apple-darwin"),
        ),
        (
            "clang version 20.1.2 (https://github.com/ziglang/zig-bootstrap)\nTarget: x86_64-unknown-linux-musl\n",
            Maker::Zig,
            Some("x86_64-linux-musl"),
        ),
        (
            "clang version 22.1.8\nTarget: x86-unknown-windows-gnu\nInstalledDir: /opt/ziglang\n",
            Maker::Zig,
            Some("i686-w64-mingw32"),
        ),
        (
            "clang version 22.1.8\nTarget: aarch64-unknown-macos.11.0\nInstalledDir: /opt/ziglang\n",
            Maker::Zig,
            Some("aarch64-apple-darwin"),
        ),
        (
            "clang version 18.1.0\nTarget: riscv64-unknown-linux-gnu\n",
            Maker::Clang,
            None,
        ),
    ] {
        let found = Traits::read(verbose, "").unwrap();
        assert_eq!(found.maker, maker, "{verbose}");
        assert_eq!(found.target.map(Triplet::name), target, "{verbose}");
    }
    assert_eq!(Traits::read("cl : Command line warning", ""), None);
}

#[test]
fn another_platforms_compiler_does_not_suit() {
    let found = Traits::read(DEBIAN_MINGW, MSVCRT_MACROS).unwrap();
    let error = found.check("gcc", Triplet::X86_64_LINUX_GNU).unwrap_err();
    assert!(matches!(error, Unsuitable::Target { .. }));
}
