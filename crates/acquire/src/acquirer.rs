//! The way in: one value that knows the store, the mirror and the network, and gets Julias.

use std::path::PathBuf;
use std::sync::Arc;

use sysforge_plan::catalogue::Choice;
use sysforge_plan::{Catalogue, JuliaVersion, Reporter, Sha256, Triplet};
use tokio::sync::OnceCell;

use crate::catalogue;
use crate::error::Error;
use crate::fetch::Fetcher;
use crate::install::{Wanted, install};
use crate::mirror::Mirror;
use crate::network::Network;
use crate::pipeline::Expected;
use crate::store::{EntryId, Lease, Store};
use crate::unpack::Links;

/// Gets Julias.
#[derive(Debug, Clone)]
pub struct Acquirer {
    store: Store,
    mirror: Mirror,
    network: Arc<Network>,
    reporter: Reporter,
    fetcher: Arc<OnceCell<Fetcher>>,
}

/// A Julia on this machine, ready to run, and kept from `prune` while this value lives.
#[derive(Debug)]
pub struct InstalledJulia {
    /// The folder that it lies in.
    pub prefix: PathBuf,
    /// The program.
    pub executable: PathBuf,
    /// Its version, where that is known without asking it.
    pub version: Option<JuliaVersion>,
    /// Its platform.
    pub triplet: Triplet,
    /// The digest of the archive that it came from.
    pub sha256: Option<Sha256>,
    /// Whether it was there before.
    pub reused: bool,
    /// Holds it in the store.
    pub lease: Lease,
}

impl Acquirer {
    /// An acquirer. Nothing is touched until something is asked of it.
    #[must_use]
    pub fn new(store: Store, mirror: Mirror, network: Network, reporter: Reporter) -> Self {
        Self {
            store,
            mirror,
            network: Arc::new(network),
            reporter,
            fetcher: Arc::new(OnceCell::new()),
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The mirror's catalogue.
    ///
    /// # Errors
    ///
    /// If it can neither be fetched nor taken from the store.
    pub async fn catalogue(&self) -> Result<Catalogue, Error> {
        catalogue::fetch(
            &self.store,
            async || self.fetcher().await,
            self.network.offline,
            &self.reporter,
            &self.mirror.catalogue(),
        )
        .await
    }

    /// Installs the chosen Julia, or finds it installed.
    ///
    /// # Errors
    ///
    /// If it cannot be fetched, is not what the catalogue says, or cannot be unpacked or kept.
    /// Nothing is left behind then, except what a later attempt can go on from.
    pub async fn julia(&self, choice: &Choice) -> Result<InstalledJulia, Error> {
        let file = &choice.file;
        let wanted = Wanted {
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
            must_have: Some(executable(file.triplet)),
        };
        let installed = install(
            &self.store,
            async || self.fetcher().await,
            &self.reporter,
            &wanted,
        )
        .await?;
        let prefix = installed.entry.prefix().to_owned();
        Ok(InstalledJulia {
            executable: prefix.join(executable(file.triplet)),
            prefix,
            version: Some(choice.version.clone()),
            triplet: file.triplet,
            sha256: Some(file.sha256),
            reused: installed.reused,
            lease: installed.entry.into_lease(),
        })
    }

    /// The network, set up when it is first needed: reading certificates takes time.
    async fn fetcher(&self) -> Result<Fetcher, Error> {
        let fetcher = self
            .fetcher
            .get_or_try_init(|| async {
                Ok::<_, Error>(Fetcher {
                    client: self.network.client()?,
                    network: Arc::clone(&self.network),
                })
            })
            .await?;
        Ok(fetcher.clone())
    }
}

/// Where the program lies below a Julia's prefix.
fn executable(triplet: Triplet) -> String {
    format!("bin/julia{}", triplet.os().conventions().exe_suffix)
}
