//! Addresses as they may be shown, noted and logged.

use url::Url;

/// The address without user, password, query and fragment: all of them may hold a secret.
#[must_use]
pub fn redacted(url: &Url) -> String {
    let mut url = url.clone();
    // These fail only for addresses that cannot carry credentials.
    let _ = url.set_password(None);
    let _ = url.set_username("");
    url.set_query(None);
    url.set_fragment(None);
    url.to_string()
}

/// The same for what should have been an address: whatever is before an `@` or behind a `?` may be a
/// secret.
#[must_use]
pub fn redacted_text(text: &str) -> String {
    if let Ok(url) = text.parse::<Url>() {
        return redacted(&url);
    }
    let shown = text.split(['?', '#']).next().unwrap_or_default();
    match text.rsplit_once('@') {
        // A password may hold a question mark.
        Some((_, rest)) => format!("…@{}", rest.split(['?', '#']).next().unwrap_or_default()),
        None => shown.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_login_nor_query_is_shown() {
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
        }
    }
}
