//! Link errors, worded for users who have never linked anything.

use std::path::PathBuf;

use sysforge_plan::explain::PathError;
use sysforge_plan::link::symbols::SymbolLibrary;
use sysforge_plan::link::{Finding, PassedOver, Strategy};
use sysforge_plan::{Class, Evidence, Explain, JuliaVersion, Triplet};

use crate::ProcessError;
use crate::inspect::InspectError;

/// An image could not be linked.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum LinkError {
    #[error("Julia {0} is older than any that Sysforge links for")]
    TooOld(JuliaVersion),
    #[error("there is nothing to link")]
    NoObject,
    #[error("{} is not an object file or an archive of object files: {reason}", .path.display())]
    NotAnObject { path: PathBuf, reason: String },
    #[error("{} is for {found}, not for {wanted}", .path.display())]
    WrongMachine {
        path: PathBuf,
        found: String,
        wanted: Triplet,
    },
    #[error(
        "the image would take {} MB in memory, more than the {} MB that one can have",
        .bytes / 1_000_000,
        .limit / 1_000_000
    )]
    TooLarge { bytes: u64, limit: u64 },
    #[error("the objects hold no sysimage of Julia {version}: they do not define {}", .symbols.join(", "))]
    NotAnImage {
        version: JuliaVersion,
        symbols: Vec<String>,
    },
    #[error("`{name}` cannot be exported, as the objects do not define it")]
    NoSuchExport { name: String },
    #[error("Julia's library `lib{name}` was not found in {}", list(.searched))]
    MissingLibrary {
        triplet: Triplet,
        name: String,
        searched: Vec<PathBuf>,
    },
    #[error("{} is for {found}, not for {wanted}", .path.display())]
    ForeignLibrary {
        path: PathBuf,
        found: String,
        wanted: Triplet,
    },
    #[error("{} calls itself `{found}`, which is not the library of Julia {version}", .path.display())]
    LibraryVersion {
        path: PathBuf,
        found: String,
        version: JuliaVersion,
    },
    #[error("the compiler or linker `{program}` was not found")]
    NoProgram { program: String },
    #[error("`{program}`, which `--cc` or `JULIA_CC` names, cannot link for {triplet}: {reason}")]
    Unusable {
        program: String,
        triplet: Triplet,
        reason: String,
    },
    #[error("no linker for {triplet} was found{}", reasons(.passed_over))]
    NoLinker {
        triplet: Triplet,
        passed_over: Vec<PassedOver>,
    },
    #[error("none of the linkers that `--linker` allows can be used for {triplet}: {}", needs(.lacking))]
    NoneOfThese {
        triplet: Triplet,
        lacking: Vec<(Strategy, Vec<&'static str>)>,
    },
    #[error(
        "`{program}` compiles for the universal C runtime, while Julia for Windows uses msvcrt"
    )]
    Ucrt { program: String },
    #[error("undefined symbols: {}", in_words(.symbols))]
    Undefined {
        /// Their names in C spelling, and the libraries that should define them.
        symbols: Vec<(String, Option<SymbolLibrary>)>,
        evidence: Option<Evidence>,
    },
    #[error("{linker} could not link the image")]
    Failed {
        linker: String,
        #[source]
        source: Box<ProcessError>,
        passed_over: Vec<PassedOver>,
    },
    #[error("{linker} succeeded but wrote no image")]
    NoImage { linker: String },
    #[error("the image could not be signed")]
    Unsigned(#[source] Box<ProcessError>),
    #[error("{linker} made an image that is not valid: {}", together(.findings))]
    Rejected {
        linker: String,
        findings: Vec<Finding>,
    },
    #[error("{} is not a valid image: {}", .path.display(), together(.findings))]
    NoGood {
        path: PathBuf,
        findings: Vec<Finding>,
    },
    #[error(transparent)]
    Inspect(#[from] InspectError),
    #[error("{} is not a Julia for {triplet}: {reason}", .path.display())]
    NotAJulia {
        path: PathBuf,
        triplet: Triplet,
        reason: String,
    },
    #[error(transparent)]
    Path(#[from] PathError),
}

fn list(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    paths.join(", ")
}

fn reasons(passed_over: &[PassedOver]) -> String {
    let each = |p: &PassedOver| format!("; {} ({}): {}", p.program, p.strategy, p.reason);
    passed_over.iter().map(each).collect()
}

fn needs(lacking: &[(Strategy, Vec<&str>)]) -> String {
    let each = lacking
        .iter()
        .map(|(strategy, lacks)| match lacks.as_slice() {
            [] => strategy.to_string(),
            lacks => format!("{strategy} needs {}", lacks.join(" and ")),
        });
    each.collect::<Vec<_>>().join("; ")
}

fn in_words(symbols: &[(String, Option<SymbolLibrary>)]) -> String {
    const SHOWN: usize = 8;
    let mut named: Vec<_> = symbols
        .iter()
        .take(SHOWN)
        .map(|(name, library)| match library {
            Some(library) => format!("`{name}` (should come from {})", library.title()),
            None => format!("`{name}` (from no library that Julia brings)"),
        })
        .collect();
    if symbols.len() > SHOWN {
        named.push(format!("and {} more", symbols.len() - SHOWN));
    }
    named.join(", ")
}

fn together(findings: &[Finding]) -> String {
    let findings: Vec<_> = findings.iter().map(ToString::to_string).collect();
    findings.join("; ")
}

impl Explain for LinkError {
    fn class(&self) -> Class {
        match self {
            Self::TooOld(_)
            | Self::NoObject
            | Self::NoSuchExport { .. }
            | Self::NotAJulia { .. } => Class::Usage,
            Self::Failed { source, .. } | Self::Unsigned(source) => {
                source.class_or(Class::Toolchain)
            }
            Self::Inspect(error) => error.class(),
            Self::Path(error) => error.class(Class::Toolchain),
            _ => Class::Toolchain,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::TooOld(_) => vec!["use Julia 1.5 or newer".to_owned()],
            Self::NoObject => vec!["name an object that `sysforge emit` made".to_owned()],
            Self::NotAnObject { .. } => vec![
                "give the file that `julia --output-o` wrote (`…-o.a`), not an image or bitcode"
                    .to_owned(),
            ],
            Self::WrongMachine { .. } => vec![
                "emit the object with the Julia of that platform, or name the platform that the \
                 object is for with `--triplet`"
                    .to_owned(),
            ],
            Self::TooLarge { .. } => vec![
                "build for fewer CPU targets (`cpu = \"generic\"`), or split the packages over \
                 several images"
                    .to_owned(),
            ],
            Self::NotAnImage { version, .. } => vec![format!(
                "emit the object with Julia {version} itself (`julia --output-o …`)"
            )],
            Self::NoSuchExport { .. } => vec![
                "mark the function with `Base.@ccallable` in a package of the image".to_owned(),
            ],
            Self::MissingLibrary { triplet, .. } => vec![format!(
                "this is not a Julia for {triplet}, or an incomplete one: install it again, or name \
                 another with `--julia PATH`"
            )],
            Self::ForeignLibrary { .. } => vec![
                "use a Julia of the same architecture as the object; on Apple silicon, mind which \
                 of the two Julias (native, or x86_64 under Rosetta) made the object"
                    .to_owned(),
            ],
            Self::LibraryVersion { .. } => vec![
                "two Julias seem to be mixed in one directory: install this one again".to_owned(),
            ],
            Self::Unusable { .. } => vec![
                "name another in `--cc` or `JULIA_CC`, or unset it to let Sysforge choose"
                    .to_owned(),
            ],
            Self::NoProgram { .. } => vec![
                "give the full path in `--cc` or `JULIA_CC`, or unset it to let Sysforge choose"
                    .to_owned(),
            ],
            Self::NoLinker { triplet, .. } => vec![install(*triplet)],
            Self::NoneOfThese { triplet, lacking } => {
                let lacks = |what: &str| lacking.iter().any(|(_, lacks)| lacks.contains(&what));
                let mut hints = Vec::new();
                if lacks("mold") {
                    hints.push("install mold (`apt install mold`, `dnf install mold`)".to_owned());
                }
                if lacks("ld.lld") || lacks("ld64.lld") {
                    hints.push("install lld (`apt install lld`, `dnf install lld`)".to_owned());
                }
                if lacks("a C compiler") {
                    hints.push(install(*triplet));
                }
                hints.push("or leave `--linker` out: Sysforge tries what is there".to_owned());
                hints
            }
            Self::Ucrt { .. } => vec![
                "use an msvcrt toolchain (`sysforge toolchain install`), or Julia 1.9 or newer, \
                 which brings its own linker"
                    .to_owned(),
            ],
            Self::Undefined { symbols, .. } => undefined_hints(symbols),
            Self::Failed { source, .. } => {
                let mut hints = source.hints();
                hints.push("try another linker with `--cc` or `JULIA_CC`".to_owned());
                hints
            }
            Self::NoGood { .. } => {
                vec!["link it again with `sysforge link OBJECT --out FILE`".to_owned()]
            }
            Self::Unsigned(source) => {
                let mut hints = source.hints();
                hints.push("install the Command Line Tools: `xcode-select --install`".to_owned());
                hints
            }
            Self::NoImage { .. } | Self::Rejected { .. } => {
                vec!["try another linker with `--cc` or `JULIA_CC`".to_owned()]
            }
            Self::Inspect(error) => error.hints(),
            Self::NotAJulia { .. } => vec![
                "give the directory that holds `bin` and `lib`, and the platform that this Julia \
                 is for"
                    .to_owned(),
            ],
            Self::Path(error) => error.hints(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Failed { source, .. } | Self::Unsigned(source) => source.evidence(),
            Self::Undefined { evidence, .. } => evidence.clone(),
            _ => None,
        }
    }
}

/// Returns the command that installs a linker for this platform.
fn install(triplet: Triplet) -> String {
    use sysforge_plan::Os;
    match triplet.os() {
        Os::Linux => "install a C compiler (`apt install gcc`, `dnf install gcc`, `apk add gcc \
                      musl-dev`)"
            .to_owned(),
        Os::MacOs => {
            "install the Command Line Tools (`xcode-select --install`), or an `ld64.lld`".to_owned()
        }
        Os::Windows => "install an msvcrt toolchain (`sysforge toolchain install`); on Debian \
                        `apt install gcc-mingw-w64-x86-64 lld`"
            .to_owned(),
        Os::FreeBsd => "install a C compiler (`pkg install llvm`)".to_owned(),
    }
}

fn undefined_hints(symbols: &[(String, Option<SymbolLibrary>)]) -> Vec<String> {
    let any = |wanted| symbols.iter().any(|(_, library)| *library == wanted);
    let mut hints = Vec::new();
    if any(Some(SymbolLibrary::Julia)) {
        hints.push(
            "the object was emitted by another Julia than the one it is linked against: use the \
             same for both"
                .to_owned(),
        );
    }
    if any(Some(SymbolLibrary::Compiler)) {
        hints.push(
            "these are the compiler's own helpers: link through a compiler driver, for instance \
             with `JULIA_CC=gcc`"
                .to_owned(),
        );
    }
    if any(None) {
        hints.push(
            "code that calls a C function directly (`llvmcall`) needs that function's library: \
             pass it on with `JULIA_CC=\"gcc /path/to/library.so\"`"
                .to_owned(),
        );
    }
    hints
}
