//! A web server over real sockets that serves a folder, with scripted faults.
//!
//! Without faults it supports entity tags, `If-None-Match`, `If-Range`, ranges, keep-alive and
//! `Connection: close`. A test scripts a list of faults for a path; each request to the path uses one.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::tls::PrivateTls;

/// A fault.
#[derive(Debug, Clone)]
pub enum Fault {
    /// No fault.
    Fine,
    /// Closes the connection after this many bytes of the body.
    DropAfter(u64),
    /// Stops sending after this many bytes of the body, and keeps the connection open.
    SilenceAfter(u64),
    /// Sends nothing.
    Silence,
    /// Closes the connection without a response.
    Close,
    /// Sends the body in chunks of this many bytes, with a pause after each.
    Drip(usize, Duration),
    /// Changes `Content-Length` by this much.
    WrongLength(i64),
    /// Changes the byte at this position of the file.
    WrongByte(u64),
    /// Sends the whole file with status 200, whatever range was requested.
    IgnoreRange,
    /// Sends the requested range without the size of the whole file.
    UnknownTotal,
    /// Sends a different range, which starts this many bytes later.
    ShiftRange(u64),
    /// Sends a status without a body, and additional headers.
    Status(u16, Vec<(&'static str, String)>),
    /// A redirect.
    Redirect(String),
    /// Sends this status, and a body that ends only when the client disconnects.
    Endless(u16),
    /// Sends a complete response with only this many bytes of the file.
    Truncate(u64),
    /// Sends a complete response with the file at another path.
    InsteadOf(String),
}

/// A recorded request.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// The path.
    pub path: String,
    /// The query.
    pub query: Option<String>,
    /// All headers, with lower-case names.
    pub headers: HashMap<String, String>,
}

impl Seen {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// The behaviour of the server apart from faults.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// Whether it serves ranges.
    pub ranges: bool,
    /// Whether it sends entity tags.
    pub etags: bool,
    /// The delay before each response.
    pub latency: Duration,
    /// Bytes per second, over all connections.
    pub cap: Option<u64>,
    /// Bytes per second of each connection, as content delivery networks limit it.
    pub cap_each: Option<u64>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            ranges: true,
            etags: true,
            latency: Duration::ZERO,
            cap: None,
            cap_each: None,
        }
    }
}

struct Shared {
    root: PathBuf,
    behaviour: Mutex<Behaviour>,
    script: Mutex<HashMap<String, VecDeque<Fault>>>,
    always: Mutex<HashMap<String, Fault>>,
    guards: Mutex<Vec<(String, String)>>,
    seen: Mutex<Vec<Seen>>,
    endless: AtomicU64,
    over: AtomicBool,
    /// The time at which the shared line is free again, for the limit on its speed.
    line_free: Mutex<Instant>,
}

/// A web server; it ends on drop.
pub struct Server {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
}

impl Server {
    /// Serves a folder over HTTP on a free port.
    pub fn start(root: &Path) -> Self {
        Self::on("127.0.0.1:0", root, None)
    }

    /// Serves a folder over HTTPS.
    pub fn start_tls(root: &Path, tls: &PrivateTls) -> Self {
        Self::on("127.0.0.1:0", root, Some(Arc::clone(&tls.config)))
    }

    /// Serves a folder at an address.
    pub fn on(address: &str, root: &Path, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            behaviour: Mutex::default(),
            script: Mutex::default(),
            always: Mutex::default(),
            guards: Mutex::default(),
            seen: Mutex::default(),
            endless: AtomicU64::new(0),
            over: AtomicBool::new(false),
            line_free: Mutex::new(Instant::now()),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if for_thread.over.load(Ordering::Relaxed) {
                    break;
                }
                let (shared, tls) = (Arc::clone(&for_thread), tls.clone());
                thread::spawn(move || {
                    let _ = stream.set_nodelay(true);
                    // A client that disconnects is not an error.
                    let _ = match tls {
                        None => shared.serve(stream),
                        Some(config) => rustls::ServerConnection::new(config)
                            .map_err(io::Error::other)
                            .and_then(|session| {
                                shared.serve(rustls::StreamOwned::new(session, stream))
                            }),
                    };
                });
            }
        });
        Self {
            address,
            scheme,
            shared,
        }
    }

    /// The base URL.
    pub fn url(&self) -> String {
        format!("{}://{}", self.scheme, self.address)
    }

    /// The address, host and port.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the server's behaviour.
    pub fn set(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.shared.behaviour.lock().unwrap());
    }

    /// Applies these faults to the next requests for paths with this suffix, one each.
    pub fn script(&self, path_end: &str, faults: impl IntoIterator<Item = Fault>) {
        let mut script = self.shared.script.lock().unwrap();
        script
            .entry(path_end.to_owned())
            .or_default()
            .extend(faults);
    }

    /// Applies this fault to every request for paths with this suffix.
    pub fn always(&self, path_end: &str, fault: Fault) {
        let mut always = self.shared.always.lock().unwrap();
        always.insert(path_end.to_owned(), fault);
    }

    /// Ends all faults.
    pub fn behave(&self) {
        self.shared.script.lock().unwrap().clear();
        self.shared.always.lock().unwrap().clear();
    }

    /// Requires this token for paths with this prefix, and answers 401 without it. A later call for
    /// the same path replaces the token.
    pub fn guard(&self, path_start: &str, token: &str) {
        let mut guards = self.shared.guards.lock().unwrap();
        guards.insert(0, (path_start.to_owned(), token.to_owned()));
    }

    /// The number of requests for each path.
    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for request in self.shared.seen.lock().unwrap().iter() {
            *counts.entry(request.path.clone()).or_default() += 1;
        }
        counts
    }

    /// The number of bytes of endless bodies that clients have read.
    pub fn endless_bytes(&self) -> u64 {
        self.shared.endless.load(Ordering::Relaxed)
    }

    /// Clears the recorded requests.
    pub fn forget(&self) {
        self.shared.seen.lock().unwrap().clear();
    }

    /// The recorded requests for paths with this suffix.
    pub fn seen(&self, path_end: &str) -> Vec<Seen> {
        let seen = self.shared.seen.lock().unwrap();
        seen.iter()
            .filter(|request| request.path.ends_with(path_end))
            .cloned()
            .collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::Relaxed);
        // Wakes the accepting thread.
        let _ = TcpStream::connect(self.address);
    }
}

/// Number of bytes sent at a time.
const CHUNK: usize = 64 << 10;

impl Shared {
    fn serve(&self, stream: impl Read + Write) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader)? {
            self.seen.lock().unwrap().push(request.clone());
            let fault = self.fault_for(&request.path);
            let stays_open = self.answer(&request, &fault, reader.get_mut())?;
            if !stays_open || request.header("connection") == Some("close") {
                return Ok(());
            }
        }
        Ok(())
    }

    fn fault_for(&self, path: &str) -> Fault {
        let mut script = self.script.lock().unwrap();
        let scripted = script
            .iter_mut()
            .find(|(end, faults)| path.ends_with(end.as_str()) && !faults.is_empty())
            .and_then(|(_, faults)| faults.pop_front());
        let always = self.always.lock().unwrap();
        scripted
            .or_else(|| {
                let found = always.iter().find(|(end, _)| path.ends_with(end.as_str()));
                found.map(|(_, fault)| fault.clone())
            })
            .unwrap_or(Fault::Fine)
    }

    fn allows(&self, request: &Seen) -> bool {
        let guards = self.guards.lock().unwrap();
        guards
            .iter()
            .find(|(start, _)| request.path.starts_with(start.as_str()))
            .is_none_or(|(_, token)| {
                request.header("authorization") == Some(&format!("Bearer {token}"))
            })
    }

    /// Sends a response; returns whether the connection stays open.
    fn answer(&self, request: &Seen, fault: &Fault, out: &mut impl Write) -> io::Result<bool> {
        let behaviour = self.behaviour.lock().unwrap().clone();
        thread::sleep(behaviour.latency);
        if !self.allows(request) {
            write!(
                out,
                "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"
            )?;
            out.flush()?;
            return Ok(true);
        }
        match fault {
            Fault::Silence => return self.hang(),
            Fault::Close => return Ok(false),
            Fault::Status(status, headers) => {
                let headers: String = headers
                    .iter()
                    .map(|(name, value)| format!("{name}: {value}\r\n"))
                    .collect();
                write!(
                    out,
                    "HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{headers}\r\n"
                )?;
                out.flush()?;
                return Ok(true);
            }
            Fault::Endless(status) => {
                write!(out, "HTTP/1.1 {status} X\r\nConnection: close\r\n\r\n")?;
                let piece = vec![b'x'; CHUNK];
                while !self.over.load(Ordering::Relaxed) {
                    out.write_all(&piece)?;
                    self.endless.fetch_add(CHUNK as u64, Ordering::Relaxed);
                }
                return Ok(false);
            }
            Fault::Redirect(to) => {
                write!(
                    out,
                    "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\n\r\n"
                )?;
                out.flush()?;
                return Ok(true);
            }
            _ => {}
        }
        let path = match fault {
            Fault::InsteadOf(other) => other,
            _ => &request.path,
        };
        let path = self.root.join(path.trim_start_matches('/'));
        let Ok(file) = File::open(&path).and_then(|file| {
            file.metadata()?
                .is_file()
                .then_some(file)
                .ok_or_else(|| io::Error::other("a folder"))
        }) else {
            write!(out, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            out.flush()?;
            return Ok(true);
        };
        self.send_file(request, fault, &behaviour, file, out)
    }

    fn send_file(
        &self,
        request: &Seen,
        fault: &Fault,
        behaviour: &Behaviour,
        mut file: File,
        out: &mut impl Write,
    ) -> io::Result<bool> {
        let metadata = file.metadata()?;
        let length = match fault {
            Fault::Truncate(bytes) => metadata.len().min(*bytes),
            _ => metadata.len(),
        };
        let changed = metadata
            .modified()?
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let etag = format!("\"{length:x}-{:x}\"", changed.as_nanos());
        let tag_header = if behaviour.etags {
            format!("ETag: {etag}\r\n")
        } else {
            String::new()
        };
        if request.header("if-none-match") == Some(&etag) {
            write!(out, "HTTP/1.1 304 Not Modified\r\n{tag_header}\r\n")?;
            out.flush()?;
            return Ok(true);
        }
        let same = request.header("if-range").is_none_or(|tag| tag == etag);
        let range = request
            .header("range")
            .filter(|_| same && behaviour.ranges && !matches!(fault, Fault::IgnoreRange))
            .and_then(|text| parse_range(text, length));
        let (mut start, mut end) = (0, length);
        let mut head = match range {
            None => "HTTP/1.1 200 OK\r\n".to_owned(),
            Some((from, _)) if from >= length => {
                write!(
                    out,
                    "HTTP/1.1 416 No\r\nContent-Range: bytes */{length}\r\nContent-Length: 0\r\n\r\n"
                )?;
                out.flush()?;
                return Ok(true);
            }
            Some((from, to)) => {
                (start, end) = (from, to);
                if let Fault::ShiftRange(by) = fault {
                    (start, end) = ((from + by).min(length - 1), (to + by).min(length));
                }
                let total = match fault {
                    Fault::UnknownTotal => "*".to_owned(),
                    _ => length.to_string(),
                };
                let last = end - 1;
                format!(
                    "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {start}-{last}/{total}\r\n"
                )
            }
        };
        let announced = match fault {
            Fault::WrongLength(by) => (end - start).saturating_add_signed(*by),
            _ => end - start,
        };
        head.push_str(&format!(
            "Accept-Ranges: {}\r\nContent-Length: {announced}\r\n{tag_header}\r\n",
            if behaviour.ranges { "bytes" } else { "none" }
        ));
        out.write_all(head.as_bytes())?;
        file.seek(SeekFrom::Start(start))?;
        self.send_body(fault, behaviour, file, start, end, out)
    }

    fn send_body(
        &self,
        fault: &Fault,
        behaviour: &Behaviour,
        mut file: File,
        start: u64,
        end: u64,
        out: &mut impl Write,
    ) -> io::Result<bool> {
        let stop = match fault {
            Fault::DropAfter(bytes) | Fault::SilenceAfter(bytes) => (start + bytes).min(end),
            _ => end,
        };
        let piece = match fault {
            Fault::Drip(bytes, _) => *bytes,
            _ => CHUNK,
        };
        let mut buffer = vec![0; piece];
        let own_line_free = Mutex::new(Instant::now());
        let mut at = start;
        while at < stop {
            let want = usize::try_from(stop - at).unwrap().min(piece);
            let count = file.read(&mut buffer[..want])?;
            if count == 0 {
                break;
            }
            if let Fault::WrongByte(place) = fault
                && (at..at + count as u64).contains(place)
            {
                buffer[usize::try_from(place - at).unwrap()] ^= 0x55;
            }
            wait_for_shared_line(&self.line_free, behaviour.cap, count);
            wait_for_shared_line(&own_line_free, behaviour.cap_each, count);
            out.write_all(&buffer[..count])?;
            if let Fault::Drip(_, pause) = fault {
                out.flush()?;
                thread::sleep(*pause);
            }
            at += count as u64;
        }
        out.flush()?;
        match fault {
            Fault::SilenceAfter(_) => self.hang(),
            Fault::DropAfter(_) | Fault::WrongLength(_) => Ok(false),
            _ => Ok(true),
        }
    }

    /// Keeps the connection open without sending anything until the server ends.
    fn hang(&self) -> io::Result<bool> {
        while !self.over.load(Ordering::Relaxed) {
            thread::sleep(Duration::from_millis(20));
        }
        Ok(false)
    }
}

/// Simulates a shared line of limited speed: each chunk waits until the earlier ones were sent.
/// `free` is the time at which the line is free again.
fn wait_for_shared_line(free: &Mutex<Instant>, cap: Option<u64>, bytes: usize) {
    let Some(cap) = cap else { return };
    let takes = Duration::from_secs_f64(bytes as f64 / cap as f64);
    let until = {
        let mut free = free.lock().unwrap();
        // Unused time in which the line was idle does not count.
        *free = (*free).max(Instant::now()) + takes;
        *free
    };
    // Sleeping for less than a millisecond takes longer than requested.
    let wait = until.saturating_duration_since(Instant::now());
    if wait > Duration::from_millis(2) {
        thread::sleep(wait);
    }
}

fn read_request(reader: &mut BufReader<impl Read>) -> io::Result<Option<Seen>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut seen = Seen {
        path: line.split(' ').nth(1).unwrap_or("/").to_owned(),
        ..Seen::default()
    };
    // A proxy receives the whole URL.
    if let Some(rest) = seen.path.strip_prefix("http://") {
        seen.path = rest.find('/').map_or("/", |at| &rest[at..]).to_owned();
        seen.headers.insert(":proxied".to_owned(), line.clone());
    }
    if let Some((path, query)) = seen.path.split_once('?') {
        (seen.path, seen.query) = (path.to_owned(), Some(query.to_owned()));
    }
    loop {
        line.clear();
        if reader.read_line(&mut line)? == 0 || line.trim_end().is_empty() {
            return Ok(Some(seen));
        }
        if let Some((name, value)) = line.split_once(':') {
            seen.headers
                .insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
}

/// Parses `bytes=START-END` or `bytes=START-` as a half-open range.
fn parse_range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = start.parse().ok()?;
    let end = match end {
        "" => length,
        end => length.min(end.parse::<u64>().ok()? + 1),
    };
    Some((start, end))
}
