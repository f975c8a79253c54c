//! Unix pseudo-terminals. The child's input and output are the user's side; its controlling
//! terminal does not change.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::{FdFlags, fcntl_setfd, ioctl_fionbio};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, Winsize, tcgetattr, tcsetattr, tcsetwinsize};
use tokio::net::unix::pipe::Receiver;

/// The default size of a terminal in lines and columns. Julia assumes the same if the size is
/// unknown.
const SIZE: Winsize = Winsize {
    ws_row: 24,
    ws_col: 80,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// The character that ends the input (Ctrl-D), and how many times it is sent: a program may read
/// several times, and there is no other input.
const CTRL_D: u8 = 4;
const CTRL_D_COUNT: usize = 256;

/// The controlling side of a terminal, from which a program's output is read, like from a pipe.
/// When no process has the user's side open any more, reading fails (`EIO` on Linux) or returns
/// nothing (macOS).
pub(super) type Controller = Receiver;

/// Opens a terminal in which `typed` has been typed, and returns the controlling side and the
/// user's side for a child. With typed keys it is in raw mode, so that the child receives all of
/// them, including control characters.
pub(super) fn open(typed: &str) -> io::Result<(Controller, OwnedFd)> {
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY)?;
    // `openpt` on macOS does not support this flag.
    fcntl_setfd(&controller, FdFlags::CLOEXEC)?;
    grantpt(&controller)?;
    unlockpt(&controller)?;
    let name = ptsname(&controller, Vec::new())?;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let user = rustix::fs::open(name, flags, Mode::empty())?;
    tcsetwinsize(&user, SIZE)?;
    if !typed.is_empty() {
        let mut attributes = tcgetattr(&user)?;
        attributes.make_raw();
        tcsetattr(&user, OptionalActions::Now, &attributes)?;
    }
    let keys = [typed.as_bytes(), &[CTRL_D; CTRL_D_COUNT]].concat();
    rustix::io::write(&controller, &keys)?;
    ioctl_fionbio(&controller, true)?;
    Ok((Receiver::from_file_unchecked(controller.into())?, user))
}
