//! Finds the bundle of the executable, and the folders that are passed to Julia.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// The variable with options for Julia, separated by white space.
pub(crate) const JULIA_ARGUMENTS: &str = "SYSFORGE_JULIA_ARGS";

/// The variable with the folder for files that the app writes, which replaces the user's data
/// folder.
pub(crate) const DATA: &str = "SYSFORGE_APP_DATA";

/// The environment variables that decide the folders.
#[derive(Debug, Default)]
pub(crate) struct Variables {
    /// See [`JULIA_ARGUMENTS`].
    pub(crate) julia_arguments: Option<OsString>,
    /// See [`DATA`].
    pub(crate) data: Option<PathBuf>,
    /// `XDG_DATA_HOME` (not on Windows and macOS) or `LOCALAPPDATA` (Windows).
    pub(crate) system_data: Option<PathBuf>,
    /// `HOME`, or `USERPROFILE` on Windows.
    pub(crate) home: Option<PathBuf>,
}

impl Variables {
    /// The variables of this process.
    pub(crate) fn of_process() -> Self {
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let system_data = match std::env::consts::OS {
            "windows" => set("LOCALAPPDATA"),
            "macos" => None,
            _ => set("XDG_DATA_HOME"),
        };
        Self {
            julia_arguments: set(JULIA_ARGUMENTS),
            data: set(DATA).map(PathBuf::from),
            system_data: system_data.map(PathBuf::from),
            home: set(match std::env::consts::OS {
                "windows" => "USERPROFILE",
                _ => "HOME",
            })
            .map(PathBuf::from),
        }
    }

    /// Returns the folder of the user for this app. It need not exist: Julia creates it when it
    /// writes. `None` for a user without a data folder.
    fn data_folder(&self, app: &str) -> Option<PathBuf> {
        if let Some(data) = &self.data {
            return Some(data.clone());
        }
        // A relative value is invalid (XDG Base Directory Specification).
        let absolute = |path: &&PathBuf| path.is_absolute();
        let system = self.system_data.as_ref().filter(absolute);
        let home = || {
            let home = self.home.as_ref().filter(absolute)?;
            Some(match std::env::consts::OS {
                "windows" => home.join("AppData").join("Local"),
                "macos" => home.join("Library/Application Support"),
                _ => home.join(".local/share"),
            })
        };
        Some(system.cloned().or_else(home)?.join(app))
    }
}

/// Returns the root of the bundle: the folder above that of the executable, whose path has no
/// symbolic links.
pub(crate) fn root(executable: &Path) -> Result<PathBuf, String> {
    let root = executable.parent().and_then(Path::parent);
    root.map(Path::to_owned).ok_or_else(|| {
        format!(
            "{} is not in the bin folder of a bundle",
            executable.display()
        )
    })
}

/// Returns Julia's depots: the user's folder for writing, and the bundle for reading.
pub(crate) fn depots(
    root: &Path,
    app: &str,
    variables: &Variables,
    separator: &str,
) -> Result<OsString, String> {
    let bundle = root.join("share").join("julia");
    // A folder whose path contains a separator is left out; the bundle itself must be found.
    let data = variables
        .data_folder(app)
        .filter(|folder| listed(folder, separator).is_ok());
    let bundle = listed(&bundle, separator)?;
    Ok(match data {
        None => bundle.to_owned(),
        Some(data) => {
            let mut both = data.into_os_string();
            both.push(separator);
            both.push(bundle);
            both
        }
    })
}

/// Returns the load path, in which Julia finds packages and their preferences: only the bundle.
pub(crate) fn load_path(root: &Path, separator: &str) -> Result<OsString, String> {
    let folder = root.join("share").join("julia");
    Ok(listed(&folder, separator)?.to_owned())
}

/// Returns a path as an entry of a list.
fn listed<'p>(path: &'p Path, separator: &str) -> Result<&'p OsStr, String> {
    match path.to_string_lossy().contains(separator) {
        false => Ok(path.as_os_str()),
        true => Err(format!(
            "the path {} contains `{separator}`, which separates the entries of Julia's depot path: \
             move the folder elsewhere",
            path.display()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of an app, and the separator of lists.
    const ROOT: &str = if cfg!(windows) {
        r"C:\an app"
    } else {
        "/opt/a b"
    };
    const SEPARATOR: &str = if cfg!(windows) { ";" } else { ":" };

    fn depots_with(data: Option<&str>, system: Option<&str>, home: Option<&str>) -> String {
        let variables = Variables {
            julia_arguments: None,
            data: data.map(PathBuf::from),
            system_data: system.map(PathBuf::from),
            home: home.map(PathBuf::from),
        };
        let found = depots(Path::new(ROOT), "tally", &variables, SEPARATOR).unwrap();
        found.into_string().unwrap()
    }

    /// The depot in the folder of the app.
    fn bundle() -> String {
        let depot = Path::new(ROOT).join("share").join("julia");
        depot.into_os_string().into_string().unwrap()
    }

    #[test]
    #[cfg(windows)]
    fn the_users_folder_comes_first_and_the_bundle_second() {
        let (bundle, home) = (bundle(), Some(r"C:\Users\ä"));
        let of_home = format!(r"C:\Users\ä\AppData\Local\tally;{bundle}");
        assert_eq!(depots_with(None, None, home), of_home);
        assert_eq!(depots_with(None, Some("data"), home), of_home);
        let system = depots_with(None, Some(r"D:\data"), home);
        assert_eq!(system, format!(r"D:\data\tally;{bundle}"));
        let named = depots_with(Some(r"E:\x"), Some(r"D:\data"), home);
        assert_eq!(named, format!(r"E:\x;{bundle}"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn the_users_folder_comes_first_and_the_bundle_second() {
        let (bundle, home) = (bundle(), Some("/home/ä"));
        let of_home = format!("/home/ä/.local/share/tally:{bundle}");
        assert_eq!(depots_with(None, None, home), of_home);
        assert_eq!(depots_with(None, Some("data"), home), of_home);
        let system = depots_with(None, Some("/data"), home);
        assert_eq!(system, format!("/data/tally:{bundle}"));
        let named = depots_with(Some("/tmp/x"), Some("/data"), None);
        assert_eq!(named, format!("/tmp/x:{bundle}"));
    }

    #[test]
    fn a_user_without_a_folder_has_the_bundle_alone() {
        assert_eq!(depots_with(None, None, None), bundle());
        let two = format!("a{SEPARATOR}b");
        assert_eq!(depots_with(Some(&two), None, None), bundle());
    }

    #[test]
    fn a_bundle_whose_path_cannot_be_an_entry_is_refused() {
        let path = format!("{ROOT}{SEPARATOR}b");
        let error = depots(path.as_ref(), "tally", &Variables::default(), SEPARATOR).unwrap_err();
        assert!(error.contains("move the folder"), "{error}");
        assert!(load_path(path.as_ref(), SEPARATOR).is_err());
    }

    #[test]
    fn the_root_is_above_bin() {
        let program = Path::new(ROOT).join("bin").join("tally");
        assert_eq!(root(&program).unwrap(), Path::new(ROOT));
        assert!(root(Path::new("/tally")).is_err());
    }
}
