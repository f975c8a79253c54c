//! One link in the syntax of each linker: the complete arguments.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use std::fmt::Write as _;
use std::path::PathBuf;

use sysforge_plan::Triplet;
use sysforge_plan::generation::Generation;
use sysforge_plan::library::LibraryLink;
use sysforge_plan::link::arguments::{Flavour, Input, LinkSpec};
use sysforge_plan::link::linker::{Inventory, candidates, driver_names, zig_target};
use sysforge_plan::link::{LinkerChoice, Strategy};

fn spec(triplet: Triplet) -> LinkSpec {
    let path = |name: &str| PathBuf::from(name);
    let input = |name: &str, archive| Input {
        path: path(name),
        archive,
    };
    LinkSpec {
        triplet,
        inputs: vec![input("image.a", true), input("stub.o", false)],
        output: path("out/image"),
        name: "@rpath/image".to_owned(),
        libraries: vec![path("lib/libjulia")],
        further_libraries: vec![path("lib/extra")],
        library_dirs: vec![path("lib"), path("lib/julia")],
        run_paths: vec!["$ORIGIN".to_owned(), "/opt/julia, new/lib".to_owned()],
        exports: Some(path("exports.list")),
        has_entry: false,
        start_object: Some(path("dllcrt2.o")),
        strip: true,
        minimum_macos: "11.0".to_owned(),
        discard: Some(path("discard.ld")),
        shims: Some(path("shims")),
        library: None,
    }
}

fn line(spec: &LinkSpec, flavour: Flavour) -> String {
    let words = spec.arguments(flavour);
    let words: Vec<_> = words.iter().map(|word| word.to_str().unwrap()).collect();
    words.join(" ")
}

const LINUX: Triplet = Triplet::X86_64_LINUX_GNU;
const MAC: Triplet = Triplet::AARCH64_APPLE_DARWIN;
const WINDOWS: Triplet = Triplet::X86_64_W64_MINGW32;
const GCC: Flavour = Flavour::Driver { zig: false };
const ZIG: Flavour = Flavour::Driver { zig: true };

#[test]
fn a_link_is_said_in_the_language_of_each_linker() {
    let mut text = String::new();
    for (title, triplet, flavour) in [
        ("gcc, Linux", LINUX, GCC),
        ("zig cc, Linux", LINUX, ZIG),
        ("ld, Linux", LINUX, Flavour::Gnu),
        ("clang, macOS", MAC, GCC),
        ("zig cc, macOS", MAC, ZIG),
        ("ld64.lld, macOS", MAC, Flavour::Darwin),
        ("gcc, Windows", WINDOWS, GCC),
        ("ld.lld, Windows", WINDOWS, Flavour::Gnu),
        ("lld-link, Windows", WINDOWS, Flavour::Link),
    ] {
        writeln!(text, "{title}:\n  {}", line(&spec(triplet), flavour)).unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn what_a_link_lacks_is_not_mentioned() {
    for (triplet, flavours) in [
        (LINUX, [GCC, ZIG, Flavour::Gnu]),
        (MAC, [GCC, ZIG, Flavour::Darwin]),
        (WINDOWS, [GCC, Flavour::Gnu, Flavour::Link]),
    ] {
        let bare = LinkSpec {
            run_paths: Vec::new(),
            exports: None,
            discard: None,
            shims: None,
            strip: false,
            ..spec(triplet)
        };
        for flavour in flavours {
            let line = line(&bare, flavour);
            for word in [
                "-rpath ", "exports", "discard", "shims", "-B", " -s", "-Wl,-S",
            ] {
                // GNU ld's `-Bdynamic` is a different option.
                let line = line.replace("-Bdynamic", "").replace(" -shared", "");
                let line = line.replace(" -soname", "").replace(" -static", "");
                assert!(!line.contains(word), "{word} in {line}");
            }
        }
    }
}

#[test]
fn a_library_has_what_programs_need_that_link_against_it() {
    let library = |triplet| LinkSpec {
        library: Some(LibraryLink {
            version: "1.2.3".parse().unwrap(),
            compatible: "1.0.0".parse().unwrap(),
            import_library: PathBuf::from("lib/import.dll.a"),
            library_dirs: vec![".".to_owned()],
        }),
        ..spec(triplet)
    };
    // The run path must also apply to libjulia's own libraries.
    assert!(line(&library(LINUX), GCC).contains("-Xlinker --disable-new-dtags"));
    assert!(line(&library(LINUX), Flavour::Gnu).contains(" --disable-new-dtags"));
    for flavour in [GCC, ZIG, Flavour::Darwin] {
        let line = line(&library(MAC), flavour);
        let versions = "-compatibility_version 1.0.0 -current_version 1.2.3";
        assert!(line.contains(versions), "{line}");
        assert!(!line.contains("new-dtags"), "{line}");
    }
    for (flavour, wanted) in [
        (GCC, "-Xlinker --out-implib -Xlinker lib/import.dll.a"),
        (Flavour::Gnu, "--out-implib lib/import.dll.a"),
        (Flavour::Link, "/implib:lib/import.dll.a"),
    ] {
        let line = line(&library(WINDOWS), flavour);
        assert!(line.contains(wanted), "{line}");
    }
}

#[test]
fn a_dll_has_one_entry_point() {
    let with_entry = LinkSpec {
        has_entry: true,
        ..spec(WINDOWS)
    };
    // The objects define the entry point: the toolchain's must not be linked.
    let link = line(&with_entry, Flavour::Link);
    assert!(link.contains("/entry:_DllMainCRTStartup") && !link.contains("dllcrt2.o"));
    assert!(!line(&with_entry, Flavour::Gnu).contains("dllcrt2.o"));
    assert!(line(&with_entry, GCC).contains("--allow-multiple-definition"));
    // Nothing defines an entry point.
    let without = LinkSpec {
        start_object: None,
        ..spec(WINDOWS)
    };
    assert!(line(&without, Flavour::Link).contains("/noentry"));
    assert!(line(&without, Flavour::Gnu).contains("-Xlink=-noentry"));
}

#[test]
fn processors_have_their_own_words() {
    let windows = spec("i686-w64-mingw32".parse().unwrap());
    assert!(line(&windows, Flavour::Gnu).starts_with("-m i386pe "));
    assert!(line(&windows, Flavour::Link).contains("/machine:x86 "));
    let mac = spec("x86_64-apple-darwin".parse().unwrap());
    assert!(line(&mac, Flavour::Darwin).contains("-arch x86_64"));
    assert!(line(&mac, GCC).contains("-arch x86_64 -mmacosx-version-min=11.0"));
}

#[test]
fn every_platform_has_drivers_and_a_target_of_zig() {
    let mut text = String::new();
    for triplet in Triplet::all() {
        let here = driver_names(triplet, Some(triplet)).join(" ");
        let elsewhere = driver_names(triplet, None).join(" ");
        let zig = zig_target(triplet);
        writeln!(text, "{triplet}: {zig}; {here}; cross: {elsewhere}").unwrap();
    }
    insta::assert_snapshot!(text);
}

#[test]
fn every_way_to_come_by_a_linker_is_started_in_its_own_way() {
    let generation = Generation::all().last().unwrap();
    let inventory = Inventory {
        julia_lld: Some("/j/lld".into()),
        lld: Some("/usr/bin/lld".into()),
        mold: Some("/usr/bin/mold".into()),
        drivers: vec![vec!["gcc".into()], vec!["zig".into(), "cc".into()]],
    };
    let mut text = String::new();
    let freebsd = "x86_64-unknown-freebsd".parse().unwrap();
    for triplet in [LINUX, MAC, WINDOWS, freebsd] {
        writeln!(text, "{triplet}:").unwrap();
        for way in candidates(triplet, generation, &LinkerChoice::Auto, &inventory) {
            let title = way.strategy.title(triplet.os());
            let by = way.expects.map_or("any".to_owned(), |who| who.to_string());
            let command = way.command.join(" ");
            writeln!(text, "  {}: {command} ({title}; {by})", way.strategy).unwrap();
        }
    }
    insta::assert_snapshot!(text);
    for strategy in Strategy::ALL {
        assert_eq!(strategy.to_string().parse::<Strategy>().unwrap(), strategy);
    }
    let error = "bfd".parse::<Strategy>().unwrap_err().to_string();
    assert!(error.starts_with("`bfd` is not a linker strategy (chosen, julia-lld"));
    let only = LinkerChoice::Only(vec![Strategy::Lld]);
    let ways = candidates(LINUX, generation, &only, &inventory);
    assert_eq!(ways.len(), 1);
    assert_eq!(ways[0].strategy, Strategy::Lld);
}
