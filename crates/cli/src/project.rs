//! Finding and reading the project's files.

use std::path::{Path, PathBuf};

use sysforge_plan::config::{self, Config};
use sysforge_plan::encoding;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::manifests::{ManifestFile, Manifests, Origin};
use sysforge_plan::plan::Inputs;
use sysforge_plan::project::{PROJECT_NAMES, Project, workspace_members};
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::toml_error::TomlError;
use sysforge_plan::{Explain, JuliaVersion, Triplet};

use crate::failure::{CliError, Failure};
use crate::session::{Session, absolute};

/// A project on disk.
pub(crate) struct ProjectFiles {
    /// Its folder, absolute.
    pub(crate) folder: PathBuf,
    /// Its project file.
    pub(crate) file: PathBuf,
    /// What planning needs of it.
    pub(crate) inputs: Inputs,
    /// Its `Sysimage.toml`, as the user knows it, and what is in it.
    config: Option<(String, String)>,
}

impl ProjectFiles {
    /// The manifest that this Julia uses.
    pub(crate) fn manifest_file(&self, julia: &JuliaVersion) -> Option<PathBuf> {
        let file = self.inputs.manifests.of(julia)?;
        let name = Path::new(&file.name).file_name()?;
        Some(file.folder.join(name))
    }

    /// The manifest that is named after a Julia which does not look for such a name itself: what a
    /// resolution for that Julia starts from.
    pub(crate) fn named_after(&self, julia: &JuliaVersion) -> Option<PathBuf> {
        let (major, minor) = julia.minor_pair();
        let mut files = ["JuliaManifest", "Manifest"]
            .map(|stem| self.folder.join(format!("{stem}-v{major}.{minor}.toml")))
            .into_iter();
        files.find(|file| file.is_file())
    }

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

/// Reads the project that `given` names, or that of the current directory or the nearest one above
/// it.
pub(crate) fn read(
    given: Option<&Path>,
    requests: &[String],
    triplet: Triplet,
) -> Result<ProjectFiles, Failure> {
    let Found { folder, file } = find(given)?;
    let project = Project::from_toml(&shown(&file), &read_text(&file)?)?;
    let manifests = manifests(&file, project.manifest.as_deref())?;
    let path = folder.join(config::FILE_NAME);
    let written = match path.is_file() {
        true => Some((shown(&path), read_text(&path)?)),
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
    let inputs = Inputs {
        project,
        manifests,
        config,
        folder: folder_name,
        requests: requests.to_vec(),
        triplet,
    };
    Ok(ProjectFiles {
        folder,
        file,
        inputs,
        config: written,
    })
}

/// The folder of the project that `given` names, or of that in the current directory or above.
pub(crate) fn folder(given: Option<&Path>) -> Result<PathBuf, CliError> {
    Ok(find(given)?.folder)
}

/// The project's name, if it has one.
pub(crate) fn name(given: Option<&Path>) -> Result<Option<String>, Failure> {
    let file = find(given)?.file;
    Ok(Project::from_toml(&shown(&file), &read_text(&file)?)?.name)
}

/// What the project says about the Julia that it needs.
pub(crate) fn julia_of(session: &Session) -> Result<ProjectJulia, Failure> {
    let project = session.global.project.as_deref();
    let inputs = read(project, &[], Session::host()?)?.inputs;
    Ok(ProjectJulia {
        manifest: inputs.manifests.request(),
        compat: inputs.project.compat.get("julia").cloned(),
    })
}

/// A project that was found.
struct Found {
    folder: PathBuf,
    file: PathBuf,
}

/// Finds a project as `julia --project` does: in a folder, by its file, or by the name of an
/// environment.
fn find(given: Option<&Path>) -> Result<Found, CliError> {
    let Some(given) = given else {
        return search(Path::new("."));
    };
    if let Some(name) = given.to_str().and_then(|text| text.strip_prefix('@')) {
        return environment(name);
    }
    let path = canonical(given);
    let is_project_file = PROJECT_NAMES.iter().any(|name| path.ends_with(name));
    match path.parent() {
        Some(folder) if path.is_file() && is_project_file => Ok(Found {
            folder: folder.to_owned(),
            file: path,
        }),
        _ if path.is_file() => Err(CliError::NotAProjectFile(path)),
        _ => in_folder(&path).ok_or(CliError::NoProjectIn(path)),
    }
}

/// The project in this folder or the nearest above.
fn search(start: &Path) -> Result<Found, CliError> {
    let start = canonical(start);
    let mut folders = start.ancestors();
    let found = folders.find_map(in_folder);
    found.ok_or_else(|| CliError::NoProject(start.clone()))
}

fn in_folder(folder: &Path) -> Option<Found> {
    let mut files = PROJECT_NAMES.iter().map(|name| folder.join(name));
    let file = files.find(|path| path.is_file())?;
    Some(Found {
        folder: folder.to_owned(),
        file,
    })
}

/// What follows `@` in `--project`: nothing or `.` for the current project, else the name of an
/// environment in a depot.
fn environment(name: &str) -> Result<Found, CliError> {
    if matches!(name, "" | ".") {
        return search(Path::new("."));
    }
    // These are no folders of a depot: Julia puts its version, its libraries or a script in.
    if name.contains('#') || matches!(name, "stdlib" | "script" | "temp") {
        return Err(CliError::NotAnEnvironment(name.to_owned()));
    }
    let folders: Vec<PathBuf> = depots()
        .into_iter()
        .map(|depot| depot.join("environments").join(name))
        .collect();
    let found = folders.iter().find_map(|folder| in_folder(folder));
    found.ok_or_else(|| CliError::NoEnvironment {
        name: name.to_owned(),
        folders,
    })
}

/// Julia's depots: those of `JULIA_DEPOT_PATH`, in which nothing stands for the default, or
/// `~/.julia`.
pub(crate) fn depots() -> Vec<PathBuf> {
    let default = std::env::home_dir().map(|home| home.join(".julia"));
    match std::env::var_os("JULIA_DEPOT_PATH").filter(|path| !path.is_empty()) {
        Some(paths) => std::env::split_paths(&paths)
            .flat_map(|path| match path.as_os_str().is_empty() {
                true => default.clone(),
                false => Some(absolute(&path)),
            })
            .collect(),
        None => default.into_iter().collect(),
    }
}

fn canonical(path: &Path) -> PathBuf {
    let path = absolute(path);
    path.canonicalize().map(plain).unwrap_or(path)
}

/// Without the `\\?\` that Windows puts before canonical paths: Julia and linkers do not take it.
fn plain(path: PathBuf) -> PathBuf {
    match path.to_str().and_then(|text| text.strip_prefix(r"\\?\")) {
        Some(short) if !short.starts_with("UNC") => PathBuf::from(short),
        _ => path,
    }
}

/// The manifests of a project file, in the order in which Julia looks for them: that of the
/// workspace it is a member of, the one it names, and those beside it.
fn manifests(project: &Path, named: Option<&str>) -> Result<Manifests, Failure> {
    let folder = project.parent().unwrap_or(Path::new("."));
    let mut files = Vec::new();
    if let Some(root) = workspace_root(project) {
        let text = read_text(&root)?;
        let named = Project::from_toml(&shown(&root), &text)?.manifest;
        files = manifests(&root, named.as_deref())?.0;
        for file in &mut files {
            file.of_workspace = true;
        }
    }
    // Where the file is not there, Julia goes on as if it had not been named.
    if let Some(named) = named
        .map(|named| folder.join(named))
        .filter(|p| p.is_file())
    {
        files.push(manifest(&canonical(&named), Origin::Named)?);
    }
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut beside: Vec<_> = entries
        .filter_map(|entry| {
            let (origin, rank) = Origin::of_file_name(entry.file_name().to_str()?)?;
            Some((rank, entry.file_name(), origin, entry.path()))
        })
        .filter(|(.., path)| path.is_file())
        .collect();
    beside.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
    for (_, _, origin, path) in beside {
        files.push(manifest(&path, origin)?);
    }
    Ok(Manifests(files))
}

fn manifest(path: &Path, origin: Origin) -> Result<ManifestFile, Failure> {
    let name = shown(path);
    let text = read_text(path)?;
    Ok(ManifestFile {
        content: Manifest::from_toml(&name, &text),
        path: path.to_owned(),
        folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
        name,
        origin,
        of_workspace: false,
    })
}

/// The project file of the workspace that lists this project as a member: in a folder above, but
/// not above the user's home if the project is below it.
fn workspace_root(project: &Path) -> Option<PathBuf> {
    let folder = project.parent()?;
    let home = std::env::home_dir().map(|home| canonical(&home));
    let home = home.filter(|home| folder.starts_with(home));
    let above = folder.ancestors().skip(1);
    let mut above = above.take_while(|above| home.as_ref().is_none_or(|h| above.starts_with(h)));
    above.find_map(|above| {
        let root = in_folder(above)?.file;
        let members = workspace_members(&read_text(&root).ok()?);
        let mut members = members.iter().map(|member| canonical(&above.join(member)));
        let is_member = members.any(|member| member == folder || member == project);
        is_member.then_some(root)
    })
}

/// The text of a file that a user wrote.
pub(crate) fn read_text(path: &Path) -> Result<String, Failure> {
    let bytes = std::fs::read(path).map_err(|source| CliError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(encoding::decode(&shown(path), &bytes)?)
}

/// A path as the user would type it: relative to where they are, if it lies below.
fn shown(path: &Path) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(&here)
        .unwrap_or(path)
        .display()
        .to_string()
}
