//! Creating the folder of an app.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sysforge_build::inspect::inspect;
use sysforge_files::{canonical_or_given, read_regular};
use sysforge_plan::app::BundledFile;
use sysforge_plan::text::{TreeHash, shortened};
use sysforge_plan::{JuliaFacts, Os};

use crate::copy::{LIBRARY_LIMIT, Target};
use crate::error::BundleError;
use crate::launcher::{self, Described};
use crate::layout::{Layout, slashed};
use crate::libraries::{self, Compiler, Needed, Origin, SharedLibrary};
use crate::library::LibraryFiles;

/// Julia's own folder in a bundle: the depot and the load path of its apps.
const SHARE: &str = "share/julia";

/// The inputs of a bundle.
#[derive(Debug, Clone, Copy)]
pub struct Sources<'a> {
    /// The Julia that the image belongs to.
    pub julia: &'a JuliaFacts,
    /// The linked image.
    pub image: &'a Path,
    /// The name of the image's file in the bundle.
    pub image_name: &'a str,
    /// The apps.
    pub apps: &'a [Described],
    /// The artifacts, each with its folder on this machine.
    pub artifacts: &'a [(TreeHash, PathBuf)],
    /// The libraries that were open when the apps ended.
    pub opened: &'a [PathBuf],
    /// The packages in the image by name, each with its folder on this machine.
    pub packages: &'a [(String, PathBuf)],
    /// The names and UUIDs of all packages in the image.
    pub names: &'a [(String, String)],
    /// The folder of the environment with the preferences, if they are to be bundled.
    pub preferences: Option<&'a Path>,
    /// The C library that is made from the image, if it is one.
    pub library: Option<LibraryFiles<'a>>,
    /// Whether the bundle contains Julia's compiler.
    pub compiler: Compiler,
}

/// The result of assembling a bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assembled {
    /// Its files.
    pub files: Vec<BundledFile>,
    /// The libraries that the system must provide.
    pub system: BTreeSet<String>,
    /// The oldest system that can load every file.
    pub oldest_system: Option<String>,
}

/// Creates the bundle in `folder`, which must not exist yet.
///
/// # Errors
///
/// If a library or an artifact is missing, or a file cannot be copied.
pub fn assemble(sources: &Sources<'_>, folder: &Path) -> Result<Assembled, BundleError> {
    let Sources {
        julia,
        image,
        image_name,
        apps,
        artifacts,
        opened,
        ..
    } = *sources;
    let layout = Layout::of(julia);
    let folders: Vec<PathBuf> = artifacts.iter().map(|(_, folder)| folder.clone()).collect();
    let needed = libraries::needed(julia, image, opened, &folders, sources.compiler)?;
    let mut target = Target::create(folder)?;

    let (image_path, why) = match &sources.library {
        None => (
            Layout::image(image_name),
            "the image: the packages and their compiled code",
        ),
        Some(files) => (
            files.library.names.path(),
            "the library: the packages and their compiled code",
        ),
    };
    target.file(image, Path::new(&image_path), why)?;
    let preload = add_libraries(&mut target, &needed, &layout, julia)?;
    for app in apps {
        let path =
            Path::new("bin").join(app.file_name(julia.triplet.os().conventions().exe_suffix));
        let to = target.destination(&path)?;
        launcher::write(&to).map_err(BundleError::io("write", &to))?;
        target.note(&to, &path, "the launcher of the app")?;
        let text = app.text(&slashed(&layout.libjulia), &preload, &image_path);
        let path = Path::new("share/sysforge").join(format!("{}.app", app.name));
        target.text(&path, &text, "what the launcher has to know")?;
    }
    if let Some(files) = &sources.library {
        files.add(&mut target, julia.triplet.os())?;
        let text = files
            .library
            .description(&slashed(&layout.libjulia), &preload);
        let path = format!("share/sysforge/{}.library", files.library.config.name);
        target.text(Path::new(&path), &text, "what the init code has to know")?;
    }
    for (tree, from) in artifacts {
        if !from.is_dir() {
            return Err(BundleError::NoArtifact(from.clone()));
        }
        let path = Path::new(SHARE).join("artifacts").join(tree.as_str());
        target.tree(from, &path, "an artifact of the packages")?;
    }
    add_environment(&mut target, sources)?;
    add_runtime_files(&mut target, &layout, sources)?;
    add_licences(&mut target, &layout, sources)?;

    let libraries = needed
        .libraries
        .iter()
        .map(|library| library.source.as_path());
    let launchers = apps.iter().map(|app| {
        let suffix = julia.triplet.os().conventions().exe_suffix;
        folder.join("bin").join(app.file_name(suffix))
    });
    let launchers: Vec<PathBuf> = launchers.collect();
    let all = libraries
        .chain([image])
        .chain(launchers.iter().map(PathBuf::as_path));
    Ok(Assembled {
        oldest_system: oldest_system(all),
        files: target.finish(),
        system: needed.system,
    })
}

/// Copies the libraries, and creates their links. Returns those that are opened first: the
/// libraries of this system, each after its dependencies.
fn add_libraries(
    target: &mut Target,
    needed: &Needed,
    layout: &Layout,
    julia: &JuliaFacts,
) -> Result<Vec<String>, BundleError> {
    let folders = [
        (&julia.libdir, &layout.library_folder),
        (&julia.private_libdir, &layout.private_folder),
    ];
    // The deepest folder that contains a file decides its path.
    let mut folders = folders.map(|(from, to)| (canonical_or_given(from), to.clone()));
    folders.sort_by_key(|(from, _)| std::cmp::Reverse(from.components().count()));
    let place_of = |path: &Path| {
        folders
            .iter()
            .find_map(|(from, to)| Some(to.join(path.strip_prefix(from).ok()?)))
    };
    let mut places: BTreeMap<PathBuf, PathBuf> = BTreeMap::new();
    let mut preload = Vec::new();
    for SharedLibrary {
        source,
        why,
        origin,
    } in &needed.libraries
    {
        let destination = match origin {
            Origin::Julia => place_of(source).unwrap_or_else(|| {
                layout
                    .library_folder
                    .join(source.file_name().unwrap_or_default())
            }),
            Origin::System(name) => {
                let destination = layout.library_folder.join(name);
                preload.push(Preload {
                    path: slashed(&destination),
                    name: name.clone(),
                    needs: inspect(source)
                        .map(|found| found.needed)
                        .unwrap_or_default(),
                });
                destination
            }
        };
        // Where links were not kept, Julia's folder has a copy for each name of a library.
        let mut others = places.iter();
        let twin = others.find(|(other, _)| is_same(other, source));
        if let Some(twin) = twin.map(|(_, path)| path.clone()) {
            target.link(&destination, &twin)?;
            places.insert(source.clone(), twin);
            continue;
        }
        target.library(source, &destination, why)?;
        places.insert(source.clone(), destination);
    }
    for (folder, to) in &folders {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if !path.is_symlink() {
                continue;
            }
            let leads_to = sysforge_files::canonical(&path).ok();
            if let Some(destination) = leads_to.and_then(|leads_to| places.get(&leads_to)) {
                target.link(&to.join(entry.file_name()), destination)?;
            }
        }
    }
    // What they need of Julia's own libraries must be open before them: they have no path to it.
    let mut needs: Vec<String> = preload.iter().flat_map(|one| one.needs.clone()).collect();
    while let Some(name) = needs.pop() {
        let mut found = folders.iter().filter_map(|(folder, _)| {
            let source = sysforge_files::canonical(&folder.join(&name)).ok()?;
            Some((places.get(&source)?, source))
        });
        let Some((destination, source)) = found.next() else {
            continue;
        };
        if preload.iter().any(|one| one.name == name) {
            continue;
        }
        let below = inspect(&source).map(|found| found.needed);
        let below = below.unwrap_or_default();
        needs.extend(below.iter().cloned());
        preload.push(Preload {
            path: slashed(destination),
            name,
            needs: below,
        });
    }
    Ok(ordered(preload))
}

/// Whether two files have the same content. A file that cannot be read is reported when it is copied.
fn is_same(one: &Path, other: &Path) -> bool {
    let size = |path: &Path| path.metadata().ok().map(|file| file.len());
    let content = |path: &Path| read_regular(path, LIBRARY_LIMIT).ok();
    size(one).is_some() && size(one) == size(other) && content(one) == content(other)
}

/// A library that the launcher opens before libjulia: one of this system, or one of Julia's that such
/// a library needs.
struct Preload {
    path: String,
    name: String,
    needs: Vec<String>,
}

/// Returns the paths, each after its dependencies: the loader would look for those elsewhere.
fn ordered(mut libraries: Vec<Preload>) -> Vec<String> {
    let mut paths = Vec::new();
    while !libraries.is_empty() {
        let is_ready = |library: &Preload| {
            let others = libraries.iter().filter(|other| other.name != library.name);
            others
                .into_iter()
                .all(|other| !library.needs.contains(&other.name))
        };
        // Of libraries that depend on each other, any may be the first.
        let next = libraries.iter().position(is_ready).unwrap_or(0);
        paths.push(libraries.remove(next).path);
    }
    paths
}

/// Adds the environment that names the packages, with their preferences.
fn add_environment(target: &mut Target, sources: &Sources<'_>) -> Result<(), BundleError> {
    let mut project = toml::Table::new();
    let names = sources.names.iter();
    let deps = names.map(|(name, uuid)| (name.clone(), toml::Value::String(uuid.clone())));
    project.insert("deps".to_owned(), toml::Value::Table(deps.collect()));
    if let Some(folder) = sources.preferences {
        let read = |names: [&str; 2]| {
            let path = names.map(|name| folder.join(name));
            path.into_iter().find(|path| path.is_file())
        };
        if let Some(path) = read(["JuliaProject.toml", "Project.toml"]) {
            let text = sysforge_files::read_text(&path).map_err(BundleError::io("read", &path))?;
            // A file that Julia cannot parse would have failed before.
            let all: toml::Table = text.parse().unwrap_or_default();
            let kept = all
                .into_iter()
                .filter(|(key, _)| matches!(key.as_str(), "preferences" | "extras"));
            project.extend(kept);
        }
        if let Some(path) = read(["JuliaLocalPreferences.toml", "LocalPreferences.toml"]) {
            let name = path.file_name().unwrap_or_default();
            target.file(
                &path,
                &Path::new(SHARE).join(name),
                "the preferences of the packages",
            )?;
        }
    }
    let text = toml::to_string(&project).unwrap_or_default();
    target.text(
        &Path::new(SHARE).join("Project.toml"),
        &text,
        "the names of the packages",
    )
}

/// Adds files that Julia's own libraries read at run time.
fn add_runtime_files(
    target: &mut Target,
    layout: &Layout,
    sources: &Sources<'_>,
) -> Result<(), BundleError> {
    let certificates = Path::new(SHARE).join("cert.pem");
    let from = layout.prefix.join(&certificates);
    if from.is_file() {
        target.file(
            &from,
            &certificates,
            "the certificates of Julia's downloads",
        )?;
    }
    let unpacks = sources.names.iter().any(|(name, _)| name == "p7zip_jll");
    if !unpacks {
        return Ok(());
    }
    // Up to 1.8, Julia does not report where its helper programs are.
    let folders = ["libexec/julia", "libexec"].map(|path| layout.prefix.join(path));
    let folders = sources.julia.private_libexecdir.iter().chain(&folders);
    for entry in folders.flat_map(std::fs::read_dir).flatten().flatten() {
        let name = entry.file_name();
        let is_7z = name.to_string_lossy().starts_with("7z");
        if is_7z && let Ok(path) = entry.path().strip_prefix(&layout.prefix) {
            target.file(
                &entry.path(),
                path,
                "unpacks archives for Julia's downloads",
            )?;
        }
    }
    Ok(())
}

/// Adds the licences of Julia and of the packages.
fn add_licences(
    target: &mut Target,
    layout: &Layout,
    sources: &Sources<'_>,
) -> Result<(), BundleError> {
    let root = Path::new("share/licenses");
    let julia = [
        "LICENSE.md",
        "share/doc/julia/LICENSE.md",
        "share/julia/LICENSE.md",
    ];
    for path in julia
        .map(|path| layout.prefix.join(path))
        .iter()
        .filter(|path| path.is_file())
    {
        let name = path.file_name().unwrap_or_default();
        target.file(path, &root.join("julia").join(name), "the licence of Julia")?;
    }
    let third_party = layout.prefix.join("share/licenses");
    if third_party.is_dir() {
        target.tree(
            &third_party,
            &root.join("julia"),
            "the licence of a library of Julia",
        )?;
    }
    for (name, folder) in sources.packages {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let file = entry.file_name().to_string_lossy().to_uppercase();
            let is_licence = ["LICENSE", "LICENCE", "COPYING", "NOTICE"];
            let is_licence = is_licence.iter().any(|start| file.starts_with(start));
            if is_licence && entry.path().is_file() {
                let path = root.join(shortened(name, 200)).join(entry.file_name());
                target.file(&entry.path(), &path, "the licence of a package")?;
            }
        }
    }
    Ok(())
}

/// Returns the newest system that any of the files needs: `glibc 2.14`, `macOS 11.0`.
fn oldest_system<'a>(files: impl Iterator<Item = &'a Path>) -> Option<String> {
    let number = |text: &str| -> Vec<u32> {
        let number = text.rsplit(' ').next().unwrap_or_default();
        number
            .split('.')
            .map_while(|part| part.parse().ok())
            .collect()
    };
    let systems = files.filter_map(|file| inspect(file).ok()?.oldest_system);
    systems.max_by_key(|system| number(system))
}

/// Whether this Sysforge can make apps for this system: its launcher is for the platform that
/// Sysforge itself was built for.
pub fn is_supported(os: Os) -> bool {
    match os {
        Os::Linux => cfg!(target_os = "linux"),
        Os::MacOs => cfg!(target_os = "macos"),
        Os::Windows => cfg!(windows),
        Os::FreeBsd => cfg!(target_os = "freebsd"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(name: &str, needs: &[&str]) -> Preload {
        Preload {
            path: format!("lib/{name}"),
            name: name.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        }
    }

    #[test]
    fn a_library_is_opened_after_those_that_it_needs() {
        let cpp = library(
            "libstdc++.so.6",
            &["libm.so.6", "libgcc_s.so.1", "libc.so.6"],
        );
        let gcc = library("libgcc_s.so.1", &["libc.so.6"]);
        let sorted = ["lib/libgcc_s.so.1", "lib/libstdc++.so.6"];
        assert_eq!(ordered(vec![cpp, gcc]), sorted);
        let circle = vec![library("a", &["b"]), library("b", &["a"])];
        assert_eq!(ordered(circle), ["lib/a", "lib/b"]);
    }
}
