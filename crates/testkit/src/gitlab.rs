//! A stand-in for GitLab's registry of generic packages, for the recipe in
//! `docs/src/how-to/publish.md`. A real GitLab cannot be installed for a test.
//!
//! It has the two requests that the recipe needs, with the method, path, status and logins of
//! GitLab's documentation: `PUT` and `GET` of
//! `/api/v4/projects/ID/packages/generic/PACKAGE/VERSION/FILE`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::header::AUTHORIZATION;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// The token of a job.
pub const JOB_TOKEN: &str = "token-of-a-job";

/// The user and the token of a person.
pub const LOGIN: (&str, &str) = ("me", "token-of-a-person");

/// [`LOGIN`] as `Authorization: Basic`.
const BASIC: &str = "Basic bWU6dG9rZW4tb2YtYS1wZXJzb24=";

/// The addresses of the packages of project 123.
const PREFIX: &str = "/api/v4/projects/123/packages/generic/";

type Files = Arc<Mutex<BTreeMap<String, Bytes>>>;

/// A private project's registry of generic packages, served over a real socket.
#[derive(Debug)]
pub struct GitLabPackagesStandIn {
    address: SocketAddr,
    files: Files,
    task: tokio::task::JoinHandle<()>,
}

impl GitLabPackagesStandIn {
    /// Starts the server. It ends on drop.
    ///
    /// # Errors
    ///
    /// If there is no free port.
    pub async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let files = Files::default();
        let shared = Arc::clone(&files);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&shared);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                tokio::spawn(async move {
                    let builder = auto::Builder::new(TokioExecutor::new());
                    let _ = builder
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Ok(Self {
            address,
            files,
            task,
        })
    }

    /// The value of `CI_API_V4_URL` in a job.
    pub fn api_url(&self) -> String {
        format!("http://{}/api/v4", self.address)
    }

    /// The paths of the uploaded files, `PACKAGE/VERSION/FILE`, by name.
    ///
    /// # Panics
    ///
    /// Never.
    pub fn files(&self) -> Vec<String> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.keys().cloned().collect()
    }
}

impl Drop for GitLabPackagesStandIn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    files: Files,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let method = request.method().clone();
    let header = |name: &str| request.headers().get(name).map(|value| value.as_bytes());
    let is_job = header("job-token") == Some(JOB_TOKEN.as_bytes());
    let is_person = header(AUTHORIZATION.as_str()) == Some(BASIC.as_bytes());
    let file = request.uri().path().strip_prefix(PREFIX).map(str::to_owned);
    let is_file = |path: &String| path.split('/').filter(|part| !part.is_empty()).count() == 3;
    // GitLab does not tell strangers that a private project exists.
    let Some(file) = file.filter(|path| is_file(path) && (is_job || is_person)) else {
        return Ok(message(StatusCode::NOT_FOUND, "404 Not Found"));
    };
    let body = request.into_body().collect().await;
    let mut files = files.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(match (method, body) {
        (Method::PUT, Ok(body)) => {
            files.insert(file, body.to_bytes());
            message(StatusCode::CREATED, "201 Created")
        }
        (Method::GET, _) => match files.get(&file) {
            Some(content) => Response::new(Full::new(content.clone())),
            None => message(StatusCode::NOT_FOUND, "404 Package Not Found"),
        },
        _ => message(StatusCode::METHOD_NOT_ALLOWED, "405 Not Allowed"),
    })
}

fn message(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "message": text }).to_string();
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
}
