//! The vocabulary of apps: entry points, and the part of a receipt that describes a bundle.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measured;
use crate::platform::Os;
use crate::text::{self, ProgramName, Rule as _};

/// The suffix of the project's name in an app's archive name and build identifier.
pub const SUFFIX: &str = "-app";

/// The folder of the image in an app's archive. The archive of an image has it at the top level.
pub const IMAGE_FOLDER: &str = "lib/julia";

/// The function that starts an app.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoint {
    /// The names of modules below the package and of the function, joined by dots.
    pub path: String,
    /// How it is called.
    pub call: Call,
}

/// How an entry point is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `julia_main()`, which returns the exit code as an integer.
    Plain,
    /// `main(ARGS)`, as Julia calls a function declared with `@main`. It returns an integer, or
    /// `nothing` for 0.
    WithArguments,
}

/// The text is not an entry point.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not an entry point: write `julia_main`, `@main`, or a function of a module in the \
     package, such as `Cli.julia_main`", text::shortened(.0, 60)
)]
pub struct NotAnEntryPoint(String);

impl FromStr for EntryPoint {
    type Err = NotAnEntryPoint;

    fn from_str(text: &str) -> Result<Self, NotAnEntryPoint> {
        let (modules, function) = match text.rsplit_once('.') {
            Some((modules, function)) => (Some(modules), function),
            None => (None, text),
        };
        let (function, call) = match function {
            "@main" => ("main", Call::WithArguments),
            other => (other, Call::Plain),
        };
        let path = match modules {
            Some(modules) => format!("{modules}.{function}"),
            None => function.to_owned(),
        };
        match path.split('.').all(is_identifier) {
            true => Ok(Self { path, call }),
            false => Err(NotAnEntryPoint(text.to_owned())),
        }
    }
}

impl fmt::Display for EntryPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let arguments = match self.call {
            Call::Plain => "()",
            Call::WithArguments => "(ARGS)",
        };
        write!(f, "{}{arguments}", self.path)
    }
}

/// Returns whether a text is the plain name of a Julia function or module.
fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = |c: char| c.is_alphabetic() || c == '_';
    characters.next().is_some_and(starts)
        && characters.all(|c| c.is_alphanumeric() || c == '_' || c == '!')
        && text.len() <= 200
}

/// The contents of an app's archive, and what running the apps showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRecord {
    /// The apps.
    pub apps: Vec<AppRecord>,
    /// The C library whose file is the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<crate::library::LibraryRecord>,
    /// The files, each with its size and why it is included; links have none.
    pub files: Vec<BundledFile>,
    /// Whether the apps ran in a namespace that contains only the bundle and the system's C
    /// library. Otherwise they ran with an empty environment.
    pub isolated: bool,
    /// Libraries that the system must provide.
    #[serde(deserialize_with = "text::list::<text::Line, _>")]
    pub system: Vec<String>,
    /// The oldest system that can load every file, for example `glibc 2.14`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional::<text::Line, _>"
    )]
    pub oldest_system: Option<String>,
}

/// One app in an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppRecord {
    /// The name of the executable, without `.exe`.
    #[serde(deserialize_with = "text::string::<ProgramName, _>")]
    pub name: String,
    /// The function that it calls.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub entry: String,
    /// The runs of the app.
    pub runs: Vec<RunRecord>,
}

/// One run of an app from its unpacked archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunRecord {
    /// The arguments.
    pub args: Vec<String>,
    /// The exit code.
    pub exit: i32,
    /// Wall time from start to end, in milliseconds.
    #[serde(deserialize_with = "measured::milliseconds")]
    pub wall_ms: f64,
    /// Peak memory when Julia ran it on the image, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Statements that the run compiled.
    pub residuals: Vec<String>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct BundledFile {
    /// The path in the archive, with `/`.
    #[serde(deserialize_with = "text::string::<text::RelativePath, _>")]
    pub path: String,
    /// Size in bytes.
    #[serde(deserialize_with = "measured::size")]
    pub size: u64,
    /// Why it is included.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub why: String,
}

impl BundleRecord {
    /// The folder of the image in the archive.
    pub fn image_folder(&self, os: Os) -> &'static str {
        match (&self.library, os) {
            (None, _) => IMAGE_FOLDER,
            (Some(_), Os::Windows) => "bin",
            (Some(_), _) => "lib",
        }
    }
}

/// Checks that a text can be the name of an executable on every system.
///
/// # Errors
///
/// Describes what is wrong with the name.
pub fn check_name(name: &str) -> Result<(), String> {
    ProgramName::check(name).map_err(|error| error.to_string())?;
    match name.to_ascii_lowercase().ends_with(".exe") {
        true => Err(format!(
            "`{name}` ends with .exe, which Sysforge adds on Windows"
        )),
        false => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Call)> {
        let entry: EntryPoint = text.parse().ok()?;
        Some((entry.path, entry.call))
    }

    #[test]
    fn entry_points_are_functions_of_the_package_or_of_modules_in_it() {
        assert_eq!(
            parsed("julia_main"),
            Some(("julia_main".to_owned(), Call::Plain))
        );
        assert_eq!(
            parsed("@main"),
            Some(("main".to_owned(), Call::WithArguments))
        );
        let nested = parsed("A.B.@main");
        assert_eq!(nested, Some(("A.B.main".to_owned(), Call::WithArguments)));
        assert_eq!(parsed("run!"), Some(("run!".to_owned(), Call::Plain)));
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a b",
            "a()",
            "1a",
            "@mine",
            "a;b",
            "\"",
            "$(x)",
            "A.@main.b",
        ] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_of_executables_are_valid_on_every_system() {
        assert!(check_name("tally").is_ok());
        for bad in [
            "",
            "a/b",
            "..",
            "CON",
            "tally.exe",
            "a\nb",
            "-a",
            "a b",
            "a;b",
            "##[group]a",
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
