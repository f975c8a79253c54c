//! Addresses without secrets, for messages, notes and logs.

use std::fmt;

use url::Url;

/// Returns the address without user, password, query and fragment, all of which may contain a
/// secret.
pub fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    // These calls fail only for addresses that cannot contain credentials.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
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
    if let Ok(url) = text.parse::<Url>() {
        return redacted(&url);
    }
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        // A password may contain a question mark.
        Some((_, rest)) => format!("…@{}", rest.split(['?', '#']).next().unwrap_or_default()),
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
