//! C libraries: the functions of a package that are callable from C, the files of a library in
//! addition to those of an app, and calling it from its unpacked archive.

use std::path::{Path, PathBuf};

use sysforge_build::{Context, Script};
use sysforge_files::write_whole;
use sysforge_plan::config;
use sysforge_plan::library::{
    CallRecord, FunctionRecord, INIT_HEADER, Interface, InterfaceError, LibraryCall, LibraryLink,
    LibraryNames, LibraryRecord, LibraryVersion, TypedCall, cmake_config, cmake_version, header,
    init_header, julia_string, pkg_config,
};
use sysforge_plan::text::shortened;
use sysforge_plan::{JuliaFacts, Os, Task};

use crate::copy::Target;
use crate::error::BundleError;
use crate::layout::{Layout, slashed};

/// The initialization code (`src/c/init.c`) as an object file, for the platform that this Sysforge
/// was built for.
pub const INIT_OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init.o"));

/// The program that calls libraries (`crates/launcher/src/caller.rs`), for the same platform.
pub const CALLER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/caller"));

pub(crate) const INTERFACE: &str = include_str!("julia/interface.jl");

/// A C library to make.
#[derive(Debug, Clone)]
pub struct Library {
    /// Its configuration.
    pub config: config::Library,
    /// The package with the functions.
    pub package: String,
    /// Its UUID.
    pub uuid: String,
    /// The version.
    pub version: LibraryVersion,
    /// The names of its files.
    pub names: LibraryNames,
}

impl Library {
    /// Creates the library of the plan for `os`.
    pub fn new(
        config: &config::Library,
        package: &str,
        uuid: &str,
        version: LibraryVersion,
        os: Os,
    ) -> Self {
        Self {
            config: config.clone(),
            package: package.to_owned(),
            uuid: uuid.to_owned(),
            version,
            names: LibraryNames::of(os, &config.name, version, config.compat_level),
        }
    }

    /// Refuses a name that a library of Julia has: one of the two would hide the other.
    ///
    /// # Errors
    ///
    /// [`BundleError::NameTaken`].
    pub fn require_free_name(&self, julia: &JuliaFacts) -> Result<(), BundleError> {
        let name = self.config.name.to_lowercase();
        for folder in [&julia.libdir, &julia.private_libdir] {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                let file = entry.file_name().to_string_lossy().to_lowercase();
                let stem = file.split('.').next().unwrap_or(&file);
                let is_library =
                    file.contains(".so") || file.ends_with(".dylib") || file.ends_with(".dll");
                if is_library && (stem == name || stem.strip_prefix("lib") == Some(&name)) {
                    return Err(BundleError::NameTaken {
                        name: self.config.name.clone(),
                        file: entry.path(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Asks Julia which functions of the package are callable from C.
    ///
    /// # Errors
    ///
    /// If the package cannot be loaded, or cannot be made into a library.
    pub async fn interface(
        &self,
        context: &Context,
        task: &Task,
    ) -> Result<Interface, BundleError> {
        let script = context.work.path("interface.jl");
        write_whole(&script, INTERFACE.as_bytes()).map_err(BundleError::io("write", &script))?;
        let output = context.work.path("interface.txt");
        let _ = std::fs::remove_file(&output);
        let program = context
            .julia(context.environment.for_julia(), "interface")
            .args(context.without_package_images())
            .arg(&script)
            .arg(&output)
            .args([&self.package, &self.uuid])
            .args(&self.config.init)
            .directory(&context.project);
        let ran = context.children.run(&program, task).await;
        ran.map_err(|source| BundleError::Interface {
            package: self.package.clone(),
            source: Box::new(source),
        })?;
        let text = sysforge_files::read_text(&output).map_err(BundleError::io("read", &output))?;
        let interface: Interface =
            serde_json::from_str(&text).map_err(BundleError::InterfaceFile)?;
        interface.check(&self.package)?;
        self.calls(&interface)?;
        Ok(interface)
    }

    /// Returns the calls that the library is traced and checked with.
    ///
    /// # Errors
    ///
    /// If one does not name a function, or its arguments do not fit.
    pub fn calls(&self, interface: &Interface) -> Result<Vec<TypedCall>, InterfaceError> {
        let mut given = self.config.calls.clone();
        if given.is_empty() {
            let simple = interface.functions.iter().find(|function| {
                let call = of_none(&function.name);
                function.parameters.is_empty() && TypedCall::new(function, &call).is_ok()
            });
            given.extend(simple.map(|function| of_none(&function.name)));
        }
        let calls = given.iter().map(|call| {
            let function = interface.function(&self.package, &call.function)?;
            TypedCall::new(function, call).map_err(|source| InterfaceError::Call {
                call: shortened(&call.function, 100),
                source,
            })
        });
        calls.collect()
    }

    /// Writes the script that uses the library as a C program does, as far as this involves Julia.
    /// It is a workload: the image should contain the code that it compiles.
    ///
    /// # Errors
    ///
    /// If it cannot be written, or a call does not fit.
    pub fn script(&self, interface: &Interface, folder: &Path) -> Result<Script, BundleError> {
        sysforge_files::create_folders(folder).map_err(BundleError::io("create", folder))?;
        let path = folder.join("library.jl");
        let text = self.script_text(interface)?;
        write_whole(&path, text.as_bytes()).map_err(BundleError::io("write", &path))?;
        Ok(Script {
            path,
            args: Vec::new(),
            prefix: Vec::new(),
            options: self
                .options()
                .into_iter()
                // The process that runs the workload needs the handlers.
                .filter(|option| !option.starts_with("--handle-signals"))
                .collect(),
        })
    }

    fn script_text(&self, interface: &Interface) -> Result<String, BundleError> {
        let mut lines = vec![
            "# Calls the functions of a C library. Written by Sysforge.".to_owned(),
            "empty!(ARGS)".to_owned(),
            format!(
                "const package = Base.require(Base.PkgId(Base.UUID(\"{}\"), \"{}\"))",
                self.uuid, self.package
            ),
            "at(path) = foldl(getfield, map(Symbol, path); init = package)".to_owned(),
        ];
        for function in &self.config.init {
            lines.push(format!("Base.invokelatest(at({}))", path_literal(function)));
        }
        for call in self.calls(interface)? {
            let function = interface.function(&self.package, &call.function)?;
            let own = function.julia.as_ref().unwrap_or(&function.name);
            let modules = function
                .module
                .split('.')
                .skip_while(|part| *part != self.package);
            let modules = modules.skip(1).collect::<Vec<_>>().join(".");
            let path = match modules.is_empty() {
                true => own.clone(),
                false => format!("{modules}.{own}"),
            };
            let names: Vec<_> = (1..=call.args.len()).map(|n| format!("a{n}")).collect();
            let bound = names.iter().zip(&call.args);
            let bound = bound.map(|(name, word)| format!("{name} = {}", word.julia));
            let bound = bound.collect::<Vec<_>>().join(", ");
            let passed = names.iter().zip(&call.args);
            let passed = passed.map(|(name, word)| word.pass.replace('@', name));
            let passed: Vec<_> = std::iter::once(format!("at({})", path_literal(&path)))
                .chain(passed)
                .collect();
            lines.push(format!(
                "let {bound}\n    GC.@preserve {} Base.invokelatest({})\nend",
                names.join(" "),
                passed.join(", ")
            ));
        }
        Ok(lines.join("\n") + "\n")
    }

    /// Returns the Julia options that are always set for the library.
    pub fn options(&self) -> Vec<String> {
        let own = match self.config.handle_signals {
            true => vec!["--handle-signals=yes"],
            // Julia stops its threads with a signal.
            false => vec!["--handle-signals=no", "--threads=1"],
        };
        let own = own.into_iter().map(str::to_owned);
        own.chain(self.config.julia_args.iter().cloned()).collect()
    }

    /// Returns the inputs for linking the library, in addition to those of an image.
    pub fn link(&self, julia: &JuliaFacts, folder: &Path) -> LibraryLink {
        let layout = Layout::of(julia);
        let from = Path::new(self.names.folder);
        let mut library_dirs: Vec<String> = [&layout.library_folder, &layout.private_folder]
            .into_iter()
            .map(|to| slashed(&crate::copy::relative(from, to)))
            .collect();
        library_dirs.dedup();
        LibraryLink {
            version: self.version,
            compatible: self.config.compat_level.oldest(self.version),
            import_library: folder.join("import.dll.a"),
            library_dirs,
        }
    }

    /// Returns the settings for the initialization code, one `key value` per line (`src/c/init.c`).
    pub fn description(&self, library: &str, preload: &[String]) -> String {
        let mut lines = vec!["format 1".to_owned(), format!("library {library}")];
        lines.extend(preload.iter().map(|path| format!("preload {path}")));
        lines.extend(
            self.options()
                .iter()
                .map(|option| format!("option {option}")),
        );
        lines.extend(
            self.config
                .init
                .iter()
                .map(|function| format!("init {} {} {function} init", self.uuid, self.package)),
        );
        lines.join("\n") + "\n"
    }
}

fn of_none(function: &str) -> LibraryCall {
    LibraryCall {
        function: function.to_owned(),
        args: Vec::new(),
        result: None,
    }
}

/// Returns a dotted path as a tuple of strings.
fn path_literal(path: &str) -> String {
    let parts = path.split('.').map(julia_string);
    format!("({},)", parts.collect::<Vec<_>>().join(", "))
}

/// The inputs for the folder of a library, in addition to those of an app.
#[derive(Debug, Clone, Copy)]
pub struct LibraryFiles<'a> {
    /// The library.
    pub library: &'a Library,
    /// Its functions.
    pub interface: &'a Interface,
    /// The folder that paths of the library's own headers are relative to.
    pub project: &'a Path,
    /// The import library that the linker wrote, on Windows.
    pub import_library: Option<&'a Path>,
}

impl LibraryFiles<'_> {
    /// Adds the links, headers and files for build systems.
    pub(crate) fn add(&self, target: &mut Target, os: Os) -> Result<(), BundleError> {
        let Library {
            config,
            names,
            version,
            ..
        } = self.library;
        let file = Path::new(names.folder).join(&names.file);
        for link in &names.links {
            target.link(&Path::new(names.folder).join(link), &file)?;
        }
        if let (Some(from), Some(name)) = (self.import_library, &names.import_library) {
            let path = Path::new("lib").join(name);
            target.file(from, &path, "what programs for Windows are linked against")?;
        }
        let include = Path::new("include");
        for path in &config.headers {
            let name = path.rsplit('/').next().unwrap_or(path);
            let from = self.project.join(path);
            target.file(&from, &include.join(name), "a header of the project")?;
        }
        let name = &config.name;
        let (text, _) = header(name, self.interface);
        let why = "declares the functions of the library";
        target.text(&include.join(format!("{name}.h")), &text, why)?;
        let why = "declares the functions that start and end Julia";
        target.text(&include.join(INIT_HEADER), &init_header(), why)?;
        let description = format!("The package {} as a C library", self.library.package);
        let text = pkg_config(os, name, *version, &description);
        let path = Path::new("lib/pkgconfig").join(format!("{name}.pc"));
        target.text(&path, &text, "for pkg-config")?;
        let cmake = Path::new("lib/cmake").join(name);
        let path = cmake.join(format!("{name}Config.cmake"));
        target.text(&path, &cmake_config(name, names), "for CMake")?;
        let path = cmake.join(format!("{name}ConfigVersion.cmake"));
        target.text(&path, &cmake_version(*version), "for CMake")
    }

    /// Returns the receipt's record of the library, without the results of calls.
    fn record(&self) -> LibraryRecord {
        let (_, functions): (_, Vec<FunctionRecord>) =
            header(&self.library.config.name, self.interface);
        LibraryRecord {
            name: self.library.config.name.clone(),
            version: self.library.version.to_string(),
            soname: self.library.names.soname.clone(),
            functions,
            calls: Vec::new(),
            init_ms: 0.0,
            residuals: Vec::new(),
        }
    }
}

/// Writes the initialization code into `folder` for the linker.
///
/// # Errors
///
/// [`BundleError::Io`] if the folder cannot be created, or the file cannot be written.
pub fn write_init_object(folder: &Path) -> Result<PathBuf, BundleError> {
    sysforge_files::create_folders(folder).map_err(BundleError::io("create", folder))?;
    let path = folder.join("init.o");
    write_whole(&path, INIT_OBJECT).map_err(BundleError::io("write", &path))?;
    Ok(path)
}

/// The results of calling a library.
pub(crate) struct Called {
    init_ms: f64,
    /// Name, milliseconds, result.
    calls: Vec<(String, f64, String)>,
}

impl Called {
    /// Parses the output of the program (`crates/launcher/src/caller.rs`).
    pub(crate) fn parse(text: &str) -> Self {
        let mut called = Self {
            init_ms: 0.0,
            calls: Vec::new(),
        };
        let number = |text: &str| text.parse().unwrap_or_default();
        for line in text.lines() {
            match line.splitn(4, '\t').collect::<Vec<_>>()[..] {
                ["init", ms] => called.init_ms = number(ms),
                ["call", name, ms, result] => {
                    called
                        .calls
                        .push((name.to_owned(), number(ms), result.to_owned()));
                }
                _ => {}
            }
        }
        called
    }

    /// Returns the record of the library, or an error if a call returned an unexpected result.
    pub(crate) fn record(
        self,
        files: &LibraryFiles<'_>,
        calls: &[TypedCall],
        residuals: Vec<String>,
    ) -> Result<LibraryRecord, BundleError> {
        let mut record = files.record();
        record.init_ms = self.init_ms;
        record.residuals = residuals;
        let mut made = self.calls.into_iter();
        for call in calls {
            let (_, wall_ms, result) = made.next().unwrap_or_default();
            if let Some(expected) = call.expected.as_ref().filter(|one| **one != result) {
                return Err(BundleError::Returned {
                    call: call.shown(),
                    found: shortened(&result, 100),
                    expected: shortened(expected, 100),
                });
            }
            record.calls.push(CallRecord {
                call: call.shown(),
                result: shortened(&result, 200),
                wall_ms,
            });
        }
        Ok(record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sysforge_plan::config::{Config, FILE_NAME};

    fn library(text: &str) -> Library {
        let text = format!("[library]\nname = \"measure\"\n{text}");
        let config = Config::from_toml(FILE_NAME, &text)
            .unwrap()
            .library
            .unwrap();
        let uuid = "11111111-2222-4333-8444-555555555555";
        Library::new(
            &config,
            "Measure",
            uuid,
            "1.2.3".parse().unwrap(),
            Os::Linux,
        )
    }

    const INTERFACE: &str = r#"{"functions":[
        {"name":"mean","module":"Main.Measure.Sub","result":{"kind":"plain","name":"Float64"},"parameters":[
            {"name":"v","type":{"kind":"pointer","to":{"kind":"plain","name":"Float64"}}},
            {"name":"n","type":{"kind":"plain","name":"UInt64"}}]},
        {"name":"reset","module":"Measure","result":{"kind":"plain","name":"Nothing"},"parameters":[]}]}"#;

    fn interface() -> Interface {
        serde_json::from_str(INTERFACE).unwrap()
    }

    #[test]
    fn signals_are_left_alone_unless_asked_for() {
        assert_eq!(
            library("").options(),
            ["--handle-signals=no", "--threads=1"]
        );
        let with = library("handle-signals = true\njulia-args = \"--threads=4\"\n");
        assert_eq!(with.options(), ["--handle-signals=yes", "--threads=4"]);
    }

    #[test]
    fn without_calls_the_first_function_without_parameters_is_called() {
        let calls = library("").calls(&interface()).unwrap();
        assert_eq!(calls.len(), 1);
        assert_eq!(calls[0].function, "reset");
    }

    #[test]
    fn the_script_calls_what_c_calls() {
        let library = library(
            "init = \"Cache.setup\"\ncalls = [{ function = \"mean\", args = [[1, 2.5], 2] }]\n",
        );
        let text = library.script_text(&interface()).unwrap();
        assert!(
            text.contains("invokelatest(at((\"Cache\", \"setup\",)))"),
            "{text}"
        );
        assert!(
            text.contains("let a1 = Float64[1,2.5], a2 = UInt64(2)"),
            "{text}"
        );
        let call = "invokelatest(at((\"Sub\", \"mean\",)), pointer(a1), a2)";
        assert!(text.contains(call), "{text}");
    }

    #[test]
    fn the_description_has_a_line_for_each_thing() {
        let library = library("init = [\"Cache.setup\"]\njulia-args = \"-O1\"\n");
        let text = library.description("lib/libjulia.so.1", &["lib/libz.so.1".to_owned()]);
        assert_eq!(
            text,
            format!(
                "format 1\nlibrary lib/libjulia.so.1\npreload lib/libz.so.1\noption \
                 --handle-signals=no\noption --threads=1\noption -O1\ninit {} {} Cache.setup init\n",
                library.uuid, library.package
            )
        );
    }

    #[test]
    fn a_result_that_differs_is_an_error() {
        let library = library(
            "calls = [{ function = \"mean\", args = [[1.0], 1], result = 1 }, { function = \"reset\" }]\n",
        );
        let interface = interface();
        let calls = library.calls(&interface).unwrap();
        let files = LibraryFiles {
            library: &library,
            interface: &interface,
            project: Path::new("."),
            import_library: None,
        };
        let good = "init\t12.5\ncall\tmean\t0.01\t1.0\ncall\treset\t0.02\t\n";
        let record = Called::parse(good)
            .record(&files, &calls, Vec::new())
            .unwrap();
        assert_eq!(record.calls[0].call, "mean(1.0, 1)");
        assert!((record.init_ms - 12.5).abs() < 1e-9);
        let bad = "init\t12.5\ncall\tmean\t0.01\t1.5\n";
        let error = Called::parse(bad)
            .record(&files, &calls, Vec::new())
            .unwrap_err();
        assert!(error.to_string().contains("returned 1.5"), "{error}");
    }

    #[test]
    fn a_name_of_julias_own_libraries_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir_all(root.join("lib/julia")).unwrap();
        std::fs::write(root.join("lib/julia/libmeasure.so.4"), "").unwrap();
        let julia = JuliaFacts {
            executable: root.join("bin/julia"),
            version: sysforge_plan::JuliaVersion::new(1, 5, 3),
            commit: String::new(),
            triplet: sysforge_plan::Triplet::X86_64_LINUX_GNU,
            bindir: root.join("bin"),
            libdir: root.join("lib"),
            private_libdir: root.join("lib/julia"),
            private_libexecdir: None,
            stdlib: root.join("stdlib"),
            base_image: root.join("lib/julia/sys.so"),
            cpu_name: "generic".to_owned(),
            cpu_threads: 1,
        };
        assert!(matches!(
            library("").require_free_name(&julia),
            Err(BundleError::NameTaken { .. })
        ));
        let link = library("compat-level = \"minor\"\n").link(&julia, root);
        assert_eq!(link.library_dirs, ["", "julia"]);
        assert_eq!(link.compatible.to_string(), "1.2.0");
    }
}
