//! One build of a plan: its identifier, Julia, packages and settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::archive::ArchiveFormat;
use crate::build_id::BuildId;
use crate::catalogue::Choice;
use crate::config::Settings;
use crate::cpu::CpuTarget;
use crate::generation::INTERACTIVE;
use crate::julia::JuliaBuild;
use crate::platform::Triplet;
use crate::receipt::PackageRecord;
use crate::text::ImageName;
use crate::version::JuliaVersion;

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
    /// Returns whether apps or a C library are made from the image.
    #[must_use]
    pub fn has_bundle(&self) -> bool {
        !self.apps.is_empty() || self.library.is_some()
    }

    /// Returns whether the image contains packages of an interactive session, because the settings
    /// request them or a package needs one.
    #[must_use]
    pub fn has_session_packages(&self) -> bool {
        let is_one = |name: &str| INTERACTIVE.iter().any(|package| package.name == name);
        self.settings.repl || self.closure.iter().any(|package| is_one(&package.name))
    }

    /// Returns the identifier of the archive with the C library.
    ///
    /// # Errors
    ///
    /// If the name is not valid with the suffix of the library, for example because it is too long.
    pub fn library_id(&self, name: &ImageName) -> Result<BuildId, crate::text::InvalidText> {
        self.id_with(name, crate::library::SUFFIX)
    }

    /// Returns the identifiers of all archives of the build: of the image, of the apps and of the
    /// library, as far as there are any.
    ///
    /// # Errors
    ///
    /// Those of [`Self::app_id`] and [`Self::library_id`].
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
    /// If the name is not valid with the suffix of the apps, for example because it is too long.
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
    pub fn version(&self) -> &JuliaVersion {
        match self {
            Self::Catalogue { choice, .. } => &choice.version,
            Self::Given { build, .. } => &build.version,
        }
    }
}
