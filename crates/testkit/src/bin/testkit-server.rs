//! The scriptable server as a program, for benchmarks: serves a folder until its standard input
//! ends.
//!
//! `testkit-server ROOT [LATENCY_MS [BYTES_PER_SECOND [BYTES_PER_SECOND_AND_CONNECTION]]]`

use std::io::Read;
use std::path::PathBuf;
use std::time::Duration;

use sysforge_testkit::server::Server;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let root = PathBuf::from(arguments.next().unwrap_or_else(|| ".".to_owned()));
    let mut number = || {
        let text = arguments.next()?;
        text.parse::<u64>().ok().filter(|number| *number > 0)
    };
    let (latency, cap, cap_each) = (number(), number(), number());
    let server = Server::start(&root);
    server.set(|behaviour| {
        behaviour.latency = Duration::from_millis(latency.unwrap_or(0));
        behaviour.cap = cap;
        behaviour.cap_each = cap_each;
    });
    println!("{}", server.url());
    // The parent process closes the pipe when it is done, or when it dies.
    let _ = std::io::stdin().read_to_end(&mut Vec::new());
}
