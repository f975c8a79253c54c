//! The errors of the command line itself; those of the other crates are rendered as they are.

pub(crate) use sysforge_engine::Failure;
use sysforge_plan::{Class, Explain};

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

/// A failure of the command line's own.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// A file of the project cannot be read.
    #[error("could not read {}", .path.display())]
    Unreadable {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A link of objects needs to be told the Julia.
    #[error("the Julia to link for is not named")]
    NoJuliaFolder,
    /// The doctor found something missing.
    #[error("this machine cannot build yet")]
    CannotBuild,
    /// No repository to publish to.
    #[error("it is not known which repository to publish to")]
    NoRepository,
    /// No tag to make public.
    #[error("it is not known which draft to make public")]
    NoTag,
    /// An option of `publish` that says nothing about a folder.
    #[error("`{0}` is for releases on GitHub, and not for a folder")]
    OnlyGitHub(&'static str),
    /// There is no such command.
    #[error("there is no command `{typed}`")]
    NoCommand {
        typed: String,
        nearest: Option<String>,
    },
    /// A report is about one build.
    #[error("a report is about one image, and {} are selected: {}", .0.len(), .0.join(", "))]
    SeveralReports(Vec<String>),
    /// A file cannot be written.
    #[error("could not write {}", .path.display())]
    Unwritable {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// A program that `run` starts cannot be started.
    #[error("could not start {}", .program.display())]
    NotStarted {
        program: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Results cannot be printed.
    #[error("could not write to standard output")]
    Output(#[source] std::io::Error),
    /// The workflow is not what it would be.
    #[error("{0} is not what Sysimage.toml asks for")]
    Drifted(&'static str),
    /// The plan cannot be read.
    #[error("{} is no plan of `sysforge plan --matrix --out`", .0.display())]
    NoPlan(std::path::PathBuf),
    /// The script that `run` is to start is missing.
    #[error("there is no script {}", .path.display())]
    NoScript {
        path: std::path::PathBuf,
        nearest: Option<String>,
    },
    /// Objects are to be linked, and the image has no name.
    #[error("the image that {} becomes has no name", .0.display())]
    NoImageName(std::path::PathBuf),
}

impl Explain for CliError {
    fn class(&self) -> Class {
        match self {
            Self::Unreadable { source, .. } | Self::Unwritable { source, .. } => {
                sysforge_plan::explain::io_class(source, Class::Usage)
            }
            Self::NotStarted { .. } => Class::Julia,
            Self::Output(_) => Class::Machine,
            _ => Class::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoJuliaFolder => "name its folder with `--julia DIR`".to_owned(),
            Self::NoRepository => "name it with `--repository OWNER/NAME`, or publish to a folder \
                 with `--to dir:PATH`"
                .to_owned(),
            Self::NoTag => "name it with `--tag`, for instance `--tag v1.0.0`".to_owned(),
            Self::NoCommand {
                nearest: Some(name),
                ..
            } => format!("did you mean `{name}`?"),
            Self::OnlyGitHub(_) => "leave it out, or publish with `--to github`".to_owned(),
            Self::NoCommand { .. } => "`sysforge --help` lists the commands".to_owned(),
            Self::SeveralReports(_) => "choose one with `--build BUILD_ID`".to_owned(),
            Self::NoScript {
                nearest: Some(name),
                ..
            } => format!("did you mean `{name}`?"),
            Self::NoScript { .. } => {
                "name a script in this folder; arguments of Julia follow `--`, as in \
                 `sysforge run -- -e 'println(1)'`"
                    .to_owned()
            }
            Self::NoImageName(_) => {
                "name it with `--out FILE`; without objects, `sysforge link` links the builds of \
                 the project"
                    .to_owned()
            }
            Self::CannotBuild => {
                "each line above that says MISSING has its remedy below it".to_owned()
            }
            Self::Drifted(_) => "write it anew with `sysforge workflow`, and commit it".to_owned(),
            Self::NoPlan(_) => "make it with `sysforge plan --matrix --out FILE`".to_owned(),
            Self::NotStarted { .. } => {
                "was this Julia moved or removed? `sysforge build --force` begins anew".to_owned()
            }
            Self::Output(_) => {
                "the results are incomplete: free some space or redirect them elsewhere, and run \
                 the command again"
                    .to_owned()
            }
            Self::Unwritable { source, .. } if source.kind() == std::io::ErrorKind::NotFound => {
                "create its folder first, or choose another one".to_owned()
            }
            Self::Unwritable { source, .. } | Self::Unreadable { source, .. } => {
                return sysforge_plan::explain::io_hint(source)
                    .into_iter()
                    .collect();
            }
        }]
    }
}
