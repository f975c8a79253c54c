//! Fresh bases: a sysimage of Julia's own, made from its sources with only some of its standard
//! libraries. An image that is emitted on top of it is smaller, and holds every CPU target that was
//! asked for: Julia drops all but the first only when the base is a shared library (julia#50792).
//!
//! Two steps, as Julia's own Makefile does them (sysimage.mk): the compiler, then Base and standard
//! libraries on top of it. Both without native code, which the emission makes.

use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::{Class, Evidence, Explain, JuliaFacts, Sha256, Task};

use crate::context::Context;
use crate::fingerprint::digest_of;
use sysforge_process::ProcessError;

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
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Explain for BaseError {
    fn class(&self) -> Class {
        match self {
            Self::NoSources { .. } => Class::Usage,
            Self::Julia { source, .. } => source.class_or(Class::Julia),
            Self::Path(error) => error.class(Class::Machine),
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
            Self::Path(error) => error.hints(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Julia { source, .. } => source.evidence(),
            Self::NoSources { .. } | Self::Path(_) => None,
        }
    }
}

/// What a base is made of.
#[derive(Debug)]
pub struct Recipe {
    sources: PathBuf,
    /// `sysimg.jl` with the standard libraries that are wanted.
    script: String,
    /// A running Julia has one target; the emission gives the code its own.
    target: String,
    /// The standard libraries in it, for people.
    libraries: String,
    digest: Sha256,
}

/// The file that [`Recipe::make`] leaves.
pub const FILE: &str = "sys.ji";

impl Recipe {
    /// How to make the base of `context`'s Julia with only the standard libraries in `used` (all,
    /// if `None`).
    ///
    /// # Errors
    ///
    /// If this Julia has no sources, or they cannot be read.
    pub fn new(
        context: &Context,
        used: Option<&[String]>,
        cpu_target: &str,
    ) -> Result<Self, BaseError> {
        let sources = sources(&context.julia)?;
        let original = read(&sources.join("sysimg.jl"))?;
        let (script, kept) = with_stdlibs(&original, used).ok_or_else(|| BaseError::NoSources {
            version: context.julia.version.to_string(),
            lacks: "its sysimg.jl has no list of standard libraries in the known form".to_owned(),
        })?;
        let target = cpu_target.split(';').next().unwrap_or_default().to_owned();
        let julia = &context.julia;
        let digest = digest_of([
            &*julia.version.to_string(),
            &julia.commit,
            &julia.triplet.to_string(),
            // Two Julias of one version may be built differently.
            &julia.base_image.display().to_string(),
            &script,
            &target,
        ]);
        Ok(Self {
            sources,
            script,
            target,
            libraries: libraries(&kept),
            digest,
        })
    }

    /// Equal for equal sources, standard libraries and targets.
    #[must_use]
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// What it is, for people.
    #[must_use]
    pub fn title(&self) -> String {
        format!("a base with {}", self.libraries)
    }

    /// Makes it: `folder` then holds [`FILE`]. The folder's path stays in the image, as the place
    /// of a source.
    ///
    /// # Errors
    ///
    /// If Julia fails, or a file cannot be written.
    pub async fn make(
        &self,
        context: &Context,
        folder: &Path,
        task: &Task,
    ) -> Result<(), BaseError> {
        let compiler = folder.join("corecompiler.ji");
        let system = folder.join("partial.ji");
        let own = folder.join("sysimg.jl");
        std::fs::write(&own, &self.script).map_err(io(&own))?;

        let run =
            |step: &'static str, log: &str, base: Option<&Path>, out: &Path, script: &Path| {
                let mut program = context
                    .julia(context.environment.for_julia(), log)
                    // Its path would stay in the base.
                    .env("JULIA_PROJECT", "")
                    .option("--cpu-target", &self.target)
                    .option("--output-ji", out)
                    .args(["-g1", "-O0"]);
                if let Some(base) = base {
                    program = program.option("--sysimage", base);
                }
                // Relative includes are looked up in the working directory.
                let program = program.arg(script).directory(&self.sources);
                async move {
                    let ran = context.children.run(&program, task).await;
                    ran.map_err(|source| BaseError::Julia { step, source })
                }
            };
        let first = self.sources.join(COMPILER);
        run("the compiler", "base-compiler", None, &compiler, &first).await?;
        run("the libraries", "base", Some(&compiler), &system, &own).await?;
        let image = folder.join(FILE);
        sysforge_files::rename(&system, &image).map_err(io(&image))
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BaseError {
    PathError::wrap("write", path, BaseError::Path)
}

/// What the first step compiles, below the sources.
const COMPILER: &str = "compiler/compiler.jl";

/// Whether a fresh base can be made with this Julia, as far as its files tell.
///
/// # Errors
///
/// If its sources are missing.
pub fn require_sources(julia: &JuliaFacts) -> Result<(), BaseError> {
    sources(julia).map(drop)
}

/// The folder of Base's sources: official Julias have them beside the standard libraries,
/// `share/julia/base` beside `share/julia/stdlib/v1.x`.
fn sources(julia: &JuliaFacts) -> Result<PathBuf, BaseError> {
    let lacks = |lacks: String| BaseError::NoSources {
        version: julia.version.to_string(),
        lacks,
    };
    let share = julia.stdlib.parent().and_then(Path::parent);
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
    std::fs::read_to_string(path).map_err(io(path))
}

/// The standard libraries of a base in a few words.
fn libraries(names: &[String]) -> String {
    match names {
        [] => "no standard libraries".to_owned(),
        few if few.len() <= 6 => few.join(", "),
        many => format!("{} standard libraries", many.len()),
    }
}

/// `sysimg.jl` with a list of only those standard libraries that are used, and their names. `None` if it
/// has no such list.
fn with_stdlibs(script: &str, used: Option<&[String]>) -> Option<(String, Vec<String>)> {
    let start = script.find("stdlibs = [")? + "stdlibs = [".len();
    let length = script[start..].find(']')?;
    // In the script's order: a library comes behind those that it needs.
    let listed = script[start..start + length]
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .flat_map(|line| line.split(','))
        .map(|word| word.trim().trim_start_matches(':'))
        .filter(|name| !name.is_empty());
    let Some(used) = used else {
        return Some((script.to_owned(), listed.map(str::to_owned).collect()));
    };
    let kept: Vec<String> = listed
        .filter(|name| used.iter().any(|used| used == name))
        .map(str::to_owned)
        .collect();
    let symbols: Vec<String> = kept.iter().map(|name| format!(":{name}")).collect();
    let script = format!(
        "{}Symbol[{}{}",
        &script[..start - 1],
        symbols.join(", "),
        &script[start + length..]
    );
    Some((script, kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRIPT: &str = "let\n    stdlibs = [\n            # No deps\n            :Base64, :SHA,\n            \
                          # 1-depth packages\n            :Printf,\n        ]\n    maxlen = 1\nend\n";

    #[test]
    fn only_used_libraries_stay_in_their_order() {
        let used = ["Printf", "Base64", "Pricing"].map(str::to_owned);
        let (script, kept) = with_stdlibs(SCRIPT, Some(&used)).unwrap();
        // Of the project's packages only standard libraries are in a base.
        assert_eq!(libraries(&kept), "Base64, Printf");
        assert!(
            script.contains("stdlibs = Symbol[:Base64, :Printf]\n    maxlen"),
            "{script}"
        );
        let (none, kept) = with_stdlibs(SCRIPT, Some(&[])).unwrap();
        assert_eq!(libraries(&kept), "no standard libraries");
        assert!(none.contains("stdlibs = Symbol[]"), "{none}");
        let (all, kept) = with_stdlibs(SCRIPT, None).unwrap();
        assert_eq!((&*all, kept.len()), (SCRIPT, 3));
        let many: Vec<String> = (0..9).map(|i| i.to_string()).collect();
        assert_eq!(libraries(&many), "9 standard libraries");
        assert_eq!(with_stdlibs("include(\"x.jl\")", None), None);
    }
}
