//! Errors of installing packages. Pkg's own messages are kept; this module classifies the failure,
//! which decides the exit code and the hints.

use std::path::PathBuf;
use std::time::Duration;

use sysforge_plan::toml_error::TomlError;
use sysforge_plan::{Class, Evidence, Explain, PathError, units};
use sysforge_process::ProcessError;

use super::report::{Answer, Report};
use crate::depots::{MissingPackage, registry_hint};
use crate::workdir::{WorkDir, WorkDirError};

/// Packages could not be installed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum InstantiateError {
    #[error("`--offline` is set, and no depot holds {}", list(.missing))]
    Offline { missing: Vec<MissingPackage> },
    #[error(
        "`--offline` is set, and the versions of the packages have to be resolved without a registry"
    )]
    OfflineRegistry,
    #[error(
        "there is no depot to install packages in: neither JULIA_DEPOT_PATH nor HOME names one"
    )]
    NoDepot,
    #[error("the depot {} cannot be written to", .depot.display())]
    Unwritable {
        depot: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("SYSFORGE_PKG_AUTH is set, but `{server}` is not a package server")]
    AuthWithoutServer { server: String },
    #[error("the source of `{name}` is {}, which {found}", .folder.display())]
    Source {
        name: String,
        folder: PathBuf,
        found: String,
    },
    #[error("{manifest} has the package `{name}` in {}, which {found}", .folder.display())]
    Developed {
        manifest: String,
        name: String,
        folder: PathBuf,
        found: String,
    },
    #[error("the project is the package `{name}`, but it has no {entry}")]
    NoEntry { name: String, entry: String },
    #[error("the workload environment `{name}` does not exist: {lacks}")]
    NoWorkloadEnvironment { name: String, lacks: String },
    #[error("{}", .failure.title())]
    Pkg {
        failure: PkgFailure,
        said: Vec<String>,
        log: Option<PathBuf>,
    },
    #[error(
        "{} stalled: for {} s nothing arrived",
        download(.wanted, .server.as_deref()),
        .limit.as_secs()
    )]
    Stalled {
        /// The package server; `None` if packages come from git repositories.
        server: Option<String>,
        wanted: Vec<String>,
        limit: Duration,
        evidence: Evidence,
    },
    #[error("Pkg failed, and {} is not a registry that it can read: {why}", .folder.display())]
    Registry {
        folder: PathBuf,
        why: String,
        /// What Pkg said.
        failure: Box<Self>,
    },
    #[error("the Julia that installs packages failed")]
    Julia(#[source] Box<ProcessError>),
    #[error(transparent)]
    Toml(#[from] TomlError),
    #[error(transparent)]
    Io(PathError),
    #[error(transparent)]
    WorkDir(#[from] WorkDirError),
}

/// The kind of a Pkg failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PkgFailure {
    /// A package is in no registry.
    NotRegistered(Option<String>),
    /// No versions satisfy all bounds.
    Unsatisfiable,
    /// A server refused access.
    Unauthorized,
    /// A proxy requires a login.
    ProxyLogin,
    /// The certificate of a server is not trusted.
    Certificate,
    /// A download has the wrong content.
    Damaged,
    /// A server cannot be reached, or lacks a file.
    Server,
    /// The disk is full.
    FullDisk,
    /// Files cannot be written.
    Denied,
    /// A build script failed.
    Build(Option<String>),
    /// A package cannot be precompiled.
    Precompile(Option<String>),
    /// Anything else.
    Other,
}

fn list(missing: &[impl ToString]) -> String {
    let names: Vec<_> = missing.iter().map(ToString::to_string).collect();
    match names.as_slice() {
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
        [] => "some packages".to_owned(),
    }
}

/// Describes the download of these packages.
fn download(wanted: &[String], server: Option<&str>) -> String {
    let what = match wanted {
        [] => "registries or packages".to_owned(),
        wanted => list(wanted),
    };
    match server {
        Some(server) => format!("the download of {what} from {server}"),
        None => format!("the download of {what}"),
    }
}

/// Words of curl, of libcurl with each TLS library, and of LibGit2 about a certificate that is not
/// trusted, in lower case.
const UNTRUSTED: &[&str] = &[
    "certificate problem",
    "cert verify failed",
    "badcert_",
    "no alternative certificate subject name",
    "certificate is invalid",
    "certificate verify failed",
    "certificate verification failed",
    "code:ecertificate",
    "sec_e_untrusted_root",
    "certificate chain",
];

/// The maximum number of lines of Pkg's message that are shown.
const SHOWN: usize = 20;

/// With fewer free bytes, a disk counts as full after a download failed for no other known reason: a
/// copy of the registry General has several times as many.
const ALMOST_FULL: u64 = 16 << 20;

impl PkgFailure {
    /// Classifies a failure by the messages of Pkg 1.5 to 1.12, LibGit2, curl and libcurl. `kind`
    /// is the script's report.
    #[must_use]
    pub fn recognise(kind: &str, said: &str, output: &str) -> Self {
        let all = format!("{said}\n{output}").to_lowercase();
        let has = |words: &[&str]| contains_any(&all, words);
        let message = said.to_lowercase();
        let says = |words: &[&str]| contains_any(&message, words);
        if has(&[
            "no space left on device",
            "enospc",
            "disk quota",
            "not enough space on the disk",
        ]) {
            return Self::FullDisk;
        }
        if says(&["error building"]) {
            return Self::Build(quoted_after(said, "Error building"));
        }
        if kind == "precompile" {
            return Self::Precompile(said.lines().next().map(str::to_owned));
        }
        if says(&["failed to precompile", "precompilation"]) {
            return Self::Precompile(word_after(said, "Failed to precompile "));
        }
        if says(&["unsatisfiable requirements", "empty intersection"]) {
            return Self::Unsatisfiable;
        }
        if has(&[
            "407 from proxy",
            "proxy authentication required",
            "http/1.1 407",
            "returned error: 407",
            "status 407",
        ]) {
            return Self::ProxyLogin;
        }
        if has(UNTRUSTED) {
            return Self::Certificate;
        }
        if has(&[
            "error: 401",
            "error: 403",
            "http/1.1 401",
            "http/1.1 403",
            "http/2 401",
            "http/2 403",
            "returned error: 401",
            "returned error: 403",
            "status 401",
            "status 403",
            "unauthorized",
            "forbidden",
            "authentication required",
            // Messages of Pkg about a token in `auth.toml`.
            "expired auth",
            "no authentication",
            "authentication replays",
            "invalid credentials",
            "could not read username",
            "permission denied (publickey",
        ]) {
            return Self::Unauthorized;
        }
        if has(&[
            "hash mismatch",
            "hash does not match",
            "tree hash",
            "unexpected end of",
            "unexpected eof",
            "truncated",
            "crc error",
            "premature end",
            "not in gzip format",
            "gzip: stdin",
        ]) {
            return Self::Damaged;
        }
        if says(&[
            "eacces",
            "erofs",
            "permission denied",
            "read-only file system",
        ]) {
            return Self::Denied;
        }
        if says(&[
            "to be registered",
            "could not be resolved",
            "not found in a registry",
            "no known versions",
            "cannot find name corresponding to uuid",
        ]) {
            return Self::NotRegistered(backquoted(said));
        }
        if has(&[
            "could not download",
            "failed to clone",
            "failed to fetch",
            "failed to download",
            "could not resolve host",
            "failed to resolve address",
            "couldn't connect",
            "could not connect",
            "connection refused",
            "connection reset",
            "timed out",
            "timeout",
            "requesterror",
            "failed to get tarball",
            "unable to automatically install",
            // Messages of julia/instantiate.jl.
            "no server sent",
            "unable to automatically download",
            "no package server",
            "the requested url returned error",
        ]) {
            return Self::Server;
        }
        Self::Other
    }

    /// Refines the failure by the responses of the package server after it.
    fn with_answers(self, answers: &[Answer]) -> Self {
        let is_of_server = matches!(
            self,
            Self::Unauthorized | Self::Damaged | Self::Server | Self::Other
        );
        let is_untrusted = answers.iter().any(|answer| {
            let problem = answer.problem.to_lowercase();
            answer.status.is_none() && contains_any(&problem, UNTRUSTED)
        });
        let has = |statuses: &[u16]| {
            let mut found = answers.iter().filter_map(|answer| answer.status);
            found.any(|status| statuses.contains(&status))
        };
        match self {
            _ if is_of_server && is_untrusted => Self::Certificate,
            _ if is_of_server && has(&[407]) => Self::ProxyLogin,
            _ if is_of_server && has(&[401, 403]) => Self::Unauthorized,
            Self::Other if answers.iter().any(|answer| answer.failure().is_some()) => Self::Server,
            failure => failure,
        }
    }

    /// Refines the failure by the free bytes of the depot's disk after it: Pkg of Julia 1.6 reports a
    /// download that cannot be written in the words of one that the server refused.
    fn with_free_space(self, free: Option<u64>, answers: &[Answer]) -> Self {
        let may_be_of_disk = matches!(self, Self::Damaged | Self::Server | Self::Other);
        let is_full = free.is_some_and(|free| free < ALMOST_FULL);
        let is_answered = answers.iter().all(|answer| answer.failure().is_none());
        match may_be_of_disk && is_full && is_answered {
            true => Self::FullDisk,
            false => self,
        }
    }

    fn title(&self) -> String {
        match self {
            Self::NotRegistered(Some(name)) => format!("the package {name} is in no registry"),
            Self::NotRegistered(None) => "a package is in no registry".to_owned(),
            Self::Unsatisfiable => {
                "no versions of the packages satisfy all their `[compat]` bounds".to_owned()
            }
            Self::Unauthorized => "a server refused access to a package or registry".to_owned(),
            Self::ProxyLogin => "a proxy wants a login".to_owned(),
            Self::Certificate => "the certificate of a server is not trusted".to_owned(),
            Self::Damaged => "what a server sent is not what was asked for".to_owned(),
            Self::Server => "a package or registry could not be downloaded".to_owned(),
            Self::FullDisk => "the disk is full: packages could not be installed".to_owned(),
            Self::Denied => "files of the depot could not be written".to_owned(),
            Self::Build(Some(name)) => format!("the build script of {name} failed"),
            Self::Build(None) => "the build script of a package failed".to_owned(),
            Self::Precompile(Some(name)) => format!("{name} could not be precompiled"),
            Self::Precompile(None) => "a package could not be precompiled".to_owned(),
            Self::Other => "Pkg failed".to_owned(),
        }
    }

    fn class(&self) -> Class {
        match self {
            Self::NotRegistered(_) | Self::Unsatisfiable => Class::Usage,
            Self::Unauthorized
            | Self::ProxyLogin
            | Self::Certificate
            | Self::Damaged
            | Self::Server => Class::Acquire,
            Self::FullDisk | Self::Denied => Class::Machine,
            Self::Build(_) | Self::Precompile(_) | Self::Other => Class::Julia,
        }
    }

    fn hint(&self) -> &'static str {
        match self {
            Self::NotRegistered(_) => {
                "check its name and UUID in Project.toml; a registry besides General is named by \
                 `registries = [\"URL\"]` in Sysimage.toml"
            }
            Self::Unsatisfiable => {
                "loosen a bound in `[compat]` of Project.toml, or build for another Julia with \
                 `--julia`"
            }
            Self::Unauthorized => {
                "renew the token in `servers/HOST/auth.toml` of the depot or in SYSFORGE_PKG_AUTH, or \
                 give git access: an ssh agent, or a credential helper"
            }
            Self::ProxyLogin => {
                "put the login into the proxy variable: `https_proxy=http://USER:PASSWORD@HOST:PORT`"
            }
            Self::Certificate => {
                "if a company's authority signs it, name the file of its certificates in \
                 JULIA_SSL_CA_ROOTS_PATH, and in SSL_CERT_FILE for Julia 1.5 and for Sysforge itself"
            }
            Self::Damaged => {
                "run the command again; if it stays, the server or a proxy is at fault"
            }
            Self::Server => {
                "check the network, JULIA_PKG_SERVER, the proxy variables and, if it is private, the \
                 token in `servers/HOST/auth.toml` of the depot; then run the command again: what was \
                 downloaded is kept"
            }
            Self::FullDisk => {
                "free some space, or install packages on a larger disk with `--depot DIR`"
            }
            Self::Denied => "install packages in another depot with `--depot DIR`",
            Self::Build(_) => {
                "the lines above are the end of its `build.log`: install what the script looks for, \
                 and run the command again"
            }
            Self::Precompile(_) => {
                "the log has the whole error; does the package support this version of Julia?"
            }
            Self::Other => "the log has all that Pkg printed",
        }
    }
}

impl InstantiateError {
    /// Returns the error for a failed process, which may have reported the cause.
    /// `free` is the number of free bytes of the depot's disk.
    pub(super) fn of(report: Report, source: ProcessError, free: Option<u64>) -> Self {
        let Some((kind, said)) = report.error else {
            return Self::without_words(report, source);
        };
        if kind == "offline" {
            return match report.missing.is_empty() {
                true => Self::OfflineRegistry,
                false => Self::Offline {
                    missing: report.missing,
                },
            };
        }
        let evidence = source.evidence().unwrap_or_default();
        let failure = PkgFailure::recognise(&kind, &said, &evidence.tail.join("\n"));
        let failure = failure
            .with_answers(&report.answers)
            .with_free_space(free, &report.answers);
        let answers = report.answers.iter().filter_map(Answer::failure);
        let message = message(&said);
        // The title contains the package; Julia printed the cause while compiling.
        let said = match failure {
            PkgFailure::Precompile(_) => {
                let lines = evidence.tail.into_iter();
                let failure = lines
                    .skip_while(|line| !line.starts_with("ERROR"))
                    .collect::<Vec<_>>();
                match failure.is_empty() {
                    true => message,
                    false => self::message(&failure.join("\n")),
                }
            }
            PkgFailure::Build(_) => ending(message),
            PkgFailure::FullDisk => {
                let lines = message.into_iter().take(SHOWN);
                let free = free
                    .filter(|free| *free < ALMOST_FULL)
                    .map(|free| format!("the disk of the depot has {} free", units::bytes(free)));
                lines.chain(free).collect()
            }
            _ => message.into_iter().take(SHOWN).chain(answers).collect(),
        };
        Self::Pkg {
            failure,
            said,
            log: evidence.log,
        }
    }

    /// Returns the error for a process that reported none.
    fn without_words(report: Report, source: ProcessError) -> Self {
        let ProcessError::Hung {
            limit, evidence, ..
        } = source
        else {
            return Self::Julia(Box::new(source));
        };
        let last = evidence.tail.last().map_or("", |line| line.trim());
        match last.strip_prefix("Building") {
            Some(building) => Self::Pkg {
                failure: PkgFailure::Build(building.split_whitespace().next().map(str::to_owned)),
                said: vec![format!(
                    "it produced no output and used no CPU for {} s",
                    limit.as_secs()
                )],
                log: evidence.log,
            },
            None => Self::Stalled {
                server: None,
                wanted: match report.absent.is_empty() {
                    true => report.resolving,
                    false => report.absent,
                },
                limit,
                evidence,
            },
        }
    }

    /// Names a registry that Pkg cannot read, if there is one, and Pkg's failure may be due to it.
    pub(super) fn of_registry(self, unusable: Vec<(PathBuf, String)>) -> Self {
        let may_be_due = matches!(
            &self,
            Self::Pkg {
                failure: PkgFailure::NotRegistered(_)
                    | PkgFailure::Unsatisfiable
                    | PkgFailure::Other,
                ..
            }
        );
        match unusable.into_iter().next() {
            Some((folder, why)) if may_be_due => Self::Registry {
                folder,
                why,
                failure: Box::new(self),
            },
            _ => self,
        }
    }

    /// Sets the package server that was used: `None` if packages come from git repositories.
    pub(super) fn of_server(mut self, used: Option<String>) -> Self {
        match &mut self {
            Self::Stalled { server, .. } => *server = used,
            Self::Pkg {
                failure:
                    PkgFailure::Unauthorized
                    | PkgFailure::ProxyLogin
                    | PkgFailure::Certificate
                    | PkgFailure::Damaged
                    | PkgFailure::Server,
                said,
                ..
            } => said.push(match used {
                Some(server) => format!("the package server is {server}"),
                None => "no package server is used: JULIA_PKG_SERVER is empty".to_owned(),
            }),
            _ => {}
        }
        self
    }

    /// Returns the error for a process that succeeded without reporting it.
    pub(super) fn no_report(work: &WorkDir, output: &str) -> Self {
        Self::Pkg {
            failure: PkgFailure::Other,
            said: ending(output.lines().map(str::to_owned).collect()),
            log: Some(work.log("instantiate")),
        }
    }
}

impl Answer {
    /// Describes the response, unless it was a success.
    fn failure(&self) -> Option<String> {
        let what = &self.what;
        let Some(status) = self.status else {
            return Some(format!(
                "asked again for {what}, the server does not answer: {}",
                self.problem
            ));
        };
        let reason = match status {
            200..=299 => return None,
            401 => " (unauthorized)",
            403 => " (forbidden)",
            404 => " (not found)",
            407 => " (the proxy wants a login)",
            429 => " (too many requests)",
            500..=599 => " (an error of the server)",
            _ => "",
        };
        // If access was refused, the problem is that of the token.
        let problem = match status {
            401 | 403 if !self.problem.is_empty() => format!(": {}", self.problem),
            _ => String::new(),
        };
        Some(format!(
            "asked again for {what}, the server answers with status {status}{reason}{problem}"
        ))
    }
}

fn contains_any(text: &str, words: &[&str]) -> bool {
    words.iter().any(|word| text.contains(word))
}

/// Returns an error's message without the stack trace.
fn message(said: &str) -> Vec<String> {
    let lines = said.lines().take_while(|line| line.trim() != "Stacktrace:");
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn ending(mut lines: Vec<String>) -> Vec<String> {
    lines.split_off(lines.len().saturating_sub(SHOWN))
}

/// Returns the first name in backquotes after `words`.
fn quoted_after(text: &str, words: &str) -> Option<String> {
    let (_, rest) = text.split_once(words)?;
    backquoted(rest)
}

/// Returns the first name in backquotes, without its suffix.
fn backquoted(text: &str) -> Option<String> {
    let quoted = text.split('`').nth(1)?;
    quoted.split_whitespace().next().map(str::to_owned)
}

fn word_after(text: &str, words: &str) -> Option<String> {
    let (_, rest) = text.split_once(words)?;
    rest.split_whitespace().next().map(str::to_owned)
}

impl Explain for InstantiateError {
    fn class(&self) -> Class {
        match self {
            Self::Offline { .. } | Self::OfflineRegistry | Self::Stalled { .. } => Class::Acquire,
            Self::NoDepot | Self::Unwritable { .. } => Class::Machine,
            Self::AuthWithoutServer { .. }
            | Self::Source { .. }
            | Self::Developed { .. }
            | Self::NoEntry { .. }
            | Self::NoWorkloadEnvironment { .. }
            | Self::Toml(_) => Class::Usage,
            Self::Registry { failure, .. } => failure.class(),
            Self::Pkg { failure, .. } => failure.class(),
            Self::Julia(source) => source.class_or(Class::Julia),
            Self::Io(error) => error.class(Class::Usage),
            Self::WorkDir(error) => error.class(),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Offline { .. } | Self::OfflineRegistry => {
                vec!["run `sysforge instantiate` once while online".to_owned()]
            }
            Self::Stalled { .. } => vec![
                "run the command again: what was downloaded is kept; if the server is only slow, \
                 allow more with `--idle-timeout SECONDS`"
                    .to_owned(),
            ],
            Self::NoDepot | Self::Unwritable { .. } => {
                vec!["name a depot that you may write to with `--depot DIR`".to_owned()]
            }
            Self::AuthWithoutServer { .. } => {
                vec!["set JULIA_PKG_SERVER to the address of the package server".to_owned()]
            }
            Self::Source { .. } => vec![
                "a `path` in [sources] is the folder of the package, relative to the project file"
                    .to_owned(),
            ],
            Self::Developed { name, .. } => vec![format!(
                "put `{name}` there, or name its folder with `julia --project -e 'using Pkg; \
                 Pkg.develop(path = \"…\")'`"
            )],
            Self::NoEntry { .. } => vec![
                "create the file, list other `packages` in Sysimage.toml, or remove `name` and `uuid` \
                 from Project.toml if the project is no package"
                    .to_owned(),
            ],
            Self::NoWorkloadEnvironment { .. } => vec![
                "`workload-environment` is `test`, a folder with a Project.toml, or a list of \
                 packages"
                    .to_owned(),
            ],
            Self::Registry {
                folder, failure, ..
            } => [registry_hint(folder)]
                .into_iter()
                .chain(failure.hints())
                .collect(),
            Self::Pkg { failure, .. } => vec![failure.hint().to_owned()],
            Self::Julia(source) => source.hints(),
            Self::Toml(error) => error.hints(),
            Self::Io(error) => error.hints(),
            Self::WorkDir(error) => error.hints(),
        }
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        match self {
            Self::Toml(error) => error.location(),
            _ => None,
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Pkg { said, log, .. } => Some(Evidence {
                tail: said.clone(),
                log: log.clone(),
            }),
            Self::Registry { failure, .. } => failure.evidence(),
            Self::Julia(source) => source.evidence(),
            Self::Stalled { evidence, .. } => Some(evidence.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages of Pkg 1.5.3 and 1.6.7.
    #[test]
    fn failures_are_recognised_by_pkgs_own_words() {
        use PkgFailure as F;
        let name = |name: &str| Some(name.to_owned());
        for (said, output, expected) in [
            (
                "expected package `Nowhere [7876af07]` to be registered",
                "",
                F::NotRegistered(name("Nowhere")),
            ),
            (
                "Unsatisfiable requirements detected for package Two [36989c21]:\n Two [36989c21] log:",
                "",
                F::Unsatisfiable,
            ),
            (
                "could not download http://127.0.0.1:1/registries",
                "",
                F::Server,
            ),
            (
                "failed to clone from https://x/General.git, error: GitError(Code:ERROR, Class:Net, \
                 failed to resolve address for x: Name or service not known)",
                "",
                F::Server,
            ),
            (
                "failed to clone from http://127.0.0.1:1/X.git",
                "curl: (22) The requested URL returned error: 401 Unauthorized",
                F::Unauthorized,
            ),
            (
                "failed to clone from https://x/X.git, error: GitError(Code:ECERTIFICATE, Class:SSL, The \
                 SSL certificate is invalid)",
                "",
                F::Certificate,
            ),
            (
                "could not download https://x/registries",
                "curl: (60) SSL certificate problem: unable to get local issuer certificate",
                F::Certificate,
            ),
            (
                "Tree Hash Mismatch!\n  Expected git-tree-sha1: aa",
                "",
                F::Damaged,
            ),
            (
                "SystemError: writing: No space left on device",
                "",
                F::FullDisk,
            ),
            ("IOError: open: permission denied (EACCES)", "", F::Denied),
            (
                "Error building `Built`: \nERROR: LoadError: the compiler is missing",
                "",
                F::Build(name("Built")),
            ),
            (
                "Failed to precompile BadPre [569fab6f] to /x.ji.",
                "",
                F::Precompile(name("BadPre")),
            ),
            ("something new", "", F::Other),
        ] {
            assert_eq!(F::recognise("pkg", said, output), expected, "{said}");
        }
        let precompile = F::recognise("precompile", "BadPre\nFailed", "");
        assert_eq!(precompile, F::Precompile(name("BadPre")));
    }

    #[test]
    fn every_failure_has_a_class_of_its_own_and_a_hint() {
        assert_eq!(PkgFailure::Unsatisfiable.class(), Class::Usage);
        assert_eq!(PkgFailure::Server.class(), Class::Acquire);
        assert_eq!(PkgFailure::FullDisk.class(), Class::Machine);
        assert_eq!(PkgFailure::Build(None).class(), Class::Julia);
    }

    fn failed() -> ProcessError {
        ProcessError::Failed {
            program: "julia".to_owned(),
            ended: sysforge_process::Ended::Code(1),
            peak_memory: 0,
            evidence: Evidence::default(),
        }
    }

    #[test]
    fn the_servers_own_answer_decides() {
        let after = |said: &str, status: &str| {
            let text =
                format!("error\tpkg\t{said}\nanswer\tX 1.0.0\t{status}\toperation timed out\n");
            let error = InstantiateError::of(Report::read(&text), failed(), None);
            error.of_server(Some("https://pkg.example".to_owned()))
        };
        let lines = |error: &InstantiateError| error.evidence().unwrap().tail.join("\n");
        let error = after("failed to clone from https://x/X.git", "401");
        assert!(error.to_string().contains("refused access"), "{error}");
        let said = lines(&error);
        assert!(said.contains(
            "X 1.0.0, the server answers with status 401 (unauthorized): operation timed out"
        ));
        assert!(said.contains("the package server is https://pkg.example"));
        assert_eq!(after("what?", "407").to_string(), "a proxy wants a login");
        let silent = after("failed to clone from https://x/X.git", "");
        assert!(lines(&silent).contains("does not answer: operation timed out"));
        let text = "error\tpkg\tcould not download https://x/registries\nanswer\tthe registries\t\tCert verify \
                    failed: BADCERT_NOT_TRUSTED\n";
        let failure = PkgFailure::Server.with_answers(&Report::read(text).answers);
        assert_eq!(failure, PkgFailure::Certificate);
        // Failures not caused by the server stay the same.
        let bound = after("Unsatisfiable requirements detected", "503");
        assert!(bound.to_string().contains("[compat]"), "{bound}");
    }

    #[test]
    fn a_download_that_fails_on_an_almost_full_disk_is_a_full_disk() {
        let after = |said: &str, answers: &str, free: u64| {
            let report = Report::read(&format!("error\tpkg\t{said}\n{answers}"));
            InstantiateError::of(report, failed(), Some(free))
        };
        let said = "could not download https://pkg.example/registry/a/b";
        let answered = "answer\ta registry\t200\t\n";
        let full = after(said, answered, 90_000);
        assert_eq!(full.class(), Class::Machine);
        let lines = full.evidence().unwrap().tail.join("\n");
        assert!(lines.contains("has 90.0 kB free"), "{lines}");
        assert_eq!(after(said, answered, 1 << 30).class(), Class::Acquire);
        let refused = "answer\ta registry\t503\t\n";
        assert_eq!(after(said, refused, 90_000).class(), Class::Acquire);
        let bound = after("Unsatisfiable requirements detected", "", 90_000);
        assert_eq!(bound.class(), Class::Usage);
    }

    #[test]
    fn a_download_that_stalls_names_server_and_package() {
        let hung = |last: &str| {
            let hung = ProcessError::Hung {
                program: "julia".to_owned(),
                limit: Duration::from_secs(600),
                evidence: Evidence {
                    tail: vec![last.to_owned()],
                    log: None,
                },
            };
            let report = Report::read("absent\tX\t1.0.0\nabsent\tY\t2.0.0\n");
            InstantiateError::of(report, hung, None)
                .of_server(Some("https://pkg.example".to_owned()))
        };
        assert_eq!(
            hung("  Cloning x").to_string(),
            "the download of X 1.0.0 and Y 2.0.0 from https://pkg.example stalled: for 600 s nothing \
             arrived"
        );
        let building = hung("  Building Wreck → `~/x`");
        assert_eq!(building.to_string(), "the build script of Wreck failed");
    }

    #[test]
    fn offline_names_every_missing_package() {
        let package = |name: &str| MissingPackage {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            tree: "abcdef0123".to_owned(),
            repo: None,
        };
        let missing = vec![package("A"), package("B")];
        let error = InstantiateError::Offline { missing };
        let expected = "`--offline` is set, and no depot holds A 1.0.0 and B 1.0.0";
        assert_eq!(error.to_string(), expected);
        assert_eq!(error.class(), Class::Acquire);
    }
}
