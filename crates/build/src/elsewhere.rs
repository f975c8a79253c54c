//! Runs the workloads on an image while paths of this machine are hidden, to find out whether the
//! image needs them. That needs a Linux mount namespace (`unshare` of util-linux). On other
//! systems, and where namespaces are not allowed, it stays unknown whether an existing path is
//! needed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use sysforge_plan::plan::RequestedPackage;
use sysforge_plan::portability::{FoundPath, PathKind};
use sysforge_plan::{Step, Task};

use crate::context::Context;
use crate::script::Script;

/// Hides paths, then starts a command. Arguments: an empty folder, the number of paths, the paths,
/// the command. A path is hidden by mounting an empty folder over its parent and mounting all its
/// siblings there again.
const HIDE: &str = r#"
mounts=$1; count=$2; shift 2
mount -t tmpfs tmpfs "$mounts" || exit 126
while [ "$count" -gt 0 ]; do
    path=$1; shift; count=$((count - 1))
    [ -e "$path" ] || continue
    parent=${path%/*}; hidden=${path##*/}
    others=$mounts/$count
    mkdir "$others" && mount --rbind "$parent" "$others" && mount -t tmpfs tmpfs "$parent" || exit 126
    for entry in "$others"/* "$others"/.[!.]* "$others"/..?*; do
        name=${entry##*/}
        [ "$name" = "$hidden" ] && continue
        if [ -L "$entry" ]; then
            cp -P "$entry" "$parent/$name"
        elif [ -d "$entry" ]; then
            mkdir "$parent/$name" && mount --rbind "$entry" "$parent/$name"
        elif [ -e "$entry" ]; then
            : >"$parent/$name" && mount --bind "$entry" "$parent/$name"
        fi || exit 126
    done
done
cd "$PWD" || exit 126
exec "$@"
"#;

/// The maximum number of entries of a folder in which a path is hidden: each needs a mount.
const MOST_SIBLINGS: usize = 500;

/// The maximum number of paths that are tried one by one if the workloads need some of them.
const MOST_ALONE: usize = 8;

/// Records in `found` which paths the workloads need, if that can be tested. `used` are paths that
/// a run itself needs, such as depots.
pub async fn try_without(
    context: &Context,
    image: &Path,
    packages: &[RequestedPackage],
    workloads: &[Script],
    used: &[PathBuf],
    found: &mut [FoundPath],
) {
    if workloads.is_empty() {
        return;
    }
    let mut hidden: Vec<&mut FoundPath> = Vec::new();
    for found in found {
        if found.kind == PathKind::Source {
            continue;
        }
        match Path::new(&found.path).try_exists() {
            // The workloads have already run without it.
            Ok(false) => found.needed = Some(false),
            _ if can_be_hidden(Path::new(&found.path), used) => hidden.push(found),
            _ => {}
        }
    }
    let has_prefix = workloads.iter().any(|workload| !workload.prefix.is_empty());
    if hidden.is_empty() || has_prefix || cfg!(not(target_os = "linux")) {
        return;
    }
    let Ok(mounts) = tempfile::tempdir() else {
        return;
    };
    let what = match hidden.len() {
        1 => "run without a path of this machine".to_owned(),
        count => format!("run without {count} paths of this machine"),
    };
    let task = context.reporter.start(Step::Check, what);
    let run = Run {
        context,
        image,
        packages,
        workloads,
        mounts: mounts.path(),
        task: &task,
    };
    let all: Vec<PathBuf> = hidden
        .iter()
        .map(|found| found.path.clone().into())
        .collect();
    if run.succeeds_without(&all).await {
        hidden
            .iter_mut()
            .for_each(|found| found.needed = Some(false));
        task.done("not needed");
        return;
    }
    // Checks that the paths are the cause, not the namespace.
    if !run.succeeds_without(&[]).await {
        task.done("cannot be tried on this machine");
        return;
    }
    let mut some = false;
    if hidden.len() <= MOST_ALONE {
        for (found, path) in hidden.iter_mut().zip(&all) {
            let needed = !run.succeeds_without(std::slice::from_ref(path)).await;
            found.needed = Some(needed);
            some |= needed;
        }
    }
    if !some {
        // Either each path alone can be missing, or there are too many to find the needed one.
        hidden
            .iter_mut()
            .for_each(|found| found.needed = Some(true));
    }
    task.done("needed");
}

/// Returns whether a path can be hidden from a run that needs the paths `used`.
fn can_be_hidden(path: &Path, used: &[PathBuf]) -> bool {
    let Some(parent) = path.parent().filter(|parent| parent.parent().is_some()) else {
        return false;
    };
    let is_plain = path
        .components()
        .all(|part| !matches!(part, std::path::Component::ParentDir));
    let siblings = std::fs::read_dir(parent).map_or(usize::MAX, |entries| {
        entries.take(MOST_SIBLINGS + 1).count()
    });
    is_plain && siblings <= MOST_SIBLINGS && !used.iter().any(|used| used.starts_with(path))
}

/// The settings for running the workloads.
struct Run<'a> {
    context: &'a Context,
    image: &'a Path,
    packages: &'a [RequestedPackage],
    workloads: &'a [Script],
    mounts: &'a Path,
    task: &'a Task,
}

impl Run<'_> {
    /// Returns whether every workload succeeds while these paths are hidden.
    async fn succeeds_without(&self, hidden: &[PathBuf]) -> bool {
        let (context, packages) = (self.context, self.packages);
        for workload in self.workloads {
            let program = context
                .julia(context.clean_environment(), "elsewhere")
                .optional("--sysimage", Some(self.image))
                .arg(context.work.path("measure.jl"))
                .arg(context.work.path("elsewhere.tsv"))
                .arg(packages.len().to_string())
                .args(packages.iter().map(|package| &package.name))
                .arg(&workload.path)
                .args(&workload.args)
                .prefixed(&prefix(self.mounts, hidden))
                .directory(&context.project);
            if context.children.run(&program, self.task).await.is_err() {
                return false;
            }
        }
        true
    }
}

/// Returns the command that starts another one while these paths are hidden.
fn prefix(mounts: &Path, hidden: &[PathBuf]) -> Vec<OsString> {
    let enter = ["unshare", "--user", "--map-root-user", "--mount", "--"];
    let script = ["sh", "-c", HIDE, "sh"];
    let mut words: Vec<OsString> = enter
        .into_iter()
        .chain(script)
        .map(OsString::from)
        .collect();
    words.push(mounts.into());
    words.push(hidden.len().to_string().into());
    words.extend(hidden.iter().map(|path| path.clone().into_os_string()));
    words
}

#[cfg(test)]
mod tests {
    #[cfg(target_os = "linux")]
    use std::process::Command;

    use super::*;

    #[cfg(target_os = "linux")]
    fn run(hidden: &[PathBuf], folder: &Path, command: &[&str]) -> Option<(bool, String)> {
        let mounts = tempfile::tempdir().ok()?;
        let run = |hidden: &[PathBuf], command: &[&str]| {
            let words = prefix(mounts.path(), hidden);
            let mut child = Command::new(&words[0]);
            child.args(&words[1..]).args(command).current_dir(folder);
            child.output().ok()
        };
        let allowed = run(&[], &["true"]).is_some_and(|output| output.status.success());
        if !allowed {
            return None;
        }
        let output = run(hidden, command)?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        Some((output.status.success(), text))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn hidden_paths_do_not_exist_and_everything_beside_them_does() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("a b");
        std::fs::create_dir_all(root.join("data/deep")).unwrap();
        std::fs::create_dir(root.join("other")).unwrap();
        for name in [
            "data/deep/x",
            "other/y",
            "table $(id).csv",
            ".hidden",
            "kept",
        ] {
            std::fs::write(root.join(name), name).unwrap();
        }
        std::os::unix::fs::symlink("kept", root.join("link")).unwrap();
        let hidden = ["table $(id).csv", "data", "other/y"].map(|name| root.join(name));
        let Some((_, listed)) = run(&hidden, &root, &["find", ".", "-mindepth", "1"]) else {
            // Namespaces are not allowed or `unshare` is missing: skip the test.
            return;
        };
        let mut listed: Vec<_> = listed.lines().collect();
        listed.sort_unstable();
        assert_eq!(listed, ["./.hidden", "./kept", "./link", "./other"]);
        let (_, read) = run(&hidden, &root, &["cat", "link", ".hidden"]).unwrap();
        assert_eq!(read, "kept.hidden");
        assert!(!run(&hidden, &root, &["cat", "other/y"]).unwrap().0);
        // Nothing has changed outside of the namespace.
        assert!(root.join("data/deep/x").is_file());
    }

    #[test]
    fn what_a_run_needs_itself_is_not_hidden() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("project/data")).unwrap();
        let used = [path("project"), path("depot")];
        assert!(can_be_hidden(&path("project/data"), &used));
        assert!(!can_be_hidden(&path("project"), &used));
        assert!(!can_be_hidden(folder.path(), &used));
        assert!(!can_be_hidden(&path("project/../x"), &used));
        assert!(!can_be_hidden(Path::new("/srv"), &used));
        assert!(!can_be_hidden(&path("nowhere/x"), &used));
    }
}
