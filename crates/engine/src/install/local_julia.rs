//! The Julia that an image is installed for.

use std::path::Path;
use std::sync::Arc;

use sysforge_acquire::Lease;
use sysforge_plan::{JuliaFacts, JuliaVersion, Request};

use super::Installer;
use crate::engine::Engine;
use crate::failure::Failure;

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
            if !executable.is_file() {
                return Ok(None);
            }
            let facts = self.engine.ask(executable).await?;
            return Ok(Some(LocalJulia {
                facts,
                _lease: None,
            }));
        }
        let request: Request = match self.julias.first() {
            Some(text) => text.parse()?,
            None => Request::System,
        };
        let executable = match self.engine.local_julia(&request) {
            Ok(Some(executable)) => executable,
            Ok(None) => return self.download(&request).await.map(Some),
            // The user did not name a Julia.
            Err(_) if self.julias.is_empty() => return Ok(None),
            Err(error) => return Err(error),
        };
        let facts = self.engine.ask(&executable).await?;
        Ok(Some(LocalJulia {
            facts,
            _lease: None,
        }))
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
        for version in versions {
            let request = Request::Exact(version.clone());
            if let Some(found) = self.stored(&request).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    async fn stored(&self, request: &Request) -> Result<Option<LocalJulia>, Failure> {
        let Some(installed) = self.engine.acquirer()?.stored(request, Engine::host()?)? else {
            return Ok(None);
        };
        Ok(Some(LocalJulia {
            facts: self.engine.ask(&installed.executable).await?,
            _lease: Some(installed.lease),
        }))
    }

    /// Finds a Julia in the store, or downloads it.
    async fn download(&self, request: &Request) -> Result<LocalJulia, Failure> {
        if let Some(found) = self.stored(request).await? {
            return Ok(found);
        }
        let acquirer = self.engine.acquirer()?;
        let choice = acquirer
            .catalogue()
            .await?
            .choose(request, Engine::host()?)?;
        let installed = acquirer.julia(&choice).await?;
        Ok(LocalJulia {
            facts: self.engine.ask(&installed.executable).await?,
            _lease: Some(installed.lease),
        })
    }
}
