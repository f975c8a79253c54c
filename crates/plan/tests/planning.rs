//! From a project's files to the builds that are to be made, and every reason why there are none.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use sysforge_plan::config::Config;
use sysforge_plan::explain::{Class, Explain};
use sysforge_plan::julia::JuliaBuild;
use sysforge_plan::plan::{Inputs, Plan, PlanError, PlannedJulia};
use sysforge_plan::project::{Manifest, Project};
use sysforge_plan::{JuliaVersion, Request, Triplet};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn manifest(julia: &str) -> String {
    format!(
        "julia_version = \"{julia}\"\nmanifest_format = \"2.0\"\n\
         [[deps.Alpha]]\ndeps = [\"Beta\"]\nuuid = \"{A}\"\nversion = \"1.0.0\"\n\
         [[deps.Beta]]\nuuid = \"{B}\"\nversion = \"2.0.0\"\n"
    )
}

fn inputs(project: &str, manifest: Option<&str>, config: &str) -> Inputs {
    Inputs {
        project: Project::from_toml("Project.toml", project).unwrap(),
        manifest: manifest.map(|text| Manifest::from_toml("Manifest.toml", text).unwrap()),
        config: Config::from_toml("Sysimage.toml", config).unwrap(),
        folder: "folder".to_owned(),
        requests: Vec::new(),
        triplet: Triplet::X86_64_LINUX_GNU,
    }
}

fn app(config: &str) -> Inputs {
    let project = format!("[deps]\nAlpha = \"{A}\"\n[compat]\njulia = \"1.9\"\n");
    inputs(&project, Some(&manifest("1.10.2")), config)
}

fn given(version: &str) -> PlannedJulia {
    PlannedJulia::Given {
        executable: "/opt/julia/bin/julia".into(),
        build: JuliaBuild {
            version: version.parse().unwrap(),
            commit: String::new(),
            triplet: Triplet::X86_64_LINUX_GNU,
        },
    }
}

fn plan(inputs: &Inputs) -> Plan {
    inputs.plan(vec![given("1.10.2")]).unwrap()
}

/// The error in one text, as a terminal shows it. Nothing here is anybody's fault but the user's.
fn refusal(result: Result<Plan, PlanError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.class(), Class::Usage);
    let hints = error.hints();
    assert!(!hints.is_empty(), "{error} has no hint");
    format!("{error}\n{}", hints.join("\n"))
}

fn ids(plan: &Plan) -> Vec<String> {
    plan.builds
        .iter()
        .map(|build| build.id.to_string())
        .collect()
}

#[test]
fn a_project_becomes_one_build_for_each_julia_and_cpu() {
    let inputs = app("name = \"app\"\ncpu = [\"portable\", \"native\"]\narchive = \"tar.zst\"\n");
    // The same version twice, by two requests, is one Julia.
    let julias = vec![given("1.10.2"), given("1.10.2"), given("1.10.9")];
    let plan = inputs.plan(julias).unwrap();
    let ids = ids(&plan);
    assert_eq!(ids.len(), 4, "{ids:?}");
    assert!(
        ids.iter().all(|id| id.starts_with("app-julia1.10.")),
        "{ids:?}"
    );
    let extensions = plan.builds.iter().map(|build| build.archive.extension());
    assert!(
        extensions
            .into_iter()
            .all(|extension| extension == "tar.zst")
    );
    // What is asked for, and what that brings along.
    let packages: Vec<_> = plan.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(packages, ["Alpha"]);
    let closure: Vec<_> = plan.closure.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(closure, ["Alpha", "Beta"]);
}

#[test]
fn a_package_is_in_its_own_image() {
    let project =
        format!("name = \"Pkg1\"\nuuid = \"{B}\"\nversion = \"0.3.0\"\n[deps]\nAlpha = \"{A}\"\n");
    let inputs = inputs(&project, Some(&manifest("1.10.2")), "");
    let plan = plan(&inputs);
    let packages: Vec<_> = plan.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(packages, ["Pkg1", "Alpha"]);
    assert_eq!(plan.project_version.as_deref(), Some("0.3.0"));
    assert_eq!(ids(&plan), ["Pkg1-julia1.10.2-x86_64-linux-gnu"]);
}

#[test]
fn packages_may_be_named_and_are_taken_once() {
    // Beta is no dependency of the project's, but one of its dependencies'.
    let plan = plan(&app("packages = [\"Beta\", \"Alpha\", \"Beta\"]\n"));
    let packages: Vec<_> = plan.packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(packages, ["Beta", "Alpha"]);
}

#[test]
fn what_cannot_be_planned_is_refused_with_a_way_out() {
    let one = |inputs: Inputs| refusal(inputs.plan(vec![given("1.10.2")]));
    let needs_alpha = format!("[deps]\nAlpha = \"{A}\"\n");
    let needs_gamma = format!("[deps]\nGamma = \"{A}\"\n");
    let list = [
        one(app("packages = [\"Alpa\"]\n")),
        one(app("packages = [\"Entirely\"]\n")),
        one(inputs("", None, "")),
        one(inputs(&needs_alpha, None, "")),
        one(inputs(&needs_gamma, Some(&manifest("1.10.2")), "")),
        one(inputs(&needs_alpha, Some(&manifest("1.8.5")), "")),
        refusal(app("").plan(vec![given("1.4.2")])),
        one(Inputs {
            folder: "my folder".to_owned(),
            ..app("")
        }),
        refusal(plan(&app("")).select(&["*windows*".to_owned()])),
    ];
    insta::assert_snapshot!(list.join("\n\n"));
}

#[test]
fn builds_are_selected_by_patterns() {
    let all = app("cpu = [\"portable\", \"native\"]\n");
    let all = all.plan(vec![given("1.10.2"), given("1.10.9")]).unwrap();
    assert_eq!(ids(&all.clone().select(&[]).unwrap()), ids(&all));
    let some = all.clone().select(&["*1.10.9*".to_owned()]).unwrap();
    assert_eq!(some.builds.len(), 2);
    assert!(ids(&some).iter().all(|id| id.contains("1.10.9")));
    // One pattern that selects nothing is a mistake, whatever the others select.
    let patterns = ["*1.10.9*".to_owned(), "*1.11*".to_owned()];
    assert!(refusal(all.select(&patterns)).contains("`*1.11*`"));
}

#[test]
fn the_nearest_request_counts() {
    let asked = |inputs: &Inputs| inputs.requests().unwrap();
    let exact = |version: &str| vec![Request::Exact(version.parse::<JuliaVersion>().unwrap())];
    // The manifest's own version, else the configured one, else the command line's.
    assert_eq!(asked(&app("")), exact("1.10.2"));
    assert_eq!(asked(&app("julia = \"1.11.3\"\n")), exact("1.11.3"));
    let typed = Inputs {
        requests: vec!["lts".to_owned()],
        ..app("julia = \"1.11.3\"\n")
    };
    assert_eq!(asked(&typed), [Request::Lts]);
    assert_eq!(asked(&inputs("", None, "")), [Request::Release]);
    // `min` is the project's own word.
    let oldest = Inputs {
        requests: vec!["min".to_owned()],
        ..app("")
    };
    assert!(matches!(asked(&oldest)[..], [Request::Oldest(_)]));
}

#[test]
fn requests_that_the_project_does_not_answer_are_refused() {
    for (request, project, words) in [
        ("min", "", "does not name julia"),
        ("min", "[compat]\njulia = \"one\"\n", "cannot be read"),
        ("manifest", "", "no manifest of the project names one"),
        ("lst", "", "`lst`"),
    ] {
        let inputs = Inputs {
            requests: vec![request.to_owned()],
            ..inputs(project, None, "")
        };
        let error = inputs.requests().unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.class(), Class::Usage);
        assert!(!error.hints().is_empty());
    }
}
