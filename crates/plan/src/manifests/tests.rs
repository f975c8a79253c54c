use super::*;

fn file(name: &str, julia: Option<&str>) -> ManifestFile {
    let julia = julia.map_or_else(String::new, |julia| {
        format!("julia_version = \"{julia}\"\n")
    });
    let text = format!("{julia}manifest_format = \"2.0\"\n");
    ManifestFile {
        name: name.to_owned(),
        path: PathBuf::new(),
        folder: PathBuf::new(),
        origin: Origin::of_file_name(name).map_or(Origin::Named, |(origin, _)| origin),
        of_workspace: false,
        content: Manifest::from_toml(name, &text),
    }
}

fn of_workspace(name: &str, julia: Option<&str>) -> ManifestFile {
    ManifestFile {
        of_workspace: true,
        ..file(name, julia)
    }
}

fn used(manifests: &Manifests, julia: &str) -> Option<String> {
    let julia = julia.parse().unwrap();
    manifests.of(&julia).map(|file| file.name.clone())
}

fn request(files: Vec<ManifestFile>) -> Option<String> {
    Manifests(files)
        .request()
        .map(|request| request.to_string())
}

#[test]
fn file_names_say_which_julia_uses_them() {
    let of = |name| Origin::of_file_name(name).map(|(origin, _)| origin);
    assert_eq!(of("Manifest.toml"), Some(Origin::Plain));
    assert_eq!(
        of("JuliaManifest-v1.12.toml"),
        Some(Origin::Versioned(1, 12))
    );
    for name in [
        "Manifest-v1.toml",
        "Manifest-v1.9.toml",
        "Manifest-v1.x.toml",
        "Manifest-v1.012.toml",
        "Manifest-1.12.toml",
        "Manifest-v1.12.7.toml",
        "Manifest.toml.bak",
        "MyManifest.toml",
        "Project.toml",
    ] {
        assert_eq!(of(name), None, "{name}");
    }
    let mut names = [
        "Manifest.toml",
        "JuliaManifest.toml",
        "Manifest-v1.12.toml",
        "JuliaManifest-v1.12.toml",
    ];
    names.sort_by_key(|name| Origin::of_file_name(name).unwrap().1);
    names.reverse();
    assert_eq!(names[0], "Manifest.toml");
    assert_eq!(names[3], "JuliaManifest-v1.12.toml");
}

#[test]
fn versioned_manifests_are_used_since_1_10_8_by_their_julia() {
    let manifests = Manifests(vec![
        file("Manifest-v1.10.toml", None),
        file("Manifest-v1.12.toml", None),
        file("Manifest.toml", None),
    ]);
    let plain = Some("Manifest.toml".to_owned());
    assert_eq!(
        used(&manifests, "1.12.7"),
        Some("Manifest-v1.12.toml".to_owned())
    );
    assert_eq!(
        used(&manifests, "1.10.8"),
        Some("Manifest-v1.10.toml".to_owned())
    );
    assert_eq!(used(&manifests, "1.10.7"), plain);
    assert_eq!(used(&manifests, "1.11.9"), plain);
}

#[test]
fn a_members_manifest_is_that_of_its_workspace_since_1_12() {
    let manifests = Manifests(vec![
        of_workspace("../Manifest.toml", Some("1.12.7")),
        file("Manifest.toml", Some("1.11.9")),
    ]);
    assert_eq!(
        used(&manifests, "1.12.0-rc1"),
        Some("../Manifest.toml".to_owned())
    );
    assert_eq!(used(&manifests, "1.11.9"), Some("Manifest.toml".to_owned()));
    assert_eq!(manifests.request().unwrap().to_string(), "1.12.7");
}

#[test]
fn the_manifest_that_is_used_says_which_julia() {
    let plain = |julia| file("Manifest.toml", julia);
    assert_eq!(request(vec![]), None);
    assert_eq!(
        request(vec![plain(Some("1.12.6"))]).as_deref(),
        Some("1.12.6")
    );
    assert_eq!(request(vec![plain(None)]), None);
    // A plain manifest is ignored if there is a versioned one.
    let versioned = file("Manifest-v1.12.toml", Some("1.12.7"));
    let both = vec![versioned.clone(), plain(Some("1.12.6"))];
    assert_eq!(request(both).as_deref(), Some("1.12.7"));
    let older = file("Manifest-v1.10.toml", Some("1.10.12"));
    assert_eq!(request(vec![older, versioned]).as_deref(), Some("1.12.7"));
    // An empty manifest, or one made by another Julia, still applies to its version.
    for julia in [None, Some("1.11.9")] {
        let files = vec![file("Manifest-v1.12.toml", julia), plain(Some("1.10.12"))];
        assert_eq!(request(files).as_deref(), Some("1.12"));
    }
    // A named manifest comes before all others.
    let named = file("other.toml", Some("1.11.9"));
    let files = vec![named, file("Manifest-v1.12.toml", Some("1.12.7"))];
    assert_eq!(request(files).as_deref(), Some("1.11.9"));
    // No Julia uses a workspace's manifest made by a Julia without workspaces.
    let files = vec![
        of_workspace("../Manifest.toml", Some("1.11.9")),
        plain(Some("1.10.12")),
    ];
    assert_eq!(request(files).as_deref(), Some("1.10.12"));
}
