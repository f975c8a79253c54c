//! Publishing a dist directory: from the caller's request to a complete release.

use std::path::{Path, PathBuf};

use sysforge_plan::BuildId;
use sysforge_plan::explain::PathError;
use sysforge_plan::json::parse;
use sysforge_plan::text::Repository;
use sysforge_publish::documents::{artifacts_toml, notes, sums};
use sysforge_publish::host::dir;
use sysforge_publish::host::github::GitHub;
use sysforge_publish::host::github::steps::{self, Policy};
use sysforge_publish::host::s3::{S3, S3Location};
use sysforge_publish::host::{PublishOptions, encode_path};
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::{InstallError, OpenRelease, Source};
use sysforge_publish::release_bundle::Destination;
use sysforge_publish::report::Outcome;
use sysforge_publish::signing::{Identity, Signer};
use sysforge_publish::{Dist, Origin, PublishError, Published, ReleaseBundle, complete};

use crate::commits;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::write_file;

/// What to publish.
#[derive(Debug, Default)]
pub struct Publication {
    /// The dist directory.
    pub dist: PathBuf,
    /// The tag; if `None`, `v` and the version of the project.
    pub tag: Option<String>,
    /// `OWNER/NAME`, if it is known.
    pub repository: Option<String>,
    /// Where the images come from.
    pub origin: Origin,
    /// Further files to publish.
    pub files: Vec<PathBuf>,
    /// Text that the release notes begin with.
    pub notes: Option<String>,
    /// A folder in a repository: the release notes begin with its commits since the previous tag.
    pub notes_from_commits: Option<PathBuf>,
    /// The publisher's key.
    pub signer: Option<Signer>,
    /// How the host is changed.
    pub options: PublishOptions,
    /// If set, the images that the release has and the dist directory lacks are downloaded first,
    /// from here. Not for a folder.
    pub complete_from: Option<SourceOptions>,
    /// Where to write the checksums of everything that is published.
    pub sums: Option<PathBuf>,
}

/// Reads the builds of a plan that `sysforge plan --matrix --out` wrote.
///
/// # Errors
///
/// If the file cannot be read, or is not such a plan.
pub fn planned_builds(path: &Path) -> Result<Vec<String>, EngineError> {
    let text = sysforge_files::read_named_by_user(path);
    let text = text.map_err(PathError::wrap("read", path, EngineError::Path))?;
    #[derive(serde::Deserialize)]
    struct MatrixFile {
        builds: Vec<BuildId>,
    }
    let plan: MatrixFile = parse(text).map_err(|source| EngineError::NoPlan {
        path: path.to_owned(),
        source,
    })?;
    Ok(plan.builds.iter().map(BuildId::to_string).collect())
}

/// Returns the planned builds that a release lacks, and warns about each.
pub fn missing_builds(planned: Vec<String>, report: &Published, engine: &Engine) -> Vec<String> {
    let present = report.builds();
    let mut missing = planned;
    missing.retain(|id| !present.contains(id));
    for id in &missing {
        let hint = "its job says why; run the failed jobs again, and the draft is completed";
        let text = format!("the release lacks {id}");
        engine.reporter.warn(text, Some(hint.to_owned()));
    }
    missing
}

/// Returns the summary of a CI job that publishes; `None` if it changed nothing.
pub fn summary(report: &Published, missing: &[String]) -> Option<String> {
    let tag = &report.tag;
    let heading = match report.outcome {
        Outcome::Published => format!("Published {tag}"),
        Outcome::Drafted => format!("Draft of {tag}"),
        Outcome::Unchanged => format!("{tag} is public"),
        Outcome::WouldPublish | Outcome::Ready => return None,
    };
    let (place, builds) = (&report.place, report.builds());
    Some(sysforge_actions::summary::release(
        &heading, place, &builds, missing,
    ))
}

impl Publication {
    /// Publishes to GitHub. `target` is the commit or branch to tag.
    ///
    /// # Errors
    ///
    /// If the dist directory has no valid images, or the host refuses.
    pub async fn to_github(
        &self,
        host: &GitHub,
        repository: &str,
        target: Option<String>,
        engine: &Engine,
    ) -> Result<Published, Failure> {
        let (tag, mut read) = self.tag().await?;
        if let Some(source) = &self.complete_from {
            let release = Source::github(repository, Some(&tag))?;
            read = self.complete(&release, source, read, engine).await?;
        }
        let prepared = async {
            let dist = self.read(read).await?;
            let notes = self.notes(&tag, engine).await?;
            let destination = host.destination(&tag);
            let bundle = self.bundle(dist, &destination, host.identity(), notes);
            Ok::<_, Failure>(bundle.await?)
        };
        let seen = async { Ok(steps::look_ahead(host, &tag).await?) };
        let (bundle, seen) = tokio::try_join!(prepared, seen)?;
        self.write_sums(&bundle)?;
        let policy = Policy {
            draft: self.options.draft,
            replace: self.options.replace,
            dry_run: self.options.dry_run,
            recheck: self.options.recheck,
            target,
            state: self.dist.join(".sysforge"),
        };
        Ok(steps::publish_seen(host, &bundle, &policy, seen, &engine.reporter).await?)
    }

    /// Publishes to a prefix of a bucket, which has the URL `base_url` if a web server serves it.
    ///
    /// # Errors
    ///
    /// If the dist directory has no valid images, or the service refuses.
    pub async fn to_s3(
        &self,
        host: &S3,
        location: &S3Location,
        base_url: Option<&str>,
        engine: &Engine,
    ) -> Result<Published, Failure> {
        let (tag, mut read) = self.tag().await?;
        if let Some(source) = &self.complete_from {
            let release = Source::s3(location.clone(), Some(&tag))?;
            read = self.complete(&release, source, read, engine).await?;
        }
        let dist = self.read(read).await?;
        let base_url = without_slash(base_url);
        let mut identity = self.identity(base_url)?;
        if identity == Identity::default() {
            identity.site = Some(location.url().map_err(PublishError::from)?);
        }
        let notes = self.notes(&tag, engine).await?;
        let destination = host.destination(&tag, base_url);
        let bundle = self.bundle(dist, &destination, identity, notes).await?;
        let bundle = bundle.with_notes_as_file();
        self.write_sums(&bundle)?;
        let options = self.options;
        Ok(host.publish(&bundle, options, &engine.reporter).await?)
    }

    /// Writes the checksums of everything that is published.
    fn write_sums(&self, bundle: &ReleaseBundle) -> Result<(), EngineError> {
        if let Some(path) = self.sums.as_ref().filter(|_| !self.options.dry_run) {
            let files = bundle.assets.iter();
            let list = sums::write(files.map(|asset| (asset.name.as_str(), asset.sha256)));
            write_file(path, &list)?;
        }
        Ok(())
    }

    /// Publishes into the folder `root`, which has the URL `base_url` if a web server serves it.
    ///
    /// # Errors
    ///
    /// If the dist directory has no valid images, or the folder cannot be written to.
    pub async fn to_folder(
        &self,
        root: &Path,
        base_url: Option<&str>,
        engine: &Engine,
    ) -> Result<Published, Failure> {
        let (tag, read) = self.tag().await?;
        let dist = self.read(read).await?;
        let base_url = without_slash(base_url);
        let identity = self.identity(base_url)?;
        if self.signer.is_some() && identity == Identity::default() {
            engine.reporter.warn(
                "the signature names neither a repository nor an address",
                Some(
                    "add `--repository OWNER/NAME` or `--base-url URL`, so that no other release \
                     that is signed with this key can replace this one"
                        .to_owned(),
                ),
            );
        }
        let destination = Destination {
            base: base_url
                .map_or_else(String::new, |base| format!("{base}/{}/", encode_path(&tag))),
            source: match base_url {
                Some(base) => format!("{base}@{}", encode_path(&tag)),
                // Only the user knows where the folder will be served; do not print a path of this
                // machine.
                None => format!("FOLDER_OR_ADDRESS@{tag}"),
            },
            file_limit: u64::MAX,
            count_limit: usize::MAX,
            tag,
        };
        let notes = self.notes(&destination.tag, engine).await?;
        let bundle = self.bundle(dist, &destination, identity, notes).await?;
        let bundle = bundle.with_notes_as_file();
        let mut names = bundle.assets.iter().map(|asset| asset.name.as_str());
        if base_url.is_none() && names.any(|name| name == artifacts_toml::NAME) {
            engine.reporter.warn(
                "the addresses in Artifacts.toml are relative, and Pkg cannot download from them",
                Some("name the address that the folder will have with `--base-url URL`".to_owned()),
            );
        }
        self.write_sums(&bundle)?;
        Ok(dir::publish(root, &bundle, self.options, &engine.reporter).await?)
    }

    /// Returns the tag, and the dist directory if it was read to determine the tag.
    async fn tag(&self) -> Result<(String, Option<Dist>), Failure> {
        if let Some(tag) = &self.tag {
            return Ok((tag.clone(), None));
        }
        let dist = Dist::read(&self.dist).await?;
        let mut builds = dist.builds.iter();
        let version = builds.find_map(|build| build.receipt.project_version.as_ref());
        let tag = format!("v{}", version.ok_or(EngineError::NoTag)?);
        Ok((tag, Some(dist)))
    }

    async fn read(&self, read: Option<Dist>) -> Result<Dist, PublishError> {
        match read {
            Some(dist) => Ok(dist),
            None => Dist::read(&self.dist).await,
        }
    }

    /// Downloads the images that the release has and the dist directory lacks. Returns the dist
    /// directory if it is unchanged.
    async fn complete(
        &self,
        source: &Source,
        options: &SourceOptions,
        read: Option<Dist>,
        engine: &Engine,
    ) -> Result<Option<Dist>, Failure> {
        let read = match self.read(read).await {
            Ok(dist) => Some(dist),
            Err(PublishError::NothingToPublish(_)) => None,
            Err(error) => return Err(error.into()),
        };
        let release = match OpenRelease::open(source, options).await {
            Ok(release) => release,
            Err(InstallError::NoRelease(_)) => return Ok(read),
            Err(error) => return Err(error.into()),
        };
        let builds = read.iter().flat_map(|dist| &dist.builds);
        let present = builds.map(|build| build.receipt.build_id.clone()).collect();
        let downloaded =
            complete::complete(&release, &present, &self.dist, &engine.reporter).await?;
        for id in &downloaded {
            let note = format!("{id} is in the release already");
            engine.reporter.note(note);
        }
        Ok(read.filter(|_| downloaded.is_empty()))
    }

    /// Returns the owner of the release in a folder, if it is known.
    fn identity(&self, base_url: Option<&str>) -> Result<Identity, PublishError> {
        let repository = self.repository.as_deref().map(|text| {
            let invalid = |_| PublishError::Repository(text.to_owned());
            Repository::new(text).map_err(invalid)
        });
        let site = base_url.map(|text| {
            let invalid = |_| PublishError::Url {
                text: text.to_owned(),
                from: "--base-url",
            };
            format!("{text}/").parse().map_err(invalid).and_then(public)
        });
        Ok(Identity {
            repository: repository.transpose()?,
            site: site.transpose()?,
        })
    }

    /// Returns the text that the notes of the release `tag` begin with.
    async fn notes(&self, tag: &str, engine: &Engine) -> Result<Option<String>, Failure> {
        let Some(folder) = &self.notes_from_commits else {
            return Ok(self.notes.clone());
        };
        let commits = commits::since_last_tag(folder, tag, engine).await?;
        let text = notes::changes(&commits.subjects, commits.since.as_deref());
        Ok(Some(text))
    }

    /// Returns what to send, signed if there is a key.
    async fn bundle(
        &self,
        dist: Dist,
        destination: &Destination,
        identity: Identity,
        notes: Option<String>,
    ) -> Result<ReleaseBundle, PublishError> {
        let dist = dist.with_files(&self.files).await?;
        let bundle = ReleaseBundle::prepare(&dist, destination, &self.origin).await?;
        let mut bundle = bundle.of(identity);
        if let Some(notes) = notes {
            bundle = bundle.with_text(&notes)?;
        }
        if let Some(signer) = &self.signer {
            bundle.sign(signer, destination.count_limit)?;
        }
        Ok(bundle)
    }
}

/// Refuses a URL that is no web address, and one with something that belongs to its user: it is in the
/// published files.
fn public(url: url::Url) -> Result<url::Url, PublishError> {
    if !sysforge_net::is_web(&url) {
        return Err(PublishError::Url {
            text: url.into(),
            from: "--base-url",
        });
    }
    if sysforge_net::has_private_parts(&url) {
        return Err(PublishError::PrivateUrl { from: "--base-url" });
    }
    Ok(url)
}

/// Returns a URL without a trailing slash; `None` if it is empty.
fn without_slash(base_url: Option<&str>) -> Option<&str> {
    let base_url = base_url.map(|text| text.trim_end_matches('/'));
    base_url.filter(|text| !text.is_empty())
}
