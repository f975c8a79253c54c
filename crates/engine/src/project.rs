//! Finding and reading the project's files.

use std::path::{Path, PathBuf};

use sysforge_build::depots::with_home;
use sysforge_files::canonical_or_given;
use sysforge_plan::config::{self, Config};
use sysforge_plan::encoding;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::manifests::{ManifestFile, Manifests, Origin};
use sysforge_plan::plan::{Inputs, Plan, PlanError, PlannedJulia};
use sysforge_plan::project::{
    PREFERENCES_NAMES, PROJECT_NAMES, Project, check_toml, workspace_members,
};
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::toml_error::TomlError;
use sysforge_plan::{Explain, JuliaVersion, Triplet};

use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::{absolute, read_file};

/// A project on disk.
#[derive(Debug)]
pub struct ProjectFiles {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// Its project file.
    pub file: PathBuf,
    /// The inputs of planning.
    pub inputs: Inputs,
    /// The name of its `Sysimage.toml`, as shown to the user, and the content.
    config: Option<(String, String)>,
}

impl ProjectFiles {
    /// Returns the manifest that this Julia uses.
    pub fn manifest_file(&self, julia: &JuliaVersion) -> Option<PathBuf> {
        let file = self.inputs.manifests.of(julia)?;
        let name = Path::new(&file.name).file_name()?;
        Some(file.folder.join(name))
    }

    /// Returns the manifest that is named after this Julia, if this Julia does not look for such a
    /// name. Resolution for that Julia starts from it.
    pub fn named_after(&self, julia: &JuliaVersion) -> Option<PathBuf> {
        let (major, minor) = julia.minor_pair();
        let mut files = ["JuliaManifest", "Manifest"]
            .map(|stem| self.folder.join(format!("{stem}-v{major}.{minor}.toml")))
            .into_iter();
        files.find(|file| file.is_file())
    }

    /// Plans the builds with these Julias.
    ///
    /// # Errors
    ///
    /// If no plan can be made. An error about a word of `Sysimage.toml` has its position.
    pub fn plan(&self, julias: Vec<PlannedJulia>) -> Result<Plan, Failure> {
        self.inputs.plan(julias).map_err(|error| match &error {
            PlanError::UnknownPackage { name: word, .. } | PlanError::Cpu { word, .. } => {
                self.located(&word.clone(), error)
            }
            _ => error.into(),
        })
    }

    /// Adds the position of a word in `Sysimage.toml` to an error about it.
    pub fn located(&self, word: &str, error: impl Explain) -> Failure {
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

/// Where the engine searches for the project.
#[derive(Debug, Clone, Default)]
pub struct Location {
    /// The folder that relative paths start from. The search for a project starts there too.
    pub here: PathBuf,
    /// The project: its folder, its file, or `@` and the name of an environment. `None` for the
    /// project in `here` or the nearest folder above.
    pub project: Option<PathBuf>,
    /// The user's home: the search for a workspace stops there.
    pub home: Option<PathBuf>,
    /// Julia's depots, which contain the named environments.
    pub depots: Vec<PathBuf>,
}

impl Location {
    /// The location of the project in `folder` or the nearest folder above it.
    pub fn in_folder(folder: impl Into<PathBuf>) -> Self {
        Self {
            here: folder.into(),
            ..Self::default()
        }
    }

    /// Returns the path in absolute form, so that it is valid in every child's working directory.
    pub fn absolute(&self, path: &Path) -> PathBuf {
        absolute(&self.here.join(path))
    }

    /// Reads the project.
    ///
    /// # Errors
    ///
    /// If there is none, or one of its files cannot be read.
    pub fn read(&self, requests: &[String], triplet: Triplet) -> Result<ProjectFiles, Failure> {
        let Found { folder, file } = self.find()?;
        let project = Project::from_toml(&self.shown(&file), &self.read_toml(&file)?)?;
        let manifests = self.manifests(&file, project.manifest.as_deref())?;
        let path = folder.join(config::FILE_NAME);
        // A folder or a dangling link of this name is an error, not a missing file.
        let written = match path.symlink_metadata().is_ok() {
            true => Some((self.shown(&path), self.read_text(&path)?)),
            false => None,
        };
        for name in PREFERENCES_NAMES {
            let path = folder.join(name);
            if path.symlink_metadata().is_ok() {
                check_toml(&self.shown(&path), &self.read_toml(&path)?)?;
            }
        }
        let config = match &written {
            Some((file, text)) => Config::from_toml(file, text)?,
            None => Config::default(),
        };
        let folder_name = folder.file_name().unwrap_or_default();
        let inputs = Inputs {
            project,
            manifests,
            config,
            folder: folder_name.to_string_lossy().into_owned(),
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

    /// Returns the project's folder.
    ///
    /// # Errors
    ///
    /// If there is no project.
    pub fn folder(&self) -> Result<PathBuf, EngineError> {
        Ok(self.find()?.folder)
    }

    /// Returns the project as the user named it, if it is not the one that Julia finds from the current
    /// folder.
    pub(crate) fn other_project(&self) -> Option<String> {
        let named = self.project.as_ref()?.to_str()?;
        let found = self.find().ok()?.folder;
        let here = self.search().ok().map(|found| found.folder);
        (here != Some(found)).then(|| named.to_owned())
    }

    /// Returns the project's name, if it has one.
    ///
    /// # Errors
    ///
    /// If there is no project, or its file cannot be read.
    pub fn name(&self) -> Result<Option<String>, Failure> {
        let file = self.find()?.file;
        Ok(Project::from_toml(&self.shown(&file), &self.read_toml(&file)?)?.name)
    }

    /// Returns the project's requirements on Julia.
    ///
    /// # Errors
    ///
    /// Those of [`Location::read`].
    pub fn julia(&self, triplet: Triplet) -> Result<ProjectJulia, Failure> {
        let inputs = self.read(&[], triplet)?.inputs;
        Ok(ProjectJulia {
            manifest: inputs.manifests.request(),
            compat: inputs.project.compat.get("julia").cloned(),
        })
    }

    /// Finds the project as `julia --project` does: in a folder, by its file, or by the name of an
    /// environment.
    fn find(&self) -> Result<Found, EngineError> {
        let found = self.find_any()?;
        // Julia and the files of a build name the folder in texts.
        match found.file.to_str() {
            Some(_) => Ok(found),
            None => Err(EngineError::NotUtf8(found.folder)),
        }
    }

    fn find_any(&self) -> Result<Found, EngineError> {
        let Some(given) = &self.project else {
            return self.search();
        };
        if let Some(name) = given.to_str().and_then(|text| text.strip_prefix('@')) {
            return self.environment(name);
        }
        // Not every shell expands `--project=~/x`, and none a variable; Julia does.
        let given = with_home(given.clone(), self.home.as_deref());
        let path = canonical_or_given(&self.absolute(&given));
        let is_project_file = PROJECT_NAMES.iter().any(|name| path.ends_with(name));
        match path.parent() {
            Some(folder) if path.is_file() && is_project_file => Ok(Found {
                folder: folder.to_owned(),
                file: path,
            }),
            _ if path.is_file() => Err(EngineError::NotAProjectFile(path)),
            _ if !path.exists() => Err(EngineError::NoSuchPath(path)),
            _ => in_folder(&path).ok_or(EngineError::NoProjectIn(path)),
        }
    }

    /// Finds the project in this folder or the nearest folder above.
    fn search(&self) -> Result<Found, EngineError> {
        let start = canonical_or_given(&self.absolute(Path::new(".")));
        if !start.is_absolute() {
            return Err(EngineError::NoCurrentFolder);
        }
        let mut folders = start.ancestors();
        let found = folders.find_map(in_folder);
        found.ok_or_else(|| EngineError::NoProject(start.clone()))
    }

    /// Resolves the text after `@` in the project's name: empty or `.` is the current project,
    /// anything else the name of an environment in a depot.
    fn environment(&self, name: &str) -> Result<Found, EngineError> {
        if matches!(name, "" | ".") {
            return self.search();
        }
        // These names are not folders of a depot: Julia replaces `#` by its version, and the others
        // have a special meaning.
        if name.contains('#') || matches!(name, "stdlib" | "script" | "temp") {
            return Err(EngineError::NotAnEnvironment(name.to_owned()));
        }
        let depots = self.depots.iter();
        let folders = depots.map(|depot| depot.join("environments").join(name));
        let folders: Vec<PathBuf> = folders.collect();
        let found = folders.iter().find_map(|folder| in_folder(folder));
        found.ok_or_else(|| EngineError::NoEnvironment {
            name: name.to_owned(),
            folders,
        })
    }

    /// Returns the manifests of a project file, in the order in which Julia looks for them: that of
    /// the workspace it is a member of, the one it names, and those in its folder.
    fn manifests(&self, project: &Path, named: Option<&str>) -> Result<Manifests, Failure> {
        let folder = project.parent().unwrap_or(Path::new("."));
        let mut files = Vec::new();
        if let Some(root) = self.workspace_root(project) {
            let text = self.read_toml(&root)?;
            let named = Project::from_toml(&self.shown(&root), &text)?.manifest;
            files = self.manifests(&root, named.as_deref())?.0;
            for file in &mut files {
                file.of_workspace = true;
            }
        }
        // If the file does not exist, Julia continues as if none had been named.
        if let Some(named) = named
            .map(|named| folder.join(named))
            .filter(|path| path.symlink_metadata().is_ok())
        {
            files.push(self.manifest(&canonical_or_given(&named), Origin::Named)?);
        }
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let mut beside: Vec<_> = entries
            .filter_map(|entry| {
                let (origin, rank) = Origin::of_file_name(entry.file_name().to_str()?)?;
                Some((rank, entry.file_name(), origin, entry.path()))
            })
            .collect();
        beside.sort_by(|a, b| (a.0, &a.1).cmp(&(b.0, &b.1)));
        for (_, _, origin, path) in beside {
            files.push(self.manifest(&path, origin)?);
        }
        Ok(Manifests(files))
    }

    /// Returns each project file, as shown to the user, that names a manifest which does not exist, and that
    /// name: of the project and of the workspace that it is a member of. Julia then takes another manifest.
    pub(crate) fn missing_manifests(&self, project: &Path) -> Vec<(String, String)> {
        let files = [Some(project.to_owned()), self.workspace_root(project)];
        let missing = files.into_iter().flatten().filter_map(|file| {
            let text = self.read_toml(&file).ok()?;
            let named = Project::from_toml(&self.shown(&file), &text)
                .ok()?
                .manifest?;
            let path = file.parent()?.join(&named);
            path.symlink_metadata()
                .is_err()
                .then(|| (self.shown(&file), named))
        });
        missing.collect()
    }

    fn manifest(&self, path: &Path, origin: Origin) -> Result<ManifestFile, Failure> {
        let name = self.shown(path);
        let text = self.read_toml(path)?;
        Ok(ManifestFile {
            content: Manifest::from_toml(&name, &text),
            path: path.to_owned(),
            folder: path.parent().unwrap_or(Path::new(".")).to_owned(),
            name,
            origin,
            of_workspace: false,
        })
    }

    /// Returns the project file of the workspace that lists this project as a member. It is in a
    /// folder above, but not above the user's home if the project is inside the home.
    fn workspace_root(&self, project: &Path) -> Option<PathBuf> {
        let folder = project.parent()?;
        let home = self.home.as_deref().map(canonical_or_given);
        let home = home.filter(|home| folder.starts_with(home));
        let above = folder.ancestors().skip(1);
        let mut above =
            above.take_while(|above| home.as_ref().is_none_or(|h| above.starts_with(h)));
        above.find_map(|above| {
            let root = in_folder(above)?.file;
            let members = workspace_members(&self.read_text(&root).ok()?);
            let mut members = members
                .iter()
                .map(|member| canonical_or_given(&above.join(member)));
            let is_member = members.any(|member| member == folder || member == project);
            is_member.then_some(root)
        })
    }

    /// Reads a project file or a manifest, which Julia reads, too.
    fn read_toml(&self, path: &Path) -> Result<String, Failure> {
        let bytes = read_file(path)?;
        Ok(encoding::decode_toml(&self.shown(path), &bytes)?)
    }

    /// Reads the text of a file that a user wrote.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or is not text.
    pub fn read_text(&self, path: &Path) -> Result<String, Failure> {
        Ok(encoding::decode(&self.shown(path), &read_file(path)?)?)
    }

    /// Returns the path as the user would type it: relative to the current folder, if it is inside
    /// that folder.
    fn shown(&self, path: &Path) -> String {
        path.strip_prefix(&self.here)
            .unwrap_or(path)
            .display()
            .to_string()
    }
}

/// A project that was found.
struct Found {
    folder: PathBuf,
    file: PathBuf,
}

fn in_folder(folder: &Path) -> Option<Found> {
    let files = || PROJECT_NAMES.iter().map(|name| folder.join(name));
    // A folder, a pipe or a dangling link of this name is an error when it is read, not a missing file.
    let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
    let file = files()
        .find(|path| path.is_file())
        .or_else(|| files().find(is_there))?;
    Some(Found {
        folder: folder.to_owned(),
        file,
    })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_project_whose_path_is_not_utf_8_is_refused_before_julia_starts() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join(OsStr::from_bytes(b"a\xff"));
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("Project.toml"), "").unwrap();
        let mut location = Location::in_folder(&folder);
        assert!(matches!(location.find(), Err(EngineError::NotUtf8(_))));
        location.project = Some(folder);
        location.here = root.path().to_owned();
        assert!(matches!(location.find(), Err(EngineError::NotUtf8(_))));
    }
}
