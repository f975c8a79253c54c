//! Downloading files again, to see that what comes back is what was sent; and reading files
//! through the API, which is how those of private repositories are had.

use reqwest::RequestBuilder;
use reqwest::header::ACCEPT;
use sysforge_plan::{Reporter, Step};

use super::GitHub;
use crate::documents::notes::size;
use crate::error::PublishError;
use crate::fetch::{self, Sink};
use crate::shipment::Asset;

impl GitHub {
    /// Downloads the file with this number, and compares it with what was sent.
    pub(super) async fn recheck(
        &self,
        id: u64,
        asset: &Asset,
        reporter: &Reporter,
    ) -> Result<(), PublishError> {
        let what = format!("download {} again", asset.name);
        let task = reporter.start(Step::Download, format!("{} again", asset.name));
        let mut sink = Sink::nothing();
        let request = || self.download(id);
        fetch::read(
            request,
            &mut sink,
            Some(asset.size),
            &self.timing,
            Some(&task),
        )
        .await
        .map_err(|failure| self.error(&what, failure))?;
        let found = sink.sha256();
        if found != asset.sha256 {
            return Err(PublishError::Recheck {
                name: asset.name.clone(),
                what: format!("its digest is {found}, and not {}", asset.sha256),
            });
        }
        task.done(size(asset.size));
        Ok(())
    }

    /// The request for the bytes of a file. The host redirects to a storage service, which is
    /// another host, so that the token does not go there.
    pub(crate) fn download(&self, id: u64) -> RequestBuilder {
        self.count();
        let address = format!(
            "{}/repos/{}/releases/assets/{id}",
            self.access.api.as_str().trim_end_matches('/'),
            self.access.repository
        );
        self.with_authorization(self.bytes.get(address))
            .header(ACCEPT, "application/octet-stream")
    }
}
