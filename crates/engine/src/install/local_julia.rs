//! The Julia that an image is installed for.

use std::path::Path;
use std::sync::Arc;

use sysforge_acquire::Lease;
use sysforge_plan::{JuliaFacts, JuliaVersion, Request};

use super::Installer;
use crate::engine::Engine;
use crate::failure::Failure;
use crate::julias::stored_or_downloaded;

/// A Julia of this machine. If it is in the store, it is kept from being pruned.
pub(super) struct LocalJulia {
    pub(super) facts: JuliaFacts,
    _lease: Option<Lease>,
}

impl Installer<'_> {
    /// Returns the Julia to install for: the given one; the one that `--julia` names, which is
    /// downloaded if it names a version that is not in the store; or the one on the search path.
    /// `None` if there is none.
    pub(super) async fn local_julia(
        &self,
        given: Option<&Path>,
    ) -> Result<Option<LocalJulia>, Failure> {
        if let Some(executable) = given {
            return match executable.is_file() {
                true => self.local(executable, None).await.map(Some),
                false => Ok(None),
            };
        }
        let request: Request = match self.julias.first() {
            Some(text) => text.parse()?,
            None => Request::System,
        };
        match self.engine.local_julia(&request) {
            Ok(Some(executable)) => self.local(&executable, None).await.map(Some),
            Ok(None) => self.download(&request).await.map(Some),
            // The user did not name a Julia.
            Err(_) if self.julias.is_empty() => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn local(&self, executable: &Path, lease: Option<Lease>) -> Result<LocalJulia, Failure> {
        let facts = self.engine.ask(executable).await?;
        let _lease = lease;
        Ok(LocalJulia { facts, _lease })
    }

    /// Offers to download the Julia that an image is for. Returns `None` if the user declines or
    /// there is none.
    pub(super) async fn offer(&self, version: &str) -> Result<Option<LocalJulia>, Failure> {
        let question =
            format!("The image is for Julia {version}, which is not installed. Download it?");
        let confirm = Arc::clone(&self.confirm);
        let confirmed = tokio::task::spawn_blocking(move || confirm(&question)).await;
        match confirmed.unwrap_or_default() {
            true => self.download(&version.parse()?).await.map(Some),
            false => Ok(None),
        }
    }

    /// Returns the first of these versions that the store has. Downloads nothing.
    pub(super) async fn in_store(
        &self,
        versions: impl IntoIterator<Item = &JuliaVersion>,
    ) -> Result<Option<LocalJulia>, Failure> {
        let (acquirer, host) = (self.engine.acquirer()?, Engine::host()?);
        for version in versions {
            let request = Request::Exact(version.clone());
            if let Some(found) = acquirer.stored(&request, host)? {
                let found = self.local(&found.executable, Some(found.lease));
                return found.await.map(Some);
            }
        }
        Ok(None)
    }

    /// Finds a Julia in the store, or downloads it.
    async fn download(&self, request: &Request) -> Result<LocalJulia, Failure> {
        let acquirer = self.engine.acquirer()?;
        let host = Engine::host()?;
        let found = stored_or_downloaded(request, host, &acquirer, &mut None).await?;
        self.local(&found.executable, Some(found.lease)).await
    }
}
