//! Downloading a file again, to see that what comes back is what was sent.

use futures_util::StreamExt;
use reqwest::header::{ACCEPT, RANGE};
use sha2::Digest;
use sysforge_plan::{Reporter, Sha256, Step};

use super::GitHub;
use super::failure::{Failure, transport};
use crate::documents::notes::size;
use crate::error::PublishError;
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
        let mut digest = sha2::Sha256::new();
        let mut read = 0;
        let mut attempt = 1;
        loop {
            match self.read_on(id, &mut digest, &mut read, asset.size).await {
                Ok(()) => break,
                Err(failure) if failure.is_passing() && attempt < self.timing.attempts => {
                    self.pause(attempt, &failure)
                        .await
                        .map_err(|failure| self.error(&what, failure))?;
                    attempt += 1;
                }
                Err(failure) => return Err(self.error(&what, failure)),
            }
        }
        let found = Sha256::new(digest.finalize().into());
        if found != asset.sha256 {
            return Err(PublishError::Recheck {
                name: asset.name.clone(),
                what: format!("its digest is {found}, and not {}", asset.sha256),
            });
        }
        task.done(size(asset.size));
        Ok(())
    }

    /// Reads on from where the last attempt stopped.
    async fn read_on(
        &self,
        id: u64,
        digest: &mut sha2::Sha256,
        read: &mut u64,
        total: u64,
    ) -> Result<(), Failure> {
        self.count();
        let address = format!(
            "{}/repos/{}/releases/assets/{id}",
            self.access.api.as_str().trim_end_matches('/'),
            self.access.repository
        );
        let mut request = self
            .with_authorization(self.bytes.get(address))
            .header(ACCEPT, "application/octet-stream");
        if *read > 0 {
            request = request.header(RANGE, format!("bytes={read}-"));
        }
        let stalled = |_| Failure::Stalled(self.timing.stall);
        let limit = self.timing.stall;
        let answer = tokio::time::timeout(limit, request.send())
            .await
            .map_err(stalled)?
            .map_err(transport)?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            let headers = answer.headers().clone();
            let body = answer.bytes().await.map_err(transport)?;
            return Err(Failure::of_answer(status, &headers, &body));
        }
        if status != 206 {
            *digest = sha2::Sha256::new();
            *read = 0;
        }
        let mut stream = answer.bytes_stream();
        while let Some(chunk) = tokio::time::timeout(limit, stream.next())
            .await
            .map_err(stalled)?
        {
            let chunk = chunk.map_err(transport)?;
            digest.update(&chunk);
            *read += chunk.len() as u64;
        }
        if *read < total {
            return Err(Failure::Transport("the download ended early".to_owned()));
        }
        Ok(())
    }
}
