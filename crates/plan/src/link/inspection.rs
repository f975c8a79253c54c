//! The properties of a finished image and the checks on them. The `build` crate reads the file;
//! this module decides whether it is correct.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::generation::Generation;
use crate::julia::JuliaFacts;
use crate::link::layout::Layout;
use crate::link::linker::Family;
use crate::platform::{Arch, Os};

/// A file format of shared libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// ELF: Linux, FreeBSD.
    Elf,
    /// Mach-O: macOS.
    MachO,
    /// PE: Windows. Its objects are COFF.
    Pe,
}

impl Format {
    /// Returns the format that a system uses.
    pub const fn of(os: Os) -> Self {
        match os {
            Os::Linux | Os::FreeBsd => Self::Elf,
            Os::MacOs => Self::MachO,
            Os::Windows => Self::Pe,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elf => "ELF (Linux)",
            Self::MachO => "Mach-O (macOS)",
            Self::Pe => "PE (Windows)",
        })
    }
}

/// The properties of an image, as read from the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Inspection {
    /// The file format.
    pub format: Format,
    /// The architecture; `None` if Julia does not run on it.
    pub arch: Option<Arch>,
    /// Size of the file, in bytes.
    pub bytes: u64,
    /// SONAME, install name, or the name in a DLL's export directory.
    pub name: Option<String>,
    /// The libraries that it needs, by the names in the file.
    pub needed: Vec<String>,
    /// Its run paths.
    pub run_paths: Vec<String>,
    /// The exported symbols, in C spelling; at most [`Self::EXPORTS_KEPT`] names.
    pub exports: Vec<String>,
    /// The number of exported symbols.
    pub export_count: u64,
    /// The imported symbols, in C spelling, without weak ones.
    pub imports: Vec<String>,
    /// Size of Julia's serialized data in bytes, as stored in the image (`jl_system_image_size`).
    pub data_bytes: Option<u64>,
    /// Whether debug sections and symbols that loaders do not need are stripped.
    pub stripped: bool,
    /// Sections outside the address range of the image, which Windows does not load (PE only).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<String>,
    /// The linker that wrote it, if it can be detected.
    pub linker: Option<Family>,
    /// Whether it has a code signature (Mach-O only).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
    /// The oldest system that can load it, for example `glibc 2.14` or `macOS 11.0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_system: Option<String>,
}

/// The required properties of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expectation {
    /// The operating system.
    pub os: Os,
    /// The architecture.
    pub arch: Arch,
    /// The image's name; `None` if any is accepted.
    pub name: Option<String>,
    /// The names of this Julia's libjulias. The image must need at least one of them, and no other
    /// libjulia.
    pub libjulias: Vec<String>,
    /// Required run paths.
    pub run_paths: Vec<String>,
    /// Symbols that must be exported, in C spelling.
    pub symbols: Vec<String>,
    /// Whether only the symbols that Julia needs may be exported.
    pub restricted: bool,
    /// Whether the image must be stripped.
    pub stripped: bool,
}

/// A defect of an image.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum Finding {
    #[error("it is a {found} file, not {wanted}")]
    Format { found: Format, wanted: Format },
    #[error("it is for {}, not for {wanted}", .found.map_or("an unknown processor".to_owned(), |a| a.to_string()))]
    Arch { found: Option<Arch>, wanted: Arch },
    #[error("it calls itself {}, not `{wanted}`", .found.as_ref().map_or("nothing".to_owned(), |n| format!("`{n}`")))]
    Name {
        found: Option<String>,
        wanted: String,
    },
    #[error("it needs none of {}", .wanted.join(", "))]
    NoLibjulia { wanted: Vec<String> },
    #[error("it needs `{found}`, which this Julia does not have (it has {})", .wanted.join(", "))]
    ForeignLibjulia { found: String, wanted: Vec<String> },
    #[error("it needs the universal C runtime (`{found}`), while Julia for Windows uses msvcrt")]
    Ucrt { found: String },
    #[error("its run path lacks `{0}`")]
    RunPath(String),
    #[error("it does not export `{0}`")]
    Symbol(String),
    #[error("its `jl_system_image_data` is empty")]
    Empty,
    #[error("it exports {count} symbols, among them `{example}`, beyond what Julia looks up")]
    TooManyExports { count: u64, example: String },
    #[error("its sections {} lie outside the image: Windows does not load it", .0.join(", "))]
    Outside(Vec<String>),
    #[error("it still holds symbols or debug sections")]
    NotStripped,
    /// The image is unsigned; macOS on ARM kills a process that loads unsigned code.
    #[error("it carries no code signature, without which macOS on ARM does not load it")]
    Unsigned,
}

impl Expectation {
    /// Returns the requirements for an image called `file` for `julia`. `libjulias` are the names
    /// of its libraries.
    pub fn new(
        julia: &JuliaFacts,
        generation: &'static Generation,
        file: &str,
        libjulias: Vec<String>,
        stripped: bool,
    ) -> Self {
        let os = julia.triplet.os();
        let layout = Layout::of(os, generation);
        Self {
            os,
            arch: julia.triplet.arch(),
            name: Some(layout.image_name(file)),
            libjulias,
            run_paths: layout
                .run_paths
                .iter()
                .map(|path| (*path).to_owned())
                .collect(),
            symbols: generation
                .image_symbols
                .iter()
                .map(|s| (*s).to_owned())
                .collect(),
            restricted: true,
            stripped,
        }
    }
}

impl Inspection {
    /// How many export names are kept: enough to see an error, few enough for a receipt.
    pub const EXPORTS_KEPT: usize = 64;

    /// Compares the image with the requirements.
    ///
    /// # Errors
    ///
    /// All defects found.
    pub fn verify(&self, wanted: &Expectation) -> Result<(), Vec<Finding>> {
        let format = Format::of(wanted.os);
        if self.format != format {
            return Err(vec![Finding::Format {
                found: self.format,
                wanted: format,
            }]);
        }
        let mut findings = Vec::new();
        if self.arch != Some(wanted.arch) {
            findings.push(Finding::Arch {
                found: self.arch,
                wanted: wanted.arch,
            });
        }
        if let Some(name) = &wanted.name
            && self.name.as_ref() != Some(name)
        {
            findings.push(Finding::Name {
                found: self.name.clone(),
                wanted: name.clone(),
            });
        }
        self.verify_libraries(wanted, &mut findings);
        for path in &wanted.run_paths {
            if !self.run_paths.contains(path) {
                findings.push(Finding::RunPath(path.clone()));
            }
        }
        self.verify_symbols(wanted, &mut findings);
        if wanted.stripped && !self.stripped {
            findings.push(Finding::NotStripped);
        }
        if wanted.os == Os::MacOs && wanted.arch == Arch::Aarch64 && self.signed != Some(true) {
            findings.push(Finding::Unsigned);
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(findings)
        }
    }

    fn verify_libraries(&self, wanted: &Expectation, findings: &mut Vec<Finding>) {
        let is_libjulia = |name: &&String| file_name(name).starts_with("libjulia");
        let same = |a: &str, b: &str| match wanted.os {
            Os::Windows => a.eq_ignore_ascii_case(b),
            _ => a == b,
        };
        let mut any = false;
        for found in self.needed.iter().filter(is_libjulia) {
            any = true;
            if !wanted.libjulias.iter().any(|name| same(name, found)) {
                findings.push(Finding::ForeignLibjulia {
                    found: found.clone(),
                    wanted: wanted.libjulias.clone(),
                });
            }
        }
        if !any && !wanted.libjulias.is_empty() {
            findings.push(Finding::NoLibjulia {
                wanted: wanted.libjulias.clone(),
            });
        }
        let ucrt = self.needed.iter().find(|name| is_ucrt(name));
        findings.extend(ucrt.map(|found| Finding::Ucrt {
            found: found.clone(),
        }));
    }

    fn verify_symbols(&self, wanted: &Expectation, findings: &mut Vec<Finding>) {
        for symbol in &wanted.symbols {
            if !self.exports.contains(symbol) {
                findings.push(Finding::Symbol(symbol.clone()));
            }
        }
        let data_is_wanted = wanted.symbols.iter().any(|s| s == "jl_system_image_data");
        let has_data = self.exports.iter().any(|s| s == "jl_system_image_data");
        if data_is_wanted && has_data && self.data_bytes.unwrap_or(0) == 0 {
            findings.push(Finding::Empty);
        }
        if !self.outside.is_empty() {
            findings.push(Finding::Outside(self.outside.clone()));
        }
        if wanted.restricted
            && let Some(example) = self.exports.iter().find(|name| is_inner(name))
        {
            findings.push(Finding::TooManyExports {
                count: self.export_count,
                example: example.clone(),
            });
        }
    }
}

/// Returns whether a library belongs to the universal C runtime of Windows.
pub fn is_ucrt(library: &str) -> bool {
    let library = library.to_ascii_lowercase();
    library.starts_with("api-ms-win-crt-") || library == "ucrtbase.dll"
}

/// Returns whether a name is one that Julia's code generator gives to local functions.
pub fn is_inner(symbol: &str) -> bool {
    const PREFIXES: &[&str] = &[
        "julia_",
        "japi1_",
        "japi3_",
        "jfptr_",
        "jlsys_",
        "jlplt_",
        "jlcapi_",
        "jlinvoke_",
        "tojlinvoke",
    ];
    PREFIXES.iter().any(|prefix| symbol.starts_with(prefix))
}

fn file_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Inspection {
        Inspection {
            format: Format::Elf,
            arch: Some(Arch::X86_64),
            bytes: 1000,
            name: Some("image.so".to_owned()),
            needed: vec!["libjulia.so.1.10".to_owned(), "libc.so.6".to_owned()],
            run_paths: vec!["$ORIGIN".to_owned()],
            exports: vec!["jl_system_image_data".to_owned(), "answer".to_owned()],
            export_count: 2,
            imports: Vec::new(),
            data_bytes: Some(7),
            stripped: true,
            outside: Vec::new(),
            linker: Some(Family::Lld),
            signed: None,
            oldest_system: None,
        }
    }

    fn wanted() -> Expectation {
        Expectation {
            os: Os::Linux,
            arch: Arch::X86_64,
            name: Some("image.so".to_owned()),
            libjulias: vec!["libjulia.so.1.10".to_owned()],
            run_paths: vec!["$ORIGIN".to_owned()],
            symbols: vec!["jl_system_image_data".to_owned()],
            restricted: true,
            stripped: true,
        }
    }

    fn findings(spoil: impl FnOnce(&mut Inspection)) -> Vec<String> {
        let mut image = image();
        spoil(&mut image);
        let findings = image.verify(&wanted()).err().unwrap_or_default();
        findings.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_good_image_passes() {
        assert_eq!(findings(|_| ()), [""; 0]);
    }

    #[test]
    fn a_left_out_whole_archive_flag_is_seen() {
        let empty = findings(|image| image.exports.clear());
        assert_eq!(empty, ["it does not export `jl_system_image_data`"]);
        let hollow = findings(|image| image.data_bytes = Some(0));
        assert_eq!(hollow, ["its `jl_system_image_data` is empty"]);
    }

    #[test]
    fn a_section_outside_the_image_is_seen() {
        let outside = findings(|image| image.outside = vec![".debug_gnu_pubnames".to_owned()]);
        assert!(
            outside[0].contains("Windows does not load it"),
            "{outside:?}"
        );
    }

    #[test]
    fn the_wrong_julia_is_seen() {
        assert_eq!(
            findings(|image| image.needed[0] = "libjulia.so.1.9".to_owned()),
            [
                "it needs `libjulia.so.1.9`, which this Julia does not have (it has libjulia.so.1.10)"
            ]
        );
        assert_eq!(
            findings(|image| image.needed.clear()),
            ["it needs none of libjulia.so.1.10"]
        );
    }

    #[test]
    fn the_wrong_machine_is_seen() {
        assert_eq!(
            findings(|image| image.arch = Some(Arch::Aarch64)),
            ["it is for aarch64, not for x86_64"]
        );
        assert_eq!(
            findings(|image| image.format = Format::Pe),
            ["it is a PE (Windows) file, not ELF (Linux)"]
        );
    }

    #[test]
    fn what_should_stay_inside_is_seen() {
        assert_eq!(
            findings(|image| image.exports.push("julia_f_12".to_owned())),
            ["it exports 2 symbols, among them `julia_f_12`, beyond what Julia looks up"]
        );
    }

    #[test]
    fn the_universal_c_runtime_is_told_from_the_old_one() {
        assert!(is_ucrt("api-ms-win-crt-runtime-l1-1-0.dll"));
        assert!(is_ucrt("UCRTBASE.dll"));
        assert!(!is_ucrt("msvcrt.dll"));
    }
}
