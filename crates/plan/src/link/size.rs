//! The maximum size of a working image, checked before linking.

/// The maximum size of an image, in bytes: code and data refer to each other by signed 32-bit
/// offsets (the small code model, for which Julia emits code), and Windows does not load larger
/// files. PackageCompiler #500, #1019 and #1114 show what happens above it.
pub const LIMIT: u64 = (1 << 31) - MARGIN;

/// The size that a linker adds to the sections of the objects: procedure linkage and offset tables,
/// unwind tables, padding.
const MARGIN: u64 = 16 << 20;

/// Returns whether objects whose sections need `bytes` in memory would make an image that is too
/// large.
pub const fn is_too_large(bytes: u64) -> bool {
    bytes > LIMIT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_gigabytes_are_too_much() {
        assert!(is_too_large(1 << 31));
        assert!(!is_too_large(1_900_000_000));
    }
}
