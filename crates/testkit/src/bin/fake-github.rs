//! The fake GitHub as a program, for scripts that test real clients with it.
//!
//! `fake-github [--port N] [--latency-ms N] [--lag-ms N] [--tls HOST] [--record FILE] [--directory
//! DIR] [--repository OWNER/NAME] [--one-port true] [--ready FILE]` runs until it is killed.
//! `--ready` names a file into which it writes one line with the API's URL once it listens; with
//! `--tls` it writes the certificate to the same path with the extension `pem`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sysforge_testkit::github::{FakeGitHub, Options};

type Outcome = Result<(), Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fake-github: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let mut options = Options::default();
    let mut ready: Option<PathBuf> = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{argument} requires a value"))?;
        match argument.as_str() {
            "--port" => options.port = value.parse()?,
            "--latency-ms" => options.latency = Duration::from_millis(value.parse()?),
            "--lag-ms" => options.lag = Duration::from_millis(value.parse()?),
            "--tls" => options.tls = Some(value),
            "--record" => options.record = Some(value.into()),
            "--directory" => options.directory = Some(value.into()),
            "--repository" => options.repository = value,
            "--one-port" => options.one_port = value.parse()?,
            "--ready" => ready = Some(value.into()),
            _ => return Err(format!("unknown option {argument}").into()),
        }
    }
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(serve(options, ready.as_deref()))
}

async fn serve(options: Options, ready: Option<&Path>) -> Outcome {
    let github = FakeGitHub::start(options).await?;
    if let Some(ready) = ready {
        if let Some(certificate) = github.certificate() {
            std::fs::write(ready.with_extension("pem"), certificate)?;
        }
        let partial = ready.with_extension("partial");
        std::fs::write(&partial, format!("{}\n", github.api_url()))?;
        std::fs::rename(partial, ready)?;
    }
    std::future::pending::<()>().await;
    Ok(())
}
