//! The content of a package's folder: all files that Julia may read while it loads or precompiles
//! the package. Only Julia knows which they are, and only afterwards, so all files count, except
//! those of version control and Sysforge, and documents such as a README that no other file
//! mentions.
//!
//! On Unix, a file that has not changed since it was last read is not read again: see [`FileDigests`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Error, ErrorKind, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, SystemTime};

use aho_corasick::AhoCorasick;
use serde::{Deserialize, Serialize};
use sysforge_plan::digest::Hasher;
use sysforge_plan::image_environment::LAUNCHER_MARK;
use sysforge_plan::manifests::Origin;
use sysforge_plan::project::PROJECT_NAMES;
use sysforge_plan::release::{INDEX_NAME, SITE_NAME};
use sysforge_plan::{PathError, Sha256};

/// Folders and files that no package reads: those of version control, editors, other package
/// managers, and Sysforge.
const IGNORED: [&str; 16] = [
    ".git",
    ".hg",
    ".svn",
    ".jj",
    ".github",
    ".sysforge",
    ".sysforge-depot",
    ".sysforge-store",
    ".vscode",
    ".idea",
    ".CondaPkg",
    ".pixi",
    ".venv",
    "node_modules",
    "__pycache__",
    ".DS_Store",
];

/// Files that Pkg and Documenter write into a package's folder: results, not inputs.
const WRITTEN: [&str; 2] = ["deps/build.log", "docs/build"];

/// Files in the project folder whose contents are covered in another way or do not matter: the
/// configuration, whose settings are separate inputs, and results of the workflow.
const IGNORED_IN_PROJECT: [&str; 5] = [
    "Sysimage.toml",
    "sysforge-plan.json",
    "SHA256SUMS",
    INDEX_NAME,
    SITE_NAME,
];

/// Files that mark a folder filled by Sysforge or Pkg: the index of a release, the list of a folder
/// of releases, and the lock of a depot in which Sysforge installed packages, which the manifest
/// names.
const OF_RESULTS: [&str; 3] = [INDEX_NAME, SITE_NAME, crate::depots::LOCK];

/// Names of documents without extensions. Julia reads one only if a package does, so each counts
/// only if another file mentions it (`include_dependency("../README.md")`) or lists folders.
const DOCUMENTS: [&str; 14] = [
    "authors",
    "changelog",
    "changes",
    "citation",
    "code_of_conduct",
    "contributing",
    "copying",
    "history",
    "licence",
    "license",
    "news",
    "notice",
    "readme",
    "security",
];

/// The file extensions of documents.
const DOCUMENT_EXTENSIONS: [&str; 7] = ["md", "markdown", "txt", "rst", "adoc", "org", "bib"];

/// Functions with which a source lists the files of a folder, whatever their names. `glob` alone would be
/// found in `global`.
const LISTINGS: [&str; 4] = ["readdir", "walkdir", "glob(", "glob\""];

/// How much of a file is searched for names of other files, in bytes. A longer one holds data, and may be
/// larger than the memory.
const MAX_SOURCE_BYTES: u64 = 64 << 20;

/// The resolution of change times may be this coarse: a file changed so shortly before it was read
/// may have been changed again since.
const CLOCK: Duration = Duration::from_secs(2);

/// The stored facts about a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    stamp: Stamp,
    #[serde(flatten)]
    content: Content,
}

/// What matters of the content of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    digest: Sha256,
    /// The files that a Julia source refers to by relative paths.
    references: Vec<String>,
    /// Which of [`DOCUMENTS`] and [`LISTINGS`] it mentions.
    mentions: Vec<String>,
    /// Whether it is a launcher written by `sysforge install`.
    is_launcher: bool,
}

impl Content {
    fn lists(&self, word: &str) -> bool {
        self.mentions.iter().any(|mentioned| mentioned == word)
    }
}

/// The properties that show whether a file is unchanged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    size: u64,
    modified: SystemTime,
    /// The change time of the file's metadata, which no program can set, and its inode.
    unix: (i64, i64, u64),
}

impl Stamp {
    /// Returns `None` on Windows: the standard library does not provide the change time there, and the
    /// modification time does not suffice, because programs that copy and unpack files set it.
    #[cfg(not(unix))]
    fn of(_: &std::fs::Metadata) -> Option<Self> {
        None
    }

    #[cfg(unix)]
    fn of(file: &std::fs::Metadata) -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        Some(Self {
            size: file.len(),
            modified: file.modified().ok()?,
            unix: (file.ctime(), file.ctime_nsec(), file.ino()),
        })
    }

    /// Returns whether any change after `now` gives another stamp.
    fn is_settled(&self, now: SystemTime) -> bool {
        let seconds = u64::try_from(self.unix.0).ok();
        let changed =
            seconds.and_then(|s| SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(s + 1)));
        let latest = changed.map(|changed| changed.max(self.modified));
        latest.is_some_and(|latest| now.duration_since(latest).is_ok_and(|age| age > CLOCK))
    }
}

/// Digests of files, stored between runs.
#[derive(Debug, Default)]
pub struct FileDigests {
    path: Option<PathBuf>,
    known: BTreeMap<PathBuf, Known>,
    used: BTreeMap<PathBuf, Known>,
    /// Files that workloads wrote into the project, by name. They are not inputs as long as they
    /// are unchanged.
    generated: BTreeMap<String, Sha256>,
    is_changed: bool,
}

/// The format in which digests are stored.
#[derive(Default, Serialize, Deserialize)]
struct Kept {
    files: Vec<(PathBuf, Known)>,
    generated: BTreeMap<String, Sha256>,
}

impl FileDigests {
    /// Reads the digests that [`FileDigests::save`] wrote to this file; none if it cannot be read.
    pub fn open(path: PathBuf) -> Self {
        let text = sysforge_files::read_bytes(&path).unwrap_or_default();
        let kept: Kept = serde_json::from_slice(&text).unwrap_or_default();
        Self {
            path: Some(path),
            known: kept.files.into_iter().collect(),
            generated: kept.generated,
            ..Self::default()
        }
    }

    /// Excludes these files of the project (names as in [`Walk::found`]) from the inputs as long as
    /// their contents stay the same.
    pub(crate) fn add_generated(&mut self, files: impl IntoIterator<Item = (String, Sha256)>) {
        for (name, digest) in files {
            self.is_changed |= self.generated.insert(name, digest) != Some(digest);
        }
    }

    /// Saves the digests. If that fails, everything is read again next time.
    pub fn save(&self) {
        let unchanged = self.used == self.known && !self.is_changed;
        if let Some(path) = self.path.as_ref().filter(|_| !unchanged)
            && path.parent().is_some_and(Path::is_dir)
        {
            let kept = Kept {
                files: self.used.clone().into_iter().collect(),
                generated: self.generated.clone(),
            };
            let json = serde_json::to_vec(&kept).unwrap_or_default();
            let _ = sysforge_files::write_whole(path, &json);
        }
    }

    fn read(&mut self, path: &Path) -> std::io::Result<Content> {
        let now = SystemTime::now();
        let mut file = std::fs::File::open(path)?;
        let stamp = Stamp::of(&file.metadata()?);
        let known = self.used.get(path).or_else(|| self.known.get(path));
        let content = match known.filter(|known| Some(known.stamp) == stamp) {
            Some(known) => known.content.clone(),
            None => {
                let mut beginning = Vec::new();
                file.by_ref()
                    .take(MAX_SOURCE_BYTES)
                    .read_to_end(&mut beginning)?;
                let beginning = beginning.as_slice();
                let references = match path.extension().is_some_and(|e| e == "jl") {
                    true => references(&String::from_utf8_lossy(beginning)),
                    false => Vec::new(),
                };
                Content {
                    digest: digest_of_reader(beginning.chain(file))?,
                    references,
                    mentions: mentions(beginning),
                    is_launcher: is_launcher(beginning),
                }
            }
        };
        if let Some(stamp) = stamp.filter(|stamp| stamp.is_settled(now)) {
            let content = content.clone();
            let known = Known { stamp, content };
            self.used.insert(path.to_owned(), known);
        }
        Ok(content)
    }
}

/// Reads folders and files, each once.
pub(crate) struct Walk<'a> {
    digests: &'a mut FileDigests,
    project: &'a Path,
    /// Folders of Sysforge's results, which are not inputs.
    excluded: Vec<PathBuf>,
    seen: BTreeSet<PathBuf>,
    /// Documents of packages, which count only if a file mentions them.
    documents: Vec<PathBuf>,
    mentioned: BTreeSet<String>,
    /// Digests by name, which is relative to the project if the file is in it.
    pub(crate) found: BTreeMap<String, Sha256>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(
        digests: &'a mut FileDigests,
        project: &'a Path,
        excluded: &[PathBuf],
    ) -> Self {
        // The path of a depot may contain a link; the project's does not.
        let real = excluded
            .iter()
            .filter_map(|path| sysforge_files::canonical(path).ok());
        let excluded = excluded.iter().map(|path| normal(path)).chain(real);
        Self {
            digests,
            project,
            excluded: excluded.collect(),
            seen: BTreeSet::new(),
            documents: Vec::new(),
            mentioned: BTreeSet::new(),
            found: BTreeMap::new(),
        }
    }

    /// Adds the documents mentioned in the files read so far. Call this after everything else was
    /// added.
    ///
    /// # Errors
    ///
    /// If a document cannot be read.
    pub(crate) fn add_documents(&mut self) -> Result<(), PathError> {
        let lists = LISTINGS.iter().any(|word| self.mentioned.contains(*word));
        for path in std::mem::take(&mut self.documents) {
            let counts = lists || document(&path).is_some_and(|name| self.mentioned.contains(name));
            match counts {
                true => self.add(&path)?,
                false => self.documents.push(path),
            }
        }
        Ok(())
    }

    /// Adds a file, or a folder with all its contents; ignores a path that does not exist.
    ///
    /// # Errors
    ///
    /// If a file or folder exists but cannot be read; the error contains its path.
    pub(crate) fn add(&mut self, path: &Path) -> Result<(), PathError> {
        let path = normal(path);
        let file = match std::fs::metadata(&path) {
            Ok(file) => file,
            // A link that leads nowhere or back to itself is also a part of the folder.
            Err(error) => match std::fs::read_link(&path) {
                Ok(target) => {
                    let target = target.to_string_lossy().into_owned();
                    self.found.insert(self.name(&path), Sha256::of(&target));
                    return Ok(());
                }
                Err(_) if error.kind() == ErrorKind::NotFound => return Ok(()),
                Err(_) => return Err(unreadable(&path)(error)),
            },
        };
        if self.excluded.contains(&path) || !self.seen.insert(path.clone()) {
            return Ok(());
        }
        if file.is_dir() {
            return self.folder(&path);
        }
        if !file.is_file() {
            return Ok(());
        }
        let content = self.digests.read(&path).map_err(unreadable(&path))?;
        let name = self.name(&path);
        if content.is_launcher || self.digests.generated.get(&name) == Some(&content.digest) {
            return Ok(());
        }
        self.found.insert(name, content.digest);
        let lists = LISTINGS.iter().any(|word| content.lists(word));
        self.mentioned.extend(content.mentions);
        let folder = path.parent().unwrap_or(Path::new("")).to_owned();
        for reference in content.references {
            let named = normal(&folder.join(reference));
            // A source that lists folders may read all files of one that it names, but hardly of one that
            // contains the source itself.
            let listed = lists && named.is_dir() && !path.starts_with(&named);
            if listed || named.is_file() {
                self.add(&named)?;
            }
        }
        Ok(())
    }

    fn folder(&mut self, folder: &Path) -> Result<(), PathError> {
        // A link to an ancestor would cause endless recursion.
        let real = sysforge_files::canonical(folder).map_err(unreadable(folder))?;
        if real != *folder && !self.seen.insert(real) {
            return Ok(());
        }
        let entries: Result<Vec<_>, Error> = std::fs::read_dir(folder).and_then(Iterator::collect);
        let entries: Vec<(String, PathBuf)> = entries
            .map_err(unreadable(folder))?
            .into_iter()
            .map(|entry| {
                (
                    entry.file_name().to_string_lossy().into_owned(),
                    entry.path(),
                )
            })
            .collect();
        let names = entries.iter().map(|(name, _)| name.as_str());
        let built: Vec<String> = names.filter_map(built).collect();
        let is_package =
            folder == self.project || PROJECT_NAMES.iter().any(|name| folder.join(name).is_file());
        for (name, path) in entries {
            let beside_results = ["SHA256SUMS", ".lock"].contains(&&*name) && !built.is_empty();
            if beside_results || built.iter().any(|build| name.starts_with(build)) {
                continue;
            }
            let in_project = folder == self.project
                && (IGNORED_IN_PROJECT.contains(&&*name) || Origin::of_file_name(&name).is_some());
            let written = WRITTEN.iter().any(|end| path.ends_with(end));
            let ignored = in_project || written || IGNORED.contains(&&*name);
            if is_package && document(&path).is_some() && path.is_file() {
                self.documents.push(path);
                continue;
            }
            if !ignored && !is_of_results(&path) && !is_signing_key(&path) {
                self.add(&path)?;
            }
        }
        Ok(())
    }

    /// Returns the name of a path, with `/` on every system.
    fn name(&self, path: &Path) -> String {
        let mut up = String::new();
        let mut base = self.project;
        loop {
            if let Ok(below) = path.strip_prefix(base) {
                let parts: Vec<_> = below.iter().map(|part| part.to_string_lossy()).collect();
                return format!("{up}{}", parts.join("/"));
            }
            match base.parent() {
                Some(parent) => base = parent,
                None => return path.display().to_string(),
            }
            up.push_str("../");
        }
    }
}

/// Adds the path of a file or folder to the error of reading it.
fn unreadable(path: &Path) -> impl FnOnce(Error) -> PathError {
    PathError::wrap("read", path, |error| error)
}

/// Returns whether a file of the project is no input because of its name or folder, unless Julia is
/// known to have read it.
pub(crate) fn is_ignored(project: &Path, path: &Path) -> bool {
    let Ok(below) = path.strip_prefix(project) else {
        return false;
    };
    let mut names = below.iter().map(|name| name.to_string_lossy());
    let mut folders = below.ancestors();
    let of_project = below.to_str().unwrap_or_default();
    names.any(|name| IGNORED.contains(&&*name))
        || folders.any(|folder| WRITTEN.iter().any(|written| folder.ends_with(written)))
        || IGNORED_IN_PROJECT.contains(&of_project)
}

/// Returns the digest of everything that can be read, without keeping it in memory.
pub(crate) fn digest_of_reader(reader: impl Read) -> std::io::Result<Sha256> {
    let mut hasher = Hasher::default();
    let mut reader = std::io::BufReader::with_capacity(256 << 10, reader);
    std::io::copy(&mut reader, &mut hasher)?;
    Ok(hasher.digest())
}

/// Returns whether Sysforge or Pkg filled this folder.
fn is_of_results(folder: &Path) -> bool {
    OF_RESULTS.iter().any(|name| folder.join(name).is_file())
}

/// Returns whether this is a key or a signature of releases: the first line of minisign's files
/// says so.
fn is_signing_key(path: &Path) -> bool {
    const FIRST: &[u8] = b"untrusted comment: ";
    const MADE_BY: &[u8] = b"minisign";
    let extension = path.extension();
    if !extension.is_some_and(|end| ["pub", "key", "minisig"].iter().any(|name| end == *name)) {
        return false;
    }
    let mut beginning = Vec::new();
    let read = std::fs::File::open(path).map(|file| file.take(200).read_to_end(&mut beginning));
    let line = beginning.split(|byte| *byte == b'\n').next();
    let comment = line.and_then(|line| line.strip_prefix(FIRST));
    let is_signature = extension.is_some_and(|end| end == "minisig");
    let is_key = |text: &[u8]| text.windows(MADE_BY.len()).any(|word| word == MADE_BY);
    matches!(read, Ok(Ok(_))) && comment.is_some_and(|text| is_signature || is_key(text))
}

/// Returns which of [`DOCUMENTS`] this is, by its name.
pub(crate) fn document(path: &Path) -> Option<&'static str> {
    let extension = path.extension().map(|end| end.to_string_lossy());
    let extension = extension.map(|end| end.to_ascii_lowercase());
    let fits = |end: &String| DOCUMENT_EXTENSIONS.contains(&end.as_str());
    let stem = path.file_stem()?.to_string_lossy().to_ascii_lowercase();
    let name = DOCUMENTS.into_iter().find(|name| *name == stem);
    name.filter(|_| extension.as_ref().is_none_or(fits))
}

/// Returns which of [`DOCUMENTS`] and [`LISTINGS`] occur in a file of any language.
fn mentions(content: &[u8]) -> Vec<String> {
    static WORDS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
        let words = DOCUMENTS.iter().chain(&LISTINGS);
        let searcher = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .build(words);
        searcher.ok()
    });
    let all = || DOCUMENTS.iter().chain(&LISTINGS);
    let found: BTreeSet<usize> = match &*WORDS {
        Some(words) => {
            let hits = words.find_overlapping_iter(content);
            hits.map(|hit| hit.pattern().as_usize()).collect()
        }
        None => (0..all().count()).collect(),
    };
    let words = all().enumerate().filter(|(index, _)| found.contains(index));
    words.map(|(_, word)| (*word).to_owned()).collect()
}

/// Returns whether this is a launcher written by `sysforge install`.
fn is_launcher(content: &[u8]) -> bool {
    let beginning = &content[..content.len().min(1000)];
    let beginning = String::from_utf8_lossy(beginning);
    let is_script = ["#!/bin/sh", "@echo off"].map(|first| beginning.starts_with(first));
    let mut lines = beginning.lines().take(2);
    is_script.contains(&true) && lines.any(|line| line.trim_end().ends_with(LAUNCHER_MARK))
}

/// Returns the prefix of the names of a build's results if `name` is that of its receipt.
fn built(name: &str) -> Option<String> {
    let stem = name.strip_suffix(".receipt.json")?;
    (!stem.is_empty()).then(|| format!("{stem}."))
}

/// Removes `.` and `..` from a path.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Returns the files that a Julia source refers to by relative paths: `include("…")`,
/// `include(f, "…")`, `Base.include(module, "…")`, `include_dependency("…")`, and
/// `joinpath(@__DIR__, "…", …)`. They may be outside of the package's folder. Names computed in other ways
/// are not found.
fn references(source: &str) -> Vec<String> {
    let mut found = Vec::new();
    for call in ["include(", "include_dependency("] {
        for (at, _) in source.match_indices(call) {
            let arguments = source[at + call.len()..].trim_start();
            let second = || {
                arguments
                    .split_once(',')
                    .map(|(_, second)| second.trim_start())
            };
            let path = string(arguments).or_else(|| string(second()?));
            found.extend(path.map(|(text, _)| text));
        }
    }
    for call in ["joinpath(", "abspath(", "normpath("] {
        for (at, _) in source.match_indices(call) {
            found.extend(below_here(source[at + call.len()..].trim_start()));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Parses the arguments `@__DIR__, "…", …`, or those with a parent of this folder, and returns the path that
/// they make.
fn below_here(arguments: &str) -> Option<String> {
    let here = [
        "@__DIR__()",
        "@__DIR__",
        "dirname(@__FILE__())",
        "dirname(@__FILE__)",
    ];
    let mut rest = arguments;
    let mut up = String::new();
    while let Some(inner) = rest
        .strip_prefix("dirname(")
        .filter(|r| !r.starts_with("@__FILE"))
    {
        up.push_str("../");
        rest = inner.trim_start();
    }
    let mut rest = here.iter().find_map(|here| rest.strip_prefix(here))?;
    rest = rest.trim_start_matches([')', ' ']);
    let mut parts = vec![up.trim_end_matches('/').to_owned()];
    while let Some(next) = rest.trim_start().strip_prefix(',') {
        let Some((text, after)) = string(next.trim_start()) else {
            break;
        };
        parts.push(text);
        rest = after;
    }
    parts.retain(|part| !part.is_empty());
    (!parts.is_empty()).then(|| parts.join("/"))
}

/// Parses a string without interpolation or escapes at the start of the text, and returns the rest.
fn string(text: &str) -> Option<(String, &str)> {
    let text = text.strip_prefix('"')?;
    let (inner, after) = text.split_once('"')?;
    let plain = !inner.is_empty() && !inner.contains(['$', '\\', '\n']);
    plain.then(|| (inner.to_owned(), after))
}

#[cfg(test)]
#[path = "tree/tests.rs"]
mod tests;
