use super::*;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";
const TREE: &str = "6c834533dc1fabd820c1db03c839bf97e45a3fab";

fn read(text: &str) -> Result<Manifest, TomlError> {
    Manifest::from_toml("Manifest.toml", text)
}

/// Returns a manifest of format 2 with the packages A and B, in which A has these further lines.
fn with(lines: &str) -> String {
    format!(
        "julia_version = \"1.12.7\"\nmanifest_format = \"2.0\"\n[[deps.B]]\nuuid = \"{B}\"\n\
         [[deps.A]]\nuuid = \"{A}\"\n{lines}\n"
    )
}

#[test]
fn reads_format_1() {
    let text = format!("[[A]]\ndeps = [\"B\"]\nuuid = \"{A}\"\n[[B]]\nuuid = \"{B}\"\n");
    let manifest = read(&text).unwrap();
    assert_eq!(
        (manifest.julia_version.as_ref(), manifest.format),
        (None, 1)
    );
    assert_eq!(manifest.entry("A", None).unwrap().deps["B"], B);
}

#[test]
fn what_mixes_the_formats_is_refused_with_the_line_to_write() {
    for (text, message, hint) in [
        (
            format!("julia_version = \"1.12.7\"\n[[deps.A]]\nuuid = \"{A}\"\n"),
            "`deps` is of format 2",
            "add `manifest_format = \"2.0\"`",
        ),
        (
            format!("julia_version = \"1.12.7\"\n[[A]]\nuuid = \"{A}\"\n"),
            "`julia_version` is of format 2",
            "add `manifest_format = \"2.0\"`",
        ),
        (
            format!("manifest_format = \"2.0\"\n[deps.A]\nuuid = \"{A}\"\n"),
            "the entry of `A` is in single brackets",
            "write `[[deps.A]]`",
        ),
        (
            format!("[A]\nuuid = \"{A}\"\n"),
            "the entry of `A` is in single brackets",
            "write `[[A]]`",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.message.contains(message), "{error}");
        assert!(error.hints[0].contains(hint), "{:?}", error.hints);
    }
    // Packages may have these names.
    let text = format!("[[deps]]\nuuid = \"{A}\"\n[[julia_version]]\nuuid = \"{B}\"\n");
    assert_eq!(read(&text).unwrap().packages.len(), 2);
}

#[test]
fn reads_format_2() {
    let lines = format!(
        "deps = {{ B = \"{}\" }}\ngit-tree-sha1 = \"{TREE}\"\nversion = \"0.10.14\"\npinned = true\n\
         registries = \"General\"\n[deps.A.weakdeps]\nC = \"{B}\"\n[deps.A.extensions]\nX = \"C\"\n\
         Y = [\"C\", \"B\"]\n[registries.General]\nuuid = \"{A}\"\n",
        B.to_uppercase()
    );
    let manifest = read(&with(&lines)).unwrap();
    assert_eq!(manifest.julia_version, Some(JuliaVersion::new(1, 12, 7)));
    let entry = manifest.entry("A", Some(A)).unwrap();
    assert_eq!(entry.version.as_deref(), Some("0.10.14"));
    assert_eq!(entry.deps["B"], B);
}

#[test]
fn the_julia_version_is_read_as_julia_reads_it() {
    let version = |text: &str| {
        let text = format!("julia_version = \"{text}\"\nmanifest_format = \"2.0\"\n");
        read(&text).unwrap().julia_version.unwrap().to_string()
    };
    assert_eq!(version("1.13.0-DEV"), "1.13.0-DEV");
    assert_eq!(version("1.10"), "1.10.0");
}

#[test]
fn an_empty_manifest_is_one() {
    let manifest = read("").unwrap();
    assert!(manifest.packages.is_empty());
    assert_eq!(manifest.format, 2);
}

#[test]
fn a_package_may_be_called_manifest_format() {
    let text = format!("[[manifest_format]]\nuuid = \"{A}\"\n");
    assert_eq!(read(&text).unwrap().packages.len(), 1);
}

#[test]
fn unknown_keys_and_formats_are_read() {
    assert!(read(&with("something = 1")).is_ok());
    let text = format!(
        "manifest_format = \"3.0\"\nother = [1]\n[[deps.A]]\nuuid = \"{A}\"\n[extra]\na = 1\n"
    );
    assert_eq!(read(&text).unwrap().format, 3);
}

#[test]
fn the_closure_holds_the_project_and_all_below() {
    let manifest = read(&with("deps = [\"B\"]")).unwrap();
    let project = format!(
        "name = \"P\"\nuuid = \"99999999-0000-4000-8000-000000000009\"\nversion = \"0.1.0\"\n\
         [deps]\nA = \"{A}\"\n"
    );
    let project = Project::from_toml("Project.toml", &project).unwrap();
    let requested = [(project.name.clone().unwrap(), project.uuid.clone().unwrap())];
    let closure = manifest.closure(&project, &JuliaVersion::new(1, 12, 7), &requested);
    let names: Vec<_> = closure
        .iter()
        .map(|p| (p.name.as_str(), p.requested))
        .collect();
    assert_eq!(names, [("A", false), ("B", false), ("P", true)]);
}

#[test]
fn what_pkg_refuses_is_refused_with_its_place() {
    let short = &TREE[..5];
    let table = format!("deps = {{ C = \"{B}\" }}");
    let unknown = format!("deps = {{ B = \"{}\" }}", B.replace('b', "c"));
    for (lines, wanted) in [
        (
            "deps = [\"C\"]",
            "`A` depends on `C`, but the manifest does not list that",
        ),
        (
            &unknown,
            "`A` depends on `B`, but the manifest does not list that",
        ),
        (&table, "`A` depends on `C`, but the manifest calls it `B`"),
        (
            "deps = [\"B\", \"B\"]",
            "`A` lists its dependency `B` twice",
        ),
        ("deps = \"B\"", "`deps` must be a list of names, or a table"),
        (
            "deps = [1]",
            "an entry of `deps` is a TOML integer, and must be a string",
        ),
        ("deps = { B = \"b\" }", "is not a UUID"),
        ("deps = { B = 3 }", "`B` is a TOML integer"),
        ("deps = []", "`deps` is an empty list"),
        ("weakdeps = []", "`weakdeps` is an empty list"),
        ("weakdeps = [\"C\"]", "`A` depends on `C`"),
        ("weakdeps = { C = \"c\" }", "is not a UUID"),
        ("git-tree-sha1 = true", "`git-tree-sha1` is a TOML boolean"),
        (
            &format!("git-tree-sha1 = \"{short}\""),
            "is not a SHA-1 digest",
        ),
        ("path = false", "`path` is a TOML boolean"),
        ("pinned = \"true\"", "`pinned` is a TOML string"),
        ("repo-rev = true", "`repo-rev` is a TOML boolean"),
        ("repo-url = 1", "`repo-url` is a TOML integer"),
        ("repo-subdir = []", "`repo-subdir` is a TOML array"),
        ("version = \"0.5.3.3.5\"", "is not a version number"),
        ("version = 1.0", "`version` is a TOML float"),
        ("extensions = { X = 1 }", "`X` is a TOML integer"),
        ("registries = 1", "`registries` is a TOML integer"),
        (
            "syntax = { julia_version = \"x\" }",
            "is not a version number",
        ),
        (
            "[[deps.C]]\nversion = \"1.0.0\"",
            "this package has no `uuid`",
        ),
        ("[[deps.C]]\nuuid = \"2a0f44e3\"", "is not a UUID"),
        (
            "[deps.C]\nuuid = \"x\"",
            "the entry of `C` is in single brackets",
        ),
        ("[registries.R]\nurl = \"u\"", "has no `uuid`"),
    ] {
        let error = read(&with(lines)).unwrap_err();
        assert!(error.to_string().contains(wanted), "{lines}: {error}");
        assert!(error.line > 3, "{lines}: {error}");
    }
}

#[test]
fn an_ambiguous_name_is_refused() {
    let text = format!(
        "[[A]]\nuuid = \"{A}\"\n[[A]]\nuuid = \"{B}\"\n\
         [[C]]\ndeps = [\"A\"]\nuuid = \"cccccccc-0000-4000-8000-000000000003\"\n"
    );
    let error = read(&text).unwrap_err();
    assert!(
        error.message.contains("several packages of that name"),
        "{error}"
    );
    assert_eq!(error.line, 6);
    // Two packages may share a name if the UUID says which is meant.
    let text = text.replace("deps = [\"A\"]", &format!("deps = {{ A = \"{B}\" }}"));
    assert!(read(&text).is_ok());
}

#[test]
fn what_is_wrong_with_the_whole_is_refused() {
    for text in [
        "manifest_format = \"two\"\n",
        "manifest_format = 2.0\n",
        "manifest_format = \"2.0\"\njulia_version = \"one\"\n",
        "manifest_format = \"2.0\"\njulia_version = 1.10\n",
        "manifest_format = \"2.0\"\nproject_hash = \"x\"\n",
        "manifest_format = \"2.0\"\ndeps = 3\n",
        "julia_version = \"1.10.4\"\n",
        "[A]\nuuid = 1\n",
        "[[A]]\nuuid = \"2a0f\\q\"\n",
    ] {
        assert!(read(text).is_err(), "{text}");
    }
}
