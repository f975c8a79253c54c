//! Errors of installing, each with a hint.

use std::path::PathBuf;

use sysforge_plan::release::choose::Kind;
use sysforge_plan::{Class, Evidence, Explain, Sha256};
use sysforge_process::ProcessError;

use super::unusable::UnusableImage;
use crate::error::PublishError;
use crate::signing::SigningError;

/// Installing failed; nothing is installed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum InstallError {
    #[error("{} was not written by Sysforge", .0.display())]
    NotOurs(PathBuf),
    #[error("{} was not written by Sysforge", .path.display())]
    OtherSettings { path: PathBuf, settings: String },
    #[error("{source_text} did not answer within {} s", .limit.as_secs())]
    Silent {
        source_text: String,
        limit: std::time::Duration,
    },
    #[error(transparent)]
    Host(#[from] PublishError),
    #[error("`{}` is not a source of images", sysforge_net::typed(.0))]
    Source(String),
    #[error("`{}` has an `@` after its query", sysforge_net::typed(.0))]
    TagAfterQuery(String),
    #[error("`{}` has no `/` before the `@` of its tag", sysforge_net::typed(.0))]
    NoSlash(String),
    #[error("there is no release of Sysforge images at {0}")]
    NoRelease(String),
    #[error("{asked} was asked for, and its index is that of {found}")]
    OtherRelease { asked: String, found: String },
    #[error("{offered} is older than {installed}, which is installed")]
    Downgrade { offered: String, installed: String },
    #[error("nothing tells whether {offered} is newer than {installed}, which is installed")]
    UnknownOrder { offered: String, installed: String },
    #[error("{0} asks for a user and a password, and was given none that it accepts")]
    Closed(String),
    #[error("{place} lacks `{name}`, which its index names")]
    Incomplete { place: String, name: String },
    #[error(
        "no {kind} of {tag} fits this machine{}:\n{}",
        if *kind == Kind::Image { " and this Julia" } else { "" },
        list(reasons)
    )]
    NoFit {
        kind: Kind,
        tag: String,
        reasons: Vec<String>,
        /// The versions of Julia whose images would run on this machine, the best choice last.
        versions: Vec<String>,
    },
    #[error("{tag} has no image `{name}`")]
    NoSuchImage {
        name: String,
        tag: String,
        names: Vec<String>,
    },
    #[error("the image is for Julia {built}, and this Julia is {found}")]
    OtherJulia { built: String, found: String },
    #[error("there is no Julia {0} on this machine to run the image with")]
    NoJulia(String),
    #[error("`{name}` is not what the index says: its digest is {found}, and not {expected}")]
    Digest {
        name: String,
        expected: Sha256,
        found: Sha256,
    },
    #[error("`{name}` is not what the index says: it has {found} bytes, and not {expected}")]
    Size {
        name: String,
        expected: u64,
        found: u64,
    },
    #[error("the app `{app}` does not start on this machine")]
    DoesNotStart {
        app: String,
        #[source]
        source: sysforge_process::ProcessError,
    },
    #[error("{} exists already, and `sysforge install` did not make it", .0.display())]
    NameTaken(PathBuf),
    #[error("`{0}` is for images, and this is an app")]
    ForImages(&'static str),
    #[error("{} cannot be written into {format}: {why}", .path.display())]
    Unrepresentable {
        path: PathBuf,
        format: &'static str,
        why: &'static str,
    },
    #[error("`{name}` is not the image of the index: {what}")]
    NotTheImage { name: String, what: String },
    #[error("the provenance of the release does not name `{0}` with its digest")]
    Provenance(String),
    #[error("no attestation of `{name}` is good: {why}")]
    NotAttested { name: String, why: String },
    #[error("the image does not load with {}", .julia.display())]
    DoesNotLoad {
        julia: PathBuf,
        #[source]
        source: ProcessError,
    },
    #[error("the image loads, but {0} is not in it")]
    Lacks(String),
    #[error("no installed image is called `{name}`")]
    NotInstalled {
        name: String,
        nearest: Option<String>,
    },
    #[error("{0}")]
    Unusable(UnusableImage),
    #[error("could not remove {}", .folder.display())]
    Held {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Channel(sysforge_plan::text::InvalidText),
    #[error("juliaup does not take the channel")]
    Juliaup(#[source] ProcessError),
}

impl From<SigningError> for InstallError {
    fn from(error: SigningError) -> Self {
        Self::Host(error.into())
    }
}

/// Whether a source is a folder on this machine.
fn is_path(place: &str) -> bool {
    place.starts_with(['.', '/', '~']) || std::path::Path::new(place).is_absolute()
}

fn list(reasons: &[String]) -> String {
    if reasons.is_empty() {
        return "  the release has no images".to_owned();
    }
    let lines: Vec<_> = reasons.iter().map(|reason| format!("  {reason}")).collect();
    lines.join("\n")
}

impl Explain for InstallError {
    fn class(&self) -> Class {
        match self {
            Self::Host(error) => error.class(),
            Self::Source(_) | Self::TagAfterQuery(_) | Self::NoSlash(_) | Self::Channel(_) => {
                Class::Usage
            }
            _ => Class::Publish,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Host(error) => return error.hints(),
            Self::Source(_) => {
                "write OWNER/REPO or OWNER/REPO@TAG, the address of a plain host, s3://BUCKET/PREFIX, or \
                 a folder such as ./site or dir:site"
            }
            Self::TagAfterQuery(_) => {
                "write the tag before the query, as in `https://HOST/@v1.0.0?KEY`; an `@` of the query \
                 itself is written as `%40`"
            }
            Self::NoSlash(_) => {
                "write `https://HOST/@v1.0.0`; without the `/`, what is before the `@` is a user name"
            }
            Self::NotOurs(_) => "move it away, or name another file",
            Self::OtherSettings { settings, .. } => {
                return vec![format!("add to it: {settings}")];
            }
            Self::Silent { .. } => {
                "try again later; `sysforge install SOURCE` installs from another place, where \
                 upgrades are then looked for"
            }
            Self::NoRelease(place) if is_path(place) => {
                "is the path right? `sysforge publish --to dir:PATH` puts a release into a folder"
            }
            Self::NoRelease(place) if place.starts_with("s3://") => {
                "check the bucket, the prefix and the tag, and that AWS_ENDPOINT_URL names the service \
                 that has them"
            }
            Self::NoRelease(_) => {
                "check the name and the tag; for a private repository set GITHUB_TOKEN"
            }
            Self::Closed(_) => {
                "write them into the address, `https://USER:PASSWORD@HOST/…`: they are neither shown \
                 nor kept"
            }
            Self::Incomplete { .. } => {
                "the release is being changed, or was never whole: try again, or tell its maintainer"
            }
            Self::NoFit { versions, kind, .. } if versions.is_empty() => match kind {
                Kind::Image => {
                    "ask its maintainer for an image for this platform, or build one with \
                     `sysforge build`"
                }
                Kind::App | Kind::Library => {
                    "ask its maintainer for one, or install another kind of archive by its name: \
                     `--name NAME`"
                }
            },
            Self::NoFit { versions, .. } => {
                return vec![format!(
                    "there are images for this machine and Julia {}: `--julia {}` gets that Julia, \
                     too",
                    versions.join(", "),
                    versions.last().map_or("VERSION", |version| version)
                )];
            }
            Self::NoSuchImage { names, .. } => {
                return vec![match names.as_slice() {
                    [] => "the release has no images at all".to_owned(),
                    names => format!("it has: {}", names.join(", ")),
                }];
            }
            Self::NoJulia(_) => "add `--yes` to get it, or name one with `--julia DIR`",
            Self::OtherJulia { .. } => "name the right one with `--julia DIR`",
            Self::Downgrade { .. } | Self::UnknownOrder { .. } => {
                "add `--allow-downgrade` if that is what you want. If you did not ask for an older \
                 release, somebody may be offering you one with known faults"
            }
            Self::DoesNotStart { .. } => {
                "the receipt next to the archive says which system it needs (`oldest_system`)"
            }
            Self::NameTaken(_) => "remove it, or name another folder with `--bin DIR`",
            Self::ForImages(_) => "`--bin DIR` makes an app available",
            Self::Unrepresentable { .. } => {
                "name another store with `--store DIR`, or another Julia with `--julia DIR`"
            }
            Self::OtherRelease { .. }
            | Self::Digest { .. }
            | Self::Size { .. }
            | Self::NotTheImage { .. }
            | Self::Provenance(_)
            | Self::NotAttested { .. } => "do not use it: tell the maintainer of the release",
            Self::DoesNotLoad { .. } | Self::Lacks(_) => {
                "the image was built for this very Julia, so this machine differs in something \
                 else: `sysforge build` makes one here"
            }
            Self::NotInstalled { nearest, .. } => {
                let list = "`sysforge install list` shows the installed images";
                return sysforge_plan::explain::did_you_mean(nearest.as_deref(), list);
            }
            Self::Unusable(image) => return vec![image.hint()],
            Self::Channel(_) => "name the channel as the image, for instance `--juliaup insurance`",
            Self::Held { .. } => {
                "the image is still installed; on Windows a Julia that runs with it must end first, \
                 and elsewhere you must be allowed to write to the store"
            }
            Self::Juliaup(_) => {
                "is juliaup on the search path, is the channel's name free, and is it not the \
                 default channel (`juliaup default release` chooses another)?"
            }
        };
        vec![hint.to_owned()]
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::DoesNotLoad { source, .. } | Self::Juliaup(source) => source.evidence(),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
