//! Documents of a release with hostile texts in every field: each is refused, or harmless.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use sysforge_plan::Receipt;
use sysforge_plan::release::{INDEX_NAME, SITE_NAME, SUMS_NAME};
use sysforge_testkit::archives::Tar;
use sysforge_testkit::hostile::{first_deceptive, variants};

use super::*;
use crate::error::PublishError;

/// Returns a receipt in which every optional text is set.
fn full_receipt(image: &[u8]) -> Receipt {
    let folder = tempfile::tempdir().unwrap();
    let receipt = make_build(folder.path(), "x86_64-linux-gnu", image);
    let mut value = serde_json::to_value(receipt).unwrap();
    value["check"]["loaded"] = json!(["Example"]);
    value["check"]["residuals"] = json!(["precompile(Tuple{typeof(Example.hello), String})"]);
    value["check"]["own"] = json!(["precompile(Tuple{typeof(Main.f)})"]);
    value["check"]["portability"] = json!({
        "oldest_system": "glibc 2.14",
        "paths": [{"kind": "source", "path": "/home/me/P/src/P.jl", "times": 1, "needed": true}],
        "artifacts": [{
            "tree": "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc",
            "name": "lib",
            "package": "Example",
        }],
    });
    let lost = json!([{"statement": "precompile(Tuple{typeof(f)})", "reason": "unknown"}]);
    value["statements"]["failed"] = lost.clone();
    value["statements"]["skipped"] = lost;
    value["statements"]["recorded"] = json!(2);
    value["statements"]["ignored"] = json!([{
        "file": "more.jl",
        "line": 1,
        "text": "using Example",
        "reason": "unknown",
    }]);
    value["check"]["costs_ms"] = json!({"precompile(Tuple{typeof(f)})": 1.5});
    value["check"]["rounds"] = json!([1]);
    value["check"]["outputs"] = json!([{"output": "pipe", "residuals": ["precompile(Tuple{})"]}]);
    value["check"]["unmeasured"] = json!(["no workload"]);
    value["check"]["latency"] = json!({"load_s": 1, "first_call_s": 1, "second_call_s": 1});
    value["check"]["interactive"] = json!({
        "first_prompt_s": 1,
        "first_prompt_without_image_s": 1,
        "using_pkg_s": 1,
        "using_pkg_without_image_s": 1,
    });
    value["check"]["load_without_image_s"] = json!(1);
    value["check"]["first_call_without_image_s"] = json!(1);
    value["extensions"] = json!([{"name": "ExampleExt", "package": "Example"}]);
    value["preferences"] = json!([{"package": "Example", "name": "level", "value": "1"}]);
    value["manifest"] = json!({
        "name": "Manifest.toml",
        "sha256": Sha256::of(b"").to_string(),
        "resolved": false,
    });
    value["objects"] = json!([{
        "name": "image.so",
        "kind": "program",
        "sha1": "46e44e869b4d90b96bd8ed1fdcf32244fddfb6cc",
    }]);
    value["project_version"] = json!("0.1.0");
    value["targets"]["held"] = json!(["generic"]);
    value["timings"] = json!([{"step": "trace", "seconds": 1, "peak_memory": 1}]);
    value["link"] = json!({"strategy": "driver", "linker": "GNU ld 2.40"});
    serde_json::from_value(value).unwrap()
}

/// Returns the fields of a schema that are missing or empty in `value`. Of alternatives, only those
/// with null count.
fn absent(schema: &Value, root: &Value, value: &Value, pointer: &str, found: &mut Vec<String>) {
    let reference = schema["$ref"].as_str().and_then(|at| at.strip_prefix('#'));
    if let Some(at) = reference {
        return absent(root.pointer(at).unwrap(), root, value, pointer, found);
    }
    if let Some(schema) = schema["anyOf"].as_array().and_then(|either| either.first()) {
        return absent(schema, root, value, pointer, found);
    }
    if value.is_null() || value.as_array().is_some_and(Vec::is_empty) {
        found.push(pointer.to_owned());
    } else if let Some(item) = value.get(0) {
        absent(&schema["items"], root, item, &format!("{pointer}/0"), found);
    }
    for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
        let field = value.get(name).unwrap_or(&Value::Null);
        absent(schema, root, field, &format!("{pointer}/{name}"), found);
    }
}

#[test]
fn the_receipt_of_these_tests_has_every_field() {
    let receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    let schema = Receipt::json_schema();
    let mut found = Vec::new();
    absent(&schema, &schema, &receipt, "", &mut found);
    // A tier would be part of the identifier. `variants` replaces a null with texts, too. The
    // receipt of an image has no apps; options of Julia are a separate type.
    found.retain(|pointer| !pointer.starts_with("/bundle"));
    assert_eq!(found, ["/targets/tier", "/julia_options"]);
}

/// Returns the record of apps and of a C library, in which every optional text is set.
fn full_bundle() -> Value {
    json!({
        "apps": [{
            "name": "tally",
            "entry": "main(ARGS)",
            "runs": [{
                "args": ["--top"],
                "exit": 0,
                "wall_ms": 1,
                "peak_memory": 1,
                "residuals": ["precompile(Tuple{})"],
            }],
        }],
        "library": {
            "name": "measure",
            "version": "1.2.3",
            "soname": "libmeasure.so.1",
            "functions": [{"name": "mean", "undeclared": "a type that C does not have"}],
            "calls": [{"call": "mean(1)", "result": "1", "wall_ms": 1}],
            "init_ms": 1,
            "residuals": ["precompile(Tuple{})"],
        },
        "files": [{"path": "bin/tally", "size": 1, "why": "the app"}],
        "isolated": true,
        "system": ["libc.so.6"],
        "oldest_system": "glibc 2.14",
    })
}

#[test]
fn a_bundle_of_a_receipt_is_refused_or_harmless_whatever_its_fields_are() {
    let mut receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    receipt["bundle"] = full_bundle();
    let schema = Receipt::json_schema();
    let mut found = Vec::new();
    absent(&schema, &schema, &receipt, "", &mut found);
    found.retain(|pointer| pointer.starts_with("/bundle"));
    assert_eq!(found, [""; 0]);
    // Statements and arguments, which documents only quote.
    let free = [
        "/bundle/apps/0/runs/0/args/0",
        "/bundle/apps/0/runs/0/residuals/0",
        "/bundle/library/residuals/0",
    ];
    // One line of text.
    let line = [
        "/bundle/files/0/path",
        "/bundle/apps/0/entry",
        "/bundle/library/version",
        "/bundle/library/functions/0/name",
        "/bundle/library/functions/0/undeclared",
        "/bundle/library/calls/0/call",
        "/bundle/library/calls/0/result",
        "/bundle/files/0/why",
        "/bundle/system/0",
        "/bundle/oldest_system",
    ];
    let mut tried = 0;
    for (pointer, text, changed) in variants(&receipt) {
        if !pointer.starts_with("/bundle") {
            continue;
        }
        tried += 1;
        if Receipt::from_json(changed.to_string()).is_err() || free.contains(&&*pointer) {
            continue;
        }
        assert!(line.contains(&&*pointer), "{pointer} is {text:?}");
        assert!(!text.contains('\n'), "{pointer} is {text:?}");
        assert_eq!(first_deceptive(&text), None, "{pointer} is {text:?}");
    }
    assert!(tried > 100, "{tried}");
}

/// Creates a folder with one release of one image, with this index and archive.
fn release(folder: &Path, index: &Value, archive: &[u8], name: &str) {
    std::fs::create_dir_all(folder).unwrap();
    std::fs::write(folder.join(name), archive).unwrap();
    std::fs::write(folder.join(INDEX_NAME), index.to_string()).unwrap();
}

/// Collects every file below a folder, except those of installed images.
fn files(folder: &Path, found: &mut BTreeMap<PathBuf, Vec<u8>>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if entry.file_name() == "images" {
            continue;
        }
        match path.is_dir() {
            true => files(&path, found),
            false => drop(found.insert(path.clone(), std::fs::read(&path).unwrap())),
        }
    }
}

fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    files(folder, &mut found);
    found
}

/// Returns an index of one image with this receipt, and the archive that it names.
fn index_and_archive(receipt: &Value, image: &[u8]) -> (Value, Vec<u8>) {
    let name = "demo-julia1.12.7-x86_64-linux-gnu";
    let text = format!("{}\n", serde_json::to_string_pretty(receipt).unwrap());
    let archive = Tar::new()
        .file(&format!("{name}.so"), 0o755, image)
        .file("receipt.json", 0o644, text.as_bytes())
        .gz();
    let file = |name: String, bytes: &[u8]| {
        json!({
            "name": name,
            "size": bytes.len(),
            "sha256": Sha256::of(bytes).to_string(),
        })
    };
    let index = json!({
        "schema": "sysforge-release/1",
        "tag": "v1.0.0",
        "images": [{
            "archive": file(format!("{name}.tar.gz"), &archive),
            "sbom": file(format!("{name}.cdx.json"), b""),
            "receipt": receipt,
        }],
    });
    (index, archive)
}

/// Installs a release and writes everything that can be generated for the image. The outputs
/// contain nothing that was not there without the hostile text, and no file outside of the images
/// changes.
async fn is_harmless(scene: &Scene, index: &Value, archive: &[u8], what: &str) -> bool {
    let folder = scene.folder.path();
    let name = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
    let site = folder.join("hostile");
    release(&site, index, archive, name);
    let before = snapshot(folder);
    let source = Source::Folder {
        path: site,
        tag: None,
    };
    let outcome = scene.install(&source, &options(None, None)).await;
    assert_eq!(snapshot(folder), before, "{what}");
    let mut installed = match outcome {
        Ok(installed) => installed,
        Err(error) => {
            // How a terminal shows the message does not matter; it must have no other effect.
            assert!(!error.to_string().is_empty());
            return false;
        }
    };
    let launcher = folder.join("images/launcher");
    activate::write_launcher(&mut installed, &launcher).unwrap();
    let texts = [
        std::fs::read_to_string(&launcher).unwrap(),
        activate::environment(&installed, &activate::UserLists::default()).unwrap(),
        activate::command(&installed, &activate::UserLists::default()),
    ];
    for text in &texts {
        assert_eq!(first_deceptive(text), None, "{what}: {text}");
        assert!(
            !text.contains("outside") && !text.contains("::"),
            "{what}: {text}"
        );
    }
    assert_eq!(texts[0].lines().count(), 9, "{what}: {}", texts[0]);
    assert_eq!(texts[1].lines().count(), 3, "{what}: {}", texts[1]);
    scene.images().remove(&installed).unwrap();
    assert_eq!(snapshot(folder), before, "{what}");
    true
}

/// A Julia that lists the package of the receipt.
async fn scene() -> Scene {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let julia = scene.folder.path().join("julia");
    std::fs::write(julia, "#!/bin/sh\necho Example\n").unwrap();
    scene
}

#[tokio::test]
async fn a_hostile_text_in_any_field_of_an_index_is_refused_or_harmless() {
    let scene = scene().await;
    let receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    let (index, archive) = index_and_archive(&receipt, b"linux");
    assert!(is_harmless(&scene, &index, &archive, "as it is").await);
    for (pointer, text, changed) in variants(&index) {
        let what = format!("{pointer} is {text:?}");
        is_harmless(&scene, &changed, &archive, &what).await;
    }
}

#[tokio::test]
async fn a_maker_who_is_hostile_in_any_field_of_a_receipt_gets_nowhere() {
    let scene = scene().await;
    let receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    let mut accepted = std::collections::BTreeSet::new();
    for (pointer, text, changed) in variants(&receipt) {
        let (index, archive) = index_and_archive(&changed, b"linux");
        let what = format!("{pointer} is {text:?}");
        if is_harmless(&scene, &index, &archive, &what).await {
            accepted.insert(pointer);
        }
    }
    // Only texts that are not used in any file, script or path.
    for pointer in &accepted {
        let free = [
            "/check/residuals/0",
            "/check/own/0",
            "/check/portability/paths/0/path",
            "/statements/failed/0/statement",
            "/statements/failed/0/reason",
            "/statements/skipped/0/statement",
            "/statements/skipped/0/reason",
            "/statements/ignored/0/file",
            "/statements/ignored/0/text",
            "/statements/ignored/0/reason",
            "/check/outputs/0/residuals/0",
            "/check/unmeasured/0",
        ];
        let line = [
            "/check/portability/oldest_system",
            "/check/portability/artifacts/0/name",
            "/julia_origin/reason",
            "/julia_origin/url",
            "/link/strategy",
            "/link/linker",
            "/tool/name",
            "/tool/version",
            "/project_version",
            "/check/portability/artifacts/0/package",
            "/packages/0/version",
            "/packages/0/name",
            "/manifest/name",
            "/extensions/0/name",
            "/preferences/0/package",
            "/preferences/0/name",
            "/preferences/0/value",
            "/extensions/0/package",
            "/targets/requested",
            "/targets/held/0",
            "/image/name",
            "/objects/0/name",
        ];
        assert!(
            free.contains(&&**pointer) || line.contains(&&**pointer),
            "{pointer}"
        );
    }
    assert!(accepted.contains("/check/residuals/0"), "{accepted:?}");
}

/// The properties that the fuzz targets check, for the variants of one document.
#[test]
fn what_is_accepted_of_a_hostile_document_is_written_and_read_back_the_same() {
    let receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    let (index, _) = index_and_archive(&receipt, b"linux");
    let mut accepted = 0;
    for (pointer, text, changed) in variants(&receipt) {
        let Ok(receipt) = Receipt::from_json(changed.to_string()) else {
            continue;
        };
        accepted += 1;
        let again = Receipt::from_json(receipt.to_json()).unwrap();
        assert_eq!(again, receipt, "{pointer} is {text:?}");
        assert_eq!(receipt.other_build_id(), None, "{pointer} is {text:?}");
    }
    for (pointer, text, changed) in variants(&index) {
        let Ok(index) = ReleaseIndex::from_json(changed.to_string()) else {
            continue;
        };
        accepted += 1;
        let again = ReleaseIndex::from_json(index.to_json()).unwrap();
        assert_eq!(again, index, "{pointer} is {text:?}");
    }
    // Statements are code: any text is accepted.
    assert!(accepted > 100, "{accepted}");
}

#[tokio::test]
async fn documents_made_of_a_hostile_receipt_hold_nothing_of_it_raw() {
    let folder = tempfile::tempdir().unwrap();
    let receipt = serde_json::to_value(full_receipt(b"linux")).unwrap();
    let name = "demo-julia1.12.7-x86_64-linux-gnu";
    let mut made = 0;
    for (pointer, text, changed) in variants(&receipt) {
        let what = format!("{pointer} is {text:?}");
        let dist = folder.path().join("dist");
        std::fs::create_dir_all(&dist).unwrap();
        let (_, archive) = index_and_archive(&changed, b"linux");
        let receipt = format!("{}\n", serde_json::to_string_pretty(&changed).unwrap());
        std::fs::write(dist.join(format!("{name}.tar.gz")), archive).unwrap();
        std::fs::write(dist.join(format!("{name}.receipt.json")), receipt).unwrap();
        let Ok(dist) = Dist::read(&dist).await else {
            continue;
        };
        let Ok(bundle) =
            ReleaseBundle::prepare(&dist, &destination(u64::MAX), &Origin::default()).await
        else {
            continue;
        };
        made += 1;
        let texts = bundle
            .assets
            .iter()
            .filter_map(|asset| match &asset.content {
                crate::release_bundle::Content::Memory(bytes) => Some((&asset.name, bytes)),
                crate::release_bundle::Content::File { .. } => None,
            });
        assert_eq!(first_deceptive(&bundle.notes), None, "{what}");
        assert_eq!(
            bundle.notes.matches("\n| ").count(),
            2,
            "{what}: {}",
            bundle.notes
        );
        for (asset, bytes) in texts {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            match asset.as_str() {
                SUMS_NAME => {
                    assert_eq!(first_deceptive(&text), None, "{what}");
                    assert_eq!(text.lines().count(), 5, "{what}: {text}");
                }
                "Artifacts.toml" => {
                    assert_eq!(first_deceptive(&text), None, "{what}");
                    toml::from_str::<toml::Table>(&text).unwrap();
                }
                _ => drop(serde_json::from_str::<Value>(&text).unwrap()),
            }
        }
    }
    assert!(made > 0);
}

#[tokio::test]
async fn a_planted_note_makes_remove_touch_nothing_else() {
    let scene = scene().await;
    let folder = scene.folder.path();
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    let precious = folder.join("precious");
    std::fs::create_dir(&precious).unwrap();
    let file = precious.join("demo-julia1.12.7-x86_64-linux-gnu.so");
    std::fs::write(&file, "precious").unwrap();
    // It names the image, but Sysforge did not write it.
    let script = precious.join("script");
    std::fs::write(
        &script,
        format!("#!/bin/sh\n. {}\n", installed.image.display()),
    )
    .unwrap();
    let note = installed.folder().join("installed.json");
    let mut planted: Value = serde_json::from_slice(&std::fs::read(&note).unwrap()).unwrap();
    planted["image"] = json!(file);
    planted["launchers"] = json!([script]);
    std::fs::write(&note, planted.to_string()).unwrap();
    let before = snapshot(folder);
    let listed = scene.images().list().unwrap();
    assert_eq!(listed[0].image, installed.image);
    scene.images().remove(&listed[0]).unwrap();
    assert_eq!(snapshot(folder), before);
    assert!(!installed.folder().exists());
}

#[tokio::test]
async fn a_hostile_text_in_any_field_of_a_note_is_refused_or_harmless() {
    let scene = scene().await;
    let folder = scene.folder.path();
    let source = scene.site().await;
    let mut installed = scene.install(&source, &options(None, None)).await.unwrap();
    activate::write_launcher(&mut installed, &folder.join("images/launcher")).unwrap();
    installed.channels.push("mine".to_owned());
    scene.images().note(&installed).unwrap();
    let note = installed.folder().join("installed.json");
    let kept = std::fs::read(&note).unwrap();
    let value: Value = serde_json::from_slice(&kept).unwrap();
    let before = snapshot(folder);
    for (pointer, text, changed) in variants(&value) {
        std::fs::write(&note, changed.to_string()).unwrap();
        for listed in scene.images().list().unwrap() {
            assert_eq!(listed.image, installed.image, "{pointer} is {text:?}");
            assert_eq!(listed.build_id, installed.build_id);
            assert!(listed.channels == ["mine"] || listed.channels[0] == text);
        }
        // The folder is the image's own, whatever the note contains.
        scene.images().note(&installed).unwrap();
        assert_eq!(snapshot(folder), before, "{pointer} is {text:?}");
    }
    std::fs::write(&note, kept).unwrap();
    scene
        .images()
        .remove(&scene.images().list().unwrap()[0])
        .unwrap();
    assert_eq!(snapshot(folder), before);
}

#[tokio::test]
async fn an_image_that_a_kill_left_half_placed_is_not_listed() {
    let scene = scene().await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    let images = scene.folder.path().join("images");
    // Killed before the image was renamed to its folder, and while it was being removed.
    for half in [".new-0123456789ab-x1y2z3", ".old-x1y2z3/image"] {
        let half = images.join(half);
        std::fs::create_dir_all(half.parent().unwrap()).unwrap();
        std::fs::rename(installed.folder(), &half).unwrap();
        assert_eq!(scene.images().list().unwrap(), []);
        let error = scene.images().named("demo").unwrap_err();
        assert!(
            matches!(error, InstallError::NotInstalled { .. }),
            "{error}"
        );
        std::fs::rename(&half, installed.folder()).unwrap();
    }
    // The folder without its image, as after a kill in the middle of a removal.
    std::fs::remove_file(&installed.image).unwrap();
    assert_eq!(scene.images().list().unwrap(), []);
    let again = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(scene.images().list().unwrap(), [again]);
}

#[tokio::test]
async fn a_list_of_releases_with_hostile_tags_leads_nowhere() {
    let scene = scene().await;
    let source = scene.site().await;
    let list = scene.folder.path().join("site").join(SITE_NAME);
    let value: Value = serde_json::from_slice(&std::fs::read(&list).unwrap()).unwrap();
    let before = snapshot(scene.folder.path()).len();
    for (pointer, text, changed) in variants(&value) {
        std::fs::write(&list, changed.to_string()).unwrap();
        match OpenRelease::open(&source, &options(None, None)).await {
            Ok(release) => {
                let index = release.index(&[]).await;
                assert!(index.is_err(), "{pointer} is {text:?}");
            }
            Err(InstallError::NoRelease(_) | InstallError::Host(PublishError::Site { .. })) => {}
            Err(error) => panic!("{error}"),
        }
        assert_eq!(snapshot(scene.folder.path()).len(), before);
    }
}

#[tokio::test]
async fn a_pipe_in_place_of_a_file_of_a_release_is_refused_at_once() {
    let scene = scene().await;
    let source = scene.site().await;
    let archive = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
    for (folder, name) in [
        ("site", SITE_NAME),
        ("site/v1.0.0", INDEX_NAME),
        ("site/v1.0.0", archive),
    ] {
        let path = scene.folder.path().join(folder).join(name);
        let kept = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        let error = scene
            .install(&source, &options(None, None))
            .await
            .unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, kept).unwrap();
    }
}

#[tokio::test]
async fn a_file_of_another_size_is_told_by_its_size() {
    let scene = scene().await;
    let source = scene.site().await;
    let path = scene.folder.path().join("site/v1.0.0").join(INDEX_NAME);
    let mut index: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    for image in index["images"].as_array_mut().unwrap() {
        image["archive"]["size"] = json!(7);
    }
    std::fs::write(&path, index.to_string()).unwrap();
    let error = scene
        .install(&source, &options(None, None))
        .await
        .unwrap_err();
    assert!(
        matches!(error, InstallError::Size { expected: 7, .. }),
        "{error}"
    );
    assert!(error.to_string().ends_with("bytes, and not 7"), "{error}");
}
