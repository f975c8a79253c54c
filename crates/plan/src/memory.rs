//! What emitting an image costs: memory, and time and size for each CPU target; and how many
//! code-generation threads fit into the available memory. The figures are in the table of
//! generations.

use crate::config::Base;
use crate::cpu::{self, Cloning, CpuTarget};
use crate::generation::Generation;

/// The CPU targets that an image will contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeldTargets {
    /// Targets that all code is compiled for; at least the first.
    pub whole: u64,
    /// Targets that only selected functions are compiled for.
    pub selected: u64,
}

impl HeldTargets {
    /// One target.
    pub const ONE: Self = Self {
        whole: 1,
        selected: 0,
    };

    /// Returns how many there are.
    pub const fn count(&self) -> u64 {
        self.whole + self.selected
    }
}

/// Returns whether an image on this base will contain all its CPU targets, or only the first.
pub fn keeps_targets(generation: &Generation, base: &Base) -> bool {
    generation.keeps_targets || *base == Base::Fresh
}

/// Returns the CPU targets that an image will contain: Julia may drop all but the first.
pub fn held_targets(generation: &Generation, base: &Base, cpu: &CpuTarget) -> HeldTargets {
    if !keeps_targets(generation, base) {
        return HeldTargets::ONE;
    }
    let targets = cpu::cloning(&cpu.target);
    let selected = targets.iter().filter(|one| **one == Cloning::Selected);
    let selected = selected.count();
    HeldTargets {
        whole: (targets.len() - selected).max(1) as u64,
        selected: selected as u64,
    }
}

/// The properties of an emission that decide what it costs.
#[derive(Debug, Clone, Copy)]
pub struct EmissionScope {
    /// The CPU targets that the image will contain.
    pub targets: HeldTargets,
    /// Whether it includes the packages of an interactive session.
    pub repl: bool,
}

/// Returns the memory that emitting needs with this many threads, in bytes.
pub fn predicted(generation: &Generation, emission: EmissionScope, threads: u32) -> u64 {
    let memory = &generation.memory;
    let HeldTargets { whole, selected } = emission.targets;
    let further =
        whole.saturating_sub(1) * memory.per_whole_target + selected * memory.per_selected_target;
    let interactive = match emission.repl {
        true => memory.interactive,
        false => 0,
    };
    memory.base + further + interactive + u64::from(threads) * memory.per_thread
}

/// Time and size in percent of those for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Multiple {
    /// The time of the emission.
    pub time_percent: u64,
    /// The size of the image.
    pub size_percent: u64,
}

/// Returns what emitting for these targets costs, compared with emitting for one; `None` where it
/// was not measured.
pub fn compared_with_one(generation: &Generation, targets: HeldTargets) -> Option<Multiple> {
    let HeldTargets { whole, selected } = targets;
    let further = whole.saturating_sub(1);
    if further + selected == 0 {
        return Some(Multiple {
            time_percent: 100,
            size_percent: 100,
        });
    }
    let costs = generation.target_costs?;
    let percent = |each: u64, few: u64| 100 + further * each + selected * few;
    Some(Multiple {
        time_percent: percent(costs.whole.time, costs.selected.time),
        size_percent: percent(costs.whole.size, costs.selected.size),
    })
}

/// Returns the number of code-generation threads for this many CPUs and this much free memory in
/// bytes: one per CPU if memory allows. Julia's default, half of the CPUs, took 161 s where all
/// CPUs took 108 s.
pub fn image_threads(
    generation: &Generation,
    emission: EmissionScope,
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

    /// One target, two as `portable` has them, or three as Julia's own releases have them.
    fn emission(targets: u64) -> EmissionScope {
        let targets = match targets {
            1 => HeldTargets::ONE,
            all => HeldTargets {
                whole: all - 1,
                selected: 1,
            },
        };
        EmissionScope {
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
        let with_repl = EmissionScope {
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
            (10, 1, 2, 5.20),
            (12, 1, 2, 5.0),
            (12, 1, 2, 4.63),
            (12, 1, 2, 4.88),
            (12, 2, 2, 6.37),
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
    fn targets_cost_what_was_measured() {
        // Two emissions of one project on 1.12.5: for one target, and for three.
        let three = HeldTargets {
            whole: 2,
            selected: 1,
        };
        let costs = compared_with_one(of(1, 12), three).unwrap();
        let near = |percent: u64, measured: f64| (percent as f64 - measured).abs() < 2.0;
        assert!(near(costs.time_percent, 100.0 * 677.0 / 265.0), "{costs:?}");
        assert!(near(costs.size_percent, 100.0 * 309.0 / 233.0), "{costs:?}");
        // Another project: for one target, and for the two of `portable`.
        let costs = compared_with_one(of(1, 12), emission(2).targets).unwrap();
        assert!(near(costs.time_percent, 100.0 * 650.0 / 285.0), "{costs:?}");
        assert!(near(costs.size_percent, 100.0 * 253.0 / 224.0), "{costs:?}");
        let one = compared_with_one(of(1, 5), HeldTargets::ONE).unwrap();
        assert_eq!((one.time_percent, one.size_percent), (100, 100));
        assert_eq!(compared_with_one(of(1, 10), three), None);
    }

    #[test]
    fn targets_count_where_the_image_holds_them() {
        let cpu = |target: &str| CpuTarget {
            tier: None,
            target: target.to_owned(),
        };
        let three = cpu("generic;haswell,clone_all;skylake");
        let all = HeldTargets {
            whole: 2,
            selected: 1,
        };
        let one = HeldTargets::ONE;
        assert_eq!(held_targets(of(1, 10), &Base::Shipped, &three), one);
        assert_eq!(held_targets(of(1, 10), &Base::Fresh, &three), all);
        assert_eq!(held_targets(of(1, 12), &Base::Shipped, &three), all);
        assert_eq!(held_targets(of(1, 12), &Base::Shipped, &cpu("native")), one);
        assert_eq!(held_targets(of(1, 12), &Base::Shipped, &cpu("")), one);
    }
}
