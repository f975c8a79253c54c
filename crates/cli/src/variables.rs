//! The environment variables of Sysforge itself, secrets included. They are read once and never
//! passed on to a child: children get a [`sysforge_process::Environment`].

use std::ffi::{OsStr, OsString};

/// See the module. Has no `Debug`, so that no value can be printed by accident.
pub(crate) struct Variables(Vec<(OsString, OsString)>);

impl Variables {
    /// Those that Sysforge was started with.
    pub(crate) fn of_this_process() -> Self {
        Self(std::env::vars_os().collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let is_named = |have: &OsStr| match cfg!(windows) {
            true => have.to_string_lossy().eq_ignore_ascii_case(name),
            false => have == OsStr::new(name),
        };
        self.0
            .iter()
            .find(|(have, _)| is_named(have))
            .map(|(_, value)| value.as_os_str())
    }

    /// The value of a variable, if it is set to some text.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        let value = self.get(name)?.to_str()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (OsString, OsString)> + '_ {
        self.0.iter().cloned()
    }
}
