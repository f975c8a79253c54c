//! A small disk that can be filled.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A tmpfs of this size, if this user may mount one (CI runs as root).
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    /// Mounts it at a folder.
    pub(crate) fn new(path: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        if mount(path, &format!("size={size}")) {
            return Some(Self(path.to_owned()));
        }
        sysforge_testkit::skip("a full disk needs the right to mount a tmpfs");
        None
    }

    /// Changes its size.
    #[allow(
        dead_code,
        clippy::allow_attributes,
        reason = "not every test that has this module needs it"
    )]
    pub(crate) fn resize(&self, size: &str) {
        assert!(mount(&self.0, &format!("remount,size={size}")));
    }
}

fn mount(path: &Path, options: &str) -> bool {
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", options, "tmpfs"])
        .arg(path)
        .stderr(Stdio::null())
        .status();
    mounted.is_ok_and(|status| status.success())
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}
