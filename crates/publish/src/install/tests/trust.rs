//! Signed releases that are not the requested ones: older ones, and those of others.

use sysforge_plan::text::{Repository, Tag};

use super::*;
use crate::release_bundle::Destination;
use crate::signing::{self, Identity, SIGNATURE_END};
use sysforge_plan::release::INDEX_NAME;

fn octo(name: &str) -> Identity {
    Identity {
        repository: Some(Repository::new(format!("octo/{name}")).unwrap()),
        site: None,
    }
}

fn of_site(address: &str) -> Identity {
    Identity {
        repository: None,
        site: Some(address.parse().unwrap()),
    }
}

/// The files of a release `tag`, signed with the key of seed 1 for `identity`.
async fn signed(image: &[u8], tag: &str, identity: Identity) -> Vec<(String, Vec<u8>)> {
    let scene = Scene::new(image, u64::MAX).await;
    let dist = Dist::read(&scene.folder.path().join("dist")).await.unwrap();
    let destination = Destination {
        tag: tag.to_owned(),
        ..destination(u64::MAX)
    };
    let bundle = ReleaseBundle::prepare(&dist, &destination, &Origin::default()).await;
    let mut bundle = bundle.unwrap().of(identity);
    bundle.sign(&signing::tests::signer(1), 1000).unwrap();
    let files = bundle.assets.iter();
    files
        .map(|asset| (asset.name.clone(), scene.bytes(asset)))
        .collect()
}

/// The files of a release: name and contents.
type Files = [(String, Vec<u8>)];

async fn host_with(releases: &[(&str, &Files)]) -> FakeGitHub {
    let github = FakeGitHub::start(Options::default()).await.unwrap();
    for (tag, files) in releases {
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (&**n, &**b)).collect();
        github.put_release(tag, false, &files).unwrap();
    }
    github
}

fn source(text: &str) -> Source {
    Source::parse(text, |_| false).unwrap()
}

fn key() -> PublicKey {
    signing::tests::signer(1).public()
}

async fn refusal(github: &FakeGitHub, text: &str) -> String {
    let mut said = Vec::new();
    for token in [None, Some("reader")] {
        let release = OpenRelease::open(&source(text), &options(Some(github), token)).await;
        let error = release.unwrap().index(&[key()]).await.unwrap_err();
        said.push(error.to_string());
    }
    assert_eq!(said[0], said[1]);
    said.remove(0)
}

#[tokio::test]
async fn a_signed_release_does_not_stand_in_for_one_with_another_tag() {
    let old = signed(b"old", "v1.0.0", octo("images")).await;
    let github = host_with(&[("v1.0.0", &old), ("v2.0.0", &old)]).await;
    let said = refusal(&github, "octo/images@v2.0.0").await;
    assert_eq!(
        said,
        "v2.0.0 was asked for, and its index is that of v1.0.0"
    );
    // With another tag, the signature is no longer valid.
    let mut changed = old.clone();
    for (name, bytes) in &mut changed {
        if name == INDEX_NAME {
            let text = String::from_utf8(bytes.clone()).unwrap();
            *bytes = text.replace("\"v1.0.0\"", "\"v2.0.0\"").into_bytes();
        }
    }
    let github = host_with(&[("v2.0.0", &changed)]).await;
    let said = refusal(&github, "octo/images@v2.0.0").await;
    assert!(said.contains("is not good"), "{said}");
}

#[tokio::test]
async fn the_newest_release_is_that_which_the_host_calls_so() {
    let old = signed(b"old", "v1.0.0", octo("images")).await;
    let github = host_with(&[("v2.0.0", &old)]).await;
    let options = options(Some(&github), Some("reader"));
    let release = OpenRelease::open(&source("octo/images"), &options)
        .await
        .unwrap();
    let error = release.index(&[key()]).await.unwrap_err();
    assert!(
        matches!(error, InstallError::OtherRelease { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn a_key_of_two_repositories_does_not_let_one_stand_in_for_the_other() {
    for other in [
        octo("other"),
        of_site("https://example.org/s/"),
        Identity::default(),
    ] {
        let files = signed(b"other", "v1.0.0", other.clone()).await;
        let github = host_with(&[("v1.0.0", &files)]).await;
        let said = refusal(&github, "octo/images@v1.0.0").await;
        let expected = format!("is signed for {other}, and not for octo/images");
        assert!(said.contains(&expected), "{said}");
        // If the user declares it as a copy, it is accepted.
        let release =
            OpenRelease::open(&source("octo/images@v1.0.0"), &options(Some(&github), None)).await;
        let release = release
            .unwrap()
            .with_signed_for(SignedFor::Named(other.clone()));
        let (_, by) = release.index(&[key()]).await.unwrap();
        assert_eq!(by, Signed::By(key(), other));
    }
    let right = signed(b"right", "v1.0.0", octo("Images")).await;
    let github = host_with(&[("v1.0.0", &right)]).await;
    let release =
        OpenRelease::open(&source("octo/images@v1.0.0"), &options(Some(&github), None)).await;
    release.unwrap().index(&[key()]).await.unwrap();
}

#[tokio::test]
async fn a_signature_that_names_no_repository_at_all_is_refused_with_the_remedy() {
    use sysforge_plan::Explain;
    let mut files = signed(b"old", "v1.0.0", octo("images")).await;
    let index = files
        .iter()
        .find(|(name, _)| name == INDEX_NAME)
        .unwrap()
        .1
        .clone();
    let statement = format!("sysforge release:v1.0.0 file:{INDEX_NAME}");
    for (name, bytes) in &mut files {
        if *name == format!("{INDEX_NAME}{SIGNATURE_END}") {
            *bytes = signing::tests::signer(1)
                .sign(&index, &statement)
                .into_bytes();
        }
    }
    let github = host_with(&[("v1.0.0", &files)]).await;
    let release =
        OpenRelease::open(&source("octo/images@v1.0.0"), &options(Some(&github), None)).await;
    let other = signing::tests::signer(2).public();
    let error = release.unwrap().index(&[key(), other]).await.unwrap_err();
    assert!(
        error.to_string().ends_with("which repository it is for"),
        "{error}"
    );
    assert!(
        error.hints()[0].contains("`--replace`"),
        "{:?}",
        error.hints()
    );
}

#[tokio::test]
async fn a_site_is_that_which_the_signature_names() {
    let folder = tempfile::tempdir().unwrap();
    let server = sysforge_testkit::server::Server::start(folder.path());
    let address = format!("{}/", server.url().trim_end_matches('/'));
    for (identity, good) in [
        (of_site(&address), true),
        (Identity::default(), true),
        (of_site("https://example.org/s/"), false),
        (of_site(&format!("{address}other/")), false),
        (octo("images"), false),
    ] {
        let release = folder.path().join("v1.0.0");
        std::fs::create_dir_all(&release).unwrap();
        for (name, bytes) in signed(b"linux", "v1.0.0", identity.clone()).await {
            std::fs::write(release.join(name), bytes).unwrap();
        }
        for text in [format!("{address}@v1.0.0"), format!("{address}v1.0.0/")] {
            let release = OpenRelease::open(&source(&text), &options(None, None))
                .await
                .unwrap();
            let read = release.index(&[key()]).await;
            assert_eq!(read.is_ok(), good, "{text} {identity}: {read:?}");
        }
    }
}

#[tokio::test]
async fn an_upgrade_must_have_the_publisher_of_the_installed_image() {
    let files = signed(b"other", "v2.0.0", octo("other")).await;
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    let path = folder.path().to_owned();
    let open = |before: Identity| {
        let source = Source::Folder {
            path: path.clone(),
            tag: None,
        };
        async move {
            let release = OpenRelease::open(&source, &options(None, None))
                .await
                .unwrap();
            let release = release.with_signed_for(SignedFor::Before(before));
            release.index(&[key()]).await
        }
    };
    open(octo("other")).await.unwrap();
    for before in [octo("images"), Identity::default()] {
        let error = open(before.clone()).await.unwrap_err();
        let end = format!("is signed for octo/other, and not for {before}");
        assert!(error.to_string().ends_with(&end), "{error}");
    }
}

#[tokio::test]
async fn an_older_release_than_the_installed_one_is_refused() {
    let scene = Scene::new(b"new", u64::MAX).await;
    let files = signed(b"new", "v2.0.0", octo("images")).await;
    let github = host_with(&[("v2.0.0", &files)]).await;
    let (source, options) = (source("octo/images@v2.0.0"), options(Some(&github), None));
    let installed = scene
        .install_signed(&source, &options, &[key()])
        .await
        .unwrap();
    assert_eq!(installed.signed_for, Some(octo("images")));
    let other = Scene::new(b"old", u64::MAX).await;
    other.site().await;
    let text = std::fs::read(other.folder.path().join("site/v1.0.0").join(INDEX_NAME));
    let index = ReleaseIndex::from_json(String::from_utf8(text.unwrap()).unwrap()).unwrap();
    let old = index
        .images
        .iter()
        .find(|i| i.receipt.julia.triplet == Triplet::X86_64_LINUX_GNU);
    let images = scene.images();
    let refuse = |tag: &str, signed: bool| {
        let tag = Tag::new(tag).unwrap();
        images.refuse_older(&source.latest(), old.unwrap(), &tag, signed)
    };
    for signed in [false, true] {
        let error = refuse("v1.9.9", signed).unwrap_err();
        assert_eq!(
            error.to_string(),
            "v1.9.9 is older than v2.0.0, which is installed"
        );
        refuse("v2.0.0", signed).unwrap();
        refuse("v2.0.1", signed).unwrap();
    }
    refuse("spring", false).unwrap();
    let error = refuse("spring", true).unwrap_err();
    assert!(
        matches!(error, InstallError::UnknownOrder { .. }),
        "{error}"
    );
    // Another repository's image of the same name is unrelated.
    let elsewhere = self::source("octo/elsewhere");
    let tag = Tag::new("v1.0.0").unwrap();
    images
        .refuse_older(&elsewhere, old.unwrap(), &tag, true)
        .unwrap();
}
