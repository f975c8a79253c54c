//! `sysforge doctor`: is this machine able to build? What is missing, and the command that mends
//! it. The exit code is 0 only if a build can start.

mod images;
mod julias;
mod machine;
mod packages;

use serde::Serialize;
use sysforge_engine::compilers::{SystemCompiler, compiler_of, system_compilers};
use sysforge_engine::{ImageOptions, Planned};
use sysforge_plan::generation::Generation;
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::plan::PlannedJulia;
use sysforge_plan::toolchain::system_hint;
use sysforge_plan::{Os, Triplet};

use crate::args::Platform;
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
    let julias = julias::look(triplet, session).await;
    // Since 1.9 Julia brings an lld, which mostly does without a compiler.
    let brings_linker = |julia: &PlannedJulia| {
        Generation::of(julia.version()).is_some_and(|generation| generation.ships_lld)
    };
    let all_known = julias.known.len() == julias.findings.len();
    let needs_compiler = !all_known || !julias.known.iter().all(brings_linker);
    let mut findings = Vec::new();
    findings.extend(machine::platform(triplet));
    let (about_project, planned) = project(julias.known, session);
    findings.extend(about_project);
    let mut expected = None;
    if let Some(planned) = &planned {
        let bases = sysforge_engine::require_bases(&session.engine, &planned.plan).await;
        if let Err(failure) = bases {
            findings.push(Finding::missing("base", &failure, "base = \"shipped\""));
        }
        findings.push(packages::depot(&planned.files, session));
        findings.extend(packages::missing(planned, session).await);
        findings.extend(packages::committed(&planned.files, session).await);
        let builds = planned.plan.builds.iter();
        let each = builds.map(|build| {
            planned
                .emission(build, &ImageOptions::default(), super::plan::cpus())
                .memory
        });
        expected = each.max();
    }
    findings.extend(images::conflicting(session));
    findings.extend(julias.findings);
    findings.push(compiler(triplet, needs_compiler, session).await);
    findings.push(machine::store(session));
    findings.push(machine::build_folder(session));
    findings.push(machine::space(session));
    findings.push(machine::memory(expected));
    for finding in &mut findings {
        finding.mend = finding.mend.take().map(|mend| session.runnable(mend));
    }
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

impl Finding {
    /// What stands in the way of a build, in the words of the error that it would end with.
    fn missing(check: &'static str, failure: &Failure, otherwise: &str) -> Self {
        let text = failure.0.to_string();
        if let Some((file, line, column)) = failure.0.location() {
            // Below its first line it shows the place.
            let what = text.lines().next().unwrap_or_default();
            let found = format!("{file}:{line}:{column}: {what}");
            let mend = format!("correct line {line} of {file}");
            return Self::bad(check, State::Missing, found, mend);
        }
        let mut found = text;
        let mut source = failure.0.source();
        while let Some(cause) = source {
            found.push_str(&format!(": {cause}"));
            source = cause.source();
        }
        let mend = failure.0.hints().into_iter().next();
        Self::bad(
            check,
            State::Missing,
            found,
            mend.unwrap_or_else(|| otherwise.to_owned()),
        )
    }
}

/// Whether the project can be planned with these Julias.
fn project(julias: Vec<PlannedJulia>, session: &Session) -> (Vec<Finding>, Option<Planned>) {
    const CHECK: &str = "project";
    let plan = || {
        let host = Session::host()?;
        let files = session.engine.location.read(&session.global.julia, host)?;
        let plan = files.inputs.plan(julias)?;
        Ok::<_, Failure>((files, plan))
    };
    match plan() {
        Ok((files, plan)) => {
            let good = Finding::good(CHECK, files.folder.display().to_string());
            let warnings = plan.warnings.iter().map(|warning| {
                let (message, hint) = (warning.message.clone(), warning.hint.clone());
                Finding::bad(CHECK, State::Worth, message, hint)
            });
            let findings = [good].into_iter().chain(warnings).collect();
            (findings, Some(Planned::without_nightlies(files, plan)))
        }
        Err(failure) => {
            let finding = Finding::missing(CHECK, &failure, "sysforge --project DIR …");
            (vec![finding], None)
        }
    }
}

async fn compiler(triplet: Triplet, needed: bool, session: &Session) -> Finding {
    const CHECK: &str = "C toolchain";
    let lacking = if needed { State::Missing } else { State::Worth };
    let mend = system_hint(triplet);
    match chosen_compiler(triplet, session).await {
        Ok(None) => {}
        Ok(Some(chosen)) => {
            return match &chosen.unsuitable {
                None => described(CHECK, &chosen),
                Some(why) => Finding::bad(CHECK, State::Missing, why.to_string(), UNSET),
            };
        }
        // No other is tried then.
        Err(found) => return Finding::bad(CHECK, State::Missing, found, UNSET),
    }
    let found = match system_compilers(triplet, &session.engine).await {
        Ok(found) => found,
        Err(failure) => return Finding::bad(CHECK, lacking, failure.0.to_string(), mend),
    };
    if let Some(good) = found.iter().find(|compiler| compiler.unsuitable.is_none()) {
        return described(CHECK, good);
    }
    if let Some(installed) = session.engine.installed_toolchain(triplet) {
        return Finding::good(CHECK, installed.compiler.display().to_string());
    }
    let unsuitable = found.into_iter().find_map(|compiler| compiler.unsuitable);
    if !needed {
        return Finding::good(CHECK, "no C compiler is needed: this Julia ships lld");
    }
    let found = unsuitable.map_or_else(
        || "no C compiler was found".to_owned(),
        |why| why.to_string(),
    );
    Finding::bad(CHECK, State::Missing, found, mend)
}

/// What mends a compiler that was named and is none.
const UNSET: &str = "unset JULIA_CC, and Sysforge chooses a compiler; or name another in it";

fn described(check: &'static str, compiler: &SystemCompiler) -> Finding {
    let SystemCompiler {
        command, traits, ..
    } = compiler;
    let command = command.join(" ");
    Finding::good(
        check,
        format!("{command} ({} {})", traits.maker, traits.version),
    )
}

/// The compiler that JULIA_CC names, if it names one, or why it is none.
async fn chosen_compiler(
    triplet: Triplet,
    session: &Session,
) -> Result<Option<SystemCompiler>, String> {
    let Some(named) = session.engine.environment.get("JULIA_CC") else {
        return Ok(None);
    };
    let named = named.to_string_lossy();
    let host = Session::host().map_or(Os::Linux, Triplet::os);
    let words = match LinkerChoice::parse(&named, host) {
        Ok(LinkerChoice::Words(words)) => words,
        Ok(_) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    match compiler_of(words, triplet, &session.engine).await {
        Ok(Some(compiler)) => Ok(Some(compiler)),
        _ => Err(format!("JULIA_CC names `{named}`, which is no C compiler")),
    }
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
