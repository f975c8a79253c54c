//! Signing the programs and libraries of a bundle, the last change to its files: ad-hoc signatures
//! on macOS, and the user's own command, for example with a Developer ID or Authenticode.

use std::ffi::OsString;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sysforge_plan::Task;
use sysforge_plan::app::BundledFile;
use sysforge_process::{Children, Environment, Program};

use crate::error::BundleError;
use crate::layout::slashed;

/// The prefix of the variables for the command. No other child process gets them.
pub const VARIABLES: &str = "SYSFORGE_CODESIGN_";

/// Apple's program for signatures.
pub const CODESIGN: &str = "/usr/bin/codesign";

/// Maximum number of files in one call of `codesign`, because the length of command lines is
/// limited.
const FILES_PER_CALL: usize = 200;

/// A command that signs the files of a bundle.
#[derive(Debug, Clone)]
pub struct Signing {
    /// The program and its first arguments. The folder of the bundle is added.
    words: Vec<String>,
    environment: Environment,
    secrets: Vec<String>,
}

impl Signing {
    /// Creates a command with this environment and, of `variables`, those that are meant for it.
    /// `None` if there is no program.
    pub fn new(
        words: Vec<String>,
        environment: &Environment,
        variables: impl Iterator<Item = (OsString, OsString)>,
    ) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let mut environment = environment.clone();
        let mut secrets = Vec::new();
        for (name, value) in variables {
            let name = name.to_string_lossy();
            if name.starts_with(VARIABLES) && !value.is_empty() {
                secrets.extend(value.to_str().map(str::to_owned));
                environment = environment.with(&name, value);
            }
        }
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Some(Self {
            words,
            environment,
            secrets,
        })
    }

    /// Runs the command in the folder `project` on the bundle in `folder`, and updates the list of
    /// its files.
    ///
    /// # Errors
    ///
    /// If the command fails, or one of the files is missing afterwards.
    pub async fn run(
        &self,
        folder: &Path,
        files: &mut Vec<BundledFile>,
        project: &Path,
        log: PathBuf,
        children: &Children,
        task: &Task,
    ) -> Result<(), BundleError> {
        let (program, arguments) = self.words.split_first().ok_or(BundleError::NoSigning)?;
        // A path is relative to the project, and a bare name is looked up in the search path.
        let program = match program.contains(['/', '\\']) {
            true => project.join(program),
            false => PathBuf::from(program),
        };
        let program = Program::new(program, self.environment.clone(), log)
            .args(arguments)
            .arg(folder)
            .directory(project)
            .redact(self.secrets.clone());
        let ran = children.run(&program, task).await;
        ran.map_err(|source| BundleError::Signing {
            command: self.words.join(" "),
            source: Box::new(source),
        })?;
        update(folder, files)
    }
}

/// Signs every Mach-O file of a bundle without an identity (ad hoc) with the program `codesign`:
/// macOS on Apple silicon runs no code without a signature, and a change after an earlier signature
/// invalidates it.
///
/// # Errors
///
/// If a file cannot be read or signed.
pub async fn sign_ad_hoc(
    codesign: &Path,
    folder: &Path,
    files: &mut Vec<BundledFile>,
    environment: &Environment,
    log: PathBuf,
    children: &Children,
    task: &Task,
) -> Result<(), BundleError> {
    let mut binaries = Vec::new();
    for file in files.iter() {
        let path = folder.join(&file.path);
        if is_mach_o(&path)? {
            binaries.push(path);
        }
    }
    for some in binaries.chunks(FILES_PER_CALL) {
        let program = Program::new(codesign, environment.clone(), log.clone())
            .args(["--force", "--sign", "-"])
            .args(some);
        let ran = children.run(&program, task).await;
        ran.map_err(|source| BundleError::Signing {
            command: "codesign --force --sign -".to_owned(),
            source: Box::new(source),
        })?;
    }
    update(folder, files)
}

/// Returns whether a file is a program or library of macOS, for one or several processors.
fn is_mach_o(path: &Path) -> Result<bool, BundleError> {
    let mut file = std::fs::File::open(path).map_err(BundleError::io("open", path))?;
    let mut head = [0; 8];
    match file.read_exact(&mut head) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(false),
        Err(error) => return Err(BundleError::io("read", path)(error)),
    }
    let [a, b, c, d, counted @ ..] = head;
    Ok(match [a, b, c, d] {
        [0xcf | 0xce, 0xfa, 0xed, 0xfe] => true,
        // A universal file begins with the number of its parts. Java's class files begin with the
        // same four bytes, and with a version of 45 or more.
        [0xca, 0xfe, 0xba, 0xbe | 0xbf] => u32::from_be_bytes(counted) < 45,
        _ => false,
    })
}

/// Updates the sizes of the files, and adds new files.
fn update(folder: &Path, files: &mut Vec<BundledFile>) -> Result<(), BundleError> {
    for file in files.iter_mut() {
        let path = folder.join(&file.path);
        file.size = match path.metadata() {
            Ok(found) => found.len(),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(BundleError::SignedAway(file.path.clone()));
            }
            Err(error) => return Err(BundleError::io("read", &path)(error)),
        };
    }
    let mut added = Vec::new();
    for entry in walkdir::WalkDir::new(folder).sort_by_file_name() {
        let entry = entry.map_err(|error| BundleError::io("read", folder)(error.into()))?;
        let Ok(below) = entry.path().strip_prefix(folder) else {
            continue;
        };
        let path = slashed(below);
        let is_known = || files.iter().any(|file| file.path == path);
        if entry.file_type().is_file() && !is_known() {
            let size = entry
                .metadata()
                .map_err(|error| BundleError::io("read", folder)(error.into()))?
                .len();
            added.push(BundledFile {
                path,
                size,
                why: "the command that signs the bundle added it".to_owned(),
            });
        }
    }
    files.extend(added);
    files.sort();
    Ok(())
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use sysforge_plan::{Explain, Reporter, Step};

    /// A bundle with these files.
    fn bundle(files: &[(&str, &[u8])]) -> (tempfile::TempDir, Vec<BundledFile>) {
        let dir = tempfile::tempdir().unwrap();
        let mut listed = Vec::new();
        for (path, content) in files {
            let to = dir.path().join("bundle").join(path);
            sysforge_files::create_folders(to.parent().unwrap()).unwrap();
            std::fs::write(&to, content).unwrap();
            listed.push(BundledFile {
                path: (*path).to_owned(),
                size: content.len() as u64,
                why: "a test".to_owned(),
            });
        }
        (dir, listed)
    }

    fn program(dir: &Path, name: &str, script: &str) -> PathBuf {
        let path = dir.join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        path
    }

    fn variables() -> impl Iterator<Item = (OsString, OsString)> {
        [
            ("SYSFORGE_CODESIGN_PASSWORD", "s3cret"),
            ("SYSFORGE_SIGN_KEY", "of releases"),
            ("PATH", "/usr/bin:/bin"),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .into_iter()
    }

    fn run(
        script: &str,
        dir: &tempfile::TempDir,
        files: &mut Vec<BundledFile>,
    ) -> Result<String, BundleError> {
        program(dir.path(), "sign.sh", script);
        let environment = Environment::new(variables());
        let words = vec!["./sign.sh".to_owned(), "now".to_owned()];
        let signing = Signing::new(words, &environment, variables()).unwrap();
        let task = Reporter::silent().start(Step::Bundle, "test");
        let log = dir.path().join("log");
        let folder = dir.path().join("bundle");
        let children = Children::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let ran = signing.run(&folder, files, dir.path(), log.clone(), &children, &task);
        runtime.block_on(ran)?;
        Ok(sysforge_files::read_text(log).unwrap())
    }

    #[test]
    fn the_command_changes_files_in_the_bundle_and_gets_its_own_secrets_alone() {
        let (dir, mut files) = bundle(&[("bin/tally", b"program"), ("lib/x.so", b"library")]);
        let log = run(
            "echo \"$1 $SYSFORGE_CODESIGN_PASSWORD ${SYSFORGE_SIGN_KEY:-none}\"\n\
             printf signed >>\"$2/bin/tally\"\necho more >\"$2/share.txt\"",
            &dir,
            &mut files,
        );
        let log = log.unwrap();
        assert!(log.contains("now *** none"), "{log}");
        let sizes: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.size)).collect();
        assert_eq!(
            sizes,
            [("bin/tally", 13), ("lib/x.so", 7), ("share.txt", 5)]
        );
    }

    #[test]
    fn a_command_that_fails_or_removes_a_file_is_an_error() {
        let (dir, mut files) = bundle(&[("bin/tally", b"program")]);
        let error = run("echo no identity found >&2; exit 3", &dir, &mut files).unwrap_err();
        assert_eq!(error.class().exit_code(), 4, "{error}");
        assert_eq!(
            error.to_string(),
            "the bundle cannot be signed with `./sign.sh now`"
        );
        let evidence = error.evidence().unwrap();
        assert!(
            evidence.tail.join("\n").contains("no identity found"),
            "{evidence:?}"
        );
        let error = run("rm \"$2/bin/tally\"", &dir, &mut files).unwrap_err();
        assert_eq!(error.class().exit_code(), 2, "{error}");
        assert!(error.to_string().contains("removed bin/tally"), "{error}");
    }

    #[test]
    fn every_mach_o_file_is_signed_and_nothing_else() {
        let thin = [0xcf, 0xfa, 0xed, 0xfe, 7, 0, 0, 1];
        let universal = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 2];
        let class = [0xca, 0xfe, 0xba, 0xbe, 0, 0, 0, 52];
        let (dir, mut files) = bundle(&[
            ("bin/tally", &thin),
            ("lib/libjulia.dylib", &universal),
            ("share/Main.class", &class),
            ("share/short", b"x"),
            ("share/text", b"a text of some length"),
        ]);
        // Stands in for Apple's program, which exists only on macOS.
        let script = "printf '%s\\n' \"$@\"\nshift 3\nfor file; do printf SIGNED >>\"$file\"; done";
        let codesign = program(dir.path(), "codesign", script);
        let environment = Environment::new(variables());
        let log = dir.path().join("log");
        let folder = dir.path().join("bundle");
        let task = Reporter::silent().start(Step::Bundle, "test");
        let children = Children::default();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let signed = sign_ad_hoc(
            &codesign,
            &folder,
            &mut files,
            &environment,
            log.clone(),
            &children,
            &task,
        );
        runtime.block_on(signed).unwrap();
        let called = sysforge_files::read_text(log).unwrap();
        assert!(called.contains("--force\n--sign\n-\n"), "{called}");
        let grown: Vec<_> = files.iter().map(|f| (f.path.as_str(), f.size)).collect();
        assert_eq!(
            grown,
            [
                ("bin/tally", 14),
                ("lib/libjulia.dylib", 14),
                ("share/Main.class", 8),
                ("share/short", 1),
                ("share/text", 21),
            ]
        );
    }
}
