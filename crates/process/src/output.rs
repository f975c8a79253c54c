//! Where a child's output goes: into a pipe, on a pseudo-terminal or into a file. What operating
//! systems do differently about that is in this file.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sysforge_plan::OutputKind;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::group::Group;

#[cfg(unix)]
mod terminal;

/// Which of a child's two streams. A terminal does not keep them apart: all of it is [`Self::Out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A line of output.
pub(crate) type Line = (Stream, String);

/// What a child is given as its three streams, and what reads its output. Its input is at its end; at a
/// terminal it is the terminal, as a user has it.
pub(crate) struct Output {
    pub(crate) stdin: Stdio,
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
    pub(crate) reader: Reader,
}

/// How the output is read.
pub(crate) enum Reader {
    /// From the child's pipes.
    Pipes,
    /// From the controlling side of a pseudo-terminal.
    #[cfg(unix)]
    Terminal(terminal::Controller),
    /// From files, when the child has ended.
    Files(Files),
}

/// The files that a child writes into. Dropping them removes them.
pub(crate) struct Files {
    paths: [(Stream, PathBuf); 2],
    size: u64,
}

/// The kinds of output that this machine has. A sandbox may have no pseudo-terminals.
#[must_use]
pub fn available_outputs() -> Vec<OutputKind> {
    let all = OutputKind::ALL.into_iter();
    all.filter(|kind| *kind != OutputKind::Terminal || has_terminals())
        .collect()
}

#[cfg(unix)]
fn has_terminals() -> bool {
    terminal::open().is_ok()
}

/// Windows has ConPTY, which Sysforge does not use.
#[cfg(not(unix))]
fn has_terminals() -> bool {
    false
}

impl Output {
    /// Output of this kind. Files are named after the log.
    pub(crate) fn open(kind: OutputKind, log: &Path) -> io::Result<Self> {
        match kind {
            OutputKind::Pipe => Ok(Self {
                stdin: Stdio::null(),
                stdout: Stdio::piped(),
                stderr: Stdio::piped(),
                reader: Reader::Pipes,
            }),
            #[cfg(unix)]
            OutputKind::Terminal => {
                let (controller, user) = terminal::open()?;
                Ok(Self {
                    stdin: user.try_clone()?.into(),
                    stdout: user.try_clone()?.into(),
                    stderr: user.into(),
                    reader: Reader::Terminal(controller),
                })
            }
            #[cfg(not(unix))]
            OutputKind::Terminal => Err(io::ErrorKind::Unsupported.into()),
            OutputKind::File => {
                let named = |extension| log.with_extension(extension);
                let files = Files {
                    paths: [(Stream::Out, named("out")), (Stream::Err, named("err"))],
                    size: 0,
                };
                let [out, err] = &files.paths;
                Ok(Self {
                    stdin: Stdio::null(),
                    stdout: File::create(&out.1)?.into(),
                    stderr: File::create(&err.1)?.into(),
                    reader: Reader::Files(files),
                })
            }
        }
    }
}

impl Reader {
    /// Starts to send the child's lines. What only files have, [`Files::lines`] gives at the end.
    pub(crate) fn start(
        self,
        child: &mut Group,
        lines: mpsc::Sender<Line>,
    ) -> (Vec<JoinHandle<()>>, Option<Files>) {
        match self {
            Self::Pipes => {
                let (out, err) = child.take_output();
                let out = tokio::spawn(send_lines(out, Stream::Out, as_it_is, lines.clone()));
                let err = tokio::spawn(send_lines(err, Stream::Err, as_it_is, lines));
                (vec![out, err], None)
            }
            #[cfg(unix)]
            Self::Terminal(controller) => {
                let all = send_lines(Some(controller), Stream::Out, terminal::plain, lines);
                (vec![tokio::spawn(all)], None)
            }
            Self::Files(files) => (Vec::new(), Some(files)),
        }
    }
}

impl Files {
    /// Whether they have grown since this was last asked.
    pub(crate) fn grew(&mut self) -> bool {
        let sizes = self.paths.iter();
        let sizes = sizes.map(|(_, path)| std::fs::metadata(path).map_or(0, |file| file.len()));
        let size = sizes.sum();
        std::mem::replace(&mut self.size, size) != size
    }

    /// Everything that is in them.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (stream, path) in &self.paths {
            let bytes = std::fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes);
            lines.extend(text.lines().map(|line| (*stream, line.to_owned())));
        }
        lines
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        for (_, path) in &self.paths {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn as_it_is(line: &str) -> String {
    line.to_owned()
}

/// Sends each line of `source`, whatever its encoding and line ends, until it ends.
async fn send_lines(
    source: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    clean: fn(&str) -> String,
    lines: mpsc::Sender<Line>,
) {
    let Some(source) = source else { return };
    let mut reader = BufReader::new(source);
    let mut bytes = Vec::new();
    // An error is an end, too, and may come in the middle of a line.
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) || !bytes.is_empty() {
        let text = String::from_utf8_lossy(&bytes);
        let line = clean(text.trim_end_matches(['\n', '\r']));
        bytes.clear();
        if lines.send((stream, line)).await.is_err() {
            return;
        }
    }
}
