//! The commits of a release since the previous tag, for its notes.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use sysforge_plan::Step;
use sysforge_process::Program;

use crate::engine::Engine;
use crate::error::EngineError;

/// Maximum time for an answer of git.
const PATIENCE: Duration = Duration::from_secs(60);

/// The subject lines of commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commits {
    /// The tag before them; `None` if they start at the first commit.
    pub since: Option<String>,
    /// The subject lines, newest first, without merges.
    pub subjects: Vec<String>,
}

/// Returns the commits of the release `tag` of the repository that contains `folder`: those since
/// the previous tag, up to `tag`, or up to the current state if `tag` does not exist yet.
///
/// # Errors
///
/// If the folder is not in a repository, or the repository lacks its history.
pub async fn since_last_tag(
    folder: &Path,
    tag: &str,
    engine: &Engine,
) -> Result<Commits, EngineError> {
    let git = Git {
        folder,
        engine,
        limit: PATIENCE,
    };
    let commit = format!("refs/tags/{tag}^{{commit}}");
    let tagged = git
        .answer(&["rev-parse", "--verify", "--quiet", &commit])
        .await;
    let end = match &tagged {
        Ok(commit) => commit.trim(),
        Err(_) => "HEAD",
    };
    if git
        .required(&["rev-parse", "--is-shallow-repository"])
        .await?
        .trim()
        == "true"
    {
        return Err(EngineError::ShallowClone(folder.to_owned()));
    }
    // The commit itself may have other tags, which are not those of an earlier release.
    let before = format!("{end}^");
    let since = git
        .answer(&["describe", "--tags", "--abbrev=0", &before])
        .await;
    let since = since.ok().map(|tag| tag.trim().to_owned());
    let range = match &since {
        Some(tag) => format!("refs/tags/{tag}..{end}"),
        None => end.to_owned(),
    };
    let log = git
        .required(&["log", "--no-merges", "--format=%s", &range, "--"])
        .await?;
    let subjects = log.lines().filter(|line| !line.trim().is_empty());
    Ok(Commits {
        since,
        subjects: subjects.map(str::to_owned).collect(),
    })
}

/// Runs git in a folder.
pub(crate) struct Git<'a> {
    pub(crate) folder: &'a Path,
    pub(crate) engine: &'a Engine,
    /// Maximum time for an answer.
    pub(crate) limit: Duration,
}

impl Git<'_> {
    /// Returns the output of git, or its last message.
    pub(crate) async fn answer<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Result<String, String> {
        let work = tempfile::tempdir().map_err(|error| error.to_string())?;
        let environment = self.engine.environment.clone();
        let program = Program::new("git", environment, work.path().join("git.log"))
            .arg("-C")
            .arg(self.folder)
            .args(arguments)
            .timeout(Some(self.limit));
        let task = self.engine.reporter.start(Step::Probe, "git");
        let ran = self.engine.children.run(&program, &task).await;
        ran.map(|finished| finished.stdout).map_err(|error| {
            let said = sysforge_plan::Explain::evidence(&error).unwrap_or_default();
            said.tail
                .last()
                .cloned()
                .unwrap_or_else(|| error.to_string())
        })
    }

    async fn required(&self, arguments: &[&str]) -> Result<String, EngineError> {
        let answer = self.answer(arguments).await;
        answer.map_err(|said| EngineError::NoHistory {
            folder: self.folder.to_owned(),
            said,
        })
    }
}
