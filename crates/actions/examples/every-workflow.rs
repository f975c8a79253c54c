//! Writes the workflow for every combination of options into a folder, for `ci/workflows`.

use std::path::PathBuf;
use std::process::ExitCode;

use sysforge_actions::workflow::{Inputs, generate};
use sysforge_plan::Sha256;
use sysforge_plan::config::Workflow;
use sysforge_plan::config::workflow::Tool;

fn main() -> ExitCode {
    let Some(folder) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: every-workflow DIR");
        return ExitCode::from(2);
    };
    match write_all(&folder) {
        Ok(count) => {
            println!("{count}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("every-workflow: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Each bit of the number turns on one option.
fn write_all(folder: &std::path::Path) -> Result<usize, Box<dyn std::error::Error>> {
    const SWITCHES: u32 = 11;
    std::fs::create_dir_all(folder)?;
    let mut seen = std::collections::BTreeSet::new();
    for bits in 0..1_u32 << SWITCHES {
        let on = |switch: u32| bits & (1 << switch) != 0;
        let text = |switch: u32, text: &str| if on(switch) { text } else { "" }.to_owned();
        let options = Workflow {
            tags: if on(0) {
                vec!["v*".to_owned(), "!v[0-9]+.*-rc?".to_owned()]
            } else {
                Vec::new()
            },
            pull_request: on(1),
            schedule: text(2, "23 4 * * 1"),
            manual: on(3),
            publish: on(4),
            verify: on(5),
            attest: on(6),
            cache: on(7),
            environment: text(8, "release: \"public\""),
            sign: on(8).then(|| "bash 'sign it.sh' \"$HOME\"".to_owned()),
            retention_days: 7,
            tool: match on(9) {
                true => Tool {
                    source: Some(".".to_owned()),
                    ..Tool::default()
                },
                false => Tool {
                    sums: Some(Sha256::new([0xab; 32])),
                    ..Tool::default()
                },
            },
        };
        let inputs = Inputs {
            options: &options,
            project: if on(10) {
                "examples/InsuranceStats"
            } else {
                ""
            },
            version: "0.1.0",
        };
        // Without a trigger no workflow is generated; options without effect generate no new file.
        if let Ok(workflow) = generate(&inputs)
            && seen.insert(workflow.clone())
        {
            std::fs::write(folder.join(format!("options-{bits:04}.yml")), workflow)?;
        }
    }
    Ok(seen.len())
}
