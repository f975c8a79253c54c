//! The part of the S3 API that Sysforge uses, in memory. Signatures are not checked.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use sysforge_plan::Sha256;

#[derive(Debug, Clone, Default)]
struct Object {
    bytes: Vec<u8>,
    digest: Option<String>,
}

/// An upload in parts that is not complete.
#[derive(Debug, Default)]
struct MultipartUpload {
    digest: Option<String>,
    parts: BTreeMap<usize, Vec<u8>>,
}

#[derive(Debug, Default)]
struct Inner {
    objects: BTreeMap<String, Object>,
    uploads: BTreeMap<String, MultipartUpload>,
    written: Vec<String>,
    requests: usize,
    ignores_conditions: bool,
    /// Signed requests are redirected to this address.
    redirect: Option<String>,
    /// Requests whose path contains this text fail with this status and code.
    failing: Option<(String, u16, String)>,
    /// Objects below this prefix are damaged when they are written.
    spoilt: Option<String>,
    /// Listings have all objects, whatever the prefix, and every page names the same next one.
    lists_without_end: bool,
    /// The size that listings have at least, in bytes.
    listing_size: usize,
}

/// A service on a port of this machine.
pub(super) struct Storage {
    inner: Arc<Mutex<Inner>>,
    address: std::net::SocketAddr,
}

struct Request {
    method: String,
    path: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Storage {
    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Mutex::new(Inner::default()));
        let state = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let state = Arc::clone(&state);
                std::thread::spawn(move || serve(stream, &state));
            }
        });
        Self { inner, address }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn keys(&self) -> Vec<String> {
        self.inner.lock().unwrap().objects.keys().cloned().collect()
    }

    pub(super) fn written(&self) -> Vec<String> {
        self.inner.lock().unwrap().written.clone()
    }

    pub(super) fn requests(&self) -> usize {
        self.inner.lock().unwrap().requests
    }

    /// Returns the objects whose keys begin with `prefix`.
    pub(super) fn objects(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let inner = self.inner.lock().unwrap();
        let objects = inner
            .objects
            .iter()
            .filter(|(key, _)| key.starts_with(prefix));
        objects
            .map(|(key, object)| (key.clone(), object.bytes.clone()))
            .collect()
    }

    pub(super) fn put(&self, key: &str, bytes: &[u8]) {
        let object = Object {
            bytes: bytes.to_vec(),
            digest: None,
        };
        self.inner
            .lock()
            .unwrap()
            .objects
            .insert(key.to_owned(), object);
    }

    pub(super) fn knows_conditions(&self, knows: bool) {
        self.inner.lock().unwrap().ignores_conditions = !knows;
    }

    /// Redirects all signed requests.
    pub(super) fn redirect(&self, to: &str) {
        self.inner.lock().unwrap().redirect = Some(to.to_owned());
    }

    pub(super) fn fail(&self, path: &str, status: u16, code: &str) {
        self.inner.lock().unwrap().failing = Some((path.to_owned(), status, code.to_owned()));
    }

    /// From now on, listings have all objects, whatever the prefix, and never end.
    pub(super) fn list_without_end(&self) {
        self.inner.lock().unwrap().lists_without_end = true;
    }

    /// From now on, listings have at least this many bytes.
    pub(super) fn list_at_length(&self, size: usize) {
        self.inner.lock().unwrap().listing_size = size;
    }

    pub(super) fn spoil(&self, prefix: &str) {
        self.inner.lock().unwrap().spoilt = Some(prefix.to_owned());
    }
}

fn serve(stream: TcpStream, state: &Mutex<Inner>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = read(&mut reader) {
        let (status, headers, body) = state.lock().unwrap().answer(&request);
        let length = match request.method.as_str() {
            "HEAD" => headers
                .iter()
                .find(|(name, _)| name == "x-length")
                .map_or(0, |(_, n)| n.parse().unwrap()),
            _ => body.len(),
        };
        let mut head = format!("HTTP/1.1 {status} Answer\r\ncontent-length: {length}\r\n");
        head.push_str("last-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
        for (name, value) in &headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        if writer.write_all(head.as_bytes()).is_err() {
            return;
        }
        if request.method != "HEAD" && writer.write_all(&body).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let method = words.next()?.to_owned();
    let target = words.next()?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |n| n.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let query = query.split('&').map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(name), decode(value))
    });
    Some(Request {
        method,
        path: decode(path),
        query: query.collect(),
        headers,
        body,
    })
}

type Answer = (u16, Vec<(String, String)>, Vec<u8>);

fn refusal(status: u16, code: &str) -> Answer {
    let body =
        format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, Vec::new(), body.into_bytes())
}

fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", Sha256::of(bytes).short(32))
}

impl Inner {
    fn answer(&mut self, request: &Request) -> Answer {
        self.requests += 1;
        if let Some(to) = &self.redirect {
            return (307, vec![("location".to_owned(), to.clone())], Vec::new());
        }
        if let Some((path, status, code)) = &self.failing
            && request.path.contains(path.as_str())
            && (request.method == "PUT" || path.is_empty())
        {
            return refusal(*status, code);
        }
        let Some(key) = request.path.strip_prefix("/images") else {
            return refusal(404, "NoSuchBucket");
        };
        let key = key.trim_start_matches('/').to_owned();
        let query = |name: &str| request.query.get(name).cloned();
        let digest = request.headers.get("x-amz-meta-sysforge-sha256").cloned();
        match request.method.as_str() {
            "GET" if key.is_empty() => self.list(&query("prefix").unwrap_or_default()),
            "GET" | "HEAD" => self.get(&key, request),
            "DELETE" => {
                self.objects.remove(&key);
                (204, Vec::new(), Vec::new())
            }
            "POST" if request.query.contains_key("delete") => self.delete_all(&request.body),
            "POST" if request.query.contains_key("uploads") => {
                let parts = BTreeMap::new();
                self.uploads.insert(key, MultipartUpload { digest, parts });
                let body = "<InitiateMultipartUploadResult><UploadId>1</UploadId></InitiateMultipartUploadResult>";
                (200, Vec::new(), body.as_bytes().to_vec())
            }
            "POST" => {
                let MultipartUpload { digest, parts } =
                    self.uploads.remove(&key).unwrap_or_default();
                let bytes = parts.into_values().flatten().collect();
                self.write(&key, bytes, digest);
                let body = "<CompleteMultipartUploadResult><ETag>\"1\"</ETag></CompleteMultipartUploadResult>";
                (200, Vec::new(), body.as_bytes().to_vec())
            }
            "PUT" => self.put(key, request, digest),
            _ => refusal(405, "MethodNotAllowed"),
        }
    }

    fn put(&mut self, key: String, request: &Request, digest: Option<String>) -> Answer {
        let header = |name: &str| request.headers.get(name);
        if let Some(number) = request.query.get("partNumber") {
            let parts = &mut self.uploads.entry(key).or_default().parts;
            parts.insert(number.parse().unwrap(), request.body.clone());
            let tag = tag_of(&request.body);
            return (200, vec![("etag".to_owned(), tag)], Vec::new());
        }
        if let Some(from) = header("x-amz-copy-source") {
            let from = percent_encoding::percent_decode_str(from).decode_utf8_lossy();
            let from = from.trim_start_matches('/').trim_start_matches("images/");
            let Some(object) = self.objects.get(from).cloned() else {
                return refusal(404, "NoSuchKey");
            };
            self.write(&key, object.bytes, object.digest);
            let body = "<CopyObjectResult><ETag>\"1\"</ETag></CopyObjectResult>";
            return (200, Vec::new(), body.as_bytes().to_vec());
        }
        let have = self.objects.get(&key).map(|object| tag_of(&object.bytes));
        let holds = match (header("if-none-match"), header("if-match")) {
            (Some(_), _) => have.is_none(),
            (_, Some(tag)) => have.as_ref() == Some(tag),
            (None, None) => true,
        };
        if !holds && !self.ignores_conditions {
            return refusal(412, "PreconditionFailed");
        }
        self.write(&key, request.body.clone(), digest);
        (
            200,
            vec![("etag".to_owned(), tag_of(&request.body))],
            Vec::new(),
        )
    }

    fn write(&mut self, key: &str, mut bytes: Vec<u8>, digest: Option<String>) {
        if let Some(spoilt) = &self.spoilt
            && key.starts_with(spoilt.as_str())
            && let Some(first) = bytes.first_mut()
        {
            *first ^= 1;
        }
        self.written.push(key.to_owned());
        self.objects
            .insert(key.to_owned(), Object { bytes, digest });
    }

    fn get(&self, key: &str, request: &Request) -> Answer {
        let Some(object) = self.objects.get(key) else {
            return refusal(404, "NoSuchKey");
        };
        let mut headers = vec![("etag".to_owned(), tag_of(&object.bytes))];
        if let Some(digest) = &object.digest {
            headers.push(("x-amz-meta-sysforge-sha256".to_owned(), digest.clone()));
        }
        if request.method == "HEAD" {
            headers.push(("x-length".to_owned(), object.bytes.len().to_string()));
        }
        (200, headers, object.bytes.clone())
    }

    fn list(&self, prefix: &str) -> Answer {
        let endless = self.lists_without_end;
        let mut body = match endless {
            true => "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>same</NextContinuationToken>",
            false => "<ListBucketResult><IsTruncated>false</IsTruncated>",
        }
        .to_owned();
        for (key, object) in self
            .objects
            .iter()
            .filter(|(key, _)| endless || key.starts_with(prefix))
        {
            body.push_str(&format!(
                "<Contents><Key>{key}</Key><LastModified>1994-11-06T08:49:37.000Z</LastModified><ETag>\"1\"</ETag><Size>{}</Size></Contents>",
                object.bytes.len()
            ));
        }
        while body.len() < self.listing_size {
            body.push_str("<Contents><Key>demo/x</Key><LastModified>1994-11-06T08:49:37.000Z</LastModified><ETag>\"1\"</ETag><Size>1</Size></Contents>");
        }
        body.push_str("</ListBucketResult>");
        (200, Vec::new(), body.into_bytes())
    }

    fn delete_all(&mut self, body: &[u8]) -> Answer {
        let body = String::from_utf8_lossy(body);
        let mut answer = "<DeleteResult>".to_owned();
        for part in body.split("<Key>").skip(1) {
            let key = part.split("</Key>").next().unwrap_or_default();
            self.objects.remove(key);
            answer.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
        }
        answer.push_str("</DeleteResult>");
        (200, Vec::new(), answer.into_bytes())
    }
}
