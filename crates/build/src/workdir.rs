//! The build directory, which contains a build's statements, object, image, records and logs. It
//! has one folder for each build identifier, which is locked while a build runs.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sysforge_files::unless_gone;
use sysforge_files::{FileLock, LockAttempt, try_exclusive, write_whole};
use sysforge_plan::{BuildId, Class, Explain, PathError, Reporter, Step, Task, text};

use crate::fingerprint::Fingerprint;

/// The interval of checking whether another process has ended.
const POLL: Duration = Duration::from_millis(200);

/// Locks the folders of all builds in `base`, so that no build runs there while it is removed.
///
/// # Errors
///
/// If a build is running in one, or a lock cannot be taken.
pub fn lock_all(base: &Path) -> Result<Vec<FileLock>, WorkDirError> {
    let entries = std::fs::read_dir(base).into_iter().flatten().flatten();
    let mut locks = Vec::new();
    for folder in entries.map(|entry| entry.path()) {
        let path = folder.join("lock");
        if !path.is_file() {
            continue;
        }
        match try_exclusive(&path).map_err(locking(&path))? {
            LockAttempt::Got(lock) => locks.push(lock),
            LockAttempt::Busy => return Err(WorkDirError::Busy { path: folder }),
        }
    }
    Ok(locks)
}

/// The content of the `.gitignore` in the build directory.
pub const IGNORE_ALL: &str = "*\n";

/// The folder of one build.
#[derive(Debug)]
pub struct WorkDir {
    root: PathBuf,
    // Held as long as this value exists; the system releases it however the process ends.
    _lock: FileLock,
}

/// What a step stores for the next step and the next run.
#[derive(Debug, Serialize, Deserialize)]
struct Record<T> {
    #[serde(alias = "basis")]
    fingerprint: Fingerprint,
    files: Vec<Stamp>,
    result: T,
}

impl<T> Record<T> {
    /// The files that changed since the record was written.
    fn touched(&self) -> impl Iterator<Item = &Stamp> {
        let files = self.files.iter();
        files.filter(|stamp| Stamp::of(&stamp.path).as_ref() != Some(stamp))
    }
}

fn record_name(step: &str) -> String {
    format!("{step}.json")
}

/// Returns the name of a record that was set aside: see [`WorkDir::set_aside`].
fn previous_name(step: &str) -> String {
    format!("{step}.previous.json")
}

/// The path, size and time of a file. Its hundreds of megabytes are not read again to find out
/// whether it changed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    path: PathBuf,
    size: u64,
    modified: SystemTime,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            size: file.len(),
            modified: file.modified().ok()?,
        })
    }
}

/// The build directory cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum WorkDirError {
    #[error(transparent)]
    Io(PathError),
    /// A file or folder that decides the result cannot be read.
    #[error(transparent)]
    Input(PathError),
    /// The file of a record exists and cannot be read.
    #[error(transparent)]
    Record(PathError),
    #[error(transparent)]
    Lock(PathError),
    #[error("another Sysforge is building in {}", .path.display())]
    Busy { path: PathBuf },
    #[error("the step `{step}` has not been done for this build")]
    Missing { step: &'static str },
    #[error("the record {} is damaged", .path.display())]
    Damaged {
        path: PathBuf,
        #[source]
        source: sysforge_plan::json::JsonError,
    },
}

impl Explain for WorkDirError {
    fn class(&self) -> Class {
        match self {
            Self::Io(error) | Self::Lock(error) => error.class(Class::Machine),
            // Something else is where the record should be.
            Self::Input(error) | Self::Record(error) => error.class(Class::Usage),
            Self::Busy { .. } | Self::Missing { .. } | Self::Damaged { .. } => Class::Usage,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Lock(_) => {
                vec!["put the build directory on a local disk: `--build-dir DIR`".to_owned()]
            }
            Self::Record(_) => {
                vec!["remove it, and run `sysforge build` again".to_owned()]
            }
            Self::Io(error) | Self::Input(error) => error.hints(),
            Self::Busy { .. } => {
                vec!["wait until it has ended, or use another `--build-dir`".to_owned()]
            }
            Self::Missing { step } => {
                vec![format!(
                    "run `sysforge {step}` first, or `sysforge build` for all steps"
                )]
            }
            Self::Damaged { .. } => {
                vec!["run `sysforge build` again; it starts from the beginning".to_owned()]
            }
        }
    }
}

/// Adds the attempted action to an I/O error.
pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> WorkDirError {
    PathError::wrap(action, path, WorkDirError::Io)
}

fn locking(path: &Path) -> impl FnOnce(std::io::Error) -> WorkDirError {
    PathError::wrap("lock", path, WorkDirError::Lock)
}

impl WorkDir {
    /// Opens and locks the folder of the build `id` in `base`, creating it if needed.
    ///
    /// # Errors
    ///
    /// If it cannot be created, or another process holds the lock.
    pub fn open(base: &Path, id: &BuildId) -> Result<Self, WorkDirError> {
        let root = base.join(id.as_str());
        sysforge_files::create_folders(&root.join("logs")).map_err(io("create", &root))?;
        // The build directory is in the project, and must not be committed.
        let ignore = base.join(".gitignore");
        if !ignore.exists() {
            std::fs::write(&ignore, IGNORE_ALL).map_err(io("write", &ignore))?;
        }
        let path = root.join("lock");
        match try_exclusive(&path).map_err(io("create", &path))? {
            LockAttempt::Got(lock) if lock.is_real() => Ok(Self { root, _lock: lock }),
            LockAttempt::Got(_) => {
                let why = "its file system knows no locks, which keep two builds apart";
                Err(locking(&path)(std::io::Error::other(why)))
            }
            LockAttempt::Busy => Err(WorkDirError::Busy { path: root }),
        }
    }

    /// Does the same, but if another process builds in the folder, reports this and waits until it
    /// ends.
    ///
    /// # Errors
    ///
    /// Those of [`WorkDir::open`], except [`WorkDirError::Busy`].
    pub async fn open_when_free(
        base: &Path,
        id: &BuildId,
        reporter: &Reporter,
    ) -> Result<Self, WorkDirError> {
        let mut waiting = None;
        loop {
            match Self::open(base, id) {
                Err(WorkDirError::Busy { .. }) => {}
                opened => {
                    if let Some(task) = waiting {
                        Task::done(task, "it has ended");
                    }
                    return opened;
                }
            }
            waiting.get_or_insert_with(|| {
                reporter.start(Step::Wait, format!("another process is building {id}"))
            });
            tokio::time::sleep(POLL).await;
        }
    }

    /// Returns the folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of a file or folder in it.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.join(name)
    }

    /// Returns the path of a step's log.
    pub fn log(&self, name: &str) -> PathBuf {
        self.root.join("logs").join(format!("{name}.log"))
    }

    /// Writes a file atomically.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if it cannot be written; an existing file is unchanged then.
    pub fn write(&self, name: &str, contents: &str) -> Result<PathBuf, WorkDirError> {
        let path = self.path(name);
        write_whole(&path, contents.as_bytes()).map_err(io("write", &path))?;
        Ok(path)
    }

    /// Writes the record of a step: its result, its fingerprint, and the files that it wrote.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if the record cannot be written, or an earlier one that was set aside
    /// cannot be removed.
    pub fn record(
        &self,
        step: &'static str,
        fingerprint: &Fingerprint,
        files: &[PathBuf],
        result: &impl Serialize,
    ) -> Result<(), WorkDirError> {
        let record = Record {
            fingerprint: fingerprint.clone(),
            files: files.iter().filter_map(|file| Stamp::of(file)).collect(),
            result,
        };
        self.write(&record_name(step), &text::json(&record))?;
        self.forget(&[&previous_name(step)])
    }

    /// Sets the record of a step aside when the step starts again. Later steps then cannot use it
    /// as the result of the new run. If that run does not finish, [`WorkDir::fresh`] still finds
    /// the earlier result, as long as its files are unchanged.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if the record exists but cannot be renamed.
    pub fn set_aside(&self, step: &'static str) -> Result<(), WorkDirError> {
        let path = self.path(record_name(step));
        let renamed = sysforge_files::rename(&path, &self.path(previous_name(step)));
        unless_gone(renamed).map_err(io("rename", &path))
    }

    /// Restores a record that was set aside, if the step ended without a result and changed none of
    /// its files.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if a record was set aside but cannot be renamed.
    pub fn put_back(&self, step: &'static str) -> Result<(), WorkDirError> {
        let path = self.path(previous_name(step));
        let renamed = sysforge_files::rename(&path, &self.path(record_name(step)));
        unless_gone(renamed).map_err(io("rename", &path))
    }

    /// Returns the name of a file that no other run writes, not even a child of a killed run: it contains
    /// the process ID.
    pub fn own_name(&self, stem: &str, rest: &str) -> String {
        format!("{stem}-{}{rest}", std::process::id())
    }

    /// Removes the files with a name of [`WorkDir::own_name`] that killed runs left behind.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if the folder cannot be read, or a file cannot be removed.
    pub fn forget_own(&self, stem: &str, rest: &str) -> Result<(), WorkDirError> {
        let entries = std::fs::read_dir(&self.root).map_err(io("read", &self.root))?;
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let number = name
                .strip_prefix(stem)
                .and_then(|name| name.strip_prefix('-')?.strip_suffix(rest));
            if number.is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit())) {
                self.forget(&[&name])?;
            }
        }
        Ok(())
    }

    /// Makes sure that a step was done in the folder of a build.
    ///
    /// # Errors
    ///
    /// If it was not.
    pub fn require(root: &Path, step: &'static str) -> Result<(), WorkDirError> {
        match root.join(record_name(step)).exists() {
            true => Ok(()),
            false => Err(WorkDirError::Missing { step }),
        }
    }

    /// Reads the result of a step, whatever its inputs were.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Missing`] if the step was not done; [`WorkDirError::Record`] or
    /// [`WorkDirError::Damaged`] if its record cannot be read or parsed.
    pub fn recorded<T: DeserializeOwned>(&self, step: &'static str) -> Result<T, WorkDirError> {
        self.read_record(&record_name(step), step)
            .map(|record| record.result)
    }

    /// Reads the result of a step and its fingerprint from a build's folder without locking it,
    /// because records are written atomically. Returns `None` if there is none that can be read.
    pub fn peek<T: DeserializeOwned>(root: &Path, step: &str) -> Option<(Fingerprint, T)> {
        let text = sysforge_files::read_text(root.join(record_name(step))).ok()?;
        let record: Record<T> = serde_json::from_str(&text).ok()?;
        Some((record.fingerprint, record.result))
    }

    /// Does the same, and returns `None` also if a file that the step wrote was touched since.
    pub fn peek_unchanged<T: DeserializeOwned>(root: &Path, step: &str) -> Option<T> {
        let text = sysforge_files::read_text(root.join(record_name(step))).ok()?;
        let record: Record<T> = serde_json::from_str(&text).ok()?;
        let is_same = record.touched().next().is_none();
        is_same.then_some(record.result)
    }

    /// Reads the fingerprint of a step's result.
    ///
    /// # Errors
    ///
    /// Those of [`WorkDir::recorded`].
    pub fn recorded_fingerprint(&self, step: &'static str) -> Result<Fingerprint, WorkDirError> {
        self.read_record::<serde::de::IgnoredAny>(&record_name(step), step)
            .map(|record| record.fingerprint)
    }

    /// Reads the result of a step if it was made from `fingerprint` and its files are unchanged.
    ///
    /// # Errors
    ///
    /// The reasons for running the step again; none if there is no trace of an earlier run.
    pub fn fresh<T: DeserializeOwned>(
        &self,
        step: &'static str,
        fingerprint: &Fingerprint,
    ) -> Result<T, Vec<String>> {
        match self.fresh_in(&record_name(step), step, fingerprint) {
            // The step was started again and has not finished.
            Err(reasons) if reasons.is_empty() => {
                let previous = previous_name(step);
                let result = self.fresh_in(&previous, step, fingerprint)?;
                let back =
                    sysforge_files::rename(&self.path(&previous), &self.path(record_name(step)));
                back.map_err(|error| vec![error.to_string()])?;
                Ok(result)
            }
            answer => answer,
        }
    }

    fn fresh_in<T: DeserializeOwned>(
        &self,
        name: &str,
        step: &'static str,
        fingerprint: &Fingerprint,
    ) -> Result<T, Vec<String>> {
        let record: Record<T> = match self.read_record(name, step) {
            Ok(record) => record,
            Err(WorkDirError::Missing { .. }) => return Err(Vec::new()),
            Err(error) => return Err(vec![error.to_string()]),
        };
        let changes = fingerprint.changes_since(&record.fingerprint);
        if !changes.is_empty() {
            return Err(changes);
        }
        let touched: Vec<_> = record
            .touched()
            .map(|stamp| format!("{} was touched", stamp.path.display()))
            .collect();
        match touched.is_empty() {
            true => Ok(record.result),
            false => Err(touched),
        }
    }

    fn read_record<T: DeserializeOwned>(
        &self,
        name: &str,
        step: &'static str,
    ) -> Result<Record<T>, WorkDirError> {
        let path = self.path(name);
        let text = match sysforge_files::read_bytes(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(WorkDirError::Missing { step });
            }
            Err(source) => {
                return Err(PathError::wrap("read", &path, WorkDirError::Record)(source));
            }
        };
        sysforge_plan::json::parse(text).map_err(|source| WorkDirError::Damaged { path, source })
    }

    /// Removes these files and folders in the given order. A record is named before the results that it
    /// describes, so that partial results are never used.
    ///
    /// # Errors
    ///
    /// [`WorkDirError::Io`] if a file or folder exists but cannot be removed.
    pub fn forget(&self, names: &[&str]) -> Result<(), WorkDirError> {
        for name in names {
            let path = self.path(name);
            let removed = match path.is_dir() {
                true => std::fs::remove_dir_all(&path),
                false => std::fs::remove_file(&path),
            };
            unless_gone(removed).map_err(io("remove", &path))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sysforge_plan::{JuliaVersion, Triplet};

    use super::*;
    use crate::fingerprint::Stage;

    fn id() -> BuildId {
        BuildId::of(
            "x",
            &JuliaVersion::new(1, 5, 3),
            Triplet::X86_64_LINUX_GNU,
            None,
        )
        .unwrap()
    }

    #[test]
    fn a_second_build_of_the_same_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let first = WorkDir::open(base.path(), &id()).unwrap();
        let second = WorkDir::open(base.path(), &id());
        assert!(matches!(second, Err(WorkDirError::Busy { .. })));
        drop(first);
        assert!(WorkDir::open(base.path(), &id()).is_ok());
    }

    #[test]
    fn a_result_whose_files_were_touched_is_not_unchanged() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        let file = base.path().join("archive");
        let unchanged = || WorkDir::peek_unchanged::<u8>(work.root(), "pack");
        assert_eq!(unchanged(), None);
        std::fs::write(&file, "one").unwrap();
        let files = [file.clone()];
        work.record("pack", &Fingerprint::default(), &files, &7)
            .unwrap();
        assert_eq!(unchanged(), Some(7));
        // Of the same size, and of another time.
        std::fs::write(&file, "two").unwrap();
        let later = SystemTime::now() + std::time::Duration::from_secs(1);
        let opened = std::fs::File::options().write(true).open(&file);
        opened.unwrap().set_modified(later).unwrap();
        assert_eq!(unchanged(), None);
        std::fs::remove_file(&file).unwrap();
        assert_eq!(unchanged(), None);
    }

    /// The first build ends when the second one has reported that it waits.
    #[tokio::test]
    async fn a_second_build_of_the_same_says_that_it_waits_and_continues() {
        use std::sync::{Arc, Mutex};
        use sysforge_plan::Event;
        let base = tempfile::tempdir().unwrap();
        let first = Mutex::new(Some(WorkDir::open(base.path(), &id()).unwrap()));
        let said = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&said);
        let reporter = Reporter::new(move |event| {
            sink.lock().unwrap().push(match event {
                Event::Started { step, subject, .. } => {
                    first.lock().unwrap().take();
                    format!("{step} {subject}")
                }
                Event::Finished { summary, .. } => summary,
                _ => String::new(),
            });
        });
        WorkDir::open_when_free(base.path(), &id(), &reporter)
            .await
            .unwrap();
        assert_eq!(
            *said.lock().unwrap(),
            [
                format!("wait another process is building {}", id()),
                "it has ended".to_owned()
            ]
        );
    }

    #[test]
    fn where_there_are_no_locks_another_place_is_proposed() {
        let source = std::io::ErrorKind::Unsupported.into();
        let error = locking(Path::new("lock"))(source);
        assert!(error.hints()[0].contains("`--build-dir DIR`"));
    }

    #[test]
    fn records_read_back_and_missing_ones_name_the_step() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        let missing = work.recorded::<Vec<u32>>("trace").unwrap_err();
        assert_eq!(
            missing.to_string(),
            "the step `trace` has not been done for this build"
        );
        work.record("trace", &Fingerprint::default(), &[], &vec![1, 2])
            .unwrap();
        assert_eq!(work.recorded::<Vec<u32>>("trace").unwrap(), [1, 2]);
        work.forget(&["trace.json", "nothing"]).unwrap();
        assert!(work.recorded::<Vec<u32>>("trace").is_err());
    }

    #[test]
    fn files_of_killed_runs_are_removed_and_no_others() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        let own = work.own_name("partial", "-o.a");
        for name in [own.as_str(), "partial-1-o.a", "partial-x-o.a", "image-o.a"] {
            work.write(name, "x").unwrap();
        }
        work.forget_own("partial", "-o.a").unwrap();
        assert!(!work.path(&own).exists() && !work.path("partial-1-o.a").exists());
        assert!(work.path("partial-x-o.a").exists() && work.path("image-o.a").exists());
    }

    #[test]
    fn a_step_that_changed_nothing_keeps_its_previous_record() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        // There is nothing to restore.
        work.put_back("emit").unwrap();
        work.record("emit", &Fingerprint::default(), &[], &7)
            .unwrap();
        work.set_aside("emit").unwrap();
        work.recorded::<u32>("emit").unwrap_err();
        work.put_back("emit").unwrap();
        assert_eq!(work.recorded::<u32>("emit").unwrap(), 7);
    }

    #[test]
    fn a_damaged_record_is_named_with_what_is_wrong() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        let path = work.path("emit.json");
        for (bytes, why) in [
            (&b""[..], "it is empty"),
            (b"\xff\xfe{\0}\0", "it is UTF-16 text, and must be UTF-8"),
            (b"{\"fingerprint\": 5}", "`fingerprint` is the number 5"),
        ] {
            std::fs::write(&path, bytes).unwrap();
            let error = work.recorded::<u32>("emit").unwrap_err();
            let cause = std::error::Error::source(&error).unwrap().to_string();
            assert!(cause.starts_with(why), "{cause}");
            assert_eq!(error.class(), Class::Usage);
            assert!(error.to_string().contains("emit.json"), "{error}");
            // `--explain` says it too.
            let reasons = work
                .fresh::<u32>("emit", &Fingerprint::default())
                .unwrap_err();
            assert_eq!(reasons, [error.to_string()]);
        }
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(&path).unwrap();
        let error = work.recorded::<u32>("emit").unwrap_err();
        assert_eq!((error.class(), error.hints().len()), (Class::Usage, 1));
        // What else cannot be read is no record, and removing it is no remedy.
        std::fs::remove_dir_all(work.root()).unwrap();
        let error = work.forget_own("image", "-o.a").unwrap_err();
        assert_eq!(error.class(), Class::Machine);
        assert!(!error.hints().concat().contains("remove it"), "{error:?}");
    }

    #[test]
    fn a_result_is_fresh_while_its_parts_and_files_are_what_they_were() {
        let base = tempfile::tempdir().unwrap();
        let work = WorkDir::open(base.path(), &id()).unwrap();
        let object = work.write("object", "1").unwrap();
        let mut fingerprint = Fingerprint::default();
        fingerprint.add(Stage::Trace, "workload.jl", "a");
        let files = [object.clone()];
        work.record("emit", &fingerprint, &files, &7).unwrap();
        assert_eq!(work.fresh::<u32>("emit", &fingerprint), Ok(7));

        let mut other = fingerprint.clone();
        other.add(Stage::Trace, "workload.jl", "b");
        let why = work.fresh::<u32>("emit", &other).unwrap_err();
        assert_eq!(why, ["workload.jl changed"]);

        // Started again, and interrupted.
        work.set_aside("emit").unwrap();
        assert!(work.recorded::<u32>("emit").is_err());
        assert!(work.fresh::<u32>("emit", &other).is_err());
        assert_eq!(work.fresh::<u32>("emit", &fingerprint), Ok(7));
        assert_eq!(work.recorded::<u32>("emit").unwrap(), 7);
        work.set_aside("emit").unwrap();
        work.set_aside("emit").unwrap();
        assert_eq!(work.fresh::<u32>("emit", &fingerprint), Ok(7));

        std::fs::write(&object, "22").unwrap();
        let why = work.fresh::<u32>("emit", &fingerprint).unwrap_err();
        assert!(why[0].ends_with("object was touched"), "{why:?}");
        assert_eq!(work.fresh::<u32>("link", &fingerprint), Err(Vec::new()));
    }
}
