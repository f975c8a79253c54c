//! Uploads of assets, and the storage service for downloads.

use std::io::Write as _;

use bytes::Bytes;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::header::{
    ACCEPT_RANGES, AUTHORIZATION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue,
    LOCATION, RANGE,
};
use hyper::{Request, Response};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncSeekExt};

use super::answer::{self, Answer, Cut, empty, invalid, message, not_found};
use super::fault::{Fault, Op};
use super::{Shared, render};

/// Receives an asset. A client that disconnects midway leaves a `starter` behind; so do faults that
/// take effect before the end.
pub(super) async fn upload(
    shared: &Shared,
    release: u64,
    query: &[(String, String)],
    request: Request<Incoming>,
    fault: Option<Fault>,
) -> Result<Answer, Cut> {
    let value = |key: &str| {
        query
            .iter()
            .find(|(k, _)| k == key)
            .map(|(_, v)| v.as_str())
    };
    let Some(name) = value("name").filter(|name| !name.is_empty()) else {
        return Ok(invalid("ReleaseAsset", "missing_field", "name", None));
    };
    let name = super::names::stored_name(name);
    let label = value("label").map(str::to_owned);
    let Some(length) = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok())
    else {
        // The front end refuses chunked uploads in plain text.
        let mut refused = empty(400);
        *refused.body_mut() = answer::full("Bad Content-Length");
        return Ok(refused);
    };
    let kind = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|kind| kind.to_str().ok())
        .unwrap_or("application/octet-stream")
        .to_owned();
    let asset = {
        let mut state = shared.state();
        match state.releases.get(&release) {
            None => return Ok(not_found()),
            Some(release) if release.immutable => {
                let text = "Cannot upload assets to an immutable release.";
                return Ok(message(422, text));
            }
            Some(_) => {}
        }
        if length > shared.options.asset_limit {
            let text = format!("size must be less than {}", shared.options.asset_limit);
            return Ok(invalid("ReleaseAsset", "custom", "size", Some(&text)));
        }
        if state.assets_of(release).count() >= shared.options.count_limit {
            let text = "file_count exceeded";
            return Ok(invalid("ReleaseAsset", "custom", "file_count", Some(text)));
        }
        state.begin_asset(release, &name, label.as_deref(), &kind)
    };
    let Some(asset) = asset else {
        // The real one also reads the body first; a client that waits for a response only after
        // sending everything must still receive it.
        drain(request.into_body()).await;
        return Ok(invalid("ReleaseAsset", "already_exists", "name", None));
    };
    let _counted = Counted::new(shared);
    let (size, digest) = receive(shared, asset, request.into_body(), length, fault).await?;
    if matches!(fault, Some(Fault::StatusBefore(_) | Fault::Html)) {
        // It stays a `starter`; the routes create the error response.
        return Ok(empty(500));
    }
    let mut state = shared.state();
    state.finish_asset(asset, size, &digest);
    let rendered = state
        .assets
        .get(&asset)
        .zip(state.releases.get(&release))
        .map(|(asset, release)| render::asset(shared, release, asset));
    Ok(rendered.map_or_else(not_found, |asset| answer::json_answer(201, &asset)))
}

/// Counts concurrent uploads.
struct Counted<'a>(&'a Shared);

impl<'a> Counted<'a> {
    fn new(shared: &'a Shared) -> Self {
        let mut state = shared.state();
        state.uploads += 1;
        state.most_uploads = state.most_uploads.max(state.uploads);
        drop(state);
        Self(shared)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.state().uploads -= 1;
    }
}

async fn drain(mut body: Incoming) {
    while let Some(Ok(_)) = body.frame().await {}
}

async fn receive(
    shared: &Shared,
    asset: u64,
    mut body: Incoming,
    length: u64,
    fault: Option<Fault>,
) -> Result<(u64, String), Cut> {
    let path = shared.bytes_of(asset);
    let mut file = std::fs::File::create(path).map_err(|_| Cut)?;
    let (mut size, mut digest) = (0_u64, Sha256::new());
    loop {
        match fault {
            Some(Fault::Stall(at)) if size >= at.min(length) => std::future::pending().await,
            Some(Fault::Reset(at)) if size >= at.min(length) => return Err(Cut),
            _ => {}
        }
        let Some(frame) = body.frame().await else {
            break;
        };
        let Ok(chunk) = frame.map_err(|_| Cut)?.into_data() else {
            continue;
        };
        let chunk = match fault {
            Some(Fault::Corrupt) if size == 0 => flip_bit(&chunk),
            _ => chunk,
        };
        digest.update(&chunk);
        file.write_all(&chunk).map_err(|_| Cut)?;
        size += chunk.len() as u64;
    }
    if size != length {
        return Err(Cut);
    }
    Ok((size, hex::encode(digest.finalize())))
}

fn flip_bit(chunk: &Bytes) -> Bytes {
    let mut bytes = chunk.to_vec();
    if let Some(first) = bytes.first_mut() {
        *first ^= 1;
    }
    bytes.into()
}

/// The response to a download: a redirect to the storage service.
pub(super) fn redirect(shared: &Shared, asset: u64) -> Answer {
    let mut answer = empty(302);
    let location = format!("{}/stored/{asset}?sig=secret", shared.storage);
    if let Ok(location) = HeaderValue::from_str(&location) {
        answer.headers_mut().insert(LOCATION, location);
    }
    answer
}

/// The storage service. Like the real one, it refuses credentials for the API.
pub(super) async fn stored(shared: &Shared, request: &Request<Incoming>) -> Result<Answer, Cut> {
    let fault = shared.state().script.next(Op::Download);
    match fault {
        Some(Fault::StatusBefore(status) | Fault::StatusAfter(status)) => {
            return Ok(message(status, "Server Error"));
        }
        Some(Fault::Html | Fault::HtmlAfter) => return Ok(answer::html(502)),
        Some(Fault::SecondaryLimit(ms)) => return Ok(answer::secondary_limit(ms)),
        Some(Fault::PrimaryLimit) => return Ok(answer::primary_limit(shared.options.clock_ahead)),
        Some(Fault::ResetAfter) => return Err(Cut),
        _ => {}
    }
    if request.headers().contains_key(AUTHORIZATION) && !shared.options.one_port {
        return Ok(message(400, "Only one auth mechanism allowed"));
    }
    let number = request.uri().path().strip_prefix("/stored/");
    let Some(asset) = number.and_then(|number| number.parse::<u64>().ok()) else {
        return Ok(not_found());
    };
    let Ok(mut file) = tokio::fs::File::open(shared.bytes_of(asset)).await else {
        return Ok(not_found());
    };
    let total = file.metadata().await.map_err(|_| Cut)?.len();
    let from = request
        .headers()
        .get(RANGE)
        .and_then(|range| {
            range
                .to_str()
                .ok()?
                .strip_prefix("bytes=")?
                .strip_suffix('-')
        })
        .and_then(|from| from.parse::<u64>().ok());
    if from.is_some_and(|from| from > 0 && from >= total) {
        return Ok(empty(416));
    }
    let start = from.unwrap_or(0);
    file.seek(std::io::SeekFrom::Start(start))
        .await
        .map_err(|_| Cut)?;
    if let Some(asset) = shared.state().assets.get_mut(&asset) {
        asset.downloads += 1;
    }
    let frames = frames(file, total - start, fault);
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(total - start));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("application/octet-stream"),
    );
    if from.is_some() {
        let range = format!("bytes {start}-{}/{total}", total.saturating_sub(1));
        if let Ok(range) = HeaderValue::from_str(&range) {
            headers.insert(CONTENT_RANGE, range);
        }
        *answer.status_mut() = hyper::StatusCode::PARTIAL_CONTENT;
    }
    Ok(answer)
}

/// The bytes of a file as frames of a body, with the fault applied.
fn frames(
    file: tokio::fs::File,
    length: u64,
    fault: Option<Fault>,
) -> impl futures_util::Stream<Item = std::io::Result<Frame<Bytes>>> {
    let start = (file, 0_u64);
    futures_util::stream::unfold(start, move |(mut file, sent)| async move {
        match fault {
            Some(Fault::Stall(at)) if sent >= at.min(length) => std::future::pending().await,
            Some(Fault::Reset(at)) if sent >= at.min(length) => {
                return Some((Err(std::io::Error::other(Cut)), (file, sent)));
            }
            _ => {}
        }
        let mut chunk = vec![0; 64 << 10];
        match file.read(&mut chunk).await {
            Ok(0) => None,
            Ok(read) => {
                chunk.truncate(read);
                if matches!(fault, Some(Fault::Corrupt)) && sent == 0 {
                    chunk[0] ^= 1;
                }
                Some((Ok(Frame::data(chunk.into())), (file, sent + read as u64)))
            }
            Err(error) => Some((Err(error), (file, sent))),
        }
    })
}
