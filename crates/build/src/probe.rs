//! Queries a Julia for its version, platform and layout. Nothing about a layout is assumed:
//! official, Debian and Windows layouts differ.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sysforge_plan::explain::CREATE_TEMPORARY;
use sysforge_plan::{
    Class, Evidence, Explain, JuliaFacts, PathError, Reporter, Step, cpu, explain,
};

use sysforge_process::Environment;
use sysforge_process::{Children, ProcessError, Program};

const SCRIPT: &str = include_str!("julia/probe.jl");

/// Marks the probe's own lines; other output is ignored.
const PREFIX: &str = "sysforge-probe:";

/// A Julia that does not respond within this time is broken.
const LIMIT: Duration = Duration::from_secs(120);

/// The Julia cannot be queried.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum ProbeError {
    #[error("there is no Julia at {}", .path.display())]
    NotThere { path: PathBuf },
    #[error("the Julia at {} does not run", .path.display())]
    DoesNotRun {
        path: PathBuf,
        #[source]
        source: ProcessError,
    },
    #[error(transparent)]
    Temporary(PathError),
    #[error("the Julia at {} gave no usable answer about `{about}`", .path.display())]
    Unclear {
        path: PathBuf,
        about: &'static str,
        #[source]
        source: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    #[error("Julia {version} does not start with {} as its sysimage", .image.display())]
    Base {
        image: PathBuf,
        version: String,
        said: Vec<String>,
    },
    #[error("Julia {version} does not know the CPU target `{target}`")]
    CpuTarget {
        target: String,
        version: String,
        said: Vec<String>,
    },
}

impl Explain for ProbeError {
    fn class(&self) -> Class {
        match self {
            Self::NotThere { .. } | Self::Base { .. } | Self::CpuTarget { .. } => Class::Usage,
            Self::DoesNotRun { source, .. } => source.class_or(Class::Julia),
            Self::Unclear { .. } => Class::Julia,
            Self::Temporary(error) => error.class(Class::Machine),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotThere { .. } => vec![
                "`--julia` takes a Julia's folder or its executable, or a version to be fetched \
                 such as `--julia 1.12`"
                    .to_owned(),
            ],
            Self::DoesNotRun {
                path,
                source: ProcessError::TimedOut { .. },
            } => vec![format!(
                "no option raises this limit: does `{}` start by hand? Copy this Julia to a faster \
                 disk if that takes long, or name another with `--julia`",
                path.display()
            )],
            Self::DoesNotRun { source, .. } => source.hints(),
            Self::Temporary(error) => error.hints(),
            Self::Base { .. } => vec![
                "`base` is a sysimage that was built for exactly this Julia and this platform: the same \
                 version and the same build"
                    .to_owned(),
            ],
            Self::CpuTarget { target, .. } => {
                let nearest = explain::nearest(target, cpu::words());
                let all = "`cpu` is `portable`, `native`, `x86-64-v2` to `x86-64-v4`, or what \
                           `julia -C help` lists, with features behind it such as \
                           `haswell,-rdrnd`";
                explain::did_you_mean(nearest, all)
            }
            Self::Unclear { path, .. } => vec![format!(
                "is it a complete Julia, 1.5 or newer? Try `{} --version`",
                path.display()
            )],
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::DoesNotRun { source, .. } => source.evidence(),
            Self::CpuTarget { said, .. } | Self::Base { said, .. } => Some(Evidence {
                tail: said.clone(),
                log: None,
            }),
            _ => None,
        }
    }
}

/// Returns the executable of the Julia at `path`: the path itself, or `bin/julia` in it.
///
/// # Errors
///
/// [`ProbeError::NotThere`] if none of these is a file.
pub fn executable_at(path: &Path) -> Result<PathBuf, ProbeError> {
    let name = if cfg!(windows) { "julia.exe" } else { "julia" };
    let candidates = [
        path.to_owned(),
        path.join("bin").join(name),
        path.join(name),
    ];
    candidates
        .into_iter()
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| ProbeError::NotThere {
            path: path.to_owned(),
        })
}

/// Queries the Julia `executable`.
///
/// # Errors
///
/// [`ProbeError::Temporary`] if no temporary folder can be created; [`ProbeError::DoesNotRun`] if
/// Julia cannot be started, fails or takes too long;
/// [`ProbeError::Unclear`] if an answer is missing or cannot be parsed.
pub async fn probe(
    executable: &Path,
    environment: &Environment,
    children: &Children,
    reporter: &Reporter,
) -> Result<JuliaFacts, ProbeError> {
    let task = reporter.start(Step::Probe, executable.display().to_string());
    let (scratch, program) = question(executable, environment)?;
    let script = scratch.path().join("probe.jl");
    std::fs::write(&script, SCRIPT).map_err(PathError::wrap(
        "write",
        &script,
        ProbeError::Temporary,
    ))?;
    let program = program.arg(&script).arg(PREFIX);
    let ran = children.run(&program, &task).await;
    let said = ran.map_err(|error| does_not_run(executable, error))?;
    let facts = read(executable, &said.stdout)?;
    task.done(format!("Julia {} for {}", facts.version, facts.triplet));
    Ok(facts)
}

/// Checks that a Julia supports a CPU target: a name with features, for example `haswell,-rdrnd`.
/// Julia treats an unknown name as a CPU without features and ignores unknown features, so this is
/// checked beforehand.
///
/// # Errors
///
/// [`ProbeError::CpuTarget`] if Julia does not know the CPU or a feature, or fails with the target;
/// [`ProbeError::DoesNotRun`] if it cannot be started or takes too long; [`ProbeError::Temporary`] if no
/// temporary folder can be created.
pub async fn cpu_target(
    julia: &JuliaFacts,
    target: &str,
    environment: &Environment,
    children: &Children,
    reporter: &Reporter,
) -> Result<(), ProbeError> {
    let task = reporter.start(Step::Probe, format!("the CPU target {target}"));
    let (_scratch, program) = question(&julia.executable, environment)?;
    let program = program
        .option("--cpu-target", target)
        .args(["-e", "nothing"]);
    let refused = |said: Vec<String>| ProbeError::CpuTarget {
        target: target.to_owned(),
        version: julia.version.to_string(),
        said,
    };
    match children.run(&program, &task).await {
        // LLVM's message: `'+x' is not a recognized feature for this target (ignoring feature)`.
        Ok(finished) if finished.stderr.contains("not a recognized") => {
            let mut said: Vec<_> = finished.stderr.lines().map(str::to_owned).collect();
            said.dedup();
            Err(refused(said))
        }
        Ok(_) => {
            task.done("known");
            Ok(())
        }
        // For an unknown name, Julia assumes a CPU without features and then complains about the
        // first missing one, which would be misleading.
        Err(error @ ProcessError::Failed { .. }) => {
            let mut said = error.evidence().unwrap_or_default().tail;
            said.retain(|line| !line.contains("Your CPU does not support"));
            Err(refused(said))
        }
        Err(error) => Err(does_not_run(&julia.executable, error)),
    }
}

/// Checks that a Julia starts with a sysimage that is configured as a base.
///
/// # Errors
///
/// [`ProbeError::Base`] if Julia fails with the image; [`ProbeError::DoesNotRun`] if it cannot be started
/// or takes too long; [`ProbeError::Temporary`] if no temporary folder can be created.
pub async fn base_image(
    julia: &JuliaFacts,
    image: &Path,
    environment: &Environment,
    children: &Children,
    reporter: &Reporter,
) -> Result<(), ProbeError> {
    let task = reporter.start(Step::Probe, format!("the base {}", image.display()));
    let (_scratch, program) = question(&julia.executable, environment)?;
    let program = program.option("--sysimage", image).args(["-e", "nothing"]);
    match children.run(&program, &task).await {
        Ok(_) => {
            task.done("Julia starts with it");
            Ok(())
        }
        Err(error @ ProcessError::Failed { .. }) => Err(ProbeError::Base {
            image: image.to_owned(),
            version: julia.version.to_string(),
            said: error.evidence().unwrap_or_default().tail,
        }),
        Err(error) => Err(does_not_run(&julia.executable, error)),
    }
}

/// Returns a plain Julia for a quick query, and the folder of its log.
fn question(
    executable: &Path,
    environment: &Environment,
) -> Result<(tempfile::TempDir, Program), ProbeError> {
    let parent = tempfile::env::temp_dir();
    let scratch = tempfile::tempdir_in(&parent).map_err(PathError::wrap(
        CREATE_TEMPORARY,
        &parent,
        ProbeError::Temporary,
    ))?;
    let log = scratch.path().join("probe.log");
    let program = Program::new(executable, environment.for_julia(), log)
        .args(["--startup-file=no", "--history-file=no", "--color=no"])
        .timeout(Some(LIMIT));
    Ok((scratch, program))
}

fn does_not_run(julia: &Path, mut source: ProcessError) -> ProbeError {
    forget_log(&mut source);
    ProbeError::DoesNotRun {
        path: julia.to_owned(),
        source,
    }
}

/// Removes the log from an error: it is in a temporary folder, which no longer exists when the
/// error is shown.
fn forget_log(error: &mut ProcessError) {
    if let ProcessError::Failed { evidence, .. } | ProcessError::TimedOut { evidence, .. } = error {
        evidence.log = None;
    }
}

fn read(executable: &Path, stdout: &str) -> Result<JuliaFacts, ProbeError> {
    let answers: BTreeMap<&str, &str> = stdout
        .lines()
        .filter_map(|line| line.strip_prefix(PREFIX)?.split_once('='))
        .collect();
    let unclear = |about, source| ProbeError::Unclear {
        path: executable.to_owned(),
        about,
        source,
    };
    let answer = |about: &'static str| {
        answers
            .get(about)
            .copied()
            .filter(|a| !a.is_empty())
            .ok_or_else(|| unclear(about, None))
    };
    Ok(JuliaFacts {
        executable: executable.to_owned(),
        version: answer("version")?
            .parse()
            .map_err(|e| unclear("version", Some(Box::new(e))))?,
        commit: answers
            .get("commit")
            .copied()
            .unwrap_or_default()
            .to_owned(),
        triplet: answer("machine")?
            .parse()
            .map_err(|e| unclear("machine", Some(Box::new(e))))?,
        bindir: answer("bindir")?.into(),
        libdir: answer("libdir")?.into(),
        private_libdir: answer("private_libdir")?.into(),
        private_libexecdir: answers.get("private_libexecdir").map(PathBuf::from),
        stdlib: answer("stdlib")?.into(),
        base_image: answer("base_image")?.into(),
        cpu_name: answer("cpu_name")?.to_owned(),
        cpu_threads: answers
            .get("cpu_threads")
            .and_then(|n| n.parse().ok())
            .unwrap_or(1),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_its_own_lines_and_passes_over_others() {
        let stdout = "a banner\nsysforge-probe:version=1.5.3\nsysforge-probe:commit=\n\
                      sysforge-probe:machine=x86_64-pc-linux-gnu\nsysforge-probe:bindir=/j/bin\n\
                      sysforge-probe:libdir=/j/lib\nsysforge-probe:private_libdir=/j/lib/julia\n\
                      sysforge-probe:stdlib=/j/s\nsysforge-probe:base_image=/j/lib/julia/sys.so\n\
                      sysforge-probe:cpu_name=generic\nsysforge-probe:cpu_threads=2\n";
        let facts = read(Path::new("/j/bin/julia"), stdout).unwrap();
        assert_eq!(facts.version.to_string(), "1.5.3");
        assert_eq!(facts.triplet.name(), "x86_64-linux-gnu");
        assert_eq!((facts.commit.as_str(), facts.cpu_threads), ("", 2));
    }

    #[test]
    fn a_temporary_folder_that_cannot_be_created_is_not_julias_fault() {
        let source = std::io::ErrorKind::NotFound.into();
        let folder = Path::new("/nonexistent");
        let error = PathError::wrap(CREATE_TEMPORARY, folder, ProbeError::Temporary)(source);
        assert_eq!(error.class(), Class::Machine);
        let text = error.to_string();
        assert_eq!(text, "could not create a temporary folder in /nonexistent");
    }

    #[test]
    fn a_probe_that_takes_too_long_is_not_answered_with_an_option_that_changes_nothing() {
        let error = ProbeError::DoesNotRun {
            path: "/j/bin/julia".into(),
            source: ProcessError::TimedOut {
                program: "julia".to_owned(),
                limit: LIMIT,
                evidence: Evidence::default(),
            },
        };
        let hints = error.hints();
        assert!(!hints[0].contains("--timeout"), "{hints:?}");
        assert!(hints[0].contains("/j/bin/julia"), "{hints:?}");
    }

    #[test]
    fn says_which_answer_is_missing() {
        let error = read(Path::new("/j/bin/julia"), "hello\n").unwrap_err();
        assert_eq!(
            error.to_string(),
            "the Julia at /j/bin/julia gave no usable answer about `version`"
        );
    }
}
