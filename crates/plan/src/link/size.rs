//! The size beyond which an image cannot work, told before anything is linked.

/// What one image can hold, in bytes: code and data reach each other by signed 32-bit distances
/// (the small code model, which Julia emits for), and Windows loads no larger file.
/// PackageCompiler #500, #1019, #1114 are what happens beyond.
pub const LIMIT: u64 = (1 << 31) - MARGIN;

/// What a linker adds between the sections of the objects: procedure linkage and offset tables,
/// unwind tables, padding.
const MARGIN: u64 = 16 << 20;

/// Whether objects whose sections take `bytes` in memory make an image that is too large.
#[must_use]
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
