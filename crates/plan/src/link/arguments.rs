//! The argument vectors of a link, in the syntax of each linker.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::library::LibraryLink;
use crate::platform::{Arch, Os, Triplet};

/// The syntax of a program's arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Flavour {
    /// A compiler driver: gcc, clang, `zig cc`.
    Driver {
        /// Whether it is zig, which supports fewer options.
        zig: bool,
    },
    /// A linker that takes GNU ld's arguments, for ELF and for PE (`-m i386pep`).
    Gnu,
    /// A linker that takes Apple ld's arguments.
    Darwin,
    /// A linker that takes Microsoft link's arguments.
    Link,
}

/// A file that is linked in whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// Whether it is an archive. By default, a linker takes only the referenced members of one.
    pub archive: bool,
}

/// All inputs and settings of a link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkSpec {
    /// The target platform.
    pub triplet: Triplet,
    /// The files that are linked in whole.
    pub inputs: Vec<Input>,
    /// The file to write.
    pub output: PathBuf,
    /// The image's name: SONAME or install name.
    pub name: String,
    /// The paths of Julia's libraries.
    pub libraries: Vec<PathBuf>,
    /// The paths of further libraries, for linkers used without a compiler driver.
    pub further_libraries: Vec<PathBuf>,
    /// The folders in which the dependencies of the libraries are looked up.
    pub library_dirs: Vec<PathBuf>,
    /// The image's run paths.
    pub run_paths: Vec<String>,
    /// The export list, in the format of the system (see [`crate::link::exports`]).
    pub exports: Option<PathBuf>,
    /// Whether the objects define the entry point of a DLL (Julia ≥1.9 on Windows).
    pub has_entry: bool,
    /// The toolchain's object that otherwise defines it (`dllcrt2.o`); a compiler driver adds it
    /// automatically.
    pub start_object: Option<PathBuf>,
    /// Whether symbols and debug sections are stripped.
    pub strip: bool,
    /// The oldest macOS that the image supports, for example `11.0`.
    pub minimum_macos: String,
    /// The path of a script for GNU ld with the text [`NOT_FOR_GNU_PE`].
    pub discard: Option<PathBuf>,
    /// A folder in which the driver looks for linkers first.
    pub shims: Option<PathBuf>,
    /// The settings of a C library, in addition to those of an image.
    pub library: Option<LibraryLink>,
}

/// A linker script that discards two debug sections of LLVM's. GNU ld's default script for PE does
/// not know them and places them below the image base ("section below image base"); Windows cannot
/// load such a DLL (error 193). Only debuggers that search by name use these sections. `INSERT`
/// adds the script to the linker's default instead of replacing it (the GNU ld manual, "INSERT").
pub const NOT_FOR_GNU_PE: &str = "SECTIONS { /DISCARD/ : \
    { *(.debug_gnu_pubnames) *(.debug_gnu_pubtypes) } }\nINSERT AFTER .debug_info;\n";

/// Writes `DT_RPATH`, which also applies to dependencies of the libraries, instead of `DT_RUNPATH`.
/// The program that opens a C library has not loaded Julia's libraries, and libjulia may have no
/// run path.
const TRANSITIVE: &str = "--disable-new-dtags";

impl LinkSpec {
    /// Returns the arguments that follow the command.
    pub fn arguments(&self, flavour: Flavour) -> Vec<OsString> {
        let mut words = Words(Vec::new());
        match flavour {
            Flavour::Driver { zig } => self.driver(zig, &mut words),
            Flavour::Gnu if self.triplet.os() == Os::Windows => self.gnu_pe(&mut words),
            Flavour::Gnu => self.gnu_elf(&mut words),
            Flavour::Darwin => self.darwin(&mut words),
            Flavour::Link => self.link(&mut words),
        }
        words.0
    }

    fn driver(&self, zig: bool, words: &mut Words) {
        if let Some(dir) = &self.shims {
            words.joined("-B", dir);
        }
        if self.triplet.os() == Os::MacOs {
            return self.apple_driver(zig, words);
        }
        words.add("-shared").add("-o").add(&self.output);
        for input in &self.inputs {
            if input.archive {
                words
                    .add("-Wl,--whole-archive")
                    .add(&input.path)
                    .add("-Wl,--no-whole-archive");
            } else {
                words.add(&input.path);
            }
        }
        words.all(&self.libraries);
        if self.triplet.os() == Os::Windows {
            if self.has_entry {
                // The toolchain's start-up object defines the same symbol.
                words.linker("--allow-multiple-definition");
            }
            // So that the DLL loads without the toolchain's folder in PATH.
            words.add("-static-libgcc");
            words.all(self.exports.as_ref());
            if let Some(library) = &self.library {
                words.linker("--out-implib").linker(&library.import_library);
            }
            if let Some(script) = &self.discard {
                words.add("-T").add(script);
            }
        } else {
            // zig does not support this option, and like lld does not need it.
            for dir in self.library_dirs.iter().filter(|_| !zig) {
                words.linker("-rpath-link").linker(dir);
            }
            words.linker("-soname").linker(&self.name);
            if !self.run_paths.is_empty() {
                words.linker("-rpath").linker(self.run_paths.join(":"));
                if self.library.is_some() {
                    words.linker(TRANSITIVE);
                }
            }
            if let Some(exports) = &self.exports {
                words.linker(joined("--version-script=", exports));
            }
            if zig {
                // zig links against the oldest glibc that its target names.
                words.add("-lm");
            } else {
                // No C library: linked against this machine's, the image would need the newest
                // version of `pow` or `fmod` (glibc 2.29, 2.38) and would not load on older
                // systems. The process that loads the image provides them all, in any version.
                words.add("-nostdlib").add("-lgcc");
            }
        }
        if self.strip {
            words.add("-Wl,-s");
        }
    }

    fn apple_driver(&self, zig: bool, words: &mut Words) {
        words.add("-dynamiclib");
        if !zig {
            words.add("-arch").add(apple_arch(self.triplet.arch()));
            words.add(format!("-mmacosx-version-min={}", self.minimum_macos));
        }
        words.add("-o").add(&self.output);
        for input in &self.inputs {
            if !input.archive {
                words.add(&input.path);
            } else if zig {
                // zig accepts only the `-Wl,` form.
                words.add(joined("-Wl,-force_load,", &input.path));
            } else {
                words.linker("-force_load").linker(&input.path);
            }
        }
        words.all(&self.libraries);
        words.add("-install_name").add(&self.name);
        self.apple_versions(words);
        for path in &self.run_paths {
            words.linker("-rpath").linker(path);
        }
        if let Some(exports) = self.exports.as_ref().filter(|_| !zig) {
            words.linker("-exported_symbols_list").linker(exports);
        }
        if self.strip {
            // Strips debug information, then local symbols.
            words.add("-Wl,-S").add("-Wl,-x");
        }
    }

    fn gnu_elf(&self, words: &mut Words) {
        words.add("-shared").add("-o").add(&self.output);
        // A compiler driver passes these two. Without the first, exceptions and backtraces cannot
        // unwind the image's frames.
        words.add("--eh-frame-hdr").add("-z").add("noexecstack");
        self.whole(words);
        words.all(&self.libraries);
        for dir in &self.library_dirs {
            words.add("-rpath-link").add(dir);
        }
        words.add("-soname").add(&self.name);
        if !self.run_paths.is_empty() {
            words.add("-rpath").add(self.run_paths.join(":"));
            if self.library.is_some() {
                words.add(TRANSITIVE);
            }
        }
        if let Some(exports) = &self.exports {
            words.joined("--version-script=", exports);
        }
        words.all(&self.further_libraries);
        if self.strip {
            words.add("-s");
        }
    }

    /// Follows Julia's recipe for package images (`base/linking.jl`).
    fn gnu_pe(&self, words: &mut Words) {
        words.add("-m").add(match self.triplet.arch() {
            Arch::I686 => "i386pe",
            _ => "i386pep",
        });
        words
            .add("-Bdynamic")
            .add("--enable-auto-image-base")
            .add("--allow-multiple-definition");
        words.add("-shared").add("-o").add(&self.output);
        match &self.start_object {
            // lld's default entry point of a DLL has the same name as Julia's.
            _ if self.has_entry => {}
            Some(object) => {
                words.add(object).add("-e").add(TOOLCHAIN_ENTRY);
            }
            None => {
                words.add("-Xlink=-noentry");
            }
        }
        self.whole(words);
        words.all(&self.libraries);
        words.all(&self.further_libraries);
        words.all(self.exports.as_ref());
        if let Some(library) = &self.library {
            words.add("--out-implib").add(&library.import_library);
        }
        if self.strip {
            words.add("-s");
        }
    }

    /// Adds the versions that a library for macOS stores; clang and both linkers accept the same
    /// arguments.
    fn apple_versions(&self, words: &mut Words) {
        if let Some(library) = &self.library {
            words
                .add("-compatibility_version")
                .add(library.compatible.to_string())
                .add("-current_version")
                .add(library.version.to_string());
        }
    }

    fn darwin(&self, words: &mut Words) {
        words
            .add("-dylib")
            .add("-arch")
            .add(apple_arch(self.triplet.arch()));
        words
            .add("-platform_version")
            .add("macos")
            .add(&self.minimum_macos)
            .add(&self.minimum_macos);
        words.add("-o").add(&self.output);
        for input in &self.inputs {
            if input.archive {
                words.add("-force_load");
            }
            words.add(&input.path);
        }
        words.all(&self.libraries);
        words.all(&self.further_libraries);
        words.add("-install_name").add(&self.name);
        self.apple_versions(words);
        for path in &self.run_paths {
            words.add("-rpath").add(path);
        }
        if let Some(exports) = &self.exports {
            words.add("-exported_symbols_list").add(exports);
        }
        if self.strip {
            words.add("-S").add("-x");
        }
        // macOS on ARM refuses unsigned code; by default lld signs only for that platform.
        words.add("-adhoc_codesign");
    }

    fn link(&self, words: &mut Words) {
        words
            .add("/nologo")
            .add("/dll")
            .add("/lldmingw")
            .add("/nodefaultlib")
            .joined("/out:", &self.output);
        words.add(match self.triplet.arch() {
            Arch::I686 => "/machine:x86",
            _ => "/machine:x64",
        });
        match &self.start_object {
            _ if self.has_entry => {
                words.add(format!("/entry:{JULIA_ENTRY}"));
            }
            Some(object) => {
                words.add(object).add(format!("/entry:{TOOLCHAIN_ENTRY}"));
                words.add("/alternatename:__image_base__=__ImageBase");
            }
            None => {
                words.add("/noentry");
            }
        }
        for input in &self.inputs {
            if input.archive {
                words.joined("/wholearchive:", &input.path);
            } else {
                words.add(&input.path);
            }
        }
        words.all(&self.libraries);
        words.all(&self.further_libraries);
        if let Some(exports) = &self.exports {
            words.joined("/def:", exports);
        }
        if let Some(library) = &self.library {
            words.joined("/implib:", &library.import_library);
        }
    }

    fn whole(&self, words: &mut Words) {
        words.add("--whole-archive");
        for input in &self.inputs {
            words.add(&input.path);
        }
        words.add("--no-whole-archive");
    }
}

/// The entry point that Julia ≥1.9 gives an image on Windows (`src/aotcompile.cpp`).
pub const JULIA_ENTRY: &str = "_DllMainCRTStartup";

/// The entry point in the start-up object of mingw-w64 (`dllcrt2.o`).
pub const TOOLCHAIN_ENTRY: &str = "DllMainCRTStartup";

/// Apple's name of an architecture.
const fn apple_arch(arch: Arch) -> &'static str {
    match arch {
        Arch::Aarch64 => "arm64",
        _ => "x86_64",
    }
}

fn joined(prefix: &str, path: &Path) -> OsString {
    let mut word = OsString::from(prefix);
    word.push(path);
    word
}

struct Words(Vec<OsString>);

impl Words {
    fn add(&mut self, word: impl AsRef<OsStr>) -> &mut Self {
        self.0.push(word.as_ref().to_owned());
        self
    }

    fn all(&mut self, paths: impl IntoIterator<Item = impl AsRef<OsStr>>) {
        for path in paths {
            self.add(path);
        }
    }

    fn joined(&mut self, prefix: &str, path: &Path) -> &mut Self {
        self.add(joined(prefix, path))
    }

    /// Adds an argument for the linker behind the driver. `-Wl,` would split it at commas.
    fn linker(&mut self, word: impl AsRef<OsStr>) -> &mut Self {
        self.add("-Xlinker").add(word)
    }
}
