//! The plan: from a project's files and a catalogue to the builds that are to be made, each with
//! everything that the later steps need.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::Serialize;

use crate::archive::ArchiveFormat;
use crate::build_id::BuildId;
use crate::catalogue::{Choice, NoJulia};
use crate::config::{Config, Settings};
use crate::cpu::{self, CpuTarget};
use crate::explain::{Class, Explain, nearest};
use crate::generation::Generation;
use crate::julia::JuliaBuild;
use crate::platform::Triplet;
use crate::project::{Manifest, Project};
use crate::receipt::PackageRecord;
use crate::request::{NotARequest, ProjectIsSilent, ProjectJulia, Request};
use crate::text::{ImageName, InvalidText, PackageName, PlainVersion, Rule, TreeHash, Uuid};
use crate::version::JuliaVersion;

/// What a plan is made from. All of it has been read by the caller.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The project file.
    pub project: Project,
    /// The manifest, if there is one.
    pub manifest: Option<Manifest>,
    /// The configuration; the default one if there is no `Sysimage.toml`.
    pub config: Config,
    /// The folder's name, for a project and configuration without a name.
    pub folder: String,
    /// Requests from the command line, which replace the configured ones.
    pub requests: Vec<String>,
    /// The platform to plan for.
    pub triplet: Triplet,
}

/// The builds to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The image's name.
    pub name: ImageName,
    /// The project's version, if it has one.
    pub project_version: Option<String>,
    /// The packages that the image is for: name and UUID, in the configured order.
    pub packages: Vec<RequestedPackage>,
    /// Those and all that they depend on, by name.
    pub closure: Vec<PackageRecord>,
    /// The builds.
    pub builds: Vec<Build>,
}

/// A package that the image is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestedPackage {
    /// The name.
    pub name: String,
    /// The UUID.
    pub uuid: String,
}

/// One image to be built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Its identifier.
    pub id: BuildId,
    /// The platform.
    pub triplet: Triplet,
    /// The Julia.
    pub julia: PlannedJulia,
    /// The CPU target.
    pub cpu: CpuTarget,
    /// The archive's format.
    pub archive: ArchiveFormat,
    /// The settings, after overrides.
    pub settings: Settings,
}

/// Where the Julia of a build comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum PlannedJulia {
    /// To be fetched from the catalogue, or already in the store.
    Catalogue {
        /// What was asked for.
        request: String,
        /// What answers it.
        #[serde(flatten)]
        choice: Choice,
    },
    /// Installed already, given by the user.
    Given {
        /// The executable.
        executable: PathBuf,
        /// What it is.
        #[serde(flatten)]
        build: JuliaBuild,
    },
}

impl PlannedJulia {
    /// The version.
    #[must_use]
    pub fn version(&self) -> &JuliaVersion {
        match self {
            Self::Catalogue { choice, .. } => &choice.version,
            Self::Given { build, .. } => &build.version,
        }
    }
}

/// No plan can be made.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// A configured package is not one of the project's.
    #[error("the project has no package `{name}`")]
    UnknownPackage {
        /// What was configured.
        name: String,
        /// The nearest that the project has.
        suggestion: Option<String>,
        /// All that it has.
        known: Vec<String>,
    },
    /// There is nothing to put into the image.
    #[error(
        "there is nothing to put into the image: the project has no dependencies and is no package"
    )]
    NothingToBuild,
    /// The project has dependencies and no manifest.
    #[error("the project has dependencies, but no Manifest.toml says which versions of them")]
    NoManifest,
    /// A dependency is missing from the manifest.
    #[error("`{name}` is a dependency of the project, but the manifest does not list it")]
    StaleManifest {
        /// The dependency.
        name: String,
    },
    /// The manifest was made by another Julia.
    #[error("the manifest was made by Julia {made_by}, and the image is for Julia {wanted}")]
    OtherJulia {
        /// The manifest's.
        made_by: JuliaVersion,
        /// The build's.
        wanted: JuliaVersion,
    },
    /// The Julia is older than any that Sysforge knows how to build for.
    #[error("images for Julia {version} cannot be built; the oldest Julia that works is {}.{}",
        Generation::OLDEST.0, Generation::OLDEST.1)]
    TooOld {
        /// What was chosen.
        version: JuliaVersion,
    },
    /// The default name cannot be used.
    #[error(
        "the image has no usable name: `{name}`, taken from the {from}, cannot be part of file names"
    )]
    Name {
        /// The name.
        name: String,
        /// Where it was taken from.
        from: &'static str,
        /// Why.
        #[source]
        source: InvalidText,
    },
    /// No build identifier is matched by what was typed.
    #[error("no build is selected by `{pattern}`")]
    NothingSelected {
        /// The pattern.
        pattern: String,
        /// What there is.
        known: Vec<String>,
    },
    /// A name, version or identifier in the project's files is none.
    #[error("the project or its manifest cannot be used")]
    Invalid(#[from] InvalidText),
    /// A request is not one.
    #[error(transparent)]
    Request(#[from] NotARequest),
    /// The project does not answer a request about itself.
    #[error(transparent)]
    Silent(#[from] ProjectIsSilent),
    /// The catalogue has no such Julia.
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
            Self::NothingToBuild => vec![
                "run Sysforge where your Project.toml is, or name it with `--project DIR`"
                    .to_owned(),
            ],
            Self::NoManifest => {
                vec!["make one with `julia --project -e 'using Pkg; Pkg.instantiate()'`".to_owned()]
            }
            Self::StaleManifest { .. } => vec![
                "bring it up to date with `julia --project -e 'using Pkg; Pkg.resolve()'`"
                    .to_owned(),
            ],
            Self::OtherJulia { made_by, wanted } => vec![
                format!(
                    "build for the manifest's own Julia: `julia = \"manifest\"` in Sysimage.toml, or `--julia {made_by}`"
                ),
                format!(
                    "or make the manifest with Julia {wanted}: `julia --project -e 'using Pkg; Pkg.resolve()'`"
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
            Self::Request(error) => error.hints(),
            Self::Silent(error) => error.hints(),
            Self::NoJulia(error) => error.hints(),
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

impl Inputs {
    /// The requests that count: the command line's, else the configured ones, else the manifest's
    /// own version, else `release`.
    ///
    /// # Errors
    ///
    /// If one is not a request, or asks the project for what it does not say.
    pub fn requests(&self) -> Result<Vec<Request>, PlanError> {
        let manifest = self.manifest.as_ref().and_then(|m| m.julia_version.clone());
        let texts = match (self.requests.is_empty(), self.config.julia.0.is_empty()) {
            (false, _) => self.requests.clone(),
            (true, false) => self.config.julia.0.clone(),
            (true, true) if manifest.is_some() => vec!["manifest".to_owned()],
            (true, true) => vec!["release".to_owned()],
        };
        let about = ProjectJulia {
            manifest,
            compat: self.project.compat.get("julia").cloned(),
        };
        texts
            .iter()
            .map(|text| Ok(text.parse::<Request>()?.for_project(&about)?))
            .collect()
    }

    /// Plans builds for these Julias, which answer the requests in their order. Two requests that
    /// the same version answers (`lts` and `1.10`) make one image.
    ///
    /// # Errors
    ///
    /// See [`PlanError`].
    pub fn plan(&self, mut julias: Vec<PlannedJulia>) -> Result<Plan, PlanError> {
        let mut seen = BTreeSet::new();
        julias.retain(|julia| seen.insert(julia.version().clone()));
        let name = self.name()?;
        let packages = self.packages()?;
        for julia in &julias {
            self.fits(julia.version())?;
        }
        let manifest = self.manifest.clone().unwrap_or_default();
        let pairs: Vec<_> = packages
            .iter()
            .map(|p| (p.name.clone(), p.uuid.clone()))
            .collect();
        let builds = julias.iter().flat_map(|julia| {
            cpu::targets(&self.config.cpu.0, self.triplet)
                .into_iter()
                .map(|cpu| {
                    let tier = cpu.tier.as_deref();
                    let id = BuildId::of(&name, julia.version(), self.triplet, tier)?;
                    Ok::<_, InvalidText>(Build {
                        settings: self.config.settings(&id),
                        id,
                        triplet: self.triplet,
                        julia: julia.clone(),
                        cpu,
                        archive: self.config.archive.unwrap_or(ArchiveFormat::TarGz),
                    })
                })
        });
        let builds = builds.collect::<Result<_, _>>()?;
        let closure = manifest.closure(&self.project, &pairs);
        closure.iter().try_for_each(valid)?;
        if let Some(version) = &self.project.version {
            PlainVersion::validate(version)?;
        }
        Ok(Plan {
            builds,
            closure,
            project_version: self.project.version.clone(),
            name,
            packages,
        })
    }

    fn name(&self) -> Result<ImageName, PlanError> {
        let (name, from) = match (&self.config.name, &self.project.name) {
            (Some(name), _) => (name, "configuration"),
            (None, Some(name)) => (name, "project"),
            (None, None) => (&self.folder, "folder"),
        };
        ImageName::new(name.as_str()).map_err(|source| PlanError::Name {
            name: crate::text::shortened(name, 60),
            from,
            source,
        })
    }

    fn packages(&self) -> Result<Vec<RequestedPackage>, PlanError> {
        if self.manifest.is_none() && self.project.needs_manifest() {
            return Err(PlanError::NoManifest);
        }
        let manifest = self.manifest.clone().unwrap_or_default();
        if let Some((name, _)) = self
            .project
            .deps
            .iter()
            .find(|(name, uuid)| manifest.entry(name, Some(uuid)).is_none())
        {
            return Err(PlanError::StaleManifest { name: name.clone() });
        }
        let itself = self
            .project
            .is_package()
            .then(|| self.project.name.clone())
            .flatten();
        let names = self.config.packages.clone().unwrap_or_else(|| {
            itself
                .iter()
                .cloned()
                .chain(self.project.deps.keys().cloned())
                .collect()
        });
        if names.is_empty() {
            return Err(PlanError::NothingToBuild);
        }
        let uuid_of = |name: &String| {
            let own = if itself.as_ref() == Some(name) {
                self.project.uuid.clone()
            } else {
                None
            };
            own.or_else(|| self.project.deps.get(name).cloned())
                .or_else(|| manifest.entry(name, None).map(|entry| entry.uuid.clone()))
        };
        let mut packages: Vec<RequestedPackage> = Vec::new();
        for name in names {
            let Some(uuid) = uuid_of(&name) else {
                let known: Vec<String> = itself
                    .iter()
                    .cloned()
                    .chain(self.project.deps.keys().cloned())
                    .collect();
                let all = known
                    .iter()
                    .chain(manifest.packages.keys())
                    .map(String::as_str);
                let suggestion = nearest(&name, all).map(str::to_owned);
                return Err(PlanError::UnknownPackage {
                    name,
                    suggestion,
                    known,
                });
            };
            if packages.iter().all(|package| package.uuid != uuid) {
                packages.push(RequestedPackage { name, uuid });
            }
        }
        Ok(packages)
    }

    /// Whether the project can be used with this Julia. Standard libraries belong to a minor
    /// version, so a manifest does too.
    fn fits(&self, version: &JuliaVersion) -> Result<(), PlanError> {
        if Generation::of(version).is_none() {
            return Err(PlanError::TooOld {
                version: version.clone(),
            });
        }
        let made_by = self
            .manifest
            .as_ref()
            .and_then(|m| m.julia_version.as_ref());
        match made_by {
            Some(made_by) if made_by.minor_pair() != version.minor_pair() => {
                Err(PlanError::OtherJulia {
                    made_by: made_by.clone(),
                    wanted: version.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Whether all of a package's record can be part of a receipt.
fn valid(package: &PackageRecord) -> Result<(), InvalidText> {
    PackageName::validate(&package.name)?;
    Uuid::validate(&package.uuid)?;
    if let Some(version) = &package.version {
        PlainVersion::validate(version)?;
    }
    match &package.tree {
        Some(tree) => TreeHash::validate(tree),
        None => Ok(()),
    }
}

impl Plan {
    /// Keeps the builds that one of the glob `patterns` selects; all of them without a pattern.
    ///
    /// # Errors
    ///
    /// If a pattern selects nothing.
    pub fn select(mut self, patterns: &[String]) -> Result<Self, PlanError> {
        for pattern in patterns {
            if !self.builds.iter().any(|build| build.id.matches(pattern)) {
                return Err(PlanError::NothingSelected {
                    pattern: pattern.clone(),
                    known: self
                        .builds
                        .iter()
                        .map(|build| build.id.to_string())
                        .collect(),
                });
            }
        }
        if !patterns.is_empty() {
            self.builds
                .retain(|build| patterns.iter().any(|p| build.id.matches(p)));
        }
        Ok(self)
    }
}
