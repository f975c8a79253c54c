//! Checks whether this machine can build: reports what is missing, and a remedy for each.

mod images;
mod julias;
mod machine;
mod packages;

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;
use sysforge_plan::explain::causes;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::LinkerChoice;
use sysforge_plan::plan::PlannedJulia;
use sysforge_plan::toolchain::system_hint;
use sysforge_plan::{Os, Triplet};

use crate::compilers::{SystemCompiler, compiler_of, system_compilers};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::options::ImageOptions;
use crate::planning::{Planned, require_packages, resolve_bases};

/// The result of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Nothing to do.
    Good,
    /// A build can start without it, but something will be slower or missing.
    #[serde(rename = "worth")]
    Warning,
    /// A build cannot start.
    Missing,
}

/// One thing that a build needs.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// The subject of the check.
    pub check: &'static str,
    /// The result.
    pub state: State,
    /// What was found.
    pub found: String,
    /// What to do about it.
    #[serde(rename = "mend", skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// Whether a build can start, and why not.
#[derive(Debug, Serialize)]
pub struct Diagnosis {
    /// The platform to build for.
    pub triplet: Triplet,
    /// Whether a build can start.
    pub able: bool,
    /// The results of all checks.
    pub findings: Vec<Finding>,
}

/// What to diagnose.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The platform to build for.
    pub triplet: Triplet,
    /// Requests for Julias, which replace those of the project.
    pub julias: &'a [String],
    /// The project that the shell activates (`JULIA_PROJECT`).
    pub active_project: Option<PathBuf>,
}

impl fmt::Display for Diagnosis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let state = match finding.state {
                State::Good => "ok",
                State::Warning => "warning",
                State::Missing => "MISSING",
            };
            writeln!(f, "{state:<7}  {:<12} {}", finding.check, finding.found)?;
            if let Some(remedy) = &finding.remedy {
                writeln!(f, "{:22}→ {remedy}", "")?;
            }
        }
        let verdict = match self.able {
            true => "a build can start",
            false => "a build cannot start",
        };
        writeln!(f, "\n{verdict} for {}", self.triplet)
    }
}

impl Finding {
    fn good(check: &'static str, found: impl Into<String>) -> Self {
        Self {
            check,
            state: State::Good,
            found: found.into(),
            remedy: None,
        }
    }

    fn bad(
        check: &'static str,
        state: State,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            check,
            state,
            found: found.into(),
            remedy: Some(remedy.into()),
        }
    }
}

/// Checks everything that a build needs.
pub async fn diagnose(subject: &Subject<'_>, engine: &Engine) -> Diagnosis {
    let triplet = subject.triplet;
    let julias = julias::look(subject.julias, triplet, engine).await;
    // Julia ships an lld since 1.9, which links most images without a compiler.
    let ships_linker = |julia: &PlannedJulia| {
        Generation::of(julia.version()).is_some_and(|generation| generation.ships_lld)
    };
    let all_known = julias.known.len() == julias.findings.len();
    let needs_compiler = !all_known || !julias.known.iter().all(ships_linker);
    let mut findings = Vec::new();
    findings.extend(machine::platform(triplet));
    let (about_project, mut planned) = project(subject.julias, julias.known, engine);
    findings.extend(about_project);
    let mut expected = None;
    if let Some(planned) = &mut planned {
        if let Err(failure) = resolve_bases(engine, &mut planned.plan).await {
            findings.push(Finding::missing("base", &failure, "base = \"shipped\""));
        }
        let builds = planned.plan.builds.iter();
        let mut unloadable = builds.map(|build| require_packages(&planned.files, build));
        if let Some(Err(failure)) = unloadable.find(Result::is_err) {
            findings.push(Finding::missing("packages", &failure, "correct its `path`"));
        }
        findings.push(packages::depot(&planned.files, engine));
        findings.extend(packages::unusable(&planned.files, engine));
        findings.extend(packages::missing(planned, engine).await);
        findings.extend(packages::committed(&planned.files, engine).await);
        let builds = planned.plan.builds.iter();
        let each = builds.map(|build| planned.emission(build, &ImageOptions::default()).memory);
        expected = each.max();
    }
    findings.extend(images::unusable(engine));
    findings.extend(images::conflicting(
        subject.active_project.as_deref(),
        engine,
    ));
    findings.extend(julias.findings);
    findings.push(compiler(triplet, needs_compiler, engine).await);
    findings.push(machine::store(engine));
    findings.push(machine::build_folder(engine));
    findings.push(machine::space(engine));
    findings.push(machine::memory(expected));
    for finding in &mut findings {
        finding.remedy = finding.remedy.take().map(|hint| engine.runnable(hint));
    }
    Diagnosis {
        triplet,
        able: findings.iter().all(|f| f.state != State::Missing),
        findings,
    }
}

impl Finding {
    /// A finding that prevents a build, with the message of the error that the build would end
    /// with.
    fn missing(check: &'static str, failure: &Failure, otherwise: &str) -> Self {
        Self::failed(check, State::Missing, failure, otherwise)
    }

    /// A finding with the message, the causes and the hint of an error.
    fn failed(check: &'static str, state: State, failure: &Failure, otherwise: &str) -> Self {
        let text = failure.0.to_string();
        if let Some((file, line, column)) = failure.0.location() {
            // The lines after the first show the position.
            let what = text.lines().next().unwrap_or_default();
            let found = format!("{file}:{line}:{column}: {what}");
            let remedy = format!("correct line {line} of {file}");
            return Self::bad(check, state, found, remedy);
        }
        let mut found = vec![text];
        found.extend(causes(failure.0.as_ref()));
        let found = found.join(": ");
        let remedy = failure.0.hints().into_iter().next();
        let remedy = remedy.unwrap_or_else(|| otherwise.to_owned());
        Self::bad(check, state, found, remedy)
    }
}

/// Whether the project can be planned with these Julias.
fn project(
    asked: &[String],
    julias: Vec<PlannedJulia>,
    engine: &Engine,
) -> (Vec<Finding>, Option<Planned>) {
    const CHECK: &str = "project";
    let plan = || {
        let files = engine.location.read(asked, Engine::host()?)?;
        let plan = files.plan(julias)?;
        Ok::<_, Failure>((files, plan))
    };
    match plan() {
        Ok((files, plan)) => {
            let good = Finding::good(CHECK, files.folder.display().to_string());
            let warnings = plan.warnings.iter().map(|warning| {
                let (message, hint) = (warning.message.clone(), warning.hint.clone());
                Finding::bad(CHECK, State::Warning, message, hint)
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

/// The check of the C compiler.
const TOOLCHAIN: &str = "C toolchain";

async fn compiler(triplet: Triplet, needed: bool, engine: &Engine) -> Finding {
    const CHECK: &str = TOOLCHAIN;
    let lacking = if needed {
        State::Missing
    } else {
        State::Warning
    };
    let remedy = system_hint(triplet);
    match chosen_compiler(triplet, engine).await {
        Ok(None) => {}
        Ok(Some(chosen)) => {
            return match &chosen.unsuitable {
                None => described(CHECK, &chosen),
                Some(why) => Finding::bad(CHECK, State::Missing, why.to_string(), UNSET),
            };
        }
        // A build would not try another compiler then.
        Err(finding) => return finding,
    }
    let found = match system_compilers(triplet, engine).await {
        Ok(found) => found,
        Err(failure) => return Finding::failed(CHECK, lacking, &failure, &remedy),
    };
    if let Some(good) = found.iter().find(|compiler| compiler.unsuitable.is_none()) {
        return described(CHECK, good);
    }
    if let Some(installed) = engine.installed_toolchain(triplet) {
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
    Finding::bad(CHECK, State::Missing, found, remedy)
}

/// The remedy if the command that was named is not a compiler.
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

/// Returns the compiler that JULIA_CC names, if it is set, or the finding why it cannot be used.
async fn chosen_compiler(
    triplet: Triplet,
    engine: &Engine,
) -> Result<Option<SystemCompiler>, Finding> {
    let Some(named) = engine.environment.get("JULIA_CC") else {
        return Ok(None);
    };
    let named = named.to_string_lossy();
    let unusable = |found| Finding::bad(TOOLCHAIN, State::Missing, found, UNSET);
    let host = Engine::host().map_or(Os::Linux, Triplet::os);
    let words = match LinkerChoice::parse(&named, host) {
        Ok(LinkerChoice::Words(words)) => words,
        Ok(_) => return Ok(None),
        Err(error) => return Err(unusable(error.to_string())),
    };
    match compiler_of(words, triplet, engine).await {
        Ok(Some(compiler)) => Ok(Some(compiler)),
        Ok(None) => Err(unusable(format!(
            "JULIA_CC names `{named}`, which is no C compiler"
        ))),
        Err(failure) => Err(Finding::failed(TOOLCHAIN, State::Missing, &failure, UNSET)),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use sysforge_plan::explain::{CREATE_TEMPORARY, PathError};

    use super::*;
    use crate::error::EngineError;

    #[test]
    fn a_compiler_that_cannot_be_asked_is_not_said_to_be_missing() {
        let no_folder = std::io::Error::from(std::io::ErrorKind::NotFound);
        let wrap = PathError::wrap(CREATE_TEMPORARY, Path::new("/tmp"), EngineError::Path);
        let failure = Failure::from(wrap(no_folder));
        let finding = Finding::failed(TOOLCHAIN, State::Warning, &failure, "install gcc");
        assert_eq!(finding.state, State::Warning);
        let cause = "entity not found";
        assert!(finding.found.contains(cause), "{}", finding.found);
        let remedy = finding.remedy.unwrap();
        assert!(remedy.contains("TMP"), "{remedy}");
    }

    #[test]
    fn each_problem_is_followed_by_its_remedy() {
        let finding = |check, state, found: &str, remedy: Option<&str>| Finding {
            check,
            state,
            found: found.to_owned(),
            remedy: remedy.map(str::to_owned),
        };
        let diagnosis = Diagnosis {
            triplet: Triplet::X86_64_LINUX_GNU,
            able: false,
            findings: vec![
                finding("project", State::Good, "/home/me/Insurance", None),
                finding(
                    "C toolchain",
                    State::Missing,
                    "no C compiler was found",
                    Some("install gcc"),
                ),
            ],
        };
        insta::assert_snapshot!(diagnosis.to_string(), @r"
        ok       project      /home/me/Insurance
        MISSING  C toolchain  no C compiler was found
                              → install gcc

        a build cannot start for x86_64-linux-gnu
        ");
    }
}
