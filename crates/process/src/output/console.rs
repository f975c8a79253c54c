//! Windows pseudo-consoles (ConPTY): the child has a console of its own, whose screen is read here.
//! The crate `portable-pty` starts the child, because the standard library cannot attach a process
//! to a pseudo-console.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader, Read, Write as _};
use std::os::windows::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus;

use portable_pty::{Child, CommandBuilder, PtySize, native_pty_system};
use tokio::sync::{mpsc, oneshot};
use win32job::{ExtendedLimitInfo, Job};

use super::{Line, Stream, plain};
use crate::Environment;

/// The size of a console, as that of a terminal on other systems.
const SIZE: PtySize = PtySize {
    rows: 24,
    cols: 80,
    pixel_width: 0,
    pixel_height: 0,
};

/// The position of the cursor. The console asks for it, and waits for the answer before it starts the
/// child.
const CURSOR_POSITION: &str = "\x1b[1;1R";

/// Ctrl-Z and Enter, which end the input of a program that reads lines with the C library, and Ctrl-D,
/// which ends a session of Julia. Julia's streams have no end of input in a console.
const END_OF_INPUT: &str = "\x1a\r\x04";

/// The first build of Windows with pseudo-consoles (Windows 10, version 1809).
const FIRST_BUILD: u32 = 17763;

/// A library that `portable-pty` prefers to that of Windows, and loads from the working directory, too.
const OTHER_LIBRARY: &str = "conpty.dll";

/// Returns whether this Windows has pseudo-consoles. In a folder with a library that would be loaded in
/// place of that of Windows, there are none.
pub(super) fn exist() -> bool {
    let build = sysinfo::System::kernel_version();
    build.and_then(|build| build.parse().ok()) >= Some(FIRST_BUILD)
        && !Path::new(OTHER_LIBRARY).exists()
        && native_pty_system().openpty(SIZE).is_ok()
}

/// What is started in a console.
pub(crate) struct Command<'a> {
    pub(crate) program: &'a Path,
    pub(crate) arguments: &'a [OsString],
    pub(crate) environment: &'a Environment,
    pub(crate) directory: Option<&'a Path>,
    pub(crate) typed: &'a str,
}

/// A child in a console. Dropping it kills the child and its descendants.
pub(crate) struct Console {
    id: Option<u32>,
    ending: oneshot::Receiver<io::Result<ExitStatus>>,
    // Closing the last handle of the job kills its members.
    _job: Job,
}

/// The screen of a console, as a stream of bytes.
pub(crate) struct Screen(Box<dyn Read + Send>);

/// Starts a child in a new console. It joins its job just after it was started; a process that it started
/// before would not.
pub(crate) fn spawn(command: &Command<'_>) -> io::Result<(Console, Screen)> {
    let mut limits = ExtendedLimitInfo::new();
    limits.limit_kill_on_job_close();
    let job = Job::create_with_limit_info(&limits).map_err(io::Error::other)?;
    let pair = native_pty_system()
        .openpty(SIZE)
        .map_err(io::Error::other)?;
    let screen = pair.master.try_clone_reader().map_err(io::Error::other)?;
    let mut keys = pair.master.take_writer().map_err(io::Error::other)?;
    keys.write_all(
        [CURSOR_POSITION, command.typed, END_OF_INPUT]
            .concat()
            .as_bytes(),
    )?;
    let mut builder = CommandBuilder::new(command.program);
    builder.args(command.arguments);
    builder.env_clear();
    for (name, value) in command.environment.iter() {
        builder.env(name, value);
    }
    if let Some(directory) = command.directory {
        builder.cwd(directory);
    }
    let mut child = pair
        .slave
        .spawn_command(builder)
        .map_err(io::Error::other)?;
    if let Some(handle) = child.as_raw_handle() {
        let assigned = job.assign_process(handle as isize);
        assigned.map_err(|error| {
            let _ = child.kill();
            io::Error::other(error)
        })?;
    }
    let id = child.process_id();
    let (ended, ending) = oneshot::channel();
    std::thread::spawn(move || {
        let status = wait(&mut *child);
        // The screen ends when the console is closed, which its last owner does.
        drop((keys, pair));
        let _ = ended.send(status);
    });
    let console = Console {
        id,
        ending,
        _job: job,
    };
    Ok((console, Screen(screen)))
}

fn wait(child: &mut (dyn Child + Send + Sync)) -> io::Result<ExitStatus> {
    Ok(ExitStatus::from_raw(child.wait()?.exit_code()))
}

impl Console {
    pub(crate) fn id(&self) -> Option<u32> {
        self.id
    }

    /// Waits for the child itself, not for the rest of its job.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let ended = (&mut self.ending).await;
        ended.unwrap_or_else(|_| Err(io::Error::other("the end of the child was not seen")))
    }
}

impl Screen {
    /// Sends the lines of the screen until the console is closed, from a thread: reading blocks.
    pub(crate) fn send(self, lines: mpsc::Sender<Line>) {
        std::thread::spawn(move || {
            let mut reader = BufReader::new(self.0);
            let mut bytes = Vec::new();
            while matches!(reader.read_until(b'\n', &mut bytes), Ok(1..)) || !bytes.is_empty() {
                let text = String::from_utf8_lossy(&bytes);
                let line = plain(text.trim_end_matches(['\n', '\r']));
                bytes.clear();
                // Even if nobody wants the lines: the console is not closed before all are read.
                let _ = lines.blocking_send((Stream::Out, line));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use std::os::windows::fs::OpenOptionsExt as _;
    use std::time::Duration;

    use sysforge_plan::{OutputKind, Reporter, Step};

    use super::*;
    use crate::{Children, Ended, ProcessError, Program, available_outputs};

    fn program(folder: &tempfile::TempDir, arguments: &[&str]) -> Program {
        let environment = Environment::new(std::env::vars_os());
        Program::new("cmd.exe", environment, folder.path().join("log"))
            .args(arguments)
            .directory(folder.path())
            .output(OutputKind::Terminal)
    }

    /// Returns how a command of `cmd.exe` that fails in a console ended.
    async fn ended(command: &str) -> Ended {
        let folder = tempfile::tempdir().unwrap();
        let task = Reporter::silent().start(Step::Check, "console");
        let program = program(&folder, &["/d", "/c", command]).env("ONE", "two");
        let error = Children::default().run(&program, &task).await.unwrap_err();
        match error {
            ProcessError::Failed { ended, .. } => ended,
            other => panic!("{other}"),
        }
    }

    #[test]
    fn this_windows_has_terminals() {
        assert!(available_outputs().contains(&OutputKind::Terminal));
    }

    // What a console of Wine shows. `portable-pty` requires that a console inherits the position of the
    // cursor; with that flag those of Wine end at once, so no test reads the screen of a child.
    #[tokio::test]
    async fn a_screen_is_sent_as_lines_without_escape_sequences() {
        let bytes: &[u8] = b"\x1b[2J\x1b[m\x1b[H\x1b[?25lone\x1b[?25h\r\n\x1b[?25ltwo\r\nno end";
        let (sender, mut lines) = mpsc::channel(1);
        Screen(Box::new(bytes)).send(sender);
        let mut found = Vec::new();
        while let Some((_, line)) = lines.recv().await {
            found.push(line);
        }
        assert_eq!(found, ["one", "two", "no end"]);
    }

    #[tokio::test]
    async fn a_child_in_a_console_has_its_exit_code_and_environment() {
        assert_eq!(ended("exit 7").await, Ended::Code(7));
        assert_eq!(ended("if %ONE%==two exit 8").await, Ended::Code(8));
    }

    const HELD: &str = "SYSFORGE_TEST_HELD_FILE";
    const HOLD_A_FILE: &str = "output::console::tests::hold_a_file";

    /// Not a test: the child of the next one. Opens a file so that nobody else can, and waits.
    #[test]
    #[ignore = "it is the child of another test"]
    fn hold_a_file() {
        let Some(path) = std::env::var_os(HELD) else {
            return;
        };
        let mut options = std::fs::File::options();
        let options = options.write(true).create(true).share_mode(0);
        let _held = options.open(path).unwrap();
        std::thread::sleep(Duration::from_secs(600));
    }

    #[tokio::test]
    async fn a_child_that_nobody_waits_for_is_killed_with_its_descendants() {
        let folder = tempfile::tempdir().unwrap();
        let held = folder.path().join("held");
        let task = Reporter::silent().start(Step::Check, "console");
        let own = std::env::current_exe().unwrap();
        let program = program(&folder, &["/d", "/c"])
            .arg(own)
            .args(["--exact", HOLD_A_FILE, "--ignored"])
            .env(HELD, &held);
        let is_held = || std::fs::File::options().write(true).open(&held).is_err();
        let starts = async {
            while !held.exists() || !is_held() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let children = Children::default();
        tokio::select! {
            ended = children.run(&program, &task) => panic!("{ended:?}"),
            () = starts => {}
        }
        while is_held() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
