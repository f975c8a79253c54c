//! `sysforge publish`: the images of a dist directory become a release.

use std::path::PathBuf;

use sysforge_plan::text::{Repository, Tag};
use sysforge_publish::documents::{artifacts_toml, sums};
use sysforge_publish::host::github::steps::{self, Policy};
use sysforge_publish::host::github::{GitHub, Standing};
use sysforge_publish::host::{Host, dir, github as host};
use sysforge_publish::install::source::encoded_tag;
use sysforge_publish::install::{InstallError, OpenRelease, Source};
use sysforge_publish::release_bundle::Destination;
use sysforge_publish::report::{AssetOutcome, Outcome as Result_, Published};
use sysforge_publish::signing::{Identity, Signer};
use sysforge_publish::{Dist, Origin, PublishError, ReleaseBundle, Secret};

use crate::args::PublishArgs;
use crate::commands::install;
use crate::failure::{CliError, Failure, Outcome};
use crate::github::{access, reach, variable};
use crate::paths::absolute;
use crate::session::Session;

pub(crate) async fn run(args: &PublishArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let to: Host = args.to.parse()?;
    let folder = match &args.dist {
        Some(folder) => absolute(folder),
        // Nothing is sent, so this may be anywhere.
        None if args.undraft || args.preflight => PathBuf::new(),
        None => session.engine.location.folder()?.join("dist"),
    };
    let mut report = match &to {
        Host::GitHub if args.undraft => undraft(args, session).await?,
        Host::GitHub => to_github(args, session, &folder).await?,
        Host::Dir(root) => to_dir(args, session, &folder, &absolute(root)).await?,
    };
    let mut next = None;
    if let Result_::Published | Result_::Unchanged = report.outcome {
        let tag = Some(report.tag.clone());
        let source = match to {
            Host::GitHub => Source::github(&repository(args, session)?, tag.as_deref())?,
            Host::Dir(path) => Source::folder(absolute(&path), tag.as_deref())?,
        };
        next = Some(source.to_string());
        if report.outcome == Result_::Published && !args.no_recheck {
            install::try_once(source, session).await?;
        }
    }
    if report.outcome == Result_::WouldPublish && !args.no_recheck && !args.draft {
        let load = "install the image that fits this machine, if one does, and load it once";
        report.actions.push(load.to_owned());
    }
    tell_runner(args, session, &report)?;
    if session.global.json {
        session.terminal.json(&report);
    } else {
        session.terminal.data(&text(&report));
        if let Some(source) = next.filter(|_| !session.runner.on) {
            session
                .terminal
                .say(&format!("next: `sysforge install {source}`"));
        }
    }
    Ok(())
}

async fn to_github(
    args: &PublishArgs,
    session: &Session,
    folder: &std::path::Path,
) -> Result<Published, Failure> {
    let repository = repository(args, session)?;
    let host = GitHub::new(access(session, &repository)?, session.timing())?
        .with_cleanup(&session.cleanup)
        .with_standing(standing(args));
    let mut read = None;
    let tag = tag(args, session, folder, &mut read).await?;
    if args.preflight {
        return Ok(steps::preflight(&host, &tag).await?);
    }
    if args.complete {
        complete(session, &repository, &tag, folder, &mut read).await?;
    }
    let prepared = async {
        let dist = match read {
            Some(dist) => dist,
            None => Dist::read(folder).await?,
        };
        let (destination, origin) = (host.destination(&tag), origin(session, &repository));
        bundle(args, session, &dist, &destination, &origin, host.identity()).await
    };
    let seen = async { Ok::<_, Failure>(steps::look_ahead(&host, &tag).await?) };
    let (bundle, seen) = tokio::try_join!(prepared, seen)?;
    if let Some(path) = args.sums.as_ref().filter(|_| !args.dry_run) {
        let files = bundle.assets.iter();
        let list = sums::write(files.map(|asset| (asset.name.as_str(), asset.sha256)));
        super::write_file(path, &list)?;
    }
    let policy = Policy {
        draft: args.draft,
        replace: args.replace,
        dry_run: args.dry_run,
        recheck: !args.no_recheck,
        target: args
            .target
            .clone()
            .or_else(|| variable(session, "GITHUB_SHA")),
        state: folder.join(".sysforge"),
    };
    Ok(steps::publish_seen(&host, &bundle, &policy, seen, &session.engine.reporter).await?)
}

fn standing(args: &PublishArgs) -> Standing {
    Standing {
        prerelease: args.prerelease,
        latest: args.latest,
    }
}

/// Makes the draft public.
async fn undraft(args: &PublishArgs, session: &Session) -> Result<Published, Failure> {
    let repository = repository(args, session)?;
    let host = GitHub::new(access(session, &repository)?, session.timing())?
        .with_cleanup(&session.cleanup)
        .with_standing(standing(args));
    let pushed = variable(session, "GITHUB_REF_NAME")
        .filter(|_| variable(session, "GITHUB_REF_TYPE").as_deref() == Some("tag"));
    let typed = args.tag.as_deref().map(|tag| Tag::name_in(tag).to_owned());
    let tag = typed.or(pushed).ok_or(CliError::NoTag)?;
    Ok(host::undraft::undraft(&host, &tag).await?)
}

/// Fetches what the release has and the folder lacks.
async fn complete(
    session: &Session,
    repository: &str,
    tag: &str,
    folder: &std::path::Path,
    read: &mut Option<Dist>,
) -> Result<(), Failure> {
    if read.is_none() {
        *read = match Dist::read(folder).await {
            Ok(dist) => Some(dist),
            Err(PublishError::NothingToPublish(_)) => None,
            Err(error) => return Err(error.into()),
        };
    }
    let builds = read.iter().flat_map(|dist| &dist.builds);
    let present = builds.map(|build| build.receipt.build_id.clone()).collect();
    let reach = reach(session, true)?;
    let source = Source::github(repository, Some(tag))?;
    let place = match OpenRelease::open(&source, &reach).await {
        Ok(place) => place,
        Err(InstallError::NoRelease(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    let fetched =
        sysforge_publish::complete::complete(&place, &present, folder, &session.engine.reporter)
            .await?;
    if !fetched.is_empty() {
        *read = None;
    }
    for id in fetched {
        session
            .engine
            .reporter
            .note(format!("{id} is in the release already"));
    }
    Ok(())
}

/// Outputs and the summary, on a runner.
fn tell_runner(args: &PublishArgs, session: &Session, report: &Published) -> Outcome {
    let planned: Vec<String> = match &args.plan {
        None => Vec::new(),
        Some(path) => {
            let text = std::fs::read(path).map_err(|source| CliError::Unreadable {
                path: path.clone(),
                source,
            })?;
            let plan: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            serde_json::from_value(plan["builds"].clone())
                .map_err(|_| CliError::NoPlan(path.clone()))?
        }
    };
    let present: Vec<String> = report
        .assets
        .iter()
        .filter_map(|asset| asset.name.strip_suffix(".receipt.json"))
        .map(str::to_owned)
        .collect();
    let missing: Vec<String> = planned
        .into_iter()
        .filter(|id| !present.contains(id))
        .collect();
    for id in &missing {
        let hint = "its job says why; run the failed jobs again, and the draft is completed";
        session
            .engine
            .reporter
            .warn(format!("the release lacks {id}"), Some(hint.to_owned()));
    }
    session.runner.output("tag", &report.tag);
    session.runner.output("release", &report.place);
    let heading = match report.outcome {
        Result_::Published => format!("Published {}", report.tag),
        Result_::Drafted => format!("Draft of {}", report.tag),
        Result_::Unchanged => format!("{} is public", report.tag),
        Result_::WouldPublish | Result_::Ready => return Ok(()),
    };
    let text = sysforge_actions::summary::release(&heading, &report.place, &present, &missing);
    session.runner.summarise(&text);
    Ok(())
}

async fn to_dir(
    args: &PublishArgs,
    session: &Session,
    folder: &std::path::Path,
    root: &std::path::Path,
) -> Result<Published, Failure> {
    let mut read = None;
    let tag = tag(args, session, folder, &mut read).await?;
    let dist = match read {
        Some(dist) => dist,
        None => Dist::read(folder).await?,
    };
    // The address that a site will have is not known here, so what it is asked for decides.
    let base = args.base_url.clone().unwrap_or_default();
    let base = base.trim_end_matches('/');
    let destination = Destination {
        base: if base.is_empty() {
            String::new()
        } else {
            format!("{base}/{}/", encoded_tag(&tag))
        },
        source: match base {
            // Where the folder will be is known to its owner alone: no path of this machine.
            "" => format!("FOLDER_OR_ADDRESS@{tag}"),
            base => format!("{base}@{}", encoded_tag(&tag)),
        },
        file_limit: u64::MAX,
        count_limit: usize::MAX,
        tag,
    };
    let repository = variable(session, "GITHUB_REPOSITORY").unwrap_or_default();
    let origin = origin(session, &repository);
    let identity = identity(args, session)?;
    if args.sign_key.is_some() && identity == Identity::default() {
        session.engine.reporter.warn(
            "the signature names neither a repository nor an address".to_owned(),
            Some(
                "add `--repository OWNER/NAME` or `--base-url URL`, so that no other release \
                 that is signed with this key can stand in for this one"
                    .to_owned(),
            ),
        );
    }
    if args.prerelease || args.latest.is_some() {
        session.engine.reporter.warn(
            "--prerelease and --latest say nothing about a folder: it has no such marks".to_owned(),
            None,
        );
    }
    let bundle = bundle(args, session, &dist, &destination, &origin, identity).await?;
    let bundle = bundle.with_notes_as_file();
    let has_artifacts = bundle
        .assets
        .iter()
        .any(|asset| asset.name == artifacts_toml::NAME);
    if base.is_empty() && has_artifacts {
        session.engine.reporter.warn(
            "the addresses in Artifacts.toml are relative, and Pkg cannot download from them"
                .to_owned(),
            Some("name the address that the folder will have with `--base-url URL`".to_owned()),
        );
    }
    let policy = dir::FolderPolicy {
        replace: args.replace,
        dry_run: args.dry_run,
    };
    Ok(dir::publish(root, &bundle, policy, &session.engine.reporter).await?)
}

/// Whose release a folder holds, as far as that is said.
fn identity(args: &PublishArgs, session: &Session) -> Result<Identity, Failure> {
    let repository = match repository(args, session) {
        Ok(text) => {
            let wrong = |_| PublishError::Address(text.clone());
            Some(Repository::new(text.as_str()).map_err(wrong)?)
        }
        Err(_) => None,
    };
    let site = match &args.base_url {
        Some(text) => {
            let address = format!("{}/", text.trim_end_matches('/'));
            let site: url::Url = address
                .parse()
                .map_err(|_| PublishError::Address(text.clone()))?;
            Some(site)
        }
        None => None,
    };
    Ok(Identity { repository, site })
}

fn repository(args: &PublishArgs, session: &Session) -> Result<String, CliError> {
    args.repository
        .clone()
        .or_else(|| variable(session, "GITHUB_REPOSITORY"))
        .ok_or(CliError::NoRepository)
}

/// What is sent, signed if that was asked for.
async fn bundle(
    args: &PublishArgs,
    session: &Session,
    dist: &Dist,
    destination: &Destination,
    origin: &Origin,
    identity: Identity,
) -> Result<ReleaseBundle, Failure> {
    // A key that cannot be used is said before archives are read.
    let signer = match &args.sign_key {
        Some(path) => {
            let password = variable(session, "SYSFORGE_SIGN_PASSWORD");
            let password = password.as_deref().map(Secret::new);
            Some(Signer::read(path, password.as_ref()).map_err(PublishError::from)?)
        }
        None => None,
    };
    let text = match &args.notes_file {
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
    let files: Vec<_> = args.files.iter().map(|file| absolute(file)).collect();
    let dist = dist.clone().with_files(&files).await?;
    let mut bundle = ReleaseBundle::prepare(&dist, destination, origin)
        .await?
        .of(identity);
    if let Some(text) = text {
        bundle = bundle.with_text(&text)?;
    }
    if let Some(signer) = signer {
        bundle.sign(&signer, destination.count_limit)?;
    }
    Ok(bundle)
}

/// The tag: as named, as pushed, or `v` and the version of the project, for which the folder is
/// `read`.
async fn tag(
    args: &PublishArgs,
    session: &Session,
    folder: &std::path::Path,
    read: &mut Option<Dist>,
) -> Result<String, Failure> {
    if let Some(tag) = &args.tag {
        return Ok(Tag::name_in(tag).to_owned());
    }
    if variable(session, "GITHUB_REF_TYPE").as_deref() == Some("tag")
        && let Some(tag) = variable(session, "GITHUB_REF_NAME")
    {
        return Ok(tag);
    }
    if args.preflight {
        return Ok(String::new());
    }
    let dist = read.insert(Dist::read(folder).await?);
    let mut versions = dist
        .builds
        .iter()
        .filter_map(|build| build.receipt.project_version.clone());
    versions
        .next()
        .map(|version| format!("v{version}"))
        .ok_or_else(|| CliError::NoTag.into())
}

/// Where the images come from, as far as Actions says.
fn origin(session: &Session, repository: &str) -> Origin {
    let variable = |name| variable(session, name);
    let server = variable("GITHUB_SERVER_URL");
    let at = |rest: &str| server.as_ref().map(|server| format!("{server}/{rest}"));
    Origin {
        source: server
            .as_ref()
            .filter(|_| !repository.is_empty())
            .map(|server| format!("{server}/{repository}")),
        commit: variable("GITHUB_SHA"),
        builder: variable("GITHUB_WORKFLOW_REF").and_then(|workflow| at(&workflow)),
        run: variable("GITHUB_RUN_ID")
            .and_then(|run| at(&format!("{repository}/actions/runs/{run}"))),
    }
}

fn text(report: &Published) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    let (tag, place) = (&report.tag, &report.place);
    let would = report.outcome == Result_::WouldPublish;
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
        let size = sysforge_publish::documents::notes::size(asset.size);
        let _ = writeln!(text, "{what:>16}  {size:>10}  {}", asset.name);
    }
    let _ = match report.outcome {
        Result_::Published => writeln!(
            text,
            "published {tag} at {place} ({} files checked again)",
            report.rechecked
        ),
        Result_::Drafted => writeln!(text, "{tag} is a draft at {place}"),
        Result_::Unchanged => writeln!(text, "{tag} is public already at {place}"),
        Result_::WouldPublish => writeln!(text, "nothing was done (--dry-run): {tag} at {place}"),
        Result_::Ready => writeln!(text, "ready to publish to {place}"),
    };
    text
}
