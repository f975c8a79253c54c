//! Writes the initial corpora for fuzzing: `fuzz-corpus DIR`.

use std::path::Path;

fn main() {
    let folder = std::env::args().nth(1);
    let folder = folder.unwrap_or_else(|| "corpus".to_owned());
    sysforge_testkit::fuzz_corpus::write_to(Path::new(&folder));
}
