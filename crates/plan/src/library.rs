//! The vocabulary of C libraries: file names, versions, and the part of a receipt that describes a
//! library. The header files are in `header.rs`, the files for build systems in `develop.rs`.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::platform::Os;
use crate::text::{self, ProgramName, Rule as _};

mod call;
mod develop;
mod header;
mod interface;

pub use call::{Argument, CallError, LibraryCall, Scalar, TypedCall, Word, julia_string};
pub use develop::{cmake_config, cmake_version, pkg_config};
pub use header::{header, init_header};
pub use interface::{Function, Interface, InterfaceError, Parameter, Type};

/// The suffix of the project's name in a library's archive name and build identifier.
pub const SUFFIX: &str = "-lib";

/// The top-level folders in the archives of apps and libraries.
pub const FOLDERS: [&str; 5] = ["bin", "include", "lib", "libexec", "share"];

/// The header that declares the functions that start and end Julia.
pub const INIT_HEADER: &str = "julia_init.h";

/// The function that starts Julia.
pub const INIT: &str = "init_julia";

/// The function that ends Julia.
pub const SHUTDOWN: &str = "shutdown_julia";

/// The version of a library.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct LibraryVersion {
    /// Raised by incompatible changes.
    pub major: u16,
    /// Raised by additions.
    pub minor: u8,
    /// Raised by corrections.
    pub patch: u8,
}

/// The text is not the version of a library.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{}` is not the version of a library: write three numbers, such as `1.2.3`, of which macOS stores \
     at most 65535.255.255", text::shortened(.0, 60)
)]
pub struct NotALibraryVersion(String);

impl FromStr for LibraryVersion {
    type Err = NotALibraryVersion;

    fn from_str(text: &str) -> Result<Self, NotALibraryVersion> {
        let parse = || {
            let mut parts = text.split('.');
            let mut next = || {
                let part = parts.next()?;
                let is_number = part.bytes().all(|byte| byte.is_ascii_digit());
                is_number.then_some(part)
            };
            let version = Self {
                major: next()?.parse().ok()?,
                minor: next()?.parse().ok()?,
                patch: next()?.parse().ok()?,
            };
            parts.next().is_none().then_some(version)
        };
        parse().ok_or_else(|| NotALibraryVersion(text.to_owned()))
    }
}

impl fmt::Display for LibraryVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// How much of the version a program depends on that was linked against the library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CompatLevel {
    /// The major version.
    #[default]
    Major,
    /// The major and the minor version.
    Minor,
    /// The whole version.
    Patch,
}

impl CompatLevel {
    /// Returns the part of a version that counts.
    pub fn of(self, version: LibraryVersion) -> String {
        let LibraryVersion { major, minor, .. } = version;
        match self {
            Self::Major => major.to_string(),
            Self::Minor => format!("{major}.{minor}"),
            Self::Patch => version.to_string(),
        }
    }

    /// Returns the oldest version that a program linked against `version` accepts.
    pub fn oldest(self, version: LibraryVersion) -> LibraryVersion {
        match self {
            Self::Major => LibraryVersion {
                minor: 0,
                patch: 0,
                ..version
            },
            Self::Minor => LibraryVersion {
                patch: 0,
                ..version
            },
            Self::Patch => version,
        }
    }
}

/// The names of a library on one system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryNames {
    /// The folder of the library, relative to the root.
    pub folder: &'static str,
    /// Its file.
    pub file: String,
    /// The name that programs look up at run time.
    pub soname: String,
    /// Further names of the file, as links.
    pub links: Vec<String>,
    /// The import library, in `lib`.
    pub import_library: Option<String>,
}

impl LibraryNames {
    /// Returns the names of the library `name`.
    pub fn of(os: Os, name: &str, version: LibraryVersion, level: CompatLevel) -> Self {
        let compatible = level.of(version);
        let (folder, file, soname, plain) = match os {
            Os::Linux | Os::FreeBsd => (
                "lib",
                format!("lib{name}.so.{version}"),
                format!("lib{name}.so.{compatible}"),
                format!("lib{name}.so"),
            ),
            Os::MacOs => (
                "lib",
                format!("lib{name}.{version}.dylib"),
                format!("lib{name}.{compatible}.dylib"),
                format!("lib{name}.dylib"),
            ),
            Os::Windows => {
                let file = format!("{name}.dll");
                return Self {
                    folder: "bin",
                    soname: file.clone(),
                    file,
                    links: Vec::new(),
                    import_library: Some(format!("lib{name}.dll.a")),
                };
            }
        };
        let links = [&soname, &plain];
        let mut links: Vec<String> = links
            .into_iter()
            .filter(|link| **link != file)
            .cloned()
            .collect();
        links.dedup();
        Self {
            folder,
            file,
            soname,
            links,
            import_library: None,
        }
    }

    /// Returns the path of the library, relative to the root.
    pub fn path(&self) -> String {
        format!("{}/{}", self.folder, self.file)
    }
}

/// The settings for linking a library, in addition to those of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibraryLink {
    /// Its version, stored on macOS.
    pub version: LibraryVersion,
    /// The oldest compatible version, stored on macOS.
    pub compatible: LibraryVersion,
    /// The path of the import library to write on Windows.
    pub import_library: std::path::PathBuf,
    /// The folders of Julia's libraries in the bundle, relative to the library's folder (an empty
    /// string is that folder).
    pub library_dirs: Vec<String>,
}

/// The part of a receipt that describes a library.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LibraryRecord {
    /// The name, as in `-lNAME`.
    #[serde(deserialize_with = "text::string::<ProgramName, _>")]
    pub name: String,
    /// The version.
    #[serde(deserialize_with = "text::string::<text::PlainVersion, _>")]
    pub version: String,
    /// The name that programs look up at run time.
    #[serde(deserialize_with = "text::string::<ProgramName, _>")]
    pub soname: String,
    /// The functions, in the order of the header.
    pub functions: Vec<FunctionRecord>,
    /// The calls made from C with the unpacked archive.
    pub calls: Vec<CallRecord>,
    /// Milliseconds from opening the library until Julia is running.
    pub init_ms: f64,
    /// Statements compiled by starting Julia, the calls and ending Julia.
    pub residuals: Vec<String>,
}

/// A function of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FunctionRecord {
    /// Its name in C.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub name: String,
    /// Why the header does not declare it, if it does not.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "text::optional::<text::Line, _>"
    )]
    pub undeclared: Option<String>,
}

/// A call made from C.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CallRecord {
    /// The function and its arguments, as in C.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub call: String,
    /// The returned value.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub result: String,
    /// Wall time in milliseconds.
    pub wall_ms: f64,
}

/// Checks that a text can be the name of a library on every system.
///
/// # Errors
///
/// Describes what is wrong with the name.
pub fn check_name(name: &str) -> Result<(), String> {
    ProgramName::check(name).map_err(|error| error.to_string())?;
    if !name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        return Err("it begins with a letter of ASCII".to_owned());
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if let Some(other) = name.chars().find(|c| !allowed(*c)) {
        return Err(format!(
            "it contains `{other}`; a name has letters and digits of ASCII, `_` and `-`, without an \
             ending such as .so"
        ));
    }
    if name.len() > 60 {
        return Err("it is longer than 60 characters".to_owned());
    }
    let lower = name.to_ascii_lowercase();
    if ["julia", "libjulia"].contains(&lower.as_str())
        || ["julia-", "julia_", "libjulia-"]
            .iter()
            .any(|start| lower.starts_with(start))
    {
        return Err("it is the name of Julia's own library".to_owned());
    }
    Ok(())
}

/// Returns whether a text is an identifier in C.
pub fn is_c_identifier(text: &str) -> bool {
    let starts = |c: char| c.is_ascii_alphabetic() || c == '_';
    text.starts_with(starts)
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        && text.len() <= 200
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(os: Os, level: CompatLevel) -> LibraryNames {
        LibraryNames::of(os, "measure", "1.2.3".parse().unwrap(), level)
    }

    #[test]
    fn the_compat_level_decides_the_name_that_programs_look_for() {
        let major = names(Os::Linux, CompatLevel::Major);
        assert_eq!(major.path(), "lib/libmeasure.so.1.2.3");
        assert_eq!(major.soname, "libmeasure.so.1");
        assert_eq!(major.links, ["libmeasure.so.1", "libmeasure.so"]);
        assert_eq!(
            names(Os::Linux, CompatLevel::Minor).soname,
            "libmeasure.so.1.2"
        );
        let patch = names(Os::Linux, CompatLevel::Patch);
        assert_eq!(patch.soname, patch.file);
        assert_eq!(patch.links, ["libmeasure.so"]);
    }

    #[test]
    fn each_system_has_its_own_names() {
        let mac = names(Os::MacOs, CompatLevel::Minor);
        assert_eq!(mac.file, "libmeasure.1.2.3.dylib");
        assert_eq!(mac.links, ["libmeasure.1.2.dylib", "libmeasure.dylib"]);
        let windows = names(Os::Windows, CompatLevel::Major);
        assert_eq!(windows.path(), "bin/measure.dll");
        assert_eq!(windows.import_library.as_deref(), Some("libmeasure.dll.a"));
        assert!(windows.links.is_empty());
        let oldest = |level: CompatLevel| level.oldest("1.2.3".parse().unwrap()).to_string();
        assert_eq!(oldest(CompatLevel::Major), "1.0.0");
        assert_eq!(oldest(CompatLevel::Minor), "1.2.0");
        assert_eq!(oldest(CompatLevel::Patch), "1.2.3");
    }

    #[test]
    fn versions_are_three_numbers() {
        assert!("0.1.0".parse::<LibraryVersion>().is_ok());
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "1.2.x",
            "-1.2.3",
            "+1.2.3",
            "1.2.3-DEV",
            "1.256.0",
        ] {
            assert!(bad.parse::<LibraryVersion>().is_err(), "{bad}");
        }
    }
}
