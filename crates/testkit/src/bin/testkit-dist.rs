//! Creates a dist directory for tests of release hosts: an image that no Julia can load, and an app
//! that prints a text, both for Linux.
//!
//! `testkit-dist FOLDER TEXT`

use std::path::Path;

use sysforge_testkit::github::{make_app, make_build};

const TRIPLET: &str = "x86_64-linux-gnu";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(text)) = (arguments.next(), arguments.next()) else {
        eprintln!("usage: testkit-dist FOLDER TEXT");
        std::process::exit(2);
    };
    let folder = Path::new(&folder);
    make_build(folder, TRIPLET, text.as_bytes());
    let script = format!("#!/bin/sh\necho {text}\n");
    make_app(folder, TRIPLET, "demo", &script);
}
