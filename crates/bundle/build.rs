//! Compiles the programs that are embedded in Sysforge, for the platform that it is built for: the
//! launcher of apps and the program that checks C libraries (`crates/launcher`), which have no
//! dependencies, so that rustc suffices; and the initialization code of C libraries
//! (`src/c/init.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> Outcome {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let source = manifest.join("../launcher/src");
    let output = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-changed={}", source.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/c");
    compile(&source.join("main.rs"), &output.join("launcher"))?;
    compile(&source.join("caller.rs"), &output.join("caller"))?;
    compile_init(&output)
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

/// Compiles the initialization code to an object file. It uses nothing that differs between C
/// libraries of one system.
fn compile_init(output: &Path) -> Outcome {
    let mut build = cc::Build::new();
    build
        .file("src/c/init.c")
        .pic(true)
        .opt_level_str("s")
        .debug(false)
        .cargo_metadata(false)
        .flag_if_supported("-fno-stack-protector")
        .flag_if_supported("-U_FORTIFY_SOURCE")
        .flag_if_supported("-fvisibility=hidden")
        .warnings(true);
    if variable("CARGO_CFG_TARGET_ENV")? == "msvc" {
        // Linked with Julia's C runtime, not with Visual C++'s.
        build.flag("/GS-").flag("/Zl");
    }
    let objects = build.try_compile_intermediates()?;
    let [object] = objects.as_slice() else {
        return Err("one object file was expected".into());
    };
    std::fs::copy(object, output.join("init.o"))?;
    Ok(())
}

/// Compiles a program from one source file. Where Cargo compiles the standard library too
/// (`-Zbuild-std`), rustc alone does not have it: SYSFORGE_COMPILED_LAUNCHERS names a folder with the
/// programs that Cargo has compiled (`sysforge-launcher.exe` and `sysforge-caller.exe` on Windows).
fn compile(source: &Path, output: &Path) -> Outcome {
    println!("cargo::rerun-if-env-changed=SYSFORGE_COMPILED_LAUNCHERS");
    if let Some(folder) = std::env::var_os("SYSFORGE_COMPILED_LAUNCHERS") {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        let suffix = match variable("CARGO_CFG_TARGET_OS")?.as_str() {
            "windows" => ".exe",
            _ => "",
        };
        let compiled = Path::new(&folder).join(format!("sysforge-{name}{suffix}"));
        println!("cargo::rerun-if-changed={}", compiled.display());
        std::fs::copy(&compiled, output).map_err(|e| format!("{}: {e}", compiled.display()))?;
        return Ok(());
    }
    let mut rustc = Command::new(variable("RUSTC")?);
    rustc
        .arg(source)
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
        .arg(output);
    // The linker that Cargo itself would use.
    if let Ok(linker) = std::env::var("RUSTC_LINKER") {
        rustc.args(["-C", &format!("linker={linker}")]);
    }
    let flags = std::env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    // Coverage and sanitizers need run-time libraries that a user's machine does not have.
    let kept = |flag: &&str| {
        !flag.is_empty() && !flag.contains("instrument") && !flag.contains("sanitizer")
    };
    rustc.args(flags.split('\u{1f}').filter(kept));
    // Rust's standard library links libgcc_s, which a machine without a compiler may not have: a
    // linker script of that name replaces it by the static unwinder.
    if variable("CARGO_CFG_TARGET_OS")? == "linux" && variable("CARGO_CFG_TARGET_ENV")? == "gnu" {
        let folder = PathBuf::from(variable("OUT_DIR")?).join("static-unwinder");
        std::fs::create_dir_all(&folder)?;
        std::fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh -lgcc)\n")?;
        rustc.arg("-L").arg(format!("native={}", folder.display()));
    }
    // The same stack size as Julia's executable; Windows' default is an eighth of it.
    if variable("CARGO_CFG_TARGET_OS")? == "windows" {
        let stack = match variable("CARGO_CFG_TARGET_ENV")?.as_str() {
            "msvc" => "/STACK:8388608",
            _ => "-Wl,--stack,8388608",
        };
        rustc.args(["-C", &format!("link-arg={stack}")]);
    }
    let status = rustc.status()?;
    if !status.success() {
        return Err(format!("rustc cannot compile {}: {status}", source.display()).into());
    }
    Ok(())
}
