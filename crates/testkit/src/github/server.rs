//! Accepts connections, adds TLS and the delays of a network, and passes requests to the routes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::answer::{Answer, Cut};
use super::state::State;
use super::{FakeGitHub, Options, Shared, routes, transfer};

/// The port of a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum PortKind {
    Api,
    Storage,
}

pub(super) async fn start(options: Options) -> std::io::Result<FakeGitHub> {
    let api = TcpListener::bind(("127.0.0.1", options.port)).await?;
    let storage = TcpListener::bind(("127.0.0.1", 0)).await?;
    let (directory, kept) = match &options.directory {
        Some(directory) => {
            std::fs::create_dir_all(directory)?;
            (directory.clone(), None)
        }
        None => {
            let kept = tempfile::tempdir()?;
            (kept.path().to_owned(), Some(kept))
        }
    };
    let (tls, certificate) = match &options.tls {
        Some(host) => {
            let (acceptor, certificate) = tls(host).map_err(std::io::Error::other)?;
            (Some(acceptor), Some(certificate))
        }
        None => (None, None),
    };
    let (api_address, storage_address) = (api.local_addr()?, storage.local_addr()?);
    let url = |address: SocketAddr, prefix: &str| match &options.tls {
        Some(host) => format!("https://{host}:{}{prefix}", address.port()),
        None => format!("http://{address}"),
    };
    let shared = Arc::new(Shared {
        api: url(api_address, "/api/v3"),
        storage: match options.one_port {
            true => url(api_address, ""),
            // A different name as well, because clients distinguish hosts only by name.
            false if options.tls.is_some() => format!("https://{storage_address}"),
            false => url(storage_address, ""),
        },
        state: Mutex::new(State::new(&options)),
        directory,
        options,
        rewrite: Mutex::default(),
        _kept: kept,
    });
    let tasks = [(api, PortKind::Api), (storage, PortKind::Storage)]
        .map(|(listener, kind)| {
            tokio::spawn(accept(listener, kind, Arc::clone(&shared), tls.clone()))
        })
        .into();
    Ok(FakeGitHub {
        shared,
        api: api_address,
        certificate,
        tasks,
    })
}

async fn accept(
    listener: TcpListener,
    kind: PortKind,
    shared: Arc<Shared>,
    tls: Option<TlsAcceptor>,
) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let (shared, tls) = (Arc::clone(&shared), tls.clone());
        connections.spawn(async move {
            let _ = stream.set_nodelay(true);
            let latency = shared.options.latency;
            // A new connection takes one round trip for TCP, and another one for TLS 1.3.
            pause(latency).await;
            match tls {
                Some(tls) => {
                    pause(latency).await;
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, kind, shared).await;
                    }
                }
                None => serve(stream, kind, shared).await,
            }
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn pause(latency: Duration) {
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    kind: PortKind,
    shared: Arc<Shared>,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let shared = Arc::clone(&shared);
        async move {
            let head = request.method() == hyper::Method::HEAD;
            let stored = request.uri().path().starts_with("/stored/");
            let answer = match kind {
                PortKind::Api if stored && shared.options.one_port => {
                    transfer::stored(&shared, &request).await?
                }
                PortKind::Api => routes::answer(&shared, request).await?,
                PortKind::Storage => transfer::stored(&shared, &request).await?,
            };
            pause(shared.options.latency).await;
            let answer = rewritten(answer, &shared).await;
            let mut answer = add_headers(answer, shared.options.clock_ahead);
            if head {
                *answer.body_mut() = super::answer::full("");
            }
            Ok::<Answer, Cut>(answer)
        }
    });
    // An error means that the client closed the connection, or a fault did.
    let _ = auto::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

/// Returns the answer with the text that `FakeGitHub::rewrite` sets.
async fn rewritten(answer: Answer, shared: &Shared) -> Answer {
    let rewrite = shared.rewrite.lock();
    let rewrite = rewrite.unwrap_or_else(PoisonError::into_inner).clone();
    let is_json = answer
        .headers()
        .get(hyper::header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let Some((field, text)) = rewrite.filter(|_| is_json) else {
        return answer;
    };
    let (head, body) = answer.into_parts();
    let Ok(body) = body.collect().await else {
        return Answer::from_parts(head, super::answer::full(""));
    };
    let mut value: serde_json::Value = serde_json::from_slice(&body.to_bytes()).unwrap_or_default();
    put_text(&mut value, &field, &text);
    Answer::from_parts(head, super::answer::full(value.to_string()))
}

fn put_text(value: &mut serde_json::Value, field: &str, text: &str) {
    use serde_json::Value;
    match value {
        Value::Array(items) => items
            .iter_mut()
            .for_each(|item| put_text(item, field, text)),
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(_) | Value::Null if name == field => *value = text.into(),
                    value => put_text(value, field, text),
                }
            }
        }
        _ => {}
    }
}

/// Adds the headers that every response has.
fn add_headers<B>(mut answer: Response<B>, clock_ahead: i64) -> Response<B> {
    let headers = answer.headers_mut();
    for (name, value) in [
        ("x-github-request-id", "FAKE:1"),
        ("x-ratelimit-limit", "5000"),
        ("x-ratelimit-remaining", "4999"),
        ("server", "github.com"),
    ] {
        if !headers.contains_key(name) {
            headers.insert(name, hyper::header::HeaderValue::from_static(value));
        }
    }
    let date = httpdate::fmt_http_date(super::answer::host_time(clock_ahead));
    if let Ok(date) = date.parse() {
        headers.insert(hyper::header::DATE, date);
    }
    answer
}

fn tls(host: &str) -> Result<(TlsAcceptor, String), Box<dyn std::error::Error + Send + Sync>> {
    let names = vec![
        host.to_owned(),
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
    ];
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok((TlsAcceptor::from(Arc::new(config)), made.cert.pem()))
}
