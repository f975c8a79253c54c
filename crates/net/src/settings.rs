//! The settings of the HTTP client: proxies, certificates, timeouts, retries. The command line
//! passes all of them as values.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::{Certificate, Client, NoProxy, Proxy, redirect};
use url::Url;

use crate::body::Limits;
use crate::error::Error;
use crate::redact::{has_login, is_web, redacted, redacted_text};

/// How to reach the network.
#[derive(Debug, Clone)]
pub struct Network {
    /// The proxies to use.
    pub proxies: Proxies,
    /// A file of PEM certificates that are trusted in addition to the platform's own, for networks
    /// whose proxy intercepts TLS.
    pub ca_file: Option<PathBuf>,
    /// Additional trusted PEM certificates.
    pub extra_roots: Vec<Vec<u8>>,
    /// Whether the network must not be used.
    pub offline: bool,
    /// Timeout for opening a connection.
    pub connect_timeout: Duration,
    /// An attempt has stalled if fewer than [`Network::stall_bytes`] arrive in this time.
    pub stall_time: Duration,
    /// See [`Network::stall_time`].
    pub stall_bytes: u64,
    /// The rules for retries.
    pub retries: Retries,
    /// Number of connections that download ranges of one file at the same time. With 1, no ranges
    /// are requested.
    pub connections: usize,
    /// The size of such a range, in bytes.
    pub range_bytes: u64,
}

/// The proxies to use.
#[derive(Debug, Clone, Default)]
pub enum Proxies {
    /// The proxies configured in the operating system.
    #[default]
    System,
    /// Exactly these proxies.
    Explicit {
        /// For `http://` addresses.
        http: Option<String>,
        /// For `https://` addresses.
        https: Option<String>,
        /// Hosts to connect to directly, in the form of `NO_PROXY`.
        except: Option<String>,
    },
}

/// The rules for retries after transient failures.
#[derive(Debug, Clone, Copy)]
pub struct Retries {
    /// Maximum number of consecutive attempts without a new byte.
    pub without_progress: u32,
    /// Maximum number of attempts in total.
    pub total: u32,
    /// Maximum number of attempts that stall since the last new byte: each takes as long as
    /// [`Network::stall_time`].
    pub stalls: u32,
    /// The first delay; each further delay is about twice as long.
    pub first_delay: Duration,
    /// The maximum delay between attempts.
    pub longest_delay: Duration,
    /// The longest `Retry-After` to wait for. If a server asks for more, the attempt fails with an
    /// error that says so.
    pub longest_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            without_progress: 6,
            total: 60,
            stalls: 3,
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
            // Like curl's `--speed-limit` and `--speed-time`: below 1 KiB/s, downloading a Julia
            // would take more than a day.
            stall_time: Duration::from_secs(30),
            stall_bytes: 30 << 10,
            retries: Retries::default(),
            connections: 4,
            range_bytes: 4 << 20,
        }
    }
}

impl Network {
    /// Creates settings from environment variables: proxies and additional certificates. `variable`
    /// looks up a variable.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>, offline: bool) -> Self {
        let first = |names: &[&str]| {
            let mut values = names.iter().filter_map(|name| variable(name));
            values.find(|value| !value.is_empty())
        };
        let all = first(&["ALL_PROXY", "all_proxy"]);
        // As in curl, HTTP_PROXY in capitals is ignored: CGI servers set it from a header.
        let http = first(&["http_proxy"]).or_else(|| all.clone());
        let https = first(&["HTTPS_PROXY", "https_proxy"]).or(all);
        let proxies = match (&http, &https) {
            (None, None) => Proxies::System,
            _ => Proxies::Explicit {
                http,
                https,
                except: first(&["NO_PROXY", "no_proxy"]),
            },
        };
        Self {
            proxies,
            ca_file: first(&["SSL_CERT_FILE"]).map(PathBuf::from),
            offline,
            ..Self::default()
        }
    }

    /// Fails if `--offline` forbids using the network.
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

    /// Returns the minimum speed of a body.
    pub fn limits(&self) -> Limits {
        Limits {
            time: self.stall_time,
            bytes: self.stall_bytes,
        }
    }

    /// Creates the client. It follows redirects, but not from https to http, and does not send
    /// credentials or cookies to another host.
    ///
    /// # Errors
    ///
    /// If a certificate file or a proxy address is invalid.
    pub fn client(&self) -> Result<Client, Error> {
        self.client_with(redirect::Policy::custom(redirect_policy))
    }

    /// Creates a client that follows no redirects, for requests whose headers hold more than one that is
    /// known to be a secret: only known ones are left out for another host.
    ///
    /// # Errors
    ///
    /// Those of [`Network::client`].
    pub fn client_without_redirects(&self) -> Result<Client, Error> {
        self.client_with(redirect::Policy::none())
    }

    fn client_with(&self, redirects: redirect::Policy) -> Result<Client, Error> {
        // The cryptography provider is a setting of the whole process. A second call fails, which
        // is fine: it would set the same provider.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = Client::builder()
            .user_agent(concat!("sysforge/", env!("CARGO_PKG_VERSION")))
            // HTTP/2 halves the throughput of one large file (measured by juliaup's authors),
            // multiplexes concurrent ranges over one connection, and may refuse uploads midway
            // (`REFUSED_STREAM`).
            .http1_only()
            .pool_idle_timeout(Duration::from_secs(50))
            // An address may contain a signature, so do not send it as referrer.
            .referer(false)
            .connect_timeout(self.connect_timeout)
            .tcp_nodelay(true)
            .redirect(redirects);
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
            type Make = fn(Url) -> reqwest::Result<Proxy>;
            let proxies = [(http, Proxy::http as Make), (https, Proxy::https)];
            for (address, make) in proxies {
                let Some(address) = address else { continue };
                let invalid = || Error::Proxy {
                    address: redacted_text(address),
                };
                let url = proxy_url(address).ok_or_else(invalid)?;
                let proxy = make(url).map_err(|_| invalid())?;
                builder = builder.proxy(proxy.no_proxy(except.clone()));
            }
        }
        builder.build().map_err(Error::Client)
    }
}

/// Returns the address of a proxy, whose scheme may be missing. The HTTP library uses no proxy at all for
/// a scheme that it does not know.
fn proxy_url(address: &str) -> Option<Url> {
    let url: Url = match address.contains("://") {
        true => address.parse().ok()?,
        false => format!("http://{address}").parse().ok()?,
    };
    is_web(&url).then_some(url)
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

/// Follows redirects, but not from https to http, and not to an address with a login: it would not be used,
/// and would stand in traces.
fn redirect_policy(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let was_secure = attempt
        .previous()
        .last()
        .is_some_and(|url| url.scheme() == "https");
    if was_secure && attempt.url().scheme() != "https" {
        attempt.error("a redirect from https to http is not followed")
    } else if has_login(attempt.url()) {
        attempt.error("a redirect to an address with a user name is not followed")
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
    fn the_error_for_an_invalid_proxy_hides_its_password() {
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
            assert_eq!(error.to_string(), "`…@bad host:1` is not a proxy address");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
            assert_eq!(error.class(), Class::Usage);
            let hint = &error.hints()[0];
            assert!(
                hint.starts_with("HTTPS_PROXY, http_proxy or ALL_PROXY"),
                "{hint}"
            );
            let end =
                "`http://HOST:PORT`; proxies of other kinds, such as SOCKS, are not supported";
            assert!(hint.ends_with(end), "{hint}");
        }
    }

    #[test]
    fn an_address_that_is_no_proxy_is_refused_without_its_password() {
        for (address, shown) in [
            ("proxy:3128", None),
            ("me:secret@proxy:3128", None),
            ("https://proxy", None),
            ("ftp://proxy:9", Some("ftp://proxy:9/")),
            ("socks5://me:secret@proxy:9", Some("socks5://proxy:9")),
            ("file:///x", Some("file:///x")),
            ("me:secret@[bad", Some("…@[bad")),
        ] {
            let network = Network {
                proxies: Proxies::Explicit {
                    http: Some(address.to_owned()),
                    https: None,
                    except: None,
                },
                ..Network::default()
            };
            let error = network.client().err();
            let expected = shown.map(|shown| format!("`{shown}` is not a proxy address"));
            assert_eq!(error.map(|error| error.to_string()), expected, "{address}");
        }
    }

    #[test]
    fn a_file_without_certificates_is_refused() {
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
