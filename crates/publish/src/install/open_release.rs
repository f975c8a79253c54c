//! Reading the files of one release, from any source.

use std::collections::BTreeMap;
use std::io::ErrorKind::{NotADirectory, NotFound};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use sysforge_files::read_regular;
use sysforge_net::{Client, Network};
use sysforge_plan::receipt::FileRecord;
use sysforge_plan::release::{INDEX_NAME, SITE_NAME, Site};
use sysforge_plan::text::Tag;
use sysforge_plan::{Sha256, Task};
use url::Url;

use super::error::InstallError;
use super::source::{Source, shown};
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::host::failure::Failure;
use crate::host::github::{Access, GitHub};
use crate::host::s3::{S3, S3Access};
use crate::host::{Timing, encode, encode_path};
use crate::local::{CHUNK, at};
use crate::signing::Identity;

/// Maximum size of an index, which is read into memory, in bytes. It has some kilobytes per image.
const INDEX_LIMIT: usize = 64 << 20;

/// How to access sources that are not folders.
#[derive(Debug, Clone)]
pub struct SourceOptions {
    /// GitHub's URLs and the token, if there is one; the repository is that of the source.
    pub github: Access,
    /// The environment's settings for storage services.
    pub s3: S3Access,
    /// Time limits.
    pub timing: Timing,
    /// Whether GitHub is asked for attestations. They are verified only for github.com: Enterprise
    /// servers store none, or have their own authorities.
    pub attestations: bool,
    /// Whether a draft is accepted. GitHub shows drafts only to users with write permission.
    pub drafts: bool,
}

/// The identity that the signature must name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum SignedFor {
    /// That of the source itself.
    #[default]
    Asked,
    /// This one: the source is a copy of it.
    Named(Identity),
    /// That of the image that was installed before.
    Before(Identity),
}

/// The index of a release, as it was read.
#[derive(Debug)]
pub(super) struct IndexRead {
    pub(super) tag: Tag,
    /// Its digest.
    pub(super) sha256: Sha256,
    /// The identity it is signed for, if that was verified.
    pub(super) identity: Option<Identity>,
}

/// One release that can be read.
#[derive(Debug)]
pub struct OpenRelease {
    source: Source,
    /// The tag of the requested release, or of the newest in the source's own list.
    tag: Option<Tag>,
    signed_for: SignedFor,
    read: OnceLock<IndexRead>,
    files: Files,
    /// The client to ask for attestations.
    witness: Option<Box<GitHub>>,
}

#[derive(Debug)]
enum Files {
    Folder(PathBuf),
    Web {
        client: Client,
        base: Url,
        timing: Timing,
    },
    S3 {
        host: Box<S3>,
        /// The tag, or empty for files below the prefix itself.
        folder: String,
    },
    /// Through the API, with a token: the only way to read private repositories.
    Api {
        host: Box<GitHub>,
        numbers: BTreeMap<String, u64>,
        timing: Timing,
    },
}

impl OpenRelease {
    /// Finds the release of `source`.
    ///
    /// # Errors
    ///
    /// If there is none, or the host cannot be reached.
    pub async fn open(source: &Source, options: &SourceOptions) -> Result<Self, InstallError> {
        let mut witness = None;
        let mut found = source.clone();
        let (files, newest) = match source {
            Source::Folder { path, tag } => {
                let (folder, newest) = folder(path, tag.as_deref())?;
                (Files::Folder(folder), newest)
            }
            Source::Web { base, tag } => {
                let client = client(&options.github.network, base)?;
                let timing = options.timing.clone();
                web(client, base.clone(), tag.as_deref(), timing).await?
            }
            Source::S3 {
                location,
                endpoint,
                tag,
            } => {
                let (network, timing) = (&options.github.network, options.timing.clone());
                let location = location.clone();
                let host = S3::new(&options.s3, location, endpoint.as_ref(), network, timing)?;
                // An upgrade asks the same service as before, whichever one the environment names
                // now.
                if let Source::S3 { endpoint, .. } = &mut found {
                    *endpoint = Some(host.endpoint().clone());
                }
                storage(host, tag.as_deref(), source).await?
            }
            Source::GitHub { repository, tag } => {
                let access = Access {
                    repository: repository.to_string(),
                    ..options.github.clone()
                };
                if options.attestations {
                    let host = GitHub::new(access.clone(), options.timing.clone())?;
                    witness = Some(Box::new(host));
                }
                let (timing, drafts) = (&options.timing, options.drafts);
                github_files(source, access, tag.as_deref(), timing, drafts).await?
            }
        };
        let (Source::GitHub { tag, .. }
        | Source::Web { tag, .. }
        | Source::S3 { tag, .. }
        | Source::Folder { tag, .. }) = source;
        Ok(Self {
            source: found,
            tag: tag.clone().or(newest),
            signed_for: SignedFor::Asked,
            read: OnceLock::new(),
            files,
            witness,
        })
    }

    /// Sets the identity that the signature must name.
    #[must_use]
    pub fn with_signed_for(mut self, signed_for: SignedFor) -> Self {
        self.signed_for = signed_for;
        self
    }

    pub(super) fn signed_for(&self) -> &SignedFor {
        &self.signed_for
    }

    /// Returns the tag of the release, if it is known without the index.
    pub(super) fn tag(&self) -> Option<&Tag> {
        self.tag.as_ref()
    }

    /// Stores what was read of the index: the installed files must agree with it.
    pub(super) fn note_read(&self, read: IndexRead) {
        let _ = self.read.set(read);
    }

    /// Returns what was read of the index, if it was read.
    pub(super) fn was_read(&self) -> Option<&IndexRead> {
        self.read.get()
    }

    /// Returns the source.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the client to ask for attestations, and the repository's name.
    pub(super) fn witness(&self) -> Option<(&GitHub, &str)> {
        match (&self.witness, &self.source) {
            (Some(host), Source::GitHub { repository, .. }) => Some((host, repository)),
            _ => None,
        }
    }

    /// Reads a small file completely; `None` if there is no file of this name.
    pub(super) async fn small(&self, name: &str) -> Result<Option<Vec<u8>>, InstallError> {
        let mut sink = Sink::memory(INDEX_LIMIT);
        let read = self.read_file(name, &mut sink).await?;
        Ok(read.then(|| sink.into_bytes()))
    }

    /// Reads a file of the release into `sink`, from the sink's position on.
    async fn read(&self, file: &FileRecord, sink: &mut Sink<'_>) -> Result<(), InstallError> {
        match self.read_file(&file.name, sink).await? {
            true => Ok(()),
            false => Err(InstallError::Incomplete {
                place: self.source.to_string(),
                name: file.name.to_string(),
            }),
        }
    }

    /// Downloads a file of the release to `path`, continues an earlier download, and verifies its digest.
    pub(crate) async fn fetch(
        &self,
        file: &FileRecord,
        path: &Path,
        task: &Task,
    ) -> Result<(), InstallError> {
        let mut sink = Sink::file(path)?.of_size(file.size).reporting(task);
        let (mut found, mut length) = (file.sha256, file.size);
        // The file of an earlier run may be damaged; a second download from the start should not
        // be.
        for _ in 0..2 {
            self.read(file, &mut sink).await?;
            if sink.sha256() == file.sha256 && sink.position() == file.size {
                return Ok(sink.sync().map_err(at(path))?);
            }
            (found, length) = (sink.sha256(), sink.position());
            sink.restart().map_err(at(path))?;
        }
        drop(sink);
        std::fs::remove_file(path).map_err(at(path))?;
        if length != file.size {
            return Err(InstallError::Size {
                name: file.name.to_string(),
                expected: file.size,
                found: length,
            });
        }
        Err(InstallError::Digest {
            name: file.name.to_string(),
            expected: file.sha256,
            found,
        })
    }

    async fn read_file(&self, name: &str, sink: &mut Sink<'_>) -> Result<bool, InstallError> {
        let what = format!("download {name}");
        match &self.files {
            Files::Folder(folder) => copy(&folder.join(name), sink),
            Files::Web {
                client,
                base,
                timing,
            } => {
                let address = below(base, &encode(name));
                let get = || client.get(address.clone());
                let read = fetch::read_plain(get, sink, timing).await;
                read.map_err(|failure| web_error(&what, base, failure, timing))
            }
            Files::S3 { host, folder } => Ok(host.read_file(folder, name, sink).await?),
            Files::Api {
                host,
                numbers,
                timing,
            } => {
                let Some(id) = numbers.get(name) else {
                    return Ok(false);
                };
                match fetch::read(|| host.download(*id), sink, timing).await {
                    Ok(()) => Ok(true),
                    Err(failure) if failure.is_missing() => Ok(false),
                    Err(failure) => Err(error(&what, failure, timing)),
                }
            }
        }
    }
}

fn copy(path: &Path, sink: &mut Sink<'_>) -> Result<bool, InstallError> {
    let mut file = match sysforge_files::open_regular(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(at(path)(error).into()),
    };
    // If a disk is full, it is that of the copy.
    let target = sink.path().unwrap_or(path).to_owned();
    sink.restart().map_err(at(&target))?;
    let mut chunk = vec![0; CHUNK];
    loop {
        match file.read(&mut chunk).map_err(at(path))? {
            0 => return Ok(true),
            read => sink.write(&chunk[..read]).map_err(at(&target))?,
        }
    }
}

/// Does the same as [`error`], for a host without a token.
fn web_error(what: &str, base: &Url, failure: Failure, timing: &Timing) -> InstallError {
    match failure.status() {
        Some(401) => InstallError::Closed(shown(base)),
        _ => error(what, failure, timing),
    }
}

fn error(what: &str, failure: Failure, timing: &Timing) -> InstallError {
    let failure = match failure.into_error(what, timing) {
        Ok(error) => return error.into(),
        Err(failure) => failure,
    };
    let what = what.to_owned();
    match failure {
        Failure::Status {
            status, message, ..
        } => PublishError::Refused {
            what,
            status,
            message,
        },
        failure if failure.is_passing() => failure.gave_up(&what, timing),
        failure => PublishError::Unreachable {
            what,
            words: failure.words(),
            hint: "check the address: this is the host's answer, and it is not a file or a release",
        },
    }
    .into()
}

/// Returns the newest tag in the list of releases of `place`.
fn last_tag(bytes: &[u8], place: impl FnOnce() -> String) -> Result<Option<Tag>, PublishError> {
    let site = Site::from_json(bytes).map_err(|source| PublishError::Site {
        place: place(),
        source,
    })?;
    Ok(site.tags.into_iter().next_back())
}

/// Returns the folder of a release, and the tag of the newest if none was requested.
fn folder(path: &Path, tag: Option<&str>) -> Result<(PathBuf, Option<Tag>), InstallError> {
    if let Some(tag) = tag {
        return Ok((path.join(tag), None));
    }
    if path.join(INDEX_NAME).is_file() {
        return Ok((path.to_owned(), None));
    }
    let list = path.join(SITE_NAME);
    let tag = match read_regular(&list, INDEX_LIMIT as u64) {
        Ok(bytes) => last_tag(&bytes, || path.display().to_string())?,
        Err(error) if matches!(error.kind(), NotFound | NotADirectory) => None,
        Err(error) => return Err(at(&list)(error).into()),
    };
    tag.map(|tag| (path.join(&tag), Some(tag)))
        .ok_or_else(|| InstallError::NoRelease(path.display().to_string()))
}

/// Returns the client for a URL, unless the network must not be used.
fn client(network: &Network, base: &Url) -> Result<Client, PublishError> {
    network.check_online(base)?;
    Ok(network.client()?)
}

/// Returns the URL of `path` below another URL. Keeps the query, which some servers use as a
/// password.
fn below(base: &Url, path: &str) -> Url {
    let mut below = base.clone();
    below.set_path(&format!("{}{path}", base.path()));
    below
}

/// Opens a release on a plain host. The tag is that of the newest if none was requested and there
/// is a list.
async fn web(
    client: Client,
    base: Url,
    tag: Option<&str>,
    timing: Timing,
) -> Result<(Files, Option<Tag>), InstallError> {
    let of_tag = |tag: &str| below(&base, &format!("{}/", encode_path(tag)));
    if let Some(tag) = tag {
        let base = of_tag(tag);
        let files = Files::Web {
            client,
            base,
            timing,
        };
        return Ok((files, None));
    }
    // The URL is that of a site, which has a list, or that of one release, which has none.
    let mut sink = Sink::memory(INDEX_LIMIT);
    let address = below(&base, SITE_NAME);
    let get = || client.get(address.clone());
    let (base, newest) = match fetch::read_plain(get, &mut sink, &timing).await {
        Ok(true) => last_tag(&sink.into_bytes(), || shown(&base))?
            .map(|tag| (of_tag(&tag), Some(tag)))
            .ok_or_else(|| InstallError::NoRelease(shown(&base)))?,
        Ok(false) => (base, None),
        Err(failure) => {
            let what = "read the list of releases";
            return Err(web_error(what, &base, failure, &timing));
        }
    };
    let files = Files::Web {
        client,
        base,
        timing,
    };
    Ok((files, newest))
}

/// Opens a release in a storage service. The tag is that of the newest if none was requested and
/// there is a list.
async fn storage(
    host: S3,
    tag: Option<&str>,
    source: &Source,
) -> Result<(Files, Option<Tag>), InstallError> {
    let host = Box::new(host);
    if let Some(tag) = tag {
        let folder = tag.to_owned();
        return Ok((Files::S3 { host, folder }, None));
    }
    // The prefix is that of a site, which has a list, or that of one release, which has none.
    let mut sink = Sink::memory(INDEX_LIMIT);
    let (folder, newest) = match host.read_file("", SITE_NAME, &mut sink).await? {
        true => {
            let newest = last_tag(&sink.into_bytes(), || source.to_string())?;
            (newest.as_deref().unwrap_or_default().to_owned(), newest)
        }
        false => (String::new(), None),
    };
    Ok((Files::S3 { host, folder }, newest))
}

/// Reads with a token through the API. Without one, reads through the web URLs, which do not count
/// towards the sixty API requests an hour that are allowed per IP address.
async fn github_files(
    source: &Source,
    access: Access,
    tag: Option<&str>,
    timing: &Timing,
    drafts: bool,
) -> Result<(Files, Option<Tag>), InstallError> {
    if access.token.is_none() {
        let client = client(&access.network, &access.web)?;
        let web = access.web.as_str().trim_end_matches('/');
        let releases = format!("{web}/{}/releases", access.repository);
        let base = match tag {
            Some(tag) => format!("{releases}/download/{}/", encode(tag)),
            None => format!("{releases}/latest/download/"),
        };
        let base = base
            .parse()
            .map_err(|_| InstallError::Source(access.repository.clone()))?;
        let files = Files::Web {
            client,
            base,
            timing: timing.clone(),
        };
        return Ok((files, None));
    }
    let host = GitHub::new(access, timing.clone())?;
    let (tag, numbers) = host
        .release_files(tag, drafts)
        .await?
        .ok_or_else(|| InstallError::NoRelease(source.to_string()))?;
    let files = Files::Api {
        host: Box::new(host),
        numbers,
        timing: timing.clone(),
    };
    // If this is not a valid tag, it is not one of our releases; reading its index will show that.
    Ok((files, Tag::new(tag).ok()))
}
