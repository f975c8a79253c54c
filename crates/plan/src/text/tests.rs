use super::*;

/// Texts that must not become a path, a script or an identifier.
fn hostile() -> Vec<String> {
    let plain = [
        "",
        "/etc/cron.d/x",
        "../../x",
        "..",
        "a/../b",
        "C:\\x",
        "C:x",
        "\\\\host\\share",
        "a\nb",
        "a\rb",
        "a\0b",
        "a\u{1b}[2Jb",
        "a\u{9b}2Jb",
        "a\"b",
        "a'b",
        "$(id)",
        "`id`",
        "a\u{202e}b",
        "a\u{2066}b",
        "a\u{200b}b",
        "a\u{feff}b",
        "CON",
        "con.tar.gz",
        "nul.so",
        "COM1.txt",
        "com\u{b9}",
        "LPT9",
        "aux.",
        "a.",
        "a ",
        "a<b",
        "a>b",
        "a|b",
        "a?b",
        "a*b",
    ];
    let long = "x".repeat(10_000);
    plain
        .iter()
        .map(ToString::to_string)
        .chain([long])
        .collect()
}

#[test]
fn nothing_hostile_is_a_name() {
    for text in hostile() {
        assert!(FileName::new(&*text).is_err(), "{text:?} as a file name");
        assert!(ImageName::new(&*text).is_err(), "{text:?} as an image name");
        assert!(CpuTier::new(&*text).is_err(), "{text:?} as a tier");
        assert!(TreeHash::new(&*text).is_err(), "{text:?} as a tree");
        assert!(Repository::new(&*text).is_err(), "{text:?} as a repository");
        // These are valid Julia identifiers, and package names do not become file names.
        let identifier = ["CON", "LPT9", "com\u{b9}"].contains(&&*text);
        assert_eq!(PackageName::check(&text).is_ok(), identifier, "{text:?}");
        assert!(Uuid::check(&text).is_err(), "{text:?} as a UUID");
        assert!(WebAddress::check(&text).is_err(), "{text:?} as an address");
        // Parts of a tag are separated by slashes.
        assert!(Tag::new(&*text).is_err(), "{text:?} as a tag");
    }
}

#[test]
fn what_sysforge_writes_is_read_back() {
    for name in [
        "demo-julia1.12.7-x86_64-linux-gnu-x86-64-v3.tar.gz",
        "demo-julia1.5.3+2-x86_64-linux-gnu.so.part1of2",
        "SHA256SUMS",
        "null.so",
        "com10.so",
    ] {
        assert_eq!(FileName::new(name).unwrap(), name);
    }
    for tag in ["v1.0.0", "images/v1", "1.5.3+2", "Demo@v1"] {
        assert_eq!(Tag::new(tag).unwrap(), tag);
    }
    for name in ["insurance-2.0", "A", "console"] {
        assert_eq!(ImageName::new(name).unwrap(), name);
    }
    for repository in ["octo/images", "octo/.github", "a-b/c_d.jl"] {
        assert_eq!(Repository::new(repository).unwrap(), repository);
    }
    for package in ["InsuranceStats", "LibCURL_jll", "Δelta", "_x"] {
        PackageName::check(package).unwrap();
    }
}

#[test]
fn a_path_in_an_archive_stays_in_it() {
    for path in ["julia/lib/libz.so.1", ".hidden/a b", "größe"] {
        RelativePath::check(path).unwrap();
    }
    let refused = hostile().into_iter().filter(|text| {
        // Any other name allowed by some system may be a part of a path.
        text.contains(['/', '\\', ':', '\n', '\0', '\u{1b}', '\u{202e}']) || text.is_empty()
    });
    for path in refused.chain(["a//b", "a/", "./a", "a/..", "a/./b"].map(str::to_owned)) {
        assert!(RelativePath::check(&path).is_err(), "{path:?}");
    }
}

#[test]
fn a_tag_is_no_reference_of_git() {
    assert_eq!(Tag::name_in("refs/tags/images/v1"), "images/v1");
    for text in ["v1", "refs/heads/main", "refs/tags", "refs"] {
        assert_eq!(Tag::name_in(text), text);
    }
    for text in [
        "refs/tags/v1",
        "refs/heads/main",
        "refs/pull/1/merge",
        "refs/",
    ] {
        let error = Tag::new(text).unwrap_err().to_string();
        assert!(error.contains("begins with `refs/`"), "{error}");
    }
    assert_eq!(Tag::new("reference/v1").unwrap(), "reference/v1");
}

#[test]
fn an_error_shows_what_was_refused_without_its_effect() {
    let error = FileName::new("a\u{1b}]0;title\u{7}")
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "`a\\u{1b}]0;title\\u{7}` is not a portable file name: it contains a control character or \
         an invisible one"
    );
    let long = FileName::new("x".repeat(10_000)).unwrap_err().to_string();
    assert!(long.len() < 200, "{long}");
}

#[test]
fn deceptive_characters_are_escaped_and_others_stay() {
    assert_eq!(escaped("größe 测试 👍"), "größe 测试 👍");
    assert_eq!(escaped("a\nb\u{202e}c"), "a\\nb\\u{202e}c");
    assert_eq!(escaped_lines("a\nb\u{202e}c\r"), "a\nb\\u{202e}c\\r");
    assert_eq!(shortened("abcdef", 3), "abc…");
    assert_eq!(shortened("abc", 3), "abc");
}

#[test]
fn a_deserialised_name_is_checked() {
    let read = |json: &str| serde_json::from_str::<FileName>(json);
    assert_eq!(read("\"a.so\"").unwrap(), "a.so");
    let error = read("\"../a.so\"").unwrap_err().to_string();
    assert!(error.contains("begins with a dot"), "{error}");
}

#[test]
fn text_in_markdown_shows_as_it_is() {
    for (text, shown) in [
        (
            "demo-julia1.12.7-x86_64-linux-gnu",
            "demo-julia1.12.7-x86_64-linux-gnu",
        ),
        ("1.12.7", "1.12.7"),
        ("a | b\\|c", "a \\| b\\\\\\|c"),
        ("<script>&amp;", "&lt;script>&amp;amp;"),
        ("<!-- x -->", "&lt;!-- x -->"),
        ("![a](https://b) [x] #1", "!\\[a\\](https://b) \\[x\\] \\#1"),
        ("`a` ``b", "\\`a\\` \\`\\`b"),
        (
            "@octo $x$ ~~y~~ *z*",
            "&#64;octo &#36;x&#36; \\~\\~y\\~\\~ \\*z\\*",
        ),
        ("# a", "\\# a"),
        ("- a", "\\- a"),
        ("--- ", "\\---"),
        ("> a", "\\> a"),
        ("12. a", "12\\. a"),
        ("3) a", "3\\) a"),
        ("    code", "code"),
        ("a\n\n## b\r\n| c |", "a  \\#\\# b  \\| c \\|"),
        ("a\u{1b}[2J\u{202e}b", "a\\\\u{1b}\\[2J\\\\u{202e}b"),
    ] {
        assert_eq!(markdown(text), shown, "{text:?}");
    }
}
