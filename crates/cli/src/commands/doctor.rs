//! `sysforge doctor`: is this machine able to build? What is missing, and the command that mends
//! it. The exit code is 0 only if a build can start.

use std::path::Path;

use serde::Serialize;
use sysforge_acquire::Store;
use sysforge_plan::generation::Generation;
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::toolchain::system_hint;
use sysforge_plan::{JuliaVersion, Request, Triplet};

use crate::args::Platform;
use crate::commands::toolchain::system_compilers;
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;

/// How one thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Good,
    /// A build can start without it, but something will be slower or missing.
    Worth,
    /// A build cannot start.
    Missing,
}

/// One thing that a build needs.
#[derive(Debug, Clone, Serialize)]
struct Finding {
    check: &'static str,
    state: State,
    found: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

#[derive(Serialize)]
struct Report {
    triplet: Triplet,
    able: bool,
    findings: Vec<Finding>,
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Good,
            found: found.into(),
            mend: None,
        }
    }

    fn bad(
        check: &'static str,
        state: State,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            found: found.into(),
            mend: Some(mend.into()),
        }
    }
}

pub(crate) async fn run(platform: &Platform, session: &Session) -> Outcome {
    let triplet = platform.triplet()?;
    let (julia, version) = julia(triplet, session).await;
    // Since 1.9 Julia brings an lld, which mostly does without a compiler.
    let needs_compiler = version
        .as_ref()
        .and_then(Generation::of)
        .is_none_or(|generation| !generation.ships_lld);
    let findings = vec![
        project(session),
        julia,
        compiler(triplet, needs_compiler, session).await,
        store(session),
        space(session),
        memory(),
    ];
    let able = findings.iter().all(|f| f.state != State::Missing);
    let report = Report {
        triplet,
        able,
        findings,
    };
    if session.global.json {
        session.terminal.json(&report);
    } else {
        session.terminal.data(&text(&report));
    }
    if able {
        Ok(())
    } else {
        Err(CliError::CannotBuild.into())
    }
}

fn project(session: &Session) -> Finding {
    const CHECK: &str = "project";
    let named = session.global.project.as_deref();
    let host = Session::host().unwrap_or(Triplet::X86_64_LINUX_GNU);
    match crate::project::read(named, None, &[], host) {
        Ok(files) if files.inputs.manifest.is_some() => {
            Finding::good(CHECK, files.folder.display().to_string())
        }
        Ok(files) => Finding::bad(
            CHECK,
            State::Worth,
            format!("{} has no Manifest.toml", files.folder.display()),
            "julia --project -e 'using Pkg; Pkg.instantiate()'",
        ),
        Err(failure) => {
            let hints = failure.0.hints();
            Finding::bad(
                CHECK,
                State::Missing,
                failure.0.to_string(),
                hints.into_iter().next().unwrap_or_default(),
            )
        }
    }
}

/// The request that a build would begin with: the command line's, else the project's.
fn request(session: &Session) -> Result<Request, Failure> {
    let global = &session.global;
    let read = crate::project::read(
        global.project.as_deref(),
        None,
        &global.julia,
        Session::host()?,
    );
    let first = match read {
        Ok(files) => files.inputs.requests()?.into_iter().next(),
        // Another line says what is wrong with the project.
        Err(_) => None,
    };
    match first {
        Some(request) => Ok(request),
        None => {
            let asked = global.julia.first().map_or("release", String::as_str);
            let request: Request = asked.parse()?;
            Ok(request.for_project(&ProjectJulia::default())?)
        }
    }
}

/// The Julia that would be built for, and its version.
async fn julia(triplet: Triplet, session: &Session) -> (Finding, Option<JuliaVersion>) {
    const CHECK: &str = "julia";
    let outcome = async {
        let request = request(session)?;
        let asked = request.to_string();
        if !request.needs_catalogue() {
            let found = format!("`{asked}`, of this machine");
            return Ok::<_, Failure>((found, None));
        }
        let acquirer = session.acquirer()?;
        let choice = acquirer.catalogue().await?.choose(&request, triplet)?;
        let state = match acquirer.installed(&choice)? {
            Some(julia) => format!("installed in {}", julia.prefix.display()),
            None => format!("{} MB to fetch", choice.file.size / 1_000_000),
        };
        let found = format!("{} answers `{asked}`; {state}", choice.version);
        Ok((found, Some(choice.version)))
    };
    match outcome.await {
        Ok((found, version)) => (Finding::good(CHECK, found), version),
        Err(failure) => {
            let hints = failure.0.hints();
            let finding = Finding::bad(
                CHECK,
                State::Missing,
                failure.0.to_string(),
                hints.into_iter().next().unwrap_or_else(|| {
                    "sysforge --mirror URL|DIR …, or --julia DIR for an installed one".to_owned()
                }),
            );
            (finding, None)
        }
    }
}

async fn compiler(triplet: Triplet, needed: bool, session: &Session) -> Finding {
    const CHECK: &str = "C toolchain";
    let lacking = if needed { State::Missing } else { State::Worth };
    let found = match system_compilers(triplet, session).await {
        Ok(found) => found,
        Err(failure) => {
            return Finding::bad(CHECK, lacking, failure.0.to_string(), system_hint(triplet));
        }
    };
    if let Some(good) = found.iter().find(|compiler| compiler.unsuitable.is_none()) {
        let traits = &good.traits;
        return Finding::good(
            CHECK,
            format!(
                "{} ({} {})",
                good.command.join(" "),
                traits.maker,
                traits.version
            ),
        );
    }
    let fetched = sysforge_plan::toolchain::for_target(triplet)
        .filter(|row| row.traits().check(row.name, triplet).is_ok())
        .find_map(|row| {
            let acquirer = session.acquirer().ok()?;
            acquirer.installed_toolchain(row).ok()?
        });
    match (fetched, found.first()) {
        (Some(installed), _) => Finding::good(CHECK, installed.compiler.display().to_string()),
        (None, Some(unsuitable)) => Finding::bad(
            CHECK,
            lacking,
            unsuitable
                .unsuitable
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            system_hint(triplet),
        ),
        (None, None) => Finding::bad(
            CHECK,
            lacking,
            "no C compiler was found",
            system_hint(triplet),
        ),
    }
}

fn store(session: &Session) -> Finding {
    const CHECK: &str = "store";
    let path = match session.store_path() {
        Ok(path) => path,
        Err(error) => {
            return Finding::bad(CHECK, State::Missing, error.to_string(), "--store DIR");
        }
    };
    let store = Store::open(&path);
    match store.check_writable() {
        Ok(()) => Finding::good(CHECK, path.display().to_string()),
        Err(error) => Finding::bad(
            CHECK,
            State::Worth,
            format!("{} cannot be written to ({error})", path.display()),
            "sysforge --store DIR … (or SYSFORGE_STORE)",
        ),
    }
}

/// What an image takes while it is made: objects, image, archive, and the Julia itself.
const SPACE: u64 = 4 << 30;

fn space(session: &Session) -> Finding {
    const CHECK: &str = "disk space";
    let here = session
        .global
        .build_dir
        .clone()
        .unwrap_or_else(|| ".".into());
    match free_space(&here) {
        Some(free) if free >= SPACE => Finding::good(CHECK, format!("{} GB", free / 1_000_000_000)),
        Some(free) => Finding::bad(
            CHECK,
            State::Worth,
            format!(
                "{:.1} GB; images of several GB of objects need more",
                free as f64 / 1e9
            ),
            "free some, or build on a larger disk (--build-dir DIR)",
        ),
        None => Finding::good(CHECK, "unknown"),
    }
}

/// Free bytes of the disk that a folder lies on.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let status = rustix::fs::statvfs(folder).ok()?;
    Some(status.f_bavail * status.f_frsize)
}

/// Free bytes of the disk that a folder lies on.
#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

/// Emitting peaks at several GB for large packages; 2 GB do for small ones.
const MEMORY: u64 = 2 << 30;

fn memory() -> Finding {
    const CHECK: &str = "memory";
    match available_memory() {
        Some(free) if free >= MEMORY => {
            Finding::good(CHECK, format!("{:.1} GB available", free as f64 / 1e9))
        }
        Some(free) => Finding::bad(
            CHECK,
            State::Worth,
            format!(
                "{:.1} GB available; large packages need more",
                free as f64 / 1e9
            ),
            "close other programs, add swap, or use a larger machine",
        ),
        None => Finding::good(CHECK, "unknown"),
    }
}

/// What the kernel thinks can be had without swapping (Linux only).
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

fn text(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let mark = match finding.state {
            State::Good => "ok     ",
            State::Worth => "warning",
            State::Missing => "MISSING",
        };
        text.push_str(&format!(
            "{mark}  {:<12} {}\n",
            finding.check, finding.found
        ));
        if let Some(mend) = &finding.mend {
            text.push_str(&format!("                      → {mend}\n"));
        }
    }
    let verdict = if report.able {
        "a build can start"
    } else {
        "a build cannot start"
    };
    text.push_str(&format!("\n{verdict} for {}\n", report.triplet));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_has_the_command_that_mends_it() {
        let report = Report {
            triplet: Triplet::X86_64_LINUX_GNU,
            able: false,
            findings: vec![
                Finding::good("project", "/home/me/Insurance"),
                Finding::bad(
                    "C toolchain",
                    State::Missing,
                    "no C compiler was found",
                    system_hint(Triplet::X86_64_LINUX_GNU),
                ),
            ],
        };
        insta::assert_snapshot!(text(&report), @r"
        ok       project      /home/me/Insurance
        MISSING  C toolchain  no C compiler was found
                              → install gcc (`apt-get install gcc`, `dnf install gcc`, `apk add gcc musl-dev`)

        a build cannot start for x86_64-linux-gnu
        ");
    }
}
