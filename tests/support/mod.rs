//! A fluent builder for end-to-end tests: a scratch project, in which the real binary runs with a
//! real Julia from the local mirror.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The local mirror with a real Julia, created by `ci/test`.
pub(crate) fn mirror() -> PathBuf {
    let mirror = std::env::var_os("SYSFORGE_TEST_MIRROR").map(PathBuf::from);
    mirror
        .filter(|mirror| mirror.join("bin/versions.json").is_file())
        .expect(
            "end-to-end tests need a real Julia: run ci/test, or set SYSFORGE_TEST_MIRROR to a \
         folder made by ci/julia-mirror",
        )
}

/// The store that the tests share, so that Julia is unpacked only once; it is not the user's store.
pub(crate) fn store() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("store");
    std::fs::create_dir_all(&target).expect("the target directory is writable");
    target
}

/// The Julia that most tests use, 1.5.3, installed once. The mirror also has 1.6.7.
pub(crate) fn julia() -> &'static Path {
    static JULIA: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    JULIA.get_or_init(|| {
        installed_julia("1.5.3").unwrap_or_else(|| {
            Scratch::new()
                .sysforge(&["julia", "install", "1.5"])
                .succeeds();
            installed_julia("1.5.3").expect("it was just installed")
        })
    })
}

/// The folder of a Julia in the tests' store.
pub(crate) fn installed_julia(version: &str) -> Option<PathBuf> {
    std::fs::read_dir(store().join("julia"))
        .ok()?
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(version))
        .map(|entry| entry.path())
        .find(|folder| folder.join("bin/julia").is_file())
}

/// The files of the example that are in version control: no build results.
pub(crate) fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().flatten() {
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let name = entry.file_name().to_string_lossy().into_owned();
        match source.is_dir() {
            true if name == "dist" || name.starts_with('.') => {}
            true => copy(&source, &target),
            false => std::fs::copy(&source, &target).map(drop).unwrap(),
        }
    }
}

/// A scratch project in a folder whose name contains a space and a non-ASCII letter.
pub(crate) struct Scratch {
    _root: Option<tempfile::TempDir>,
    folder: PathBuf,
}

fn project_in(root: &Path) -> PathBuf {
    let folder = root.join("a projéct");
    std::fs::create_dir(&folder).unwrap();
    folder.canonicalize().unwrap()
}

impl Scratch {
    /// A small package without dependencies.
    pub(crate) fn new() -> Self {
        let scratch = Self::empty();
        scratch.file(
            "Project.toml",
            "name = \"Tiny\"\nuuid = \"8dfed614-0000-4000-8000-85e1c5234f0b\"\nversion = \"0.1.0\"\n",
        );
        scratch.file(
            "src/Tiny.jl",
            "module Tiny\nexport greet\ngreet(name) = string(\"hello \", name)\nend\n",
        );
        scratch.file("workload.jl", "using Tiny\nprintln(greet(\"world\"))\n");
        scratch
    }

    /// An empty folder.
    pub(crate) fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        Self {
            folder: project_in(root.path()),
            _root: Some(root),
        }
    }

    /// An empty folder for all tests of a program. Shared values are never dropped, so it is in
    /// cargo's folder for tests, and replaces that of an earlier run.
    pub(crate) fn shared(name: &str) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        match std::fs::remove_dir_all(&root) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        std::fs::create_dir_all(&root).unwrap();
        Self {
            folder: project_in(&root),
            _root: None,
        }
    }

    /// Renames the project's folder.
    pub(crate) fn rename(&mut self, name: &str) {
        let folder = self.folder.with_file_name(name);
        std::fs::rename(&self.folder, &folder).unwrap();
        self.folder = folder;
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Writes a file, and creates its parent folders.
    pub(crate) fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    pub(crate) fn config(&self, text: &str) -> &Self {
        self.file("Sysimage.toml", text)
    }

    /// The files in `dist`.
    pub(crate) fn dist(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("dist"))
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        let mut names: Vec<_> = names
            .filter(|name| name != ".lock" && name != ".gitignore")
            .collect();
        names.sort();
        names
    }

    /// The binary, ready to run: a clean environment, the local mirror, and a store and home folder
    /// for tests.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sysforge"));
        let path = std::env::var_os("PATH").unwrap_or_default();
        command
            .args(args)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.with_file_name("home"))
            .env("TMPDIR", std::env::temp_dir())
            .env("SYSFORGE_MIRROR", mirror())
            .env("SYSFORGE_STORE", store());
        command
    }

    /// Runs the binary here.
    pub(crate) fn sysforge(&self, args: &[&str]) -> Ran {
        self.run(self.command(args))
    }

    pub(crate) fn run(&self, mut command: Command) -> Ran {
        let Output {
            status,
            stdout,
            stderr,
        } = command.output().unwrap();
        Ran {
            code: status.code(),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
            folder: self.folder.clone(),
        }
    }
}

/// The result of running the binary.
pub(crate) struct Ran {
    code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    folder: PathBuf,
}

impl Ran {
    #[track_caller]
    pub(crate) fn succeeds(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Ends with this exit code, with or without data.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every test that has this module needs it"
    )]
    #[track_caller]
    pub(crate) fn ends_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails with this exit code; returns standard error, with variable paths replaced.
    #[track_caller]
    pub(crate) fn fails(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stdout, "", "a failed command prints no data");
        let text = self
            .stderr
            .replace(&*mirror().to_string_lossy(), "[MIRROR]")
            .replace(&*store().to_string_lossy(), "[STORE]")
            .replace(&*self.folder.to_string_lossy(), "[PROJECT]");
        without_julia(&text)
    }

    /// What was printed as a result, whatever the exit code is.
    pub(crate) fn printed(self) -> String {
        self.stdout
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap()
    }
}

/// Replaces the Julia that a hint names: that of the store, if another test has fetched it already.
fn without_julia(text: &str) -> String {
    let text = text.replace("$(sysforge julia install)", "[JULIA]/bin/julia");
    let parts = text.split("[STORE]/julia/").enumerate();
    let parts = parts.map(|(index, part)| match part.split_once("/bin/julia") {
        Some((entry, rest)) if index > 0 && !entry.contains(char::is_whitespace) => {
            format!("[JULIA]/bin/julia{rest}")
        }
        _ if index > 0 => format!("[STORE]/julia/{part}"),
        _ => part.to_owned(),
    });
    parts.collect()
}

/// The repository.
pub(crate) fn root() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    root.canonicalize().unwrap()
}

/// The Markdown files below a folder.
pub(crate) fn markdown(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !["target", "fuzz", "dist"].contains(&&*name) && !name.starts_with('.')
        {
            markdown(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}
