//! Links small real objects with the linkers of this machine.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

use std::path::{Path, PathBuf};
use std::process::Command;

use sysforge_plan::link::{Family, LinkerChoice, Strategy};
use sysforge_plan::{Class, Explain, JuliaFacts, JuliaVersion, Os, Reporter, Step, Triplet};

use super::*;

/// C source with the same exports as an image's object.
const IMAGE: &str = "
extern void jl_throw(void *);
char jl_system_image_data[] = \"data\";
unsigned long long jl_system_image_size = 5;
char jl_sysimg_fvars_base[1], jl_sysimg_gvars_base[1];
int jl_sysimg_fvars_offsets[1] = {0}, jl_sysimg_gvars_offsets[1] = {0};
int answer(void) { return 42; }
void julia_f_1(void) { jl_throw(0); }
";

struct Lab {
    dir: tempfile::TempDir,
}

impl Lab {
    /// Creates a directory with special characters in its name.
    fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("link lab ü,")
            .tempdir()
            .unwrap();
        let lab = Self { dir };
        std::fs::create_dir_all(lab.path("lib/julia")).unwrap();
        lab.compile(
            "void jl_throw(void *e) {}",
            &["-shared", "-Wl,-soname,libjulia.so.1"],
            "lib/libjulia.so",
        );
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn compile(&self, source: &str, flags: &[&str], output: &str) {
        let file = self.path("source.c");
        std::fs::write(&file, source).unwrap();
        let done = Command::new("gcc")
            .args(flags)
            .args(["-fPIC", "-o"])
            .arg(self.path(output))
            .arg(&file)
            .status()
            .unwrap();
        assert!(done.success());
    }

    /// Returns an archive, like those that Julia emits.
    fn object(&self, source: &str) -> PathBuf {
        self.compile(source, &["-c"], "image.o");
        let archive = self.path("image-o.a");
        let _ = std::fs::remove_file(&archive);
        let done = Command::new("ar")
            .arg("rc")
            .arg(&archive)
            .arg(self.path("image.o"))
            .status();
        assert!(done.unwrap().success());
        archive
    }

    fn job(&self, source: &str) -> LinkJob {
        LinkJob {
            objects: vec![self.object(source)],
            output: self.path("dist/image.so"),
            name: "image.so".to_owned(),
            julia: JuliaFacts {
                executable: self.path("bin/julia"),
                version: JuliaVersion::new(1, 5, 3),
                commit: String::new(),
                triplet: Triplet::X86_64_LINUX_GNU,
                bindir: self.path("bin"),
                libdir: self.path("lib"),
                private_libdir: self.path("lib/julia"),
                private_libexecdir: None,
                stdlib: self.path("share/julia/stdlib/v1.5"),
                base_image: self.path("lib/julia/sys.so"),
                cpu_name: "generic".to_owned(),
                cpu_threads: 1,
            },
            linker: LinkerChoice::Auto,
            strip: false,
            exports: Vec::new(),
            library: None,
            environment: Environment::new(std::env::vars_os()),
            work_dir: self.path("work"),
            log: self.path("work/link.log"),
            timeout: Some(Duration::from_secs(60)),
        }
    }
}

async fn run(job: &LinkJob) -> Result<Linked, LinkError> {
    let task = Reporter::silent().start(Step::Link, "test");
    link(job, &Children::default(), &task).await
}

fn is_empty(dir: &Path) -> bool {
    std::fs::read_dir(dir).map_or(true, |mut entries| entries.next().is_none())
}

#[tokio::test]
async fn an_image_is_linked_and_described() {
    let lab = Lab::new();
    let job = lab.job(IMAGE);
    let linked = run(&job).await.unwrap();
    let image = &linked.inspection;
    assert_eq!(image.name.as_deref(), Some("image.so"));
    assert!(
        image.needed.contains(&"libjulia.so.1".to_owned()),
        "{image:?}"
    );
    assert_eq!(image.run_paths, ["$ORIGIN", "$ORIGIN/julia"]);
    assert_eq!(image.data_bytes, Some(5));
    assert!(
        image.exports.contains(&"answer".to_owned()),
        "{:?}",
        image.exports
    );
    assert!(
        !image.exports.contains(&"julia_f_1".to_owned()),
        "{:?}",
        image.exports
    );
    assert_eq!(std::fs::read_dir(lab.path("dist")).unwrap().count(), 1);
}

#[tokio::test]
async fn every_strategy_of_this_machine_is_the_one_that_ran() {
    let lab = Lab::new();
    for (strategy, family) in [
        (Strategy::DriverLld, Some(Family::Lld)),
        (Strategy::DriverMold, Some(Family::Mold)),
        (Strategy::Driver, None),
        (Strategy::Lld, Some(Family::Lld)),
    ] {
        for strip in [false, true] {
            let job = LinkJob {
                linker: LinkerChoice::Only(vec![strategy]),
                strip,
                ..lab.job(IMAGE)
            };
            match run(&job).await {
                Ok(linked) => {
                    assert_eq!(linked.strategy, strategy);
                    assert_eq!(linked.inspection.linker, family, "{strategy}");
                    assert_eq!(linked.inspection.stripped, strip, "{strategy}");
                }
                // The linker is not installed.
                Err(LinkError::NoLinker { .. }) => {}
                Err(error) => panic!("{strategy}: {error}"),
            }
        }
    }
}

#[tokio::test]
async fn the_users_compiler_comes_before_all_and_may_carry_arguments() {
    let lab = Lab::new();
    let linker = LinkerChoice::parse("gcc -Wl,-z,now", Os::Linux).unwrap();
    let linked = run(&LinkJob {
        linker,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap();
    assert_eq!(linked.strategy, Strategy::Chosen);
    assert!(
        linked.program.ends_with("/gcc -Wl,-z,now"),
        "{}",
        linked.program
    );
}

#[tokio::test]
async fn a_missing_compiler_is_named() {
    let lab = Lab::new();
    let linker = LinkerChoice::parse("no-such-cc -v", Os::Linux).unwrap();
    let error = run(&LinkJob {
        linker,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "the compiler or linker `no-such-cc` was not found"
    );
    assert_eq!(error.class(), Class::Toolchain);
}

#[tokio::test]
async fn a_compiler_that_was_named_and_is_of_no_use_is_told_apart_from_none() {
    let lab = Lab::new();
    let program = pretended_linker(&lab, "my cc", "");
    std::fs::write(&program, "#!/bin/sh\nkill -SEGV $$\n").unwrap();
    let job = LinkJob {
        linker: LinkerChoice::Words(vec![program.display().to_string()]),
        ..lab.job(IMAGE)
    };
    let error = run(&job).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("`--cc` or `JULIA_CC` names, cannot link for"),
        "{text}"
    );
    assert!(text.contains("SIGSEGV"), "{text}");
    assert!(
        error.hints()[0].contains("name another"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn a_missing_libjulia_is_named_with_where_it_was_sought() {
    let lab = Lab::new();
    std::fs::remove_file(lab.path("lib/libjulia.so")).unwrap();
    let error = run(&lab.job(IMAGE)).await.unwrap_err().to_string();
    assert!(
        error.starts_with("Julia's library `libjulia` was not found in "),
        "{error}"
    );
    assert!(error.contains("lib/julia"), "{error}");
}

#[tokio::test]
async fn an_undefined_symbol_of_julia_is_found_before_linking() {
    let lab = Lab::new();
    let source = format!("{IMAGE} void jl_new_thing(void); void g(void) {{ jl_new_thing(); }}");
    let error = run(&lab.job(&source)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "undefined symbols: `jl_new_thing` (should come from libjulia)"
    );
    assert!(is_empty(&lab.path("dist")));
}

#[tokio::test]
async fn an_object_without_an_image_is_refused() {
    let lab = Lab::new();
    let error = run(&lab.job("void jl_throw(void*); void f(void) { jl_throw(0); }")).await;
    let error = error.unwrap_err().to_string();
    let begin = "the objects hold no sysimage of Julia 1.5.3: they do not define \
                 `jl_system_image_data`";
    assert!(error.starts_with(begin), "{error}");
    assert!(is_empty(&lab.path("dist")));
}

#[tokio::test]
async fn what_is_no_object_is_said_to_be_none() {
    let lab = Lab::new();
    let mut job = lab.job(IMAGE);
    std::fs::write(&job.objects[0], "BC\u{c0}").unwrap();
    let error = run(&job).await.unwrap_err().to_string();
    assert!(error.contains("is not an object file"), "{error}");
    job.objects = vec![lab.path("lib/libjulia.so")];
    let error = run(&job).await.unwrap_err().to_string();
    assert!(error.ends_with("it is a shared library"), "{error}");
}

#[tokio::test]
async fn an_object_for_another_machine_is_refused() {
    let lab = Lab::new();
    let mut job = lab.job(IMAGE);
    job.julia.triplet = Triplet::AARCH64_APPLE_DARWIN;
    let error = run(&job).await.unwrap_err().to_string();
    assert!(
        error.ends_with("is for x86_64, ELF (Linux), not for aarch64-apple-darwin"),
        "{error}"
    );
}

#[tokio::test]
async fn an_undefined_symbol_of_nobody_is_named() {
    let lab = Lab::new();
    let source = format!("{IMAGE} void dgemm_64_(void); void g(void) {{ dgemm_64_(); }}");
    let error = run(&lab.job(&source)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "undefined symbols: `dgemm_64_` (from no library that Julia brings)"
    );
    assert!(is_empty(&lab.path("dist")));
}

#[tokio::test]
async fn an_image_asks_for_no_version_of_the_c_library() {
    let lab = Lab::new();
    let source =
        format!("{IMAGE} double pow(double, double); double p(double x) {{ return pow(x, x); }}");
    let linked = run(&lab.job(&source)).await.unwrap();
    assert_eq!(linked.inspection.oldest_system, None);
    assert!(linked.inspection.imports.contains(&"pow".to_owned()));
}

/// Creates a script that replaces a linker, for behaviour that real linkers do not show on demand:
/// it prints lld's version text on request, and otherwise runs `script`.
fn pretended_linker(lab: &Lab, name: &str, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let path = lab.path(name);
    let text = format!(
        "#!/bin/sh\ncase \" $* \" in *' --version '*) echo 'LLD 99.0 (compatible with GNU linkers)'; \
         exit 0;; esac\n{script}\n"
    );
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[tokio::test]
async fn a_linker_that_crashes_is_said_to_have_crashed() {
    let lab = Lab::new();
    let linker = pretended_linker(&lab, "ld.lld", "echo going down >&2; kill -SEGV $$");
    let linker = LinkerChoice::Words(vec![linker.display().to_string()]);
    let error = run(&LinkJob {
        linker,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "LLD 99.0 (compatible with GNU linkers) could not link the image"
    );
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        source,
        "`ld.lld` was killed by signal 11 (SIGSEGV, a crash)"
    );
    assert_eq!(error.evidence().unwrap().tail, ["going down"]);
    assert_eq!(error.class().exit_code(), 4);
    assert!(is_empty(&lab.path("dist")));
}

#[tokio::test]
async fn a_crash_of_julias_lld_is_passed_over() {
    let lab = Lab::new();
    let mut job = lab.job(IMAGE);
    job.julia.version = JuliaVersion::new(1, 9, 4);
    job.julia.private_libexecdir = Some(lab.path("libexec"));
    std::fs::create_dir_all(lab.path("libexec")).unwrap();
    pretended_linker(&lab, "libexec/lld", "kill -SEGV $$");
    lab.compile(
        "void jl_throw(void *e) {}",
        &["-shared", "-Wl,-soname,libjulia-internal.so.1"],
        "lib/julia/libjulia-internal.so",
    );
    let linked = run(&job).await.unwrap();
    let first = &linked.passed_over[0];
    assert_eq!(first.strategy, Strategy::JuliaLld);
    assert_eq!(
        first.reason,
        "a sample: `lld` was killed by signal 11 (SIGSEGV, a crash)"
    );
    assert_ne!(linked.strategy, Strategy::JuliaLld);
}

#[tokio::test]
async fn a_linker_that_writes_nothing_is_no_success() {
    let lab = Lab::new();
    let linker = pretended_linker(&lab, "ld.lld", "exit 0");
    let linker = LinkerChoice::Words(vec![linker.display().to_string()]);
    let error = run(&LinkJob {
        linker,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "LLD 99.0 (compatible with GNU linkers) succeeded but wrote no image"
    );
    assert!(is_empty(&lab.path("dist")));
}

#[tokio::test]
async fn a_linker_that_hangs_is_killed() {
    let lab = Lab::new();
    let linker = pretended_linker(&lab, "ld.lld", "sleep 600");
    let linker = LinkerChoice::Words(vec![linker.display().to_string()]);
    let timeout = Some(Duration::from_millis(300));
    let error = run(&LinkJob {
        linker,
        timeout,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("did not end within"), "{source}");
}

#[tokio::test]
async fn an_image_that_would_be_too_large_is_refused_before_linking() {
    let lab = Lab::new();
    // The zeroes take no space in the object, but 2.2 GB in memory.
    let source = format!("{IMAGE} char zeroes[2200000000u];");
    let error = run(&lab.job(&source)).await.unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the image would take 2200 MB"),
        "{error}"
    );
    assert!(error.hints()[0].contains("fewer CPU targets"));
}

#[tokio::test]
async fn the_libjulia_of_another_version_is_refused() {
    let lab = Lab::new();
    let mut job = lab.job(IMAGE);
    job.julia.version = JuliaVersion::new(1, 10, 8);
    let error = run(&job).await.unwrap_err().to_string();
    assert!(
        error.ends_with("calls itself `libjulia.so.1`, which is not the library of Julia 1.10.8"),
        "{error}"
    );
}

#[tokio::test]
async fn the_libjulia_of_another_architecture_is_refused() {
    let lab = Lab::new();
    let job = lab.job(IMAGE);
    // The machine of an ELF file is the number at offset 18: 183 is ARM.
    let path = lab.path("lib/libjulia.so");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[18] = 183;
    std::fs::write(&path, bytes).unwrap();
    let error = run(&job).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("is for aarch64, ELF (Linux), not for x86_64-linux-gnu"),
        "{error}"
    );
    assert!(error.hints()[0].contains("Rosetta"));
}

#[tokio::test]
async fn an_export_that_is_not_there_is_refused() {
    let lab = Lab::new();
    let exports = vec!["not_there".to_owned()];
    let error = run(&LinkJob {
        exports,
        ..lab.job(IMAGE)
    })
    .await
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "`not_there` cannot be exported, as the objects do not define it"
    );
}
