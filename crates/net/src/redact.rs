//! Addresses without secrets, for messages, notes and logs.

use std::fmt;

use sysforge_plan::secret::SHORTEST_TOKEN;
use url::Url;

/// Returns the address without user, password, query and fragment, all of which may contain a
/// secret.
pub fn redacted(url: &Url) -> String {
    // In `user:password@host`, `user` is taken for a scheme.
    if url.cannot_be_a_base() {
        return without_parts(url.as_str());
    }
    let mut url = url.clone();
    // These calls fail only for addresses that cannot contain credentials.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// Returns whether this is the address of a web server, which always has a host.
pub fn is_web(url: &Url) -> bool {
    matches!(url.scheme(), "http" | "https")
}

/// Returns whether the address has a user name or a password.
pub fn has_login(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// Returns whether the address has a part that may be a secret of its user: a login, a query or a fragment.
/// Such an address is not written into published files or stored settings.
pub fn has_private_parts(url: &Url) -> bool {
    has_login(url) || url.query().is_some() || url.fragment().is_some()
}

/// An address for display. Its only text form is [`redacted`], so a trace or message that uses this
/// type cannot contain a secret.
#[derive(Clone, Copy)]
pub struct Address<'a>(pub &'a Url);

impl fmt::Display for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&redacted(self.0))
    }
}

impl fmt::Debug for Address<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Does the same as [`redacted`] for a text that is not a valid address: anything before an `@` or
/// after a `?` may be a secret.
pub fn redacted_text(text: &str) -> String {
    match text.parse::<Url>() {
        Ok(url) => redacted(&url),
        Err(_) => without_parts(text),
    }
}

fn without_parts(text: &str) -> String {
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        // A password may contain a question mark.
        Some((_, rest)) => format!("…@{}", rest.split(['?', '#']).next().unwrap_or_default()),
        None => shown.to_owned(),
    }
}

/// Returns what was typed where an address, or something shorter, is expected: without the login and the
/// query of an address. A tag or a version after an `@` stays.
pub fn typed(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    let is_address = !scheme.is_empty();
    let rest = match rest.rsplit_once('@') {
        // The name of a user may be a token.
        Some((login, rest))
            if is_address && !login.contains('/')
                || login.contains(':') && !login.starts_with("dir:")
                || login.len() >= SHORTEST_TOKEN && !login.contains('/') =>
        {
            format!("…@{rest}")
        }
        _ => rest.to_owned(),
    };
    match rest.find(['?', '#']) {
        Some(end) if is_address || rest.starts_with('…') => format!("{scheme}{}", &rest[..end]),
        _ => format!("{scheme}{rest}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_shown_without_a_login_and_a_query() {
        for (text, shown) in [
            ("s3://me:secret@bucket/prefix", "s3://…@bucket/prefix"),
            ("s3://bucket/prefix?sig=secret", "s3://bucket/prefix"),
            ("https://secret@github.com/o/r", "https://…@github.com/o/r"),
            ("http://me:sec?r/et@[bad", "http://…@[bad"),
            ("me:secret@host/path", "…@host/path"),
            ("me:secret@host/path?sig=secret", "…@host/path"),
            ("ghp_0123456789abcdefghij@host/path", "…@host/path"),
            ("octo/images@refs/heads/main", "octo/images@refs/heads/main"),
            ("s3://images/demo@..", "s3://images/demo@.."),
            ("dir:site@pkg@1", "dir:site@pkg@1"),
            ("git@host/path", "git@host/path"),
            ("is it?", "is it?"),
        ] {
            assert_eq!(typed(text), shown);
        }
    }

    #[test]
    fn login_and_query_are_removed() {
        for (address, shown) in [
            (
                "https://me:secret@host/julia?sig=secret#secret",
                "https://host/julia",
            ),
            ("https://host/a?X-Amz-Signature=secret", "https://host/a"),
            ("https://me:secret@bad host:1/?secret", "…@bad host:1/"),
            ("https://bad host/?secret", "https://bad host/"),
            ("https://me:sec?ret@bad host", "…@bad host"),
            ("me:secret@host:1/path", "…@host:1/path"),
        ] {
            assert_eq!(redacted_text(address), shown);
            if let Ok(url) = address.parse() {
                assert_eq!(
                    format!("{} {0:?}", Address(&url)),
                    format!("{shown} {shown}")
                );
            }
        }
    }
}
