//! The differences between Julia versions that matter for building a sysimage. All such differences
//! belong in this file: a new Julia that behaves differently is a new row.

use crate::version::JuliaVersion;

/// How to run Julia and link its images, for one range of versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Generation {
    /// The first `(major, minor)` of this row; it applies up to the next row.
    pub since: (u64, u64),
    /// Libraries that a sysimage is linked against, without `lib` and extension. Since 1.6
    /// `libjulia` is a thin loader of `libjulia-internal`.
    pub libraries: &'static [&'static str],
    /// Packages of an interactive session that Julia's own sysimage does not contain (since 1.11).
    /// Julia ships them as precompiled packages, which another image cannot load.
    pub interactive: &'static [InteractivePackage],
    /// Whether packages have `[weakdeps]` and extensions (since 1.9).
    pub extensions: bool,
    /// Whether Pkg reads `[sources]` of project files (since 1.11).
    pub sources: bool,
    /// Whether an empty entry of `JULIA_DEPOT_PATH` stands for all default depots; since 1.11 it
    /// stands for those shipped with Julia, and the user's depot comes first if the first entry is
    /// empty.
    pub user_depot_in_empty_entries: bool,
    /// Whether package images exist (since 1.9). They hide native code from `--trace-compile`, so
    /// tracing and emitting need `--pkgimages=no`.
    pub package_images: bool,
    /// Whether Julia ships an `lld` (since 1.9).
    pub ships_lld: bool,
    /// Whether code generation runs in `JULIA_IMAGE_THREADS` threads (since 1.9).
    pub image_threads: bool,
    /// The flag that makes `--trace-compile` print the time of each statement (since 1.12).
    pub trace_timing: Option<&'static str>,
    /// Whether the names of the libjulias contain the minor version (`libjulia.so.1.10`, since
    /// 1.10) or only the major version (`libjulia.so.1`).
    pub minor_in_names: bool,
    /// What a fresh base contains.
    pub base_form: BaseForm,
    /// Whether Julia has `--strip-metadata` and `--strip-ir` (since 1.8).
    pub strips_images: bool,
    /// Whether images with `--strip-ir` failed their check when it was tried (1.12.5): Julia's own code
    /// that shows an error was not compiled in the image, and could not be compiled any more.
    pub stripped_ir_fails: bool,
    /// Whether Julia starts without its compiler (since 1.8). Before, the dynamic section of
    /// `libjulia` (1.5) or `libjulia-internal` (1.6, 1.7) names LLVM. Now only `libjulia-codegen`
    /// needs it, which `libjulia` loads by name; if it is missing, `libjulia-internal` has
    /// substitutes that compile nothing (`cli/loader_lib.c`).
    pub optional_compiler: bool,
    /// Whether Julia has `--compress-sysimage` (since 1.13).
    pub compresses_images: bool,
    /// Whether an image keeps all its CPU targets if the base is a shared library (since 1.12;
    /// before, all but the first are dropped, julia#50792).
    pub keeps_targets: bool,
    /// The memory that emitting an image needs.
    pub memory: EmissionMemory,
    /// What CPU targets after the first add to an emission; `None` where it was not measured.
    pub target_costs: Option<TargetCosts>,
    /// The symbols that an image must define to be loadable, in C spelling (`jl_image_pointers` is
    /// the root of all code symbols since 1.10).
    pub image_symbols: &'static [&'static str],
}

/// What a base that is made from Julia's sources contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BaseForm {
    /// No native code (up to 1.11): it takes less time to make.
    Data,
    /// Native code (since 1.12). The compiler is a package of its own there, which takes 97 s of CPU
    /// time each time Julia starts on a base without native code (1.12.5).
    Native,
}

/// A standard library that an interactive session loads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InteractivePackage {
    /// Its name.
    pub name: &'static str,
    /// Its UUID.
    pub uuid: &'static str,
}

/// The packages that Julia 1.11 removed from its own sysimage.
pub const INTERACTIVE: &[InteractivePackage] = &[
    InteractivePackage {
        name: "REPL",
        uuid: "3fa0cd96-eef1-5676-8a61-b3b8758bbffb",
    },
    InteractivePackage {
        name: "Pkg",
        uuid: "44cfe95a-1eb2-52ea-b672-e2afdf69b78f",
    },
];

/// The memory that emitting an image needs, in bytes, measured for projects with few packages.
/// Large packages need more: CSV.jl 0.5 GB, CSV.jl with DataFrames.jl 1.8 GB (on 1.10.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EmissionMemory {
    /// Independent of the number of threads.
    pub base: u64,
    /// For each thread that generates code.
    pub per_thread: u64,
    /// For each CPU target after the first that all code is compiled for.
    pub per_whole_target: u64,
    /// For each CPU target that only selected functions are compiled for.
    pub per_selected_target: u64,
    /// For the packages of an interactive session.
    pub interactive: u64,
}

/// What CPU targets after the first add to the time of an emission and to the size of its image, in
/// percent of an emission for one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetCosts {
    /// A target that all code is compiled for.
    pub whole: Costs,
    /// A target that only selected functions are compiled for.
    pub selected: Costs,
}

/// Additional time and size, in percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Costs {
    /// Of the time.
    pub time: u64,
    /// Of the image's size.
    pub size: u64,
}

const V1_5: Generation = Generation {
    since: (1, 5),
    libraries: &["julia"],
    interactive: &[],
    extensions: false,
    sources: false,
    user_depot_in_empty_entries: true,
    package_images: false,
    ships_lld: false,
    image_threads: false,
    trace_timing: None,
    minor_in_names: false,
    base_form: BaseForm::Data,
    strips_images: false,
    stripped_ir_fails: false,
    optional_compiler: false,
    compresses_images: false,
    keeps_targets: false,
    // 1.5.3: 2.0 to 2.1 GB.
    memory: EmissionMemory {
        base: 2_100_000_000,
        per_thread: 0,
        per_whole_target: 150_000_000,
        per_selected_target: 150_000_000,
        interactive: 0,
    },
    target_costs: None,
    image_symbols: &[
        "jl_system_image_data",
        "jl_system_image_size",
        "jl_sysimg_fvars_base",
        "jl_sysimg_fvars_offsets",
        "jl_sysimg_gvars_base",
        "jl_sysimg_gvars_offsets",
    ],
};
const V1_6: Generation = Generation {
    since: (1, 6),
    libraries: &["julia", "julia-internal"],
    // 1.6.7: 3.6 GB.
    memory: EmissionMemory {
        base: 3_600_000_000,
        ..V1_5.memory
    },
    ..V1_5
};
const V1_8: Generation = Generation {
    since: (1, 8),
    strips_images: true,
    optional_compiler: true,
    ..V1_6
};
const V1_9: Generation = Generation {
    since: (1, 9),
    extensions: true,
    package_images: true,
    ships_lld: true,
    image_threads: true,
    // 1.10.8: 3.1 GB with one thread, 4.7 to 5.2 GB with two; 5.0 GB with two threads and three targets.
    memory: EmissionMemory {
        base: 1_700_000_000,
        per_thread: 1_600_000_000,
        per_whole_target: 150_000_000,
        per_selected_target: 150_000_000,
        interactive: 0,
    },
    ..V1_8
};
const V1_10: Generation = Generation {
    since: (1, 10),
    minor_in_names: true,
    image_symbols: &[
        "jl_system_image_data",
        "jl_system_image_size",
        "jl_image_pointers",
    ],
    ..V1_9
};
const V1_11: Generation = Generation {
    since: (1, 11),
    interactive: INTERACTIVE,
    memory: EmissionMemory {
        // 1.12.5, two threads, one target: 8.1 GB with the REPL and Pkg.
        interactive: 3_100_000_000,
        ..V1_10.memory
    },
    sources: true,
    user_depot_in_empty_entries: false,
    ..V1_10
};
const V1_12: Generation = Generation {
    since: (1, 12),
    trace_timing: Some("--trace-compile-timing"),
    base_form: BaseForm::Native,
    keeps_targets: true,
    stripped_ir_fails: true,
    // 1.12.5, two threads: 4.6 to 5.0 GB with one target, 6.4 GB with two, 9.1 GB with three.
    memory: EmissionMemory {
        base: 1_800_000_000,
        per_thread: 1_600_000_000,
        per_whole_target: 2_900_000_000,
        per_selected_target: 1_200_000_000,
        ..V1_11.memory
    },
    // 1.12.5: 265 s and 233 MB for one target, 677 s and 309 MB for three, of which one is selected
    // only. For another project 285 s of CPU time and 224 MB for one target, 650 s and 253 MB for two,
    // of which one is selected only.
    target_costs: Some(TargetCosts {
        whole: Costs { time: 27, size: 20 },
        selected: Costs {
            time: 128,
            size: 13,
        },
    }),
    ..V1_11
};
const V1_13: Generation = Generation {
    since: (1, 13),
    compresses_images: true,
    ..V1_12
};

/// Oldest first.
const TABLE: &[Generation] = &[V1_5, V1_6, V1_8, V1_9, V1_10, V1_11, V1_12, V1_13];

/// The beginnings of the names of the libraries that make up Julia's compiler, where it is optional.
pub const COMPILER: &[&str] = &["libjulia-codegen", "libLLVM"];

impl Generation {
    /// The oldest Julia for which Sysforge builds.
    pub const OLDEST: (u64, u64) = TABLE[0].since;

    /// Returns the row for `version`, or `None` if it is older than [`Self::OLDEST`]. Versions
    /// newer than the last row are assumed to behave like it.
    pub fn of(version: &JuliaVersion) -> Option<&'static Self> {
        TABLE
            .iter()
            .rev()
            .find(|row| version.minor_pair() >= row.since)
    }

    /// Returns all rows, oldest first.
    pub fn all() -> &'static [Self] {
        TABLE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documentation_lists_every_row() {
        let page = include_str!("../../../docs/src/reference/versions.md");
        let rows = page.lines().filter(|line| line.starts_with("| 1."));
        let rows: Vec<_> = rows
            .take_while(|line| !line.starts_with("| 1.5.3"))
            .filter_map(|line| line.split(' ').nth(1))
            .collect();
        let known = TABLE
            .iter()
            .map(|row| format!("{}.{}", row.since.0, row.since.1));
        assert_eq!(rows, known.collect::<Vec<_>>());
    }

    #[test]
    fn the_documentation_names_a_test_for_every_row() {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
        let page = include_str!("../../../docs/src/reference/versions.md");
        let rows = page.lines().filter(|line| line.starts_with("| 1."));
        for row in rows.take(TABLE.len()) {
            let cell = row.trim_end_matches([' ', '|']).rsplit(" | ").next();
            // `test` (`path`), `test` (`path`)
            let words: Vec<_> = cell.unwrap().split('`').collect();
            assert!(words.len() > 4, "{row}");
            for pair in words.chunks_exact(4) {
                let (test, path) = (pair[1], pair[3]);
                let code = std::fs::read_to_string(format!("{root}/{path}")).unwrap();
                assert!(code.contains(&format!("fn {test}()")), "{test} in {path}");
            }
        }
    }

    #[test]
    fn every_row_differs_from_the_one_before() {
        for pair in TABLE.windows(2) {
            let since = pair[1].since;
            assert_ne!(Generation { since, ..pair[0] }, pair[1]);
        }
    }

    #[test]
    fn rows_are_in_order_and_cover_what_lies_between() {
        assert!(TABLE.windows(2).all(|pair| pair[0].since < pair[1].since));
        let of = |major, minor| Generation::of(&JuliaVersion::new(major, minor, 0));
        assert_eq!(of(1, 7).map(|g| g.since), Some((1, 6)));
        assert_eq!(of(1, 99).map(|g| g.since), Some((1, 13)));
        assert_eq!(of(1, 4), None);
    }
}
