//! The C compilers of this machine: finding them, querying them, and checking whether they suit
//! Julia.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;
use sysforge_acquire::InstalledToolchain;
use sysforge_build::link::which;
use sysforge_plan::link::linker::{self, driver_names};
use sysforge_plan::toolchain::{self, Published, Traits, Unsuitable};
use sysforge_plan::{Explain, Os, Step, Triplet};
use sysforge_process::Program;
use sysforge_report::table::table;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::temporary_folder;

/// A compiler of this machine.
#[derive(Debug, Serialize)]
pub struct SystemCompiler {
    /// The command.
    pub command: Vec<String>,
    /// Its properties, as it reports them.
    #[serde(flatten)]
    pub traits: Traits,
    /// Why it does not suit Julia, if it does not.
    #[serde(serialize_with = "as_text")]
    pub unsuitable: Option<Unsuitable>,
}

/// A toolchain that can be downloaded.
#[derive(Debug, Serialize)]
pub struct DownloadableToolchain {
    /// Its name.
    pub name: &'static str,
    /// The project that packaged it.
    pub packer: &'static str,
    /// Its properties.
    #[serde(flatten)]
    pub traits: Traits,
    /// The version of MinGW-w64 in it.
    pub mingw_w64: &'static str,
    /// The operating system that it runs on.
    pub runs_on: Os,
    /// The URL of its archive.
    pub url: &'static str,
    /// The digest of the archive.
    pub sha256: String,
    /// Whether the store has it.
    pub installed: bool,
    /// Whether it is the one recommended for the platform.
    pub recommended: bool,
    /// Why it does not suit Julia, if it does not.
    #[serde(serialize_with = "as_text")]
    pub unsuitable: Option<Unsuitable>,
}

/// The C toolchains for a platform.
#[derive(Debug, Serialize)]
pub struct Toolchains {
    /// The platform.
    pub triplet: Triplet,
    /// The compilers of this machine.
    pub system: Vec<SystemCompiler>,
    /// The toolchains that can be downloaded.
    #[serde(rename = "fetchable")]
    pub downloadable: Vec<DownloadableToolchain>,
}

impl fmt::Display for Toolchains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = [
            "toolchain",
            "compiler",
            "runtime",
            "threads",
            "exceptions",
            "",
        ];
        let mut rows = vec![head.map(str::to_owned).to_vec()];
        let row = |name: &str, traits: &Traits, note: String| {
            let shown = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
            vec![
                name.to_owned(),
                format!("{} {}", traits.maker, traits.version),
                shown(traits.runtime.map(|r| r.to_string())),
                shown(traits.threads.map(|t| t.to_string())),
                shown(traits.exceptions.map(|e| e.to_string())),
                note,
            ]
        };
        for compiler in &self.system {
            let unknown = self.triplet.os() == Os::Windows && compiler.traits.runtime.is_none();
            let note = match &compiler.unsuitable {
                Some(_) => "does NOT suit Julia",
                None if unknown => "may suit: its C runtime is unknown",
                None => "suits",
            };
            rows.push(row(
                &compiler.command.join(" "),
                &compiler.traits,
                note.to_owned(),
            ));
        }
        for toolchain in &self.downloadable {
            let mut note = match (&toolchain.unsuitable, toolchain.recommended) {
                (Some(_), _) => "does NOT suit Julia".to_owned(),
                (None, true) => "recommended".to_owned(),
                (None, false) => "can be fetched".to_owned(),
            };
            if toolchain.installed {
                note.push_str(", installed");
            }
            rows.push(row(toolchain.name, &toolchain.traits, note));
        }
        let mut text = format!("C toolchains for Julia on {}\n\n", self.triplet);
        if rows.len() == 1 {
            text.push_str("none\n");
        } else {
            text.push_str(&table(&rows));
        }
        for compiler in &self.system {
            if let Some(why) = &compiler.unsuitable {
                text.push_str(&format!("\n{why}\n"));
                for hint in why.hints() {
                    text.push_str(&format!("  {hint}\n"));
                }
            }
        }
        f.write_str(&text)
    }
}

/// A toolchain of the store.
#[derive(Debug, Serialize)]
pub struct LocatedToolchain {
    /// Its name.
    pub name: &'static str,
    /// The executable of its compiler.
    pub compiler: PathBuf,
    /// Its properties.
    pub traits: Traits,
}

impl LocatedToolchain {
    fn new(chosen: &Published, installed: InstalledToolchain) -> Self {
        Self {
            name: chosen.name,
            compiler: installed.compiler,
            traits: chosen.traits(),
        }
    }
}

/// Downloads a toolchain, or unpacks its archive from the folder `archives`.
///
/// # Errors
///
/// The errors of [`choose_toolchain`]; or if it cannot be downloaded and verified.
pub async fn install(
    name: Option<&str>,
    archives: Option<&Path>,
    triplet: Option<Triplet>,
    engine: &Engine,
) -> Result<LocatedToolchain, Failure> {
    let chosen = choose_toolchain(name, triplet, engine)?;
    let mut acquirer = engine.acquirer()?;
    if let Some(folder) = archives {
        acquirer = acquirer.with_toolchain_archives(folder.to_owned());
    }
    let installed = acquirer.toolchain(chosen).await?;
    Ok(LocatedToolchain::new(chosen, installed))
}

/// Finds a toolchain in the store.
///
/// # Errors
///
/// The errors of [`choose_toolchain`]; or if it is not installed.
pub fn locate(
    name: Option<&str>,
    triplet: Option<Triplet>,
    engine: &Engine,
) -> Result<LocatedToolchain, Failure> {
    let chosen = choose_toolchain(name, triplet, engine)?;
    let installed = engine.acquirer()?.installed_toolchain(chosen)?;
    let installed = installed.ok_or_else(|| EngineError::NotInstalled {
        what: format!("the toolchain {}", chosen.name),
        command: format!("sysforge toolchain install {}", chosen.name),
    })?;
    Ok(LocatedToolchain::new(chosen, installed))
}

/// Lists the C toolchains for a platform: those of this machine, and those that can be downloaded.
///
/// # Errors
///
/// If temporary files cannot be created, or the store cannot be read.
pub async fn toolchains(triplet: Triplet, engine: &Engine) -> Result<Toolchains, Failure> {
    let acquirer = engine.acquirer()?;
    let system = system_compilers(triplet, engine).await?;
    let recommended = toolchain::recommended(triplet).ok().map(|row| row.name);
    let mut downloadable = Vec::new();
    for row in toolchain::for_target(triplet) {
        downloadable.push(DownloadableToolchain {
            name: row.name,
            packer: row.packer,
            traits: row.traits(),
            mingw_w64: row.mingw,
            runs_on: row.host,
            url: row.url,
            sha256: row.sha256().to_string(),
            installed: acquirer.installed_toolchain(row)?.is_some(),
            recommended: recommended == Some(row.name),
            unsuitable: row.traits().check(row.name, triplet).err(),
        });
    }
    Ok(Toolchains {
        triplet,
        system,
        downloadable,
    })
}

/// Returns the toolchain of this name, if it suits Julia for the platform, or else the recommended
/// one.
///
/// # Errors
///
/// If there is no such toolchain, or it does not suit Julia.
pub fn choose_toolchain(
    name: Option<&str>,
    triplet: Option<Triplet>,
    engine: &Engine,
) -> Result<&'static Published, Failure> {
    let chosen = match name {
        Some(name) => toolchain::by_name(name)?,
        None => toolchain::recommended(triplet.map_or_else(Engine::host, Ok)?)?,
    };
    let triplet = triplet.unwrap_or(chosen.target());
    chosen.traits().check(chosen.name, triplet)?;
    if Engine::host()?.os() != chosen.host {
        let text = format!(
            "{} runs on {}, not on this machine",
            chosen.name, chosen.host
        );
        engine.reporter.warn(text, None);
    }
    Ok(chosen)
}

fn as_text<S: serde::Serializer>(why: &Option<Unsuitable>, to: S) -> Result<S::Ok, S::Error> {
    why.as_ref().map(ToString::to_string).serialize(to)
}

/// Returns the compilers of this machine that could compile for a platform.
///
/// # Errors
///
/// If no temporary folder can be created for a query. A compiler that does not answer is left out.
pub async fn system_compilers(
    triplet: Triplet,
    engine: &Engine,
) -> Result<Vec<SystemCompiler>, Failure> {
    let environment = &engine.environment;
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut seen = Vec::new();
    let names = driver_names(triplet, Engine::host().ok());
    for path in names.iter().filter_map(|name| which(name, environment)) {
        // `cc` is usually a link to one of the others.
        let real = sysforge_files::canonical_or_given(&path);
        if !seen.contains(&real) {
            seen.push(real);
            commands.push(vec![path.display().to_string()]);
        }
    }
    if let Some(zig) = which("zig", environment) {
        let target = zig_target(triplet);
        commands.push(
            [&zig.display().to_string(), "cc", "-target", &target]
                .map(str::to_owned)
                .to_vec(),
        );
    }
    let mut found = Vec::new();
    for command in commands {
        found.extend(compiler_of(command, triplet, engine).await?);
    }
    Ok(found)
}

/// Queries a compiler, and checks whether it suits Julia for a platform. Returns `None` if it does
/// not answer like a compiler.
///
/// # Errors
///
/// If no temporary folder can be created for the query.
pub async fn compiler_of(
    command: Vec<String>,
    triplet: Triplet,
    engine: &Engine,
) -> Result<Option<SystemCompiler>, Failure> {
    let traits = ask(&command, triplet, engine).await?;
    Ok(traits.map(|traits| SystemCompiler {
        unsuitable: traits.check(&command[0], triplet).err(),
        command,
        traits,
    }))
}

/// Returns the target for queries to `zig cc`: the platform that it would link for, without the
/// version of glibc, which `zig cc -v` does not accept.
fn zig_target(triplet: Triplet) -> String {
    let target = linker::zig_target(triplet);
    match target.split_once("-gnu.") {
        Some((platform, _)) => format!("{platform}-gnu"),
        None => target,
    }
}

/// Queries a compiler. A program that does not answer like a compiler is not one.
async fn ask(
    command: &[String],
    triplet: Triplet,
    engine: &Engine,
) -> Result<Option<Traits>, Failure> {
    /// A compiler that does not answer within this time hangs.
    const LIMIT: Duration = Duration::from_secs(20);
    let Some((program, arguments)) = command.split_first() else {
        return Ok(None);
    };
    let work = temporary_folder()?;
    // The output is parsed below, and must be in English.
    let environment = engine.environment.clone().with("LC_ALL", "C");
    let program = |log: &str| {
        Program::new(
            PathBuf::from(program),
            environment.clone(),
            work.path().join(log),
        )
        .args(arguments)
        .directory(work.path())
        .timeout(Some(LIMIT))
    };
    let task = engine.reporter.start(Step::Probe, command.join(" "));
    let verbose = engine
        .children
        .run(&program("verbose.log").arg("-v"), &task)
        .await;
    let Ok(verbose) = verbose else {
        task.reused("it does not answer");
        return Ok(None);
    };
    let verbose: Vec<String> = verbose
        .stderr
        .lines()
        .chain(verbose.stdout.lines())
        .map(str::to_owned)
        .collect();
    // The headers define the C runtime; every one of them includes `_mingw.h` first.
    let mut macros = String::new();
    if triplet.os() == Os::Windows {
        let source = work.path().join("probe.c");
        if std::fs::write(&source, "#include <_mingw.h>\n").is_ok() {
            let preprocess = program("macros.log").args(["-E", "-dM"]).arg(&source);
            if let Ok(done) = engine.children.run(&preprocess, &task).await {
                macros = done.stdout;
            }
        }
    }
    let traits = Traits::read(&verbose.join("\n"), &macros);
    task.done(traits.as_ref().map_or_else(
        || "no compiler".to_owned(),
        |t| format!("{} {}", t.maker, t.version),
    ));
    Ok(traits)
}

#[cfg(test)]
mod tests {
    use sysforge_plan::toolchain::{Exceptions, Maker, Runtime, Threads};

    use super::*;

    #[test]
    fn zig_is_asked_about_platforms_that_it_knows() {
        for (name, target) in [
            ("x86_64-linux-gnu", "x86_64-linux-gnu"),
            ("x86_64-w64-mingw32", "x86_64-windows-gnu"),
            // Zig does not know `i686`; if the query failed, it would be taken for suitable.
            ("i686-w64-mingw32", "x86-windows-gnu"),
            ("aarch64-apple-darwin", "aarch64-macos.11.0"),
        ] {
            assert_eq!(zig_target(name.parse().unwrap()), target);
        }
    }

    #[test]
    fn the_list_says_what_suits_and_why_not() {
        let traits = Traits {
            maker: Maker::Gcc,
            version: "15.2.0".to_owned(),
            target: Some(Triplet::X86_64_W64_MINGW32),
            runtime: Some(Runtime::Ucrt),
            threads: Some(Threads::Posix),
            exceptions: Some(Exceptions::Seh),
        };
        let unsuitable = traits.check("gcc", Triplet::X86_64_W64_MINGW32).err();
        // The properties of a clang that has no headers for Windows.
        let silent = Traits {
            maker: Maker::Clang,
            runtime: None,
            threads: None,
            exceptions: None,
            ..traits.clone()
        };
        let list = Toolchains {
            triplet: Triplet::X86_64_W64_MINGW32,
            system: vec![
                SystemCompiler {
                    command: vec!["gcc".to_owned()],
                    traits,
                    unsuitable,
                },
                SystemCompiler {
                    command: vec!["clang".to_owned()],
                    traits: silent,
                    unsuitable: None,
                },
            ],
            downloadable: Vec::new(),
        };
        insta::assert_snapshot!(list.to_string(), @r"
        C toolchains for Julia on x86_64-w64-mingw32

        toolchain      compiler  runtime  threads  exceptions
        gcc          gcc 15.2.0     UCRT    posix         seh  does NOT suit Julia
        clang      clang 15.2.0        ?        ?           ?  may suit: its C runtime is unknown

        `gcc` links against the C runtime UCRT, while Julia for x86_64-w64-mingw32 uses msvcrt
          two C runtimes in one process have two heaps, two sets of open files and two locales: the image would load and then corrupt memory
          use an msvcrt toolchain: `sysforge toolchain install --triplet x86_64-w64-mingw32`, or on Debian `apt-get install gcc-mingw-w64`
        ");
    }
}
