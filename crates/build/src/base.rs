//! Fresh bases: sysimages made from Julia's own sources with a subset of the standard libraries. An
//! image emitted on such a base is smaller, and contains all requested CPU targets: Julia drops all
//! but the first only if the base is a shared library (julia#50792).
//!
//! There are two steps, as in Julia's Makefile (sysimage.mk): the compiler, then Base and the
//! standard libraries on top of it. Both contain no native code; the emission generates it.

use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::{Class, Evidence, Explain, JuliaFacts, Sha256, Task};

use crate::context::Context;
use crate::fingerprint::digest_of;
use sysforge_process::ProcessError;

/// A base could not be built.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum BaseError {
    #[error("Julia {version} has no sources that a fresh base could be made from: {lacks}")]
    NoSources { version: String, lacks: String },
    #[error("Julia failed to make a fresh base, at {step}")]
    Julia {
        step: &'static str,
        #[source]
        source: ProcessError,
    },
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

/// The inputs of a base.
#[derive(Debug)]
pub struct Recipe {
    sources: PathBuf,
    /// `sysimg.jl` with the selected standard libraries.
    script: String,
    /// A running Julia has one target; the emission compiles for its own targets.
    target: String,
    /// The included standard libraries, for display.
    libraries: String,
    digest: Sha256,
}

/// The file that [`Recipe::make`] writes.
pub const FILE: &str = "sys.ji";

impl Recipe {
    /// Returns the recipe for a base of `context`'s Julia with only the standard libraries in
    /// `used` (all if `None`).
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
            // Two Julias of the same version may be different builds.
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

    /// Returns a digest that depends on sources, standard libraries and targets.
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// Returns a description for display.
    pub fn title(&self) -> String {
        format!("a base with {}", self.libraries)
    }

    /// Builds the base as [`FILE`] in `folder`. The image contains that folder's path as a source
    /// location.
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
                    // The base would contain the path of the project.
                    .env("JULIA_PROJECT", "")
                    .option("--cpu-target", &self.target)
                    .option("--output-ji", out)
                    .args(["-g1", "-O0"]);
                if let Some(base) = base {
                    program = program.option("--sysimage", base);
                }
                // Julia resolves relative includes against the working directory.
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

/// The file compiled by the first step, relative to the sources.
const COMPILER: &str = "compiler/compiler.jl";

/// Checks that this Julia has the files needed for a fresh base.
///
/// # Errors
///
/// If its sources are missing.
pub fn require_sources(julia: &JuliaFacts) -> Result<(), BaseError> {
    sources(julia).map(drop)
}

/// Returns the folder of Base's sources. Official Julias have it as `share/julia/base`, and the
/// standard libraries as `share/julia/stdlib/v1.x`.
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
            // Since 1.12 the compiler is a separate package and is built in another way.
            return Err(lacks(format!("there is no {}", path.display())));
        }
    }
    Ok(sources)
}

fn read(path: &Path) -> Result<String, BaseError> {
    sysforge_files::read_text(path).map_err(io(path))
}

/// Returns a short description of a base's standard libraries.
fn libraries(names: &[String]) -> String {
    match names {
        [] => "no standard libraries".to_owned(),
        few if few.len() <= 6 => few.join(", "),
        many => format!("{} standard libraries", many.len()),
    }
}

/// Returns `sysimg.jl` with only the used standard libraries in its list, and their names. Returns
/// `None` if the script has no such list.
fn with_stdlibs(script: &str, used: Option<&[String]>) -> Option<(String, Vec<String>)> {
    let start = script.find("stdlibs = [")? + "stdlibs = [".len();
    let length = script[start..].find(']')?;
    // Keeps the script's order: a library follows its dependencies.
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
        // A base contains standard libraries only, no other packages of the project.
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

/// A script stands in for Julia: it records how it was called, and writes the output.
#[cfg(test)]
#[cfg(unix)]
mod making {
    use super::*;
    use crate::context::testing;
    use sysforge_plan::Step;

    const MOCK_JULIA: &str = r#"#!/bin/sh
echo "$(basename "$PWD"):" >>"$(dirname "$0")/calls"
for word; do
    case $word in
        --output-ji=*) out=${word#--output-ji=}; word=--output-ji=$(basename "$out") ;;
        --sysimage=*) word=--sysimage=$(basename "${word#*=}") ;;
        */*.jl) word=$(basename "$word") ;;
    esac
    printf ' [%s]' "$word" >>"$(dirname "$0")/calls"
done
echo >>"$(dirname "$0")/calls"
echo base >"$out"
"#;

    /// Makes a base with a mock Julia that has the given files in `share/julia`.
    async fn make(files: &[&str]) -> Result<String, BaseError> {
        let dir = tempfile::tempdir().unwrap();
        let mut context = testing::context(dir.path(), (1, 10), MOCK_JULIA);
        let share = dir.path().join("share/julia");
        context.julia.stdlib = share.join("stdlib/v1.x");
        for file in files {
            let path = share.join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let list = "    stdlibs = [\n        :SHA,\n        :Random,\n    ]\n";
            std::fs::write(path, list).unwrap();
        }
        let used = ["SHA".to_owned()];
        let recipe = Recipe::new(&context, Some(&used), "generic;haswell")?;
        let folder = dir.path().join("base-folder");
        std::fs::create_dir(&folder).unwrap();
        let task = context.reporter.start(Step::Base, recipe.title());
        recipe.make(&context, &folder, &task).await?;
        assert!(folder.join(FILE).is_file());
        Ok(std::fs::read_to_string(dir.path().join("calls")).unwrap())
    }

    #[tokio::test]
    async fn the_compiler_is_made_first_and_the_libraries_on_top_of_it() {
        let files = ["base/sysimg.jl", "base/compiler/compiler.jl"];
        let calls = make(&files).await.unwrap();
        insta::assert_snapshot!(calls, @r"
        base:
         [--startup-file=no] [--cpu-target=generic] [--output-ji=corecompiler.ji] [-g1] [-O0] [compiler.jl]
        base:
         [--startup-file=no] [--cpu-target=generic] [--output-ji=partial.ji] [-g1] [-O0] [--sysimage=corecompiler.ji] [sysimg.jl]
        ");
        for (missing, file) in files.iter().enumerate() {
            let error = make(&[files[1 - missing]]).await.unwrap_err();
            let name = file.rsplit('/').next().unwrap();
            let text = error.to_string();
            assert!(
                text.contains("there is no") && text.contains(name),
                "{text}"
            );
            assert_eq!(error.class(), Class::Usage);
        }
    }
}
