//! A job of a run: its current subject, the images that it built, and its summary.

use sysforge_plan::Explain;
use sysforge_plan::explain::causes;

use crate::command::{self, Level, Location};
use crate::summary::{self, Failed, Image};

/// The progress of a job.
#[derive(Debug, Default)]
pub struct Job {
    subject: String,
    images: Vec<Image>,
}

impl Job {
    /// Sets the current subject of the job, such as a build identifier.
    pub fn work_on(&mut self, subject: &str) {
        subject.clone_into(&mut self.subject);
    }

    /// Adds a finished image.
    pub fn add(&mut self, image: Image) {
        self.images.push(image);
    }

    /// Returns the summary of the job, which ended with `error` if there is one. `None` if there is
    /// nothing to report.
    pub fn summary(
        &self,
        error: Option<&dyn Explain>,
        position: Option<&Location>,
    ) -> Option<String> {
        let failed = error.map(|error| Failed {
            subject: self.subject(),
            causes: chain(error),
            place: position.map(|position| format!("{}:{}", position.file, position.line)),
            tail: error.evidence().unwrap_or_default().tail,
            hints: error.hints(),
        });
        let is_empty = failed.is_none() && self.images.is_empty();
        (!is_empty).then(|| summary::build(&self.images, failed.as_ref()))
    }

    /// Returns the summary of a job that was ended by the signal `by`.
    pub fn interrupted(&self, by: &str) -> String {
        let failed = Failed {
            subject: self.subject(),
            causes: vec![format!(
                "interrupted by {by}: the run was cancelled, or the job took longer than it may"
            )],
            hints: vec![
                "increase the time limit: `timeout` (minutes) below [platforms.…] in Sysimage.toml"
                    .to_owned(),
            ],
            ..Failed::default()
        };
        summary::build(&self.images, Some(&failed))
    }

    fn subject(&self) -> String {
        match self.subject.as_str() {
            "" => "sysforge".to_owned(),
            subject => subject.to_owned(),
        }
    }
}

/// Returns the annotation of an error: the error, its causes and its hints.
pub fn annotation(error: &dyn Explain, position: Option<&Location>) -> String {
    let title = format!("sysforge, exit code {}", error.class().exit_code());
    let mut message = chain(error).join("\ncause: ");
    for hint in error.hints() {
        message.push_str("\nhint: ");
        message.push_str(&hint);
    }
    command::annotation(Level::Error, &title, position, &message)
}

/// Returns the error and its causes, outermost first.
fn chain(error: &dyn Explain) -> Vec<String> {
    let mut chain = vec![error.to_string()];
    chain.extend(causes(error));
    chain
}

#[cfg(test)]
mod tests {
    use sysforge_plan::Class;
    use sysforge_plan::explain::Evidence;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("the workload failed")]
    struct WorkloadFailed(#[source] std::fmt::Error);

    impl Explain for WorkloadFailed {
        fn class(&self) -> Class {
            Class::Julia
        }

        fn hints(&self) -> Vec<String> {
            vec!["correct it".to_owned()]
        }

        fn evidence(&self) -> Option<Evidence> {
            Some(Evidence {
                tail: vec!["ERROR: boom".to_owned()],
                log: None,
            })
        }
    }

    #[test]
    fn a_job_without_results_has_no_summary() {
        assert_eq!(Job::default().summary(None, None), None);
    }

    #[test]
    fn a_failure_names_the_build_its_position_and_the_hint() {
        let mut job = Job::default();
        job.work_on("demo-julia1.12.7-x86_64-linux-gnu");
        let position = Location {
            file: "workload.jl".to_owned(),
            line: 3,
            column: None,
        };
        let error = WorkloadFailed(std::fmt::Error);
        let summary = job.summary(Some(&error), Some(&position)).unwrap();
        for part in [
            "demo-julia1.12.7-x86_64-linux-gnu",
            "the workload failed",
            "workload.jl:3",
            "ERROR: boom",
            "correct it",
        ] {
            assert!(summary.contains(part), "{part}: {summary}");
        }
        let line = annotation(&error, Some(&position));
        let expected = "::error file=workload.jl,line=3,title=sysforge%2C exit code 5::";
        assert!(line.starts_with(expected), "{line}");
        assert!(line.ends_with("%0Ahint: correct it"), "{line}");
    }

    #[test]
    fn an_interrupted_job_names_the_signal() {
        let summary = Job::default().interrupted("SIGTERM");
        assert!(summary.contains("interrupted by SIGTERM"), "{summary}");
        assert!(summary.contains("## Failed: sysforge"), "{summary}");
    }
}
