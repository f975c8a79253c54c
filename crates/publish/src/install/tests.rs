//! Installing from both hosts. The images are arbitrary bytes, and a script replaces the Julia that
//! loads them; the end-to-end tests load real ones.

#![cfg(unix)]

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use sysforge_plan::release::choose::Kind;
use sysforge_plan::release::cpu::Cpu;
use sysforge_plan::{JuliaBuild, Triplet};
use sysforge_testkit::github::{FakeGitHub, Fault, Op, Options, Rule};

use super::open_release::SourceOptions;
use super::*;
use crate::Secret;
use crate::dist::Dist;
use crate::host::github::Access;
use crate::host::{PublishOptions, Timing, dir};
use crate::release_bundle::tests::{destination, make_build};
use crate::release_bundle::{Origin, ReleaseBundle};

mod activation;
mod apps;
mod hostile;
mod images;
mod refused;
mod trust;
mod web;

struct Scene {
    folder: tempfile::TempDir,
    bundle: ReleaseBundle,
}

/// The environment of a Julia, without variables or observers.
struct Quiet(Environment, Children, Reporter);

impl Quiet {
    fn new() -> Self {
        Self(
            Environment::default(),
            Children::default(),
            Reporter::silent(),
        )
    }

    fn with<'a>(&'a self, keys: &'a [PublicKey]) -> Surroundings<'a> {
        Surroundings {
            environment: &self.0,
            children: &self.1,
            reporter: &self.2,
            keys,
        }
    }
}

impl Scene {
    async fn new(image: &[u8], file_limit: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        make_build(&dist, "x86_64-linux-gnu", image);
        make_build(&dist, "aarch64-apple-darwin", b"mac");
        let dist = Dist::read(&dist).await.unwrap();
        let (destination, origin) = (destination(file_limit), Origin::default());
        let bundle = ReleaseBundle::prepare(&dist, &destination, &origin)
            .await
            .unwrap();
        let julia = folder.path().join("julia");
        std::fs::write(&julia, "#!/bin/sh\necho Base\n").unwrap();
        std::fs::set_permissions(&julia, std::fs::Permissions::from_mode(0o755)).unwrap();
        Self { folder, bundle }
    }

    async fn site(&self) -> Source {
        let path = self.folder.path().join("site");
        let reporter = Reporter::silent();
        dir::publish(&path, &self.bundle, PublishOptions::default(), &reporter)
            .await
            .unwrap();
        Source::Folder { path, tag: None }
    }

    fn github(&self, options: Options) -> impl Future<Output = FakeGitHub> {
        let assets: Vec<(String, Vec<u8>)> = self
            .bundle
            .assets
            .iter()
            .map(|asset| (asset.name.clone(), self.bytes(asset)))
            .collect();
        async move {
            let github = FakeGitHub::start(options).await.unwrap();
            let assets: Vec<(&str, &[u8])> = assets
                .iter()
                .map(|(name, bytes)| (&**name, &**bytes))
                .collect();
            github.put_release("v1.0.0", false, &assets).unwrap();
            github
        }
    }

    fn bytes(&self, asset: &crate::release_bundle::Asset) -> Vec<u8> {
        match &asset.content {
            crate::release_bundle::Content::Memory(bytes) => bytes.to_vec(),
            crate::release_bundle::Content::File { path, offset } => {
                let all = std::fs::read(path).unwrap();
                let start = usize::try_from(*offset).unwrap();
                all[start..start + usize::try_from(asset.size).unwrap()].to_vec()
            }
        }
    }

    fn facts(&self) -> JuliaFacts {
        let executable = self.folder.path().join("julia");
        JuliaFacts {
            executable,
            version: "1.12.7".parse().unwrap(),
            commit: "5a8a8e1f0e".to_owned(),
            triplet: Triplet::X86_64_LINUX_GNU,
            bindir: PathBuf::new(),
            libdir: PathBuf::new(),
            private_libdir: PathBuf::new(),
            private_libexecdir: None,
            stdlib: PathBuf::new(),
            base_image: PathBuf::new(),
            cpu_name: "haswell".to_owned(),
            cpu_threads: 2,
        }
    }

    fn images(&self) -> Images {
        Images::open(self.folder.path().join("images"))
    }

    async fn install(
        &self,
        source: &Source,
        options: &SourceOptions,
    ) -> Result<Installed, InstallError> {
        self.install_signed(source, options, &[]).await
    }

    async fn install_signed(
        &self,
        source: &Source,
        options: &SourceOptions,
        keys: &[PublicKey],
    ) -> Result<Installed, InstallError> {
        let release = OpenRelease::open(source, options).await?;
        let (index, _) = release.index(keys).await?;
        let facts = self.facts();
        let (image, _) = choose_image(&index, &machine(Some(facts.build())))?;
        let quiet = Quiet::new();
        let installation = Installation {
            release: &release,
            index: &index,
            image,
            julia: Some(&facts),
            images: &self.images(),
            surroundings: &quiet.with(keys),
        };
        installation.run().await
    }
}

fn machine(julia: Option<JuliaBuild>) -> Machine {
    Machine {
        triplet: Triplet::X86_64_LINUX_GNU,
        cpu: Cpu::default(),
        julia,
        name: None,
        kind: Kind::Image,
    }
}

fn options(github: Option<&FakeGitHub>, token: Option<&str>) -> SourceOptions {
    let api: url::Url = github
        .map_or("http://127.0.0.1:9", FakeGitHub::api_url)
        .parse()
        .unwrap();
    SourceOptions {
        github: Access {
            web: api.join("/").unwrap(),
            api,
            repository: "octo/images".to_owned(),
            token: token.map(Secret::new),
            network: sysforge_net::Network::default(),
        },
        s3: crate::host::s3::S3Access::default(),
        attestations: true,
        timing: Timing {
            stall: Duration::from_millis(400),
            retries: sysforge_net::Retries {
                first_delay: Duration::from_millis(5),
                ..Timing::default().retries
            },
            ..Timing::default()
        },
        drafts: false,
    }
}

fn repository() -> Source {
    Source::parse("octo/images@v1.0.0", |_| false).unwrap()
}

#[tokio::test]
async fn an_image_is_installed_from_a_folder_and_found_again() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), b"linux");
    let again = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(again, installed);
    assert_eq!(
        scene.images().list().unwrap(),
        std::slice::from_ref(&installed)
    );
    scene.images().remove(&installed).unwrap();
    assert!(!installed.image.exists());
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn an_image_is_installed_from_github_with_and_without_a_token() {
    for (private, token) in [(false, None), (true, Some("reader"))] {
        let scene = Scene::new(b"linux", u64::MAX).await;
        let github = scene
            .github(Options {
                private,
                ..Options::default()
            })
            .await;
        let options = options(Some(&github), token);
        let installed = scene.install(&repository(), &options).await.unwrap();
        assert_eq!(std::fs::read(&installed.image).unwrap(), b"linux");
        let latest = repository().latest();
        assert_eq!(
            scene.install(&latest, &options).await.unwrap().tag,
            "v1.0.0"
        );
    }
}

#[tokio::test]
async fn a_private_release_without_a_token_is_not_there() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let github = scene
        .github(Options {
            private: true,
            ..Options::default()
        })
        .await;
    let error = scene
        .install(&repository(), &options(Some(&github), None))
        .await
        .unwrap_err();
    assert!(matches!(error, InstallError::NoRelease(_)), "{error}");
}

#[tokio::test]
async fn a_download_goes_on_where_it_stopped() {
    let noise = sysforge_testkit::github::Random(3).bytes(400_000);
    let scene = Scene::new(&noise, u64::MAX).await;
    let github = scene.github(Options::default()).await;
    github.script([
        Rule::once(Op::Download, Fault::Reset(100_000)).after(2),
        Rule::once(Op::Download, Fault::Stall(100_000)).after(2),
        Rule::once(Op::Download, Fault::StatusBefore(503)).after(2),
    ]);
    let installed = scene
        .install(&repository(), &options(Some(&github), None))
        .await
        .unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), noise);
}

#[tokio::test]
async fn an_archive_in_parts_is_joined_again() {
    let noise = sysforge_testkit::github::Random(4).bytes(100_000);
    let scene = Scene::new(&noise, 30_000).await;
    let source = scene.site().await;
    let installed = scene.install(&source, &options(None, None)).await.unwrap();
    assert_eq!(std::fs::read(&installed.image).unwrap(), noise);
    let left = scene.folder.path().join("images/.partial");
    assert_eq!(std::fs::read_dir(left).unwrap().count(), 0);
}

#[tokio::test]
async fn a_changed_archive_is_refused_and_nothing_is_installed() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let name = "demo-julia1.12.7-x86_64-linux-gnu.tar.gz";
    let path = scene.folder.path().join("site/v1.0.0").join(name);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[20] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let error = scene
        .install(&source, &options(None, None))
        .await
        .unwrap_err();
    assert!(matches!(error, InstallError::Digest { .. }), "{error}");
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn an_image_that_does_not_load_is_not_installed() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let script = "#!/bin/sh\necho 'wrong build' >&2\nexit 1\n";
    std::fs::write(scene.folder.path().join("julia"), script).unwrap();
    let error = scene
        .install(&source, &options(None, None))
        .await
        .unwrap_err();
    assert!(matches!(error, InstallError::DoesNotLoad { .. }), "{error}");
    assert!(scene.images().list().unwrap().is_empty());
}

#[tokio::test]
async fn what_does_not_fit_is_explained() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let release = OpenRelease::open(&scene.site().await, &options(None, None))
        .await
        .unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let mut other = scene.facts().build();
    other.version = "1.11.0".parse().unwrap();
    let error = choose_image(&index, &machine(Some(other))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "no image of v1.0.0 fits this machine and this Julia:\n  \
         demo-julia1.12.7-aarch64-apple-darwin is for aarch64-apple-darwin\n  \
         demo-julia1.12.7-x86_64-linux-gnu is for Julia 1.12.7"
    );
    let hints = sysforge_plan::Explain::hints(&error);
    assert!(hints[0].contains("`--julia 1.12.7`"), "{hints:?}");
}

#[tokio::test]
async fn a_launcher_refuses_another_julia() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let mut installed = scene.install(&source, &options(None, None)).await.unwrap();
    let path = scene.folder.path().join("bin/demo");
    activate::write_launcher(&mut installed, &path).unwrap();
    let run = |version: &str| {
        let script = format!(
            "#!/bin/sh\ncase $1 in --version) echo 'julia version {version}';; *) echo \"$@\";; esac\n"
        );
        std::fs::write(&installed.julia, script).unwrap();
        let output = std::process::Command::new(&path)
            .arg("x.jl")
            .output()
            .unwrap();
        (
            output.status.success(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let expected = format!(
        "--sysimage={} --load={} x.jl\n",
        installed.image.display(),
        installed.folder().join("start.jl").display()
    );
    assert_eq!(run("1.12.7"), (true, expected));
    assert_eq!(run("1.12.8"), (false, String::new()));
}

/// A site whose release is signed with the key of this seed.
async fn signed_site(seed: u8) -> (Scene, Source, PublicKey) {
    let mut scene = Scene::new(b"linux", u64::MAX).await;
    let signer = crate::signing::tests::signer(seed);
    scene.bundle.sign(&signer, 1000).unwrap();
    let source = scene.site().await;
    (scene, source, signer.public())
}

#[tokio::test]
async fn a_signed_release_is_installed_with_its_makers_key_alone() {
    let (scene, source, key) = signed_site(1).await;
    let other = crate::signing::tests::signer(2).public();
    let release = OpenRelease::open(&source, &options(None, None))
        .await
        .unwrap();
    assert_eq!(release.index(&[]).await.unwrap().1, Signed::Unverified);
    let error = scene
        .install_signed(&source, &options(None, None), std::slice::from_ref(&other))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the signature of `sysforge-release.json` is not good"),
        "{error}"
    );
    assert!(scene.images().list().unwrap().is_empty());
    let keys = [other, key.clone()];
    let installed = scene
        .install_signed(&source, &options(None, None), &keys)
        .await
        .unwrap();
    assert!(installed.keys.contains(&key.to_string()));
    assert!(
        scene
            .bundle
            .notes
            .contains(&format!("`--verify-key {key}`"))
    );
}

#[tokio::test]
async fn what_was_changed_after_it_was_signed_is_refused() {
    for name in ["sysforge-release.json", "provenance.intoto.jsonl"] {
        let (scene, source, key) = signed_site(1).await;
        let path = scene.folder.path().join("site/v1.0.0").join(name);
        let mut bytes = std::fs::read(&path).unwrap();
        let release = bytes.len() / 2;
        // Another letter, so that it remains valid JSON and base64.
        bytes[release] = if bytes[release] == b'a' { b'b' } else { b'a' };
        std::fs::write(&path, bytes).unwrap();
        let error = scene
            .install_signed(&source, &options(None, None), &[key])
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains(name) || name.ends_with(".json"),
            "{error}"
        );
        assert!(scene.images().list().unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_release_without_a_signature_is_refused_where_a_key_is_given() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let key = crate::signing::tests::signer(1).public();
    let error = scene
        .install_signed(&source, &options(None, None), &[key])
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "`sysforge-release.json` is not signed");
}

#[tokio::test]
async fn an_index_of_another_release_of_the_same_maker_is_refused() {
    let (scene, source, key) = signed_site(1).await;
    let folder = scene.folder.path().join("site/v1.0.0");
    let index = folder.join("sysforge-release.json");
    let text = std::fs::read_to_string(&index).unwrap();
    std::fs::write(&index, text.replace("\"v1.0.0\"", "\"v9.0.0\"")).unwrap();
    let error = scene
        .install_signed(&source, &options(None, None), &[key])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("is not good"), "{error}");
}

/// Returns the result of checking the attestation of an archive with the digest that is really
/// attested.
async fn attested(
    bundles: &[&str],
    repository: &str,
    required: bool,
) -> Result<Attested, InstallError> {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let github = scene
        .github(Options {
            repository: repository.to_owned(),
            ..Options::default()
        })
        .await;
    let digest = crate::attestation::tests::digest();
    for bundle in bundles {
        github.put_attestation(&digest.to_string(), bundle);
    }
    let source = Source::parse(&format!("{repository}@v1.0.0"), |_| false).unwrap();
    let release = OpenRelease::open(&source, &options(Some(&github), None))
        .await
        .unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let mut image = index.images[0].clone();
    image.archive.sha256 = digest;
    release.attested(&image, required).await
}

#[tokio::test]
async fn an_attestation_is_verified_where_there_is_one() {
    use crate::attestation::tests::BY_WORKFLOW;
    // The recorded one is from a run on a branch, which names no release.
    for bundles in [&[BY_WORKFLOW][..], &["{}", BY_WORKFLOW]] {
        // The second one comes from the storage service, compressed.
        let by = attested(bundles, "cli/cli", false).await.unwrap();
        let Attested::Unknown(why) = by else {
            panic!("nothing attests the index: {by:?}");
        };
        assert!(why.contains("deployment.yml@refs/heads/trunk"), "{why}");
        assert!(why.contains("names no release"), "{why}");
    }
    let error = attested(&[BY_WORKFLOW], "cli/cli", true).await.unwrap_err();
    assert!(error.to_string().contains("names no release"), "{error}");
    assert_eq!(attested(&[], "cli/cli", false).await.unwrap(), Attested::No);
}

#[tokio::test]
async fn an_attestation_that_is_missing_or_not_good_is_refused() {
    use crate::attestation::tests::BY_WORKFLOW;
    let error = attested(&[], "cli/cli", true).await.unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("the host keeps no attestation of it"),
        "{error}"
    );
    for bundle in ["{}", BY_WORKFLOW] {
        let error = attested(&[bundle], "octo/images", false).await.unwrap_err();
        assert!(matches!(error, InstallError::NotAttested { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_folder_has_no_attestations() {
    let scene = Scene::new(b"linux", u64::MAX).await;
    let source = scene.site().await;
    let release = OpenRelease::open(&source, &options(None, None))
        .await
        .unwrap();
    let (index, _) = release.index(&[]).await.unwrap();
    let image = &index.images[0];
    assert_eq!(release.attested(image, false).await.unwrap(), Attested::No);
    release.attested(image, true).await.unwrap_err();
}
