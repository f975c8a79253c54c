//! Errors of publishing, each with a hint.

use std::path::PathBuf;

use sysforge_net::typed;
use sysforge_plan::receipt::ReceiptError;
use sysforge_plan::release::asset_name::Collision;
use sysforge_plan::release::{IndexError, SITE_NAME, SiteError};
use sysforge_plan::{Class, Explain, Sha256, explain, units};

use crate::signing::SigningError;
use crate::storage_error::StorageError;

/// Publishing failed. Unless a message says otherwise, nothing has become public, and running the
/// same command again continues where this run stopped.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum PublishError {
    #[error("could not access {}", .path.display())]
    Io {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("no image in {}", .0.display())]
    NothingToPublish(PathBuf),
    #[error("the receipt {} has no archive next to it", .0.display())]
    NoArchive(PathBuf),
    #[error("could not use the receipt {}", .path.display())]
    Receipt {
        path: PathBuf,
        #[source]
        source: ReceiptError,
    },
    #[error("{} is not what was built: {what}", .path.display())]
    Altered { path: PathBuf, what: String },
    #[error("{} changed while it was published", .0.display())]
    Changing(PathBuf),
    #[error("two different builds of {0} are in the dist directory")]
    Twice(String),
    #[error("`{0}` cannot be the tag of a release")]
    BadTag(String),
    #[error(transparent)]
    FileName(#[from] sysforge_plan::text::InvalidText),
    #[error(transparent)]
    Collision(#[from] Collision),
    #[error("the release would have {count} files, and the host takes {limit}")]
    TooMany { count: usize, limit: usize },
    #[error("{name} is larger than the {limit} bytes that the host takes")]
    TooLarge {
        name: String,
        /// The host's limit, in bytes.
        limit: u64,
    },
    #[error("the notes have {length} characters, and the host takes {limit}")]
    LongNotes { length: usize, limit: usize },
    #[error("publishing to {0} needs a token, and none is set")]
    NoToken(String),
    #[error("the token holds characters that no token has, such as a line end")]
    MalformedToken,
    #[error("{0} does not accept the token")]
    BadToken(String),
    #[error("the token may not write releases of {repository}: {message}")]
    NoRights { repository: String, message: String },
    #[error("{0} does not exist, or the token may not see it")]
    NoRepository(String),
    #[error("{0} is archived, so nothing can be published there")]
    Archived(String),
    #[error("the host refuses to create the tag {tag}: {message}")]
    Tag { tag: String, message: String },
    #[error("the host refused to {what}: {message} (status {status})")]
    Refused {
        what: String,
        status: u16,
        message: String,
    },
    #[error("could not {what} in {}: {last}", times(*attempts))]
    GaveUp {
        what: String,
        attempts: u32,
        last: String,
    },
    #[error("the host limits the rate of requests, and asks to wait for {}", units::span(*seconds))]
    RateLimited { seconds: u64 },
    #[error("the release has a file `{name}` already, with other bytes")]
    Different { name: String },
    #[error("the release {0} is public and immutable, and `{1}` is not in it as built")]
    Immutable(String, String),
    #[error("another publisher is at work on {tag}: {who}")]
    Another { tag: String, who: String },
    #[error("the host keeps `{name}` as {found}, and what was sent is {expected}")]
    HostDigest {
        name: String,
        expected: Sha256,
        found: String,
    },
    #[error(
        "{} of {tag} changed while it was made public:\n{}\n{then}",
        count(files),
        lines(files)
    )]
    Recheck {
        tag: String,
        files: Vec<Difference>,
        then: Then,
    },
    #[error("the public release {tag} is not whole: {what}")]
    PublicIncomplete { tag: String, what: String },
    #[error("the address `{address}`, which the host names, cannot be used for uploads: {why}")]
    UploadAddress {
        /// The URL, without secrets.
        address: String,
        why: String,
    },
    #[error("could not use the release index of {place}")]
    Index {
        place: String,
        #[source]
        source: IndexError,
    },
    #[error("could not use `{SITE_NAME}` of {place}")]
    Site {
        place: String,
        #[source]
        source: SiteError,
    },
    #[error("there is no draft of {0}")]
    NoDraft(String),
    #[error("the draft of {tag} is not complete: {what}")]
    Incomplete { tag: String, what: String },
    #[error("the digest of the `SHA256SUMS` of {tag} is {found} instead of {expected}")]
    OtherSums {
        tag: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("`{}` is not the name of a repository", typed(.0))]
    Repository(String),
    #[error("`{}` is not a web address", typed(text))]
    Url { text: String, from: &'static str },
    #[error(
        "{from} has a user name, a password or a query, which everybody would read in the release"
    )]
    PrivateUrl { from: &'static str },
    #[error("`{}` is not a release host", typed(.0))]
    Address(String),
    #[error(transparent)]
    Signing(#[from] SigningError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Net(sysforge_net::Error),
    #[error("could not {what}: {words}")]
    Unreachable {
        what: String,
        words: String,
        hint: &'static str,
    },
    #[error("the extra certificates cannot be used: {0}")]
    Certificates(String),
    #[error("could not write {document}: {why}")]
    Document { document: &'static str, why: String },
}

/// A file that differs from what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The file.
    pub name: String,
    /// The difference.
    pub what: String,
}

/// The state of a release whose files changed while it was made public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Then {
    /// It is a draft again.
    Draft,
    /// It was public before, and still is.
    WasPublic,
    /// The host keeps it public, for this reason.
    StaysPublic(String),
}

impl std::fmt::Display for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Draft => f.write_str("so the release was made a draft again"),
            Self::WasPublic => f.write_str("the release was public before, and still is"),
            Self::StaysPublic(why) => write!(
                f,
                "the release is still public, because the host does not make it a draft again: {why}"
            ),
        }
    }
}

fn count(files: &[Difference]) -> String {
    match files.len() {
        1 => "1 file".to_owned(),
        count => format!("{count} files"),
    }
}

fn lines(files: &[Difference]) -> String {
    let lines: Vec<_> = files
        .iter()
        .map(|file| format!("  `{}`: {}", file.name, file.what))
        .collect();
    lines.join("\n")
}

fn times(attempts: u32) -> String {
    match attempts {
        1 => "1 attempt".to_owned(),
        attempts => format!("{attempts} attempts"),
    }
}

impl From<sysforge_net::Error> for PublishError {
    fn from(error: sysforge_net::Error) -> Self {
        match error {
            sysforge_net::Error::Certificates { .. } => Self::Certificates(error.to_string()),
            error => Self::Net(error),
        }
    }
}

impl Explain for PublishError {
    fn class(&self) -> Class {
        match self {
            // A file is where a path needs a folder.
            Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotADirectory => {
                Class::Usage
            }
            Self::Io { source, .. } => explain::io_class(source, Class::Publish),
            Self::BadTag(_)
            | Self::Address(_)
            | Self::Repository(_)
            | Self::Url { .. }
            | Self::PrivateUrl { .. }
            | Self::Certificates(_)
            | Self::Signing(
                SigningError::SecretKey { .. }
                | SigningError::PublicKey(_)
                | SigningError::PublicKeyFile(_)
                | SigningError::Unreadable { .. },
            ) => Class::Usage,
            Self::Document { .. } => Class::Bug,
            Self::Storage(error) => error.class(),
            Self::Net(source) if source.class() != Class::Acquire => source.class(),
            _ => Class::Publish,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Io { source, .. } => return explain::io_hint(source).into_iter().collect(),
            Self::NothingToPublish(_) | Self::NoArchive(_) => {
                "build the images first with `sysforge build`, or name their folder with `--dist`"
            }
            Self::Receipt { .. } | Self::Altered { .. } => {
                "build this image again with `sysforge build --force`"
            }
            Self::Changing(_) => {
                "another program writes to it: wait until it has ended, then run the same command again"
            }
            Self::Twice(_) => "keep one of the two in the dist directory",
            Self::BadTag(_) => "name one with `--tag`, for instance `--tag v1.0.0`",
            Self::FileName(_) => {
                "rename the file, or build the image again with `sysforge build --force`"
            }
            Self::Collision(_) => "give the images names that differ in letters and digits",
            Self::TooMany { .. } => "publish fewer platforms or Julia versions per release",
            Self::TooLarge { .. } => "split the file; only archives of images are split for you",
            Self::LongNotes { .. } => "shorten the text of `--notes-file`",
            Self::NoToken(_) => {
                "set GITHUB_TOKEN (or GH_TOKEN) to a token that may write contents; in Actions: \
                 `permissions: contents: write` and `env: GITHUB_TOKEN: ${{ github.token }}`"
            }
            Self::MalformedToken => "set GITHUB_TOKEN (or GH_TOKEN) to the bare token",
            Self::BadToken(_) => "make a new token; it may have expired",
            Self::NoRights { .. } => {
                "give the token the right to write contents; in Actions: \
                 `permissions: contents: write` for this job"
            }
            Self::NoRepository(_) => {
                "check `--repository OWNER/NAME`, and that the token covers this repository"
            }
            Self::Archived(_) => "choose another repository with `--repository OWNER/NAME`",
            Self::Tag { .. } => {
                "push the tag first (the automatic token may not tag commits that change \
                 workflow files), see that the token may write contents (in Actions: \
                 `permissions: contents: write`), or ask for an exception from the rule that \
                 protects the tag; a draft is kept, and the same command goes on from there"
            }
            Self::GaveUp { .. } | Self::RateLimited { .. } => {
                "run the same command again later: it goes on where it stopped"
            }
            Self::Different { .. } => {
                "publish under a new tag, or replace the file on purpose with `--replace`"
            }
            Self::Immutable(..) => "publish under a new tag: immutable releases never change",
            Self::Another { .. } => {
                "wait for it to end; then the same command checks that all is there"
            }
            Self::HostDigest { .. } => "run the same command again: it sends the file again",
            Self::Recheck {
                then: Then::Draft, ..
            } => {
                "find out who else writes to this release; the same command sends these files \
                 again (add `--replace` if it runs from another dist directory)"
            }
            Self::Recheck {
                then: Then::WasPublic,
                ..
            } => {
                "find out who else writes to this release; the same command with `--replace` \
                 sends these files again"
            }
            Self::Recheck {
                then: Then::StaysPublic(_),
                ..
            } => {
                "delete the release, or take these files out of it, and publish again under a \
                 new tag"
            }
            Self::PublicIncomplete { .. } => {
                "publish the images again from their dist directory with `--replace`, after \
                 deleting a provenance of other images, or delete the release"
            }
            Self::UploadAddress { .. } => {
                "is GITHUB_API_URL the address of the API itself, and not of something between?"
            }
            Self::Signing(error) => match error {
                SigningError::SecretKey { .. } => {
                    "make one with `minisign -G`; its password goes into SYSFORGE_SIGN_PASSWORD"
                }
                SigningError::PublicKey(_) | SigningError::PublicKeyFile(_) => {
                    "a key is 56 characters that begin with RW, or the file that `minisign -G` made"
                }
                SigningError::Unreadable { source, .. } => {
                    return explain::io_hint(source).into_iter().collect();
                }
                SigningError::Missing(_) => {
                    "ask its publisher for a signed release, or leave out `--verify-key` to trust the \
                     digests alone"
                }
                SigningError::Bad { .. } => "do not use it: tell the maintainer of the release",
                SigningError::Unnamed(_) => {
                    "it was signed by an older Sysforge: ask its maker to publish it again with \
                     `--sign-key` and `--replace`, or leave out `--verify-key` to trust the \
                     digests alone"
                }
                SigningError::Elsewhere { .. } => {
                    "if this is a copy of a release that you trust, or a repository that was \
                     renamed, name what it is signed for: `--signed-for OWNER/NAME` or \
                     `--signed-for ADDRESS`; otherwise do not use it"
                }
            },
            Self::NoDraft(_) => "send the images first: `sysforge publish --draft`",
            Self::Incomplete { .. } => {
                "send the images again with `sysforge publish --draft`, with `--sign-key` if the \
                 release is signed; delete what that does not replace"
            }
            Self::OtherSums { .. } => {
                "another run has sent other files to this release: send the images again with \
                 `sysforge publish --draft` (in Actions: run the whole workflow again)"
            }
            Self::Repository(_) => "write OWNER/NAME, as in `--repository octo/images`",
            Self::Url { from, .. } | Self::PrivateUrl { from } => {
                return vec![format!(
                    "{from} takes an address such as https://example.org/images"
                )];
            }
            Self::Address(_) => "write `--to github`, `--to dir:PATH` or `--to s3://BUCKET/PREFIX`",
            Self::Index { .. } | Self::Site { .. } => {
                "is it a place that `sysforge publish` filled, and no newer one than this Sysforge?"
            }
            Self::Storage(error) => return error.hints(),
            Self::Net(source) => return source.hints(),
            Self::Unreachable { hint, .. } => hint,
            Self::Certificates(_) => {
                "SSL_CERT_FILE names a file of PEM certificates (`-----BEGIN CERTIFICATE-----`)"
            }
            Self::Refused {
                status: 401 | 403, ..
            } => "does the token (GITHUB_TOKEN) cover this repository, and has it not expired?",
            Self::Refused { .. } => {
                "try again later; the same command goes on where it stopped. If the host says the \
                 same again, it says why above"
            }
            Self::Document { .. } => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
pub(crate) mod tests;
