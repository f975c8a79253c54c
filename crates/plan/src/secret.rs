//! Credentials that cannot be printed accidentally in an error, a log or a trace.

use std::fmt;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_does_not_show_in_debug_output() {
        let secret = Secret::new("ghp_hunter2\n");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
        assert_eq!(secret.reveal(), "ghp_hunter2");
    }
}
