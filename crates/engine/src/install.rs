//! Installing from releases: choosing the image for this machine and its Julia, and activating it.

mod activation;
mod local_julia;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sysforge_build::link::which;
use sysforge_bundle::check;
use sysforge_files::read_named_by_user;
use sysforge_plan::explain::causes;
use sysforge_plan::release::choose::{Kind, Machine, julias, kinds};
use sysforge_plan::release::cpu::Cpu;
use sysforge_plan::release::{ReleaseImage, ReleaseIndex};
use sysforge_plan::{JuliaFacts, Reporter, Step};
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::{
    self, Attested, Images, InstallError, Installation, Installed, OpenRelease, Signed, SignedFor,
    Source, Surroundings, activate, integrate,
};
use sysforge_publish::signing::{Identity, PublicKey, SigningError};

use crate::cpu::cpu_level;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::{absolute, require_listable_folder, temporary_folder};
use local_julia::LocalJulia;

pub use activation::{Activated, Activation};

/// Asks the user a question and returns `true` for yes. It may wait for an answer.
pub type Confirm = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Installs images and apps.
pub struct Installer<'a> {
    /// Finds Julias, and starts children.
    pub engine: &'a Engine,
    /// The images that are installed.
    pub images: Images,
    /// How releases are read.
    pub options: SourceOptions,
    /// Requests for the Julia to install for; if empty, the one on the search path is used.
    pub julias: &'a [String],
    /// Called before a Julia is downloaded that the user did not name.
    pub confirm: Confirm,
}

/// What is to be installed.
#[derive(Debug)]
pub struct InstallRequest {
    /// The release.
    pub source: Source,
    /// The name of the image, if the release has several.
    pub name: Option<String>,
    /// Whether it is an image or an app, if that is known.
    pub kind: Option<Kind>,
    /// The executable of the Julia to install for, if that is known.
    pub julia: Option<PathBuf>,
    /// The publisher's keys.
    pub keys: Vec<PublicKey>,
    /// The repository or site that the signature must name.
    pub signed_for: SignedFor,
    /// Whether to accept an older release than the installed one.
    pub allow_downgrade: bool,
    /// Whether an attestation is required.
    pub attested: bool,
    /// Maximum time for the host to return its index; `None` for that of downloads.
    pub patience: Option<Duration>,
}

impl InstallRequest {
    /// A request for whatever fits in a release, without keys.
    pub fn new(source: Source) -> Self {
        // An upgrade may run in another folder.
        let source = match source {
            Source::Folder { path, tag } => Source::Folder {
                path: absolute(&path),
                tag,
            },
            source => source,
        };
        Self {
            source,
            name: None,
            kind: None,
            julia: None,
            keys: Vec::new(),
            signed_for: SignedFor::Asked,
            allow_downgrade: true,
            attested: false,
            patience: None,
        }
    }
}

/// Starts the Julia of an installed C library once, and removes the library from the store if that
/// fails.
pub(crate) async fn start_library(
    engine: &Engine,
    installed: &Installed,
    images: &Images,
) -> Result<(), Failure> {
    let Some(name) = &installed.library else {
        return Ok(());
    };
    let task = engine.reporter.start(Step::Check, "start it once");
    let (environment, children) = (&engine.environment, &engine.children);
    let started = check::start_library(&installed.image, name, environment, children, &task).await;
    if let Err(error) = started {
        images.remove(installed)?;
        return Err(error.into());
    }
    task.done("it starts");
    Ok(())
}

/// How long an upgrade waits for a host, which the user did not name in this command.
const UPGRADE_PATIENCE: Duration = Duration::from_secs(15);

impl Installer<'_> {
    /// Chooses and installs an image, the apps, or the C library of a release.
    ///
    /// # Errors
    ///
    /// If the path of the store cannot be in Julia's lists of folders, the release cannot be read or is
    /// not trusted, nothing in it fits, or it does not load.
    pub async fn install(&self, request: &InstallRequest) -> Result<Installed, Failure> {
        require_listable_folder(self.engine.store_path()?)?;
        let (release, index, signed) = self.open(request).await?;
        let reporter = &self.engine.reporter;
        match signed {
            Signed::By(key, identity) => {
                reporter.note(format!("signed by the key {key} for {identity}"));
            }
            Signed::Unverified => reporter.note(
                "the release is signed; `--verify-key KEY`, with a key that you have from its \
                 maker, would verify that",
            ),
            Signed::No => {}
        }
        let (image, local_julia) = match self.kind(&index, request).await? {
            Kind::Image => {
                let (image, local_julia) = self.choose(&index, request).await?;
                (image, Some(local_julia))
            }
            kind => {
                let machine = machine(None, request.name.clone(), kind)?;
                (install::choose_image(&index, &machine)?.0, None)
            }
        };
        if !request.allow_downgrade {
            let signed = !request.keys.is_empty();
            let (source, tag) = (&request.source, &index.tag);
            self.images.refuse_older(source, image, tag, signed)?;
        }
        reporter.note(format!("{} fits", image.build_id()));
        match release.attested(image, request.attested).await? {
            Attested::By(signer) => reporter.note(format!("attested by {signer}")),
            Attested::Unknown(why) => {
                reporter.note(format!("it is not known who attests this release: {why}"));
            }
            Attested::No => {}
        }
        let installation = Installation {
            release: &release,
            index: &index,
            image,
            julia: local_julia.as_ref().map(|julia| &julia.facts),
            images: &self.images,
            surroundings: &self.engine.surroundings(&request.keys),
        };
        let mut installed = installation.run().await?;
        start_library(self.engine, &installed, &self.images).await?;
        // Upgrades must be attested, too.
        if request.attested && !installed.attested {
            installed.attested = true;
            self.images.note(&installed)?;
        }
        Ok(installed)
    }

    /// Opens the release of a request, and verifies its index.
    async fn open(
        &self,
        request: &InstallRequest,
    ) -> Result<(OpenRelease, ReleaseIndex, Signed), InstallError> {
        let mut options = self.options.clone();
        options.attestations = has_attestations(&options.github.web);
        let opening = async {
            let release = OpenRelease::open(&request.source, &options).await?;
            let release = release.with_signed_for(request.signed_for.clone());
            let (index, signed) = release.index(&request.keys).await?;
            Ok((release, index, signed))
        };
        let Some(limit) = request.patience else {
            return opening.await;
        };
        let silent = |_| InstallError::Silent {
            source_text: request.source.to_string(),
            limit,
        };
        tokio::time::timeout(limit, opening).await.map_err(silent)?
    }

    /// Chooses the image of a release, and the Julia to load it with: one on this machine, or else
    /// one that is downloaded if the user agrees.
    async fn choose<'a>(
        &self,
        index: &'a ReleaseIndex,
        request: &InstallRequest,
    ) -> Result<(&'a ReleaseImage, LocalJulia), Failure> {
        let choose = |local_julia: Option<&LocalJulia>| {
            let machine = request.machine(local_julia)?;
            Ok::<_, EngineError>(install::choose_image(index, &machine))
        };
        let mut local_julia = self.local_julia(request.julia.as_deref()).await?;
        let mut chosen = choose(local_julia.as_ref())?;
        if chosen.is_err() && request.julia.is_some() && !self.julias.is_empty() {
            // This is an upgrade, for another Julia than before.
            local_julia = self.local_julia(None).await?;
            chosen = choose(local_julia.as_ref())?;
        }
        // If no image fits the Julia found, or there is none, look for a Julia in the store, newest
        // first.
        let lacks_julia = match &chosen {
            Ok(_) => local_julia.is_none(),
            Err(InstallError::NoFit { .. }) => self.julias.is_empty(),
            Err(_) => false,
        };
        if lacks_julia {
            let wanted = request.machine(None)?;
            if let Some(found) = self.in_store(julias(index, &wanted).iter().rev()).await? {
                chosen = choose(Some(&found))?;
                local_julia = Some(found);
            }
        }
        // Else offer to download one: the newest that there is an image for.
        let lacking = match &chosen {
            Ok((image, _)) if local_julia.is_none() => {
                Some(image.receipt.julia.version.to_string())
            }
            Err(InstallError::NoFit { versions, .. }) if self.julias.is_empty() => {
                versions.last().cloned()
            }
            _ => None,
        };
        if let Some(version) = lacking
            && let Some(got) = self.offer(&version).await?
        {
            chosen = choose(Some(&got))?;
            local_julia = Some(got);
        }
        let (image, choice) = chosen?;
        for (other, misfit) in &choice.others {
            let text = format!("not {}: it {misfit}", other.build_id());
            self.engine.reporter.note(text);
        }
        let version = || image.receipt.julia.version.to_string();
        let local_julia = local_julia.ok_or_else(|| InstallError::NoJulia(version()))?;
        Ok((image, local_julia))
    }

    /// Returns the kind to install. Apps if `--bin` or their name is given, if the release has no
    /// image for this platform, or if there is no Julia. The C library if its name is given, or if
    /// the release has nothing else.
    async fn kind(&self, index: &ReleaseIndex, request: &InstallRequest) -> Result<Kind, Failure> {
        if let Some(kind) = request.kind {
            return Ok(kind);
        }
        let kinds = kinds(index, Engine::host()?, request.name.as_deref());
        let has = |kind| kinds.contains(&kind);
        let images = has(Kind::Image);
        if has(Kind::App) {
            let apps =
                !images || (self.julias.is_empty() && self.local_julia(None).await?.is_none());
            return Ok(if apps { Kind::App } else { Kind::Image });
        }
        Ok(match has(Kind::Library) && !images {
            true => Kind::Library,
            false => Kind::Image,
        })
    }

    /// Installs the newest release of the same image, and replaces the old one, including its
    /// launchers, channels and files of other programs. Returns `None` if the old one is the
    /// newest.
    ///
    /// # Errors
    ///
    /// If the new one cannot be installed, or a launcher or another file of the old one was replaced by
    /// something else; then the old one is kept.
    pub async fn upgrade(
        &self,
        old: &Installed,
        allow_downgrade: bool,
    ) -> Result<Option<Installed>, Failure> {
        // Before anything is changed: a file of the user's own is not replaced.
        for launcher in old.launchers.iter().filter(|_| old.kind() == Kind::Image) {
            activate::check_launcher(launcher)?;
        }
        for file in &old.files {
            integrate::check_target(&file.path)?;
        }
        let request = InstallRequest {
            source: old.source.latest(),
            name: Some(old.name.to_string()),
            kind: Some(old.kind()),
            julia: Some(old.julia.clone()).filter(|path| !path.as_os_str().is_empty()),
            // If it was verified once, it is always verified, with the same publisher's keys.
            keys: keys(&old.keys)?,
            signed_for: match &old.signed_for {
                Some(before) => SignedFor::Before(before.clone()),
                // Installed when signatures did not name this yet.
                None => SignedFor::Asked,
            },
            allow_downgrade,
            attested: old.attested,
            patience: Some(UPGRADE_PATIENCE),
        };
        let mut new = self.install(&request).await?;
        if new.sha256 == old.sha256 {
            return Ok(None);
        }
        if !old.apps.is_empty() {
            let folders = old.launchers.iter().filter_map(|link| link.parent());
            for bin in folders.collect::<BTreeSet<_>>() {
                install::app::link_apps(&mut new, bin)?;
            }
        }
        for launcher in old.launchers.iter().filter(|_| old.kind() == Kind::Image) {
            activate::write_launcher(&mut new, launcher)?;
        }
        for file in &old.files {
            integrate::write(&mut new, file.integration, &file.path)?;
        }
        for channel in &old.channels {
            self.link_channel(&mut new, channel).await?;
        }
        self.images.note(&new)?;
        // On Windows, a running Julia locks the old image: the next upgrade removes it.
        if let Err(error) = self.images.remove(old) {
            let causes = causes(&error).join(": ");
            self.engine.reporter.warn(
                format!(
                    "the old image, {} {}, was kept: {error}: {causes}",
                    old.build_id, old.tag
                ),
                Some("end the Julias that run with it, and upgrade again".to_owned()),
            );
        }
        Ok(Some(new))
    }

    /// Returns the installed images, and warns of folders among them that are ignored.
    ///
    /// # Errors
    ///
    /// If the folder of the installed images cannot be read.
    pub fn list(&self) -> Result<Vec<Installed>, Failure> {
        warn_of_unusable(&self.images, &self.engine.reporter)?;
        Ok(self.images.list()?)
    }

    /// Upgrades the installed images that `name` matches, or all of them, and returns the images
    /// that are now installed. If one upgrade fails, the others continue.
    ///
    /// # Errors
    ///
    /// The last failure, after all upgrades.
    pub async fn upgrade_all(
        &self,
        name: Option<&str>,
        allow_downgrade: bool,
    ) -> Result<Vec<Installed>, Failure> {
        self.images.finish_removals("");
        let all = match name {
            Some(name) => self.images.named(name)?,
            None => self.images.list()?,
        };
        let reporter = &self.engine.reporter;
        if name.is_none() {
            warn_of_unusable(&self.images, reporter)?;
        }
        let (mut now, mut failed) = (Vec::new(), None::<Failure>);
        let mut silent = BTreeSet::new();
        for old in &all {
            let (build_id, tag) = (&old.build_id, &old.tag);
            let source = old.source.latest().to_string();
            if silent.contains(&source) {
                reporter.note(format!(
                    "{build_id} stays as it is: {source} does not answer"
                ));
                continue;
            }
            match self.upgrade(old, allow_downgrade).await {
                Ok(Some(new)) => {
                    reporter.note(format!("{build_id} {tag} → {}", new.tag));
                    now.push(new);
                }
                Ok(None) => {
                    reporter.note(format!("{build_id} {tag} is the newest"));
                    now.push(old.clone());
                }
                Err(failure) => {
                    let error: &(dyn std::error::Error + 'static) = failure.0.as_ref();
                    if let Some(InstallError::Silent { .. }) = error.downcast_ref() {
                        silent.insert(source);
                    }
                    if all.len() > 1 {
                        reporter.note(format!("{build_id} stays as it is: {failure}"));
                    }
                    failed = Some(failure);
                }
            }
        }
        match failed {
            Some(failure) => Err(failure),
            None => Ok(now),
        }
    }

    /// Removes the installed images that `name` matches, and returns them. Also finishes a removal
    /// that was interrupted after the image disappeared from the list.
    ///
    /// # Errors
    ///
    /// If there is no such image, or one cannot be removed.
    pub async fn remove_named(&self, name: &str) -> Result<Vec<Installed>, Failure> {
        let reporter = &self.engine.reporter;
        let mut removed = self.images.finish_removals(name);
        let unusable = self.images.remove_unusable(name)?;
        for image in &unusable {
            reporter.note(format!(
                "removed {}; launchers that start it are left, because nothing tells which they are",
                image.folder.display()
            ));
        }
        let named = match self.images.named(name) {
            Err(_) if !removed.is_empty() || !unusable.is_empty() => Vec::new(),
            named => named?,
        };
        for installed in &removed {
            reporter.note(format!("removed what was left of {}", installed.build_id));
        }
        for installed in &named {
            self.remove(installed).await?;
            reporter.note(format!("removed {}", installed.build_id));
        }
        removed.extend(named);
        Ok(removed)
    }

    /// Installs an image that was just published into a temporary folder: its bytes must be those
    /// that were uploaded, and it must load. Does nothing if this machine has no Julia that an
    /// image is for.
    ///
    /// # Errors
    ///
    /// If the release cannot be read, a Julia of the store cannot be queried, no temporary folder
    /// can be created, or the image differs from its index or does not load.
    pub async fn try_published(&self, source: Source) -> Result<(), Failure> {
        let request = InstallRequest::new(source);
        let (release, index) = just_published(&request.source, &self.options).await?;
        let fits = |local_julia: &LocalJulia| {
            let machine = request.machine(Some(local_julia)).ok()?;
            let (image, _) = install::choose_image(&index, &machine).ok()?;
            Some(image)
        };
        let given = self.local_julia(None).await.ok().flatten();
        let given = given.filter(|given| fits(given).is_some());
        let local_julia = match given {
            Some(given) => Some(given),
            None => {
                let wanted = request.machine(None)?;
                self.in_store(julias(&index, &wanted).iter().rev()).await?
            }
        };
        let chosen = local_julia
            .and_then(|local_julia| fits(&local_julia).map(|image| (image, local_julia)));
        let Some((image, local_julia)) = chosen else {
            self.engine.reporter.note(
                "no image was loaded after publishing: this machine has no Julia that one is for",
            );
            return Ok(());
        };
        let folder = temporary_folder()?;
        let installation = Installation {
            release: &release,
            index: &index,
            image,
            julia: Some(&local_julia.facts),
            images: &Images::open(folder.path()),
            surroundings: &self.engine.surroundings(&[]),
        };
        installation.run().await?;
        let text = format!("{} came back and loads", image.build_id());
        self.engine.reporter.note(text);
        Ok(())
    }

    /// Removes an image. A juliaup channel that cannot be removed is a warning.
    ///
    /// # Errors
    ///
    /// If the image or one of its launchers cannot be removed. On Windows, this is so while a Julia
    /// runs with the image.
    pub async fn remove(&self, image: &Installed) -> Result<(), Failure> {
        let surroundings = self.engine.surroundings(&[]);
        let juliaup = self.juliaup();
        for channel in &image.channels {
            let removed = activate::unlink_channel(image, channel, &juliaup, &surroundings).await;
            if let Err(error) = removed {
                let text = format!("the juliaup channel {channel} stays: {error}");
                let hint = format!("remove it with `juliaup remove {channel}`");
                self.engine.reporter.warn(text, Some(hint));
            }
        }
        Ok(self.images.remove(image)?)
    }

    async fn link_channel(&self, image: &mut Installed, channel: &str) -> Result<(), InstallError> {
        let surroundings = self.engine.surroundings(&[]);
        activate::link_channel(image, channel, &self.juliaup(), &self.images, &surroundings).await
    }

    fn juliaup(&self) -> PathBuf {
        let found = which("juliaup", &self.engine.environment);
        found.unwrap_or_else(|| PathBuf::from("juliaup"))
    }
}

impl Engine {
    /// Returns the surroundings of an installation; signatures are checked with these keys.
    pub fn surroundings<'a>(&'a self, keys: &'a [PublicKey]) -> Surroundings<'a> {
        Surroundings {
            keys,
            environment: &self.environment,
            children: &self.children,
            reporter: &self.reporter,
        }
    }
}

/// Warns of the folders among the installed images that are ignored.
///
/// # Errors
///
/// If the folder of the installed images cannot be read.
pub(crate) fn warn_of_unusable(images: &Images, reporter: &Reporter) -> Result<(), Failure> {
    for image in images.unusable()? {
        reporter.warn(image.to_string(), Some(image.hint()));
    }
    Ok(())
}

/// Returns the rows of a table of installed images, with a heading.
pub fn rows(images: &[Installed]) -> Vec<Vec<String>> {
    let head = ["image", "release", "Julia", "file"].map(str::to_owned);
    let rows = images.iter().map(|image| {
        vec![
            image.build_id.to_string(),
            format!("{} {}", image.source.latest(), image.tag),
            image.built_for.version.to_string(),
            image.image.display().to_string(),
        ]
    });
    std::iter::once(head.to_vec()).chain(rows).collect()
}

/// Parses keys; each text is a key or the path of a file that contains one.
///
/// # Errors
///
/// If a file cannot be read, or a text or the content of a file is not a minisign public key.
pub fn keys(given: &[String]) -> Result<Vec<PublicKey>, Failure> {
    let read = |text: &String| {
        let path = Path::new(text);
        let key = match path.exists() {
            true => {
                let unreadable = |source| SigningError::Unreadable {
                    path: path.to_owned(),
                    source,
                };
                let file = read_named_by_user(path).map_err(unreadable);
                file.and_then(|file| {
                    let key = String::from_utf8_lossy(&file).parse();
                    key.map_err(|_| SigningError::PublicKeyFile(path.to_owned()))
                })
            }
            false => text.parse(),
        };
        key.map_err(|error| InstallError::from(error).into())
    };
    given.iter().map(read).collect()
}

/// Parses the repository or the site URL that a signature must name.
///
/// # Errors
///
/// [`InstallError::Source`] if it is not a source, or is a folder; also if a location in storage is
/// not valid.
pub fn signed_for(text: &str) -> Result<SignedFor, Failure> {
    let (repository, site) = match Source::parse(text, |_| false)? {
        Source::GitHub { repository, .. } => (Some(repository), None),
        Source::Web { base, .. } => (None, Some(base)),
        Source::S3 { location, .. } => {
            let site = location.url().map_err(sysforge_publish::PublishError::from);
            (None, Some(site?))
        }
        Source::Folder { .. } => return Err(InstallError::Source(text.to_owned()).into()),
    };
    Ok(SignedFor::Named(Identity { repository, site }))
}

/// The properties of this machine and its Julia that decide which image fits.
pub(crate) fn machine(
    facts: Option<&JuliaFacts>,
    name: Option<String>,
    kind: Kind,
) -> Result<Machine, EngineError> {
    Ok(Machine {
        triplet: Engine::host()?,
        cpu: Cpu {
            name: facts.map(|facts| facts.cpu_name.clone()),
            level: cpu_level(),
        },
        julia: facts.map(JuliaFacts::build),
        name,
        kind,
    })
}

impl InstallRequest {
    /// The properties of this machine for choosing what was requested.
    fn machine(&self, julia: Option<&LocalJulia>) -> Result<Machine, EngineError> {
        let facts = julia.map(|julia| &julia.facts);
        machine(facts, self.name.clone(), self.kind.unwrap_or_default())
    }
}

/// Whether this is github.com, or this machine, so that tests behave as for users.
fn has_attestations(web: &url::Url) -> bool {
    matches!(
        web.host_str(),
        Some("github.com" | "127.0.0.1" | "localhost")
    )
}

/// Opens a release that was just made public. GitHub may take some time to show it.
async fn just_published(
    source: &Source,
    options: &SourceOptions,
) -> Result<(OpenRelease, ReleaseIndex), InstallError> {
    let end = tokio::time::Instant::now() + options.timing.lag;
    loop {
        let opened = async {
            let release = OpenRelease::open(source, options).await?;
            let (index, _) = release.index(&[]).await?;
            Ok::<_, InstallError>((release, index))
        };
        match opened.await {
            Err(InstallError::NoRelease(_)) if tokio::time::Instant::now() < end => {
                tokio::time::sleep(options.timing.retries.first_delay).await;
            }
            opened => return opened,
        }
    }
}
