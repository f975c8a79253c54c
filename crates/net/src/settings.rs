//! The HTTP client and its settings: proxies, certificates, deadlines, retries. All of them are
//! values that the command line passes down.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, NoProxy, Proxy, redirect};
use url::Url;

use crate::body::Limits;
use crate::error::Error;
use crate::redact::{redacted, redacted_text};

/// How to reach the network.
#[derive(Debug, Clone)]
pub struct Network {
    /// Which proxy to use for what.
    pub proxies: Proxies,
    /// A file of PEM certificates that are trusted besides the platform's own, for companies
    /// that break TLS open.
    pub ca_file: Option<PathBuf>,
    /// PEM certificates that are trusted, too.
    pub extra_roots: Vec<Vec<u8>>,
    /// Do not touch the network at all.
    pub offline: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// An attempt has stalled when fewer than [`Network::stall_bytes`] come in this time.
    pub stall_time: Duration,
    /// See [`Network::stall_time`].
    pub stall_bytes: u64,
    /// How to try again.
    pub retries: Retries,
    /// How many connections fetch ranges of one file at once. One means: no ranges.
    pub connections: usize,
    /// The size of such a range, in bytes.
    pub range_bytes: u64,
}

/// Which proxy to use for what.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// What the operating system is set to.
    #[default]
    System,
    /// Exactly these.
    Explicit {
        /// For `http://` addresses.
        http: Option<String>,
        /// For `https://` addresses.
        https: Option<String>,
        /// Hosts that are reached without a proxy, in the form of `NO_PROXY`.
        except: Option<String>,
    },
}

/// How to try again after a failure that may pass.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// How many times in a row an attempt may fail without a single new byte.
    pub fruitless: u32,
    /// How many attempts there may be in all, however much each of them brings.
    pub total: u32,
    /// The first delay; each next one is about double.
    pub first_delay: Duration,
    /// The longest delay of our own.
    pub longest_delay: Duration,
    /// The longest `Retry-After` that is honoured by waiting. A server that asks for more gets
    /// its way: the attempt fails and says so.
    pub longest_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            fruitless: 6,
            total: 60,
            first_delay: Duration::from_millis(250),
            longest_delay: Duration::from_secs(20),
            longest_wait: Duration::from_secs(120),
        }
    }
}

impl Default for Network {
    fn default() -> Self {
        Self {
            proxies: Proxies::System,
            ca_file: None,
            extra_roots: Vec::new(),
            offline: false,
            connect_timeout: Duration::from_secs(20),
            // curl's `--speed-limit`/`--speed-time` in the same spirit: a line that brings less
            // than 1 KiB/s will not bring a Julia today.
            stall_time: Duration::from_secs(30),
            stall_bytes: 30 << 10,
            retries: Retries::default(),
            connections: 4,
            range_bytes: 4 << 20,
        }
    }
}

impl Network {
    /// Refuses to use the network under `--offline`.
    ///
    /// # Errors
    ///
    /// [`Error::Offline`], which names the address.
    pub fn check_online(&self, url: &Url) -> Result<(), Error> {
        match self.offline {
            true => Err(Error::Offline { url: redacted(url) }),
            false => Ok(()),
        }
    }

    /// How slowly a body may come.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            time: self.stall_time,
            bytes: self.stall_bytes,
        }
    }

    /// Sets up the client. It follows redirects, but never from https to http, and sends credentials
    /// and cookies of one host to no other.
    ///
    /// # Errors
    ///
    /// If a certificate file or a proxy address cannot be used.
    pub fn client(&self) -> Result<Client, Error> {
        // The provider of cryptography is a setting of the whole process. A second call fails,
        // and what the first one set is what is wanted.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("sysforge/", env!("CARGO_PKG_VERSION")))
            // HTTP/2 halves the throughput of one large file (measured by juliaup's authors), puts
            // concurrent ranges onto one connection, and its uploads can be refused in the middle
            // (`REFUSED_STREAM`).
            .http1_only()
            .pool_idle_timeout(Duration::from_secs(50))
            // An address may hold a signature, and is nobody else's business.
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .redirect(redirect::Policy::custom(follow));
        if let Some(path) = &self.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        for pem in &self.extra_roots {
            let unusable = |source| Error::Certificates {
                path: "SSL_CERT_FILE".into(),
                source,
            };
            let found =
                Certificate::from_pem_bundle(pem).map_err(|source| unusable(Some(source)))?;
            if found.is_empty() {
                return Err(unusable(None));
            }
            builder = builder.tls_certs_merge(found);
        }
        if let Proxies::Explicit {
            http,
            https,
            except,
        } = &self.proxies
        {
            builder = builder.no_proxy();
            let except = except.as_deref().and_then(NoProxy::from_string);
            let http = http
                .as_deref()
                .map(|address| (address, Proxy::http(address)));
            let https = https
                .as_deref()
                .map(|address| (address, Proxy::https(address)));
            for (address, proxy) in http.into_iter().chain(https) {
                let proxy = proxy.map_err(|source| Error::Proxy {
                    address: redacted_text(address),
                    source,
                })?;
                builder = builder.proxy(proxy.no_proxy(except.clone()));
            }
        }
        builder.build().map_err(Error::Client)
    }
}

fn certificates(path: &std::path::Path) -> Result<Vec<Certificate>, Error> {
    let pem = std::fs::read(path).map_err(|source| Error::File {
        path: path.to_owned(),
        source,
    })?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|source| Error::Certificates {
        path: path.to_owned(),
        source: Some(source),
    })?;
    if found.is_empty() {
        return Err(Error::Certificates {
            path: path.to_owned(),
            source: None,
        });
    }
    Ok(found)
}

/// Follows redirects, but never from https down to http.
fn follow(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let was_secure = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if was_secure && attempt.url().scheme() != "https" {
        attempt.error("a redirect from https to http is not followed")
    } else if attempt.previous().len() > 10 {
        attempt.error("more than ten redirects")
    } else {
        attempt.follow()
    }
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{Class, Explain};

    use super::*;

    #[test]
    fn an_address_that_is_no_proxys_is_said_without_its_password() {
        for (http, https) in [(true, false), (false, true)] {
            let address = Some("http://me:secret@bad host:1".to_owned());
            let network = Network {
                proxies: Proxies::Explicit {
                    http: address.clone().filter(|_| http),
                    https: address.filter(|_| https),
                    except: None,
                },
                ..Network::default()
            };
            let error = network.client().unwrap_err();
            assert_eq!(
                error.to_string(),
                "`…@bad host:1` is not the address of a proxy"
            );
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert_eq!(error.class(), Class::Usage);
            assert_eq!(error.hints(), ["a proxy looks like `http://HOST:PORT`"]);
        }
    }

    #[test]
    fn a_file_without_certificates_is_said_to_have_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("authority.pem");
        let error = certificates(&path).unwrap_err();
        assert!(matches!(error, Error::File { .. }));
        let garbage = "-----BEGIN CERTIFICATE-----\n????\n-----END CERTIFICATE-----\n";
        for text in ["", "no certificate", garbage] {
            std::fs::write(&path, text).unwrap();
            let network = Network {
                ca_file: Some(path.clone()),
                ..Network::default()
            };
            let error = network.client().unwrap_err();
            assert!(matches!(error, Error::Certificates { .. }), "{error:?}");
            assert!(error.to_string().contains("authority.pem"));
            assert_eq!(error.class(), Class::Usage);
            assert!(error.hints()[0].contains("-----BEGIN CERTIFICATE-----"));
        }
    }
}
