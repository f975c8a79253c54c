//! `sysforge doctor`: whether this machine is able to build. The exit code is 0 only if a build can
//! start.

use std::path::PathBuf;

use sysforge_engine::EngineError;
use sysforge_engine::doctor::{Subject, diagnose};

use crate::args::Platform;
use crate::failure::Outcome;
use crate::session::Session;

pub(crate) async fn run(platform: &Platform, session: &Session) -> Outcome {
    let subject = Subject {
        triplet: platform.triplet()?,
        julias: &session.global.julia,
        active_project: session.variables.get("JULIA_PROJECT").map(PathBuf::from),
    };
    let diagnosis = diagnose(&subject, &session.engine).await;
    session.print(&diagnosis, || diagnosis.to_string());
    match diagnosis.able {
        true => Ok(()),
        false => Err(EngineError::CannotBuild.into()),
    }
}
