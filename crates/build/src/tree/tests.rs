use proptest::prelude::*;

use super::*;

fn content(folder: &Path, digests: &mut FileDigests) -> BTreeMap<String, Sha256> {
    let excluded = [folder.join("dist")];
    let mut walk = Walk::new(digests, folder, &excluded);
    walk.add(folder).unwrap();
    walk.add_documents().unwrap();
    walk.found
}

fn read(folder: &Path) -> BTreeMap<String, Sha256> {
    content(folder, &mut FileDigests::default())
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

fn package() -> (tempfile::TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = sysforge_files::canonical(root.path())
        .unwrap()
        .join("Package");
    write(&folder, "Project.toml", "name = \"Package\"\n");
    write(&folder, "src/Package.jl", "module Package\nend\n");
    (root, folder)
}

#[test]
fn what_a_package_may_read_counts() {
    for name in [
        "lib/core.jl",
        "entry.jl",
        "notes.md",
        "docs/README.md",
        "data/rates.csv",
        "test/helpers.jl",
        "LocalPreferences.toml",
        "deps/deps.jl",
        ".hidden",
        "src/build/x.jl",
    ] {
        let (_root, folder) = package();
        let before = read(&folder);
        write(&folder, name, "1");
        let with = read(&folder);
        assert_ne!(before, with, "{name}");
        write(&folder, name, "2");
        assert_ne!(with, read(&folder), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_link_that_leads_nowhere_or_to_itself_counts_as_its_target() {
    let (_root, folder) = package();
    let with = |target: &str| {
        let link = folder.join("link");
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(target, link).unwrap();
        read(&folder)
    };
    let before = read(&folder);
    let looping = with("link");
    assert_ne!(before, looping);
    assert_ne!(looping, with("nowhere"));
    // Its path goes through a file.
    assert_ne!(before, with("Project.toml/x"));
}

#[cfg(unix)]
#[test]
fn an_error_names_the_entry_that_cannot_be_read() {
    let (_root, folder) = package();
    std::os::unix::fs::symlink("loop", folder.join("loop")).unwrap();
    let mut digests = FileDigests::default();
    let mut walk = Walk::new(&mut digests, &folder, &[]);
    let error = walk.add(&folder.join("loop/x.jl")).unwrap_err();
    assert_eq!(error.path, folder.join("loop/x.jl"));
    let error = crate::workdir::WorkDirError::Input(error);
    let hints = sysforge_plan::Explain::hints(&error);
    assert!(hints[0].contains("leads back to itself"), "{hints:?}");
}

#[test]
fn results_and_version_control_do_not_count() {
    let (_root, folder) = package();
    let before = read(&folder);
    for name in [
        "dist/image.tar.gz",
        ".git/index",
        "sub/.git/index",
        ".sysforge/x/trace.json",
        "Sysimage.toml",
        "Manifest-v1.12.toml",
        "sysforge-plan.json",
        "deps/build.log",
        "docs/build/index.html",
    ] {
        write(&folder, name, "1");
        assert_eq!(before, read(&folder), "{name}");
    }
    // In a subfolder, files with these names are ordinary files.
    write(&folder, "data/Sysimage.toml", "1");
    assert_ne!(before, read(&folder));
}

#[test]
fn an_ignored_file_that_julia_read_is_known_as_one() {
    let project = Path::new("/work/app");
    for name in [
        ".git/HEAD",
        "lib/node_modules/d3.js",
        "Sysimage.toml",
        "docs/build/index.html",
        "lib/deps/build.log",
    ] {
        assert!(is_ignored(project, &project.join(name)), "{name}");
    }
    for name in [
        "src/App.jl",
        "data/Sysimage.toml",
        "docs/src/index.md",
        ".gitignore",
    ] {
        assert!(!is_ignored(project, &project.join(name)), "{name}");
    }
    assert!(!is_ignored(project, Path::new("/elsewhere/.git/HEAD")));
}

#[test]
fn a_document_counts_only_if_something_may_read_it() {
    for (name, source) in [
        ("README.md", "include_dependency(\"../README.md\")"),
        (
            "README.md",
            "include_dependency(joinpath(root, lowercase(\"Readme.md\")))",
        ),
        (
            "LICENSE",
            "const TERMS = read(joinpath(root, \"LICENSE\"), String)",
        ),
        ("NEWS.md", "const ALL = [read(f) for f in readdir(root)]"),
        ("CHANGELOG.txt", "for (root, _, files) in walkdir(root) end"),
    ] {
        let (_root, folder) = package();
        let before = read(&folder);
        write(&folder, name, "1");
        assert_eq!(before, read(&folder), "{name}");
        // The file that mentions it may be anywhere.
        write(&folder, "lib/reader.jl", source);
        let mentioned = read(&folder);
        assert!(mentioned.contains_key(name), "{source}");
        write(&folder, name, "2");
        assert_ne!(mentioned, read(&folder), "{source}");
    }
    for name in ["README.jl", "src/README.md", "READMES.md", "data/LICENSE"] {
        let (_root, folder) = package();
        write(&folder, name, "1");
        assert!(read(&folder).contains_key(name), "{name}");
    }
}

#[test]
fn a_launcher_of_an_installed_image_does_not_count() {
    let (_root, folder) = package();
    let before = read(&folder);
    let mark = "# Julia 1.5.3 with the image x; written by `sysforge install`.";
    write(&folder, "demo", &format!("#!/bin/sh\n{mark}\nexec julia\n"));
    write(
        &folder,
        "bin/demo.cmd",
        &format!("@echo off\r\n{}\r\n", mark.replace('#', "rem")),
    );
    assert_eq!(before, read(&folder));
    write(&folder, "other", "#!/bin/sh\nexec julia\n");
    write(&folder, "about.txt", &format!("{mark}\n"));
    let after = read(&folder);
    assert!(after.contains_key("other") && after.contains_key("about.txt"));
}

#[test]
fn depots_releases_and_signing_keys_in_the_project_do_not_count() {
    let (_root, folder) = package();
    let before = read(&folder);
    for (marker, content) in [
        (
            "depot/logs/sysforge.lock",
            "depot/packages/X/abcde/src/X.jl",
        ),
        ("site/v1/sysforge-release.json", "site/v1/image.tar.gz"),
        ("out/site/sysforge-site.json", "out/site/v1/notes.md"),
    ] {
        write(&folder, content, "1");
        assert_ne!(before, read(&folder), "{content}");
        write(&folder, marker, "");
        assert_eq!(before, read(&folder), "{marker}");
    }
    // The folder of releases may be the project folder.
    write(&folder, "sysforge-site.json", "{}");
    assert_eq!(before, read(&folder));
    let key = "untrusted comment: minisign public key 0123456789ABCDEF\nRWQ\n";
    write(&folder, "ours.pub", key);
    write(
        &folder,
        "keys/secret.key",
        "untrusted comment: minisign encrypted secret key\nRWR\n",
    );
    write(
        &folder,
        "a.minisig",
        "untrusted comment: signature from x\nRWS\n",
    );
    assert_eq!(before, read(&folder));
    // Other files with such names are ordinary files.
    write(&folder, "data/mine.pub", "untrusted comment: none\n");
    assert_ne!(before, read(&folder));
}

#[test]
fn files_outside_of_the_package_that_its_sources_name_count() {
    for (source, name) in [
        ("include(\"../../shared/a.jl\")", "../shared/a.jl"),
        ("include_dependency(\"../../a.csv\")", "../a.csv"),
        (
            "const F = joinpath(@__DIR__, \"..\", \"..\", \"b.csv\")",
            "../b.csv",
        ),
        (
            "read(joinpath(dirname(dirname(@__DIR__)), \"c.txt\"))",
            "../c.txt",
        ),
        ("joinpath(dirname(@__FILE__), \"../../d.txt\")", "../d.txt"),
        ("Base.include(@__MODULE__, \"../../e.jl\")", "../e.jl"),
        ("include(rewrite, \"../../f.jl\")", "../f.jl"),
        (
            "read(abspath(@__DIR__, \"..\", \"..\", \"g.sql\"), String)",
            "../g.sql",
        ),
        (
            "include_string(M, read(normpath(@__DIR__, \"../../h.jl\"), String))",
            "../h.jl",
        ),
        (
            "for file in readdir(joinpath(@__DIR__, \"..\", \"..\", \"queries\")) end",
            "../queries/new.sql",
        ),
    ] {
        let (_root, folder) = package();
        write(&folder, "src/Package.jl", source);
        write(&folder, name, "1");
        let before = read(&folder);
        assert!(before.contains_key(name), "{source}: {before:?}");
        write(&folder, name, "2");
        assert_ne!(before, read(&folder), "{source}");
    }
    // Includes of included files count too.
    let (_root, folder) = package();
    write(&folder, "src/Package.jl", "include(\"../../x.jl\")");
    write(&folder, "../x.jl", "include(\"y.jl\")");
    write(&folder, "../y.jl", "1");
    assert!(read(&folder).contains_key("../y.jl"));
}

#[test]
fn a_folder_outside_counts_only_if_the_source_that_names_it_lists_folders() {
    let named = "const F = joinpath(@__DIR__, \"..\", \"..\", \"queries\")\n";
    for (source, counts) in [
        (named.to_owned(), false),
        (format!("{named}global x = 1\n"), false),
        (format!("{named}all = readdir(F)\n"), true),
        (format!("{named}all = Glob.glob(\"*.sql\", F)\n"), true),
        // That would be everything beside the package.
        (
            "readdir(joinpath(@__DIR__, \"..\", \"..\"))\n".to_owned(),
            false,
        ),
    ] {
        let (_root, folder) = package();
        write(&folder, "src/Package.jl", &source);
        let before = read(&folder);
        write(&folder, "../queries/a.sql", "1");
        assert_eq!(before != read(&folder), counts, "{source}");
    }
}

#[test]
fn the_word_global_lists_no_folder() {
    let (_root, folder) = package();
    write(&folder, "src/a.jl", "global x = 1 # globular, Global\n");
    write(&folder, "README.md", "1");
    assert!(!read(&folder).contains_key("README.md"));
    write(&folder, "src/b.jl", "const ALL = glob\"*.md\"\n");
    assert!(read(&folder).contains_key("README.md"));
}

#[test]
fn names_that_are_computed_are_no_references() {
    for source in [
        "include(file)",
        "include(\"$x.jl\")",
        "joinpath(a, \"b\")",
        "include(\"a",
    ] {
        assert!(references(source).is_empty(), "{source}");
    }
}

#[cfg(unix)]
#[test]
fn links_count_by_what_they_lead_to_and_do_not_go_round() {
    let (root, folder) = package();
    let outside = root.path().join("outside");
    write(&outside, "a.jl", "1");
    std::os::unix::fs::symlink(&outside, folder.join("linked")).unwrap();
    std::os::unix::fs::symlink(&folder, folder.join("src/round")).unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    let before = read(&folder);
    assert!(before.contains_key("dangling"), "{before:?}");
    write(&outside, "a.jl", "2");
    assert_ne!(before, read(&folder));
}

/// Replaces the content of a file by another of the same size, and restores its modification time, as
/// programs do that copy or unpack files.
fn replace_unnoticed(path: &Path, text: &str) {
    let old = std::fs::metadata(path).unwrap();
    assert_eq!(old.len(), text.len() as u64);
    std::fs::write(path, text).unwrap();
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(old.modified().unwrap()).unwrap();
}

#[test]
fn a_changed_file_with_its_old_size_and_time_is_noticed() {
    let (root, folder) = package();
    let cache = root.path().join("digests.json");
    std::thread::sleep(CLOCK + Duration::from_millis(1200));
    let mut digests = FileDigests::open(cache.clone());
    let before = content(&folder, &mut digests);
    digests.save();
    replace_unnoticed(&folder.join("src/Package.jl"), "module Package\nEND\n");
    // In the same process and in the next one.
    assert_ne!(content(&folder, &mut digests), before);
    assert_ne!(content(&folder, &mut FileDigests::open(cache)), before);
}

#[cfg(unix)]
#[test]
fn a_file_is_read_again_only_if_it_was_touched() {
    let (root, folder) = package();
    let cache = root.path().join("digests.json");
    let source = folder.join("src/Package.jl");
    std::thread::sleep(CLOCK + Duration::from_millis(1200));
    let first = {
        let mut digests = FileDigests::open(cache.clone());
        let found = content(&folder, &mut digests);
        digests.save();
        found
    };
    // Proof that the file is used: a wrong digest in it is accepted.
    let text = std::fs::read_to_string(&cache).unwrap();
    let right = first["src/Package.jl"].to_string();
    std::fs::write(&cache, text.replace(&right, &"0".repeat(64))).unwrap();
    let cached = content(&folder, &mut FileDigests::open(cache.clone()));
    assert_eq!(cached["src/Package.jl"].to_string(), "0".repeat(64));
    replace_unnoticed(&source, "module Package\nEND\n");
    let mut digests = FileDigests::open(cache.clone());
    let changed = content(&folder, &mut digests);
    assert_eq!(changed, read(&folder));
    // A file that was just changed is not stored: it may change again within the clock's
    // resolution.
    digests.save();
    assert!(
        !std::fs::read_to_string(&cache)
            .unwrap()
            .contains("src/Package.jl")
    );
}

/// One change to a package's folder.
#[derive(Debug, Clone)]
enum Edit {
    Write(String, String),
    Remove(String),
    Rename(String, String),
}

fn file_names() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "src/Package.jl",
        "src/a.jl",
        "lib/core.jl",
        "notes.md",
        "data/x.csv",
        "LocalPreferences.toml",
        "test/runtests.jl",
        "deps/deps.jl",
        "Artifacts.toml",
        "entry.jl",
    ])
    .prop_map(str::to_owned)
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        3 => (file_names(), "[ab\n]{0,3}").prop_map(|(name, text)| Edit::Write(name, text)),
        1 => file_names().prop_map(Edit::Remove),
        1 => (file_names(), file_names()).prop_map(|(from, to)| Edit::Rename(from, to)),
    ];
    prop::collection::vec(edit, 1..6)
}

/// Returns the contents of the folder as Julia reads them.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap().flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => {
                    found.insert(entry.path(), std::fs::read(entry.path()).unwrap());
                }
            }
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_digests_differ_exactly_if_a_file_does(edits in edits()) {
        let (root, folder) = package();
        let cache = root.path().join("digests.json");
        for edit in edits {
            let before = (files(&folder), read(&folder));
            match edit {
                Edit::Write(name, text) => write(&folder, &name, &text),
                Edit::Remove(name) => drop(std::fs::remove_file(folder.join(name))),
                Edit::Rename(from, to) => {
                    let to = folder.join(to);
                    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                    drop(std::fs::rename(folder.join(from), to));
                }
            }
            let after = (files(&folder), read(&folder));
            prop_assert_eq!(before.0 == after.0, before.1 == after.1);
            let mut digests = FileDigests::open(cache.clone());
            prop_assert_eq!(&content(&folder, &mut digests), &after.1);
            digests.save();
        }
    }
}
