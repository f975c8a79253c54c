//! `sysforge publish`: the images of a dist directory become a release.

use std::path::Path;

use sysforge_engine::EngineError;
use sysforge_engine::paths::{absolute, require_readable_file};
use sysforge_engine::publish::{self, Publication};
use sysforge_plan::explain::PathError;
use sysforge_plan::text::Tag;
use sysforge_publish::host::github::finalize::finalize;
use sysforge_publish::host::github::{GitHub, Standing, steps};
use sysforge_publish::host::s3::{S3, S3Location};
use sysforge_publish::host::{Host, PublishOptions};
use sysforge_publish::install::Source;
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::report::{Outcome as ReleaseOutcome, Published};
use sysforge_publish::signing::Signer;
use sysforge_publish::{Origin, PublishError, Secret};

use crate::args::PublishArgs;
use crate::commands::install;
use crate::failure::{Failure, Outcome};
use crate::github::{access, s3_access, source_options, variable};
use crate::session::Session;

pub(crate) async fn run(args: &PublishArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    for file in &args.files {
        require_readable_file(file)?;
    }
    let planned = match &args.plan {
        None => Vec::new(),
        Some(path) => publish::planned_builds(path)?,
    };
    let host = match args.to.parse()? {
        Host::Dir(path) => Host::Dir(absolute(&path)),
        host @ (Host::GitHub | Host::S3(_)) => host,
    };
    if !matches!(host, Host::GitHub) {
        if args.undraft {
            return Err(EngineError::OnlyGitHub("--undraft").into());
        }
        if args.prerelease || args.latest.is_some() {
            let text = "--prerelease and --latest have no effect: only GitHub has such marks";
            session.terminal.warning(text, None);
        }
    }
    let mut report = match &host {
        Host::GitHub => to_github(args, session).await?,
        Host::S3(location) => to_s3(args, location, session).await?,
        Host::Dir(_) if args.preflight => return Err(EngineError::OnlyGitHub("--preflight").into()),
        Host::Dir(root) => {
            let base_url = args.base_url.as_deref();
            let publication = publication(args, session, None)?;
            publication
                .to_folder(root, base_url, &session.engine)
                .await?
        }
    };
    let mut next = None;
    if let ReleaseOutcome::Published | ReleaseOutcome::Unchanged = report.outcome {
        let tag = Some(report.tag.as_str());
        let source = match host {
            Host::GitHub => Source::github(&repository(args, session)?, tag)?,
            Host::S3(location) => Source::s3(location, tag)?,
            Host::Dir(path) => Source::folder(path, tag)?,
        };
        next = Some(source.to_string());
        if report.outcome == ReleaseOutcome::Published && !args.no_recheck {
            install::try_published(source, session).await?;
        }
    }
    if report.outcome == ReleaseOutcome::WouldPublish && !args.no_recheck && !args.draft {
        let load = "install the image that fits this machine, if one does, and load it once";
        report.actions.push(load.to_owned());
    }
    let missing = publish::missing_builds(planned, &report, &session.engine);
    session.runner.output("tag", &report.tag);
    session.runner.output("release", &report.place);
    if let Some(digest) = &report.sums_digest {
        session.runner.output("sums-digest", &digest.to_string());
    }
    if let Some(summary) = publish::summary(&report, &missing) {
        session.runner.summarize(&summary);
    }
    session.print(&report, || report.to_string());
    if let Some(source) = next.filter(|_| !session.runner.on && !session.global.json) {
        let text = format!("next: `sysforge install {source}`");
        session.terminal.say(&text);
    }
    Ok(())
}

async fn to_github(args: &PublishArgs, session: &Session) -> Result<Published, Failure> {
    let repository = repository(args, session)?;
    let host = GitHub::new(access(session, &repository)?, session.timing())?
        .with_cleanup(&session.cleanup)
        .with_standing(Standing {
            prerelease: args.prerelease,
            latest: args.latest,
        });
    if args.undraft {
        let tag = tag(args, session).ok_or(EngineError::NoDraftTag)?;
        return Ok(finalize(&host, &tag, args.sums_digest).await?);
    }
    if args.preflight {
        let tag = tag(args, session).unwrap_or_default();
        return Ok(steps::preflight(&host, &tag).await?);
    }
    let target = args.target.clone();
    let target = target.or_else(|| variable(session, "GITHUB_SHA"));
    let publication = publication(args, session, complete_from(args, session, true)?)?;
    let engine = &session.engine;
    publication
        .to_github(&host, &repository, target, engine)
        .await
}

async fn to_s3(
    args: &PublishArgs,
    location: &S3Location,
    session: &Session,
) -> Result<Published, Failure> {
    let (access, network) = (s3_access(session), &session.engine.network);
    let host = S3::new(&access, location.clone(), None, network, session.timing())?
        .with_cleanup(&session.cleanup);
    if args.preflight {
        return Ok(host
            .preflight(&tag(args, session).unwrap_or_default())
            .await?);
    }
    let publication = publication(args, session, complete_from(args, session, false)?)?;
    let (base_url, engine) = (args.base_url.as_deref(), &session.engine);
    publication.to_s3(&host, location, base_url, engine).await
}

/// How to read the release that `--complete` downloads images from; with `drafts`, it may be a
/// draft.
fn complete_from(
    args: &PublishArgs,
    session: &Session,
    drafts: bool,
) -> Result<Option<SourceOptions>, Failure> {
    let options = args.complete.then(|| source_options(session, drafts));
    Ok(options.transpose()?)
}

/// What the arguments and the environment ask for.
fn publication(
    args: &PublishArgs,
    session: &Session,
    complete_from: Option<SourceOptions>,
) -> Result<Publication, Failure> {
    let signer = match &args.sign_key {
        Some(path) => {
            let password = variable(session, "SYSFORGE_SIGN_PASSWORD");
            let password = password.as_deref().map(Secret::new);
            Some(Signer::read(path, password.as_ref()).map_err(PublishError::from)?)
        }
        None => None,
    };
    let notes = match &args.notes_file {
        Some(path) if path.as_os_str() == "-" => {
            let read = std::io::read_to_string(std::io::stdin());
            Some(read.map_err(PathError::wrap("read", Path::new("-"), EngineError::Path))?)
        }
        Some(path) => Some(session.engine.location.read_text(path)?),
        None => None,
    };
    let repository = repository(args, session).ok();
    Ok(Publication {
        dist: match &args.dist {
            Some(folder) => absolute(folder),
            None => session.engine.location.folder()?.join("dist"),
        },
        tag: tag(args, session),
        origin: Origin::from_actions(|name| variable(session, name), repository.as_deref()),
        repository,
        files: args.files.iter().map(|file| absolute(file)).collect(),
        notes,
        notes_from_commits: match args.notes_from_commits {
            true => Some(session.engine.location.folder()?),
            false => None,
        },
        signer,
        options: PublishOptions {
            replace: args.replace,
            dry_run: args.dry_run,
            draft: args.draft,
            recheck: !args.no_recheck,
        },
        complete_from,
        sums: args.sums.clone(),
    })
}

fn repository(args: &PublishArgs, session: &Session) -> Result<String, EngineError> {
    args.repository
        .clone()
        .or_else(|| variable(session, "GITHUB_REPOSITORY"))
        .ok_or(EngineError::NoRepository)
}

/// The tag that was typed, or was pushed.
fn tag(args: &PublishArgs, session: &Session) -> Option<String> {
    let typed = args.tag.as_deref().map(|tag| Tag::name_in(tag).to_owned());
    typed.or_else(|| {
        let is_tag = variable(session, "GITHUB_REF_TYPE").as_deref() == Some("tag");
        variable(session, "GITHUB_REF_NAME").filter(|_| is_tag)
    })
}
