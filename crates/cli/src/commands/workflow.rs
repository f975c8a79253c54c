//! `sysforge workflow`: the GitHub workflow, written from `Sysimage.toml`, kept up to date, and
//! told what it releases.

use std::path::{Path, PathBuf};

use sysforge_actions::event::{Releases, Run};
use sysforge_actions::{diff, handmade, workflow};
use sysforge_engine::Location;
use sysforge_plan::{Sha256, Triplet, config};
use sysforge_publish::host::github::{GitHub, undraft};
use toml_edit::{DocumentMut, Item, Table, value};

use crate::args::WorkflowArgs;
use crate::failure::{CliError, Failure, Outcome};
use crate::github::{access, variable};
use crate::session::Session;

pub(crate) async fn run(args: &WorkflowArgs, session: &Session) -> Outcome {
    if args.tag {
        return tell_tag(session).await;
    }
    let folder = session.engine.location.folder()?;
    if let Some(sums) = &args.pin {
        pin(
            &session.engine.location,
            &folder.join(config::FILE_NAME),
            sums,
        )?;
    }
    let location = &session.engine.location;
    let files = location.read(&[], Triplet::X86_64_LINUX_GNU)?;
    let config = &files.inputs.config;
    let root = root(&folder)?;
    let below = folder.strip_prefix(&root).unwrap_or(Path::new(""));
    let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
    let fresh = workflow::generate(&workflow::Inputs {
        options: &config.workflow,
        project: &parts.join("/"),
        version: env!("CARGO_PKG_VERSION"),
    })?;
    let path = root.join(workflow::PATH);
    let old = match std::fs::read_to_string(&path) {
        Ok(old) => Some(old.replace("\r\n", "\n")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(source) => return Err(CliError::Unreadable { path, source }.into()),
    };
    let text = match &old {
        Some(old) if workflow::is_ours(old) => handmade::carry(old, &fresh)?,
        _ => fresh,
    };
    // A checkout on a runner has what was committed, and says so in its own steps.
    if !args.print && !session.runner.on {
        super::warn_of_lacking(&files, session).await;
    }
    if args.print {
        session.terminal.data(&text);
        return Ok(());
    }
    if args.check {
        let have = old.unwrap_or_default();
        let diff = diff::unified(workflow::PATH, &have, &text);
        if session.global.json {
            let up_to_date = diff.is_none();
            session.terminal.json(&serde_json::json!({
                "path": path, "up_to_date": up_to_date, "diff": diff,
            }));
        }
        if let Some(diff) = diff {
            if !session.global.json {
                session.terminal.data(&diff);
            }
            return Err(CliError::Drifted(workflow::PATH).into());
        }
        session
            .terminal
            .say(&format!("{} is up to date", workflow::PATH));
        return Ok(());
    }
    if old.as_deref().is_some_and(|old| !workflow::is_ours(old)) && !args.force {
        return Err(CliError::NotOurs(path).into());
    }
    if let Some(other) = old.as_deref().map(workflow::project_of)
        && other != workflow::project_of(&text)
        && !args.force
    {
        let project = match other.as_str() {
            "" => "the repository's root".to_owned(),
            other => format!("`{other}`"),
        };
        return Err(CliError::OtherProject { path, project }.into());
    }
    if old.as_deref() != Some(text.as_str()) {
        super::write_file(&path, &text)?;
    }
    session.tell_path(&path);
    Ok(())
}

/// Whether the project's repository has a workflow that Sysforge wrote.
pub(crate) fn is_there(folder: &Path) -> bool {
    let path = root(folder).map(|root| root.join(workflow::PATH));
    let text = path
        .ok()
        .and_then(|path| std::fs::read_to_string(path).ok());
    text.is_some_and(|text| workflow::is_ours(&text))
}

/// The repository's root: where git keeps its folder, or a file that names it.
fn root(folder: &Path) -> Result<PathBuf, CliError> {
    folder
        .ancestors()
        .find(|above| above.join(".git").exists())
        .map(Path::to_owned)
        .ok_or_else(|| CliError::NoGit(folder.to_owned()))
}

/// Writes which Sysforge the runners fetch into `Sysimage.toml`, whose other lines stay.
pub(crate) fn pin(location: &Location, path: &Path, sums: &Path) -> Result<(), Failure> {
    let list = location.read_text(sums)?;
    if !list.lines().any(|line| line.contains("  sysforge-")) {
        return Err(CliError::NoSums(sums.to_owned()).into());
    }
    let text = match path.exists() {
        true => location.read_text(path)?,
        false => String::new(),
    };
    let digest = Sha256::of(list.as_bytes());
    let name = path.display().to_string();
    // What is no TOML is told with the place, as everywhere.
    config::Config::from_toml(&name, &text)?;
    let mut document: DocumentMut = text.parse().map_err(|_| CliError::NotEditable(name))?;
    // A table that is made only to hold another one needs no line of its own.
    let mut outer = Table::new();
    outer.set_implicit(true);
    let workflow = document.entry("workflow").or_insert(Item::Table(outer));
    let tool = workflow["tool"].or_insert(Item::Table(Table::new()));
    tool["version"] = value(env!("CARGO_PKG_VERSION"));
    tool["sums"] = value(digest.to_string());
    super::write_file(path, &document.to_string())?;
    Ok(())
}

/// Which tag this run of the workflow releases: an output for the steps that follow.
async fn tell_tag(session: &Session) -> Outcome {
    let read = |name| variable(session, name).unwrap_or_default();
    let run = Run {
        event: read("GITHUB_EVENT_NAME"),
        ref_type: read("GITHUB_REF_TYPE"),
        ref_name: read("GITHUB_REF_NAME"),
        tag_input: read("SYSFORGE_TAG"),
    };
    let tag = match run.releases() {
        Releases::Nothing => String::new(),
        Releases::Tag(tag) => tag,
        Releases::Newest => {
            let repository =
                variable(session, "GITHUB_REPOSITORY").ok_or(CliError::NoRepository)?;
            let host = GitHub::new(access(session, &repository)?, session.timing())?;
            undraft::newest(&host).await?.unwrap_or_default()
        }
    };
    session.runner.output("tag", &tag);
    if session.global.json {
        let tag = Some(tag).filter(|tag| !tag.is_empty());
        session.terminal.json(&tag);
        return Ok(());
    }
    match tag.as_str() {
        "" => session
            .terminal
            .say("this run builds and checks, and releases nothing"),
        tag => session.terminal.data(tag),
    }
    Ok(())
}
