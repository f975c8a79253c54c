//! The plan: from a project's files and a catalogue to the list of builds, each with everything
//! that the later steps need.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveFormat;
use crate::build_id::BuildId;
use crate::catalogue::{Choice, NoJulia};
use crate::config::{Base, Bundle, Config, Settings};
use crate::cpu::{self, BadTarget, CpuTarget};
use crate::explain::{Class, Explain, nearest};
use crate::generation::Generation;
use crate::julia::JuliaBuild;
use crate::julia_option::JuliaOption;
use crate::library::{LibraryNames, LibraryVersion};
use crate::manifest::{self, Manifest};
use crate::manifests::{ManifestFile, Manifests, Origin};
use crate::memory;
use crate::platform::Triplet;
use crate::project::Project;
use crate::receipt::PackageRecord;
use crate::request::{NotARequest, ProjectIsSilent, ProjectJulia, Request};
use crate::text::{ImageName, InvalidText, PackageName, PlainVersion, Rule, TreeHash, Uuid};
use crate::toml_error::TomlError;
use crate::version::JuliaVersion;

/// The input of a plan. The caller has read the files.
#[derive(Debug, Clone)]
pub struct Inputs {
    /// The project file.
    pub project: Project,
    /// The manifests; the Julia version decides which one is used.
    pub manifests: Manifests,
    /// The configuration; the default one if there is no `Sysimage.toml`.
    pub config: Config,
    /// The folder's name, used if neither project nor configuration has a name.
    pub folder: String,
    /// Requests from the command line, which replace the configured ones.
    pub requests: Vec<String>,
    /// The platform to plan for.
    pub triplet: Triplet,
}

/// The planned builds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The image's name.
    pub name: ImageName,
    /// The project's version, if it has one.
    pub project_version: Option<String>,
    /// The packages requested for the images: name and UUID, in the configured order. The union
    /// over all builds.
    pub packages: Vec<RequestedPackage>,
    /// The requested packages and all their dependencies, by name. The union over all builds.
    pub closure: Vec<PackageRecord>,
    /// The builds.
    pub builds: Vec<Build>,
    /// Problems that are likely but do not prevent the build.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// Information for the user before the build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Warning {
    /// The problem.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// A package requested for the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RequestedPackage {
    /// The name.
    pub name: String,
    /// The UUID.
    pub uuid: String,
}

/// One image to build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Build {
    /// Its identifier.
    pub id: BuildId,
    /// The platform.
    pub triplet: Triplet,
    /// The Julia.
    pub julia: PlannedJulia,
    /// The manifest that this Julia uses, as the user would type its path.
    pub manifest: Option<String>,
    /// The packages requested for the image.
    pub packages: Vec<RequestedPackage>,
    /// The requested packages and all their dependencies, by name.
    pub closure: Vec<PackageRecord>,
    /// The CPU target.
    pub cpu: CpuTarget,
    /// The archive's format.
    pub archive: ArchiveFormat,
    /// The settings, with overrides applied.
    pub settings: Settings,
    /// The source of the package versions.
    pub versions: Versions,
    /// The apps made from the image.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<PlannedApp>,
    /// The C library made from the image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub library: Option<PlannedLibrary>,
    /// Whether there is an archive of the image itself.
    #[serde(skip_serializing_if = "is_true")]
    pub image: bool,
}

fn is_true(value: &bool) -> bool {
    *value
}

/// An app of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedApp {
    /// The name of the executable.
    pub name: String,
    /// The package's UUID.
    pub package: String,
    /// Its UUID.
    pub uuid: String,
}

/// The C library of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedLibrary {
    /// The name, as in `-lNAME`.
    pub name: String,
    /// The package that defines the functions.
    pub package: String,
    /// The package's UUID.
    pub uuid: String,
    /// The version.
    pub version: String,
    /// The path of the library in its archive.
    pub path: String,
    /// The name that programs look up at run time.
    pub soname: String,
}

impl Build {
    /// Returns the identifier of the archive with the C library.
    ///
    /// # Errors
    ///
    /// If it is too long for file names.
    pub fn library_id(&self, name: &ImageName) -> Result<BuildId, crate::text::InvalidText> {
        self.id_with(name, crate::library::SUFFIX)
    }

    /// Returns the identifiers of all archives of the build: of the image, of the apps and of the
    /// library, as far as there are any.
    ///
    /// # Errors
    ///
    /// If one is too long for file names.
    pub fn archives(&self, name: &ImageName) -> Result<Vec<BuildId>, crate::text::InvalidText> {
        let image = self.image.then(|| Ok(self.id.clone()));
        let apps = (!self.apps.is_empty()).then(|| self.app_id(name));
        let library = self.library.is_some().then(|| self.library_id(name));
        image.into_iter().chain(apps).chain(library).collect()
    }

    /// Returns the identifier of the archive with the apps.
    ///
    /// # Errors
    ///
    /// If it is too long for file names.
    pub fn app_id(&self, name: &ImageName) -> Result<BuildId, crate::text::InvalidText> {
        self.id_with(name, crate::app::SUFFIX)
    }

    fn id_with(&self, name: &ImageName, suffix: &str) -> Result<BuildId, crate::text::InvalidText> {
        let name = format!("{name}{suffix}");
        BuildId::of(
            &name,
            self.julia.version(),
            self.triplet,
            self.cpu.tier.as_deref(),
        )
    }
}

/// The source of the package versions of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Versions {
    /// The project's manifest, made for this minor version of Julia.
    Manifest,
    /// Pkg resolves them in the build's folder before the first trace. Until then only the packages
    /// named by the project are known.
    Resolved {
        /// Why the project's manifest cannot be used.
        #[serde(flatten)]
        because: NoManifest,
    },
}

/// Why a build cannot use a manifest of the project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "because", rename_all = "kebab-case")]
pub enum NoManifest {
    /// The project has dependencies and no manifest.
    Absent,
    /// Another minor version of Julia made the manifest. Manifests contain standard libraries,
    /// whose versions depend on the minor version.
    OtherJulia {
        /// The manifest.
        manifest: String,
        /// The Julia that made it.
        made_by: JuliaVersion,
    },
}

impl NoManifest {
    /// Describes the problem, as a sentence about a build for `wanted`.
    #[must_use]
    pub fn explain(&self, wanted: &JuliaVersion) -> String {
        match self {
            Self::Absent => "the project has no manifest".to_owned(),
            Self::OtherJulia { manifest, made_by } => {
                format!(
                    "{manifest} was made by Julia {made_by}, and the image is for Julia {wanted}"
                )
            }
        }
    }
}

/// How much is known about the packages of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The versions are not resolved yet.
    BeforeResolving,
    /// The manifest is the one used by the build.
    Known,
}

/// The source of the Julia of a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum PlannedJulia {
    /// From the catalogue; it may be in the store already.
    Catalogue {
        /// The request.
        request: String,
        /// The release that satisfies it.
        #[serde(flatten)]
        choice: Choice,
    },
    /// An installed Julia, given by the user.
    Given {
        /// The executable.
        executable: PathBuf,
        /// Its version, commit and platform.
        #[serde(flatten)]
        build: JuliaBuild,
    },
}

impl PlannedJulia {
    /// Returns the version.
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
    #[error("it is not known which package {what} is made from: the project itself is no package")]
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
    #[error(
        "a fresh base cannot be made for Julia {version}: since 1.12 the compiler is a package of its own"
    )]
    NoFreshBase { version: JuliaVersion },
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
            Self::NoFreshBase { .. } => vec![
                "leave `base` out, or write `base = \"shipped\"`, to build on the sysimage that this \
                 Julia ships; `base` may differ for some builds under [[overrides]]"
                    .to_owned(),
            ],
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

/// Refuses a fresh base for a Julia that does not support it.
fn require_base(settings: &Settings, julia: &JuliaVersion) -> Result<(), PlanError> {
    let possible = Generation::of(julia).is_none_or(|generation| generation.fresh_base);
    match &settings.base {
        Base::Fresh if !possible => Err(PlanError::NoFreshBase {
            version: julia.clone(),
        }),
        Base::Fresh | Base::Shipped | Base::Image(_) | Base::Release { .. } => Ok(()),
    }
}

/// Refuses to leave out the compiler of a Julia that does not start without it.
fn require_compiler(bundle: &Bundle, julia: &JuliaVersion) -> Result<(), PlanError> {
    let generation = Generation::of(julia);
    if !bundle.without_compiler || generation.is_none_or(|row| row.optional_compiler) {
        return Ok(());
    }
    let is_apart = generation.is_some_and(|row| row.libraries.contains(&"julia-internal"));
    Err(PlanError::NeedsCompiler {
        version: julia.clone(),
        library: match is_apart {
            true => "libjulia-internal",
            false => "libjulia",
        },
    })
}

/// Refuses options that a Julia does not have.
fn require_options(options: &[JuliaOption], julia: &JuliaVersion) -> Result<(), PlanError> {
    let missing = |option: &JuliaOption| Some((option.clone(), option.missing_from(julia)?));
    match options.iter().find_map(missing) {
        Some((option, since)) => Err(PlanError::NoSuchOption {
            option,
            version: julia.clone(),
            since,
        }),
        None => Ok(()),
    }
}

impl Inputs {
    /// Returns the effective requests: those of the command line, otherwise the configured ones,
    /// otherwise the manifest's version, otherwise `release`.
    ///
    /// # Errors
    ///
    /// If one is invalid, or needs information that the project does not contain.
    pub fn requests(&self) -> Result<Vec<Request>, PlanError> {
        let manifest = self.manifests.request();
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
        let mut requests = Vec::new();
        for text in texts {
            for request in Request::parse_list(&text)? {
                requests.push(request.for_project(&about)?);
            }
        }
        Ok(requests)
    }

    /// Plans builds for these Julias, which are in the order of the requests. Two requests
    /// satisfied by the same version (`lts` and `1.10`) make one image.
    ///
    /// # Errors
    ///
    /// See [`PlanError`].
    pub fn plan(&self, mut julias: Vec<PlannedJulia>) -> Result<Plan, PlanError> {
        let mut seen = BTreeSet::new();
        julias.retain(|julia| seen.insert(julia.version().clone()));
        let name = self.name()?;
        if let Some(version) = &self.project.version {
            PlainVersion::validate(version)?;
        }
        let mut plan = Plan {
            name,
            project_version: self.project.version.clone(),
            packages: Vec::new(),
            closure: Vec::new(),
            builds: Vec::new(),
            warnings: Vec::new(),
        };
        for request in self.requests()? {
            if let Request::Within(ranges) = request
                && ranges.is_open_union()
            {
                plan.warn(
                    format!("the range `{ranges}` contains every version: a comma means \"or\""),
                    "for \"and\", write a space: `>=1.10 <1.12`".to_owned(),
                );
            }
        }
        for select in self.ineffective_overrides(&plan.name, &julias) {
            plan.warn(
                format!("the override for `{select}` in Sysimage.toml selects no build"),
                "`sysforge plan` lists the build identifiers of this platform; for another one, \
                 only the triplet in them differs"
                    .to_owned(),
            );
        }
        for julia in &julias {
            self.check_cpus(julia.version())?;
            let environment = self.environment(julia.version())?;
            for warning in environment.warnings {
                plan.warn(warning.message, warning.hint);
            }
            let apps = self.apps(&environment.packages, &environment.closure)?;
            let library = self.library(&environment.packages, &environment.closure)?;
            let portable = cpu::portable(self.triplet);
            let cpus = cpu::targets(&self.config.cpu.0, self.triplet, portable);
            for (index, cpu) in cpus.into_iter().enumerate() {
                let tier = cpu.tier.as_deref();
                let id = BuildId::of(&plan.name, julia.version(), self.triplet, tier)?;
                let settings = self.config.settings(&id);
                let cpu = self.kept(cpu, index, &settings, julia.version());
                require_base(&settings, julia.version())?;
                require_options(&settings.julia_options, julia.version())?;
                require_compiler(&self.config.bundle, julia.version())?;
                plan.builds.push(Build {
                    settings,
                    id,
                    triplet: self.triplet,
                    julia: julia.clone(),
                    manifest: environment.manifest.clone(),
                    packages: environment.packages.clone(),
                    closure: environment.closure.clone(),
                    cpu,
                    archive: self.config.archive.unwrap_or(ArchiveFormat::TarGz),
                    versions: environment.versions.clone(),
                    apps: apps.clone(),
                    library: library.clone(),
                    image: self.config.bundle.image,
                });
            }
            plan.add(environment.packages, environment.closure);
        }
        Ok(plan)
    }

    /// Returns the `index`th CPU target as this Julia will keep it: `portable` requests what an image
    /// on this base will contain.
    fn kept(
        &self,
        cpu: CpuTarget,
        index: usize,
        settings: &Settings,
        julia: &JuliaVersion,
    ) -> CpuTarget {
        match Generation::of(julia) {
            Some(generation) if !memory::keeps_targets(generation, &settings.base) => {
                let portable = cpu::portable_alone(self.triplet);
                let mut all = cpu::targets(&self.config.cpu.0, self.triplet, portable);
                all.swap_remove(index)
            }
            _ => cpu,
        }
    }

    /// Returns the patterns of overrides that match no build on any platform. Returns none if the
    /// command line requests Julias, because those may differ from the configured ones.
    fn ineffective_overrides(&self, name: &ImageName, julias: &[PlannedJulia]) -> Vec<&str> {
        if !self.requests.is_empty() || julias.is_empty() {
            return Vec::new();
        }
        let selects = |pattern: &str| {
            Triplet::all().any(|triplet| {
                julias.iter().any(|julia| {
                    let cpus = cpu::targets(&self.config.cpu.0, triplet, cpu::portable(triplet));
                    cpus.iter().any(|cpu| {
                        BuildId::of(name, julia.version(), triplet, cpu.tier.as_deref())
                            .is_ok_and(|id| id.matches(pattern))
                    })
                })
            })
        };
        let patterns = self.config.overrides.iter().map(|o| o.select.as_str());
        patterns.filter(|pattern| !selects(pattern)).collect()
    }

    fn check_cpus(&self, julia: &JuliaVersion) -> Result<(), PlanError> {
        for word in &self.config.cpu.0 {
            cpu::check(word, self.triplet, julia).map_err(|bad| PlanError::Cpu {
                word: word.clone(),
                bad,
            })?;
        }
        Ok(())
    }

    /// Returns the packages in the project's environment for this Julia.
    fn environment(&self, julia: &JuliaVersion) -> Result<Environment, PlanError> {
        if Generation::of(julia).is_none() {
            return Err(PlanError::TooOld {
                version: julia.clone(),
            });
        }
        let none = Manifest::default();
        let file = self.manifests.of(julia);
        let manifest = match file.map(|file| &file.content) {
            Some(Ok(manifest)) => manifest,
            Some(Err(error)) => return Err(error.clone().into()),
            None => &none,
        };
        let versions = self.versions(julia, file, manifest)?;
        let certainty = match versions {
            Versions::Manifest => Certainty::Known,
            Versions::Resolved { .. } => Certainty::BeforeResolving,
        };
        let (packages, closure) = self.contents(julia, manifest, certainty)?;
        let warnings = match (file, certainty) {
            (Some(file), Certainty::Known) => doubt(&file.name, manifest, julia),
            (_, Certainty::BeforeResolving) => self.unread_sources(julia),
            (None, Certainty::Known) => None,
        };
        Ok(Environment {
            manifest: file.map(|file| file.name.clone()),
            closure,
            packages,
            versions,
            warnings: warnings.into_iter().collect(),
        })
    }

    /// Returns a warning if packages are taken from `[sources]` although this Julia does not read it.
    fn unread_sources(&self, julia: &JuliaVersion) -> Option<Warning> {
        let reads = Generation::of(julia).is_some_and(|generation| generation.sources);
        let from_sources = self.project.deps_in(julia).map(|(name, _)| name);
        let from_sources = from_sources.filter(|name| self.project.sources.contains(*name));
        let names: Vec<String> = from_sources.map(|name| format!("`{name}`")).collect();
        (!reads && !names.is_empty()).then(|| Warning {
            message: format!(
                "Julia {julia} ignores [sources] of the project file; this build installs {} from \
                 there nevertheless",
                names.join(", ")
            ),
            hint: "Julia 1.11 and later read it; for an older one, commit a manifest made with \
                   `Pkg.develop` or `Pkg.add(url = …)`"
                .to_owned(),
        })
    }

    /// Returns the packages requested for the image, and the same packages with all their
    /// dependencies, according to `manifest`. Before versions are resolved, unknown names are left
    /// out.
    ///
    /// # Errors
    ///
    /// If the manifest lacks a dependency of the project, or the project has no such package.
    pub fn contents(
        &self,
        julia: &JuliaVersion,
        manifest: &Manifest,
        certainty: Certainty,
    ) -> Result<(Vec<RequestedPackage>, Vec<PackageRecord>), PlanError> {
        let packages = self.packages(julia, manifest, certainty)?;
        let pairs: Vec<_> = packages
            .iter()
            .map(|p| (p.name.clone(), p.uuid.clone()))
            .collect();
        let closure = manifest.closure(&self.project, julia, &pairs);
        closure.iter().try_for_each(valid)?;
        Ok((packages, closure))
    }

    /// Returns the source of the versions for this Julia.
    fn versions(
        &self,
        julia: &JuliaVersion,
        file: Option<&ManifestFile>,
        manifest: &Manifest,
    ) -> Result<Versions, PlanError> {
        let because = match (file, &manifest.julia_version) {
            (None, _) if self.project.deps_in(julia).next().is_some() => NoManifest::Absent,
            (Some(file), Some(made_by)) if made_by.minor_pair() != julia.minor_pair() => {
                NoManifest::OtherJulia {
                    manifest: file.name.clone(),
                    made_by: made_by.clone(),
                }
            }
            _ => return Ok(Versions::Manifest),
        };
        match self.config.locked {
            true => Err(PlanError::Locked {
                because,
                wanted: julia.clone(),
            }),
            false => Ok(Versions::Resolved { because }),
        }
    }

    /// Returns the apps, each with the package that contains its entry point.
    fn apps(
        &self,
        packages: &[RequestedPackage],
        closure: &[PackageRecord],
    ) -> Result<Vec<PlannedApp>, PlanError> {
        let planned = self.config.apps.iter().map(|app| {
            let what = format!("the app `{}`", app.name);
            let (package, uuid) =
                self.package_of(&what, app.package.as_ref(), packages, closure)?;
            Ok(PlannedApp {
                name: app.name.clone(),
                package,
                uuid,
            })
        });
        planned.collect()
    }

    /// Returns the C library with the package that defines its functions.
    fn library(
        &self,
        packages: &[RequestedPackage],
        closure: &[PackageRecord],
    ) -> Result<Option<PlannedLibrary>, PlanError> {
        let Some(library) = &self.config.library else {
            return Ok(None);
        };
        let what = format!("the library `{}`", library.name);
        let (package, uuid) =
            self.package_of(&what, library.package.as_ref(), packages, closure)?;
        let version = library.version.as_ref().or(self.project.version.as_ref());
        let Some(version) = version else {
            return Err(PlanError::NoLibraryVersion {
                library: library.name.clone(),
            });
        };
        // A project's version may have a suffix `-DEV`, which no version of a library has.
        let version = version.split(['-', '+']).next().unwrap_or(version);
        let version: LibraryVersion = version.parse()?;
        let names = LibraryNames::of(
            self.triplet.os(),
            &library.name,
            version,
            library.compat_level,
        );
        Ok(Some(PlannedLibrary {
            name: library.name.clone(),
            package,
            uuid,
            version: version.to_string(),
            path: names.path(),
            soname: names.soname,
        }))
    }

    /// Returns the package of an app or library, with its UUID: the configured one, or the project
    /// itself.
    fn package_of(
        &self,
        what: &str,
        named: Option<&String>,
        packages: &[RequestedPackage],
        closure: &[PackageRecord],
    ) -> Result<(String, String), PlanError> {
        let itself = self
            .project
            .name
            .as_ref()
            .filter(|_| self.project.is_package());
        let known = packages
            .iter()
            .map(|package| (&package.name, &package.uuid));
        let known: Vec<_> = known
            .chain(closure.iter().map(|package| (&package.name, &package.uuid)))
            .collect();
        let Some(package) = named.or(itself) else {
            return Err(PlanError::NoAppPackage {
                what: what.to_owned(),
            });
        };
        match known.iter().find(|(name, _)| *name == package) {
            Some((_, uuid)) => Ok((package.clone(), (*uuid).clone())),
            None => Err(PlanError::AppPackage {
                what: what.to_owned(),
                package: package.clone(),
                suggestion: nearest(package, known.iter().map(|(name, _)| name.as_str()))
                    .map(str::to_owned),
            }),
        }
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

    fn packages(
        &self,
        julia: &JuliaVersion,
        manifest: &Manifest,
        certainty: Certainty,
    ) -> Result<Vec<RequestedPackage>, PlanError> {
        let deps: BTreeMap<&str, &str> = self.project.deps_in(julia).collect();
        let missing = deps
            .iter()
            .find(|(name, uuid)| manifest.entry(name, Some(uuid)).is_none());
        match (missing, self.manifests.of(julia)) {
            (Some((name, _)), Some(file)) if certainty == Certainty::Known => {
                let versioned = matches!(file.origin, Origin::Versioned(..));
                return Err(PlanError::StaleManifest {
                    name: (*name).to_owned(),
                    manifest: file.name.clone(),
                    preferred_by: versioned.then(|| julia.clone()),
                });
            }
            _ => {}
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
                .chain(deps.keys().map(|name| (*name).to_owned()))
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
            own.or_else(|| deps.get(name.as_str()).map(|uuid| (*uuid).to_owned()))
                .or_else(|| manifest.entry(name, None).map(|entry| entry.uuid.clone()))
        };
        let mut packages: Vec<RequestedPackage> = Vec::new();
        for name in names {
            let Some(uuid) = uuid_of(&name) else {
                if certainty == Certainty::BeforeResolving {
                    continue;
                }
                let known: Vec<String> = itself
                    .iter()
                    .cloned()
                    .chain(deps.keys().map(|name| (*name).to_owned()))
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
}

/// The packages in a project's environment for one Julia.
struct Environment {
    manifest: Option<String>,
    packages: Vec<RequestedPackage>,
    closure: Vec<PackageRecord>,
    versions: Versions,
    warnings: Vec<Warning>,
}

/// Checks that a package's record is valid in a receipt.
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

/// Returns a warning if a manifest may not fit this Julia, as Pkg does.
fn doubt(name: &str, manifest: &Manifest, julia: &JuliaVersion) -> Option<Warning> {
    let resolve = format!(
        "ask for the Julia that made it (`--julia X.Y`), or make it with Julia {julia}: `julia \
         --project -e 'using Pkg; Pkg.resolve()'`"
    );
    if manifest.format > 2 {
        return Some(Warning {
            message: format!(
                "{name} is of format {}, which this Sysforge does not know",
                manifest.format
            ),
            hint: "upgrade Sysforge".to_owned(),
        });
    }
    // Manifests of older Julias are all in the old format.
    let silent = manifest.julia_version.is_none() && !manifest.packages.is_empty();
    if !silent || julia.minor_pair() < (1, 7) {
        return None;
    }
    let message = match manifest.format {
        1 => format!(
            "{name} is of the old format and does not say which Julia made it (1.6.1 or older), so \
             its packages may not load in Julia {julia}"
        ),
        _ => format!(
            "{name} does not say which Julia made it, so its packages may not load in Julia {julia}"
        ),
    };
    Some(Warning {
        message,
        hint: resolve,
    })
}

impl Plan {
    /// Adds a warning unless it is there already.
    fn warn(&mut self, message: String, hint: String) {
        let warning = Warning { message, hint };
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }

    /// Adds the packages of another Julia.
    fn add(&mut self, packages: Vec<RequestedPackage>, closure: Vec<PackageRecord>) {
        for package in packages {
            if self.packages.iter().all(|known| known.uuid != package.uuid) {
                self.packages.push(package);
            }
        }
        for package in closure {
            if !self.closure.contains(&package) {
                self.closure.push(package);
            }
        }
        self.closure
            .sort_by(|a, b| (&a.name, &a.uuid).cmp(&(&b.name, &b.uuid)));
    }

    /// Keeps the builds that match a glob in `patterns`; all of them if there is no pattern.
    ///
    /// # Errors
    ///
    /// If a pattern matches nothing.
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
