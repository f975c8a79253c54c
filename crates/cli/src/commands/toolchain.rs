//! `sysforge toolchain list|install|path`: the C compilers of this machine, and those that can be
//! fetched.

use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;
use sysforge_acquire::InstalledToolchain;
use sysforge_build::link::which;
use sysforge_plan::link::linker::{self, driver_names};
use sysforge_plan::toolchain::{self, Published, Traits, Unsuitable};
use sysforge_plan::{Explain, Os, Step, Triplet};
use sysforge_process::Program;

use crate::args::ToolchainCommand;
use crate::failure::{CliError, Failure, Outcome};
use crate::session::Session;
use crate::terminal::table;

/// A compiler of this machine.
#[derive(Debug, Serialize)]
pub(crate) struct SystemCompiler {
    /// The command.
    pub(crate) command: Vec<String>,
    /// What it says about itself.
    #[serde(flatten)]
    pub(crate) traits: Traits,
    /// Why it does not suit Julia, if it does not.
    #[serde(serialize_with = "as_text")]
    pub(crate) unsuitable: Option<Unsuitable>,
}

/// A toolchain that can be fetched, for `--json`.
#[derive(Serialize)]
struct Fetchable {
    name: &'static str,
    packer: &'static str,
    #[serde(flatten)]
    traits: Traits,
    mingw_w64: &'static str,
    runs_on: Os,
    url: &'static str,
    sha256: String,
    installed: bool,
    recommended: bool,
    #[serde(serialize_with = "as_text")]
    unsuitable: Option<Unsuitable>,
}

#[derive(Serialize)]
struct List {
    triplet: Triplet,
    system: Vec<SystemCompiler>,
    fetchable: Vec<Fetchable>,
}

fn as_text<S: serde::Serializer>(why: &Option<Unsuitable>, to: S) -> Result<S::Ok, S::Error> {
    why.as_ref().map(ToString::to_string).serialize(to)
}

pub(crate) async fn run(command: &ToolchainCommand, session: &Session) -> Outcome {
    match command {
        ToolchainCommand::List(platform) => list(platform.triplet()?, session).await,
        ToolchainCommand::Install {
            name,
            from,
            platform,
        } => {
            let chosen = choose(name.as_deref(), platform.triplet, session)?;
            let mut acquirer = session.engine.acquirer()?;
            if let Some(folder) = from {
                acquirer = acquirer.with_toolchain_archives(folder.clone());
            }
            let _heartbeat = session.heartbeat();
            let installed = acquirer.toolchain(chosen).await?;
            say(chosen, &installed.compiler, session);
            Ok(())
        }
        ToolchainCommand::Path { name, platform } => {
            let chosen = choose(name.as_deref(), platform.triplet, session)?;
            match session.engine.acquirer()?.installed_toolchain(chosen)? {
                Some(installed) => {
                    say(chosen, &installed.compiler, session);
                    Ok(())
                }
                None => Err(CliError::NotInstalled {
                    what: format!("the toolchain {}", chosen.name),
                    command: format!("sysforge toolchain install {}", chosen.name),
                }
                .into()),
            }
        }
    }
}

/// The named toolchain, if it suits Julia for the platform; or the recommended one.
fn choose(
    name: Option<&str>,
    triplet: Option<Triplet>,
    session: &Session,
) -> Result<&'static Published, Failure> {
    let chosen = match name {
        Some(name) => toolchain::by_name(name)?,
        None => toolchain::recommended(triplet.map_or_else(Session::host, Ok)?)?,
    };
    chosen
        .traits()
        .check(chosen.name, triplet.unwrap_or(chosen.target()))?;
    if Session::host()?.os() != chosen.host {
        session.terminal.warning(
            &format!(
                "{} runs on {}, not on this machine",
                chosen.name, chosen.host
            ),
            None,
        );
    }
    Ok(chosen)
}

fn say(chosen: &Published, compiler: &std::path::Path, session: &Session) {
    if session.global.json {
        session.terminal.json(&serde_json::json!({
            "name": chosen.name, "compiler": compiler, "traits": chosen.traits(),
        }));
    } else {
        session.terminal.data(&compiler.display().to_string());
    }
}

/// The compilers of this machine that could compile for a platform.
pub(crate) async fn system_compilers(
    triplet: Triplet,
    session: &Session,
) -> Result<Vec<SystemCompiler>, Failure> {
    let environment = &session.engine.environment;
    let mut commands: Vec<Vec<String>> = Vec::new();
    let mut seen = Vec::new();
    let names = driver_names(triplet, Session::host().ok());
    for path in names.iter().filter_map(|name| which(name, environment)) {
        // `cc` is mostly a link to one of the others.
        let real = std::fs::canonicalize(&path).unwrap_or_else(|_| path.clone());
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
        found.extend(compiler_of(command, triplet, session).await?);
    }
    Ok(found)
}

/// What a compiler says of itself, and whether it suits Julia for a platform. None if it does not
/// answer as a compiler.
pub(crate) async fn compiler_of(
    command: Vec<String>,
    triplet: Triplet,
    session: &Session,
) -> Result<Option<SystemCompiler>, Failure> {
    let traits = ask(&command, triplet, session).await?;
    Ok(traits.map(|traits| SystemCompiler {
        unsuitable: traits.check(&command[0], triplet).err(),
        command,
        traits,
    }))
}

/// The best of the toolchains that were fetched, suit Julia for a platform and run here.
pub(crate) fn fetched(triplet: Triplet, session: &Session) -> Option<InstalledToolchain> {
    let acquirer = session.engine.acquirer().ok()?;
    let here = Session::host().ok()?.os();
    toolchain::for_target(triplet)
        .filter(|row| row.host == here && row.traits().check(row.name, triplet).is_ok())
        .find_map(|row| acquirer.installed_toolchain(row).ok()?)
}

/// What `zig cc` is asked about: the platform that it would link for, without the version of glibc,
/// which `zig cc -v` does not take.
fn zig_target(triplet: Triplet) -> String {
    let target = linker::zig_target(triplet);
    match target.split_once("-gnu.") {
        Some((platform, _)) => format!("{platform}-gnu"),
        None => target,
    }
}

/// Asks a compiler about itself. One that does not answer as a compiler is none.
async fn ask(
    command: &[String],
    triplet: Triplet,
    session: &Session,
) -> Result<Option<Traits>, Failure> {
    /// A compiler that does not answer in this time hangs.
    const PATIENCE: Duration = Duration::from_secs(20);
    let Some((program, arguments)) = command.split_first() else {
        return Ok(None);
    };
    let work = tempfile::tempdir().map_err(|source| CliError::Unreadable {
        path: std::env::temp_dir(),
        source,
    })?;
    // Their words are looked for below, in English.
    let environment = session.engine.environment.clone().with("LC_ALL", "C");
    let program = |log: &str| {
        Program::new(
            PathBuf::from(program),
            environment.clone(),
            work.path().join(log),
        )
        .args(arguments)
        .directory(work.path())
        .timeout(Some(PATIENCE))
    };
    let task = session
        .engine
        .reporter
        .start(Step::Probe, command.join(" "));
    let verbose = session
        .engine
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
    // Which C runtime it is for, the headers know; `_mingw.h` is the first of them all.
    let mut macros = String::new();
    if triplet.os() == Os::Windows {
        let source = work.path().join("probe.c");
        if std::fs::write(&source, "#include <_mingw.h>\n").is_ok() {
            let preprocess = program("macros.log").args(["-E", "-dM"]).arg(&source);
            if let Ok(done) = session.engine.children.run(&preprocess, &task).await {
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

async fn list(triplet: Triplet, session: &Session) -> Outcome {
    let acquirer = session.engine.acquirer()?;
    let system = system_compilers(triplet, session).await?;
    let recommended = toolchain::recommended(triplet).ok().map(|row| row.name);
    let mut fetchable = Vec::new();
    for row in toolchain::for_target(triplet) {
        fetchable.push(Fetchable {
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
    let list = List {
        triplet,
        system,
        fetchable,
    };
    if session.global.json {
        session.terminal.json(&list);
    } else {
        session.terminal.data(&text(&list));
    }
    Ok(())
}

fn text(list: &List) -> String {
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
    for compiler in &list.system {
        let untold = list.triplet.os() == Os::Windows && compiler.traits.runtime.is_none();
        let note = match &compiler.unsuitable {
            Some(_) => "does NOT suit Julia",
            None if untold => "may suit: its C runtime cannot be told",
            None => "suits",
        };
        rows.push(row(
            &compiler.command.join(" "),
            &compiler.traits,
            note.to_owned(),
        ));
    }
    for toolchain in &list.fetchable {
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
    let mut text = format!("C toolchains for Julia on {}\n\n", list.triplet);
    if rows.len() == 1 {
        text.push_str("none\n");
    } else {
        text.push_str(&table(&rows));
    }
    for compiler in &list.system {
        if let Some(why) = &compiler.unsuitable {
            text.push_str(&format!("\n{why}\n"));
            for hint in why.hints() {
                text.push_str(&format!("  {hint}\n"));
            }
        }
    }
    text
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
            // It knows no `i686`, and would be taken for suitable if it could not be asked.
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
        // As of a clang that has no headers for Windows.
        let silent = Traits {
            maker: Maker::Clang,
            runtime: None,
            threads: None,
            exceptions: None,
            ..traits.clone()
        };
        let list = List {
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
            fetchable: Vec::new(),
        };
        insta::assert_snapshot!(text(&list), @r"
        C toolchains for Julia on x86_64-w64-mingw32

        toolchain      compiler  runtime  threads  exceptions
        gcc          gcc 15.2.0     UCRT    posix         seh  does NOT suit Julia
        clang      clang 15.2.0        ?        ?           ?  may suit: its C runtime cannot be told

        `gcc` links against the C runtime UCRT, while Julia for x86_64-w64-mingw32 uses msvcrt
          two C runtimes in one process have two heaps, two sets of open files and two locales: the image would load and then corrupt memory
          use an msvcrt toolchain: `sysforge toolchain install --triplet x86_64-w64-mingw32`, or on Debian `apt-get install gcc-mingw-w64`
        ");
    }
}
