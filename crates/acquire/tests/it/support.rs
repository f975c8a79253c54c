//! Support for these tests: a store in its own folder, and recorded events.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sysforge_acquire::{
    Acquirer, Error, InstalledJulia, Mirror, Network, Proxies, Signatures, Store,
};
use sysforge_plan::{Event, Reporter, Request, Triplet};
use sysforge_testkit::tls::PrivateTls;

pub(crate) const LINUX: Triplet = Triplet::X86_64_LINUX_GNU;

/// A store in its own folder, and the events reported while it was used.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) network: Network,
    pub(crate) signatures: Signatures,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut network = Network {
            // Do not use the proxies of this machine.
            proxies: Proxies::Explicit {
                http: None,
                https: None,
                except: None,
            },
            ..Network::default()
        };
        // Do not wait in tests.
        network.retries.first_delay = Duration::from_millis(1);
        network.retries.longest_delay = Duration::from_millis(5);
        Self {
            folder: tempfile::tempdir().unwrap(),
            events: Arc::default(),
            network,
            signatures: Signatures::default(),
        }
    }

    pub(crate) fn store(&self) -> Store {
        Store::open(self.folder.path().join("store"))
    }

    pub(crate) fn reporter(&self) -> Reporter {
        let events = Arc::clone(&self.events);
        Reporter::new(move |event| events.lock().unwrap().push(event))
    }

    pub(crate) fn acquirer(&self, mirror: &str) -> Acquirer {
        self.acquirer_with(self.store(), mirror)
    }

    pub(crate) fn acquirer_with(&self, store: Store, mirror: &str) -> Acquirer {
        let mirror: Mirror = mirror.parse().unwrap();
        Acquirer::new(store, mirror, self.network.clone(), self.reporter())
            .with_signatures(self.signatures.clone())
    }

    pub(crate) async fn install(
        &self,
        mirror: &str,
        request: &str,
    ) -> Result<InstalledJulia, Error> {
        let acquirer = self.acquirer(mirror);
        let request: Request = request.parse().unwrap();
        let choice = acquirer.catalogue().await?.choose(&request, LINUX)?;
        acquirer.julia(&choice).await
    }

    /// Writes a key's certificate to a file and returns its path.
    pub(crate) fn keyring(&self, name: &str, certificate: &str) -> PathBuf {
        let file = self.folder.path().join(name);
        std::fs::write(&file, certificate).unwrap();
        file
    }

    /// Trusts a private certificate authority, like `SSL_CERT_FILE`.
    pub(crate) fn trust(&mut self, tls: &PrivateTls) {
        let file = self.folder.path().join("authority.pem");
        std::fs::write(&file, &tls.authority_pem).unwrap();
        self.network.ca_file = Some(file);
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .filter_map(|event| match event {
                Event::Warning { text, .. } => Some(text.clone()),
                _ => None,
            })
            .collect()
    }

    /// Returns the names in a folder of the store.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        names(&self.store().root().join(folder))
    }

    /// Asserts that there are no entries and no leftovers.
    pub(crate) fn assert_empty(&self) {
        for folder in ["julia", "tmp", "partial"] {
            assert_eq!(self.names_in(folder), Vec::<String>::new(), "{folder}");
        }
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// Returns the network error in an error.
#[track_caller]
pub(crate) fn net(error: &Error) -> &sysforge_net::Error {
    match error {
        Error::Net(error) => error,
        error => panic!("no failure of a request: {error:?}"),
    }
}
