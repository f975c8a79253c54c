use super::*;
use crate::archive::ArchiveFormat;
use crate::catalogue::{Choice, File};
use crate::config::{PlatformConfig, Settings};
use crate::cpu;
use crate::version::JuliaVersion;

const TODAY: Day = Day::new(2026, 11, 22);

fn digest(number: usize) -> Sha256 {
    Sha256::new([u8::try_from(number % 256).unwrap(); 32])
}

/// Returns `tiers` builds for each platform and each of `patches` Julias.
fn parts(platforms: &[&str], patches: u64, tiers: usize) -> Vec<Part> {
    let mut parts = Vec::new();
    for triplet in platforms {
        let triplet: Triplet = triplet.parse().unwrap();
        for patch in 0..patches {
            let version = JuliaVersion::new(1, 12, patch);
            let choice = Choice {
                version: version.clone(),
                file: File {
                    url: "https://example.org/julia.tar.gz".parse().unwrap(),
                    triplet,
                    format: ArchiveFormat::TarGz,
                    size: 1,
                    sha256: digest(7),
                    asc: None,
                },
            };
            let names: Vec<String> = (0..tiers).map(|tier| format!("tier{tier}")).collect();
            let builds: Vec<Build> = cpu::targets(&names, triplet, "generic")
                .into_iter()
                .map(|cpu| Build {
                    id: BuildId::of("x", &version, triplet, cpu.tier.as_deref()).unwrap(),
                    triplet,
                    julia: PlannedJulia::Catalogue {
                        request: "1.12".to_owned(),
                        choice: choice.clone(),
                    },
                    manifest: None,
                    packages: Vec::new(),
                    closure: Vec::new(),
                    cpu,
                    archive: ArchiveFormat::TarGz,
                    settings: Settings::default(),
                    versions: crate::plan::Versions::Manifest,
                    apps: Vec::new(),
                    library: None,
                    image: true,
                })
                .collect();
            let digests = (0..builds.len()).map(digest).collect();
            let plan = Plan {
                name: "x".parse().unwrap(),
                project_version: None,
                packages: Vec::new(),
                closure: Vec::new(),
                builds,
                warnings: Vec::new(),
            };
            parts.push(Part {
                plan,
                digests,
                packages: digest(9),
            });
        }
    }
    parts
}

fn matrix(parts: &[Part], config: &Config) -> Result<Matrix, MatrixError> {
    Matrix::new(parts, config, &Existing::new(), TODAY)
}

#[test]
fn each_leg_says_where_what_and_how_long() {
    let parts = parts(&["x86_64-linux-gnu", "aarch64-apple-darwin"], 1, 1);
    let matrix = matrix(&parts, &Config::default()).unwrap();
    insta::assert_json_snapshot!(matrix, @r#"
    {
      "legs": [
        {
          "name": "x-julia1.12.0-x86_64-linux-gnu",
          "runner": "ubuntu-24.04",
          "triplet": "x86_64-linux-gnu",
          "julia": "1.12.0",
          "builds": "x-julia1.12.0-x86_64-linux-gnu",
          "timeout": 30,
          "store": "x86_64-linux-gnu-1.12.0-0707070707070707",
          "packages": "0909090909090909"
        },
        {
          "name": "x-julia1.12.0-aarch64-apple-darwin",
          "runner": "macos-15",
          "triplet": "aarch64-apple-darwin",
          "julia": "1.12.0",
          "builds": "x-julia1.12.0-aarch64-apple-darwin",
          "timeout": 30,
          "store": "aarch64-apple-darwin-1.12.0-0707070707070707",
          "packages": "0909090909090909"
        }
      ],
      "verify": [
        {
          "triplet": "x86_64-linux-gnu",
          "runner": "ubuntu-24.04",
          "timeout": 60
        },
        {
          "triplet": "aarch64-apple-darwin",
          "runner": "macos-15",
          "timeout": 60
        }
      ],
      "existing": []
    }
    "#);
}

#[test]
fn what_exists_from_the_same_inputs_is_left_out_but_verified() {
    let parts = parts(&["x86_64-linux-gnu"], 1, 2);
    let [first, second] = [0, 1].map(|at| parts[0].plan.builds[at].id.clone());
    // The second one exists too, but was made from other inputs.
    let existing = Existing::from([(first.clone(), digest(0)), (second.clone(), digest(9))]);
    let matrix = Matrix::new(&parts, &Config::default(), &existing, TODAY).unwrap();
    assert_eq!(matrix.existing, [first]);
    assert_eq!(matrix.legs[0].builds, second.as_str());
    assert_eq!(matrix.legs.len(), 1);
    assert_eq!(matrix.verify.len(), 1);
}

#[test]
fn up_to_256_builds_have_a_job_each_and_more_share() {
    let all = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let matrix_of = |patches, tiers| matrix(&parts(&all, patches, tiers), &Config::default());
    let full = matrix_of(32, 4).unwrap();
    assert_eq!(full.legs.len(), LEGS);
    assert!(full.legs.iter().all(|leg| !leg.builds.contains(' ')));

    let shared = matrix_of(32, 5).unwrap();
    assert!(shared.legs.len() <= LEGS, "{}", shared.legs.len());
    let mut builds: Vec<_> = shared
        .legs
        .iter()
        .flat_map(|leg| leg.builds.split(' '))
        .collect();
    builds.sort_unstable();
    builds.dedup();
    assert_eq!(builds.len(), 320);
    assert!(
        shared
            .legs
            .iter()
            .any(|leg| leg.name.ends_with("-and-1-more") && leg.timeout == 60)
    );
    // A job has builds of one Julia only.
    for leg in &shared.legs {
        let marker = format!("julia{}-", leg.julia);
        assert!(leg.builds.split(' ').all(|build| build.contains(&marker)));
    }
}

#[test]
fn the_outputs_stay_below_a_megabyte_and_more_is_refused_in_words() {
    let all = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let large = matrix(&parts(&all, 32, 40), &Config::default()).unwrap();
    assert!(large.size() <= OUTPUT);
    // The maximum within six hours: 256 jobs of 12 builds of half an hour each.
    let error = matrix(&parts(&all, 128, 13), &Config::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3328 builds do not fit into 256 jobs of at most 6 hours, which is what GitHub takes"
    );
    let error = matrix(&parts(&all, 200, 1), &Config::default()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "400 pairs of a platform and a Julia do not fit into 256 jobs, which is what GitHub takes: \
         a job has one of each"
    );
    assert!(error.hints()[0].contains("--matrix '*-linux-gnu'"));
}

#[test]
fn runners_are_named_checked_and_warned_of() {
    let with = |triplet: &str, runner: &str| {
        let platform = PlatformConfig {
            runner: Some(runner.to_owned()),
            timeout: Some(45),
        };
        let platforms = BTreeMap::from([(triplet.parse().unwrap(), platform)]);
        let config = Config {
            platforms,
            ..Config::default()
        };
        matrix(&parts(&[triplet], 1, 1), &config)
    };
    let own = with("x86_64-unknown-freebsd", "freebsd-in-the-cellar").unwrap();
    assert_eq!(own.legs[0].runner, "freebsd-in-the-cellar");
    assert_eq!(own.legs[0].timeout, 45);
    assert!(own.retirements.is_empty());

    let dead = with("aarch64-apple-darwin", "macos-14").unwrap();
    assert_eq!(
        dead.retirements[0].to_string(),
        "the runner `macos-14` was removed on 2026-11-02"
    );

    let wrong = with("x86_64-linux-gnu", "macos-15").unwrap_err();
    assert_eq!(
        wrong.to_string(),
        "the runner `macos-15` runs aarch64-apple-darwin, and was named for x86_64-linux-gnu"
    );
    let none = matrix(
        &parts(&["x86_64-unknown-freebsd"], 1, 1),
        &Config::default(),
    );
    assert_eq!(
        none.unwrap_err().to_string(),
        "there is no hosted runner for x86_64-unknown-freebsd"
    );
}
