//! How much memory emitting an image needs, and how many code-generation threads fit into the
//! available memory. The figures are in the table of generations.

use crate::config::Base;
use crate::cpu::CpuTarget;
use crate::generation::Generation;

/// Returns how many CPU targets an image will contain: Julia may drop all but the first.
#[must_use]
pub fn held_targets(generation: &Generation, base: &Base, cpu: &CpuTarget) -> u64 {
    let asked = cpu.target.split(';').filter(|one| !one.trim().is_empty());
    match generation.keeps_targets || *base == Base::Fresh {
        true => asked.count().max(1) as u64,
        false => 1,
    }
}

/// The properties of an emission that decide how much memory it needs.
#[derive(Debug, Clone, Copy)]
pub struct Emission {
    /// How many CPU targets the image will hold.
    pub targets: u64,
    /// Whether it includes the packages of an interactive session.
    pub repl: bool,
}

/// Returns the memory that emitting needs with this many threads, in bytes.
#[must_use]
pub fn predicted(generation: &Generation, emission: Emission, threads: u32) -> u64 {
    let memory = &generation.memory;
    let further = emission.targets.saturating_sub(1) * memory.per_further_target;
    let interactive = match emission.repl {
        true => memory.interactive,
        false => 0,
    };
    memory.base + further + interactive + u64::from(threads) * memory.per_thread
}

/// Returns the number of code-generation threads for this many CPUs and this much free memory in
/// bytes: one per CPU if memory allows. Julia's default, half of the CPUs, took 161 s where all
/// CPUs took 108 s.
#[must_use]
pub fn image_threads(
    generation: &Generation,
    emission: Emission,
    cpus: u32,
    free: Option<u64>,
) -> u32 {
    let rest = free.map_or(u64::MAX, |free| {
        free.saturating_sub(predicted(generation, emission, 0))
    });
    let fitting = rest.checked_div(generation.memory.per_thread);
    let fitting = fitting.and_then(|threads| u32::try_from(threads).ok());
    fitting.unwrap_or(u32::MAX).clamp(1, cpus.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::JuliaVersion;

    fn emission(targets: u64) -> Emission {
        Emission {
            targets,
            repl: false,
        }
    }

    fn of(major: u64, minor: u64) -> &'static Generation {
        Generation::of(&JuliaVersion::new(major, minor, 0)).unwrap()
    }

    #[test]
    fn threads_fit_into_memory_and_there_is_always_one() {
        let gb = 1_000_000_000;
        assert_eq!(image_threads(of(1, 10), emission(1), 2, None), 2);
        assert_eq!(image_threads(of(1, 10), emission(1), 8, Some(7 * gb)), 3);
        assert_eq!(image_threads(of(1, 10), emission(1), 8, Some(gb)), 1);
        assert_eq!(image_threads(of(1, 10), emission(1), 0, Some(64 * gb)), 1);
        // The REPL and Pkg need more memory where the base does not contain them.
        let with_repl = Emission {
            repl: true,
            ..emission(1)
        };
        assert_eq!(image_threads(of(1, 12), with_repl, 8, Some(10 * gb)), 3);
        let measured = predicted(of(1, 12), with_repl, 2) as f64 / 8.11e9;
        assert!((0.9..1.1).contains(&measured), "{measured}");
        assert_eq!(image_threads(of(1, 10), with_repl, 8, Some(7 * gb)), 3);
        // Three targets leave memory for fewer threads on 1.12.
        assert_eq!(image_threads(of(1, 12), emission(1), 8, Some(10 * gb)), 5);
        assert_eq!(image_threads(of(1, 12), emission(3), 8, Some(10 * gb)), 2);
        // Before 1.9, one thread generates code whatever the setting.
        assert_eq!(image_threads(of(1, 5), emission(1), 8, Some(gb)), 8);
    }

    #[test]
    fn the_prediction_is_within_a_tenth_of_what_was_measured() {
        for (minor, targets, threads, measured) in [
            (5, 1, 1, 2.01),
            (5, 1, 1, 2.10),
            (6, 1, 1, 3.6),
            (10, 1, 1, 3.11),
            (10, 1, 2, 4.69),
            (10, 3, 2, 4.97),
            (10, 1, 2, 4.9),
            (12, 1, 2, 5.0),
            (12, 3, 2, 9.1),
        ] {
            let bytes = predicted(of(1, minor), emission(targets), threads) as f64;
            let ratio = bytes / (measured * 1e9);
            assert!(
                (0.9..1.1).contains(&ratio),
                "1.{minor}: {bytes} for {measured}"
            );
        }
    }

    #[test]
    fn targets_count_where_the_image_holds_them() {
        let cpu = |target: &str| CpuTarget {
            tier: None,
            target: target.to_owned(),
        };
        let three = cpu("generic;haswell,clone_all;skylake");
        assert_eq!(held_targets(of(1, 10), &Base::Shipped, &three), 1);
        assert_eq!(held_targets(of(1, 10), &Base::Fresh, &three), 3);
        assert_eq!(held_targets(of(1, 12), &Base::Shipped, &three), 3);
        assert_eq!(held_targets(of(1, 12), &Base::Shipped, &cpu("native")), 1);
    }
}
