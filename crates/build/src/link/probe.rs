//! Identifies a linker before it links the image: gcc silently runs GNU ld if it does not find the
//! requested linker, and a gcc for Windows may use another C runtime than Julia.

use std::path::{Path, PathBuf};
use std::time::Duration;

use sysforge_plan::link::{Candidate, Family, Flavour};
use sysforge_plan::{Os, Task, Triplet};

use crate::{Children, Environment, Program};

/// A probe takes a fraction of a second; a program that hangs is passed over.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// An identified linker.
#[derive(Debug)]
pub(super) struct Answer {
    /// The line with its version.
    pub version: String,
    /// Its family.
    pub family: Option<Family>,
}

/// Why a linker is not used.
#[derive(Debug)]
pub(super) enum Refusal {
    /// It uses the universal C runtime.
    Ucrt,
    /// Another reason, for display.
    Other(String),
}

/// The data needed for probing.
pub(super) struct Prober<'a> {
    pub triplet: Triplet,
    pub environment: Environment,
    pub work_dir: &'a Path,
    pub children: &'a Children,
    pub task: &'a Task,
}

impl Prober<'_> {
    /// Finds out which linker `candidate` runs, and refuses one that is not the requested one.
    pub(super) async fn ask(
        &self,
        candidate: &Candidate,
        shims: Option<&Path>,
    ) -> Result<Answer, Refusal> {
        let said = self
            .version_text(candidate, shims)
            .await
            .map_err(Refusal::Other)?;
        let family = Family::of(&said);
        if let Some(wanted) = candidate.expects
            && family != Some(wanted)
        {
            let found = family.map_or("something else".to_owned(), |family| family.to_string());
            return Err(Refusal::Other(format!(
                "asked for {wanted}, it runs {found}"
            )));
        }
        let is_driver = matches!(candidate.flavour, Flavour::Driver { .. });
        if is_driver && self.triplet.os() == Os::Windows && self.is_ucrt(&candidate.command).await {
            return Err(Refusal::Ucrt);
        }
        let names_itself = |line: &&str| Family::of(line).is_some();
        let version = said
            .lines()
            .find(names_itself)
            .or_else(|| said.lines().next());
        Ok(Answer {
            version: version.unwrap_or("unknown").trim().to_owned(),
            family,
        })
    }

    async fn version_text(
        &self,
        candidate: &Candidate,
        shims: Option<&Path>,
    ) -> Result<String, String> {
        let mut program = self.program(candidate, "version");
        program = match candidate.flavour {
            Flavour::Driver { zig: true } => {
                let version = program_version(candidate);
                self.program_words(&version, "version")
            }
            Flavour::Driver { zig: false } => {
                if let Some(dir) = shims {
                    let mut word = std::ffi::OsString::from("-B");
                    word.push(dir);
                    program = program.arg(word);
                }
                // Apple's linker does not support `--version`; its `-v` prints to standard error.
                let ask = if self.triplet.os() == Os::MacOs {
                    "-Wl,-v"
                } else {
                    "-Wl,--version"
                };
                program
                    .arg("-shared")
                    .arg("-o")
                    .arg(self.work_dir.join("probe.out"))
                    .arg(ask)
            }
            Flavour::Gnu | Flavour::Darwin | Flavour::Link => program.arg("--version"),
        };
        let done = self
            .children
            .run(&program.timeout(Some(PATIENCE)), self.task)
            .await;
        let zig = candidate.flavour == Flavour::Driver { zig: true };
        match done {
            Ok(done) if zig => Ok(format!("zig {}", done.stdout.trim())),
            Ok(done) => Ok(done.stdout + &done.stderr),
            Err(error) => {
                // A linker may print its version and still fail because there is no input.
                let said = error
                    .evidence()
                    .map(|e| e.tail.join("\n"))
                    .unwrap_or_default();
                if Family::of(&said).is_some() && error.ended().is_some() {
                    return Ok(said);
                }
                let last = said.lines().last().map(|line| format!(": {line}"));
                Err(format!("{error}{}", last.unwrap_or_default()))
            }
        }
    }

    /// Returns whether a compiler's headers are those of the universal C runtime.
    pub(super) async fn is_ucrt(&self, driver: &[String]) -> bool {
        let source = self.work_dir.join("probe.c");
        if tokio::fs::write(&source, "#include <_mingw.h>\n")
            .await
            .is_err()
        {
            return false;
        }
        let program = self
            .program_words(driver, "runtime")
            .args(["-E", "-dM"])
            .arg(&source);
        match self
            .children
            .run(&program.timeout(Some(PATIENCE)), self.task)
            .await
        {
            Ok(done) => done
                .stdout
                .lines()
                .any(|line| line.starts_with("#define _UCRT")),
            Err(_) => false,
        }
    }

    fn program(&self, candidate: &Candidate, what: &str) -> Program {
        self.program_words(&candidate.command, what)
    }

    fn program_words(&self, words: &[String], what: &str) -> Program {
        let log = self.work_dir.join(format!("probe-{what}.log"));
        let (program, arguments) = words.split_first().map_or(("", &[][..]), |(p, a)| (p, a));
        Program::new(PathBuf::from(program), self.environment.clone(), log)
            .args(arguments)
            .directory(self.work_dir)
    }
}

/// Returns `zig version` for `zig cc …`.
fn program_version(candidate: &Candidate) -> Vec<String> {
    let words = candidate.command.iter().take_while(|word| *word != "cc");
    words.cloned().chain(["version".to_owned()]).collect()
}
