//! Fetches the catalogue. A copy is cached in the store, revalidated by its entity tag, and used
//! unchanged if the network is not reachable.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sysforge_files::{read_regular, write_whole};
use sysforge_net::header::{ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use sysforge_net::{
    Attempts, Failure, Fetcher, Response, Retries, StatusCode, redacted, retry_after, status_error,
};
use sysforge_plan::text::shortened;
use sysforge_plan::{Catalogue, Reporter, Sha256, Step, units};
use url::Url;

use crate::error::Error;
use crate::mirror::Location;
use crate::store::Store;

/// The maximum size of a catalogue in bytes, far above the real one (1.4 MB in 2026).
const MAX_BYTES: usize = 8 << 20;

/// The cached catalogue of one mirror.
struct CachedCatalogue {
    /// The address on the mirror.
    location: Location,
    json: PathBuf,
    note: PathBuf,
}

#[derive(Serialize, Deserialize, Default)]
struct Validators {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// A server's response to a conditional request.
enum Answer {
    New(Vec<u8>, Validators),
    NotModified,
}

/// Returns the catalogue at `location`.
pub(crate) async fn fetch(
    store: &Store,
    fetcher: impl AsyncFn() -> Result<Fetcher, Error>,
    offline: bool,
    reporter: &Reporter,
    location: &Location,
) -> Result<Catalogue, Error> {
    match location {
        Location::File(path) => {
            let json = read_regular(path, MAX_BYTES as u64).map_err(Error::io("read", path))?;
            parse(&json, location)
        }
        Location::Web(url) => from_web(store, fetcher, offline, reporter, url).await,
    }
}

fn parse(json: &[u8], location: &Location) -> Result<Catalogue, Error> {
    let catalogue = Catalogue::parse(json).map_err(|source| Error::Catalogue {
        location: location.to_string(),
        source,
    })?;
    // Only catalogues of this machine may name files of this machine.
    let mut files = catalogue
        .releases()
        .iter()
        .flat_map(|release| &release.files);
    match files.find(|file| matches!(location, Location::Web(_)) && file.url.scheme() == "file") {
        Some(file) => Err(Error::LocalFile {
            location: location.to_string(),
            url: shortened(file.url.as_str(), 200),
        }),
        None => Ok(catalogue),
    }
}

async fn from_web(
    store: &Store,
    fetcher: impl AsyncFn() -> Result<Fetcher, Error>,
    offline: bool,
    reporter: &Reporter,
    url: &Url,
) -> Result<Catalogue, Error> {
    let cached = CachedCatalogue::of(store, url);
    let (old, note) = match cached.read() {
        Some((old, note)) => (Some(old), note),
        None => (None, Validators::default()),
    };
    if offline {
        return match old {
            Some(old) => {
                reporter.note(format!(
                    "offline: using the catalogue of {} as it was {}",
                    redacted(url),
                    cached.age()
                ));
                Ok(old)
            }
            None => Err(Error::Offline {
                what: format!("the catalogue of {}", redacted(url)),
            }),
        };
    }
    let task = reporter.start(Step::Catalogue, redacted(url));
    let answer = match fetcher().await {
        Ok(fetcher) => request_catalogue(&fetcher, url, &note, old.is_some()).await,
        Err(error) => Err(error),
    };
    match (answer, old) {
        (Ok(Answer::New(json, note)), _) => {
            // A page of a proxy must not replace the catalogue that an offline run needs.
            let catalogue = parse(&json, &cached.location)?;
            // If caching fails, only the next run takes longer.
            let _ = cached.write(&json, &note);
            task.done(format!("{} kB", json.len().div_ceil(1000)));
            Ok(catalogue)
        }
        (Ok(Answer::NotModified), Some(old)) => {
            task.reused("not modified");
            let _ = cached.touch();
            Ok(old)
        }
        (Ok(Answer::NotModified), None) => Err(status_error(url, StatusCode::NOT_MODIFIED).into()),
        (Err(error), Some(old)) if error.is_unreachable() => {
            task.reused("not reachable");
            reporter.warn(
                format!(
                    "{} is not reachable ({error}); using the catalogue as it was {}",
                    redacted(url),
                    cached.age()
                ),
                Some("`--offline` uses it without trying the network".to_owned()),
            );
            Ok(old)
        }
        (Err(error), _) => Err(error),
    }
}

async fn request_catalogue(
    fetcher: &Fetcher,
    url: &Url,
    note: &Validators,
    have_old: bool,
) -> Result<Answer, Error> {
    let rules = if have_old {
        // There is a cached copy to fall back on, so do not wait long.
        Retries {
            without_progress: 2,
            ..fetcher.network.retries
        }
    } else {
        fetcher.network.retries
    };
    let mut attempts = Attempts::new(&rules, fetcher.reporter.clone());
    loop {
        let mut request = fetcher.client.get(url.clone());
        if have_old {
            if let Some(etag) = &note.etag {
                request = request.header(IF_NONE_MATCH, etag);
            } else if let Some(time) = &note.last_modified {
                request = request.header(IF_MODIFIED_SINCE, time);
            }
        }
        let failure = match fetcher.send(url, request).await {
            Ok(response) => match response.status() {
                StatusCode::NOT_MODIFIED if have_old => return Ok(Answer::NotModified),
                StatusCode::OK => {
                    let note = Validators {
                        url: redacted(url),
                        etag: header(&response, ETAG),
                        last_modified: header(&response, LAST_MODIFIED),
                    };
                    match fetcher.small_body(response, MAX_BYTES).await {
                        Ok(json) => return Ok(Answer::New(json, note)),
                        Err(failure) => failure,
                    }
                }
                status => Failure {
                    error: status_error(url, status),
                    retry_after: retry_after(&response),
                },
            },
            Err(failure) => failure,
        };
        attempts.wait_after(failure).await?;
    }
}

fn header(response: &Response, name: HeaderName) -> Option<String> {
    Some(response.headers().get(name)?.to_str().ok()?.to_owned())
}

impl CachedCatalogue {
    fn of(store: &Store, url: &Url) -> Self {
        let digest = Sha256::of(redacted(url));
        let folder = store.root().join("catalogue");
        let name = digest.short(16);
        Self {
            location: Location::Web(url.clone()),
            json: folder.join(format!("{name}.json")),
            note: folder.join(format!("{name}.note")),
        }
    }

    /// Returns the cached catalogue, if it is valid, and its HTTP headers.
    fn read(&self) -> Option<(Catalogue, Validators)> {
        let json = read_regular(&self.json, MAX_BYTES as u64).ok()?;
        let catalogue = parse(&json, &self.location).ok()?;
        let note = sysforge_files::read_bytes(&self.note)
            .ok()
            .and_then(|note| serde_json::from_slice(&note).ok())
            .unwrap_or_default();
        Some((catalogue, note))
    }

    fn write(&self, json: &[u8], note: &Validators) -> std::io::Result<()> {
        // Remove the old headers first: a new catalogue with an old entity tag would never be
        // renewed.
        let _ = fs::remove_file(&self.note);
        write_whole(&self.json, json)?;
        write_whole(&self.note, &serde_json::to_vec(note)?)
    }

    fn touch(&self) -> std::io::Result<()> {
        fs::File::options()
            .write(true)
            .open(&self.json)?
            .set_modified(SystemTime::now())
    }

    fn age(&self) -> String {
        let age = fs::metadata(&self.json)
            .and_then(|metadata| metadata.modified())
            .ok()
            .and_then(|at| at.elapsed().ok());
        match age.map(|age| age.as_secs()) {
            Some(seconds) => format!("{} ago", units::span(seconds)),
            None => "at an unknown time".to_owned(),
        }
    }
}
