//! Tries linkers in order: each is identified and run, and its result is inspected before it is
//! moved to its destination.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::link::symbols::{SymbolLibrary, library_of, undefined_in};
use sysforge_plan::link::{
    Candidate, Finding, Flavour, Inspection, Layout, Linked, NOT_FOR_GNU_PE, PassedOver, Strategy,
    linker,
};

use sysforge_plan::{Os, Task, Triplet};

use super::LinkJob;
use super::error::LinkError;
use super::find;
use super::libraries::Library;
use super::paths::{move_into_place, sibling};
use super::probe::{Answer, Prober, Refusal};
use super::scan::Scan;
use crate::inspect::inspect;
use crate::{Children, Environment, ProcessError, Program};

/// A link in progress.
pub(super) struct Link<'a> {
    pub(super) job: &'a LinkJob,
    pub(super) layout: Layout,
    pub(super) scan: Scan,
    pub(super) libraries: Vec<Library>,
    /// Symbols defined neither by Julia's libraries nor by the C library: the compiler's support
    /// functions, and undefined ones.
    pub(super) missing: BTreeSet<String>,
    /// The compiler's support library shipped with Julia, if the objects need it.
    pub(super) support: Option<PathBuf>,
    pub(super) exports: PathBuf,
    pub(super) shims: PathBuf,
    /// The stub of macOS's system library.
    pub(super) libsystem: Option<PathBuf>,
    /// Compiler drivers for Windows with the same C runtime as Julia.
    pub(super) toolchains: Vec<Vec<String>>,
    pub(super) environment: Environment,
    pub(super) work_dir: PathBuf,
    pub(super) children: &'a Children,
    pub(super) task: &'a Task,
}

/// Why a candidate was not successful.
pub(super) enum Failure {
    /// It is not used for this reason; the next one may work.
    PassedOver(String),
    /// It uses the universal C runtime.
    Ucrt,
    /// It ran and failed in a way that the next one may not.
    Failed(LinkError),
    /// No other linker would succeed.
    Final(LinkError),
}

impl Link<'_> {
    pub(super) async fn first_that_works(
        &self,
        candidates: Vec<Candidate>,
    ) -> Result<Linked, LinkError> {
        let mut passed_over: Vec<PassedOver> = Vec::new();
        let mut first_failure = None;
        let mut ucrt = None;
        for (attempt, candidate) in candidates.iter().enumerate() {
            let program = candidate.command.join(" ");
            let reason = match self.attempt(attempt, candidate).await {
                Ok(linked) => {
                    return Ok(Linked {
                        passed_over,
                        ..linked
                    });
                }
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::PassedOver(reason)) => reason,
                Err(Failure::Ucrt) => {
                    ucrt.get_or_insert_with(|| program.clone());
                    "it compiles for the universal C runtime".to_owned()
                }
                Err(Failure::Failed(error)) => {
                    let reason = error.to_string();
                    first_failure.get_or_insert(error);
                    reason
                }
            };
            self.task.line(format!("{program}: {reason}"));
            passed_over.push(PassedOver {
                strategy: candidate.strategy,
                program,
                reason,
            });
        }
        Err(match (first_failure, ucrt) {
            (Some(LinkError::Failed { linker, source, .. }), _) => LinkError::Failed {
                linker,
                source,
                passed_over,
            },
            (Some(error), _) => error,
            (None, Some(program)) => LinkError::Ucrt { program },
            (None, None) => {
                let triplet = self.job.julia.triplet;
                match passed_over.as_slice() {
                    [only] if only.strategy == Strategy::Chosen => LinkError::Unusable {
                        program: only.program.clone(),
                        triplet,
                        reason: only.reason.clone(),
                    },
                    _ => LinkError::NoLinker {
                        triplet,
                        passed_over,
                    },
                }
            }
        })
    }

    async fn attempt(&self, attempt: usize, candidate: &Candidate) -> Result<Linked, Failure> {
        let shims = self.create_shim(candidate).map_err(Failure::Final)?;
        let prober = Prober {
            triplet: self.job.julia.triplet,
            environment: self.environment_of(candidate),
            work_dir: &self.work_dir,
            children: self.children,
            task: self.task,
        };
        let answer = match prober.ask(candidate, shims.as_deref()).await {
            Ok(answer) => answer,
            Err(Refusal::Ucrt) => return Err(Failure::Ucrt),
            Err(Refusal::Other(reason)) => return Err(Failure::PassedOver(reason)),
        };
        let without_driver = candidate.flavour == Flavour::Gnu;
        let builtins: Vec<_> = self
            .missing
            .iter()
            .filter(|name| library_of(name).is_some())
            .collect();
        if without_driver && self.job.julia.triplet.os() != Os::Windows && !builtins.is_empty() {
            let names: Vec<_> = builtins.into_iter().map(String::as_str).collect();
            return Err(Failure::PassedOver(format!(
                "without a compiler driver, {} would stay undefined",
                names.join(", ")
            )));
        }
        if matches!(candidate.strategy, Strategy::JuliaLld | Strategy::Lld) {
            self.try_sample(candidate).await?;
        }
        self.run(attempt, candidate, shims, &answer).await
    }

    async fn run(
        &self,
        attempt: usize,
        candidate: &Candidate,
        shims: Option<PathBuf>,
        answer: &Answer,
    ) -> Result<Linked, Failure> {
        let sibling = sibling(&self.job.output).map_err(Failure::Final)?;
        let partial = sibling.path().join(&self.job.name);
        let mut spec = self.spec(candidate, partial.clone(), shims).await;
        if answer.family == Some(linker::Family::GnuLd)
            && self.job.julia.triplet.os() == Os::Windows
        {
            let script = self.work_dir.join("discard.ld");
            let write = PathError::wrap("write", &script, |error| Failure::Final(error.into()));
            std::fs::write(&script, NOT_FOR_GNU_PE).map_err(write)?;
            spec.discard = Some(script);
        }
        let log = match attempt {
            0 => self.job.log.clone(),
            n => self.job.log.with_extension(format!("{n}.log")),
        };
        let (program, leading) = words(candidate)?;
        let program = Program::new(program, self.environment_of(candidate), &log)
            .args(leading)
            .args(spec.arguments(candidate.flavour))
            .directory(&self.work_dir)
            .timeout(self.job.timeout);
        let done = match self.children.run(&program, self.task).await {
            Ok(done) => done,
            Err(source) => return Err(self.failure(answer, source)),
        };
        if !partial.is_file() {
            let linker = answer.version.clone();
            return Err(Failure::Failed(LinkError::NoImage { linker }));
        }
        self.sign(&partial).await.map_err(Failure::Final)?;
        let inspection = inspect(&partial).map_err(|e| Failure::Failed(e.into()))?;
        let wanted = self.expectation(candidate);
        if let Err(findings) = inspection.verify(&wanted) {
            if let [Finding::Ucrt { .. }] = findings[..] {
                return Err(Failure::Ucrt);
            }
            let linker = answer.version.clone();
            return Err(Failure::Failed(LinkError::Rejected { linker, findings }));
        }
        self.nothing_missing(&inspection)?;
        if let (Some(asked), Some(ran)) = (answer.family, inspection.linker)
            && asked != ran
            && asked != linker::Family::Zig
        {
            return Err(Failure::PassedOver(format!(
                "{asked} answered, but {ran} linked"
            )));
        }
        move_into_place(&partial, &self.job.output).map_err(Failure::Final)?;
        Ok(Linked {
            strategy: candidate.strategy,
            program: candidate.command.join(" "),
            linker_version: answer.version.clone(),
            passed_over: Vec::new(),
            inspection,
            wall_seconds: done.wall.as_secs_f64(),
        })
    }

    /// Signs an image for macOS without an identity (ad hoc). This is the last change, because a
    /// later one would invalidate the signature. Only macOS has `codesign`; elsewhere the linker
    /// has signed the image.
    async fn sign(&self, image: &Path) -> Result<(), LinkError> {
        let host = find::host().map(Triplet::os);
        if self.job.julia.triplet.os() != Os::MacOs || host != Some(Os::MacOs) {
            return Ok(());
        }
        let log = self.work_dir.join("codesign.log");
        let program = Program::new("/usr/bin/codesign", self.environment.clone(), log)
            .args(["--force", "--sign", "-"])
            .arg(image)
            .timeout(self.job.timeout);
        match self.children.run(&program, self.task).await {
            Ok(_) => Ok(()),
            Err(source) => Err(LinkError::Unsigned(Box::new(source))),
        }
    }

    /// Checks for undefined symbols: ELF linkers accept them, but the image would fail to load.
    fn nothing_missing(&self, image: &Inspection) -> Result<(), Failure> {
        let left = image
            .imports
            .iter()
            .filter(|name| self.missing.contains(*name));
        let symbols: Vec<_> = left.map(|name| (name.clone(), library_of(name))).collect();
        if symbols.is_empty() {
            return Ok(());
        }
        let is_final = symbols.iter().any(|(_, library)| library.is_none());
        let error = LinkError::Undefined {
            symbols,
            evidence: None,
        };
        Err(if is_final {
            Failure::Final(error)
        } else {
            Failure::Failed(error)
        })
    }

    /// Classifies a failure by the linker's messages: for a symbol that nothing defines, no other
    /// linker is tried.
    fn failure(&self, answer: &Answer, source: ProcessError) -> Failure {
        let evidence = source.evidence();
        let log = evidence.as_ref().and_then(|evidence| evidence.log.clone());
        let said = log
            .and_then(|log| sysforge_files::read_text(log).ok())
            .unwrap_or_default();
        let undefined = undefined_in(&said);
        if !undefined.is_empty() {
            let symbols: Vec<_> = undefined.into_iter().map(|s| (library_of(&s), s)).collect();
            let is_final = symbols
                .iter()
                .any(|(library, _)| *library != Some(SymbolLibrary::Compiler));
            let symbols = symbols
                .into_iter()
                .map(|(library, name)| (name, library))
                .collect();
            let error = LinkError::Undefined { symbols, evidence };
            return if is_final {
                Failure::Final(error)
            } else {
                Failure::Failed(error)
            };
        }
        let linker = answer.version.clone();
        Failure::Failed(LinkError::Failed {
            linker,
            source: Box::new(source),
            passed_over: Vec::new(),
        })
    }
}

/// Returns a candidate's program and its leading arguments.
pub(super) fn words(candidate: &Candidate) -> Result<(&String, &[String]), Failure> {
    let words = candidate.command.split_first();
    words.ok_or_else(|| Failure::PassedOver("the command is empty".to_owned()))
}
