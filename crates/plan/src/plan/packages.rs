//! The packages of a project's environment for one Julia, and the source of their versions.

use std::collections::BTreeMap;

use super::build::{NoManifest, PlannedApp, PlannedLibrary, RequestedPackage, Versions};
use super::error::PlanError;
use super::inputs::Inputs;
use super::warning::Warning;
use crate::explain::nearest;
use crate::generation::Generation;
use crate::library::{LibraryNames, LibraryVersion};
use crate::manifest::Manifest;
use crate::manifests::{ManifestFile, Origin};
use crate::receipt::PackageRecord;
use crate::text::{InvalidText, PackageName, PlainVersion, Rule, TreeHash, Uuid};
use crate::version::JuliaVersion;

/// How much is known about the packages of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// The versions are not resolved yet.
    BeforeResolving,
    /// The manifest is the one used by the build.
    Known,
}

/// The packages in a project's environment for one Julia.
pub(super) struct Environment {
    pub(super) manifest: Option<String>,
    pub(super) packages: Vec<RequestedPackage>,
    pub(super) closure: Vec<PackageRecord>,
    pub(super) versions: Versions,
    pub(super) warnings: Vec<Warning>,
}

impl Inputs {
    /// Returns the packages in the project's environment for this Julia.
    pub(super) fn environment(&self, julia: &JuliaVersion) -> Result<Environment, PlanError> {
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
    pub(super) fn apps(
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
    pub(super) fn library(
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
