//! The text file that describes an app: `share/sysforge/NAME.app` in its bundle. It has one `key
//! value` per line; `crates/bundle` writes it.

use std::path::{Path, PathBuf};

/// The folder of the descriptions, relative to the root of a bundle.
pub(crate) const FOLDER: &str = "share/sysforge";

/// The facts about an app that the launcher needs.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Description {
    /// The app's name, which is also that of its folder in the user's data folder.
    pub(crate) name: String,
    /// The path of libjulia, relative to the root of the bundle.
    pub(crate) library: PathBuf,
    /// Libraries that are opened before libjulia, relative to the root of the bundle: the system
    /// may have other versions of them.
    pub(crate) preload: Vec<PathBuf>,
    /// The path of the image, relative to the root of the bundle.
    pub(crate) image: PathBuf,
    /// The name of the package with the entry point.
    pub(crate) package: String,
    /// The UUID of that package.
    pub(crate) uuid: String,
    /// The path of the entry point below the package: `Cli.julia_main`.
    pub(crate) entry: String,
    /// How the entry point is called: `plain`, without parameters, or `with-arguments`, as Julia 1.11 and
    /// later call a function with `@main`.
    pub(crate) call: String,
    /// Julia options that are always set for the app.
    pub(crate) options: Vec<String>,
}

impl Description {
    /// Reads the description of the app `executable` in the bundle `root`. If the executable was
    /// renamed, this only works if the bundle has a single app.
    pub(crate) fn read(root: &Path, executable: &Path) -> Result<Self, String> {
        let folder = root.join(FOLDER);
        let stem = executable.file_stem().unwrap_or_default();
        let mut file = stem.to_owned();
        file.push(".app");
        let mut path = folder.join(file);
        if !path.is_file() {
            let mut all = std::fs::read_dir(&folder)
                .into_iter()
                .flatten()
                .flatten()
                .map(|entry| entry.path())
                .filter(|path| path.extension().is_some_and(|extension| extension == "app"));
            match (all.next(), all.next()) {
                (Some(only), None) => path = only,
                (Some(_), Some(_)) => {
                    return Err(format!(
                        "{} describes several apps, and none is called {}: give the executable its \
                         own name back",
                        folder.display(),
                        stem.display()
                    ));
                }
                (None, _) => {
                    return Err(format!(
                        "there is no {}: copy or move the whole folder of the app, or make a \
                         symbolic link to the executable, but do not copy the executable alone",
                        path.display()
                    ));
                }
            }
        }
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        Self::parse(&text).map_err(|problem| format!("{}: {problem}", path.display()))
    }

    /// Returns the entry point as the image's code finds it (`start.jl`).
    pub(crate) fn entry_point(&self) -> String {
        [&*self.uuid, &*self.package, &*self.entry, &*self.call].join(" ")
    }

    fn parse(text: &str) -> Result<Self, String> {
        let all = |key: &str| -> Vec<String> {
            text.lines()
                .filter_map(|line| line.split_once(' '))
                .filter(|(name, _)| *name == key)
                .map(|(_, value)| value.to_owned())
                .collect()
        };
        let one = |key: &str| {
            let mut values = all(key).into_iter();
            values
                .next()
                .ok_or_else(|| format!("the line `{key}` is missing"))
        };
        match one("format")?.as_str() {
            "1" => {}
            other => {
                return Err(format!(
                    "it has the format {other}, and this launcher reads 1"
                ));
            }
        }
        Ok(Self {
            name: one("name")?,
            library: one("library")?.into(),
            preload: all("preload").into_iter().map(PathBuf::from).collect(),
            image: one("image")?.into(),
            package: one("package")?,
            uuid: one("uuid")?,
            entry: one("entry")?,
            call: one("call")?,
            options: all("option"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "format 1\nname tally\nlibrary lib/libjulia.so.1\n\
        image lib/julia/tally.so\npackage Tally\nuuid 11111111-2222-4333-8444-555555555555\n\
        entry Cli.julia_main\ncall plain\npreload lib/libgcc_s.so.1\noption --threads=2\noption --heap-size-hint=1G\n";

    #[test]
    fn every_line_is_read() {
        let read = Description::parse(TEXT).unwrap();
        assert_eq!(
            read.entry_point(),
            "11111111-2222-4333-8444-555555555555 Tally Cli.julia_main plain"
        );
        assert_eq!(read.options, ["--threads=2", "--heap-size-hint=1G"]);
        assert_eq!(read.preload, [PathBuf::from("lib/libgcc_s.so.1")]);
        let error = Description::parse("format 2\n").unwrap_err();
        assert!(error.contains("reads 1"), "{error}");
        let error = Description::parse("format 1\nname x\n").unwrap_err();
        assert_eq!(error, "the line `library` is missing");
    }

    #[test]
    fn a_renamed_executable_is_found_where_there_is_one_app() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join(FOLDER);
        let read = || Description::read(dir.path(), &dir.path().join("bin/other"));
        let missing = read().unwrap_err();
        assert!(missing.contains("whole folder"), "{missing}");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("tally.app"), TEXT).unwrap();
        assert_eq!(read().unwrap().name, "tally");
        std::fs::write(folder.join("second.app"), TEXT).unwrap();
        let several = read().unwrap_err();
        assert!(several.contains("none is called other"), "{several}");
    }
}
