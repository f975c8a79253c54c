//! `sysforge publish`: the images of a dist directory become a release.

use std::fmt::Write as _;
use std::path::PathBuf;

use sysforge_engine::paths::absolute;
use sysforge_engine::publish::{GitHubOptions, Publication};
use sysforge_plan::text::Tag;
use sysforge_publish::documents::notes;
use sysforge_publish::host::Host;
use sysforge_publish::host::github::finalize::finalize;
use sysforge_publish::host::github::{GitHub, Standing, steps};
use sysforge_publish::install::Source;
use sysforge_publish::report::{AssetOutcome, Outcome as ReleaseOutcome, Published};
use sysforge_publish::signing::Signer;
use sysforge_publish::{Origin, PublishError, Secret};

use crate::args::PublishArgs;
use crate::commands::install;
use crate::failure::{CliError, Failure, Outcome};
use crate::github::{access, source_options, variable};
use crate::session::Session;

pub(crate) async fn run(args: &PublishArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    for file in &args.files {
        super::require_readable_file(file)?;
    }
    let host = match args.to.parse()? {
        Host::Dir(path) => Host::Dir(absolute(&path)),
        host @ Host::GitHub => host,
    };
    let mut report = match &host {
        Host::GitHub => to_github(args, session).await?,
        Host::Dir(_) if args.preflight => return Err(CliError::OnlyGitHub("--preflight").into()),
        Host::Dir(_) if args.undraft => return Err(CliError::OnlyGitHub("--undraft").into()),
        Host::Dir(root) => {
            if args.prerelease || args.latest.is_some() {
                session.terminal.warning(
                    "--prerelease and --latest have no effect on a folder: it has no such marks",
                    None,
                );
            }
            let base_url = args.base_url.as_deref();
            let publication = publication(args, session)?;
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
    summarize(args, session, &report)?;
    if session.global.json {
        session.terminal.json(&report);
        return Ok(());
    }
    session.terminal.data(&text(&report));
    if let Some(source) = next.filter(|_| !session.runner.on) {
        session
            .terminal
            .say(&format!("next: `sysforge install {source}`"));
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
        let tag = tag(args, session).ok_or(CliError::NoTag)?;
        return Ok(finalize(&host, &tag).await?);
    }
    if args.preflight {
        let tag = tag(args, session).unwrap_or_default();
        return Ok(steps::preflight(&host, &tag).await?);
    }
    let options = GitHubOptions {
        complete_from: args
            .complete
            .then(|| source_options(session, true))
            .transpose()?,
        draft: args.draft,
        recheck: !args.no_recheck,
        target: args
            .target
            .clone()
            .or_else(|| variable(session, "GITHUB_SHA")),
        sums: args.sums.clone(),
    };
    let publication = publication(args, session)?;
    publication
        .to_github(&host, &repository, &options, &session.engine)
        .await
}

/// What the arguments and the environment ask for.
fn publication(args: &PublishArgs, session: &Session) -> Result<Publication, Failure> {
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
            Some(read.map_err(|source| CliError::Unreadable {
                path: path.clone(),
                source,
            })?)
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
        replace: args.replace,
        dry_run: args.dry_run,
    })
}

fn repository(args: &PublishArgs, session: &Session) -> Result<String, CliError> {
    args.repository
        .clone()
        .or_else(|| variable(session, "GITHUB_REPOSITORY"))
        .ok_or(CliError::NoRepository)
}

/// The tag that was typed, or was pushed.
fn tag(args: &PublishArgs, session: &Session) -> Option<String> {
    let typed = args.tag.as_deref().map(|tag| Tag::name_in(tag).to_owned());
    typed.or_else(|| {
        let is_tag = variable(session, "GITHUB_REF_TYPE").as_deref() == Some("tag");
        variable(session, "GITHUB_REF_NAME").filter(|_| is_tag)
    })
}

/// Outputs and the summary, on a runner; and warnings of planned builds that the release lacks.
fn summarize(args: &PublishArgs, session: &Session, report: &Published) -> Outcome {
    let planned = match &args.plan {
        None => Vec::new(),
        Some(path) => planned(path)?,
    };
    let images = report.assets.iter();
    let images = images.filter_map(|asset| asset.name.strip_suffix(".receipt.json"));
    let images: Vec<String> = images.map(str::to_owned).collect();
    let planned = planned.into_iter();
    let missing: Vec<String> = planned.filter(|id| !images.contains(id)).collect();
    for id in &missing {
        let hint = "its job says why; run the failed jobs again, and the draft is completed";
        session
            .terminal
            .warning(&format!("the release lacks {id}"), Some(hint));
    }
    session.runner.output("tag", &report.tag);
    session.runner.output("release", &report.place);
    let heading = match report.outcome {
        ReleaseOutcome::Published => format!("Published {}", report.tag),
        ReleaseOutcome::Drafted => format!("Draft of {}", report.tag),
        ReleaseOutcome::Unchanged => format!("{} is public", report.tag),
        ReleaseOutcome::WouldPublish | ReleaseOutcome::Ready => return Ok(()),
    };
    let text = sysforge_actions::summary::release(&heading, &report.place, &images, &missing);
    session.runner.summarise(&text);
    Ok(())
}

/// The builds of a plan that `plan --matrix --out` wrote.
fn planned(path: &PathBuf) -> Result<Vec<String>, CliError> {
    let text = std::fs::read(path).map_err(|source| CliError::Unreadable {
        path: path.clone(),
        source,
    })?;
    let plan: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
    serde_json::from_value(plan["builds"].clone()).map_err(|_| CliError::NoPlan(path.clone()))
}

fn text(report: &Published) -> String {
    let mut text = String::new();
    let (tag, place) = (&report.tag, &report.place);
    let would = report.outcome == ReleaseOutcome::WouldPublish;
    for action in report.actions.iter().filter(|_| would) {
        let _ = writeln!(text, "would {action}");
    }
    for asset in &report.assets {
        let what = match (asset.outcome, would) {
            (AssetOutcome::Sent, false) => "sent",
            (AssetOutcome::Kept, false) => "there already",
            (AssetOutcome::Replaced, false) => "replaced",
            (AssetOutcome::Sent, true) => "would send",
            (AssetOutcome::Kept, true) => "is there already",
            (AssetOutcome::Replaced, true) => "would replace",
        };
        let size = notes::size(asset.size);
        let _ = writeln!(text, "{what:>16}  {size:>10}  {}", asset.name);
    }
    let _ = match report.outcome {
        ReleaseOutcome::Published => writeln!(
            text,
            "published {tag} at {place} ({} files checked again)",
            report.rechecked
        ),
        ReleaseOutcome::Drafted => writeln!(text, "{tag} is a draft at {place}"),
        ReleaseOutcome::Unchanged => writeln!(text, "{tag} is public already at {place}"),
        ReleaseOutcome::WouldPublish => {
            writeln!(text, "nothing was done (--dry-run): {tag} at {place}")
        }
        ReleaseOutcome::Ready => writeln!(text, "ready to publish to {place}"),
    };
    text
}
