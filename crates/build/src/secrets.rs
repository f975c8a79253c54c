//! Secrets in the output of a child. Only the step that installs packages receives credentials;
//! they are replaced in the output of Pkg, git and curl before it is stored or shown.

use sysforge_process::Environment;

/// Shorter values are not replaced, because they would match everywhere.
const SHORTEST: usize = 6;

/// Returns the values that must not appear in any output: of variables with secrets, passwords in
/// addresses, and tokens of package servers in these texts of `auth.toml` files.
pub(crate) fn values(environment: &Environment, auth_files: &[String]) -> Vec<String> {
    let plain = Environment::new(environment.iter().map(|(n, v)| (n.into(), v.into())));
    let mut values = Vec::new();
    for (name, value) in environment.iter() {
        let Some(text) = value.to_str() else { continue };
        let inner = passwords(text);
        // A path refers to a secret, but is not secret itself.
        let is_path = text.starts_with(['/', '~', '.']) || text.contains(":\\");
        let is_secret = plain.get(&name.to_string_lossy()).is_none();
        if is_secret && inner.is_empty() && !is_path && !text.contains("://") {
            values.push(text.to_owned());
        }
        values.extend(inner);
    }
    for text in auth_files {
        let table: toml::Table = toml::from_str(text).unwrap_or_default();
        for key in ["access_token", "refresh_token", "id_token"] {
            let token = table.get(key).and_then(toml::Value::as_str);
            values.extend(token.map(str::to_owned));
        }
    }
    values.retain(|value| value.len() >= SHORTEST);
    // A value that contains another one is replaced first.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    values
}

/// Returns the text without logins in addresses: `https://USER:PASSWORD@HOST` or a token in place
/// of the user. Names of generic accounts stay, as in `ssh://git@host`.
pub fn without_logins(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(['/', ' ', '"', '\'', '?', '#', '\n']);
        let authority = &after[..end.unwrap_or(after.len())];
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        let is_secret = |login: &&str| login.contains(':') || login.len() >= 20;
        let skipped = login.filter(is_secret).map_or(0, |login| login.len() + 1);
        rest = &after[skipped..];
    }
    shown.push_str(rest);
    shown
}

/// Returns the passwords of addresses in a text, as in `https://user:password@host`, or tokens in
/// place of the user.
fn passwords(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("://") {
        let end = after.find(['/', ' ', '"', '\'', '?', '#']);
        let authority = &after[..end.unwrap_or(after.len())];
        if let Some((user, _)) = authority.rsplit_once('@') {
            match user.split_once(':') {
                Some((name, password)) => {
                    found.push(password.to_owned());
                    // `TOKEN:x-oauth-basic@host`.
                    found.extend((name.len() >= 20).then(|| name.to_owned()));
                }
                // In `ssh://git@host`, `git` is a generic account.
                None if user.len() >= 20 => found.push(user.to_owned()),
                None => {}
            }
        }
        rest = after;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

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
        ] {
            assert_eq!(without_logins(text), expected);
        }
    }

    #[test]
    fn the_values_of_secrets_are_known() {
        let variables = [
            ("JULIA_PKG_TOKEN", "tok-abcdef"),
            ("HTTPS_PROXY", "http://me:hunter22@proxy"),
            ("SSH_AUTH_SOCK", "/run/agent"),
            ("JULIA_PKG_SERVER", "https://pkg.example"),
            ("JULIA_PKG_PASSWORD", "abc"),
            ("PATH", "/usr/bin"),
        ];
        let variables = variables.map(|(name, value)| (name.into(), value.into()));
        let environment = Environment::for_package_manager(variables);
        let auth = ["access_token = \"server-12345\"\n".to_owned()];
        let found = values(&environment, &auth);
        assert_eq!(found, ["server-12345", "tok-abcdef", "hunter22"]);
    }
}
