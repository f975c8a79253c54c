//! The init code of libraries, linked to a libjulia that only reports how it is started. Needs `cc`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::path::Path;
use std::process::Command;

use sysforge_bundle::library::write_init_object;

/// What the init code calls of libjulia. Starting prints the folder of the executable, if it exists.
const LIBJULIA: &str = r#"
#include <stdio.h>
#include <sys/stat.h>
void jl_parse_opts(int *count, char ***words) { (void)count; (void)words; }
void jl_init_with_image(const char *bin, const char *image) {
    struct stat folder;
    printf("%s %s\n", stat(bin, &folder) == 0 ? "started in" : "no folder", bin);
    (void)image;
}
void *jl_main_module = "Main";
void *jl_symbol(const char *name) { return (void *)name; }
void *jl_get_global(void *module, void *name) { (void)module; return name; }
void *jl_pchar_to_string(const char *text, size_t length) { (void)length; return (void *)text; }
void *jl_call1(void *f, void *argument) { printf("%s %s\n", (char *)f, (char *)argument); return f; }
int jl_unbox_int32(void *value) { (void)value; return 0; }
void jl_atexit_hook(int code) { (void)code; }
"#;

const CALLER: &str =
    "void init_julia(int, char **); int main(void) { init_julia(0, 0); return 0; }";

fn cc(folder: &Path, args: &[&str]) {
    let output = Command::new("cc").current_dir(folder).args(args).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn the_folder_of_julias_executable_exists_in_the_bundle_of_a_library() {
    if Command::new("cc").arg("--version").output().is_err() {
        sysforge_testkit::skip("there is no `cc`");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().canonicalize().unwrap().join("bundle");
    // The folders of a library's bundle.
    for folder in [
        "lib/julia",
        "include",
        "libexec",
        "share/julia",
        "share/sysforge",
    ] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    let description = "format 1\nlibrary lib/libjulia.so\ninit UUID Measure Cache.setup init\n";
    std::fs::write(root.join("share/sysforge/x.library"), description).unwrap();
    std::fs::write(root.join("libjulia.c"), LIBJULIA).unwrap();
    std::fs::write(root.join("caller.c"), CALLER).unwrap();
    write_init_object(&root).unwrap();
    cc(
        &root,
        &["-shared", "-fPIC", "-o", "lib/libjulia.so", "libjulia.c"],
    );
    let library = ["-shared", "-o", "lib/libx.so", "init.o", "-ldl"];
    cc(&root, &library);
    cc(
        &root,
        &[
            "-o",
            "caller",
            "caller.c",
            "-Llib",
            "-lx",
            "-Wl,-rpath,$ORIGIN/lib",
        ],
    );
    let output = Command::new(root.join("caller")).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    // Packages find `share` and `libexec` from there.
    assert_eq!(
        text,
        format!(
            "started in {}\nbegin_program \nrun UUID Measure Cache.setup init\n",
            root.join("lib").display()
        ),
        "{:?}",
        output.stderr
    );
}
