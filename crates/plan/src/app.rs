//! The vocabulary of apps: entry points, and what a receipt says of a bundle.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Os;
use crate::text::{self, PlainName, Rule as _};

/// What an app's archive and build identifier have after the project's name.
pub const SUFFIX: &str = "-app";

/// The folder of the image in the archive of an app. The archive of an image has it at its top.
pub const IMAGE_FOLDER: &str = "lib/julia";

/// The folders at the top of an app's archive.
pub const FOLDERS: [&str; 3] = ["bin", "lib", "share"];

/// The function that an app begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryPoint {
    /// The names of modules below the package, and of the function, joined by dots.
    pub path: String,
    /// How it is called.
    pub call: Call,
}

/// How an entry point is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// `julia_main()`: it returns an integer, the exit code.
    Plain,
    /// `main(ARGS)`, as Julia calls a function that was declared with `@main`: it returns an integer,
    /// or `nothing` for 0.
    WithArguments,
}

/// A text that names no entry point.
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

/// Whether a text is the plain name of a Julia function or module.
fn is_identifier(text: &str) -> bool {
    let mut characters = text.chars();
    let starts = |c: char| c.is_alphabetic() || c == '_';
    characters.next().is_some_and(starts)
        && characters.all(|c| c.is_alphanumeric() || c == '_' || c == '!')
        && text.len() <= 200
}

/// What the archive of an app holds, and what running it showed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BundleRecord {
    /// The apps.
    pub apps: Vec<AppRecord>,
    /// The C library, of which the image is the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub library: Option<crate::library::LibraryRecord>,
    /// The files, each with its size and the reason why it is there; links have none.
    pub files: Vec<BundledFile>,
    /// Whether the apps were run in a namespace that contains the bundle and the system's C library
    /// and nothing else. Elsewhere they were run with an empty environment.
    pub isolated: bool,
    /// Libraries that the system must provide.
    #[serde(deserialize_with = "text::list::<text::Line, _>")]
    pub system: Vec<String>,
    /// The oldest system that can load every file, for instance `glibc 2.14`.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional::<text::Line, _>"
    )]
    pub oldest_system: Option<String>,
}

/// One app of an archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AppRecord {
    /// The name of the executable, without the ending `.exe`.
    #[serde(deserialize_with = "text::string::<PlainName, _>")]
    pub name: String,
    /// The function that it calls.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub entry: String,
    /// How it was run.
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
    pub wall_ms: f64,
    /// The most memory that it had when Julia ran it on the image, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
    /// Statements that it compiled.
    pub residuals: Vec<String>,
}

/// A file of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct BundledFile {
    /// The path in the archive, with `/`.
    #[serde(deserialize_with = "text::string::<text::RelativePath, _>")]
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Why it is there.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub why: String,
}

impl BundleRecord {
    /// The folder of the image in the archive.
    #[must_use]
    pub fn image_folder(&self, os: Os) -> &'static str {
        match (&self.library, os) {
            (None, _) => IMAGE_FOLDER,
            (Some(_), Os::Windows) => "bin",
            (Some(_), _) => "lib",
        }
    }
}

/// Whether a text can be the name of an executable on every system.
///
/// # Errors
///
/// What is wrong with it.
pub fn check_name(name: &str) -> Result<(), String> {
    PlainName::check(name).map_err(|error| error.to_string())?;
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
        for bad in ["", "a/b", "..", "CON", "tally.exe", "a\nb"] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }
}
