//! Finds the linkers and compiler drivers of this machine. C compilers are found by the `cc` crate,
//! as in every Rust build, and by the usual names of cross tools.

use std::path::{Path, PathBuf};

use sysforge_plan::link::linker::{driver_names, flavour_of};
use sysforge_plan::link::{Flavour, Inventory};
use sysforge_plan::{Arch, JuliaFacts, Os, Triplet};

use crate::Environment;

/// Versions of LLVM whose versioned linker names (`ld.lld-19`) are tried.
const LLVM_VERSIONS: std::ops::RangeInclusive<u32> = 14..=24;

/// Returns the platform of this Sysforge.
pub fn host() -> Option<Triplet> {
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    Triplet::of_host(arch, os, cfg!(target_env = "musl"))
}

/// Returns all programs that could link for `julia`'s platform.
pub(super) fn inventory(
    julia: &JuliaFacts,
    environment: &Environment,
    work_dir: &Path,
) -> Inventory {
    let triplet = julia.triplet;
    let host = host();
    let (plain, prefix) = match triplet.os() {
        Os::MacOs => ("ld64.lld", "ld64.lld-"),
        Os::Linux | Os::FreeBsd | Os::Windows => ("ld.lld", "ld.lld-"),
    };
    let newest = || {
        let versions = LLVM_VERSIONS.rev();
        versions
            .map(|v| format!("{prefix}{v}"))
            .find_map(|name| which(&name, environment))
    };
    Inventory {
        // The lld of a foreign Julia runs only on its own platform.
        julia_lld: (host == Some(triplet)).then(|| julia_lld(julia)).flatten(),
        lld: which(plain, environment).or_else(newest),
        mold: which("mold", environment).filter(|_| triplet.os() == Os::Linux),
        drivers: drivers(triplet, host, environment, work_dir),
    }
}

/// Returns a Julia's lld, from the path where Julia looks for it (`base/linking.jl`).
fn julia_lld(julia: &JuliaFacts) -> Option<PathBuf> {
    let name = format!("lld{}", julia.triplet.os().conventions().exe_suffix);
    let tools = julia.bindir.parent().map(|prefix| prefix.join("tools"));
    let dirs = julia
        .private_libexecdir
        .iter()
        .chain(&tools)
        .chain([&julia.bindir]);
    dirs.map(|dir| dir.join(&name)).find(|path| path.is_file())
}

fn drivers(
    triplet: Triplet,
    host: Option<Triplet>,
    environment: &Environment,
    work_dir: &Path,
) -> Vec<Vec<String>> {
    let mut found: Vec<Vec<String>> = Vec::new();
    let mut add = |words: Vec<String>| {
        // `cc` is usually a link to one of the others: the same program is not tried twice.
        let real = |words: &[String]| sysforge_files::canonical(Path::new(&words[0])).ok();
        if !found
            .iter()
            .any(|known| known[1..] == words[1..] && real(known) == real(&words))
        {
            found.push(words);
        }
    };
    if let Some(words) = by_cc_crate(triplet, host, environment, work_dir) {
        add(words);
    }
    for name in driver_names(triplet, host) {
        if let Some(path) = which(&name, environment) {
            add(vec![path.display().to_string()]);
        }
    }
    // On Windows zig uses the universal C runtime, Julia uses msvcrt.
    if triplet.os() != Os::Windows
        && let Some(zig) = which("zig", environment)
    {
        add(vec![zig.display().to_string(), "cc".to_owned()]);
    }
    found
}

/// Returns the compiler that the `cc` crate would use: `CC_<target>`, `CC`, or the platform's usual
/// name.
fn by_cc_crate(
    triplet: Triplet,
    host: Option<Triplet>,
    environment: &Environment,
    work_dir: &Path,
) -> Option<Vec<String>> {
    // On other systems, the crate would call Apple's `xcrun` to find a compiler for macOS.
    if triplet.os() == Os::MacOs && host.map(Triplet::os) != Some(Os::MacOs) {
        return None;
    }
    let tool = cc::Build::new()
        .set_envs_snapshot(environment.iter())
        .target(rust_target(triplet))
        .host(rust_target(host.unwrap_or(triplet)))
        .opt_level(0)
        .debug(false)
        .cargo_metadata(false)
        .cargo_warnings(false)
        .no_default_flags(true)
        .warnings(false)
        .extra_warnings(false)
        .out_dir(work_dir)
        .try_get_compiler()
        .ok()?;
    let program = which(&tool.path().display().to_string(), environment)?;
    let arguments = tool
        .args()
        .iter()
        .map(|word| word.to_string_lossy().into_owned());
    let words: Vec<_> = std::iter::once(program.display().to_string())
        .chain(arguments)
        .collect();
    // Without a cross compiler, the crate falls back to the native one.
    let is_foreign = host != Some(triplet) && !words[0].contains(triplet.name());
    let is_cc = matches!(flavour_of(&words), Flavour::Driver { .. });
    (is_cc && !(is_foreign && environment.get("CC").is_none())).then_some(words)
}

/// Returns the environment variable that names a C compiler for this platform only.
pub fn compiler_variable(triplet: Triplet) -> String {
    format!("CC_{}", rust_target(triplet).replace('-', "_"))
}

/// Returns Rust's name of a platform, as used by the `cc` crate.
const fn rust_target(triplet: Triplet) -> &'static str {
    match (triplet.os(), triplet.arch()) {
        (Os::Linux, Arch::X86_64) => "x86_64-unknown-linux-gnu",
        (Os::Linux, Arch::I686) => "i686-unknown-linux-gnu",
        (Os::Linux, Arch::Aarch64) => "aarch64-unknown-linux-gnu",
        (Os::Linux, Arch::Armv7l) => "armv7-unknown-linux-gnueabihf",
        (Os::Linux, Arch::Powerpc64le) => "powerpc64le-unknown-linux-gnu",
        (Os::MacOs, Arch::Aarch64) => "aarch64-apple-darwin",
        (Os::MacOs, _) => "x86_64-apple-darwin",
        (Os::Windows, Arch::I686) => "i686-pc-windows-gnu",
        (Os::Windows, _) => "x86_64-pc-windows-gnu",
        (Os::FreeBsd, _) => "x86_64-unknown-freebsd",
    }
}

/// Finds a program: a path is used directly, a name is looked up in `PATH`. On Windows, a file without an
/// extension is no program, whatever folder it is in.
pub fn which(program: &str, environment: &Environment) -> Option<PathBuf> {
    let path = Path::new(program);
    let suffixes: &[&str] = match (cfg!(windows), path.extension()) {
        (true, None) => &[".exe", ".cmd", ".bat"],
        (true, Some(_)) => &["", ".exe", ".cmd", ".bat"],
        (false, _) => &[""],
    };
    let with_suffix = |path: PathBuf| {
        let paths = suffixes.iter().map(move |suffix| {
            let mut path = path.clone().into_os_string();
            path.push(suffix);
            PathBuf::from(path)
        });
        paths.into_iter().find(|path| is_program(path))
    };
    if path.components().count() > 1 {
        return with_suffix(std::path::absolute(path).ok()?);
    }
    let directories = std::env::split_paths(environment.get("PATH")?);
    directories
        .filter(|dir| dir.is_absolute())
        .find_map(|dir| with_suffix(dir.join(program)))
}

#[cfg(unix)]
fn is_program(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    path.metadata()
        .is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(path: &Path) -> bool {
    path.is_file()
}
