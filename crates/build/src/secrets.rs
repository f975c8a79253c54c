//! Secrets in the output of a child. Only the step that installs packages receives credentials;
//! they are replaced in the output of Pkg, git and curl before it is stored or shown.

use sysforge_plan::secret::logins;
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
        let inner: Vec<&str> = logins(text).flat_map(|login| login.secrets()).collect();
        // A path refers to a secret, but is not secret itself.
        let is_path = text.starts_with(['/', '~', '.']) || text.contains(":\\");
        let is_secret = plain.get(&name.to_string_lossy()).is_none();
        if is_secret && inner.is_empty() && !is_path && !text.contains("://") {
            values.push(text.to_owned());
        }
        values.extend(inner.into_iter().map(str::to_owned));
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
