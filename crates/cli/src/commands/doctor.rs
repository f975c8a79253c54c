//! `sysforge doctor`: whether this machine is able to build. The exit code is 0 only if a build can
//! start.

use std::path::PathBuf;

use sysforge_engine::doctor::{Diagnosis, State, Subject, diagnose};

use crate::args::Platform;
use crate::failure::{CliError, Outcome};
use crate::session::Session;

pub(crate) async fn run(platform: &Platform, session: &Session) -> Outcome {
    let subject = Subject {
        triplet: platform.triplet()?,
        julias: &session.global.julia,
        active_project: session.variables.get("JULIA_PROJECT").map(PathBuf::from),
    };
    let diagnosis = diagnose(&subject, &session.engine).await;
    if session.global.json {
        session.terminal.json(&diagnosis);
    } else {
        session.terminal.data(&text(&diagnosis));
    }
    match diagnosis.able {
        true => Ok(()),
        false => Err(CliError::CannotBuild.into()),
    }
}

fn text(diagnosis: &Diagnosis) -> String {
    let mut text = String::new();
    for finding in &diagnosis.findings {
        let mark = match finding.state {
            State::Good => "ok     ",
            State::Warning => "warning",
            State::Missing => "MISSING",
        };
        text.push_str(&format!(
            "{mark}  {:<12} {}\n",
            finding.check, finding.found
        ));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("                      → {remedy}\n"));
        }
    }
    let verdict = match diagnosis.able {
        true => "a build can start",
        false => "a build cannot start",
    };
    text.push_str(&format!("\n{verdict} for {}\n", diagnosis.triplet));
    text
}

#[cfg(test)]
mod tests {
    use sysforge_engine::doctor::Finding;
    use sysforge_plan::Triplet;

    use super::*;

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
        insta::assert_snapshot!(text(&diagnosis), @r"
        ok       project      /home/me/Insurance
        MISSING  C toolchain  no C compiler was found
                              → install gcc

        a build cannot start for x86_64-linux-gnu
        ");
    }
}
