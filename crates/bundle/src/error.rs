//! Errors of making and checking an app.

use std::path::{Path, PathBuf};

use sysforge_plan::library::InterfaceError;
use sysforge_plan::{Class, Evidence, Explain, PathError};
use sysforge_process::ProcessError;

/// An app could not be made, or does not run.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum BundleError {
    #[error(transparent)]
    Io(PathError),
    #[error("{} needs the library {needed}, which is neither in Julia nor on this system", .by.display())]
    NoLibrary { needed: String, by: PathBuf },
    #[error("the library {} cannot be bundled", .path.display())]
    Library {
        path: PathBuf,
        #[source]
        source: sysforge_build::inspect::InspectError,
    },
    #[error("the artifact {} is not there, and the app needs it", .0.display())]
    NoArtifact(PathBuf),
    #[error("the app `{app}` could not be run {location}")]
    Process {
        app: String,
        location: &'static str,
        #[source]
        source: Box<ProcessError>,
    },
    #[error("`{command}` failed while its code was traced, before there is an image")]
    Traced {
        command: String,
        #[source]
        source: Box<ProcessError>,
    },
    #[error(
        "`{command}` ended with the exit code {found} {location}, and the configuration says {expected}"
    )]
    Exit {
        command: String,
        location: &'static str,
        found: String,
        expected: i32,
        evidence: Evidence,
    },
    #[error("the file `{file}`, which a run of the app `{app}` needs, does not exist")]
    NoFile {
        app: String,
        /// The file, relative to the project.
        file: String,
    },
    #[error("the app `{app}` loads libraries that are not in its bundle: {}", .libraries.join(", "))]
    Outside { app: String, libraries: Vec<String> },
    #[error("the functions of the package `{package}` cannot be listed")]
    Interface {
        package: String,
        #[source]
        source: Box<ProcessError>,
    },
    #[error("the list of functions that Julia wrote cannot be read")]
    InterfaceFile(#[source] serde_json::Error),
    #[error(transparent)]
    NoLibraryOf(#[from] InterfaceError),
    #[error("a library cannot be called `{name}`: Julia has {}", .file.display())]
    NameTaken { name: String, file: PathBuf },
    #[error("the library `{library}` cannot be used from C, unpacked from its archive")]
    Unusable {
        library: String,
        #[source]
        source: Box<ProcessError>,
    },
    #[error("`{call}` returned {found}, and the configuration says {expected}")]
    Returned {
        call: String,
        found: String,
        expected: String,
    },
    #[error("the bundle cannot be signed with `{command}`")]
    Signing {
        command: String,
        #[source]
        source: Box<ProcessError>,
    },
    #[error("there is no command that signs the bundle")]
    NoSigning,
    #[error("the command that signs the bundle removed {0}")]
    SignedAway(String),
    #[error(
        "the file {0} is in none of the folders of a bundle: {folders}",
        folders = sysforge_plan::library::FOLDERS.join(", ")
    )]
    NotPacked(String),
    #[error(
        "the compiler cannot be left out: the runs still compile {}, such as {first}",
        sysforge_plan::text::counted(*count, "statement")
    )]
    LeftToCompile { count: usize, first: String },
    #[error("the bundle could not be packed and unpacked")]
    Archive(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("the thread that makes the bundle died")]
    Died(#[source] tokio::task::JoinError),
}

impl BundleError {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        PathError::wrap(action, path, Self::Io)
    }
}

impl Explain for BundleError {
    fn class(&self) -> Class {
        match self {
            Self::Io(error) => error.class(Class::Machine),
            Self::NoLibrary { .. } | Self::Library { .. } => Class::Toolchain,
            Self::NoFile { .. }
            | Self::NameTaken { .. }
            | Self::NoSigning
            | Self::SignedAway(_)
            | Self::NotPacked(_) => Class::Usage,
            Self::Signing { source, .. } => source.class_or(Class::Toolchain),
            Self::LeftToCompile { .. } => Class::Check,
            Self::NoLibraryOf(error) => error.class(),
            Self::Interface { source, .. } => source.class_or(Class::Julia),
            Self::Unusable { source, .. } => source.class_or(Class::Check),
            Self::Returned { .. } => Class::Check,
            Self::NoArtifact(_) | Self::Exit { .. } | Self::Outside { .. } => Class::Check,
            Self::Process { source, .. } => source.class_or(Class::Check),
            Self::Traced { source, .. } => source.class_or(Class::Julia),
            Self::Archive(_) => Class::Machine,
            Self::Died(_) | Self::InterfaceFile(_) => Class::Bug,
        }
    }

    fn hints(&self) -> Vec<String> {
        let hint = |text: &str| vec![text.to_owned()];
        match self {
            Self::Io(error) => error.hints(),
            Self::NoLibrary { .. } => hint(
                "install the library on this system, or use a package that brings it as an artifact",
            ),
            Self::Library { .. } | Self::Died(_) | Self::InterfaceFile(_) | Self::Archive(_) => {
                Vec::new()
            }
            Self::NoArtifact(_) => {
                hint("`sysforge instantiate --force` installs the artifacts of the packages again")
            }
            Self::NoFile { .. } => hint("paths in Sysimage.toml are relative to its folder"),
            Self::NoSigning => hint("`--sign` names it, for instance `--sign \"bash sign.sh\"`"),
            Self::SignedAway(_) => {
                hint("it may change the files of the bundle and add others, but remove none")
            }
            Self::NotPacked(_) => {
                hint("the command that signs the bundle may add files in these folders only")
            }
            Self::Signing { source, .. } => match **source {
                ProcessError::Failed { .. } => hint(
                    "the command gets the folder of the bundle as its last argument, and of the \
                     secret variables only those whose names begin with SYSFORGE_CODESIGN_",
                ),
                _ => source.hints(),
            },
            Self::LeftToCompile { .. } => hint(
                "the receipt of a build without `without-compiler` lists all statements; without a \
                 compiler, Julia interprets such code, which is slow, or fails",
            ),
            Self::Process { source, .. } => source.hints(),
            Self::Interface { source, .. } => match **source {
                ProcessError::Failed { .. } => hint(
                    "types of `@ccallable` functions must be concrete types of C: numbers, pointers, \
                     structures without references to Julia's objects",
                ),
                _ => source.hints(),
            },
            Self::NoLibraryOf(error) => error.hints(),
            Self::NameTaken { .. } => hint("give it another `name` in [library] of Sysimage.toml"),
            Self::Unusable { source, .. } => match **source {
                ProcessError::Failed { ref evidence, .. } => {
                    vec![unusable_hint(evidence).to_owned()]
                }
                _ => source.hints(),
            },
            Self::Returned { .. } => {
                hint("correct the function, or `result` in the calls of [library] in Sysimage.toml")
            }
            Self::Traced { source, .. } => match **source {
                ProcessError::Failed { ref evidence, .. } => exit_hints(evidence),
                _ => source.hints(),
            },
            Self::Exit { evidence, .. } => exit_hints(evidence),
            Self::Outside { .. } => hint(
                "a library that is opened by its full path is not found on another machine: open it \
                 by its name, or take it from an artifact",
            ),
        }
    }

    fn evidence(&self) -> Option<Evidence> {
        match self {
            Self::Exit { evidence, .. } => Some(evidence.clone()),
            Self::Traced { source, .. } => source.evidence().map(without_script),
            Self::Process { source, .. }
            | Self::Interface { source, .. }
            | Self::Unusable { source, .. }
            | Self::Signing { source, .. } => source.evidence(),
            _ => None,
        }
    }
}

/// Returns a hint for the last lines of a program that used a library.
fn unusable_hint(evidence: &Evidence) -> &'static str {
    let says = |text: &str| evidence.tail.iter().any(|line| line.contains(text));
    if says("a function that this library calls") {
        "correct the functions in `init` of [library] in Sysimage.toml"
    } else if says("cannot open shared object file") || says("could not load library") {
        "let a call in [library] or a workload open this library, so that it is bundled, or take it from \
         an artifact"
    } else {
        "an exception in a function that C called ends the process: catch it in the function, and return \
         a value that says so"
    }
}

/// Removes the frames of the script that ran an app while it was traced (`observe.rs`): they say nothing
/// about the app.
fn without_script(mut evidence: Evidence) -> Evidence {
    let mut lines: Vec<String> = Vec::new();
    let mut is_skipping = false;
    for line in evidence.tail {
        let is_frame = line.trim_start().starts_with('[');
        if line.starts_with("in expression starting at ") {
            is_skipping = false;
            continue;
        }
        is_skipping &= !line.starts_with("caused by");
        is_skipping |=
            is_frame && (line.contains("invokelatest") || line.contains("] top-level scope"));
        if !is_skipping {
            lines.push(line.replace("ERROR: LoadError: ", "ERROR: "));
        }
    }
    // Without a frame of the app, only that of `error` is left.
    if let Some(start) = lines.iter().position(|line| line == "Stacktrace:") {
        let mut frames = lines[start + 1..].iter();
        let is_error =
            |line: &String| line.contains("] error(") || line.trim_start().starts_with("@ Base ");
        if frames.all(is_error) {
            lines.truncate(start);
        }
    }
    evidence.tail = lines;
    evidence
}

/// Returns hints for the last lines of an app.
fn exit_hints(evidence: &Evidence) -> Vec<String> {
    let says = |text: &str| evidence.tail.iter().any(|line| line.contains(text));
    let hint = if says("unknown option") {
        "`julia-args` in the table of the app has an option that this Julia does not know: leave it out, or \
         correct it"
    } else if says("is not defined") {
        "define the entry point in the package, or name the one that there is: `entry = \
         \"Module.function\"` in the table of the app"
    } else if says("instead of an integer") {
        "end the entry point with `return 0`, and declare it as `julia_main()::Cint`"
    } else if says("Artifact") && says("was not installed") {
        "no run of the app used this artifact where it could be found: let a run use it, set \
         `lazy-artifacts = \"all\"`, or install it again with `sysforge instantiate --force`"
    } else if opens_full_path(evidence) {
        "a library that is opened by its full path is not found on another machine: open it by its name, or \
         take it from an artifact"
    } else if says("could not load library") || says("cannot open shared object file") {
        "let a run of the app open this library, so that it is bundled, or take it from an artifact; \
         a library of the system must be installed on this machine"
    } else if says("no exception handler available") {
        "Julia could not start, probably because a library is missing that it opens by its name: let a run \
         of the app open it, so that it is bundled"
    } else if says("ERROR: ") && !says("which the run in Sysimage.toml says") {
        "the entry point threw an exception: correct it, or give the run what it needs (`args`, `stdin`, \
         `files`); an app that reports a failure returns an exit code, which `exit` of the run names"
    } else {
        "`runs` in the table of the app says how it is run and which exit code is right: \
         `runs = [{ args = [\"--help\"], exit = 0 }]`"
    };
    vec![hint.to_owned()]
}

/// Whether a library is missing that was opened by its full path: `could not load library "/opt/libx.so"`.
fn opens_full_path(evidence: &Evidence) -> bool {
    let mut named = evidence
        .tail
        .iter()
        .filter_map(|line| Some(line.split_once("could not load library \"")?.1));
    named.any(|path| path.starts_with('/') || path.get(1..3) == Some(":\\"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evidence(lines: &[&str]) -> Evidence {
        Evidence {
            tail: lines.iter().map(|line| (*line).to_owned()).collect(),
            ..Evidence::default()
        }
    }

    #[test]
    fn the_frames_of_the_apps_own_code_are_kept() {
        // Julia 1.5, and 1.6 and later.
        let old = evidence(&[
            "ERROR: LoadError: no coffee",
            "Stacktrace:",
            " [1] error(::String) at ./error.jl:33",
            " [2] julia_main() at /p/src/Tiny.jl:2",
            " [3] #invokelatest#1 at ./essentials.jl:710 [inlined]",
            " [4] top-level scope at /p/.sysforge/x/apps/tiny-1.jl:7",
            "in expression starting at /p/.sysforge/x/apps/tiny-1.jl:4",
        ]);
        let kept = [
            "ERROR: no coffee",
            "Stacktrace:",
            " [1] error(::String) at ./error.jl:33",
            " [2] julia_main() at /p/src/Tiny.jl:2",
        ];
        assert_eq!(without_script(old).tail, kept);
        let new = evidence(&[
            "ERROR: LoadError: Tiny.julia_main is not defined",
            "Stacktrace:",
            " [1] error(s::String)",
            "   @ Base ./error.jl:33",
            " [2] top-level scope",
            "   @ /p/.sysforge/x/apps/tiny-1.jl:5",
            "in expression starting at /p/.sysforge/x/apps/tiny-1.jl:4",
            "caused by: the real reason",
        ]);
        let kept = without_script(new).tail;
        assert_eq!(
            kept.first().unwrap(),
            "ERROR: Tiny.julia_main is not defined"
        );
        assert_eq!(kept.last().unwrap(), "caused by: the real reason");
    }

    #[test]
    fn the_hint_fits_the_last_lines_of_the_app() {
        for (line, hint) in [
            (
                "InitError(mod=:ECOS_jll, error=ErrorException(\"Artifact \"ECOS\" was not installed \
                 correctly. Try ...",
                "artifact",
            ),
            (
                "ERROR: could not load library \"/opt/x/libx.so\"",
                "opened by its full path",
            ),
            (
                "ERROR: could not load library \"C:\\x\\x.dll\"",
                "opened by its full path",
            ),
            (
                "ERROR: could not load library \"libx\"",
                "let a run of the app open this library",
            ),
            ("ERROR: no coffee", "threw an exception"),
            (
                "ERROR: Tiny.julia_main returned 3 instead of 0, which the run in Sysimage.toml says",
                "which exit code is right",
            ),
        ] {
            let lines = [
                "fatal: error thrown and no exception handler available.",
                line,
            ];
            // Of a missing library, Julia may tell in the same way.
            let found = exit_hints(&evidence(match line.starts_with("InitError") {
                true => &lines,
                false => &lines[1..],
            }));
            assert!(found[0].contains(hint), "{line}: {found:?}");
        }
    }
}
