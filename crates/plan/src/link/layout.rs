//! The table of operating systems and Julia generations: the libraries that a sysimage is linked
//! against, the folders that contain them, and the names and run paths of the image. It is the only
//! source of these facts: the code reads it, and `docs/` prints it ([`markdown`]).

use std::path::PathBuf;

use crate::generation::Generation;
use crate::julia::JuliaFacts;
use crate::link::strategy::Strategy;
use crate::platform::Os;

/// A directory of a Julia, by Julia's own name for it. The path is always queried from the Julia in
/// use: official, Debian and Windows layouts differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dir {
    /// The folder of `libjulia` (`Base.LIBDIR`; `bin` on Windows).
    Lib,
    /// The folder of the private libraries (`Base.PRIVATE_LIBDIR`).
    PrivateLib,
    /// The folder of import libraries on Windows (`lib`, a sibling of `bin`).
    ImportLib,
}

/// One row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The operating system.
    pub os: Os,
    /// The Julia generation.
    pub generation: &'static Generation,
    /// The folders in which the libraries are looked up, in order.
    pub library_dirs: &'static [Dir],
    /// Run paths of the image. The process that opens a sysimage has already loaded `libjulia`, so
    /// these matter only to programs that link against the image itself.
    pub run_paths: &'static [&'static str],
    /// Libraries of the C toolchain for a linker without a compiler driver. Missing ones are
    /// skipped.
    pub toolchain_libraries: &'static [&'static str],
}

/// Julia's recipe for package images on Windows (`base/linking.jl`), with `openlibm`, which it
/// contained up to 1.11, and `mingw32` and `mingwex`, which provide functions missing in msvcrt.
/// The static `gcc` comes before `gcc_s`, so that the image needs no further DLL.
const WINDOWS_TOOLCHAIN: &[&str] = &[
    "openlibm", "ssp", "gcc", "gcc_s", "mingw32", "mingwex", "msvcrt", "kernel32",
];

impl Layout {
    /// Returns the row for this operating system and generation.
    pub const fn of(os: Os, generation: &'static Generation) -> Self {
        match os {
            Os::Linux | Os::FreeBsd => Self {
                os,
                generation,
                library_dirs: &[Dir::Lib, Dir::PrivateLib],
                run_paths: &["$ORIGIN", "$ORIGIN/julia"],
                toolchain_libraries: &[],
            },
            Os::MacOs => Self {
                os,
                generation,
                library_dirs: &[Dir::Lib, Dir::PrivateLib],
                run_paths: &["@executable_path", "@executable_path/julia"],
                toolchain_libraries: &[],
            },
            Os::Windows => Self {
                os,
                generation,
                library_dirs: &[Dir::ImportLib, Dir::Lib, Dir::PrivateLib],
                run_paths: &[],
                toolchain_libraries: WINDOWS_TOOLCHAIN,
            },
        }
    }

    /// Returns the directories of `julia` in which its libraries are looked up, without duplicates.
    pub fn directories(&self, julia: &JuliaFacts) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for dir in self.library_dirs {
            let path = match dir {
                Dir::Lib => julia.libdir.clone(),
                Dir::PrivateLib => julia.private_libdir.clone(),
                Dir::ImportLib => match julia.bindir.parent() {
                    Some(prefix) => prefix.join("lib"),
                    None => continue,
                },
            };
            if !found.contains(&path) {
                found.push(path);
            }
        }
        found
    }

    /// Returns the possible file names of library `name` (without `lib`) in these directories, best
    /// first.
    pub fn file_names(&self, name: &str, version: (u64, u64)) -> Vec<String> {
        let (major, minor) = version;
        match self.os {
            Os::Linux | Os::FreeBsd => vec![
                format!("lib{name}.so"),
                format!("lib{name}.so.{major}.{minor}"),
                format!("lib{name}.so.{major}"),
            ],
            Os::MacOs => vec![
                format!("lib{name}.dylib"),
                format!("lib{name}.{major}.{minor}.dylib"),
                format!("lib{name}.{major}.dylib"),
                format!("lib{name}.tbd"),
            ],
            Os::Windows => vec![format!("lib{name}.dll.a"), format!("lib{name}.dll")],
        }
    }

    /// Returns the name by which the image refers to the library `name` at run time, for this
    /// version of Julia.
    pub fn needed_name(&self, name: &str, version: (u64, u64)) -> String {
        let (major, minor) = version;
        let suffix = if self.generation.minor_in_names {
            format!("{major}.{minor}")
        } else {
            major.to_string()
        };
        match self.os {
            Os::Linux | Os::FreeBsd => format!("lib{name}.so.{suffix}"),
            Os::MacOs => format!("@rpath/lib{name}.{suffix}.dylib"),
            Os::Windows => format!("lib{name}.dll"),
        }
    }

    /// Returns the name stored in the image, for an image file called `file`.
    pub fn image_name(&self, file: &str) -> String {
        match self.os {
            Os::MacOs => format!("@rpath/{file}"),
            Os::Linux | Os::FreeBsd | Os::Windows => file.to_owned(),
        }
    }

    /// Returns the compiler driver flags that correspond to the row, as printed in the
    /// documentation.
    const fn flags(&self) -> &'static str {
        match self.os {
            Os::Linux | Os::FreeBsd => {
                "`-shared --whole-archive … --no-whole-archive --version-script`"
            }
            Os::MacOs => "`-dynamiclib -force_load … -exported_symbols_list`, signed ad hoc last",
            Os::Windows => "`-shared --whole-archive … --no-whole-archive`, `.def` file",
        }
    }
}

/// The operating systems, in the order of the documentation.
const SYSTEMS: [Os; 4] = [Os::Linux, Os::MacOs, Os::Windows, Os::FreeBsd];

/// Returns the tables as Markdown: first what depends on the operating system only, then what also
/// depends on the Julia version.
pub fn markdown() -> String {
    systems() + &libraries()
}

/// Returns a list for each system: a table would be too wide to read.
fn systems() -> String {
    let mut text = String::new();
    let ships = Generation::all().iter().find(|row| row.ships_lld);
    let newest = &Generation::all()[Generation::all().len() - 1];
    for os in SYSTEMS {
        let layout = Layout::of(os, newest);
        let dirs = layout.library_dirs.iter().map(|dir| match dir {
            Dir::Lib => "`Base.LIBDIR`",
            Dir::PrivateLib => "`Base.PRIVATE_LIBDIR`",
            Dir::ImportLib => "`lib`",
        });
        let run_paths = layout.run_paths.iter().map(|path| format!("`{path}`"));
        let order = Strategy::order(os, newest);
        let linkers = order.iter().map(|strategy| match (strategy, ships) {
            (Strategy::JuliaLld, Some(Generation { since, .. })) => {
                format!("{} (from {}.{} on)", strategy.title(os), since.0, since.1)
            }
            _ => strategy.title(os).to_owned(),
        });
        let image = layout.image_name(&format!("NAME.{}", os.conventions().library_extension));
        let facts = [
            (
                "libraries are looked for in",
                dirs.collect::<Vec<_>>().join(", "),
            ),
            ("the image's name", format!("`{image}`")),
            ("run paths", run_paths.collect::<Vec<_>>().join(", ")),
            ("flags", layout.flags().to_owned()),
            (
                "linkers, in this order",
                linkers.collect::<Vec<_>>().join("; "),
            ),
        ];
        text.push_str(&format!("**{os}**\n\n"));
        for (name, fact) in facts.iter().filter(|(_, fact)| !fact.is_empty()) {
            text.push_str(&format!("- {name}: {fact}\n"));
        }
        text.push('\n');
    }
    text
}

fn libraries() -> String {
    let mut text = String::from(
        "| system | Julia | linked against | needed at run time |\n|---|---|---|---|\n",
    );
    let rows = Generation::all();
    for os in SYSTEMS {
        let cells = |generation: &'static Generation| {
            let layout = Layout::of(os, generation);
            let each = |name: &dyn Fn(&str) -> String| {
                let names = generation.libraries.iter();
                let names = names.map(|library| format!("`{}`", name(library)));
                names.collect::<Vec<_>>().join(" ")
            };
            format!(
                "{} | {}",
                each(&|name| format!("lib{name}")),
                each(&|name| layout.needed_name(name, generation.since))
            )
        };
        let cells: Vec<_> = rows.iter().map(cells).collect();
        let mut first = 0;
        // Generations with the same requirements share a line.
        for same in cells.chunk_by(|a, b| a == b) {
            let (major, minor) = rows[first].since;
            first += same.len();
            let julia = match rows.get(first).map(|next| next.since.1 - 1) {
                None => format!("≥{major}.{minor}"),
                Some(last) if last == minor => format!("{major}.{minor}"),
                Some(last) => format!("{major}.{minor}–{major}.{last}"),
            };
            text.push_str(&format!("| {os} | {julia} | {} |\n", same[0]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLATFORMS: &str = include_str!("../../../../docs/src/reference/platforms.md");

    #[test]
    fn the_documentation_prints_this_table() {
        assert!(
            PLATFORMS.contains(&markdown()),
            "docs/src/reference/platforms.md shows another table; the one it should show is \
             printed by `cargo test -p sysforge-plan print_the_link_table -- --ignored --nocapture`"
        );
    }

    #[test]
    #[ignore = "prints the table for docs/src/reference/platforms.md"]
    fn print_the_link_table() {
        println!("{}", markdown());
    }

    #[test]
    fn names_carry_the_minor_version_since_1_10() {
        let needed = |os, minor| {
            let generation = Generation::of(&crate::JuliaVersion::new(1, minor, 0)).unwrap();
            Layout::of(os, generation).needed_name("julia", (1, minor))
        };
        assert_eq!(needed(Os::Linux, 9), "libjulia.so.1");
        assert_eq!(needed(Os::Linux, 12), "libjulia.so.1.12");
        assert_eq!(needed(Os::MacOs, 12), "@rpath/libjulia.1.12.dylib");
        assert_eq!(needed(Os::Windows, 12), "libjulia.dll");
    }
}
