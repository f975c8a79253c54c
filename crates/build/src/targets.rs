//! Which CPU targets an image really holds. Julia may drop all but the first of several without a
//! word (julia#50792: with a shared library as base; seen on 1.5.3 and 1.10.8), so what was asked
//! for proves nothing.

use std::fs::File;
use std::path::Path;

use object::read::ReadCache;
use object::{Object, ObjectSection, ObjectSymbol};

/// The table of targets that Julia's code generator writes; its first four bytes are how many
/// there are (`jl_dispatch_target_ids`, src/processor.h).
const TABLE: &str = "jl_dispatch_target_ids";

/// How many targets the image holds, if it says so: a stripped image does not.
fn count(image: &Path) -> Option<usize> {
    let cache = ReadCache::new(File::open(image).ok()?);
    let file = object::File::parse(&cache).ok()?;
    // Mach-O puts an underscore before C names.
    let is_table = |name: &str| name.strip_prefix('_').unwrap_or(name) == TABLE;
    let symbol = file
        .symbols()
        .chain(file.dynamic_symbols())
        .find(|symbol| symbol.is_definition() && symbol.name().is_ok_and(is_table))?;
    let section = file.section_by_index(symbol.section_index()?).ok()?;
    let bytes = section.data_range(symbol.address(), 4).ok()??;
    let number = <[u8; 4]>::try_from(bytes).ok()?;
    let number = if file.is_little_endian() {
        u32::from_le_bytes(number)
    } else {
        u32::from_be_bytes(number)
    };
    usize::try_from(number).ok()
}

/// Those of the targets in `requested` (a `--cpu-target` string) that the image holds, or `None`
/// if it does not tell.
#[must_use]
pub fn held(image: &Path, requested: &str) -> Option<Vec<String>> {
    let count = count(image)?;
    Some(
        requested
            .split(';')
            .take(count)
            .map(str::to_owned)
            .collect(),
    )
}
