//! `sysforge install`: the image of a release that fits this machine, verified, kept and ready.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sysforge_engine::EngineError;
use sysforge_plan::JuliaFacts;
use sysforge_plan::release::ReleaseIndex;
use sysforge_plan::release::choose::{Kind, Machine, julias, kinds};
use sysforge_plan::release::cpu::Cpu;
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::source::is_site;
use sysforge_publish::install::{
    self, Attested, Images, InstallError, Installed, OpenRelease, Signed, SignedFor, Source,
    Surroundings,
    activate::{self, UserLists},
    integrate::{self, Integration},
};
use sysforge_publish::signing::{Identity, PublicKey};

mod channels;
mod local_julia;

use self::channels::{link, unlink};
use self::local_julia::{LocalJulia, in_store, local_julia, offer};
use crate::args::{Activation, InstallArgs, InstallCommand};
use crate::failure::{CliError, Failure, Outcome, causes};
use crate::github::source_options;
use crate::session::Session;
use sysforge_engine::cpu::cpu_level;
use sysforge_engine::paths::absolute;

pub(crate) async fn run(args: &InstallArgs, session: &Session) -> Outcome {
    let _heartbeat = session.heartbeat();
    let images = session.engine.images()?;
    match (&args.command, &args.source) {
        (Some(InstallCommand::List), _) => list(&images, session),
        (Some(InstallCommand::Remove { image }), _) => {
            // A removal that was killed may have come so far that the image is no longer listed.
            let mut removed = images.finish_removals(image);
            let named = match images.named(image) {
                Err(_) if !removed.is_empty() => Vec::new(),
                named => named?,
            };
            for installed in &removed {
                let text = format!("removed what was left of {}", installed.build_id);
                session.terminal.say(&text);
            }
            for installed in &named {
                unlink(installed, session).await;
                images.remove(installed)?;
                session
                    .terminal
                    .say(&format!("removed {}", installed.build_id));
            }
            removed.extend(named);
            if session.global.json {
                session.terminal.json(&removed);
            }
            Ok(())
        }
        (Some(InstallCommand::Upgrade { image }), _) => {
            images.finish_removals("");
            upgrade(image.as_deref(), args, &images, session).await
        }
        (None, Some(source)) => {
            images.finish_removals("");
            let request = InstallRequest {
                source: from_anywhere(Source::parse(source, is_site)?),
                name: args.name.as_deref(),
                kind: args.activation.bin.as_ref().map(|_| Kind::App),
                julia: None,
                keys: keys(&args.verify_key)?,
                signed_for: signed_for(args.signed_for.as_deref())?,
                allow_downgrade: args.allow_downgrade,
                attested: args.require_attestation,
                yes: args.yes,
                patience: None,
            };
            let installed = one(&request, &images, session).await?;
            match installed.apps.is_empty() {
                true => finish(installed, &args.activation, &images, session).await,
                false => {
                    let finished =
                        finish_app(installed.clone(), &args.activation, &images, session);
                    // Apps that cannot be started by their names are not left in the store.
                    if finished.is_err() && installed.launchers.is_empty() {
                        images.remove(&installed)?;
                    }
                    finished
                }
            }
        }
        (None, None) => Err(InstallError::Source(String::new()).into()),
    }
}

/// What is to be installed.
struct InstallRequest<'a> {
    source: Source,
    name: Option<&'a str>,
    /// Whether it is an image or an app, if that is settled.
    kind: Option<Kind>,
    /// The executable to install for, if that is settled.
    julia: Option<&'a Path>,
    /// Keys of the maker.
    keys: Vec<PublicKey>,
    /// Whose release the signature must name.
    signed_for: SignedFor,
    /// Whether an older release than the installed one will do.
    allow_downgrade: bool,
    /// Whether there must be an attestation.
    attested: bool,
    /// Whether a Julia is fetched without asking.
    yes: bool,
    /// How long the place may take to show its index; else as long as downloads may take.
    patience: Option<Duration>,
}

/// How long an upgrade waits for a place that was there before: nobody asked for this one by name.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(15);

/// A folder by its whole path: an upgrade may be asked for in another one.
fn from_anywhere(source: Source) -> Source {
    match source {
        Source::Folder { path, tag } => Source::Folder {
            path: absolute(&path),
            tag,
        },
        source => source,
    }
}

/// Whether this is github.com; or this machine, so that what is tested is what users get.
fn keeps_attestations(web: &url::Url) -> bool {
    matches!(
        web.host_str(),
        Some("github.com" | "127.0.0.1" | "localhost")
    )
}

/// Reads what `--signed-for` names: a repository, or the address of a site.
fn signed_for(given: Option<&str>) -> Result<SignedFor, Failure> {
    let Some(text) = given else {
        return Ok(SignedFor::Asked);
    };
    Ok(SignedFor::Named(match Source::parse(text, |_| false)? {
        Source::GitHub { repository, .. } => Identity {
            repository: Some(repository),
            site: None,
        },
        Source::Web { base, .. } => Identity {
            repository: None,
            site: Some(base),
        },
        Source::Folder { .. } => return Err(InstallError::Source(text.to_owned()).into()),
    }))
}

/// Reads keys, and files that hold one.
pub(crate) fn keys(given: &[String]) -> Result<Vec<PublicKey>, Failure> {
    let read = |text: &String| {
        let file = std::fs::read_to_string(text);
        let key = file.as_deref().unwrap_or(text).parse();
        key.map_err(|error| InstallError::from(error).into())
    };
    given.iter().map(read).collect()
}

fn list(images: &Images, session: &Session) -> Outcome {
    let all = images.list()?;
    if session.global.json {
        session.terminal.json(&all);
        return Ok(());
    }
    if all.is_empty() {
        session.terminal.say("no image is installed");
        return Ok(());
    }
    let head = ["image", "release", "Julia", "file"].map(str::to_owned);
    let rows = all.iter().map(|image| {
        vec![
            image.build_id.to_string(),
            format!("{} {}", image.source.latest(), image.tag),
            image.built_for.version.to_string(),
            image.image.display().to_string(),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.to_vec()).chain(rows).collect();
    session.terminal.data(&crate::terminal::fitted_table(&rows));
    Ok(())
}

/// Installs the newest release of every installed image, and takes the place of the old one.
async fn upgrade(
    name: Option<&str>,
    args: &InstallArgs,
    images: &Images,
    session: &Session,
) -> Outcome {
    let all = match name {
        Some(name) => images.named(name)?,
        None => images.list()?,
    };
    // One that fails, say because its release is gone, does not keep the others from theirs.
    let (mut now, mut failed) = (Vec::new(), None::<Failure>);
    let mut silent = Vec::new();
    for old in &all {
        let source = old.source.latest().to_string();
        if silent.contains(&source) {
            let build_id = &old.build_id;
            session.terminal.say(&format!(
                "{build_id} stays as it is: {source} does not answer"
            ));
            continue;
        }
        match upgrade_one(old, args, images, session).await {
            Ok(new) => now.push(new),
            Err(failure) => {
                let error: &(dyn std::error::Error + 'static) = failure.0.as_ref();
                if let Some(InstallError::Silent { .. }) = error.downcast_ref() {
                    silent.push(source);
                }
                if all.len() > 1 {
                    let build_id = &old.build_id;
                    session
                        .terminal
                        .say(&format!("{build_id} stays as it is: {}", failure.0));
                }
                failed = Some(failure);
            }
        }
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if session.global.json {
        session.terminal.json(&now);
    }
    Ok(())
}

/// What is installed afterwards.
async fn upgrade_one(
    old: &Installed,
    args: &InstallArgs,
    images: &Images,
    session: &Session,
) -> Result<Installed, Failure> {
    let request = InstallRequest {
        source: old.source.latest(),
        name: Some(&old.name),
        kind: Some(match old.apps.is_empty() {
            true => Kind::Image,
            false => Kind::App,
        }),
        julia: Some(old.julia.as_path()).filter(|path| !path.as_os_str().is_empty()),
        // Once verified, always verified: by the same maker's keys.
        keys: keys(&old.keys)?,
        signed_for: match &old.signed_for {
            Some(before) => SignedFor::Before(before.clone()),
            // Installed before signatures named this.
            None => SignedFor::Asked,
        },
        allow_downgrade: args.allow_downgrade,
        attested: old.attested,
        yes: args.yes,
        patience: Some(UPGRADE_PATIENCE),
    };
    let mut new = one(&request, images, session).await?;
    let (build_id, tag) = (&old.build_id, &old.tag);
    if new.sha256 == old.sha256 {
        session
            .terminal
            .say(&format!("{build_id} {tag} is the newest"));
        return Ok(old.clone());
    }
    if !old.apps.is_empty() {
        let folders = old.launchers.iter().filter_map(|link| link.parent());
        for bin in folders.collect::<std::collections::BTreeSet<_>>() {
            install::app::link_apps(&mut new, bin)?;
        }
    }
    for launcher in old.launchers.iter().filter(|_| old.apps.is_empty()) {
        activate::write_launcher(&mut new, launcher)?;
    }
    for file in &old.files {
        integrate::write(&mut new, file.integration, &file.path)?;
    }
    for channel in &old.channels {
        link(&mut new, channel, images, session).await?;
    }
    images.note(&new)?;
    session
        .terminal
        .say(&format!("{build_id} {tag} → {}", new.tag));
    // On Windows, a Julia that runs with the old one holds it: the next upgrade removes it.
    if let Err(error) = images.remove(old) {
        let causes = causes(&error).join(": ");
        session.engine.reporter.warn(
            format!("{build_id} {tag} stays beside it: {error}: {causes}"),
            Some("end the Julias that run with it, and upgrade again".to_owned()),
        );
    }
    Ok(new)
}

/// Chooses and installs the image of a release.
async fn one(
    request: &InstallRequest<'_>,
    images: &Images,
    session: &Session,
) -> Result<Installed, Failure> {
    let mut reach = source_options(session, false)?;
    reach.attestations = keeps_attestations(&reach.github.web);
    let opening = async {
        let place = OpenRelease::open(&request.source, &reach).await?;
        let place = place.with_signed_for(request.signed_for.clone());
        let (index, signed) = place.index(&request.keys).await?;
        Ok::<_, InstallError>((place, index, signed))
    };
    let (place, index, signed) = match request.patience {
        None => opening.await?,
        Some(limit) => match tokio::time::timeout(limit, opening).await {
            Ok(opened) => opened?,
            Err(_) => {
                return Err(InstallError::Silent {
                    source_text: request.source.to_string(),
                    limit,
                }
                .into());
            }
        },
    };
    match signed {
        Signed::By(key, identity) => session
            .terminal
            .say(&format!("  signed by the key {key} for {identity}")),
        Signed::Unverified => session.terminal.say(
            "  the release is signed; `--verify-key KEY`, with a key that you have from its \
             maker, would verify that",
        ),
        Signed::No => {}
    }
    if is_app(&index, request, session).await? {
        return one_app(&place, &index, request, images, session).await;
    }
    let mut local_julia = local_julia(request.julia, session).await?;
    let mut chosen = install::choose_image(&index, &machine(local_julia.as_ref(), request)?);
    if chosen.is_err() && request.julia.is_some() && !session.global.julia.is_empty() {
        // An upgrade that leaves the Julia of before.
        local_julia = local_julia::local_julia(None, session).await?;
        chosen = install::choose_image(&index, &machine(local_julia.as_ref(), request)?);
    }
    // Without a Julia that an image is for, the store may have one: the newest comes first.
    let lacks_julia = match &chosen {
        Ok(_) => local_julia.is_none(),
        Err(InstallError::NoFit { .. }) => session.global.julia.is_empty(),
        Err(_) => false,
    };
    if lacks_julia {
        let wanted = machine(None, request)?;
        if let Some(found) = in_store(julias(&index, &wanted).iter().rev(), session).await? {
            local_julia = Some(found);
            chosen = install::choose_image(&index, &machine(local_julia.as_ref(), request)?);
        }
    }
    // Or one can be downloaded: the newest that there is an image for.
    let lacking = match &chosen {
        Ok((image, _)) if local_julia.is_none() => Some(image.receipt.julia.version.to_string()),
        Err(InstallError::NoFit { versions, .. }) if session.global.julia.is_empty() => {
            versions.last().cloned()
        }
        _ => None,
    };
    if let Some(version) = lacking
        && let Some(got) = offer(&version, request.yes, session).await?
    {
        local_julia = Some(got);
        chosen = install::choose_image(&index, &machine(local_julia.as_ref(), request)?);
    }
    let (image, choice) = chosen?;
    if !request.allow_downgrade {
        images.refuse_older(&request.source, image, &index.tag, !request.keys.is_empty())?;
    }
    for (other, misfit) in &choice.others {
        session
            .terminal
            .say(&format!("  not {}: it {misfit}", other.build_id()));
    }
    session
        .terminal
        .say(&format!("  {} fits", image.build_id()));
    let Some(local_julia) = local_julia else {
        let version = image.receipt.julia.version.to_string();
        return Err(InstallError::NoJulia(version).into());
    };
    let attested = place.attested(image, request.attested).await?;
    match &attested {
        Attested::By(signer) => session.terminal.say(&format!("  attested by {signer}")),
        Attested::Unknown(why) => session.terminal.say(&format!(
            "  it is not known who attests this release: {why}"
        )),
        Attested::No => {}
    }
    let surroundings = surroundings(session, &request.keys);
    let julia = &local_julia.facts;
    let mut installed =
        install::install(&place, &index, image, julia, images, &surroundings).await?;
    if request.attested && !installed.attested {
        installed.attested = true;
        images.note(&installed)?;
    }
    Ok(installed)
}

/// Whether the apps of a release are installed and not an image: where they were asked for, by `--bin` or
/// by name; where the release has nothing else for this platform; and where there is no Julia.
async fn is_app(
    index: &ReleaseIndex,
    request: &InstallRequest<'_>,
    session: &Session,
) -> Result<bool, Failure> {
    if let Some(kind) = request.kind {
        return Ok(kind == Kind::App);
    }
    let kinds = kinds(index, Session::host()?, request.name);
    if !kinds.contains(&Kind::App) {
        return Ok(false);
    }
    let images = kinds.contains(&Kind::Image);
    Ok(!images || (session.global.julia.is_empty() && local_julia(None, session).await?.is_none()))
}

/// Chooses and installs the apps of a release.
async fn one_app(
    place: &OpenRelease,
    index: &ReleaseIndex,
    request: &InstallRequest<'_>,
    images: &Images,
    session: &Session,
) -> Result<Installed, Failure> {
    let machine = Machine {
        kind: Kind::App,
        ..machine(None, request)?
    };
    let (image, _) = install::choose_image(index, &machine)?;
    if !request.allow_downgrade {
        images.refuse_older(&request.source, image, &index.tag, !request.keys.is_empty())?;
    }
    session
        .terminal
        .say(&format!("  {} fits", image.build_id()));
    if let Attested::By(signer) = place.attested(image, request.attested).await? {
        session.terminal.say(&format!("  attested by {signer}"));
    }
    let surroundings = surroundings(session, &request.keys);
    let mut installed =
        install::app::install_app(place, index, image, images, &surroundings).await?;
    if request.attested && !installed.attested {
        installed.attested = true;
        images.note(&installed)?;
    }
    Ok(installed)
}

/// Links the apps into a folder of the search path, and prints their paths.
fn finish_app(
    mut installed: Installed,
    activation: &Activation,
    images: &Images,
    session: &Session,
) -> Outcome {
    if let Some(option) = activation.of_images() {
        return Err(InstallError::ForImages(option).into());
    }
    let bin = match &activation.bin {
        Some(bin) => absolute(bin),
        None => {
            let home = session
                .engine
                .location
                .home
                .as_ref()
                .ok_or(CliError::NoHomeForApps)?;
            home.join(".local").join("bin")
        }
    };
    let links = install::app::link_apps(&mut installed, &bin)?;
    images.note(&installed)?;
    let path = session.engine.environment.get("PATH").unwrap_or_default();
    if !std::env::split_paths(path).any(|folder| folder == bin) {
        session.engine.reporter.note(format!(
            "{} is not on the search path: add it to PATH, or name another folder with `--bin DIR`",
            bin.display()
        ));
    }
    if session.global.json {
        session.terminal.json(&installed);
    } else {
        for link in &links {
            session.terminal.data(&link.display().to_string());
        }
    }
    Ok(())
}

/// Installs an image that was just published into a folder that is thrown away: it must come back
/// as it went, and load. Where this machine has no Julia that an image is for, digests must do.
pub(crate) async fn try_once(source: Source, session: &Session) -> Outcome {
    let request = InstallRequest {
        source,
        name: None,
        kind: None,
        julia: None,
        keys: Vec::new(),
        signed_for: SignedFor::Asked,
        allow_downgrade: true,
        attested: false,
        yes: false,
        patience: None,
    };
    let reach = source_options(session, false)?;
    let (place, index) = just_published(&request.source, &reach).await?;
    let fits = |local_julia: &LocalJulia| {
        let machine = machine(Some(local_julia), &request).ok()?;
        let (image, _) = install::choose_image(&index, &machine).ok()?;
        Some(image)
    };
    let given = local_julia(None, session).await.ok().flatten();
    let given = given.filter(|given| fits(given).is_some());
    let local_julia = match given {
        Some(given) => Some(given),
        None => {
            let wanted = machine(None, &request)?;
            in_store(julias(&index, &wanted).iter().rev(), session).await?
        }
    };
    let chosen =
        local_julia.and_then(|local_julia| fits(&local_julia).map(|image| (image, local_julia)));
    let Some((image, local_julia)) = chosen else {
        session.terminal.say(
            "  no image was loaded after publishing: this machine has no Julia that one is for",
        );
        return Ok(());
    };
    let folder = tempfile::tempdir().map_err(CliError::Temporary)?;
    let images = Images::open(folder.path());
    let surroundings = surroundings(session, &[]);
    install::install(
        &place,
        &index,
        image,
        &local_julia.facts,
        &images,
        &surroundings,
    )
    .await?;
    session
        .terminal
        .say(&format!("  {} came back and loads", image.build_id()));
    Ok(())
}

/// Opens a release that is public since a moment: GitHub may take some more to show it.
async fn just_published(
    source: &Source,
    reach: &SourceOptions,
) -> Result<(OpenRelease, ReleaseIndex), InstallError> {
    let end = tokio::time::Instant::now() + reach.timing.lag;
    loop {
        let opened = async {
            let place = OpenRelease::open(source, reach).await?;
            let (index, _) = place.index(&[]).await?;
            Ok::<_, InstallError>((place, index))
        };
        match opened.await {
            Err(InstallError::NoRelease(_)) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(reach.timing.backoff).await;
            }
            opened => return opened,
        }
    }
}

/// This machine, as far as it decides which image fits.
fn machine(
    local_julia: Option<&LocalJulia>,
    request: &InstallRequest<'_>,
) -> Result<Machine, Failure> {
    let facts = local_julia.map(|local_julia| &local_julia.facts);
    Ok(Machine {
        triplet: Session::host()?,
        cpu: Cpu {
            name: facts.map(|facts| facts.cpu_name.clone()),
            level: cpu_level(),
        },
        julia: facts.map(JuliaFacts::build),
        name: request.name.map(str::to_owned),
        kind: request.kind.unwrap_or_default(),
    })
}

pub(crate) fn surroundings<'a>(session: &'a Session, keys: &'a [PublicKey]) -> Surroundings<'a> {
    Surroundings {
        keys,
        environment: &session.engine.environment,
        children: &session.engine.children,
        reporter: &session.engine.reporter,
    }
}

/// What was installed, for `--json`.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(flatten)]
    image: &'a Installed,
    command: String,
}

/// The files that were asked for, each with what it is for.
fn integrations(
    image: &Installed,
    activation: &Activation,
    session: &Session,
) -> Result<Vec<(Integration, PathBuf)>, Failure> {
    let named = [
        (Integration::Pluto, &activation.pluto),
        (Integration::Python, &activation.python),
        (Integration::Module, &activation.module),
        (Integration::Oci, &activation.oci),
    ];
    let named = named.into_iter();
    let named =
        named.filter_map(|(integration, path)| Some((integration, absolute(path.as_ref()?))));
    let mut all: Vec<_> = named.collect();
    if let Some(folder) = &activation.vscode {
        let path = absolute(folder).join(".vscode/settings.json");
        all.push((Integration::VsCode, path));
    }
    if activation.jupyter {
        let folder = jupyter_folder(session).ok_or(EngineError::NoHome)?;
        let kernel = format!("kernels/sysforge-{}/kernel.json", image.name.to_lowercase());
        all.push((Integration::Jupyter, folder.join(kernel)));
    }
    Ok(all)
}

/// Where Jupyter looks for a user's kernels.
fn jupyter_folder(session: &Session) -> Option<PathBuf> {
    let variable = |name| {
        let value = session.variables.get(name)?;
        (!value.is_empty()).then(|| PathBuf::from(value))
    };
    if let Some(folder) = variable("JUPYTER_DATA_DIR") {
        return Some(folder);
    }
    let home = || session.engine.location.home.clone();
    if cfg!(windows) {
        variable("APPDATA").map(|folder| folder.join("jupyter"))
    } else if cfg!(target_os = "macos") {
        home().map(|home| home.join("Library/Jupyter"))
    } else {
        let data = variable("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")));
        data.map(|folder| folder.join("jupyter"))
    }
}

/// Makes the image easy to use, as asked, and says how.
async fn finish(
    mut installed: Installed,
    activation: &Activation,
    images: &Images,
    session: &Session,
) -> Outcome {
    if let Some(path) = &activation.launcher {
        activate::write_launcher(&mut installed, path)?;
        images.note(&installed)?;
    }
    if let Some(channel) = &activation.juliaup {
        link(&mut installed, channel, images, session).await?;
        images.note(&installed)?;
    }
    for (integration, path) in integrations(&installed, activation, session)? {
        let written = integrate::write(&mut installed, integration, &path)?;
        images.note(&installed)?;
        session
            .terminal
            .say(&format!("wrote {}", written.display()));
    }
    let lists = UserLists::of(&session.engine.environment);
    if session.global.json {
        let command = activate::command(&installed, &lists);
        session.terminal.json(&Report {
            image: &installed,
            command,
        });
        return Ok(());
    }
    if !activation.env {
        session.terminal.say("start Julia with it:");
    }
    if activation.env {
        session
            .terminal
            .data(&activate::environment(&installed, &lists)?);
    } else if let Some(path) = &activation.launcher {
        session.terminal.data(&path.display().to_string());
    } else if let Some(channel) = &activation.juliaup {
        session.terminal.data(&format!("julia +{channel}"));
    } else {
        session
            .terminal
            .data(&activate::command(&installed, &lists));
    }
    Ok(())
}
