use super::*;
use sysforge_plan::config::workflow::Tool;

fn pinned() -> Workflow {
    Workflow {
        tool: Tool {
            sums: Some(Sha256::new([0xab; 32])),
            ..Tool::default()
        },
        ..Workflow::default()
    }
}

fn written(options: &Workflow, project: &str) -> String {
    let inputs = Inputs {
        options,
        project,
        version: "0.1.0",
    };
    generate(&inputs).unwrap()
}

/// A snapshot of the workflow after this change of the default configuration.
macro_rules! snapshot {
    ($name:ident, $project:expr, $change:expr) => {
        #[test]
        fn $name() {
            let mut options = pinned();
            let change: fn(&mut Workflow) = $change;
            change(&mut options);
            insta::assert_snapshot!(stringify!($name), written(&options, $project));
        }
    };
}

snapshot!(defaults, "", |_| {});
snapshot!(project_in_a_folder, "examples/InsuranceStats", |_| {});
snapshot!(from_source, "", |o| o.tool.source = Some(".".to_owned()));
snapshot!(from_a_mirror_of_releases, "", |o| {
    o.tool.from = Some("https://mirror.example.org/sysforge/".to_owned());
    o.tool.version = Some("0.2.0".to_owned());
});
snapshot!(build_and_check_only, "", |o| o.publish = false);
snapshot!(without_verification, "", |o| o.verify = false);
snapshot!(without_attestation, "", |o| o.attest = false);
snapshot!(without_cache, "", |o| o.cache = false);
snapshot!(without_environment, "", |o| o.environment.clear());
snapshot!(tags_only, "", |o| {
    o.pull_request = false;
    o.schedule.clear();
    o.manual = false;
});
snapshot!(several_tags_and_another_schedule, "", |o| {
    o.tags = vec!["v*".to_owned(), "!v[0-9]+.*-rc?".to_owned()];
    o.schedule = "0 0 1 * *".to_owned();
});
snapshot!(by_hand_only, "", |o| {
    o.tags.clear();
    o.pull_request = false;
    o.schedule.clear();
});
snapshot!(plain, "", |o| {
    o.verify = false;
    o.attest = false;
    o.cache = false;
    o.environment.clear();
    o.schedule.clear();
});

#[test]
fn an_unpinned_tool_and_a_missing_trigger_are_errors() {
    let inputs = |options| Inputs {
        options,
        project: "",
        version: "0.1.0",
    };
    let bare = Workflow::default();
    let error = generate(&inputs(&bare)).unwrap_err();
    assert!(matches!(error, WorkflowError::Unpinned { .. }));
    assert!(error.hints()[0].contains("v0.1.0/SHA256SUMS and run `sysforge workflow --pin"));
    let never = Workflow {
        publish: false,
        pull_request: false,
        schedule: String::new(),
        manual: false,
        ..pinned()
    };
    assert!(matches!(
        generate(&inputs(&never)),
        Err(WorkflowError::NoTrigger)
    ));
}

#[test]
fn the_security_rules_hold_for_all_options() {
    for project in ["", "a/b"] {
        let text = written(&pinned(), project);
        assert!(text.contains("\npermissions: {}\n"));
        assert!(is_ours(&text));
        let mut script = false;
        for line in text.lines() {
            let depth = line.len() - line.trim_start().len();
            if depth <= 8 {
                script = line.trim_start().starts_with("run:");
            }
            assert!(
                !(script && line.contains("${{")),
                "an expression in a script: {line}"
            );
            if let Some((_, uses)) = line.split_once("uses: ") {
                let (_, commit) = uses.split_once('@').unwrap();
                let (commit, version) = commit.split_once(" # v").unwrap();
                assert!(commit.len() == 40 && version.contains('.'), "{line}");
            }
        }
        let jobs = text.matches("    steps:\n").count();
        assert_eq!(jobs, 5);
        assert_eq!(text.matches("    timeout-minutes: ").count(), jobs);
        assert_eq!(text.matches("    permissions:\n").count(), jobs);
    }
}

#[test]
fn a_generated_workflow_is_recognized() {
    for project in ["", "examples/InsuranceStats"] {
        assert_eq!(project_of(&written(&pinned(), project)), project);
    }
}

#[test]
fn custom_parts_survive_regeneration() {
    let fresh = written(&pinned(), "");
    let mark = "      # sysforge:keep build-before\n";
    let step = "      - run: sudo apt-get install -y libfoo-dev\n";
    let edited = fresh.replace(mark, &format!("{mark}{step}"));
    assert_ne!(edited, fresh);
    let mut options = pinned();
    options.cache = false;
    let carried = handmade::carry(&edited, &written(&options, "")).unwrap();
    assert!(carried.contains(&format!("{mark}{step}")));
}

#[test]
fn only_the_step_that_signs_has_a_place_for_its_keys() {
    let mut options = pinned();
    assert!(!written(&options, "").contains("sign-env"));
    options.sign = Some("bash \"sign it.sh\"".to_owned());
    let text = written(&options, "");
    let (_, after) = text
        .split_once("      - name: Sign the apps and libraries\n")
        .unwrap();
    let (step, rest) = after
        .split_once("      # sysforge:keep build-after")
        .unwrap();
    let expected = r#"        if: needs.plan.outputs.tag != ''
        env:
          BUILDS: ${{ matrix.builds }}
          SYSFORGE_JULIA: ${{ matrix.julia }}
          SIGN: "bash \"sign it.sh\""
          # The keys, as variables SYSFORGE_CODESIGN_…, which only this step needs, go here:
          # sysforge:keep sign-env
          # sysforge:end sign-env
        run: |
          read -r -a builds <<<"$BUILDS"
          sysforge pack --out dist --sign "$SIGN" "${builds[@]}"
"#;
    assert_eq!(step, expected);
    assert!(!rest.contains("SIGN"), "{rest}");
    options.publish = false;
    assert!(!written(&options, "").contains("sign-env"));
}
