//! Secrets in what a child prints. The step that installs packages is the only one that is given
//! credentials; what Pkg, git and curl print of them is replaced before it is kept or shown.

use sysforge_process::Environment;

/// Shorter values are not replaced: they would be found everywhere.
const SHORTEST: usize = 6;

/// The values that must not appear in any output: of variables that hold secrets, the passwords in
/// addresses, and the tokens of package servers in these texts of `auth.toml` files.
pub(crate) fn values(environment: &Environment, auth_files: &[String]) -> Vec<String> {
    let plain = Environment::new(environment.iter().map(|(n, v)| (n.into(), v.into())));
    let mut values = Vec::new();
    for (name, value) in environment.iter() {
        let Some(text) = value.to_str() else { continue };
        let inner = passwords(text);
        // A path leads to a secret, and is none itself.
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

/// The passwords of the addresses in a text: of `https://user:password@host`, and a token that stands
/// where the user would.
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
                // `ssh://git@host` names an account that everybody has.
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
