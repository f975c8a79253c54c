//! What every test here needs: a store in a folder of its own, and events kept for questions.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sysforge_acquire::{Acquirer, Error, InstalledJulia, Mirror, Network, Store};
use sysforge_plan::{Event, Reporter, Request, Triplet};

pub(crate) const LINUX: Triplet = Triplet::X86_64_LINUX_GNU;

/// A store in a folder of its own, and what was said while it was used.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    pub(crate) events: Arc<Mutex<Vec<Event>>>,
    pub(crate) network: Network,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let mut network = Network::default();
        // Tests do not wait.
        network.retries.first_delay = Duration::from_millis(1);
        network.retries.longest_delay = Duration::from_millis(5);
        Self {
            folder: tempfile::tempdir().unwrap(),
            events: Arc::default(),
            network,
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
        let mirror: Mirror = mirror.parse().unwrap();
        Acquirer::new(self.store(), mirror, self.network.clone(), self.reporter())
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

    /// What lies in a folder of the store.
    pub(crate) fn names_in(&self, folder: &str) -> Vec<String> {
        names(&self.store().root().join(folder))
    }

    /// There are no entries, and nothing of an attempt is left.
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
