//! Fresh bases: sysimages made from Julia's own sources with a subset of the standard libraries. An
//! image emitted on such a base is smaller, and contains all requested CPU targets: Julia drops all
//! but the first only if the base is a shared library (julia#50792).
//!
//! There are two steps, as in Julia's Makefile (sysimage.mk): the compiler, then Base and the
//! standard libraries on top of it. Up to Julia 1.11 both contain no native code; the emission
//! generates it. Since 1.12 Julia takes more than a minute to start without native code of its
//! compiler, so each step emits an object, which is linked.

use std::path::{Path, PathBuf};

use sysforge_plan::explain::PathError;
use sysforge_plan::generation::{BaseForm, Generation};
use sysforge_plan::{Class, Evidence, Explain, JuliaFacts, Os, Sha256, Task};

use crate::context::Context;
use crate::fingerprint::digest_of;
use crate::link::LinkError;
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
    #[error("a fresh base could not be linked, at {step}")]
    Link {
        step: &'static str,
        #[source]
        source: LinkError,
    },
    #[error(transparent)]
    Path(#[from] PathError),
}

impl Explain for BaseError {
    fn class(&self) -> Class {
        match self {
            Self::NoSources { .. } => Class::Usage,
            Self::Julia { source, .. } => source.class_or(Class::Julia),
            Self::Link { source, .. } => source.class(),
            Self::Path(error) => error.class(Class::Machine),
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSources { .. } => vec![
                "remove `base`, or write `base = \"shipped\"`, to build on the sysimage that \
                 this Julia ships"
                    .to_owned(),
            ],
            Self::Julia { source, .. } => source.hints(),
            Self::Link { source, .. } => source.hints(),
            Self::Path(error) => error.hints(),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Julia { source, .. } => source.evidence(),
            Self::Link { source, .. } => source.evidence(),
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
    form: BaseForm,
    os: Os,
    /// The number of code-generation threads; Julia's default if absent. Does not change the result.
    threads: Option<u32>,
    digest: Sha256,
}

/// One of the two steps.
struct Stage<'a> {
    name: &'static str,
    /// The name of its log.
    log: &'static str,
    /// The name of its result, without extension.
    result: &'static str,
    base: Option<&'a Path>,
    script: &'a Path,
    /// The optimization level; Julia's default if absent.
    level: Option<&'static str>,
}

/// What an object is linked to.
#[derive(Debug)]
pub struct Linking {
    /// The emitted object.
    pub object: PathBuf,
    /// The image.
    pub image: PathBuf,
    /// Its file name.
    pub name: String,
}

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
        let julia = &context.julia;
        let form = context.generation.base_form;
        let sources = sources(julia, form)?;
        let original = read(&sources.join("sysimg.jl"))?;
        let (script, kept) = with_stdlibs(&original, used).ok_or_else(|| BaseError::NoSources {
            version: julia.version.to_string(),
            lacks: "its sysimg.jl has no list of standard libraries in the known form".to_owned(),
        })?;
        let target = cpu_target.split(';').next().unwrap_or_default().to_owned();
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
            form,
            os: julia.triplet.os(),
            threads: None,
            digest,
        })
    }

    /// Sets the number of code-generation threads.
    #[must_use]
    pub fn with_threads(mut self, threads: u32) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Returns the name of the file that [`Self::make`] writes.
    pub fn file(&self) -> String {
        self.image("sys")
    }

    fn image(&self, name: &str) -> String {
        let extension = match self.form {
            BaseForm::Data => "ji",
            BaseForm::Native => self.os.conventions().library_extension,
        };
        format!("{name}.{extension}")
    }

    /// Returns a digest that depends on sources, standard libraries and targets.
    pub fn digest(&self) -> &Sha256 {
        &self.digest
    }

    /// Returns a description for display.
    pub fn title(&self) -> String {
        format!("a base with {}", self.libraries)
    }

    /// Builds the base as [`Self::file`] in `folder`. The image contains that folder's path as a source
    /// location. `link` is called for each object, if the base contains native code.
    ///
    /// # Errors
    ///
    /// If Julia or the linker fails, or a file cannot be written.
    pub async fn make(
        &self,
        context: &Context,
        folder: &Path,
        task: &Task,
        link: impl AsyncFn(Linking) -> Result<(), LinkError>,
    ) -> Result<(), BaseError> {
        let own = folder.join("sysimg.jl");
        std::fs::write(&own, &self.script).map_err(io(&own))?;
        let compiler = Stage {
            name: "the compiler",
            log: "base-compiler",
            result: "corecompiler",
            base: None,
            script: &self.sources.join(compiler(self.form)),
            level: Some(match self.form {
                BaseForm::Data => "-O0",
                // It compiles itself with this level.
                BaseForm::Native => "-O1",
            }),
        };
        let compiler = self.run(&compiler, context, folder, task, &link).await?;
        let libraries = Stage {
            name: "the libraries",
            log: "base",
            result: "partial",
            base: Some(&compiler),
            script: &own,
            level: match self.form {
                BaseForm::Data => Some("-O0"),
                BaseForm::Native => None,
            },
        };
        let system = self.run(&libraries, context, folder, task, &link).await?;
        let image = folder.join(self.file());
        sysforge_files::rename(&system, &image).map_err(io(&image))
    }

    /// Runs one step, and returns the path of its result.
    async fn run(
        &self,
        stage: &Stage<'_>,
        context: &Context,
        folder: &Path,
        task: &Task,
        link: impl AsyncFn(Linking) -> Result<(), LinkError>,
    ) -> Result<PathBuf, BaseError> {
        let image = folder.join(self.image(stage.result));
        let object = folder.join(format!("{}-o.a", stage.result));
        let mut program = context
            .julia(context.environment.for_julia(), stage.log)
            // The base would contain the path of the project.
            .env("JULIA_PROJECT", "")
            .option("--cpu-target", &self.target);
        program = match self.form {
            BaseForm::Data => program.option("--output-ji", &image),
            BaseForm::Native => match self.threads {
                Some(threads) => program.env("JULIA_IMAGE_THREADS", threads.to_string()),
                None => program,
            }
            .args(context.without_package_images())
            .option("--output-o", &object),
        };
        program = program.arg("-g1").args(stage.level);
        if let Some(base) = stage.base {
            program = program.option("--sysimage", base);
        }
        // Julia resolves relative includes against the working directory.
        program = program.arg(stage.script).directory(&self.sources);
        if self.form == BaseForm::Native {
            // The folder of Julia's data, relative to the sources.
            program = program.args(["--buildroot", "", "--dataroot", "../../"]);
        }
        let step = stage.name;
        let ran = context.children.run(&program, task).await;
        ran.map_err(|source| BaseError::Julia { step, source })?;
        if self.form == BaseForm::Native {
            let linking = Linking {
                object: object.clone(),
                image: image.clone(),
                name: self.image(stage.result),
            };
            let linked = link(linking).await;
            linked.map_err(|source| BaseError::Link { step, source })?;
            std::fs::remove_file(&object).map_err(io(&object))?;
        }
        Ok(image)
    }
}

fn io(path: &Path) -> impl FnOnce(std::io::Error) -> BaseError {
    PathError::wrap("write", path, BaseError::Path)
}

/// Returns the file compiled by the first step, relative to the sources.
fn compiler(form: BaseForm) -> &'static str {
    match form {
        BaseForm::Data => "compiler/compiler.jl",
        BaseForm::Native => "Base_compiler.jl",
    }
}

/// Checks that this Julia has the files needed for a fresh base.
///
/// # Errors
///
/// If its sources are missing.
pub fn require_sources(julia: &JuliaFacts) -> Result<(), BaseError> {
    let generation = Generation::of(&julia.version).unwrap_or(&Generation::all()[0]);
    sources(julia, generation.base_form).map(drop)
}

/// Returns the folder of Base's sources. Official Julias have it as `share/julia/base`, and the
/// standard libraries as `share/julia/stdlib/v1.x`.
fn sources(julia: &JuliaFacts, form: BaseForm) -> Result<PathBuf, BaseError> {
    let share = julia.stdlib.parent().and_then(Path::parent);
    let share = share.map(Path::to_owned).unwrap_or_default();
    let sources = share.join("base");
    let needed = [sources.join("sysimg.jl"), sources.join(compiler(form))];
    // Since 1.12 the compiler is a package of its own.
    let package = share.join("Compiler/src/Compiler.jl");
    let package = (form == BaseForm::Native).then_some(package);
    match needed
        .into_iter()
        .chain(package)
        .find(|path| !path.is_file())
    {
        None => Ok(sources),
        Some(missing) => Err(BaseError::NoSources {
            version: julia.version.to_string(),
            lacks: format!("there is no {}", missing.display()),
        }),
    }
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

    /// The list as Julia 1.12 has it.
    const SCRIPT_1_12: &str = "if isdefined(Base.BuildSettings, :INCLUDE_STDLIBS)\n    \
        # e.g. INCLUDE_STDLIBS = \"SHA,Random\"\n    stdlibs = Symbol.(split(\"SHA\", \",\"))\n\
        else\n    stdlibs = [\n        # No dependencies\n        \
        :FileWatching, # used by loading.jl -- implicit assumption that init runs\n        \
        :SHA, # transitive through Random\n\n        # 1-depth packages\n        \
        :Random, # Can't be removed due to rand being exported by Base\n    ]\nend\n";

    #[test]
    fn the_list_of_julia_1_12_is_read() {
        let used = ["Random", "SHA"].map(str::to_owned);
        let (script, kept) = with_stdlibs(SCRIPT_1_12, Some(&used)).unwrap();
        assert_eq!(kept, ["SHA", "Random"]);
        assert!(
            script.contains("else\n    stdlibs = Symbol[:SHA, :Random]\nend"),
            "{script}"
        );
        let (_, all) = with_stdlibs(SCRIPT_1_12, None).unwrap();
        assert_eq!(all, ["FileWatching", "SHA", "Random"]);
    }

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
        --output-ji=* | --output-o=*) out=${word#*=}; word=${word%%=*}=$(basename "$out") ;;
        --sysimage=*) word=--sysimage=$(basename "${word#*=}") ;;
        */*.jl) word=$(basename "$word") ;;
    esac
    printf ' [%s]' "$word" >>"$(dirname "$0")/calls"
done
echo >>"$(dirname "$0")/calls"
echo base >"$out"
"#;

    /// Makes a base with a mock Julia of this version that has the given files in `share/julia`.
    async fn make(version: (u64, u64), files: &[&str]) -> Result<String, BaseError> {
        let dir = tempfile::tempdir().unwrap();
        let mut context = testing::context(dir.path(), version, MOCK_JULIA);
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
        let calls = dir.path().join("calls");
        let link = async |linking: Linking| {
            let object = linking.object.file_name().unwrap().display().to_string();
            let text = std::fs::read_to_string(&calls).unwrap();
            std::fs::write(&calls, format!("{text}link {object} to {}\n", linking.name)).unwrap();
            std::fs::copy(&linking.object, &linking.image).unwrap();
            Ok(())
        };
        recipe.make(&context, &folder, &task, link).await?;
        let mut left = Vec::new();
        for entry in std::fs::read_dir(&folder).unwrap() {
            left.push(entry.unwrap().file_name().into_string().unwrap());
        }
        assert!(left.contains(&recipe.file()), "{left:?}");
        // Objects are large.
        assert!(!left.iter().any(|name| name.ends_with(".a")), "{left:?}");
        Ok(std::fs::read_to_string(dir.path().join("calls")).unwrap())
    }

    #[tokio::test]
    async fn the_compiler_is_made_first_and_the_libraries_on_top_of_it() {
        let files = ["base/sysimg.jl", "base/compiler/compiler.jl"];
        let calls = make((1, 10), &files).await.unwrap();
        insta::assert_snapshot!(calls, @r"
        base:
         [--startup-file=no] [--cpu-target=generic] [--output-ji=corecompiler.ji] [-g1] [-O0] [compiler.jl]
        base:
         [--startup-file=no] [--cpu-target=generic] [--output-ji=partial.ji] [-g1] [-O0] [--sysimage=corecompiler.ji] [sysimg.jl]
        ");
        all_are_needed((1, 10), &files).await;
    }

    #[tokio::test]
    async fn since_1_12_both_are_emitted_with_native_code_and_linked() {
        let files = [
            "base/sysimg.jl",
            "base/Base_compiler.jl",
            "Compiler/src/Compiler.jl",
        ];
        let calls = make((1, 12), &files).await.unwrap();
        insta::assert_snapshot!(calls, @r"
        base:
         [--startup-file=no] [--cpu-target=generic] [--pkgimages=no] [--output-o=corecompiler-o.a] [-g1] [-O1] [Base_compiler.jl] [--buildroot] [] [--dataroot] [../../]
        link corecompiler-o.a to corecompiler.so
        base:
         [--startup-file=no] [--cpu-target=generic] [--pkgimages=no] [--output-o=partial-o.a] [-g1] [--sysimage=corecompiler.so] [sysimg.jl] [--buildroot] [] [--dataroot] [../../]
        link partial-o.a to partial.so
        ");
        all_are_needed((1, 12), &files).await;
    }

    async fn all_are_needed(version: (u64, u64), files: &[&str]) {
        for (missing, file) in files.iter().enumerate() {
            let mut others = files.to_vec();
            others.remove(missing);
            let error = make(version, &others).await.unwrap_err();
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
