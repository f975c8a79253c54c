//! `sysforge clean`: removes what was built for a project. Only what Sysforge wrote goes from `dist`.

use std::path::{Path, PathBuf};

use sysforge_build::workdir::lock_all;

use crate::args::CleanArgs;
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;

/// Files that Sysforge writes into `dist`, besides archives and receipts.
const KNOWN: [&str; 5] = [
    sysforge_plan::release::SUMS_NAME,
    ".gitignore",
    ".lock",
    ".sysforge",
    ".SHA256SUMS.lock",
];

pub(crate) async fn run(args: &CleanArgs, session: &Session) -> Outcome {
    let project = session.engine.location.folder()?;
    let build_folder = session.engine.build_folder_of(&project);
    // A build that runs there keeps its folder. The locks are held until all is removed.
    let _locks = lock_all(&build_folder)?;
    let mut gone = Vec::new();
    if build_folder.is_dir() && is_build_folder(&build_folder) {
        gone.push(build_folder);
    }
    let dist = project.join("dist");
    let (ours, others) = sort(&dist)?;
    match others.first() {
        // The whole folder goes.
        None if !ours.is_empty() => gone.push(dist),
        None => {}
        Some(other) => {
            session.terminal.say(&format!(
                "kept {}: Sysforge did not write {}",
                dist.display(),
                other.display()
            ));
            gone.extend(ours);
        }
    }
    for path in &gone {
        if !args.dry_run {
            remove(path)?;
        }
    }
    let paths: Vec<_> = gone.iter().map(|path| path.display().to_string()).collect();
    if session.global.json {
        session.terminal.json(&paths);
    } else if paths.is_empty() {
        session.terminal.say("there is nothing to remove");
    } else {
        session.terminal.data(&paths.join("\n"));
    }
    Ok(())
}

/// Whether a folder is one that builds work in: another may have been named by mistake.
fn is_build_folder(folder: &Path) -> bool {
    folder.join(".gitignore").is_file() || folder.join("digests.json").is_file()
}

/// What is in the dist directory: what Sysforge wrote, and what it did not.
fn sort(dist: &Path) -> Result<(Vec<PathBuf>, Vec<PathBuf>), Failure> {
    let entries = match std::fs::read_dir(dist) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(source) => {
            return Err(CliError::Unreadable {
                path: dist.to_owned(),
                source,
            }
            .into());
        }
    };
    let sums = sysforge_pack::sums::read(dist)?;
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        KNOWN.contains(&&*name)
            || sums.contains_key(&*name)
            || name.ends_with(".receipt.json")
            || (name.starts_with('.') && name.ends_with(".partial"))
    };
    Ok(entries
        .flatten()
        .map(|entry| entry.path())
        .partition(is_ours))
}

fn remove(path: &Path) -> Result<(), CliError> {
    let is_folder = std::fs::symlink_metadata(path).is_ok_and(|path| path.is_dir());
    let removed = match is_folder {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CliError::Unwritable {
            path: path.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}
