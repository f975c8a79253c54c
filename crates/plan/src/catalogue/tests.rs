use super::*;
use crate::ranges::Ranges;

/// Returns a catalogue shaped like the real one: each platform has the same first and last version.
pub(crate) fn real_shaped() -> Vec<u8> {
    let versions: &[(&str, bool)] = &[
        ("1.0.5", true),
        ("1.5.4", true),
        ("1.6.7", true),
        ("1.7.3", true),
        ("1.8.5", true),
        ("1.9.4", true),
        ("1.10.11", true),
        ("1.10.12", true),
        ("1.11.9", true),
        ("1.12.6", true),
        ("1.12.7", true),
        ("1.13.2", true),
        ("1.14.0-alpha1", false),
        ("1.14.0-rc1", false),
    ];
    let mut whole = serde_json::Map::new();
    for (name, stable) in versions {
        let version: JuliaVersion = name.parse().unwrap();
        let minor = version.minor();
        let files: Vec<_> = Triplet::all()
            .filter(|triplet| match triplet.name() {
                "armv7l-linux-gnueabihf" => minor <= 7,
                "powerpc64le-linux-gnu" => minor <= 11,
                "x86_64-linux-musl" => (5..=10).contains(&minor),
                "aarch64-apple-darwin" => minor >= 7,
                _ => true,
            })
            .flat_map(|triplet| {
                let windows = triplet.name().contains("mingw");
                let formats: &[(&str, &str)] = if windows {
                    &[("exe", "installer"), ("zip", "archive"), ("tar.gz", "archive")]
                } else {
                    &[("tar.gz", "archive")]
                };
                formats.iter().map(move |(extension, kind)| (triplet, *extension, *kind))
            })
            .map(|(triplet, extension, kind)| {
                serde_json::json!({
                    "url": format!(
                        "{OFFICIAL_SERVER}/bin/{}/1.{minor}/julia-{name}-{}.{extension}",
                        triplet.server_folder(), triplet.server_suffix(),
                    ),
                    "triplet": triplet.name().replace("darwin", "darwin14").replace("freebsd", "freebsd11.1"),
                    "kind": kind, "extension": extension, "version": name,
                    "os": "some", "arch": "some", "sha256": "ab".repeat(32), "size": 123,
                    "etag": "unknown field",
                })
            })
            .collect();
        whole.insert(
            (*name).to_owned(),
            serde_json::json!({"stable": stable, "files": files}),
        );
    }
    whole.insert(
        "1.99.0".to_owned(),
        serde_json::json!({"stable": true, "files": [{
            "url": "https://x/y.tar.gz", "triplet": "riscv64-linux-gnu", "kind": "archive",
            "extension": "tar.gz", "sha256": "cd".repeat(32), "size": 1,
        }]}),
    );
    serde_json::to_vec(&whole).unwrap()
}

fn catalogue() -> Catalogue {
    Catalogue::parse(&real_shaped()).unwrap()
}

fn chosen(request: &str, triplet: &str) -> String {
    catalogue()
        .choose(&request.parse().unwrap(), triplet.parse().unwrap())
        .unwrap()
        .version
        .to_string()
}

#[test]
fn each_request_gets_the_newest_that_the_platform_has() {
    for (request, triplet, version) in [
        ("release", "x86_64-linux-gnu", "1.13.2"),
        ("1", "x86_64-linux-gnu", "1.13.2"),
        ("1.12", "x86_64-linux-gnu", "1.12.7"),
        ("1.12.6", "x86_64-linux-gnu", "1.12.6"),
        ("lts", "x86_64-linux-gnu", "1.10.12"),
        ("rc", "x86_64-linux-gnu", "1.14.0-rc1"),
        ("pre", "x86_64-linux-gnu", "1.14.0-rc1"),
        ("1.14.0-alpha1", "x86_64-linux-gnu", "1.14.0-alpha1"),
        ("^1.6", "x86_64-linux-gnu", "1.13.2"),
        ("~1.10", "x86_64-linux-gnu", "1.10.12"),
        ("1.6 - 1.11", "x86_64-linux-gnu", "1.11.9"),
        // juliaup chooses the newest over all platforms and then fails.
        ("release", "x86_64-linux-musl", "1.10.12"),
        ("1", "armv7l-linux-gnueabihf", "1.7.3"),
        ("lts", "armv7l-linux-gnueabihf", "1.6.7"),
        ("release", "powerpc64le-linux-gnu", "1.11.9"),
        ("release", "aarch64-apple-darwin", "1.13.2"),
        ("1.13", "x86_64-unknown-freebsd", "1.13.2"),
    ] {
        assert_eq!(chosen(request, triplet), version, "{request} on {triplet}");
    }
}

/// Returns a catalogue of these versions, each with one archive for one platform.
fn of_versions(versions: &[&str]) -> Catalogue {
    let file = serde_json::json!({
        "url": "https://julialang-s3.julialang.org/bin/julia.tar.gz", "size": 1,
        "triplet": "x86_64-linux-gnu", "kind": "archive", "extension": "tar.gz",
        "sha256": "0".repeat(64),
    });
    let release = serde_json::json!({"stable": true, "files": [file]});
    let releases = versions.iter().map(|v| ((*v).to_owned(), release.clone()));
    let json = serde_json::Value::Object(releases.collect());
    Catalogue::parse(json.to_string().as_bytes()).unwrap()
}

fn chosen_of(catalogue: &Catalogue, request: &Request) -> String {
    let choice = catalogue.choose(request, Triplet::X86_64_LINUX_GNU);
    choice.unwrap().version.to_string()
}

#[test]
fn min_and_min_patch_agree_with_setup_julia() {
    let first = ["1.6.7", "1.7.1-rc1", "1.7.1-rc2", "1.7.1", "1.7.2", "1.8.0"];
    let second = ["1.6.7", "1.7.3-rc1", "1.7.3-rc2", "1.8.0"];
    for (versions, compat, min, min_patch) in [
        (&first[..], "^1.7", "1.7.2", "1.7.1"),
        (&second[..], "^1.7", "1.8.0", "1.8.0"),
        (&second[..], "~1.7, ~1.8, ~1.9", "1.8.0", "1.8.0"),
        (&second[..], "~1.8, ~1.7, ~1.9", "1.8.0", "1.8.0"),
        (&second[..], "1.7 - 1.9", "1.8.0", "1.8.0"),
        (&second[..], "< 1.9.0", "1.6.7", "1.6.7"),
        (&second[..], ">= 1.6.0", "1.6.7", "1.6.7"),
    ] {
        let catalogue = of_versions(versions);
        let range = || Ranges::from_compat(compat).unwrap();
        let found = chosen_of(&catalogue, &Request::OldestMinor(range()));
        assert_eq!(found, min, "min of {compat}");
        let found = chosen_of(&catalogue, &Request::Oldest(range()));
        assert_eq!(found, min_patch, "min-patch of {compat}");
    }
    // In [compat], the patch number counts too.
    let catalogue = of_versions(&first);
    let exactly = Ranges::from_compat("=1.7.1").unwrap();
    assert_eq!(
        chosen_of(&catalogue, &Request::OldestMinor(exactly)),
        "1.7.1"
    );
}

#[test]
fn requests_agree_with_setup_julia() {
    let catalogue = of_versions(&[
        "1.0.0",
        "1.0.5",
        "1.2.0",
        "1.2.0-rc1",
        "1.3.0-alpha",
        "1.3.0-rc2",
        "1.3.0",
        "1.10.0",
        "1.10.5",
        "1.10.0-rc1",
        "1.11.0",
        "1.11.0-rc4",
    ]);
    for (request, version) in [
        ("1.0.5", "1.0.5"),
        ("1.3.0-alpha", "1.3.0-alpha"),
        ("lts", "1.10.5"),
        ("pre", "1.11.0"),
        ("1", "1.11.0"),
        ("1.0", "1.0.5"),
        ("^1.3.0-rc1", "1.11.0"),
        ("^1.2.0-rc1", "1.11.0"),
        ("^1.10.0-rc1", "1.11.0"),
        ("^1.2.0-0", "1.11.0"),
        // Also where npm reads a series, next to a space or `||`.
        ("1.0 || 1.2", "1.2.0"),
        (">=1.0 <1.2", "1.0.5"),
        ("<=1.3.0-rc2 >=1.2", "1.3.0-rc2"),
    ] {
        assert_eq!(
            chosen_of(&catalogue, &request.parse().unwrap()),
            version,
            "{request}"
        );
    }
}

#[test]
fn a_development_version_is_answered_with_its_nightly_channel() {
    let development = |version: &str| {
        let version = JuliaVersion::from_number(version).unwrap();
        let catalogue = of_versions(&["1.11.0", "1.12.1", "1.13.0-rc1"]);
        let error = catalogue.choose(&Request::Exact(version), Triplet::X86_64_LINUX_GNU);
        match error.unwrap_err() {
            NoJulia::Development { nightly, .. } => nightly.to_string(),
            other => other.to_string(),
        }
    };
    // The same as juliaup's choice.
    assert_eq!(development("1.12.1-DEV"), "1.12-nightly");
    assert_eq!(development("1.13.0-DEV"), "1.13-nightly");
    assert_eq!(development("1.14.0-DEV.55"), "nightly");
}

#[test]
fn beta_is_the_newest_beta_unless_a_candidate_or_release_is_newer() {
    let newest = |versions: &[&str]| {
        let mut versions: Vec<JuliaVersion> = versions.iter().map(|v| v.parse().unwrap()).collect();
        versions.sort_by(|a, b| b.cmp(a));
        let newest = pick(&Request::Beta, versions.iter()).unwrap();
        newest.unwrap().to_string()
    };
    assert_eq!(
        newest(&["1.12.0-beta1", "1.12.0-beta2", "1.13.0-alpha1"]),
        "1.12.0-beta2"
    );
    assert_eq!(newest(&["1.12.0-beta2", "1.12.0-rc1"]), "1.12.0-rc1");
    assert_eq!(newest(&["1.12.0-beta2", "1.12.0"]), "1.12.0");
    assert_eq!(newest(&["1.11.0", "1.12.0-beta2"]), "1.12.0-beta2");
}

#[test]
fn a_tar_file_is_preferred_and_an_installer_never_taken() {
    let choice = catalogue()
        .choose(&Request::Release, Triplet::X86_64_W64_MINGW32)
        .unwrap();
    assert_eq!(choice.file.format, ArchiveFormat::TarGz);
    assert_eq!(choice.file.name(), "julia-1.13.2-win64.tar.gz");
}

#[test]
fn an_error_lists_what_the_platform_has() {
    let error = catalogue()
        .choose(
            &"1.13".parse().unwrap(),
            "x86_64-linux-musl".parse().unwrap(),
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "Julia 1.13.2 answers `1.13`, but no archive of it is published for x86_64-linux-musl"
    );
    assert_eq!(
        error.hints(),
        ["for x86_64-linux-musl there is: 1.10.12, 1.9.4, 1.8.5, 1.7.3, 1.6.7, 1.5.4"]
    );
    assert_eq!(error.class(), Class::Usage);
}

#[test]
fn a_version_that_never_was_is_answered_with_the_nearest() {
    let error = catalogue()
        .choose(&"1.12.9".parse().unwrap(), Triplet::X86_64_LINUX_GNU)
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "no Julia in the catalogue answers `1.12.9`"
    );
    assert_eq!(error.hints()[0], "the nearest published version is 1.12.7");
}

#[test]
fn what_is_unknown_is_kept_aside() {
    let catalogue = catalogue();
    assert!(
        catalogue
            .left_out()
            .iter()
            .any(|url| url == "https://x/y.tar.gz")
    );
    assert_eq!(
        catalogue.versions_for(Triplet::X86_64_LINUX_GNU).count(),
        14
    );
}

#[test]
fn refuses_what_is_no_catalogue() {
    for text in ["", "<html>", "[]", "{\"1.0.0\": 3}"] {
        assert!(Catalogue::parse(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn a_catalogue_with_absurdly_many_entries_is_refused() {
    for entry in ["{}", "[]"] {
        let text = |files: usize| {
            format!(
                r#"{{"1.0.0":{{"files":[{}]}}}}"#,
                vec![entry; files].join(",")
            )
        };
        let parsed = Catalogue::parse(text(MAX_ENTRIES - 3).as_bytes());
        assert_eq!(parsed.unwrap().left_out().len(), MAX_ENTRIES - 3);
        let refused = Catalogue::parse(text(MAX_ENTRIES - 2).as_bytes()).unwrap_err();
        assert!(matches!(refused, NotACatalogue::TooLarge), "{refused}");
        assert!(refused.to_string().contains("250000"), "{refused}");
    }
}

#[test]
fn a_hint_names_a_limited_number_of_series() {
    let versions: Vec<_> = (0..1000).map(|minor| format!("1.{minor}.0")).collect();
    let versions: Vec<_> = versions.iter().map(String::as_str).collect();
    let request = "2.0".parse().unwrap();
    let error = of_versions(&versions).choose(&request, Triplet::X86_64_LINUX_GNU);
    let hint = error.unwrap_err().hints().pop().unwrap();
    assert!(hint.contains(": 1.999.0, 1.998.0, "), "{hint}");
    assert!(hint.ends_with(", 1.960.0 and 960 more"), "{hint}");
}

mod properties {
    use proptest::prelude::*;

    use super::*;

    /// Generates requests as users write them, for versions near the published ones.
    fn requests() -> impl Strategy<Value = String> {
        let version = (0..2_u64, 0..16_u64, 0..14_u64);
        prop_oneof![
            Just("release".to_owned()),
            Just("lts".to_owned()),
            Just("rc".to_owned()),
            Just("pre".to_owned()),
            (0..3_u64).prop_map(|major| major.to_string()),
            version
                .clone()
                .prop_map(|(major, minor, _)| format!("{major}.{minor}")),
            version
                .clone()
                .prop_map(|(major, minor, patch)| format!("{major}.{minor}.{patch}")),
            ("[~^]|>=|<=|<|>|=", version.clone())
                .prop_map(|(operator, (major, minor, _))| format!("{operator}{major}.{minor}")),
            (version.clone(), version.clone())
                .prop_map(|(a, b)| format!("{}.{} - {}.{}", a.0, a.1, b.0, b.1)),
            (version.clone(), version)
                .prop_map(|(a, b)| format!(">={}.{} <{}.{}, ~{}.{}", a.0, a.1, b.0, b.1, b.0, b.1)),
        ]
    }

    /// A simple reference implementation of whether a release satisfies a request.
    fn answers(release: &Release, request: &Request) -> bool {
        let version = &release.version;
        match request {
            Request::Release => release.stable,
            Request::Lts => release.stable && LTS_SERIES.contains(&version.minor_pair()),
            Request::Rc => release.stable || version.to_string().contains("-rc"),
            Request::Beta => {
                let version = version.to_string();
                release.stable || version.contains("-rc") || version.contains("-beta")
            }
            Request::Pre => true,
            Request::Series(major, None) => release.stable && version.major() == *major,
            Request::Series(major, Some(minor)) => {
                release.stable && version.minor_pair() == (*major, *minor)
            }
            Request::Exact(exact) => version == exact,
            Request::Within(ranges) => ranges.contains(version),
            _ => false,
        }
    }

    proptest! {
        #[test]
        fn the_choice_is_the_newest_that_answers_and_has_the_platform(
            text in requests(),
            index in 0..11_usize,
        ) {
            let catalogue = catalogue();
            let triplet = Triplet::all().nth(index).unwrap();
            let request: Request = text.parse().unwrap();
            let expected = catalogue
                .releases()
                .iter()
                .filter(|release| answers(release, &request))
                .rfind(|release| release.archive_for(triplet).is_some());
            match catalogue.choose(&request, triplet) {
                Ok(choice) => {
                    prop_assert_eq!(choice.file.triplet, triplet);
                    prop_assert_eq!(Some(&choice.version), expected.map(|r| &r.version));
                }
                Err(error) => {
                    prop_assert!(expected.is_none(), "{}", error);
                    // The versions that it lists exist.
                    let (NoJulia::NotForPlatform { available, .. }
                    | NoJulia::Unknown { available, .. }) = error
                    else {
                        panic!("{error}");
                    };
                    for version in available {
                        let exact = Request::Exact(version);
                        prop_assert!(catalogue.choose(&exact, triplet).is_ok());
                    }
                }
            }
        }

        #[test]
        fn whatever_is_typed_is_read_or_refused_and_printed_as_it_is_read(text in "\\PC{0,20}") {
            if let Ok(request) = text.parse::<Request>() {
                let again: Request = request.to_string().parse().unwrap();
                prop_assert_eq!(again, request);
            }
        }

        #[test]
        fn a_range_and_its_text_agree(text in "[~^<>=]{0,2}[0-9]{1,2}(\\.[0-9x*]{1,2}){0,2}") {
            if let Ok(ranges) = text.parse::<Ranges>() {
                prop_assert_eq!(ranges.to_string(), text);
            }
        }
    }
}
