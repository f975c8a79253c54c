//! `sysforge toolchain list|install|path`: the C compilers of this machine, and those that can be
//! fetched.

use sysforge_engine::EngineError;
use sysforge_engine::compilers::{Toolchains, choose_toolchain, toolchains};
use sysforge_plan::toolchain::{Published, Traits};
use sysforge_plan::{Explain, Os, Triplet};

use crate::args::ToolchainCommand;
use crate::failure::Outcome;
use crate::session::Session;
use sysforge_report::table::table;

pub(crate) async fn run(command: &ToolchainCommand, session: &Session) -> Outcome {
    match command {
        ToolchainCommand::List(platform) => list(platform.triplet()?, session).await,
        ToolchainCommand::Install {
            name,
            from,
            platform,
        } => {
            let chosen = choose_toolchain(name.as_deref(), platform.triplet, &session.engine)?;
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
            let chosen = choose_toolchain(name.as_deref(), platform.triplet, &session.engine)?;
            match session.engine.acquirer()?.installed_toolchain(chosen)? {
                Some(installed) => {
                    say(chosen, &installed.compiler, session);
                    Ok(())
                }
                None => Err(EngineError::NotInstalled {
                    what: format!("the toolchain {}", chosen.name),
                    command: format!("sysforge toolchain install {}", chosen.name),
                }
                .into()),
            }
        }
    }
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

async fn list(triplet: Triplet, session: &Session) -> Outcome {
    let list = toolchains(triplet, &session.engine).await?;
    if session.global.json {
        session.terminal.json(&list);
    } else {
        session.terminal.data(&text(&list));
    }
    Ok(())
}

fn text(list: &Toolchains) -> String {
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
        let unknown = list.triplet.os() == Os::Windows && compiler.traits.runtime.is_none();
        let note = match &compiler.unsuitable {
            Some(_) => "does NOT suit Julia",
            None if unknown => "may suit: its C runtime cannot be told",
            None => "suits",
        };
        rows.push(row(
            &compiler.command.join(" "),
            &compiler.traits,
            note.to_owned(),
        ));
    }
    for toolchain in &list.downloadable {
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
    use sysforge_engine::compilers::SystemCompiler;
    use sysforge_plan::toolchain::{Exceptions, Maker, Runtime, Threads};

    use super::*;

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
