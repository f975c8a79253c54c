//! Publishes repeatedly while faults are injected, and counts lost releases.
//!
//! `faults RUNS SEED` performs that many runs, each with its own seed. Each injects some of: faults
//! at the host, SIGKILL at random moments, two concurrent publishers, lists that lag, replacements,
//! files that somebody changes during publication, drafts that a separate call makes public, and
//! signed releases offered in place of others. A run is lost if at any moment something incomplete
//! is public without the lock that marks it as unchecked, if an original is gone, if a substitute
//! is accepted, or if in the end there is not exactly one public release with every byte. The last
//! two lines are figures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use sysforge_plan::text::Repository;
use sysforge_plan::{Reporter, Sha256};
use sysforge_publish::host::Timing;
use sysforge_publish::host::github::finalize::finalize;
use sysforge_publish::host::github::steps::{Policy, publish};
use sysforge_publish::host::github::{Access, GitHub};
use sysforge_publish::install::open_release::SourceOptions;
use sysforge_publish::install::{OpenRelease, Source};
use sysforge_publish::signing::{Identity, PublicKey, Signer};
use sysforge_publish::{Dist, Origin, PublishError, ReleaseBundle, Secret};
use sysforge_testkit::github::{
    Chaos, FakeGitHub, KeptRelease, Options, Random, Tamper, make_build,
};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const TAG: &str = "v1.0.0";
const ORIGINAL: &[u8] = b"the original";

/// Maximum number of attempts of a run.
const ATTEMPTS: usize = 40;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let done = runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(dispatch(&arguments)));
    match done {
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("faults: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn dispatch(arguments: &[String]) -> Outcome<usize> {
    match arguments {
        [mode, api, dist, state, way] if mode == "child" => {
            let way = Way::named(way).ok_or("no such way")?;
            let outcome = attempt(api, dist.as_ref(), state.as_ref(), way, false).await;
            Ok(usize::from(outcome.is_err()))
        }
        [runs, seed] => all(runs.parse()?, seed.parse()?).await,
        _ => Err("usage: faults RUNS SEED".into()),
    }
}

async fn all(runs: usize, seed: u64) -> Outcome<usize> {
    let mut losses = 0;
    let mut struck = 0;
    let mut killed = 0;
    for run in 0..runs {
        let seed = seed + run as u64;
        let outcome = match run % 12 {
            11 => substitution(seed).await,
            _ => one(seed).await,
        };
        match outcome {
            Ok(tally) => {
                struck += tally.struck;
                killed += tally.killed;
            }
            Err(loss) => {
                losses += 1;
                println!("seed {seed}: {loss}");
            }
        }
    }
    println!("figure fault_strikes {struck} count");
    println!("figure fault_kills {killed} count");
    println!("figure fault_runs {runs} count");
    println!("figure fault_losses {losses} count");
    Ok(losses)
}

#[derive(Default)]
struct Tally {
    struck: u32,
    killed: u32,
}

/// Short times, in the proportions of the defaults.
fn timing() -> Timing {
    Timing {
        stall: Duration::from_millis(300),
        request: Duration::from_millis(300),
        retries: sysforge_net::Retries {
            without_progress: 8,
            stalls: 8,
            first_delay: Duration::from_millis(5),
            longest_delay: Duration::from_millis(40),
            longest_wait: Duration::from_secs(5),
            ..Timing::default().retries
        },
        limited: Duration::from_millis(30),
        beat: Duration::from_millis(60),
        dead: Duration::from_millis(400),
        lag: Duration::from_secs(1),
        writes_per_minute: 100_000,
        reporter: Reporter::silent(),
    }
}

fn host(api: &str) -> Outcome<GitHub> {
    let api: url::Url = api.parse()?;
    let access = Access {
        web: api.join("/")?,
        api,
        repository: "octo/images".to_owned(),
        token: Some(Secret::new("writer")),
        network: sysforge_net::Network::default(),
    };
    Ok(GitHub::new(access, timing())?)
}

async fn bundle(api: &str, dist: &Path) -> Outcome<ReleaseBundle> {
    let dist = Dist::read(dist).await?;
    let destination = host(api)?.destination(TAG);
    Ok(ReleaseBundle::prepare(&dist, &destination, &Origin::default()).await?)
}

/// How a release becomes public.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// In one call.
    Once,
    /// In one call that may replace what is public.
    Replacing,
    /// By one call that fills a draft and another that makes it public.
    ByDraft,
}

impl Way {
    const ALL: [Self; 3] = [Self::Once, Self::Replacing, Self::ByDraft];

    fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| format!("{way:?}") == text)
    }
}

async fn attempt(api: &str, dist: &Path, state: &Path, way: Way, insists: bool) -> Outcome<()> {
    let bundle = bundle(api, dist).await?;
    let policy = Policy {
        replace: way == Way::Replacing || insists,
        dry_run: false,
        draft: way == Way::ByDraft,
        recheck: true,
        target: None,
        state: state.to_owned(),
    };
    publish(&host(api)?, &bundle, &policy, &Reporter::silent()).await?;
    if way == Way::ByDraft {
        finalize(&host(api)?, TAG, None).await?;
    }
    Ok(())
}

/// Signed releases of two repositories with one key, each offered in place of every other: only the
/// right one must be accepted.
async fn substitution(seed: u64) -> Outcome<Tally> {
    let mut random = Random(seed);
    let folder = tempfile::tempdir()?;
    let dist = folder.path().join("dist");
    make_build(&dist, "x86_64-linux-gnu", &random.bytes(2_000));
    let pair = minisign::KeyPair::generate_unencrypted_keypair()?;
    let secret = folder.path().join("maker.key");
    std::fs::write(&secret, pair.sk.to_box(None)?.to_string())?;
    let signer = Signer::read(&secret, None)?;
    let key: PublicKey = pair.pk.to_base64().parse()?;
    let releases = [
        ("octo/images", "v1.0.0"),
        ("octo/images", "v2.0.0"),
        ("octo/other", "v2.0.0"),
    ];
    for (of, signed_tag) in releases {
        let asked = match random.below(2) {
            0 => "v1.0.0",
            _ => "v2.0.0",
        };
        let github = FakeGitHub::start(Options::default()).await?;
        let read = Dist::read(&dist).await?;
        let destination = host(github.api_url())?.destination(signed_tag);
        let bundle = ReleaseBundle::prepare(&read, &destination, &Origin::default()).await?;
        let mut bundle = bundle.of(Identity {
            repository: Some(Repository::new(of)?),
            site: None,
        });
        bundle.sign(&signer, 1000)?;
        let files: Vec<(String, Vec<u8>)> = bundle
            .assets
            .iter()
            .filter_map(|asset| match &asset.content {
                sysforge_publish::release_bundle::Content::Memory(bytes) => {
                    Some((asset.name.clone(), bytes.to_vec()))
                }
                sysforge_publish::release_bundle::Content::File { .. } => None,
            })
            .collect();
        let files: Vec<(&str, &[u8])> = files.iter().map(|(n, b)| (&**n, &**b)).collect();
        github.put_release(asked, false, &files)?;
        let api: url::Url = github.api_url().parse()?;
        let reach = SourceOptions {
            github: Access {
                web: api.join("/")?,
                api,
                repository: String::new(),
                token: (random.below(2) == 0).then(|| Secret::new("reader")),
                network: sysforge_net::Network::default(),
            },
            s3: sysforge_publish::host::s3::S3Access::default(),
            timing: timing(),
            attestations: false,
            drafts: false,
        };
        let source = Source::parse(&format!("octo/images@{asked}"), |_| false)?;
        let place = OpenRelease::open(&source, &reach).await?;
        let accepted = place.index(std::slice::from_ref(&key)).await.is_ok();
        let right = of == "octo/images" && signed_tag == asked;
        if accepted != right {
            return Err(format!("{of} {signed_tag} as octo/images {asked}: {accepted}").into());
        }
    }
    Ok(Tally::default())
}

async fn one(seed: u64) -> Outcome<Tally> {
    let mut random = Random(seed);
    let folder = tempfile::tempdir()?;
    let dist = folder.path().join("dist");
    let image = random.bytes(200_000);
    make_build(&dist, "x86_64-linux-gnu", &image);
    make_build(&dist, "aarch64-apple-darwin", &random.bytes(5_000));
    let github = FakeGitHub::start(Options {
        lag: random.duration(Duration::from_millis(100)) * u32::from(random.below(3) == 0),
        latency: random.duration(Duration::from_millis(4)),
        ..Options::default()
    })
    .await?;
    let mut scene = Scene {
        bundle: bundle(github.api_url(), &dist).await?,
        way: match random.below(6) {
            0 => Way::Replacing,
            1 | 2 => Way::ByDraft,
            _ => Way::Once,
        },
        tampered: false,
        insists: false,
        github,
        dist,
        folder: folder.path().to_owned(),
    };
    if scene.way == Way::Replacing {
        let name = &scene.bundle.assets[0].name;
        scene.github.put_release(TAG, false, &[(name, ORIGINAL)])?;
    }
    let chaos = Chaos {
        seed: random.next_u64(),
        per_mille: 50 + u32::try_from(random.below(350))?,
        at_most: 1 + u32::try_from(random.below(8))?,
    };
    if scene.way != Way::Replacing && random.below(3) == 0 {
        let assets = &scene.bundle.assets;
        let asset = &assets[usize::try_from(random.below(assets.len() as u64))?];
        let name = asset.name.clone();
        scene.github.tamper(match random.below(3) {
            0 => Tamper::Remove(name),
            1 => Tamper::Replace(name, random.bytes(100)),
            _ => Tamper::Truncate(name, 1),
        });
        scene.tampered = true;
    }
    let (kills, crowd) = (random.below(3), random.below(4) == 0);
    scene.github.chaos(chaos);
    let mut tally = Tally::default();
    for number in 0..ATTEMPTS {
        if number == ATTEMPTS / 2 {
            tally.struck += scene.github.struck();
            scene.github.calm();
            scene.insists = scene.tampered;
        }
        let finished = if u64::try_from(number)? < kills {
            let finished = scene.killed(&mut random).await?;
            tally.killed += u32::from(!finished);
            finished
        } else if crowd && number == usize::try_from(kills)? {
            scene.two_at_once().await?
        } else {
            scene.publish("state").await.is_ok()
        };
        scene.look(finished)?;
        if finished {
            tally.struck += scene.github.struck();
            scene.github.calm();
            // The last publisher finds everything done, and cleans up what another left.
            scene.publish("state").await?;
            scene.look(true)?;
            scene.look_at_the_end()?;
            return Ok(tally);
        }
    }
    Err("it never came to its end".into())
}

struct Scene {
    github: FakeGitHub,
    bundle: ReleaseBundle,
    dist: PathBuf,
    folder: PathBuf,
    way: Way,
    /// Whether somebody changes a file when the release becomes public.
    tampered: bool,
    /// Whether the user now follows the error's advice and replaces what somebody changed.
    insists: bool,
}

impl Scene {
    async fn publish(&self, state: &str) -> Outcome<()> {
        let state = self.folder.join(state);
        attempt(
            self.github.api_url(),
            &self.dist,
            &state,
            self.way,
            self.insists,
        )
        .await
    }

    /// A publisher in a separate process, killed at a random moment. Returns whether it finished
    /// before.
    async fn killed(&self, random: &mut Random) -> Outcome<bool> {
        let mut child = tokio::process::Command::new(std::env::current_exe()?)
            .arg("child")
            .arg(self.github.api_url())
            .arg(&self.dist)
            .arg(self.folder.join("state"))
            .arg(format!("{:?}", self.way))
            .kill_on_drop(true)
            .spawn()?;
        let moment = random.duration(Duration::from_millis(700));
        match tokio::time::timeout(moment, child.wait()).await {
            Ok(status) => Ok(status?.success()),
            Err(_) => {
                child.kill().await?;
                Ok(false)
            }
        }
    }

    /// Two publishers on two machines. Returns whether one finished.
    async fn two_at_once(&self) -> Outcome<bool> {
        let (one, two) = tokio::join!(self.publish("state"), self.publish("elsewhere"));
        for outcome in [&one, &two] {
            if let Err(error) = outcome
                && matches!(
                    error.downcast_ref::<PublishError>(),
                    Some(PublishError::Different { .. })
                )
            {
                return Err(format!("two at once: {error}").into());
            }
        }
        Ok(one.is_ok() || two.is_ok())
    }

    /// Checks the invariants that must hold at every moment. `finished`: after a run that reported
    /// success.
    fn look(&self, finished: bool) -> Outcome<()> {
        let releases = self.github.releases();
        let public: Vec<_> = releases.iter().filter(|release| !release.draft).collect();
        if public.len() > 1 {
            return Err("two public releases".into());
        }
        for release in public {
            let locked = release.assets.iter().any(|a| a.name.ends_with(".lock"));
            if self.way == Way::Replacing {
                self.look_for_the_original(release)?;
            } else if !(self.tampered && locked && !finished) {
                self.look_whole(release)?;
            }
        }
        Ok(())
    }

    fn look_whole(&self, release: &KeptRelease) -> Outcome<()> {
        for asset in &self.bundle.assets {
            if !self.holds(release, &asset.name, asset.sha256)? {
                return Err(format!("{} is public without {}", release.tag, asset.name).into());
            }
        }
        Ok(())
    }

    /// The original exists, or its replacement does, under its name or the name used during the
    /// upload.
    fn look_for_the_original(&self, release: &KeptRelease) -> Outcome<()> {
        let asset = &self.bundle.assets[0];
        let original = release.assets.iter().any(|kept| {
            kept.name == asset.name
                && self
                    .github
                    .bytes(kept.id)
                    .is_ok_and(|bytes| bytes == ORIGINAL)
        });
        let new = format!("{}.sysforge-new", asset.name);
        let there = original
            || self.holds(release, &asset.name, asset.sha256)?
            || self.holds(release, &new, asset.sha256)?;
        if there {
            Ok(())
        } else {
            Err("the original is gone".into())
        }
    }

    fn holds(&self, release: &KeptRelease, name: &str, sha256: Sha256) -> Outcome<bool> {
        let kept = release.assets.iter().find(|kept| kept.name == name);
        let digest = format!("sha256:{sha256}");
        Ok(kept.is_some_and(|kept| {
            kept.state == "uploaded" && kept.digest.as_deref() == Some(&*digest)
        }))
    }

    /// Checks the invariants that must hold in the end.
    fn look_at_the_end(&self) -> Outcome<()> {
        let releases = self.github.releases();
        let [release] = releases.as_slice() else {
            return Err(format!("{} releases in the end", releases.len()).into());
        };
        if release.draft {
            return Err("still a draft in the end".into());
        }
        self.look_whole(release)?;
        let left = release
            .assets
            .iter()
            .find(|kept| kept.name.contains("sysforge-new") || kept.name.ends_with(".lock"));
        match left {
            Some(left) => Err(format!("{} was left", left.name).into()),
            None => Ok(()),
        }
    }
}
