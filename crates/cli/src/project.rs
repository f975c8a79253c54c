//! Finding and reading the project's files.

use std::path::{Path, PathBuf};

use sysforge_plan::config::{self, Config};
use sysforge_plan::plan::Inputs;
use sysforge_plan::project::{Manifest, PROJECT_NAMES, Project, manifest_names, newest_versioned};
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::toml_error::TomlError;
use sysforge_plan::{Explain, JuliaVersion, Triplet};

use crate::failure::{CliError, Failure};
use crate::session::{Session, absolute};

/// A project on disk.
pub(crate) struct ProjectFiles {
    /// Its folder, absolute.
    pub(crate) folder: PathBuf,
    /// What planning needs of it.
    pub(crate) inputs: Inputs,
    /// Its `Sysimage.toml`, as the user knows it, and what is in it.
    config: Option<(String, String)>,
}

impl ProjectFiles {
    /// An error about a word of `Sysimage.toml`, with the place where the word stands.
    pub(crate) fn located(&self, word: &str, error: impl Explain) -> Failure {
        let at = self.config.as_ref().and_then(|(file, text)| {
            let quoted = [format!("\"{word}\""), format!("'{word}'")];
            let offset = quoted.iter().find_map(|quoted| text.find(quoted))?;
            Some(TomlError::locating(&error, file, text, offset))
        });
        match at {
            Some(located) => located.into(),
            None => error.into(),
        }
    }
}

/// Reads the project in `given`, or in the current directory or the nearest one above it.
pub(crate) fn read(
    given: Option<&Path>,
    julia: Option<&JuliaVersion>,
    requests: &[String],
    triplet: Triplet,
) -> Result<ProjectFiles, Failure> {
    let (folder, file) = find(given)?;
    let name = shown(&file);
    let project = Project::from_toml(&name, &text(&file)?)?;
    let manifest = first(&folder, &manifest_names(julia));
    let manifest = match manifest.or_else(|| any_manifest(&folder, julia)) {
        Some(path) => Some(Manifest::from_toml(&shown(&path), &text(&path)?)?),
        None => None,
    };
    let path = folder.join(config::FILE_NAME);
    let written = match path.is_file() {
        true => Some((shown(&path), text(&path)?)),
        false => None,
    };
    let config = match &written {
        Some((file, text)) => Config::from_toml(file, text)?,
        None => Config::default(),
    };
    let folder_name = folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let requests = requests.to_vec();
    let inputs = Inputs {
        project,
        manifest,
        config,
        folder: folder_name,
        requests,
        triplet,
    };
    Ok(ProjectFiles {
        folder,
        inputs,
        config: written,
    })
}

/// The folder of the project in `given`, or in the current directory or above.
pub(crate) fn folder(given: Option<&Path>) -> Result<PathBuf, CliError> {
    Ok(find(given)?.0)
}

/// What the project says about the Julia that it wants.
pub(crate) fn julia_of(session: &Session) -> Result<ProjectJulia, Failure> {
    let project = session.global.project.as_deref();
    let inputs = read(project, None, &[], Session::host()?)?.inputs;
    Ok(ProjectJulia {
        manifest: inputs.manifest.and_then(|m| m.julia_version),
        compat: inputs.project.compat.get("julia").cloned(),
    })
}

fn find(given: Option<&Path>) -> Result<(PathBuf, PathBuf), CliError> {
    let start = absolute(given.unwrap_or(Path::new(".")));
    let start = start.canonicalize().map(plain).unwrap_or(start);
    let names = PROJECT_NAMES.map(str::to_owned);
    // A named folder is meant; only the current one may lie below the project's.
    let above = if given.is_some() { 1 } else { usize::MAX };
    start
        .ancestors()
        .take(above)
        .find_map(|folder| Some((folder.to_owned(), first(folder, &names)?)))
        .ok_or(CliError::NoProject(start.clone()))
}

/// Without the `\\?\` that Windows puts before canonical paths: Julia and linkers do not take it.
fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(short) if !short.starts_with("UNC") => PathBuf::from(short),
        _ => path,
    }
}

fn first(folder: &Path, names: &[String]) -> Option<PathBuf> {
    names
        .iter()
        .map(|name| folder.join(name))
        .find(|path| path.is_file())
}

/// A manifest for some Julia, while it is not known which one the project is for.
fn any_manifest(folder: &Path, julia: Option<&JuliaVersion>) -> Option<PathBuf> {
    if julia.is_some() {
        return None;
    }
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    newest_versioned(names).map(|name| folder.join(name))
}

fn text(path: &Path) -> Result<String, CliError> {
    std::fs::read_to_string(path).map_err(|source| CliError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// A path as the user would type it: relative to where they are, if it lies below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
