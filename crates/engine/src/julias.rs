//! The Julias of the catalogue, the store and this machine: listing, finding and downloading them.

use std::path::{Path, PathBuf};

use serde::Serialize;
use sysforge_acquire::{Acquirer, InstalledJulia, ToolCache};
use sysforge_plan::catalogue::Release;
use sysforge_plan::request::ProjectJulia;
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::{Catalogue, Choice, JuliaVersion, Request, Sha256, Triplet};
use sysforge_report::table::table;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;

/// A release of the catalogue.
#[derive(Debug, Serialize)]
pub struct ListedJulia {
    /// Its version.
    pub version: JuliaVersion,
    /// Whether it is a stable release, not a prerelease.
    pub stable: bool,
    /// The platform.
    pub triplet: Triplet,
    /// The URL of the archive.
    pub url: String,
    /// The size of the archive, in bytes.
    pub size: u64,
    /// The digest of the archive.
    pub sha256: Sha256,
    /// Whether the archive has a signature.
    pub signed: bool,
    /// Whether the store has it.
    pub installed: bool,
}

/// Formats the releases as a table.
pub fn as_table(listed: &[ListedJulia]) -> String {
    let head = ["version", "MB", "signed", "installed", "sha256"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    let yes_or_no = |yes: bool| if yes { "yes" } else { "no" }.to_owned();
    lines.extend(listed.iter().map(|julia| {
        vec![
            julia.version.to_string(),
            (julia.size / 1_000_000).to_string(),
            yes_or_no(julia.signed),
            yes_or_no(julia.installed),
            julia.sha256.short(12),
        ]
    }));
    table(&lines)
}

/// A Julia on this machine.
#[derive(Debug, Serialize)]
pub struct LocatedJulia {
    /// The request that it satisfies.
    pub request: String,
    /// Its version, where it is known.
    pub version: Option<JuliaVersion>,
    /// Its platform.
    pub triplet: Triplet,
    /// Its folder.
    pub prefix: PathBuf,
    /// Its executable.
    pub executable: PathBuf,
    /// The digest of the archive that it was installed from.
    pub sha256: Option<Sha256>,
    /// Whether the signature of that archive was checked.
    #[serde(flatten)]
    pub signature: SignatureCheck,
    /// Whether it was installed already.
    pub reused: bool,
}

/// Returns the releases of the catalogue for a platform, newest first: every version with `all`,
/// else the newest of each series, and prereleases only if they are newer than every stable
/// release.
///
/// # Errors
///
/// If no store is known or it cannot be read, the mirror is not valid, or the catalogue can be
/// neither fetched nor read from the store.
pub async fn list(
    all: bool,
    triplet: Triplet,
    engine: &Engine,
) -> Result<Vec<ListedJulia>, Failure> {
    let acquirer = engine.acquirer()?;
    let catalogue = acquirer.catalogue().await?;
    let releases: Vec<_> = match all {
        true => catalogue.versions_for(triplet).collect(),
        false => newest_of_each_series(&catalogue, triplet).collect(),
    };
    let mut listed = Vec::new();
    for release in releases {
        let Some(file) = release.archive_for(triplet) else {
            continue;
        };
        let choice = Choice {
            version: release.version.clone(),
            file: file.clone(),
        };
        listed.push(ListedJulia {
            installed: acquirer.installed(&choice)?.is_some(),
            version: choice.version,
            stable: release.stable,
            triplet,
            url: file.url.to_string(),
            size: file.size,
            sha256: file.sha256,
            signed: file.asc.is_some(),
        });
    }
    Ok(listed)
}

/// Returns the newest release of each series, newest first; a prerelease only if it is newer than every
/// stable release.
fn newest_of_each_series(
    catalogue: &Catalogue,
    triplet: Triplet,
) -> impl Iterator<Item = &Release> {
    let stable = catalogue.releases().iter().rev().find(|r| r.stable);
    let mut last = None;
    catalogue.versions_for(triplet).filter(move |release| {
        let series = Some(release.version.minor_pair());
        let counts = release.stable || stable.is_none_or(|stable| release.version > stable.version);
        counts && std::mem::replace(&mut last, series) != series
    })
}

/// Finds the requested Julias in the store, or downloads them. Without requests, it is the newest
/// release. With `to_tool_cache`, they are also copied into the runner's tool cache.
///
/// # Errors
///
/// If a request matches no release, or one cannot be downloaded and verified.
pub async fn install(
    requests: &[String],
    to_tool_cache: bool,
    triplet: Triplet,
    engine: &Engine,
) -> Result<Vec<LocatedJulia>, Failure> {
    let mut acquirer = engine.acquirer()?;
    if to_tool_cache {
        let cache = engine.tool_cache.as_ref().ok_or(EngineError::NoToolCache)?;
        acquirer = acquirer.with_tool_cache(ToolCache::new(cache), true);
    }
    let release = ["release".to_owned()];
    let requests = if requests.is_empty() {
        &release
    } else {
        requests
    };
    let mut located = Vec::new();
    let mut catalogue = None;
    for text in requests {
        let request = read(text, engine)?;
        let julia = match &request {
            Request::Exact(_) if !to_tool_cache => {
                stored_or_downloaded(&request, triplet, &acquirer, &mut catalogue).await?
            }
            _ => download(&request, triplet, &acquirer, &mut catalogue).await?,
        };
        if to_tool_cache && request.nightly().is_some() {
            let hint = "its entries are named by version, and a nightly build changes every day";
            engine.reporter.warn(
                "nightly builds are not copied into the tool cache",
                Some(hint.to_owned()),
            );
        }
        located.push(LocatedJulia::new(text, julia));
    }
    Ok(located)
}

/// Returns the Julia of the store, or downloads it. The catalogue is read at most once.
pub(crate) async fn stored_or_downloaded(
    request: &Request,
    triplet: Triplet,
    acquirer: &Acquirer,
    catalogue: &mut Option<Catalogue>,
) -> Result<InstalledJulia, Failure> {
    match acquirer.stored(request, triplet)? {
        Some(julia) => Ok(julia),
        None => download(request, triplet, acquirer, catalogue).await,
    }
}

async fn download(
    request: &Request,
    triplet: Triplet,
    acquirer: &Acquirer,
    catalogue: &mut Option<Catalogue>,
) -> Result<InstalledJulia, Failure> {
    if let Some(branch) = request.nightly() {
        return Ok(acquirer.nightly(branch, triplet).await?);
    }
    if let Request::System | Request::Directory(_) = request {
        return Err(EngineError::NothingToInstall(request.to_string()).into());
    }
    let catalogue = match catalogue {
        Some(known) => known,
        None => catalogue.insert(acquirer.catalogue().await?),
    };
    let choice = catalogue.choose(request, triplet)?;
    Ok(acquirer.julia(&choice).await?)
}

/// Finds the Julia of this machine that a request names: in the store, on the search path, or in a
/// folder. This does not need the catalogue, and so no network. `triplet` is a platform other than
/// this machine's.
///
/// # Errors
///
/// If the request is not valid or needs information that the project lacks, a folder or the search
/// path has no Julia, or the store cannot be read; [`EngineError::NotInstalled`] if the store lacks
/// the requested Julia.
pub async fn locate(
    text: &str,
    triplet: Option<Triplet>,
    engine: &Engine,
) -> Result<LocatedJulia, Failure> {
    let request = read(text, engine)?;
    if let Some(executable) = engine.local_julia(&request)? {
        let facts = engine.ask(&executable).await?;
        let prefix = facts.bindir.parent().unwrap_or(&facts.bindir).to_owned();
        return Ok(LocatedJulia {
            request: text.to_owned(),
            version: Some(facts.version),
            triplet: facts.triplet,
            prefix,
            executable,
            sha256: None,
            signature: SignatureCheck::NotChecked {
                reason: "it was not installed by Sysforge".to_owned(),
            },
            reused: true,
        });
    }
    let acquirer = engine.acquirer()?;
    let platform = triplet.map_or_else(Engine::host, Ok)?;
    let found = match request.nightly() {
        Some(branch) => acquirer.installed_nightly(branch, platform)?,
        None => acquirer.stored(&request, platform)?,
    };
    let julia = found.ok_or_else(|| {
        let other = triplet.map(|triplet| format!(" --triplet {triplet}"));
        EngineError::NotInstalled {
            what: format!("Julia {request}"),
            command: format!(
                "sysforge julia install {request}{}",
                other.unwrap_or_default()
            ),
        }
    })?;
    Ok(LocatedJulia::new(text, julia))
}

/// Parses a request, and resolves it with the project if necessary.
fn read(text: &str, engine: &Engine) -> Result<Request, Failure> {
    let request: Request = text.parse()?;
    let project = match request {
        Request::Min | Request::MinPatch | Request::Manifest => {
            engine.location.julia(Engine::host()?)?
        }
        _ => ProjectJulia::default(),
    };
    Ok(request.for_project(&project)?)
}

/// Returns the outputs of a CI step for the Julias that were used, the same as those of
/// `setup-julia`: the versions, and the folders of the executables, without duplicates, one per
/// line.
pub fn outputs(julias: impl Iterator<Item = (String, PathBuf)>) -> Vec<(&'static str, String)> {
    let (mut versions, mut folders) = (Vec::new(), Vec::new());
    for (version, executable) in julias {
        let folder = executable.parent().unwrap_or(Path::new(""));
        let folder = folder.display().to_string();
        if !folders.contains(&folder) {
            versions.push(version);
            folders.push(folder);
        }
    }
    match folders.is_empty() {
        true => Vec::new(),
        false => vec![
            ("julia-version", versions.join("\n")),
            ("julia-bindir", folders.join("\n")),
        ],
    }
}

impl LocatedJulia {
    /// Returns the version and the executable, if the version is known.
    pub fn with_version(&self) -> Option<(String, PathBuf)> {
        Some((self.version.as_ref()?.to_string(), self.executable.clone()))
    }

    fn new(request: &str, julia: InstalledJulia) -> Self {
        Self {
            request: request.to_owned(),
            version: julia.version,
            triplet: julia.triplet,
            prefix: julia.prefix,
            executable: julia.executable,
            sha256: julia.sha256,
            signature: julia.signature,
            reused: julia.reused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prerelease_neither_stands_for_its_series_nor_is_listed_once_there_is_a_newer_release() {
        let file = serde_json::json!({
            "url": "https://julialang-s3.julialang.org/bin/julia.tar.gz", "size": 1,
            "triplet": "x86_64-linux-gnu", "kind": "archive", "extension": "tar.gz",
            "sha256": "0".repeat(64),
        });
        let newest = |versions: &[(&str, bool)]| {
            let releases = versions.iter().map(|(version, stable)| {
                let release = serde_json::json!({"stable": stable, "files": [file]});
                ((*version).to_owned(), release)
            });
            let json = serde_json::Value::Object(releases.collect());
            let catalogue = Catalogue::parse(json.to_string().as_bytes()).unwrap();
            let newest = newest_of_each_series(&catalogue, Triplet::X86_64_LINUX_GNU);
            let newest = newest.map(|release| release.version.to_string());
            newest.collect::<Vec<_>>().join(" ")
        };
        let stable = ["1.9.0", "1.9.1", "1.10.0", "1.12.0"].map(|version| (version, true));
        let others = ["1.10.1-rc1", "1.11.0-rc1", "1.13.0-beta1", "1.13.0-rc1"];
        let others = others.map(|version| (version, false));
        let all = [&stable[..], &others[..]].concat();
        assert_eq!(newest(&all), "1.13.0-rc1 1.12.0 1.10.0 1.9.1");
        assert_eq!(newest(&others), "1.13.0-rc1 1.11.0-rc1 1.10.1-rc1");
    }

    #[test]
    fn outputs_list_each_folder_once() {
        let julia = |version: &str, path: &str| (version.to_owned(), PathBuf::from(path));
        let julias = [
            julia("1.10.9", "/a/bin/julia"),
            julia("1.12.7", "/b/bin/julia"),
            julia("1.10.9", "/a/bin/julia"),
        ];
        let expected = [
            ("julia-version", "1.10.9\n1.12.7".to_owned()),
            ("julia-bindir", "/a/bin\n/b/bin".to_owned()),
        ];
        assert_eq!(outputs(julias.into_iter()), expected);
        assert_eq!(outputs(std::iter::empty()), []);
    }
}
