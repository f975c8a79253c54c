//! The errors of the command line itself. Those of the other crates are printed the same way.

pub(crate) use sysforge_engine::Failure;
use sysforge_plan::{Class, Explain};

/// What a command returns.
pub(crate) type Outcome = Result<(), Failure>;

/// A failure of the command line.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    #[error("there is no command `{typed}`")]
    NoCommand {
        typed: String,
        nearest: Option<String>,
    },
    #[error("could not write to standard output")]
    Output(#[source] std::io::Error),
}

impl Explain for CliError {
    fn class(&self) -> Class {
        match self {
            Self::NoCommand { .. } => Class::Usage,
            Self::Output(_) => Class::Machine,
        }
    }

    fn hints(&self) -> Vec<String> {
        vec![match self {
            Self::NoCommand {
                nearest: Some(name),
                ..
            } => format!("did you mean `{name}`?"),
            Self::NoCommand { .. } => "`sysforge --help` lists the commands".to_owned(),
            Self::Output(_) => {
                "the results are incomplete: free some space or redirect them elsewhere, and run \
                 the command again"
                    .to_owned()
            }
        }]
    }
}
