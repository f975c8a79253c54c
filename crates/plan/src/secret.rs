//! A credential that cannot be printed by mistake: in an error, a log or a trace.

use std::fmt;

/// A credential. `Debug` hides it, and there is no `Display`: only [`Secret::reveal`] exposes it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a credential, without the white space that files and variables often end in.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.trim().to_owned())
    }

    /// The credential itself, for where it is sent and nothing else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether it is the token of an installed GitHub app, such as Actions, by its prefix.
    #[must_use]
    pub fn is_of_app(&self) -> bool {
        self.0.starts_with("ghs_")
    }

    /// Whether there is nothing in it.
    #[must_use]
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
