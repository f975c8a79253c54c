//! Why no plan can be made.

use super::build::NoManifest;
use crate::catalogue::NoJulia;
use crate::cpu::BadTarget;
use crate::explain::{Class, Explain};
use crate::generation::Generation;
use crate::julia_option::JuliaOption;
use crate::manifest;
use crate::request::{NotARequest, ProjectIsSilent};
use crate::text::InvalidText;
use crate::toml_error::TomlError;
use crate::version::JuliaVersion;

/// No plan can be made.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum PlanError {
    #[error("the project has no package `{name}`")]
    UnknownPackage {
        name: String,
        suggestion: Option<String>,
        known: Vec<String>,
    },
    #[error(
        "there is nothing to put into the image: the project has no dependencies and is no package"
    )]
    NothingToBuild,
    #[error(
        "it is not known which package {what} is made from: the project itself is not a package"
    )]
    NoAppPackage { what: String },
    #[error("the library `{library}` has no version, and neither has the project")]
    NoLibraryVersion { library: String },
    #[error(transparent)]
    LibraryVersion(#[from] crate::library::NotALibraryVersion),
    #[error("{what} is made from the package `{package}`, which is not in the image")]
    AppPackage {
        what: String,
        package: String,
        suggestion: Option<String>,
    },
    #[error("{}, and `locked` forbids resolving the versions of its packages", .because.explain(wanted))]
    Locked {
        because: NoManifest,
        wanted: JuliaVersion,
    },
    #[error("`{name}` is a dependency of the project, but {manifest} does not list it")]
    StaleManifest {
        name: String,
        manifest: String,
        preferred_by: Option<JuliaVersion>,
    },
    #[error("images for Julia {version} cannot be built; the oldest Julia that works is {}.{}",
        Generation::OLDEST.0, Generation::OLDEST.1)]
    TooOld { version: JuliaVersion },
    #[error("{bad}")]
    Cpu { word: String, bad: BadTarget },
    #[error("Julia {version} does not start without its compiler: LLVM is linked into {library}")]
    NeedsCompiler {
        version: JuliaVersion,
        library: &'static str,
    },
    #[error("Julia {version} has no option `{option}`: it came with Julia {}.{}", .since.0, .since.1)]
    NoSuchOption {
        option: JuliaOption,
        version: JuliaVersion,
        since: (u64, u64),
    },
    #[error(
        "the image has no usable name: `{name}`, taken from the {from}, cannot be part of file names"
    )]
    Name {
        name: String,
        from: &'static str,
        #[source]
        source: InvalidText,
    },
    #[error("no build is selected by `{pattern}`")]
    NothingSelected { pattern: String, known: Vec<String> },
    #[error("the project or its manifest cannot be used")]
    Invalid(#[from] InvalidText),
    #[error(transparent)]
    Manifest(#[from] TomlError),
    #[error(transparent)]
    Request(#[from] NotARequest),
    #[error(transparent)]
    Silent(#[from] ProjectIsSilent),
    #[error(transparent)]
    NoJulia(#[from] NoJulia),
}

impl Explain for PlanError {
    fn class(&self) -> Class {
        match self {
            Self::NoJulia(error) => error.class(),
            _ => Class::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::UnknownPackage {
                suggestion: Some(name),
                ..
            } => {
                vec![format!("did you mean `{name}`?")]
            }
            Self::UnknownPackage { known, .. } => vec![
                format!("it has {}", list(known)),
                "add a package with `julia --project -e 'using Pkg; Pkg.add(\"…\")'`".to_owned(),
            ],
            Self::Cpu { bad, .. } => bad.hints(),
            Self::NeedsCompiler { .. } => {
                let since = Generation::all().iter().find(|row| row.optional_compiler);
                let (major, minor) = since.map_or(Generation::OLDEST, |row| row.since);
                vec![format!(
                    "remove `without-compiler` from [bundle] in Sysimage.toml, or build for Julia \
                     {major}.{minor} or later: `--julia {major}.{minor}`"
                )]
            }
            Self::NoSuchOption { since, .. } => vec![format!(
                "leave it out of `julia-options`, or build for a newer Julia: `--julia {}.{}`",
                since.0, since.1
            )],
            Self::NoAppPackage { .. } => {
                vec!["name it with `package = \"…\"` in its table".to_owned()]
            }
            Self::NoLibraryVersion { .. } | Self::LibraryVersion(_) => {
                vec!["set `version = \"1.0.0\"` in [library] of Sysimage.toml".to_owned()]
            }
            Self::AppPackage {
                package,
                suggestion,
                ..
            } => crate::explain::did_you_mean(
                suggestion.as_deref(),
                &format!("add `{package}` to the dependencies of the project, or to `packages`"),
            ),
            Self::NothingToBuild => vec![
                "run Sysforge where your Project.toml is, or name it with `--project DIR`"
                    .to_owned(),
            ],
            Self::Locked {
                because: NoManifest::Absent,
                ..
            } => vec![
                "make one with `julia --project -e 'using Pkg; Pkg.instantiate()'` and commit it"
                    .to_owned(),
                "or leave out `locked`: the versions are then resolved in the build directory"
                    .to_owned(),
            ],
            Self::StaleManifest {
                preferred_by,
                manifest,
                ..
            } => {
                let delete = preferred_by.as_ref().map(|julia| {
                    let (major, minor) = julia.minor_pair();
                    format!(
                        "Julia {major}.{minor} uses {manifest} instead of Manifest.toml; delete it \
                         if it is not meant to be there"
                    )
                });
                delete
                    .into_iter()
                    .chain([manifest::RESOLVE.to_owned()])
                    .collect()
            }
            Self::Locked {
                because: NoManifest::OtherJulia { made_by, .. },
                wanted,
            } => vec![
                match made_by.is_development() {
                    true => {
                        let (major, minor) = made_by.minor_pair();
                        format!(
                            "build for the manifest's own Julia, a development version: `--julia \
                             {major}.{minor}-nightly`, or `--julia nightly` while {major}.{minor} \
                             has no branch of its own"
                        )
                    }
                    false => format!(
                        "build for the manifest's own Julia: `julia = \"manifest\"` in \
                         Sysimage.toml, or `--julia {made_by}`"
                    ),
                },
                format!(
                    "or make a manifest with Julia {wanted}: `julia --project -e 'using Pkg; Pkg.resolve()'`"
                ),
            ],
            Self::TooOld { .. } => {
                vec!["ask for a newer one, for instance `--julia lts`".to_owned()]
            }
            Self::Name { .. } => {
                vec!["give it one: `name = \"…\"` in Sysimage.toml".to_owned()]
            }
            Self::Invalid(_) => {
                vec!["correct Project.toml, Manifest.toml or Sysimage.toml".to_owned()]
            }
            Self::NothingSelected { known, .. } => vec![format!("there is {}", list(known))],
            Self::Manifest(error) => error.hints(),
            Self::Request(error) => error.hints(),
            Self::Silent(error) => error.hints(),
            Self::NoJulia(error) => error.hints(),
        }
    }

    fn location(&self) -> Option<(String, usize, usize)> {
        match self {
            Self::Manifest(error) => error.location(),
            _ => None,
        }
    }
}

fn list(names: &[String]) -> String {
    match names {
        [] => "nothing".to_owned(),
        names => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}
