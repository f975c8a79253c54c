//! The permissions of the files that children create.

/// Takes the right to write new files from everybody but their owner, for this process and its
/// children, if the umask would give it to everybody: Julia creates the packages of a depot with the
/// umask. A umask that lets a group write is a decision of its user, and is kept.
#[cfg(unix)]
pub fn restrict_umask() {
    use rustix::fs::Mode;
    use rustix::process::umask;
    let given = umask(Mode::WGRP | Mode::WOTH);
    if given.contains(Mode::WOTH) {
        umask(given);
    } else {
        umask(given | Mode::WGRP | Mode::WOTH);
    }
}

/// Does nothing: only Unix has a umask.
#[cfg(not(unix))]
pub fn restrict_umask() {}
