//! Demonstrates what ARCHITECTURE.md says about extending the tables of this crate: adding a row is
//! enough, and derived facts hold for every row.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use sysforge_plan::cpu;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::{Layout, Strategy};
use sysforge_plan::nightly::Nightly;
use sysforge_plan::toolchain::Published;
use sysforge_plan::{BuildId, JuliaVersion, Os, Triplet};

/// A Julia that behaves like no existing one. Only this row knows it.
fn future() -> &'static Generation {
    let newest = Generation::all().last().unwrap();
    Box::leak(Box::new(Generation {
        since: (1, 99),
        libraries: &["julia", "julia-internal", "julia-future"],
        ships_lld: false,
        image_symbols: &["jl_future_root"],
        ..*newest
    }))
}

#[test]
fn a_julia_that_behaves_differently_is_a_row() {
    let layout = Layout::of(Os::Linux, future());
    let needed = layout.generation.libraries.iter();
    let needed: Vec<_> = needed
        .map(|name| layout.needed_name(name, (1, 99)))
        .collect();
    assert_eq!(
        needed,
        [
            "libjulia.so.1.99",
            "libjulia-internal.so.1.99",
            "libjulia-future.so.1.99"
        ]
    );
    // It ships no linker: the order reflects that.
    assert!(!Strategy::order(Os::Linux, future()).contains(&Strategy::JuliaLld));
    let newest = Generation::all().last().unwrap();
    assert!(Strategy::order(Os::Linux, newest).contains(&Strategy::JuliaLld));
}

#[test]
fn a_platform_is_a_row_from_which_everything_follows() {
    let page = include_str!("../../../docs/src/reference/platforms.md");
    let julia = JuliaVersion::new(1, 12, 7);
    for triplet in Triplet::all() {
        assert!(page.contains(&format!("`{triplet}`")), "{triplet}");
        assert!(!cpu::portable(triplet).is_empty());
        let id = BuildId::of("x", &julia, triplet, None).unwrap();
        assert_eq!(id.as_str(), format!("x-julia1.12.7-{triplet}"));
        let layout = Layout::of(triplet.os(), Generation::of(&julia).unwrap());
        let extension = triplet.os().conventions().library_extension;
        let image = format!("x.{extension}");
        assert!(layout.image_name(&image).ends_with(&image));
        assert_eq!(
            Nightly::locate(None, triplet).is_some(),
            triplet.nightly().is_some()
        );
    }
}

#[test]
fn a_toolchain_is_a_row() {
    let page = include_str!("../../../docs/src/reference/acquire.md");
    for row in Published::all() {
        // Each toolchain is documented, and is either suitable or refused with a reason.
        assert!(page.contains(&format!("`{}`", row.name)), "{}", row.name);
        if let Err(reason) = row.traits().check(row.name, row.target()) {
            assert!(reason.to_string().contains(row.name), "{reason}");
        }
    }
}
