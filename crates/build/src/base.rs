//! Fresh bases: a sysimage of Julia's own, made from its sources with only some of its standard
//! libraries. An image that is emitted on top of it is smaller, and holds every CPU target that was
//! asked for: Julia drops all but the first only when the base is a shared library (julia#50792).
//!
//! Two steps, as Julia's own Makefile does them (sysimage.mk): the compiler, then Base and standard
//! libraries on top of it. Both without native code, which the emission makes.

use std::path::{Path, PathBuf};

use sysforge_plan::{Class, Evidence, Explain, Step, explain};

use crate::context::Context;
use crate::inputs::digest_of;
use crate::process::ProcessError;

/// A base could not be made.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// This Julia comes without the sources, or they are arranged in another way.
    #[error("Julia {version} has no sources that a fresh base could be made from: {lacks}")]
    NoSources {
        /// The Julia.
        version: String,
        /// What is missing.
        lacks: String,
    },
    /// A step failed.
    #[error("Julia failed to make a fresh base, at {step}")]
    Julia {
        /// The step.
        step: &'static str,
        /// How.
        #[source]
        source: ProcessError,
    },
    /// A file could not be written or moved.
    #[error("could not write {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

impl Explain for BaseError {
    fn class(&self) -> Class {
        match self {
            Self::NoSources { .. } => Class::Usage,
            Self::Julia { source, .. } => source.class_in(Class::Julia),
            Self::Io { source, .. } => explain::io_class(source, Class::Machine),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSources { .. } => vec![
                "leave `base` away, or write `base = \"shipped\"`, to build on the sysimage that \
                 this Julia ships"
                    .to_owned(),
            ],
            Self::Julia { source, .. } => source.hints(),
            Self::Io { source, .. } => explain::io_hint(source).into_iter().collect(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Julia { source, .. } => source.evidence(),
            Self::NoSources { .. } | Self::Io { .. } => None,
        }
    }
}

/// Makes the base of `context`'s Julia with only the standard libraries in `used` (all, if `None`),
/// or takes one over that lies in `cache` and was made from the same.
///
/// # Errors
///
/// See [`BaseError`].
pub async fn fresh(
    context: &Context,
    used: Option<&[String]>,
    cpu_target: &str,
    cache: &Path,
) -> Result<PathBuf, BaseError> {
    let sources = sources(context)?;
    let original = read(&sources.join("sysimg.jl"))?;
    let script = with_stdlibs(&original, used).ok_or_else(|| BaseError::NoSources {
        version: context.julia.version.to_string(),
        lacks: "its sysimg.jl has no list of standard libraries in the known form".to_owned(),
    })?;
    // A running Julia has one target; the emission gives the code its own.
    let target = cpu_target.split(';').next().unwrap_or_default();
    let name = name(context, &script, target);
    let folder = cache.join(name);
    let image = folder.join("sys.ji");
    let libraries = used.map_or("all".to_owned(), |used| used.join(", "));
    let task = context
        .reporter
        .start(Step::Base, format!("a base with {libraries}"));
    if image.is_file() {
        task.reused("made before from the same sources");
        return Ok(image);
    }
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| BaseError::Io { path, source }
    };
    std::fs::create_dir_all(&folder).map_err(io(&folder))?;
    // One at a time; who waited finds it made. Renamed when it is whole. The folder's name has no
    // chance in it, as it stays in the image as the place of a source.
    let lock = folder.join("lock");
    let lock = std::fs::File::create(&lock).map_err(io(&lock))?;
    let lock = tokio::task::spawn_blocking(move || lock.lock().map(|()| lock));
    let _lock = lock
        .await
        .unwrap_or_else(|died| Err(std::io::Error::other(died)))
        .map_err(io(&folder))?;
    if image.is_file() {
        task.reused("another Sysforge just made it");
        return Ok(image);
    }
    let compiler = folder.join("corecompiler.ji");
    let system = folder.join("partial.ji");
    let own = folder.join("sysimg.jl");
    std::fs::write(&own, script).map_err(io(&own))?;

    let run = |step: &'static str, log: &str, base: Option<&Path>, out: &Path, script: &Path| {
        let mut program = context
            .julia(context.environment.for_julia(), log)
            // Its path would stay in the base.
            .env("JULIA_PROJECT", "")
            .option("--cpu-target", target)
            .option("--output-ji", out)
            .args(["-g1", "-O0"]);
        if let Some(base) = base {
            program = program.option("--sysimage", base);
        }
        // Relative includes are looked up in the working directory.
        let program = program.arg(script).directory(&sources);
        let task = &task;
        async move {
            let ran = context.children.run(&program, task).await;
            ran.map_err(|source| BaseError::Julia { step, source })
        }
    };
    let first = sources.join(COMPILER);
    run("the compiler", "base-compiler", None, &compiler, &first).await?;
    run("the libraries", "base", Some(&compiler), &system, &own).await?;
    std::fs::rename(&system, &image).map_err(io(&image))?;
    let size = std::fs::metadata(&image).map_or(0, |file| file.len());
    task.done(format!("{} MB", size / 1_000_000));
    Ok(image)
}

/// What the first step compiles, below the sources.
const COMPILER: &str = "compiler/compiler.jl";

/// The folder of Base's sources: official Julias have them beside the standard libraries,
/// `share/julia/base` beside `share/julia/stdlib/v1.x`.
fn sources(context: &Context) -> Result<PathBuf, BaseError> {
    let lacks = |lacks: String| BaseError::NoSources {
        version: context.julia.version.to_string(),
        lacks,
    };
    let share = context.julia.stdlib.parent().and_then(Path::parent);
    let sources = share.map(|share| share.join("base")).unwrap_or_default();
    for file in ["sysimg.jl", COMPILER] {
        let path = sources.join(file);
        if !path.is_file() {
            // From 1.12 on the compiler is a package of its own and is made in another way.
            return Err(lacks(format!("there is no {}", path.display())));
        }
    }
    Ok(sources)
}

fn read(path: &Path) -> Result<String, BaseError> {
    std::fs::read_to_string(path).map_err(|source| BaseError::Io {
        path: path.to_owned(),
        source,
    })
}

/// A folder name for a base: equal for equal sources, standard libraries and targets.
fn name(context: &Context, script: &str, target: &str) -> String {
    let julia = &context.julia;
    let parts = [
        julia.version.to_string(),
        julia.commit.clone(),
        julia.triplet.to_string(),
        // Two Julias of one version may be built differently.
        julia.base_image.display().to_string(),
        script.to_owned(),
        target.to_owned(),
    ];
    let digest = digest_of(parts.iter().map(String::as_str)).to_string();
    format!("{}-{}", julia.version, &digest[..16])
}

/// `sysimg.jl` with a list of only those standard libraries that are used. `None` if it has no such
/// list.
fn with_stdlibs(script: &str, used: Option<&[String]>) -> Option<String> {
    let start = script.find("stdlibs = [")? + "stdlibs = [".len();
    let length = script[start..].find(']')?;
    let Some(used) = used else {
        return Some(script.to_owned());
    };
    // In the script's order: a library comes behind those that it needs.
    let listed = script[start..start + length]
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().trim_start_matches(':'));
    let kept: Vec<String> = listed
        .filter(|name| used.iter().any(|used| used == name))
        .map(|name| format!(":{name}"))
        .collect();
    Some(format!(
        "{}Symbol[{}{}",
        &script[..start - 1],
        kept.join(", "),
        &script[start + length..]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "let\n    stdlibs = [\n            # No deps\n            :Base64, :SHA,\n            \
                          # 1-depth packages\n            :Printf,\n        ]\n    maxlen = 1\nend\n";

    #[test]
    fn only_used_libraries_stay_in_their_order() {
        let used = ["Printf", "Base64", "Pricing"].map(str::to_owned);
        let script = with_stdlibs(SCRIPT, Some(&used)).unwrap();
        assert!(
            script.contains("stdlibs = Symbol[:Base64, :Printf]\n    maxlen"),
            "{script}"
        );
        let none = with_stdlibs(SCRIPT, Some(&[])).unwrap();
        assert!(none.contains("stdlibs = Symbol[]"), "{none}");
        assert_eq!(with_stdlibs(SCRIPT, None).as_deref(), Some(SCRIPT));
        assert_eq!(with_stdlibs("include(\"x.jl\")", None), None);
    }
}
