//! The environment of child processes, as a value. The command line creates it once, and each kind
//! of child receives only the variables that cannot change the result of a build.
//!
//! Secrets are removed when the value is created, so no later step can pass one on: Sysforge cannot
//! control what a child does with its environment or prints.

use std::ffi::{OsStr, OsString};
use std::fmt;

use sysforge_plan::secret::has_private_address;

/// The environment variables of a child process.
#[derive(Clone, Default)]
pub struct Environment {
    variables: Vec<(OsString, OsString)>,
}

/// The `JULIA_*` variables that a Julia child keeps: the locations of packages and package servers.
/// All others (threads, colours, load paths, CPU targets, …) would make the result depend on the
/// user's settings.
const KEPT_JULIA_VARIABLES: &[&str] = &[
    "JULIA_DEPOT_PATH",
    "JULIA_PKG_SERVER",
    "JULIA_PKG_OFFLINE",
    "JULIA_PKG_USE_CLI_GIT",
    "JULIA_SSL_CA_ROOTS_PATH",
    "JULIA_SSH_KNOWN_HOSTS_PATH",
];

/// Prefixes of the other variables that Pkg and its downloads read.
const READ_BY_PKG: &[&str] = &[
    "JULIA_PKG_",
    "JULIA_SSL_",
    "JULIA_SSH_",
    "JULIA_NO_VERIFY_HOSTS",
    "JULIA_ALWAYS_VERIFY_HOSTS",
    "JULIA_ARTIFACT_",
    "JULIA_NUM_PRECOMPILE_TASKS",
];

/// The variables of a clean environment: without these, programs do not start or find no folder for
/// temporary files. The second line is for Windows.
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

/// Variables whose names contain one of these words are secrets.
const SECRET_WORDS: &[&str] = &[
    "TOKEN",
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "APIKEY",
    "PRIVATE_KEY",
];

/// Variables whose names end like this are secrets.
const SECRET_SUFFIXES: &[&str] = &["_KEY", "_PASS", "_PWD", "_PAT", "_AUTH", "_JWT"];

/// Prefixes of the variables of Slurm, PBS, LSF, Flux, PMI, Open MPI and Intel MPI.
const OF_JOBS: &[&str] = &[
    "SLURM_", "SBATCH_", "SRUN_", "PBS_", "LSB_", "FLUX_", "PMI_", "PMIX_", "OMPI_", "PRTE_",
    "I_MPI_",
];

/// Variables with these prefixes are meant for Sysforge and the runner's own actions, or give
/// access to a cloud.
const SECRET_PREFIXES: &[&str] = &[
    "SYSFORGE_",
    "ACTIONS_",
    "AWS_",
    "AZURE_",
    "ARM_",
    "VAULT_",
    // Settings of git, among them headers with credentials.
    "GIT_CONFIG_COUNT",
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "GIT_CONFIG_PARAMETERS",
];

/// Variables that lead to secrets (agents, files, programs that ask for a password), and the files
/// through which a CI runner receives values for later steps.
const SECRET_NAMES: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "GIT_ASKPASS",
    "GPG_AGENT_INFO",
    "NETRC",
    "KUBECONFIG",
    "DOCKER_AUTH_CONFIG",
    "PGPASSFILE",
    "GITHUB_OUTPUT",
    "GITHUB_ENV",
    "GITHUB_PATH",
    "GITHUB_STATE",
    "GITHUB_STEP_SUMMARY",
];

/// The variables that the package manager and the git and ssh processes that it starts need to log
/// in. See [`Environment::for_package_manager`].
const PACKAGE_MANAGER_LOGIN: &[&str] = &[
    "SSH_AUTH_SOCK",
    "SSH_AGENT_PID",
    "SSH_ASKPASS",
    "SSH_ASKPASS_REQUIRE",
    "SSH_KEY_PATH",
    "SSH_PUB_KEY_PATH",
    "SSH_KEY_NAME",
    "SSH_KEY_PASS",
    "GIT_ASKPASS",
    "NETRC",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
];

impl Environment {
    /// Creates an environment from these variables, without secrets. A variable is a secret because
    /// of its name, or because its value is an address with a password or a signature.
    pub fn new(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        Self {
            variables: variables
                .into_iter()
                .filter(|(name, value)| !is_secret(name, value))
                .collect(),
        }
    }

    /// Like [`Environment::new`], but keeps the credentials of the package manager, for the step
    /// that installs packages.
    pub fn for_package_manager(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Self {
        let is_login = |name: &OsStr| {
            let name = upper(name);
            let prefixes = ["JULIA_PKG_", "GIT_CONFIG_"];
            prefixes.iter().any(|start| name.starts_with(start))
                || PACKAGE_MANAGER_LOGIN.contains(&&*name)
        };
        Self {
            variables: variables
                .into_iter()
                .filter(|(name, value)| is_login(name) || !is_secret(name, value))
                .collect(),
        }
    }

    /// Returns the value of a variable. On Windows, names are case-insensitive.
    pub fn get(&self, name: &str) -> Option<&OsStr> {
        self.variables
            .iter()
            .find(|(n, _)| is_named(n, name))
            .map(|(_, value)| value.as_os_str())
    }

    /// Sets a variable, and replaces an existing value.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.variables.retain(|(n, _)| !is_named(n, name));
        self.variables.push((name.into(), value.into()));
        self
    }

    /// Sets several variables.
    #[must_use]
    pub fn with_all<'a>(self, all: impl IntoIterator<Item = (&'a String, &'a String)>) -> Self {
        let with = |environment: Self, (name, value): (&'a String, &'a String)| {
            environment.with(name, value)
        };
        all.into_iter().fold(self, with)
    }

    /// Removes a variable.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(n, _)| !is_named(n, name));
        self
    }

    /// Returns the environment of a Julia that traces or emits: without the `JULIA_*` variables
    /// that change what Julia does, and without the variables that make the dynamic loader load
    /// other libraries.
    pub fn for_julia(&self) -> Self {
        self.only(|name| is_for_julia(name, |name| KEPT_JULIA_VARIABLES.contains(&name)))
    }

    /// Returns the environment of a Julia that installs packages: like [`Environment::for_julia`],
    /// with all settings that Pkg and its downloads read.
    pub fn for_pkg(&self) -> Self {
        let is_kept = |name: &str| {
            KEPT_JULIA_VARIABLES.contains(&name)
                || READ_BY_PKG.iter().any(|start| name.starts_with(start))
        };
        self.only(|name| is_for_julia(name, is_kept))
    }

    /// Returns the minimal environment in which an image is checked.
    pub fn clean(&self) -> Self {
        self.only(|name| CLEAN.contains(&name))
    }

    /// Returns the same for a program started by a launcher of parallel jobs (`srun`, `mpirun`),
    /// with the variables that identify the job to the launcher.
    pub fn clean_in_job(&self) -> Self {
        self.only(|name| {
            CLEAN.contains(&name) || OF_JOBS.iter().any(|prefix| name.starts_with(prefix))
        })
    }

    /// Returns the variables whose upper-case names `keep` accepts.
    fn only(&self, keep: impl Fn(&str) -> bool) -> Self {
        let variables = self.variables.iter();
        let kept = variables.filter(|(name, _)| keep(&upper(name)));
        Self {
            variables: kept.cloned().collect(),
        }
    }

    /// Returns the variables, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&OsStr, &OsStr)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_os_str(), value.as_os_str()))
    }
}

/// Shows only the names: values may be secret.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.variables.iter().map(|(name, _)| name);
        f.debug_list().entries(names).finish()
    }
}

/// Returns whether a Julia receives a variable: only those `JULIA_*` variables that `is_kept`
/// accepts, and none that makes the dynamic loader load other libraries.
fn is_for_julia(name: &str, is_kept: impl Fn(&str) -> bool) -> bool {
    let is_foreign = name.starts_with("JULIA_") && !is_kept(name);
    !is_foreign && !name.starts_with("LD_") && !name.starts_with("DYLD_")
}

/// Returns the name in upper case: Windows ignores case, and a secret is secret in any spelling.
fn upper(name: &OsStr) -> String {
    name.to_string_lossy().to_uppercase()
}

fn is_secret(name: &OsStr, value: &OsStr) -> bool {
    let (name, value) = (upper(name), value.to_string_lossy());
    SECRET_NAMES.contains(&&*name)
        || SECRET_WORDS.iter().any(|word| name.contains(word))
        || SECRET_SUFFIXES.iter().any(|ending| name.ends_with(ending))
        || SECRET_PREFIXES.iter().any(|start| name.starts_with(start))
        || has_private_address(&value)
        || is_proxy_with_login(&name, &value)
}

/// Returns whether a variable names a proxy with a login; the scheme may be missing.
fn is_proxy_with_login(name: &str, value: &str) -> bool {
    name.ends_with("_PROXY") && name != "NO_PROXY" && value.contains('@')
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
    fn julia_keeps_its_depot_but_no_variable_that_changes_the_build() {
        let julia = environment().for_julia();
        assert_eq!(julia.get("JULIA_DEPOT_PATH"), Some(OsStr::new("/depot")));
        assert_eq!(julia.get("JULIA_LOAD_PATH"), None);
        assert_eq!(julia.get("LD_PRELOAD"), None);
    }

    #[test]
    fn secrets_are_removed_when_the_environment_is_made() {
        for name in [
            "GITHUB_TOKEN",
            "GH_TOKEN",
            "gh_token",
            "SYSFORGE_SIGN_PASSWORD",
            "SYSFORGE_SIGN_KEY",
            "SYSFORGE_MIRROR",
            "ACTIONS_ID_TOKEN_REQUEST_URL",
            "ACTIONS_RUNTIME_URL",
            "AWS_ACCESS_KEY_ID",
            "AWS_PROFILE",
            "NPM_CONFIG__AUTH",
            "MY_SECRET",
            "MINISIGN_PASSPHRASE",
            "DOCUMENTER_KEY",
            "SSH_AUTH_SOCK",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GITHUB_ENV",
        ] {
            let made = Environment::new([(name.into(), "x".into())]);
            assert_eq!(made.iter().count(), 0, "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "KEYBOARD",
            "JULIA_DEPOT_PATH",
            "CC",
            "OPENBLAS_NUM_THREADS",
        ] {
            let made = Environment::new([(name.into(), "x".into())]);
            assert_eq!(made.iter().count(), 1, "{name}");
        }
    }

    #[test]
    fn addresses_with_credentials_are_removed() {
        for (value, is_secret) in [
            ("https://me:secret@proxy:3128", true),
            ("http://:secret@proxy", true),
            ("https://ghp_0123456789abcdefghij@github.com/o/r", true),
            ("https://store.example/julia?sig=abc&se=2026", true),
            ("https://store.example/julia?X-Amz-Signature=abc", true),
            ("a=http://plain, b=https://me:secret@host/", true),
            ("http://me:sec,re;t@proxy:3128", true),
            ("https://host/?page=1;sig=abc", true),
            ("https://host/#access_token=abc", true),
            ("http://proxy:3128", false),
            ("ssh://git@host/r.git", false),
            ("https://pkg.julialang.org", false),
            ("https://host/?page=2", false),
            ("/usr/bin:/bin", false),
        ] {
            let made = Environment::new([("JULIA_PKG_SERVER".into(), value.into())]);
            assert_eq!(made.iter().count() == 0, is_secret, "{value}");
        }
    }

    #[test]
    fn a_proxy_with_a_login_and_without_a_scheme_and_settings_of_git_are_removed() {
        for (name, value, is_secret) in [
            ("http_proxy", "me:secret@proxy:3128", true),
            ("ALL_PROXY", "token@proxy", true),
            ("https_proxy", "proxy:3128", false),
            ("no_proxy", "a@b", false),
            ("GIT_CONFIG_VALUE_0", "AUTHORIZATION: basic abc", true),
            ("GIT_CONFIG_GLOBAL", "/dev/null", false),
        ] {
            let made = Environment::new([(name.into(), value.into())]);
            assert_eq!(made.iter().count() == 0, is_secret, "{name}");
        }
    }

    #[test]
    fn the_package_manager_keeps_its_own_login_and_no_other() {
        let made = Environment::for_package_manager(
            [
                ("JULIA_PKG_SERVER", "https://me:secret@packages"),
                ("SSH_AUTH_SOCK", "/run/agent"),
                ("https_proxy", "http://me:secret@proxy"),
                ("GITHUB_TOKEN", "x"),
                ("SYSFORGE_SIGN_PASSWORD", "x"),
            ]
            .map(|(name, value)| (name.into(), value.into())),
        );
        let names: Vec<_> = made.iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["JULIA_PKG_SERVER", "SSH_AUTH_SOCK", "https_proxy"]);
    }

    #[test]
    fn the_debug_form_shows_no_value() {
        let shown = format!("{:?}", Environment::default().with("NAME", "value"));
        assert!(
            shown.contains("NAME") && !shown.contains("value"),
            "{shown}"
        );
    }

    #[test]
    fn a_clean_environment_contains_no_secret() {
        let clean = environment().clean();
        assert_eq!(clean.get("GITHUB_TOKEN"), None);
        assert_eq!(clean.get("PATH"), Some(OsStr::new("/bin")));
    }

    #[test]
    fn a_clean_environment_in_a_job_has_the_variables_of_its_launcher() {
        let environment = environment()
            .with("SLURM_JOB_ID", "17")
            .with("PMI_RANK", "0")
            .with("EDITOR", "vi");
        let job = environment.clean_in_job();
        assert_eq!(job.get("SLURM_JOB_ID"), Some(OsStr::new("17")));
        assert_eq!(job.get("PMI_RANK"), Some(OsStr::new("0")));
        assert_eq!(job.get("PATH"), Some(OsStr::new("/bin")));
        for name in ["EDITOR", "GITHUB_TOKEN"] {
            assert_eq!(job.get(name), None);
        }
        assert_eq!(environment.clean().get("SLURM_JOB_ID"), None);
    }

    #[test]
    fn setting_a_variable_replaces_its_value() {
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
