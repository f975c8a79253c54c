//! Panics. A panic is a bug in Sysforge, so it ends with the exit code of one and asks for a report.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook};
use std::sync::{Mutex, PoisonError};

use sysforge_plan::Class;

use crate::Terminal;

/// The panics so far, of all threads. They are printed when the program has ended: what is printed
/// earlier may be overwritten by a progress bar.
static PANICS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs the program and returns its exit code. If any thread panicked, prints why, and returns the exit
/// code of a bug, whatever the program made of it.
pub fn report_panics(program: impl FnOnce() -> u8) -> u8 {
    set_hook(Box::new(|panic| {
        let text = describe(panic, &Backtrace::capture());
        PANICS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text);
    }));
    let code = catch_unwind(AssertUnwindSafe(program)).unwrap_or(Class::Bug.exit_code());
    let panics = std::mem::take(&mut *PANICS.lock().unwrap_or_else(PoisonError::into_inner));
    if panics.is_empty() {
        return code;
    }
    // The text of a panic may contain anything, so it is escaped for runners, too.
    let terminal = Terminal {
        quiet: false,
        actions: true,
    };
    for panic in panics {
        terminal.error_line(&panic);
    }
    terminal.hints(&[
        request_for_a_report(),
        "`RUST_BACKTRACE=1` in the environment adds the calls that led to it".to_owned(),
    ]);
    Class::Bug.exit_code()
}

/// Returns the hint of every bug.
pub(crate) fn request_for_a_report() -> String {
    let repository = env!("CARGO_PKG_REPOSITORY");
    format!(
        "this is a bug in Sysforge: please report it at {repository}/issues with the command and this \
         message"
    )
}

fn describe(panic: &PanicHookInfo<'_>, backtrace: &Backtrace) -> String {
    let place = panic
        .location()
        .map_or_else(String::new, |at| format!(" at {at}"));
    let mut text = format!("Sysforge panicked{place}: {}", message(panic.payload()));
    if backtrace.status() == BacktraceStatus::Captured {
        text.push_str(&format!("\n{backtrace}"));
    }
    text
}

fn message(payload: &(dyn Any + Send)) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    text.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Output};

    use super::*;

    /// Names the program that a child process runs.
    const PROGRAM: &str = "SYSFORGE_TEST_PROGRAM";

    /// Not a test: what the child processes of the tests below run.
    #[test]
    #[ignore = "the tests start it with the name of a program"]
    fn child() {
        let program = std::env::var(PROGRAM).unwrap();
        let code = report_panics(|| match &*program {
            "panics" => panic!("no \u{1b}[2Jway\n::error::planted"),
            "panics-in-a-thread" => {
                let _ = std::thread::spawn(|| panic!("in a thread")).join();
                0
            }
            _ => 3,
        });
        std::process::exit(code.into());
    }

    fn run(program: &str) -> (Option<i32>, String) {
        let Output { status, stderr, .. } = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "bug::tests::child", "--ignored", "--nocapture"])
            .env(PROGRAM, program)
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        (status.code(), String::from_utf8(stderr).unwrap())
    }

    #[test]
    fn a_panic_ends_with_exit_code_1_and_asks_for_a_report() {
        let (code, stderr) = run("panics");
        assert_eq!(code, Some(1), "{stderr}");
        let first = "error: Sysforge panicked at crates/output/src/bug.rs:";
        assert!(stderr.starts_with(first), "{stderr}");
        assert!(stderr.contains("no \\u{1b}[2Jway"), "{stderr}");
        let hint = "\n\nhint: this is a bug in Sysforge: please report it at https://";
        assert!(stderr.contains(hint), "{stderr}");
        assert!(!stderr.contains("\n::"), "{stderr}");
    }

    #[test]
    fn a_panic_of_any_thread_counts() {
        let (code, stderr) = run("panics-in-a-thread");
        assert_eq!(code, Some(1), "{stderr}");
        assert!(stderr.contains(": in a thread\n"), "{stderr}");
    }

    #[test]
    fn without_a_panic_the_exit_code_is_that_of_the_program() {
        assert_eq!(run("fails"), (Some(3), String::new()));
    }
}
