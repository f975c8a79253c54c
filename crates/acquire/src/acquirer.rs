//! The crate's main entry point: [`Acquirer`] combines the store, the mirror and the network.

mod nightly;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use sysforge_plan::catalogue::{Choice, pick};
use sysforge_plan::signing::SignatureCheck;
use sysforge_plan::toolchain::Published;
use sysforge_plan::{Catalogue, JuliaVersion, Reporter, Request, Sha256, Triplet};
use tokio::sync::OnceCell;

use crate::catalogue;
use crate::error::Error;
use crate::install::{Installed, Wanted, install};
use crate::mirror::{Location, Mirror};
use crate::pipeline::Expected;
use crate::signature::Signatures;
use crate::store::{EntryId, Lease, Lookup, Store};
use crate::tool_cache::{ToolCache, executable};
use sysforge_archive::Links;
use sysforge_net::{Fetcher, Network};

/// Finds or installs Julias and toolchains.
#[derive(Debug, Clone)]
pub struct Acquirer {
    store: Store,
    mirror: Mirror,
    network: Arc<Network>,
    reporter: Reporter,
    signatures: Arc<Signatures>,
    fallback: Option<Store>,
    tool_cache: Option<ToolCache>,
    toolchains: Option<PathBuf>,
    add_to_tool_cache: bool,
    fetcher: Arc<OnceCell<Fetcher>>,
}

/// An installed Julia. `prune` does not remove it while this value lives.
#[derive(Debug)]
pub struct InstalledJulia {
    /// The folder that contains it.
    pub prefix: PathBuf,
    /// The path of its executable.
    pub executable: PathBuf,
    /// Its version, if known without running it.
    pub version: Option<JuliaVersion>,
    /// Its platform.
    pub triplet: Triplet,
    /// The digest of the archive that it was installed from.
    pub sha256: Option<Sha256>,
    /// The address of that archive, without credentials.
    pub source: Option<String>,
    /// The result of checking the archive's signature.
    pub signature: SignatureCheck,
    /// Whether it was already installed.
    pub reused: bool,
    /// Protects it from `prune`.
    pub lease: Lease,
}

/// An installed C toolchain. `prune` does not remove it while this value lives.
#[derive(Debug)]
pub struct InstalledToolchain {
    /// The folder that contains it.
    pub prefix: PathBuf,
    /// Its C compiler.
    pub compiler: PathBuf,
    /// Whether it was already installed.
    pub reused: bool,
    /// Protects it from `prune`.
    pub lease: Lease,
}

impl InstalledToolchain {
    fn of(installed: Installed, published: &Published) -> Self {
        let prefix = installed.entry.prefix().to_owned();
        Self {
            compiler: prefix.join(published.compiler),
            prefix,
            reused: installed.reused,
            lease: installed.entry.into_lease(),
        }
    }
}

impl InstalledJulia {
    fn of(installed: Installed, triplet: Triplet) -> Self {
        let Installed { entry, reused } = installed;
        let prefix = entry.prefix().to_owned();
        let record = entry.record();
        Self {
            executable: prefix.join(executable(triplet)),
            prefix,
            version: record.version.clone(),
            triplet,
            sha256: Some(record.sha256),
            source: Some(record.source.clone()),
            signature: record.signature.clone(),
            reused,
            lease: entry.into_lease(),
        }
    }
}

impl Acquirer {
    /// Creates an acquirer. It does not access the disk or the network until it is used.
    pub fn new(store: Store, mirror: Mirror, network: Network, reporter: Reporter) -> Self {
        Self {
            store,
            mirror,
            network: Arc::new(network),
            reporter,
            signatures: Arc::default(),
            fallback: None,
            tool_cache: None,
            toolchains: None,
            add_to_tool_cache: false,
            fetcher: Arc::new(OnceCell::new()),
        }
    }

    /// Sets the rules for signatures.
    #[must_use]
    pub fn with_signatures(mut self, signatures: Signatures) -> Self {
        self.signatures = Arc::new(signatures);
        self
    }

    /// Sets a second store, used if the first is not writable.
    #[must_use]
    pub fn with_fallback(mut self, fallback: Store) -> Self {
        self.fallback = Some(fallback);
        self
    }

    /// Sets a CI runner's tool cache to search first. If `add` is true, installed Julias are copied
    /// into it.
    #[must_use]
    pub fn with_tool_cache(mut self, cache: ToolCache, add: bool) -> Self {
        self.tool_cache = Some(cache);
        self.add_to_tool_cache = add;
        self
    }

    /// Sets a folder that contains the archives of toolchains, under their file names, for machines
    /// without a network.
    #[must_use]
    pub fn with_toolchain_archives(mut self, folder: PathBuf) -> Self {
        self.toolchains = Some(folder);
        self
    }

    /// Returns the store.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Fetches the mirror's catalogue, or reads the cached copy.
    ///
    /// # Errors
    ///
    /// If it can be neither fetched nor read from the store.
    pub async fn catalogue(&self) -> Result<Catalogue, Error> {
        if let (Mirror::Directory(folder), Location::File(catalogue)) =
            (&self.mirror, self.mirror.catalogue())
        {
            let mut needed = [folder, &catalogue].into_iter();
            if let Some(missing) = needed.find(|path| !path.exists()) {
                return Err(Error::NoMirror {
                    missing: missing.clone(),
                    mirror: self.mirror.to_string(),
                });
            }
        }
        catalogue::fetch(
            &self.store,
            async || self.fetcher().await,
            self.network.offline,
            &self.reporter,
            &self.mirror.catalogue(),
        )
        .await
    }

    /// Returns the chosen Julia from the store or the tool cache, and installs it if neither has
    /// it.
    ///
    /// # Errors
    ///
    /// If it cannot be fetched, does not match the catalogue, or cannot be unpacked or stored. A
    /// failed installation leaves only what a later attempt can resume from.
    pub async fn julia(&self, choice: &Choice) -> Result<InstalledJulia, Error> {
        let wanted = self.wanted(choice);
        if let Some(found) = self.in_tool_cache(choice, &wanted) {
            return Ok(found);
        }
        let installed = self.install(&wanted).await?;
        let mut julia = InstalledJulia::of(installed, choice.file.triplet);
        if self.add_to_tool_cache
            && let Some(cache) = &self.tool_cache
        {
            julia.prefix = cache
                .add(&choice.version, julia.triplet, &julia.prefix)
                .map_err(Error::io(
                    "copy a Julia to the tool cache, from",
                    &julia.prefix,
                ))?;
            julia.executable = julia.prefix.join(executable(julia.triplet));
        }
        Ok(julia)
    }

    /// Returns the chosen Julia if it is already installed. Does not use the network.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a store cannot be read. A damaged installation is a warning, not an error.
    pub fn installed(&self, choice: &Choice) -> Result<Option<InstalledJulia>, Error> {
        let wanted = self.wanted(choice);
        if let Some(installed) = self.find(&wanted.id)? {
            return Ok(Some(InstalledJulia::of(installed, choice.file.triplet)));
        }
        Ok(self.in_tool_cache(choice, &wanted))
    }

    /// Returns an installed Julia that satisfies `request`: from the stores or, for an exact
    /// version, from the tool cache. Uses neither a catalogue nor the network. Returns `None` also
    /// if the request does not name a release.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if a store cannot be read. A damaged installation is a warning, not an error.
    pub fn stored(
        &self,
        request: &Request,
        triplet: Triplet,
    ) -> Result<Option<InstalledJulia>, Error> {
        let mut known = Vec::new();
        for store in self.stores() {
            known.extend(store.julias(triplet));
        }
        known.sort_by(|a, b| b.0.cmp(&a.0));
        // A Julia that is damaged, or whose signature is not accepted, is skipped for the next
        // best.
        while let Ok(Some(version)) = pick(request, known.iter().map(|(version, _)| version)) {
            let version = version.clone();
            let (same, others): (Vec<_>, Vec<_>) =
                known.into_iter().partition(|(other, _)| *other == version);
            known = others;
            for (_, id) in same {
                let Some(found) = self.find(&id)? else {
                    continue;
                };
                let signature = &found.entry.record().signature;
                if !self.signatures.required || matches!(signature, SignatureCheck::Good { .. }) {
                    return Ok(Some(InstalledJulia::of(found, triplet)));
                }
            }
        }
        let Request::Exact(version) = request else {
            return Ok(None);
        };
        Ok(self.version_in_tool_cache(version, triplet))
    }

    /// Checks whether the chosen Julia, which is not installed yet, could be fetched.
    ///
    /// # Errors
    ///
    /// If Sysforge is offline, or no store is writable.
    pub fn may_fetch(&self, choice: &Choice) -> Result<(), Error> {
        let wanted = self.wanted(choice);
        if self.network.offline && matches!(wanted.location, Location::Web(_)) {
            return Err(Error::Offline { what: wanted.what });
        }
        let first = self.store.check_writable();
        let Err(source) = first else { return Ok(()) };
        if self
            .fallback
            .as_ref()
            .is_some_and(|s| s.check_writable().is_ok())
        {
            return Ok(());
        }
        Err(Error::ReadOnlyStore {
            path: self.store.root().to_owned(),
            source,
        })
    }

    /// Takes a lease on the store entry that contains `path`, so that `prune` does not remove it.
    /// Used for programs that the user named by their path in the store.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if something else is in place of the lease's file.
    pub fn hold(&self, path: &Path) -> Result<Option<Lease>, Error> {
        let leases = self.stores().map(|store| store.hold(path));
        leases.filter_map(Result::transpose).next().transpose()
    }

    /// Looks for a complete entry. Reports a damaged one as a warning.
    fn find(&self, id: &EntryId) -> Result<Option<Installed>, Error> {
        for store in self.stores() {
            match store.lookup(id)? {
                Lookup::Whole(entry) => return Ok(Some(Installed::found(*entry))),
                Lookup::Damaged(damage) => self.reporter.warn(
                    format!("the store's {id} is damaged ({damage})"),
                    Some("installing it again replaces it".to_owned()),
                ),
                Lookup::Absent => {}
            }
        }
        Ok(None)
    }

    fn stores(&self) -> impl Iterator<Item = &Store> {
        std::iter::once(&self.store).chain(&self.fallback)
    }

    /// Returns a published toolchain, and installs it if necessary. Its digest is pinned.
    ///
    /// # Errors
    ///
    /// If the archive cannot be fetched or unpacked, has another digest or lacks the compiler, or
    /// the store cannot be read or written.
    pub async fn toolchain(&self, published: &Published) -> Result<InstalledToolchain, Error> {
        let wanted = self.wanted_toolchain(published)?;
        let installed = self.install(&wanted).await?;
        Ok(InstalledToolchain::of(installed, published))
    }

    /// Returns a published toolchain if it is already installed. Does not use the network.
    ///
    /// # Errors
    ///
    /// [`Error::ToolchainUrl`] if its URL is not valid; [`Error::Io`] if a store cannot be read.
    pub fn installed_toolchain(
        &self,
        published: &Published,
    ) -> Result<Option<InstalledToolchain>, Error> {
        let wanted = self.wanted_toolchain(published)?;
        let found = self.find(&wanted.id)?;
        Ok(found.map(|installed| InstalledToolchain::of(installed, published)))
    }

    fn wanted_toolchain(&self, published: &Published) -> Result<Wanted, Error> {
        let url = published
            .url
            .parse()
            .map_err(|_| Error::ToolchainUrl { url: published.url })?;
        // Toolchains come from their own servers; a mirror may provide them under their file names.
        let location = match &self.toolchains {
            Some(folder) => Location::File(folder.join(published.file_name())),
            None => self.mirror.locate(&url),
        };
        Ok(Wanted {
            id: EntryId::toolchain(published.name, &published.sha256()),
            what: published.file_name().to_owned(),
            location,
            expected: Some(Expected {
                sha256: published.sha256(),
                size: None,
            }),
            format: published.format,
            strip: published.strip,
            links: Links::default(),
            version: None,
            triplet: Some(published.target()),
            asc: None,
            signatures: None,
            must_have: Some(published.compiler.to_owned()),
        })
    }

    fn wanted(&self, choice: &Choice) -> Wanted {
        let file = &choice.file;
        Wanted {
            id: EntryId::julia(&choice.version, file.triplet, &file.sha256),
            what: file.name().to_owned(),
            location: self.mirror.locate(&file.url),
            expected: Some(Expected {
                sha256: file.sha256,
                size: Some(file.size),
            }),
            format: file.format,
            strip: 1,
            links: Links::default(),
            version: Some(choice.version.clone()),
            triplet: Some(file.triplet),
            asc: file.asc.clone(),
            signatures: Some(Arc::clone(&self.signatures)),
            must_have: Some(executable(file.triplet)),
        }
    }

    /// Installs into the store, or into the fallback store if the first is not writable.
    pub(crate) async fn install(&self, wanted: &Wanted) -> Result<Installed, Error> {
        let fetcher = async || self.fetcher_unless_offline(&wanted.what).await;
        let reporter = &self.reporter;
        match (
            install(&self.store, fetcher, reporter, wanted).await,
            &self.fallback,
        ) {
            (Err(Error::ReadOnlyStore { path, source }), Some(fallback)) => {
                reporter.warn(
                    format!(
                        "the store {} cannot be written to ({source}); using {} instead",
                        path.display(),
                        fallback.root().display()
                    ),
                    Some("choose another store with `--store DIR`".to_owned()),
                );
                install(fallback, fetcher, reporter, wanted).await
            }
            (outcome, _) => outcome,
        }
    }

    /// Looks in the runner's tool cache. The origin of its contents is unknown, so it is not used
    /// when a signature is required.
    fn in_tool_cache(&self, choice: &Choice, wanted: &Wanted) -> Option<InstalledJulia> {
        if self.signatures.required || self.store.has(&wanted.id) {
            return None;
        }
        self.version_in_tool_cache(&choice.version, choice.file.triplet)
    }

    fn version_in_tool_cache(
        &self,
        version: &JuliaVersion,
        triplet: Triplet,
    ) -> Option<InstalledJulia> {
        let cache = self.tool_cache.as_ref()?;
        if self.signatures.required {
            return None;
        }
        let prefix = cache.find(version, triplet)?;
        Some(InstalledJulia {
            executable: prefix.join(executable(triplet)),
            prefix,
            version: Some(version.clone()),
            triplet,
            sha256: None,
            source: None,
            signature: SignatureCheck::NotChecked {
                reason: "it was found in the runner's tool cache".to_owned(),
            },
            reused: true,
            lease: Lease::none(),
        })
    }

    /// Returns the HTTP client, or an error if Sysforge is offline.
    async fn fetcher_unless_offline(&self, what: &str) -> Result<Fetcher, Error> {
        if self.network.offline {
            return Err(Error::Offline {
                what: what.to_owned(),
            });
        }
        self.fetcher().await
    }

    /// Creates the HTTP client on first use: reading certificates takes time.
    async fn fetcher(&self) -> Result<Fetcher, Error> {
        let fetcher = self
            .fetcher
            .get_or_try_init(|| async {
                Ok::<_, Error>(Fetcher {
                    client: self.network.client()?,
                    network: Arc::clone(&self.network),
                    reporter: self.reporter.clone(),
                })
            })
            .await?;
        Ok(fetcher.clone())
    }
}

#[cfg(test)]
mod tests;
