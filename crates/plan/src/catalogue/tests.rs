use super::*;

/// A catalogue of the shape of the real one: its platforms begin and end with the versions that
/// they really begin and end with.
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
        // juliaup takes the newest over all platforms and then fails.
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

#[test]
fn the_oldest_of_a_range_is_what_min_means() {
    let request = Request::Oldest("1.7".parse().unwrap());
    let choice = catalogue()
        .choose(&request, Triplet::X86_64_LINUX_GNU)
        .unwrap();
    assert_eq!(choice.version.to_string(), "1.7.3");
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
