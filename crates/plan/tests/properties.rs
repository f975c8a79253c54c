//! Properties that hold for any input: user input and server responses cannot make this crate's
//! decisions panic, and decisions agree with simpler reference implementations.

use proptest::prelude::*;
use sysforge_plan::cpu::plain_targets;
use sysforge_plan::ranges::Ranges;
use sysforge_plan::release::asset_name::kept_name;
use sysforge_plan::toml_error::TomlError;
use sysforge_plan::{BuildId, Config, Explain, JuliaVersion, Triplet, statements};

/// Generates lines like those of a `Sysimage.toml`, valid and invalid.
fn toml_lines() -> impl Strategy<Value = String> {
    let key = "name|packages|workloads|julia|cpu|archive|base|rounds|strict|wrkloads|é";
    let value = "\"\\PC{0,8}\"|[0-9]{1,3}|true|\\[\"a\", \"b\\.jl\"\\]|\\{|tar\\.gz";
    let table =
        "\\[workflow\\]|\\[\\[overrides\\]\\]|\\[platforms\\.\"x86_64-linux-gnu\"\\]|\\PC{0,12}";
    let line = prop_oneof![
        3 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
        1 => table.prop_map(|table: String| table),
    ];
    prop::collection::vec(line, 0..6).prop_map(|lines| lines.join("\n"))
}

/// Generates a release with small numbers, so that bounds are hit.
fn version() -> impl Strategy<Value = (u64, u64, u64)> {
    (0..3_u64, 0..4_u64, 0..4_u64)
}

proptest! {
    #[test]
    fn any_file_is_read_or_refused_with_its_place(text in toml_lines()) {
        if let Err(error) = Config::from_toml("Sysimage.toml", &text) {
            let lines = text.lines().count().max(1);
            prop_assert!((1..=lines + 1).contains(&error.line), "{}", error);
            prop_assert!(error.location().is_some());
            prop_assert!(!error.message.contains('\n'));
        }
    }

    #[test]
    fn any_offset_can_be_pointed_at(text in "(\\PC|\n){0,40}", offset in 0..200_usize) {
        let error = TomlError::at("x.toml", &text, offset, "wrong");
        prop_assert!(error.to_string().contains("x.toml"));
    }

    #[test]
    fn ranges_agree_with_those_of_cargo(
        operator in prop::sample::select(vec!["^", "~", ">=", ">", "<=", "<"]),
        (major, minor, patch) in version(),
        given in 1..=3_usize,
        (a, b, c) in version(),
    ) {
        let bound = [major, minor, patch][..given]
            .iter()
            .map(u64::to_string)
            .collect::<Vec<_>>()
            .join(".");
        let text = format!("{operator}{bound}");
        let ours: Ranges = text.parse().unwrap();
        let theirs = semver::VersionReq::parse(&text).unwrap();
        let version = JuliaVersion::new(a, b, c);
        prop_assert_eq!(
            ours.contains(&version),
            theirs.matches(version.as_semver()),
            "{} in {}", version, text
        );
    }

    #[test]
    fn versions_are_printed_as_they_are_read(
        (a, b, c) in version(),
        pre in "(-(alpha|beta|rc|DEV\\.)[1-9])?",
    ) {
        let text = format!("{a}.{b}.{c}{pre}");
        let version: JuliaVersion = text.parse().unwrap();
        prop_assert_eq!(version.to_string(), text);
        prop_assert!(version <= JuliaVersion::new(a, b, c));
    }

    #[test]
    fn statements_are_the_same_when_read_again(
        lines in prop::collection::vec("(#= 1\\.2 ms =# )?precompile\\(\\PC{0,12}\\)( # recompile)?|\\PC{0,10}", 0..6),
    ) {
        let once = statements::parse(&lines.join("\n"));
        let again = statements::parse(&once.join("\n"));
        prop_assert_eq!(&once, &again);
    }

    #[test]
    fn a_kept_name_is_kept(name in "\\PC{1,20}") {
        let kept = kept_name(&name);
        prop_assert!(!kept.is_empty());
        prop_assert_eq!(kept_name(&kept), kept);
    }

    #[test]
    fn an_identifier_is_selected_by_itself_and_by_its_parts(
        name in "x[A-Za-z0-9._-]{0,10}x",
        (a, b, c) in version(),
        index in 0..11_usize,
        tier in prop::option::of("x[a-z0-9-]{1,9}"),
    ) {
        let triplet = Triplet::all().nth(index).unwrap();
        let julia = JuliaVersion::new(a, b, c);
        let id = BuildId::of(&name, &julia, triplet, tier.as_deref()).unwrap();
        for glob in [
            id.as_str().to_owned(),
            "*".to_owned(),
            format!("{name}-*"),
            format!("*-julia{julia}-*"),
            format!("*-{triplet}*"),
        ] {
            prop_assert!(id.matches(&glob), "{} by {}", id, glob);
        }
        prop_assert!(!id.matches("another-*-image"));
    }

    #[test]
    fn targets_are_told_apart_without_their_flags(
        targets in prop::collection::vec("[a-z0-9]{1,8}(,[-+][a-z0-9]{1,6}){0,2}", 1..4),
        flag in prop::sample::select(vec!["", ",clone_all", ",base(1)", ",opt_size"]),
    ) {
        let flagged: Vec<_> = targets.iter().map(|target| format!("{target}{flag}")).collect();
        prop_assert_eq!(plain_targets(&flagged.join(";")), targets);
    }
}
