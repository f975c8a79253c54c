//! Answers that no working host gives: how often they are requested, how much of them is read, and
//! the resulting messages.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::super::api::Release;
use super::super::journal::PublishJournal;
use super::super::lease::NoLease;
use super::*;
use crate::host::failure::Failure;

/// A server that answers each connection with what `answer` writes for a request line, and counts them.
struct Server {
    address: String,
    asked: Arc<AtomicU32>,
}

impl Server {
    fn start(
        answer: impl Fn(&str, &mut TcpStream) -> std::io::Result<()> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(AtomicU32::new(0));
        let count = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut request, mut length) = (String::new(), 0);
                reader.read_line(&mut request).unwrap();
                let mut line = String::new();
                while reader.read_line(&mut line).is_ok_and(|read| read > 2) {
                    let header = line.to_lowercase();
                    if let Some(value) = header.strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                count.fetch_add(1, Ordering::Relaxed);
                // The client may close the connection before it has read everything.
                let _ = answer(&request, &mut stream);
            }
        });
        Self { address, asked }
    }

    /// A server that answers every request with these bytes.
    fn of(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |_, stream| stream.write_all(&answer))
    }

    fn asked(&self) -> u32 {
        self.asked.load(Ordering::Relaxed)
    }

    fn host(&self, timing: Timing) -> GitHub {
        let access = Access {
            api: self.address.parse().unwrap(),
            web: self.address.parse().unwrap(),
            repository: "octo/images".to_owned(),
            token: Some(Secret::new("hunter2")),
            network: Network::default(),
        };
        GitHub::new(access, timing).unwrap()
    }
}

/// An answer after which the connection is closed.
fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n{headers}\r\n{body}"
    )
}

/// Time limits that do not end a request on a slow machine.
fn patient() -> Timing {
    Timing {
        request: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        ..quick()
    }
}

#[tokio::test]
async fn what_would_be_the_same_again_is_asked_for_once() {
    let chunked = "HTTP/1.1 200 OK\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    let trailers = format!("{chunked}2\r\n[]\r\n0\r\n{}", "x-a: b\r\n".repeat(100_000));
    let long = format!("\"{}\"", "x".repeat(2 << 20));
    for (what, text, words) in [
        ("trailers without end", trailers, "chunk trailers"),
        (
            "chunk extensions without end",
            format!("{chunked}2;{}", "e".repeat(1 << 20)),
            "chunk extensions",
        ),
        (
            "a long error",
            answer("422 No", "", &long),
            "an answer of more than 1048576 bytes",
        ),
        (
            "a redirect to a file",
            answer("302 Found", "location: file:///etc/passwd\r\n", ""),
            "302",
        ),
        (
            "JSON of another form",
            answer("200 OK", "", "{\"id\": \"x\"}"),
            "has not the form",
        ),
        (
            "nothing but null",
            answer("200 OK", "", "null"),
            "has not the form",
        ),
        (
            "JSON that is nested too deeply",
            answer(
                "200 OK",
                "",
                &format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000)),
            ),
            "has not the form",
        ),
        (
            "JSON with a mistake",
            answer("200 OK", "", "{\"id\": 1,,}"),
            "has not the form",
        ),
        (
            "a refusal to read",
            answer("403 No", "", "{\"message\": \"Sorry\"}"),
            "Sorry (status 403)",
        ),
    ] {
        let server = Server::of(text);
        let failure = server
            .host(patient())
            .public_release("v1")
            .await
            .unwrap_err();
        assert!(!failure.is_passing(), "{what}: {failure:?}");
        assert!(failure.words().contains(words), "{what}: {failure:?}");
        assert_eq!(server.asked(), 1, "{what}");
    }
}

#[tokio::test]
async fn redirects_in_a_loop_are_followed_once() {
    let server = Server::start(|request, stream| {
        let path = request.split(' ').nth(1).unwrap();
        let next = format!("location: {path}x?signature=hunter2\r\n");
        stream.write_all(answer("302 Found", &next, "").as_bytes())
    });
    let failure = server
        .host(patient())
        .public_release("v1")
        .await
        .unwrap_err();
    assert!(
        failure.words().contains("more than ten redirects"),
        "{failure:?}"
    );
    assert!(!failure.words().contains("hunter2"), "{failure:?}");
    assert_eq!(server.asked(), 11);
}

#[tokio::test]
async fn a_body_that_was_cut_is_asked_for_again() {
    for text in [
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\nconnection: close\r\n\r\n[]".to_owned(),
        answer("200 OK", "", "{\"id\": 1, \"tag_"),
        answer("200 OK", "", "<!DOCTYPE html>"),
        answer("200 OK", "", ""),
    ] {
        let server = Server::of(text.clone());
        let failure = server
            .host(patient())
            .public_release("v1")
            .await
            .unwrap_err();
        assert!(failure.is_passing(), "{text}: {failure:?}");
        assert_eq!(server.asked(), 8, "{text}");
    }
}

#[tokio::test]
async fn a_connection_that_is_closed_is_told_in_plain_words() {
    let server = Server::start(|_, _| Ok(()));
    let failure = server
        .host(patient())
        .public_release("v1")
        .await
        .unwrap_err();
    let words = failure.words();
    assert!(words.starts_with("connection "), "{words}");
}

#[tokio::test]
async fn a_host_that_sends_only_interim_answers_is_asked_three_times() {
    let server = Server::start(|_, stream| {
        let mut stream = stream.try_clone()?;
        // Often enough that the connection is never idle, and seldom enough that reading keeps up.
        std::thread::spawn(move || {
            while stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Ok(())
    });
    let timing = Timing {
        retries: sysforge_net::Retries {
            stalls: Timing::default().retries.stalls,
            ..quick().retries
        },
        ..quick()
    };
    let host = server.host(timing);
    let failure = host.public_release("v1").await.unwrap_err();
    assert!(matches!(failure, Failure::Stalled(_)), "{failure:?}");
    assert_eq!(host.requests(), 3);
    let error = host.error("look for the release", failure);
    assert!(error.to_string().contains("in 3 attempts"), "{error}");
}

#[tokio::test]
async fn a_host_that_asks_for_no_wait_is_not_asked_without_a_pause() {
    let server = Server::of(answer("429 Busy", "retry-after: 0\r\n", ""));
    let timing = Timing {
        retries: sysforge_net::Retries {
            without_progress: 3,
            first_delay: Duration::from_millis(20),
            ..patient().retries
        },
        ..patient()
    };
    let host = server.host(timing);
    let started = std::time::Instant::now();
    let failure = host.public_release("v1").await.unwrap_err();
    assert!(started.elapsed() >= Duration::from_millis(60));
    let error = host.error("look for the release", failure);
    assert!(error.to_string().contains("in 3 attempts"), "{error}");
}

#[tokio::test]
async fn all_pages_of_a_list_have_one_limit() {
    let page = format!("[{}]", vec!["\"0123456789\""; 100].join(","));
    let server = Server::of(answer("200 OK", "", &page));
    let host = server.host(patient());
    let limit = page.len() * 4;
    let failure = host
        .pages_within::<String>("/repos/octo/images/releases", limit, |_| false)
        .await
        .unwrap_err();
    assert!(failure.words().contains("more than"), "{failure:?}");
    assert_eq!(server.asked(), 5);
}

#[tokio::test]
async fn a_lock_that_is_taken_but_never_listed_is_given_up() {
    let server = Server::start(|request, stream| {
        let text = match request.starts_with("POST") {
            true => answer(
                "422 No",
                "",
                "{\"message\":\"x\",\"errors\":[{\"code\":\"already_exists\"}]}",
            ),
            false => answer("200 OK", "", "[]"),
        };
        stream.write_all(text.as_bytes())
    });
    let release: Release = serde_json::from_value(serde_json::json!({
        "id": 1, "tag_name": "v1", "draft": true, "html_url": "",
        "upload_url": format!("{}/assets{{?name,label}}", server.address),
    }))
    .unwrap();
    let taken = server
        .host(patient())
        .take_lease(&release, &PublishJournal::unsaved(), &Reporter::silent())
        .await;
    let Err(NoLease::Error(error)) = taken else {
        panic!("the lock was taken");
    };
    assert!(error.to_string().contains("in 10 attempts"), "{error}");
}

#[tokio::test]
async fn a_file_that_no_release_can_have_is_not_downloaded_to_verify_it() {
    let server = Server::of(answer("200 OK", "", "x"));
    let failure = server
        .host(patient())
        .downloaded(1, u64::MAX)
        .await
        .unwrap_err();
    assert!(
        failure.words().contains("more than 2147483647 bytes"),
        "{failure:?}"
    );
    assert_eq!(server.asked(), 0);
}
