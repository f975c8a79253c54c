//! The destination of a child's output: a pipe, a pseudo-terminal or a file. All differences
//! between operating systems in this are in this file.

use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use sysforge_plan::OutputKind;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::group::Group;

#[cfg(windows)]
pub(crate) mod console;
#[cfg(unix)]
mod terminal;

/// One of a child's two output streams. A terminal does not separate them: everything is
/// [`Self::Out`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Out,
    Err,
}

/// A line of output.
pub(crate) type Line = (Stream, String);

/// The three standard streams of a child, and the reader of its output. Standard input is empty, or
/// the same terminal as the output, as for an interactive user.
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
    /// From the screen of a pseudo-console.
    #[cfg(windows)]
    Terminal(console::Screen),
    /// From files, after the child has ended.
    Files(Files),
}

/// The files that a child writes. They are removed on drop.
pub(crate) struct Files {
    paths: [(Stream, PathBuf); 2],
    size: u64,
}

/// Returns the kinds of output available on this machine. A sandbox may have no pseudo-terminals.
pub fn available_outputs() -> Vec<OutputKind> {
    let all = OutputKind::ALL.into_iter();
    all.filter(|kind| *kind != OutputKind::Terminal || has_terminals())
        .collect()
}

#[cfg(unix)]
fn has_terminals() -> bool {
    terminal::open("").is_ok()
}

#[cfg(windows)]
fn has_terminals() -> bool {
    console::exist()
}

impl Output {
    /// Opens an output of this kind. Files are named after the log. In a terminal, `typed` is
    /// available as input before the child starts. A terminal of Windows is not a stream that is
    /// given to a child: [`console::spawn`] creates both.
    #[cfg_attr(windows, expect(unused_variables, reason = "see `console::spawn`"))]
    pub(crate) fn open(kind: OutputKind, log: &Path, typed: &str) -> io::Result<Self> {
        match kind {
            OutputKind::Pipe => Ok(Self {
                stdin: Stdio::null(),
                stdout: Stdio::piped(),
                stderr: Stdio::piped(),
                reader: Reader::Pipes,
            }),
            #[cfg(unix)]
            OutputKind::Terminal => {
                let (controller, user) = terminal::open(typed)?;
                Ok(Self {
                    stdin: user.try_clone()?.into(),
                    stdout: user.try_clone()?.into(),
                    stderr: user.into(),
                    reader: Reader::Terminal(controller),
                })
            }
            #[cfg(windows)]
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
                    stdout: sysforge_files::create(&out.1)?.into(),
                    stderr: sysforge_files::create(&err.1)?.into(),
                    reader: Reader::Files(files),
                })
            }
        }
    }
}

impl Reader {
    /// Starts sending the child's lines. With files, [`Files::lines`] returns them at the end.
    pub(crate) fn start(
        self,
        child: &mut Group,
        lines: mpsc::Sender<Line>,
    ) -> (Vec<JoinHandle<()>>, Option<Files>) {
        match self {
            Self::Pipes => {
                let (out, err) = child.take_output();
                let out = tokio::spawn(send_lines(out, Stream::Out, unchanged, lines.clone()));
                let err = tokio::spawn(send_lines(err, Stream::Err, unchanged, lines));
                (vec![out, err], None)
            }
            #[cfg(unix)]
            Self::Terminal(controller) => {
                let all = send_lines(Some(controller), Stream::Out, plain, lines);
                (vec![tokio::spawn(all)], None)
            }
            #[cfg(windows)]
            Self::Terminal(screen) => {
                screen.send(lines);
                (Vec::new(), None)
            }
            Self::Files(files) => (Vec::new(), Some(files)),
        }
    }
}

/// Maximum number of bytes that are read of a child's output in a file.
const MAX_OUTPUT: u64 = 64 << 20;

/// Reads a file, or the end of a long one.
fn end_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = sysforge_files::open_regular(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(MAX_OUTPUT)))?;
    let mut bytes = Vec::new();
    file.take(MAX_OUTPUT).read_to_end(&mut bytes)?;
    Ok(bytes)
}

impl Files {
    /// Returns whether the files have grown since the last call.
    pub(crate) fn grew(&mut self) -> bool {
        let sizes = self.paths.iter();
        let sizes = sizes.map(|(_, path)| std::fs::metadata(path).map_or(0, |file| file.len()));
        let size = sizes.sum();
        std::mem::replace(&mut self.size, size) != size
    }

    /// Returns the content of both files.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        for (stream, path) in &self.paths {
            let bytes = end_of(path).unwrap_or_default();
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

fn unchanged(line: &str) -> String {
    line.to_owned()
}

/// Returns a line of a terminal as finally shown: without colours, and without text overwritten
/// after a carriage return.
fn plain(line: &str) -> String {
    let text = anstream::adapter::strip_str(line).to_string();
    let last = text.rsplit('\r').find(|part| !part.is_empty());
    last.unwrap_or_default().to_owned()
}

/// Sends each line of `source` until it ends, whatever its encoding and line endings.
async fn send_lines(
    source: Option<impl AsyncRead + Unpin>,
    stream: Stream,
    clean: fn(&str) -> String,
    lines: mpsc::Sender<Line>,
) {
    let Some(source) = source else { return };
    let mut reader = BufReader::new(source);
    let mut bytes = Vec::new();
    // An error also ends the stream, and may occur in the middle of a line.
    while matches!(reader.read_until(b'\n', &mut bytes).await, Ok(1..)) || !bytes.is_empty() {
        let text = String::from_utf8_lossy(&bytes);
        let line = clean(text.trim_end_matches(['\n', '\r']));
        bytes.clear();
        if lines.send((stream, line)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_and_overwritten_text_are_left_out() {
        assert_eq!(plain("\u{1b}[1m\u{1b}[36mInfo:\u{1b}[39m x"), "Info: x");
        assert_eq!(plain("10 %\r50 %\r100 %\r"), "100 %");
        assert_eq!(plain(""), "");
    }
}
