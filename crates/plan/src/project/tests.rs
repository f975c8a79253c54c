use super::*;

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn read(text: &str) -> Result<Project, TomlError> {
    Project::from_toml("Project.toml", text)
}

#[test]
fn errors_point_at_the_place() {
    let error = read("name = \"x\"\ndeps = 3\n").unwrap_err();
    assert_eq!((error.line, error.column), (2, 8));
}

#[test]
fn a_dependency_that_is_also_weak_is_none_since_1_9() {
    let text = format!("[deps]\nA = \"{A}\"\nB = \"{B}\"\n[weakdeps]\nB = \"{B}\"\n");
    let project = read(&text).unwrap();
    let names = |minor| -> Vec<String> {
        let julia = JuliaVersion::new(1, minor, 0);
        let deps = project.deps_in(&julia);
        deps.map(|(name, _)| name.to_owned()).collect()
    };
    assert_eq!(names(8), ["A", "B"]);
    assert_eq!(names(9), ["A"]);
    assert!(project.needs_manifest());
    let text = format!("[deps]\nB = \"{B}\"\n[weakdeps]\nB = \"{B}\"\n");
    assert!(!read(&text).unwrap().needs_manifest());
}

#[test]
fn reads_what_pkg_reads() {
    let text = format!(
        "name = \"P\"\nuuid = \"{}\"\nversion = \"v0.1\"\nauthors = [\"x\"]\nunknown = 1\n\
         manifest = \"../Manifest.toml\"\nentryfile = \"lib/P.jl\"\nreadonly = false\n\
         [deps]\nA = \"{A}\"\n[weakdeps]\nB = \"{B}\"\n[extensions]\nX = \"B\"\nY = [\"A\", \"B\"]\n\
         [extras]\nC = \"{A}\"\n[compat]\njulia = \"1.6, 2\"\nA = \"=1.2\"\nC = \"≥ 0.7\"\n\
         [targets]\ntest = [\"B\", \"C\"]\n[sources]\nA = {{ url = \"u\", rev = \"main\" }}\n\
         C = {{ path = \"../C\" }}\n[workspace]\nprojects = [\"test\", \"docs\"]\n\
         [apps.p]\njulia_flags = [\"-O3\"]\n[syntax]\njulia_version = \"1.13\"\n",
        "99999999-0000-4000-8000-00000000000A"
    );
    let project = read(&text).unwrap();
    assert_eq!(
        project.uuid.as_deref(),
        Some("99999999-0000-4000-8000-00000000000a")
    );
    assert_eq!(project.manifest.as_deref(), Some("../Manifest.toml"));
    assert_eq!(workspace_members(&text), ["test", "docs"]);
    assert!(workspace_members("workspace = 3").is_empty());
    assert_eq!(read("").unwrap(), Project::default());
}

#[test]
fn what_pkg_refuses_is_refused_with_its_place() {
    let pair = |section: &str| format!("[{section}]\nA = \"{A}\"\nB = \"{A}\"\n");
    let with_a = |more: &str| format!("[deps]\nA = \"{A}\"\n{more}");
    for (text, wanted) in [
        ("name = 1".to_owned(), "`name` is a TOML integer"),
        ("uuid = \"ba\"".to_owned(), "is not a UUID"),
        (format!("uuid = \"{{{A}}}\""), "is not a UUID"),
        (format!("uuid = [\"{A}\"]"), "`uuid` is a TOML array"),
        ("version = \"foo\"".to_owned(), "is not a version number"),
        (
            "version = [\"1.0.0\"]".to_owned(),
            "`version` is a TOML array",
        ),
        ("manifest = true".to_owned(), "`manifest` is a TOML boolean"),
        ("entryfile = 1".to_owned(), "`entryfile` is a TOML integer"),
        (
            "readonly = \"no\"".to_owned(),
            "`readonly` is a TOML string",
        ),
        (
            format!("deps = [\"{A}\"]"),
            "`deps` is a TOML array, and must be a table",
        ),
        ("[deps]\nA = \"3f\"".to_owned(), "is not a UUID"),
        ("[deps]\nA = 3".to_owned(), "`A` is a TOML integer"),
        (pair("deps"), "`B` has the same UUID as `A` in [deps]"),
        (
            pair("weakdeps"),
            "`B` has the same UUID as `A` in [weakdeps]",
        ),
        (pair("extras"), "`B` has the same UUID as `A` in [extras]"),
        ("weakdeps = 1".to_owned(), "`weakdeps` is a TOML integer"),
        ("extras = \"x\"".to_owned(), "`extras` is a TOML string"),
        ("compat = \"1\"".to_owned(), "`compat` is a TOML string"),
        (
            "[compat]\njulia = 1.6".to_owned(),
            "`julia` is a TOML float",
        ),
        (
            "[compat]\njulia = \"one\"".to_owned(),
            "`one` is not a version range",
        ),
        (
            with_a("[compat]\nA = \"<=1\""),
            "`<=1` is not a version range",
        ),
        ("[compat]\nZ = \"1\"".to_owned(), "[compat] bounds `Z`"),
        ("targets = \"hi\"".to_owned(), "`targets` is a TOML string"),
        (
            with_a("[targets]\ntest = \"A\""),
            "`test` is a TOML string, and must be a list",
        ),
        (
            with_a("[targets]\ntest = [\"A\", \"A\"]"),
            "the target `test` names `A` twice",
        ),
        (
            with_a("[targets]\ntest = [\"Z\"]"),
            "the target `test` names `Z`, which is not",
        ),
        (with_a("[targets]\ntest = [1]"), "must be a string"),
        (
            "extensions = 1".to_owned(),
            "`extensions` is a TOML integer",
        ),
        ("[extensions]\nX = 1".to_owned(), "`X` is a TOML integer"),
        ("[extensions]\nX = [1]".to_owned(), "must be a string"),
        (
            with_a("[sources]\nA = \"../A\""),
            "the source of `A` must be a table",
        ),
        (
            with_a("[sources]\nA = { pth = \"a\" }"),
            "unknown key `pth`",
        ),
        (
            with_a("[sources]\nA = { path = \"a\", url = \"u\" }"),
            "has both a `path`",
        ),
        (
            with_a("[sources]\nA = { path = 1 }"),
            "`path` is a TOML integer",
        ),
        (
            with_a("[sources]\nZ = { path = \"a\" }"),
            "[sources] names `Z`",
        ),
        ("workspace = 1".to_owned(), "`workspace` is a TOML integer"),
        (
            "[workspace]\nprojects = \"test\"".to_owned(),
            "must be a list of strings",
        ),
        (
            "[workspace]\nmembers = []".to_owned(),
            "unknown key `members`",
        ),
        ("[apps]\np = 1".to_owned(), "`p` is a TOML integer"),
        (
            "[syntax]\njulia_version = \"x\"".to_owned(),
            "is not a version number",
        ),
        ("uuid = \"6997\\q\"".to_owned(), "escape"),
        ("version = \" 1.2\"".to_owned(), "is not a version number"),
        ("[targets]\ntest = []".to_owned(), "`test` is an empty list"),
        ("[extensions]\nE = []".to_owned(), "`E` is an empty list"),
        (
            with_a("[sources]\nA = {\n path = \"a\"\n}"),
            "Julia cannot read a line break in an inline table",
        ),
    ] {
        let error = read(&text).unwrap_err();
        assert!(error.to_string().contains(wanted), "{text}: {error}");
    }
}

#[test]
fn every_contradiction_between_sections_has_a_hint() {
    for text in [
        "[compat]\nZ = \"1\"".to_owned(),
        "[compat]\njulia = \"one\"".to_owned(),
        "[compat]\njulia = \"4294967296\"".to_owned(),
        format!("[deps]\nA = \"{A}\"\n[targets]\ntest = [\"Z\"]"),
        format!("[deps]\nA = \"{A}\"\n[targets]\ntest = [\"A\", \"A\"]"),
        format!("[deps]\nA = \"{A}\"\nB = \"{A}\""),
        "[sources]\nZ = { path = \"a\" }".to_owned(),
        format!("[deps]\nA = \"{A}\"\n[sources]\nA = {{ path = \"a\", url = \"u\" }}"),
    ] {
        let error = read(&text).unwrap_err();
        assert!(!crate::Explain::hints(&error).is_empty(), "{text}: {error}");
    }
}

#[test]
fn an_entry_of_a_list_is_named_without_backticks_around_the_phrase() {
    let error = read("[extensions]\nE = [1]").unwrap_err().to_string();
    assert!(
        error.contains("an entry of `E` is a TOML integer"),
        "{error}"
    );
}
