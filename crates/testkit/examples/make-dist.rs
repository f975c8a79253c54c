//! `make-dist FOLDER BUILDS BYTES`: creates a dist directory with this many builds, whose images
//! are this many random bytes, for scripts that publish.

use std::process::ExitCode;

use sysforge_testkit::github::{Random, make_build};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, builds, bytes] = arguments.as_slice() else {
        eprintln!("usage: make-dist FOLDER BUILDS BYTES");
        return ExitCode::FAILURE;
    };
    let (Ok(builds), Ok(bytes)) = (builds.parse::<usize>(), bytes.parse::<usize>()) else {
        eprintln!("make-dist: BUILDS and BYTES must be numbers");
        return ExitCode::FAILURE;
    };
    for (number, triplet) in sysforge_plan::Triplet::all().take(builds).enumerate() {
        let mut random = Random((bytes + number) as u64);
        make_build(folder.as_ref(), triplet.name(), &random.bytes(bytes));
    }
    ExitCode::SUCCESS
}
