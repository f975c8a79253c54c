//! What can go wrong between a project and a plan, beyond the errors of the steps.

use std::path::PathBuf;

use sysforge_plan::explain::PathError;
use sysforge_plan::json::JsonError;
use sysforge_plan::{BuildId, Class, Explain};

/// A failure of the engine itself.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum EngineError {
    #[error("there is no Project.toml in {} or above", .0.display())]
    NoProject(PathBuf),
    #[error("there is no Project.toml in {}", .0.display())]
    NoProjectIn(PathBuf),
    #[error("there is no Project.toml in {}, which does not exist", .0.display())]
    NoSuchPath(PathBuf),
    #[error("the current folder no longer exists")]
    NoCurrentFolder,
    #[error("the path of the project is not UTF-8: {}", .0.display())]
    NotUtf8(PathBuf),
    #[error("the commits of {} cannot be listed: {said}", .folder.display())]
    NoHistory { folder: PathBuf, said: String },
    #[error("the repository of {} is a shallow clone, without its older commits", .0.display())]
    ShallowClone(PathBuf),
    #[error(
        "{} is not a project file: Julia knows them as Project.toml or JuliaProject.toml",
        .0.display()
    )]
    NotAProjectFile(PathBuf),
    #[error("`@{0}` does not name an environment that can be built")]
    NotAnEnvironment(String),
    #[error(
        "there is no environment `@{name}`: no Project.toml in {}",
        shown(folders)
    )]
    NoEnvironment { name: String, folders: Vec<PathBuf> },
    #[error(transparent)]
    Path(#[from] PathError),
    #[error("this user has no home directory to link the apps into")]
    NoHomeForApps,
    #[error("there is no image at {}", .0.display())]
    NoImage(PathBuf),
    #[error("it is not known which tag to publish under: the project has no version")]
    NoTag,
    #[error("`{0}` names a Julia of this machine; there is nothing to install")]
    NothingToInstall(String),
    #[error("RUNNER_TOOL_CACHE is not set, so there is no tool cache to copy to")]
    NoToolCache,
    #[error("{} is not the name of a file", .0.display())]
    NoFileName(PathBuf),
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    #[error("Julia is not published for this machine ({arch}, {os})")]
    Platform {
        /// Its architecture, in Rust's spelling.
        arch: &'static str,
        /// Its operating system, in Rust's spelling.
        os: &'static str,
    },
    #[error("this Julia is {found}, but {planned} was planned")]
    OtherJulia { found: String, planned: String },
    #[error("this user has no home directory to keep the store in")]
    NoHome,
    #[error("the folder of Jupyter's kernels is not known")]
    NoJupyterFolder,
    #[error(
        "nothing from {release} was verified: {id} was not selected, or this CPU cannot run it"
    )]
    NothingVerified {
        /// The release.
        release: String,
        /// The image that fits this machine's platform.
        id: BuildId,
    },
    #[error("there is no `julia` on the search path")]
    NoSystemJulia,
    #[error("{what} is not installed")]
    NotInstalled { what: String, command: String },
    #[error(transparent)]
    Entry(sysforge_plan::app::NotAnEntryPoint),
    #[error("the archive of the apps or of the library has no valid name")]
    Name(#[source] sysforge_plan::text::InvalidText),
    #[error("apps and libraries for {0} cannot be made by a Sysforge for another system")]
    AppPlatform(sysforge_plan::Triplet),
    #[error(transparent)]
    SigningCommand(sysforge_plan::link::NotWords),
    #[error("there is nothing to sign: the project has neither an [[app]] nor a [library]")]
    NothingToSign,
    #[error("the Julia to link for is not named")]
    NoJuliaFolder,
    #[error("the image that {} becomes has no name", .0.display())]
    NoImageName(PathBuf),
    #[error("this machine cannot build yet")]
    CannotBuild,
    #[error("it is not known which repository to publish to")]
    NoRepository,
    #[error("it is not known which draft to make public")]
    NoDraftTag,
    #[error("`{0}` is for releases on GitHub, and not for a folder")]
    OnlyGitHub(&'static str),
    #[error("a report is about one image, and {} are selected: {}", .0.len(), .0.join(", "))]
    SeveralReports(Vec<String>),
    #[error("the chart and the page cannot both be {}", .0.display())]
    SameReport(PathBuf),
    #[error("{0} is not what Sysimage.toml asks for")]
    Drifted(&'static str),
    #[error("{} is not a plan that `sysforge plan --matrix --out` wrote", .path.display())]
    NoPlan {
        path: PathBuf,
        #[source]
        source: JsonError,
    },
    #[error("there is no script {}", .path.display())]
    NoScript {
        path: PathBuf,
        nearest: Option<String>,
    },
    #[error("could not start {}", .program.display())]
    NotStarted {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The image that a build is based on is not installed.
    #[error("no image from {release} for Julia {julia} is installed, which `base` names")]
    NoBase {
        /// The release.
        release: String,
        /// The version of Julia.
        julia: String,
    },
    /// Several installed images could be the base.
    #[error("`base` names {release}, and several images from it are installed: {}", .ids.join(", "))]
    SeveralBases {
        /// The release.
        release: String,
        /// Their build identifiers.
        ids: Vec<String>,
    },
    #[error("`{path}` in `{key}` is the same file as `{earlier}`, which is listed before it")]
    ListedTwice {
        key: &'static str,
        path: String,
        earlier: String,
    },
    #[error(transparent)]
    Compiler(#[from] sysforge_plan::link::NotWords),
}

fn shown(folders: &[PathBuf]) -> String {
    let folders: Vec<_> = folders.iter().map(|f| f.display().to_string()).collect();
    folders.join(" or ")
}

impl Explain for EngineError {
    fn class(&self) -> Class {
        match self {
            Self::Path(error) => error.class(Class::Usage),
            Self::OtherJulia { .. } | Self::NotStarted { .. } => Class::Julia,
            _ => Class::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotAProjectFile(_) | Self::NotAnEnvironment(_) | Self::NoEnvironment { .. } => {
                "name a folder with a Project.toml, that file, or an environment such as \
                 `--project @v1.12`"
            }
            Self::NoSuchPath(_) => {
                "`--project` names the folder of a Julia project or its Project.toml; relative paths \
                 start from the current folder"
            }
            Self::NoCurrentFolder => {
                "change to another folder, or name the project with `--project DIR`"
            }
            Self::NotUtf8(_) => {
                "rename the folder, or move the project: Julia reads its path as a text"
            }
            Self::NoHistory { .. } => {
                "`--notes-from-commits` needs git and a repository with a commit; `--notes-file FILE` \
                 takes the text from a file"
            }
            Self::ShallowClone(_) => {
                "fetch the history with `git fetch --unshallow --tags`; with actions/checkout, set \
                 `fetch-depth: 0`"
            }
            Self::NoProject(_) | Self::NoProjectIn(_) => {
                "run Sysforge in the folder of your Julia project, or name it with `--project DIR`"
            }
            Self::Platform { .. } => "an installed Julia can still be used with `--julia DIR`",
            Self::NoHome => "name a place for the store with `--store DIR`",
            Self::NoJupyterFolder => {
                "name it with the variable JUPYTER_DATA_DIR; `jupyter --data-dir` prints it"
            }
            Self::NothingVerified { .. } => {
                "without build identifiers, every image for this platform is selected; one for a newer \
                 CPU is verified on a machine that has such a CPU"
            }
            Self::NoSystemJulia => {
                "install Julia, or let Sysforge fetch one, for instance `--julia release`"
            }
            Self::Entry(_) => "`entry` in the table of the app names the function",
            Self::Name(_) => "choose a shorter `name` in Sysimage.toml",
            Self::AppPlatform(_) => "build them on that system",
            Self::SigningCommand(_) => "close the quote in `--sign`",
            Self::NothingToSign => {
                "leave out `--sign`: images are signed ad hoc where the system needs it"
            }
            Self::Compiler(_) => "close the quote in `--cc` or JULIA_CC",
            Self::OtherJulia { .. } => {
                "the catalogue or the folder names it wrongly: ask for another version, or name a \
                 Julia's folder with `--julia DIR`"
            }
            Self::ListedTwice { .. } => "remove one of them from Sysimage.toml",
            Self::NotInstalled { command, .. } => return vec![format!("run `{command}`")],
            Self::NoBase { release, julia } => {
                return vec![
                    format!("install it with `sysforge install {release} --julia {julia}`"),
                    "for a sysimage in a file, write its whole name with `.so`, `.dylib` or `.dll`"
                        .to_owned(),
                ];
            }
            Self::SeveralBases { .. } => {
                "write the path of the image's file, which `sysforge install list --json` shows; or \
                 name the tag, as in `OWNER/REPO@v1.0.0`"
            }
            Self::Path(error) => return error.hints(),
            Self::NoHomeForApps => "name a folder with `--bin DIR`",
            Self::NoImage(_) => "build one with `sysforge build`",
            Self::NoTag => "name it with `--tag`, for instance `--tag v1.0.0`",
            Self::NothingToInstall(_) => "ask for a version or a channel, for instance `release`",
            Self::NoToolCache => {
                "set it to the tool cache's folder, or leave out `--to-tool-cache`"
            }
            Self::NoFileName(_) => "name the image's file with `--out FILE`",
            Self::NoJuliaFolder => "name its folder with `--julia DIR`",
            Self::NoRepository => {
                "name it with `--repository OWNER/NAME`, or publish to a folder with `--to dir:PATH`"
            }
            Self::NoDraftTag => "name it with `--tag`, for instance `--tag v1.0.0`",
            Self::OnlyGitHub(_) => "leave it out, or publish with `--to github`",
            Self::SameReport(_) => "name two files with `--svg` and `--html`",
            Self::SeveralReports(_) => "choose one with `--build BUILD_ID`",
            Self::NoScript {
                nearest: Some(name),
                ..
            } => return vec![format!("did you mean `{name}`?")],
            Self::NoScript { .. } => {
                "name a script in this folder; arguments of Julia follow `--`, as in \
                 `sysforge run -- -e 'println(1)'`"
            }
            Self::NoImageName(_) => {
                "name it with `--out FILE`; without objects, `sysforge link` links the builds of the \
                 project"
            }
            Self::CannotBuild => "each line above that says MISSING has its remedy below it",
            Self::Drifted(_) => "regenerate it with `sysforge workflow`, and commit it",
            Self::NoPlan { .. } => "make it with `sysforge plan --matrix --out FILE`",
            Self::NotStarted { .. } => {
                "was this Julia moved or removed? `sysforge build --force` starts over"
            }
            Self::Exists(_) => "replace it with `sysforge init --force`",
        };
        vec![hint.to_owned()]
    }
}
