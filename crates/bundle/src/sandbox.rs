//! A sandbox that contains only an app's bundle and the system's C library: a separate root
//! directory in new Linux namespaces (`unshare` of util-linux), without a network.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sysforge_plan::{Os, Task};
use sysforge_process::{Children, Environment, Program};

use crate::error::BundleError;
use crate::libraries::system_folders;

/// The folder of the bundle, relative to the root: with a space and letters that are not ASCII.
pub(crate) const BUNDLE: &str = "opt/Ünder a strange päth";

/// The folder that apps are started in, relative to the root.
pub(crate) const WORK: &str = "work";

/// Mounts what every process needs, then runs the remaining arguments with an empty environment.
/// Arguments: root, file for standard input, and either `probe` or the arguments of `env -i`.
const ENTER: &str = r#"
root=$1; input=$2; shift 2
mount -t proc proc "$root/proc" 2>/dev/null || mount --rbind /proc "$root/proc" || exit 126
mount --rbind /dev "$root/dev" || exit 126
[ "$1" = probe ] && exec unshare --root="$root" --wd=/work --version >/dev/null
[ "$input" = /dev/null ] && exec env -i "$@" </dev/null
cat "$input" | env -i "$@"
"#;

/// Runs a program with an empty environment. Arguments: working directory, file for standard input,
/// and the arguments of `env -i`.
const PLAIN: &str = r#"
cd "$1" || exit 126
input=$2
shift 2
[ "$input" = /dev/null ] && exec env -i "$@" </dev/null
cat "$input" | env -i "$@"
"#;

/// The environment that apps are checked in.
#[derive(Debug)]
pub(crate) struct Sandbox {
    root: PathBuf,
    isolated: bool,
}

/// The path of a program that is not part of a bundle, relative to the root.
pub(crate) const TOOL: &str = "tool";

/// A program to run in the sandbox.
pub(crate) struct Inside<'a> {
    /// The path of the program, relative to the root.
    pub(crate) program: &'a str,
    pub(crate) args: &'a [String],
    pub(crate) variables: &'a [(&'a str, String)],
    pub(crate) stdin: Option<&'a Path>,
    pub(crate) environment: &'a Environment,
    pub(crate) log: PathBuf,
}

impl Sandbox {
    /// Prepares `root`, an empty folder, with the libraries of the system that the bundle needs.
    pub(crate) async fn prepare(
        root: &Path,
        os: Os,
        system: &BTreeSet<String>,
        environment: &Environment,
        children: &Children,
        task: &Task,
        log: PathBuf,
    ) -> Result<Self, BundleError> {
        for folder in [BUNDLE, WORK, TOOL, "tmp", "proc", "dev"] {
            let folder = root.join(folder);
            sysforge_files::create_folders(&folder).map_err(BundleError::io("create", &folder))?;
        }
        let mut sandbox = Self {
            root: root.to_owned(),
            isolated: false,
        };
        if os != Os::Linux || cfg!(not(target_os = "linux")) {
            return Ok(sandbox);
        }
        for library in system {
            copy_system_library(library, root)?;
        }
        let probe = sandbox
            .enter(environment.clean(), log)
            .arg("/dev/null")
            .arg("probe");
        sandbox.isolated = children.run(&probe, task).await.is_ok();
        Ok(sandbox)
    }

    /// Whether only the bundle and the C library are visible.
    pub(crate) fn is_isolated(&self) -> bool {
        self.isolated
    }

    /// Returns the folder of the bundle, as seen by this process.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.root.join(BUNDLE)
    }

    /// Returns the folder that apps are started in, as seen by this process.
    pub(crate) fn work(&self) -> PathBuf {
        self.root.join(WORK)
    }

    /// Returns the path of a file of the bundle, as seen by a program in the sandbox.
    pub(crate) fn inside(&self, path: &str) -> String {
        match self.isolated {
            true => format!("/{BUNDLE}/{path}"),
            false => self.bundle().join(path).to_string_lossy().into_owned(),
        }
    }

    /// Returns the full path of `path`, which is relative to the root, as seen by this process.
    pub(crate) fn root(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// Returns the folder for temporary files, as seen by this process and by the app.
    pub(crate) fn temporary(&self) -> (PathBuf, String) {
        let here = self.root.join("tmp");
        let inside = match self.isolated {
            true => "/tmp".to_owned(),
            false => here.to_string_lossy().into_owned(),
        };
        (here, inside)
    }

    fn enter(&self, environment: Environment, log: PathBuf) -> Program {
        Program::new("unshare", environment, log)
            .args([
                "--user",
                "--map-root-user",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--",
            ])
            .args(["sh", "-c", ENTER, "sh"])
            .arg(&self.root)
    }

    /// Returns the child process for a run.
    pub(crate) fn program(&self, run: &Inside<'_>) -> Program {
        let null = Path::new("/dev/null");
        let variables = run.variables.iter();
        let variables = variables.map(|(name, value)| OsString::from(format!("{name}={value}")));
        if self.isolated {
            let mut root = OsString::from("--root=");
            root.push(&self.root);
            return self
                .enter(run.environment.clean(), run.log.clone())
                .arg(run.stdin.unwrap_or(null))
                .args(variables)
                .arg("unshare")
                .arg(root)
                .args([&format!("--wd=/{WORK}"), "--"])
                .arg(format!("/{}", run.program))
                .args(run.args);
        }
        let program = self.root.join(run.program);
        if cfg!(windows) {
            let homes = ["PATH", "HOME", "USERPROFILE"].into_iter();
            let clean = homes.fold(run.environment.clean(), |all, name| all.without(name));
            let environment = run
                .variables
                .iter()
                .fold(clean, |environment, (name, value)| {
                    environment.with(name, value.as_str())
                });
            return Program::new(program, environment, run.log.clone())
                .args(run.args)
                .input(run.stdin)
                .directory(self.work());
        }
        Program::new("/bin/sh", run.environment.clean(), run.log.clone())
            .args(["-c", PLAIN, "sh"])
            .arg(self.work())
            .arg(run.stdin.unwrap_or(null))
            .args(variables)
            .arg(program)
            .args(run.args)
    }
}

/// Copies a library of the C library to the same path below `root`, and the loader to the path that
/// programs name.
fn copy_system_library(name: &str, root: &Path) -> Result<(), BundleError> {
    let folders = system_folders(Os::Linux).iter();
    let all = folders.map(|folder| Path::new(folder).join(name));
    for path in all.filter(|path| path.is_file()) {
        let to = root.join(path.strip_prefix("/").unwrap_or(&path));
        if let Some(folder) = to.parent() {
            sysforge_files::create_folders(folder).map_err(BundleError::io("create", folder))?;
        }
        std::fs::copy(&path, &to).map_err(BundleError::io("copy", &path))?;
    }
    Ok(())
}
