//! How much memory emitting an image takes, and how many code-generation threads it may have.

/// What the emitting Julia takes whatever the threads, and what each code-generation thread takes on
/// top, in bytes. Measured on 1.10.8, an image of the standard libraries and one package: 3.1 GB
/// with one thread, 4.7 GB with two.
const BASE: u64 = 1_500_000_000;
const PER_THREAD: u64 = 1_600_000_000;

/// Code-generation threads for a machine with so many CPUs and so much free memory, in bytes. One
/// per CPU where there is room: Julia's own default is half of the CPUs, which took 161 s where all
/// of them took 108 s.
#[must_use]
pub fn image_threads(cpus: u32, free: Option<u64>) -> u32 {
    let room = free.map_or(u64::MAX, |free| free.saturating_sub(BASE) / PER_THREAD);
    u32::try_from(room)
        .unwrap_or(u32::MAX)
        .clamp(1, cpus.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_fit_into_memory_and_there_is_always_one() {
        let gb = 1_000_000_000;
        assert_eq!(image_threads(2, None), 2);
        assert_eq!(image_threads(8, Some(7 * gb)), 3);
        assert_eq!(image_threads(8, Some(gb)), 1);
        assert_eq!(image_threads(0, Some(64 * gb)), 1);
    }
}
