//! The environment that children are started with, as a value. It is read once, by the command
//! line, and passed down; each kind of child gets the part of it that cannot change what is built.

use std::ffi::{OsStr, OsString};

/// The environment variables of a child process.
#[derive(Debug, Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

/// The `JULIA_*` variables that a Julia child keeps: where packages and their servers are. All
/// others (threads, colours, load paths, CPU targets, …) would make the result depend on who
/// builds.
const KEPT_OF_JULIA: &[&str] = &[
    "JULIA_DEPOT_PATH",
    "JULIA_PKG_SERVER",
    "JULIA_PKG_OFFLINE",
    "JULIA_PKG_USE_CLI_GIT",
    "JULIA_SSL_CA_ROOTS_PATH",
    "JULIA_SSH_KNOWN_HOSTS_PATH",
];

/// What a clean environment is made of: without these, programs do not start or find no place
/// for temporary files. The second line is Windows'.
const CLEAN: &[&str] = &[
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "TZ", //
    "SYSTEMROOT",
    "SYSTEMDRIVE",
    "USERPROFILE",
    "TEMP",
    "TMP",
    "COMSPEC",
    "PATHEXT",
    "WINDIR",
];

impl Environment {
    /// Takes over these variables.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            variables: variables.into_iter().collect(),
        }
    }

    /// The value of a variable. Names are compared as the host does: without regard to case on
    /// Windows.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .iter()
            .find(|(n, _)| is_named(n, name))
            .map(|(_, value)| value.as_os_str())
    }

    /// Sets a variable, replacing an older value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.retain(|(n, _)| !is_named(n, name));
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Removes a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(n, _)| !is_named(n, name));
        self
    }

    /// For a Julia that traces or emits: everything but the `JULIA_*` variables that change what
    /// Julia does, and the variables that make a dynamic loader load something else.
    #[must_use]
    pub fn for_julia(&self) -> Self {
        let keep = |name: &OsStr| {
            let name = name.to_string_lossy().to_uppercase();
            let foreign = name.starts_with("JULIA_") && !KEPT_OF_JULIA.contains(&&*name);
            !foreign && !name.starts_with("LD_") && !name.starts_with("DYLD_")
        };
        Self {
            variables: self
                .variables
                .iter()
                .filter(|(n, _)| keep(n))
                .cloned()
                .collect(),
        }
    }

    /// For checking an image: as little as possible.
    #[must_use]
    pub fn clean(&self) -> Self {
        let keep = |name: &OsStr| CLEAN.contains(&&*name.to_string_lossy().to_uppercase());
        Self {
            variables: self
                .variables
                .iter()
                .filter(|(n, _)| keep(n))
                .cloned()
                .collect(),
        }
    }

    /// The variables, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

fn is_named(have: &OsStr, name: &str) -> bool {
    if cfg!(windows) {
        have.to_string_lossy().eq_ignore_ascii_case(name)
    } else {
        have == OsStr::new(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment() -> Environment {
        Environment::new(
            [
                ("PATH", "/bin"),
                ("JULIA_LOAD_PATH", "/elsewhere"),
                ("JULIA_DEPOT_PATH", "/depot"),
                ("LD_PRELOAD", "evil.so"),
                ("GITHUB_TOKEN", "secret"),
            ]
            .map(|(name, value)| (name.into(), value.into())),
        )
    }

    #[test]
    fn julia_keeps_its_depot_but_not_what_changes_the_build() {
        let julia = environment().for_julia();
        assert_eq!(julia.get("JULIA_DEPOT_PATH"), Some(OsStr::new("/depot")));
        assert_eq!(julia.get("JULIA_LOAD_PATH"), None);
        assert_eq!(julia.get("LD_PRELOAD"), None);
    }

    #[test]
    fn a_clean_environment_carries_no_secret() {
        let clean = environment().clean();
        assert_eq!(clean.get("GITHUB_TOKEN"), None);
        assert_eq!(clean.get("PATH"), Some(OsStr::new("/bin")));
    }

    #[test]
    fn setting_replaces() {
        let environment = environment().with("PATH", "/usr/bin");
        assert_eq!(environment.get("PATH"), Some(OsStr::new("/usr/bin")));
        assert_eq!(
            environment
                .iter()
                .filter(|(name, _)| *name == "PATH")
                .count(),
            1
        );
    }
}
