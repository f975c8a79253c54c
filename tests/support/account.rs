//! A user account for tests, with an empty home folder.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A user account created by this test, with an empty home folder.
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) home: PathBuf,
}

impl Account {
    /// `None` if this user may not create accounts.
    pub(crate) fn new() -> Option<Self> {
        let root = Command::new("id").arg("-u").output().ok()?.stdout == b"0\n";
        let name = format!("sysforge{}", std::process::id());
        let home = std::env::temp_dir().join(format!("home-of-{name}"));
        let made = root
            && Command::new("useradd")
                .args(["--create-home", "--home-dir"])
                .arg(&home)
                .arg(&name)
                .stderr(std::process::Stdio::null())
                .status()
                .is_ok_and(|status| status.success());
        made.then_some(Self { name, home })
    }

    /// Runs a program as this user, without the settings of the current one.
    pub(crate) fn run(
        &self,
        program: &Path,
        args: &[&str],
        folder: &Path,
    ) -> (bool, String, String) {
        let output = Command::new("runuser")
            .args(["-u", &self.name, "--", "env", "-i", "PATH=/usr/bin:/bin"])
            .arg(format!("HOME={}", self.home.display()))
            .arg(format!(
                "SYSFORGE_MIRROR={}",
                crate::support::mirror().display()
            ))
            .arg(program)
            .args(args)
            .current_dir(folder)
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (
            output.status.success(),
            text(&output.stdout),
            text(&output.stderr),
        )
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let removed = Command::new("userdel")
            .args(["--remove", &self.name])
            .output();
        if let Err(error) = removed {
            eprintln!("the account {} stays: {error}", self.name);
        }
    }
}
