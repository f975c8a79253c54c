//! Fetching the catalogue: kept in the store, revalidated by its entity tag, and used as it is
//! when the network is away.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256 as Hasher};
use sysforge_files::{read_regular, write_whole};
use sysforge_net::header::{ETAG, HeaderName, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use sysforge_net::{
    Attempts, Failure, Fetcher, Response, Retries, StatusCode, redacted, retry_after, status_error,
};
use sysforge_plan::text::shortened;
use sysforge_plan::{Catalogue, Reporter, Sha256, Step};
use url::Url;

use crate::error::Error;
use crate::mirror::Location;
use crate::store::Store;

/// More than any catalogue has (1.4 MB in 2026), less than would hurt.
const LONGEST: usize = 64 << 20;

/// The catalogue that is kept of one mirror.
struct Kept {
    json: PathBuf,
    note: PathBuf,
}

#[derive(Serialize, Deserialize, Default)]
struct Note {
    url: String,
    etag: Option<String>,
    last_modified: Option<String>,
}

/// What a server answered.
enum Answer {
    New(Vec<u8>, Note),
    NotModified,
}

/// The catalogue at `location`.
pub(crate) async fn fetch(
    store: &Store,
    fetcher: impl AsyncFn() -> Result<Fetcher, Error>,
    offline: bool,
    reporter: &Reporter,
    location: &Location,
) -> Result<Catalogue, Error> {
    let json = match location {
        Location::File(path) => {
            read_regular(path, LONGEST as u64).map_err(Error::io("read", path))?
        }
        Location::Web(url) => from_web(store, fetcher, offline, reporter, url).await?,
    };
    let catalogue = Catalogue::parse(&json).map_err(|source| Error::Catalogue {
        location: location.to_string(),
        source,
    })?;
    // Files of this machine are named by this machine only.
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
) -> Result<Vec<u8>, Error> {
    let kept = Kept::of(store, url);
    let (old, note) = match kept.read() {
        Some((old, note)) => (Some(old), note),
        None => (None, Note::default()),
    };
    if offline {
        return match old {
            Some(old) => {
                reporter.note(format!(
                    "offline: using the catalogue of {} as it was {}",
                    redacted(url),
                    kept.age()
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
        Ok(fetcher) => ask(&fetcher, url, &note, old.is_some()).await,
        Err(error) => Err(error),
    };
    match (answer, old) {
        (Ok(Answer::New(json, note)), _) => {
            // Not being able to keep it costs the next run some time, no more.
            let _ = kept.write(&json, &note);
            task.done(format!("{} kB", json.len().div_ceil(1000)));
            Ok(json)
        }
        (Ok(Answer::NotModified), Some(old)) => {
            task.reused("not modified");
            let _ = kept.touch();
            Ok(old)
        }
        (Ok(Answer::NotModified), None) => Err(status_error(url, StatusCode::NOT_MODIFIED).into()),
        (Err(error), Some(old)) if error.is_absence() => {
            task.reused("out of reach");
            reporter.warn(
                format!(
                    "{} is out of reach ({error}); using the catalogue as it was {}",
                    redacted(url),
                    kept.age()
                ),
                Some("`--offline` uses it without asking".to_owned()),
            );
            Ok(old)
        }
        (Err(error), _) => Err(error),
    }
}

async fn ask(fetcher: &Fetcher, url: &Url, note: &Note, have_old: bool) -> Result<Answer, Error> {
    let rules = if have_old {
        // There is something to fall back on: do not keep anybody waiting.
        Retries {
            fruitless: 2,
            ..fetcher.network.retries
        }
    } else {
        fetcher.network.retries
    };
    let mut attempts = Attempts::new(&rules, Some(fetcher.reporter.clone()));
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
                    let note = Note {
                        url: redacted(url),
                        etag: header(&response, ETAG),
                        last_modified: header(&response, LAST_MODIFIED),
                    };
                    match fetcher.small_body(response, LONGEST).await {
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

impl Kept {
    fn of(store: &Store, url: &Url) -> Self {
        let digest = Sha256::new(Hasher::digest(redacted(url)).into());
        let folder = store.root().join("catalogue");
        let name = digest.short(16);
        Self {
            json: folder.join(format!("{name}.json")),
            note: folder.join(format!("{name}.note")),
        }
    }

    /// The catalogue, if it can be read as one, and what the server said about it.
    fn read(&self) -> Option<(Vec<u8>, Note)> {
        let json = fs::read(&self.json).ok()?;
        Catalogue::parse(&json).ok()?;
        let note = fs::read(&self.note)
            .ok()
            .and_then(|note| serde_json::from_slice(&note).ok())
            .unwrap_or_default();
        Some((json, note))
    }

    fn write(&self, json: &[u8], note: &Note) -> std::io::Result<()> {
        // The old note goes first: a new catalogue with an old tag would never be renewed.
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
            Some(seconds @ 0..120) => format!("{seconds} seconds ago"),
            Some(seconds @ 120..7200) => format!("{} minutes ago", seconds / 60),
            Some(seconds @ 7200..172_800) => format!("{} hours ago", seconds / 3600),
            Some(seconds) => format!("{} days ago", seconds / 86_400),
            None => "at an unknown time".to_owned(),
        }
    }
}
