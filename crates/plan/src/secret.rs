//! Credentials that cannot be printed accidentally in an error, a log or a trace, and the logins in
//! addresses.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

/// A credential. `Debug` hides it, and there is no `Display`: only [`Secret::reveal`] exposes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential, without surrounding white space, in which files and variables often end.
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// Returns the credential, only for sending it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Returns whether this is the token of a GitHub app, such as Actions, judging by its prefix.
    pub fn is_of_app(&self) -> bool {
        self.0.starts_with("ghs_")
    }

    /// Returns whether the credential is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// A user name of this length is a token. A shorter one without a password, as in
/// `ssh://git@host`, is a generic account.
pub const SHORTEST_TOKEN: usize = 20;

/// A login in an address: `USER:PASSWORD` or a token, as in `https://TOKEN@host`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login<'a> {
    /// The place of the login and the `@` after it, in bytes of the text.
    pub range: Range<usize>,
    user: &'a str,
    password: Option<&'a str>,
}

impl<'a> Login<'a> {
    /// Returns the secret parts: the password, and the user name if it is a token
    /// (`TOKEN:x-oauth-basic@host`).
    pub fn secrets(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let token = (self.user.len() >= SHORTEST_TOKEN).then_some(self.user);
        self.password.into_iter().chain(token)
    }
}

/// Returns the logins in the addresses of a text, without the names of generic accounts.
pub fn logins(text: &str) -> impl Iterator<Item = Login<'_>> {
    text.match_indices("://").filter_map(|(at, separator)| {
        let start = at + separator.len();
        let rest = &text[start..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"".contains(c));
        let (login, _) = rest[..end.unwrap_or(rest.len())].rsplit_once('@')?;
        let (user, password) = match login.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (login, None),
        };
        let range = start..start + login.len() + 1;
        (password.is_some() || user.len() >= SHORTEST_TOKEN).then_some(Login {
            range,
            user,
            password,
        })
    })
}

/// Returns the text without the logins in its addresses.
pub fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for login in logins(text) {
        shown.push_str(&text[end..login.range.start]);
        end = login.range.end;
    }
    shown.push_str(&text[end..]);
    shown
}

/// The names of parameters that grant access to anyone who has the address.
const SIGNATURE_PARAMETERS: &[&str] = &[
    "sig",
    "token",
    "key",
    "secret",
    "password",
    "auth",
    "credential",
];

/// Returns the queries and fragments with a signature or a token in the addresses of a text, as places
/// in bytes, with the `?` or `#`.
fn signatures(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, _)| {
        let rest = &text[at..];
        let end = rest.find(|c: char| c.is_whitespace() || "\"`\\".contains(c));
        let address = &rest[..end.unwrap_or(rest.len())];
        let start = address.find(['?', '#'])?;
        let mut parameters = address[start + 1..].split(['&', ';', '?', '#']);
        let is_signed = parameters.any(|parameter| {
            let name = parameter.split('=').next().unwrap_or_default();
            let name = name.to_lowercase();
            SIGNATURE_PARAMETERS.iter().any(|word| name.contains(word))
        });
        is_signed.then(|| at + start..at + address.len())
    })
}

/// Returns whether a text contains an address with a login, or with a signature or a token in its query
/// or fragment.
pub fn has_private_address(text: &str) -> bool {
    logins(text).next().is_some() || signatures(text).next().is_some()
}

/// Returns the text for display: what is private in its addresses is replaced by `…`. The place holder
/// of hints, `USER:PASSWORD`, stays.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains("://") {
        return text.into();
    }
    let logins = logins(text).map(|login| login.range.start..login.range.end - 1);
    let mut private: Vec<_> = logins
        .filter(|range| &text[range.clone()] != "USER:PASSWORD")
        .chain(signatures(text).map(|range| range.start + 1..range.end))
        .collect();
    private.sort_by_key(|range| range.start);
    let mut shown = String::with_capacity(text.len());
    let mut end = 0;
    for range in private.into_iter() {
        if range.start >= end {
            shown.push_str(&text[end..range.start]);
            shown.push('…');
            end = range.end;
        }
    }
    shown.push_str(&text[end..]);
    shown.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private_in_an_address_is_not_shown() {
        for (text, expected) in [
            (
                "`http://me:pw@h/x?sig=abc` is no version",
                "`http://…@h/x?…` is no version",
            ),
            (
                "{\"url\": \"https://h/#access_token=abc\"}",
                "{\"url\": \"https://h/#…\"}",
            ),
            ("https://h/?X=1;sig=abc and more", "https://h/?… and more"),
            ("https://h/?page=2#top", "https://h/?page=2#top"),
            (
                "write https://USER:PASSWORD@HOST",
                "write https://USER:PASSWORD@HOST",
            ),
            ("https://…@h/x", "https://…@h/x"),
            ("ssh://git@host", "ssh://git@host"),
            ("no address: me@here?sig=1", "no address: me@here?sig=1"),
        ] {
            assert_eq!(shown(text), expected);
            let is_private = text != expected || text.contains("PASSWORD");
            assert_eq!(has_private_address(text), is_private, "{text}");
        }
    }

    #[test]
    fn addresses_are_shown_without_logins() {
        for (text, expected) in [
            ("https://a/b", "https://a/b"),
            ("x = \"https://me:pw@a/b\"", "x = \"https://a/b\""),
            ("https://ghp_0123456789abcdefghij@a/b", "https://a/b"),
            (
                "ssh://git@a/b and https://u:p@c",
                "ssh://git@a/b and https://c",
            ),
            ("https://a/@b:c", "https://a/@b:c"),
            ("http://me:a,b;c'd@proxy", "http://proxy"),
            ("https://me:pw@a,https://me:pw@b", "https://a,https://b"),
            ("https://", "https://"),
        ] {
            assert_eq!(without_logins(text), expected);
        }
    }

    #[test]
    fn passwords_and_tokens_are_secret_and_account_names_are_not() {
        let token = "ghp_0123456789abcdefghij";
        for (text, secrets) in [
            ("http://me:hunter22@proxy".to_owned(), vec!["hunter22"]),
            (format!("https://{token}@host"), vec![token]),
            (
                format!("https://{token}:x-oauth-basic@host"),
                vec!["x-oauth-basic", token],
            ),
            ("ssh://git@host https://host".to_owned(), vec![]),
        ] {
            let found: Vec<&str> = logins(&text).flat_map(|login| login.secrets()).collect();
            assert_eq!(found, secrets, "{text}");
        }
    }

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = Secret::new("ghp_hunter2\n");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.reveal(), "ghp_hunter2");
    }
}
