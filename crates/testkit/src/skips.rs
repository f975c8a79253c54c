//! Reporting tests that cannot run on a machine, so that they can be counted: a skipped test looks
//! passed.

use std::io::Write;

/// Reports that the test of this thread is skipped, and why: on standard error, and as a line of
/// the file that `SYSFORGE_TEST_SKIPPED` names, if it is set.
pub fn skip(why: &str) {
    let thread = std::thread::current();
    let line = format!("skipped: {}: {why}", thread.name().unwrap_or("a test"));
    eprintln!("{line}");
    if let Some(path) = std::env::var_os("SYSFORGE_TEST_SKIPPED") {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        let written = file.and_then(|mut file| writeln!(file, "{line}"));
        written.expect("the list of skipped tests can be written");
    }
}
