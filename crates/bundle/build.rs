//! Compiles the launcher of apps (`crates/launcher`) for the platform that Sysforge is built for. It has
//! no dependencies, so rustc alone is enough; its bytes become part of Sysforge.

use std::path::PathBuf;
use std::process::Command;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let variable = |name: &str| std::env::var(name).map_err(|error| format!("{name}: {error}"));
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let source = manifest.join("../launcher/src");
    let output = PathBuf::from(variable("OUT_DIR")?).join("launcher");
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .arg(source.join("main.rs"))
        .args([
            "--crate-name",
            "launcher",
            "--crate-type",
            "bin",
            "--edition",
            "2024",
        ])
        .args(["--target", &variable("TARGET")?])
        .args([
            "-C",
            "opt-level=s",
            "-C",
            "lto=fat",
            "-C",
            "codegen-units=1",
        ])
        .args(["-C", "panic=abort", "-C", "strip=symbols"])
        .arg("-o")
        .arg(&output);
    // What Cargo itself would link with.
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // Coverage and sanitizers need run-time libraries that a user's machine does not have.
    let kept = |flag: &&str| {
        !flag.is_empty() && !flag.contains("instrument") && !flag.contains("sanitizer")
    };
    rustc.args(flags.split('\u{1f}').filter(kept));
    // Rust's standard library names libgcc_s, which a machine without a compiler may not have: a linker
    // script of that name gives the static unwinder instead.
    if variable("CARGO_CFG_TARGET_OS")? == "linux" && variable("CARGO_CFG_TARGET_ENV")? == "gnu" {
        let folder = PathBuf::from(variable("OUT_DIR")?).join("static-unwinder");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        rustc.arg("-L").arg(format!("native={}", folder.display()));
    }
    // Julia's own stack size; Windows' default is an eighth of it.
    if variable("CARGO_CFG_TARGET_OS")? == "windows" {
        let stack = match variable("CARGO_CFG_TARGET_ENV")?.as_str() {
            "msvc" => "/STACK:8388608",
            _ => "-Wl,--stack,8388608",
        };
        rustc.args(["-C", &format!("link-arg={stack}")]);
    }
    let status = rustc.status()?;
    if !status.success() {
        return Err(format!("rustc cannot compile the launcher of apps: {status}").into());
    }
    Ok(())
}
