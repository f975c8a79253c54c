//! Checks that the files of this repository agree with what the crate generates.

use std::path::{Path, PathBuf};

use crate::{pins, workflow};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name))
        .unwrap()
        .replace("\r\n", "\n")
}

#[test]
fn the_action_installs_sysforge_like_the_workflows() {
    let action = read("action.yml");
    let mut script: Vec<_> = workflow::INSTALL.lines().collect();
    // The workflow adds the folder to the path of later steps; the action returns it as an output.
    assert_eq!(script.pop(), Some("echo \"$dir\" >>\"$GITHUB_PATH\""));
    let script: String = script
        .iter()
        .map(|line| format!("        {line}\n"))
        .collect();
    assert!(
        action.contains(&script),
        "copy crates/actions/src/workflow/install.sh into action.yml"
    );
}

#[test]
fn the_pins_agree_with_the_workflows_of_this_repository() {
    let workflows = ["ci.yml", "release.yml", "sysimage.yml"];
    let workflows = workflows.map(|name| format!(".github/workflows/{name}"));
    for name in workflows.iter().map(String::as_str).chain(["action.yml"]) {
        let text = read(name);
        for line in text.lines().filter(|line| line.contains("uses: actions/")) {
            let (_, uses) = line.split_once("uses: ").unwrap();
            assert!(
                pins::ALL.iter().any(|pin| pin.uses() == uses),
                "{name} uses {uses}; update crates/actions/src/pins.rs"
            );
        }
    }
}

#[test]
fn the_documented_runners_agree_with_the_table() {
    let text = read("docs/src/reference/workflow.md");
    for runner in sysforge_plan::runner::TABLE {
        let row = text
            .lines()
            .find(|line| line.starts_with(&format!("| {} |", runner.label)));
        let row = row.unwrap_or_else(|| panic!("no row of {}", runner.label));
        let size = format!("| {}, {} GB |", runner.cores, runner.memory);
        assert!(row.contains(&size) && row.contains(runner.runtime), "{row}");
        for part in [
            runner.end.map(|day| day.to_string()),
            runner.successor.map(str::to_owned),
        ] {
            assert!(part.is_none_or(|part| row.contains(&part)), "{row}");
        }
    }
}
