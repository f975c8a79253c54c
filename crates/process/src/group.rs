//! A child and all its descendants as one group, which is killed when this value is dropped or
//! Sysforge dies, even by `SIGKILL`.
//!
//! On Unix a watcher, a small shell, leads the process group and waits for the end of a pipe whose
//! only writer is Sysforge. When Sysforge dies, the system closes the pipe, and the watcher kills
//! the group. The child joins the group before it executes its program, and keeps the pipe open
//! until then, so it cannot escape. On Windows a job object, which the system closes with its last
//! handle, does the same.

use std::io;
use std::process::ExitStatus;

use tokio::process::{ChildStderr, ChildStdout, Command};

#[cfg(unix)]
pub(crate) use unix::Group;
#[cfg(windows)]
pub(crate) use windows::Group;

#[cfg(unix)]
mod unix {
    use std::io::{PipeWriter, Read as _};
    use std::os::unix::process::CommandExt as _;
    use std::process::Stdio;

    use rustix::process::{Pid, Signal, kill_process_group};
    use tokio::process::Child;

    use super::*;

    /// See the module.
    #[derive(Debug)]
    pub(crate) struct Group {
        child: Child,
        id: Option<Pid>,
        // Dropped after the group has been killed.
        _watcher: Option<Watcher>,
    }

    impl Group {
        /// Starts `command` in a new group.
        pub(crate) fn spawn(mut command: Command) -> io::Result<Self> {
            let watcher = Watcher::start();
            let leader = watcher.as_ref().and_then(Watcher::id);
            let child = command
                .process_group(leader.map_or(0, Pid::as_raw_pid))
                .kill_on_drop(true)
                .spawn()?;
            let own = || Pid::from_raw(i32::try_from(child.id()?).ok()?);
            Ok(Self {
                id: leader.or_else(own),
                child,
                _watcher: watcher,
            })
        }

        pub(crate) fn id(&self) -> Option<u32> {
            self.child.id()
        }

        pub(crate) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
            (self.child.stdout.take(), self.child.stderr.take())
        }

        /// Waits for the child itself, not for the rest of its group.
        pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
            self.child.wait().await
        }
    }

    impl Drop for Group {
        fn drop(&mut self) {
            if let Some(id) = self.id {
                // An error means that the group has no members left.
                let _ = kill_process_group(id, Signal::KILL);
            }
        }
    }

    /// The shell that kills its group when Sysforge dies.
    #[derive(Debug)]
    struct Watcher {
        shell: std::process::Child,
        // Closed by the system when Sysforge dies; nothing is written.
        _alive: PipeWriter,
    }

    /// Waits for the end of standard input, then kills the group. Signals that a member sends to
    /// the whole group must not end the watcher, so it prints a line once it ignores them.
    const WATCHER_SCRIPT: &str = "trap '' HUP INT QUIT TERM USR1 USR2; echo; exec >/dev/null; \
                         read -r _; kill -s KILL 0";

    impl Watcher {
        /// `None` on a system without a shell: the group then ends only when it is dropped.
        fn start() -> Option<Self> {
            let (end, alive) = io::pipe().ok()?;
            let mut shell = std::process::Command::new("/bin/sh")
                .args(["-c", WATCHER_SCRIPT])
                .env_clear()
                .current_dir("/")
                .stdin(end)
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .process_group(0)
                .spawn()
                .ok()?;
            let ready = shell.stdout.take();
            let watcher = Self {
                shell,
                _alive: alive,
            };
            // Without this wait, a child that signals its whole group immediately could end the
            // watcher before it ignores signals. Starting a shell takes about a millisecond.
            ready?.read_exact(&mut [0]).ok()?;
            Some(watcher)
        }

        fn id(&self) -> Option<Pid> {
            Pid::from_raw(i32::try_from(self.shell.id()).ok()?)
        }
    }

    impl Drop for Watcher {
        fn drop(&mut self) {
            let _ = self.shell.kill();
            let _ = self.shell.wait();
        }
    }
}

#[cfg(windows)]
mod windows {
    use process_wrap::tokio::{ChildWrapper, CommandWrap, JobObject, KillOnDrop};

    use super::*;
    use crate::output::console::Console;

    /// See the module.
    pub(crate) enum Group {
        /// With the streams of its parent's choice.
        Job(Box<dyn ChildWrapper>),
        /// In a pseudo-console.
        Console(Console),
    }

    impl Group {
        /// Starts `command` in a new job.
        pub(crate) fn spawn(command: Command) -> io::Result<Self> {
            let mut command = CommandWrap::from(command);
            // Together, these also close the job with its last handle.
            command.wrap(KillOnDrop).wrap(JobObject);
            command.spawn().map(Self::Job)
        }

        pub(crate) fn id(&self) -> Option<u32> {
            match self {
                Self::Job(child) => child.id(),
                Self::Console(console) => console.id(),
            }
        }

        pub(crate) fn take_output(&mut self) -> (Option<ChildStdout>, Option<ChildStderr>) {
            match self {
                Self::Job(child) => (child.stdout().take(), child.stderr().take()),
                Self::Console(_) => (None, None),
            }
        }

        /// Waits for the child itself, not for the rest of its job.
        pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
            let mut child = match self {
                Self::Job(child) => &mut **child,
                Self::Console(console) => return console.wait().await,
            };
            // The job's own wait would wait for every member; the innermost child is the program
            // itself.
            while !is_innermost(child) {
                child = child.inner_mut();
            }
            child.wait().await
        }
    }

    /// Returns whether this is Tokio's child, which is its own inner child.
    fn is_innermost(child: &dyn ChildWrapper) -> bool {
        std::ptr::addr_eq(child, child.inner())
    }

    impl Drop for Group {
        fn drop(&mut self) {
            if let Self::Job(child) = self {
                // An error means that the job has no members left.
                let _ = child.start_kill();
            }
        }
    }
}
