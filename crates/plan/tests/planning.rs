//! From a project's files to the planned builds, and every reason why planning fails.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on should stop")]

use sysforge_plan::config::Config;
use sysforge_plan::explain::{Class, Explain};
use sysforge_plan::julia::JuliaBuild;
use sysforge_plan::manifest::Manifest;
use sysforge_plan::manifests::{ManifestFile, Manifests, Origin};
use sysforge_plan::plan::{Certainty, Inputs, NoManifest, Plan, PlanError, PlannedJulia, Versions};
use sysforge_plan::project::Project;
use sysforge_plan::{JuliaVersion, Request, Triplet, cpu};

const A: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const B: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn manifest(julia: &str) -> String {
    format!(
        "julia_version = \"{julia}\"\nmanifest_format = \"2.0\"\n\
         [[deps.Alpha]]\ndeps = [\"Beta\"]\nuuid = \"{A}\"\nversion = \"1.0.0\"\n\
         [[deps.Beta]]\nuuid = \"{B}\"\nversion = \"2.0.0\"\n"
    )
}

fn file(name: &str, text: &str) -> ManifestFile {
    ManifestFile {
        name: name.to_owned(),
        path: name.into(),
        folder: ".".into(),
        origin: Origin::of_file_name(name).unwrap().0,
        of_workspace: false,
        content: Manifest::from_toml(name, text),
    }
}

fn inputs(project: &str, manifest: Option<&str>, config: &str) -> Inputs {
    Inputs {
        project: Project::from_toml("Project.toml", project).unwrap(),
        manifests: Manifests(
            manifest
                .map(|text| file("Manifest.toml", text))
                .into_iter()
                .collect(),
        ),
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

/// Returns the error as one text, as a terminal shows it. All these errors are the user's.
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
fn a_julia_outside_of_the_bound_in_compat_is_a_warning() {
    let warnings = |bound: &str, julia: &str| {
        let project = format!("[deps]\nAlpha = \"{A}\"\n[compat]\njulia = \"{bound}\"\n");
        let inputs = inputs(&project, Some(&manifest(julia)), "");
        let warnings = inputs.plan(vec![given(julia)]).unwrap().warnings;
        warnings
            .into_iter()
            .map(|warning| warning.message)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        warnings("~1.6, ~1.9", "1.10.2"),
        ["Julia 1.10.2 is outside of the bound for julia in the project's [compat], `~1.6, ~1.9`"]
    );
    assert_eq!(warnings("1.6", "1.10.2"), [""; 0]);
    assert_eq!(warnings("1.13", "1.13.0-rc3"), [""; 0]);
}

#[test]
fn a_package_that_needs_pkg_brings_the_packages_of_a_session() {
    let has_them = |config: &str, text: &str| {
        let inputs = inputs(&format!("[deps]\nAlpha = \"{A}\"\n"), Some(text), config);
        inputs.plan(vec![given("1.12.5")]).unwrap().builds[0].has_session_packages()
    };
    let without = manifest("1.12.5");
    let with = without.replace("Beta", "Pkg");
    assert!(has_them("", &without));
    assert!(!has_them("repl = false\n", &without));
    assert!(has_them("repl = false\n", &with));
}

#[test]
fn sources_that_this_julia_does_not_read_are_a_warning() {
    let project =
        format!("[deps]\nAlpha = \"{A}\"\n[sources]\nAlpha = {{ path = \"../Alpha\" }}\n");
    let warnings = |project: &str, with: Option<&str>, julia: &str| {
        let plan = inputs(project, with, "").plan(vec![given(julia)]).unwrap();
        let messages = plan.warnings.into_iter().map(|warning| warning.message);
        messages.collect::<Vec<_>>()
    };
    assert_eq!(
        warnings(&project, None, "1.10.2"),
        [
            "Julia 1.10.2 ignores [sources] of the project file; this build installs `Alpha` from \
             there nevertheless"
        ]
    );
    assert!(warnings(&project, None, "1.11.0").is_empty());
    // A manifest says where the packages are.
    let manifest = manifest("1.10.2");
    assert!(warnings(&project, Some(&manifest), "1.10.2").is_empty());
    let without = format!("[deps]\nAlpha = \"{A}\"\n");
    assert!(warnings(&without, None, "1.10.2").is_empty());
}

#[test]
fn a_cpu_that_julia_does_not_know_is_refused_for_each_platform() {
    let tiers = app("cpu = [\"portable\", \"avx9\"]\n");
    let refused = refusal(tiers.plan(vec![given("1.10.2")]));
    assert!(
        refused.starts_with("Julia knows no CPU `avx9` on x86_64\n"),
        "{refused}"
    );
    let mut haswell = app("cpu = \"haswell\"\n");
    assert!(haswell.plan(vec![given("1.10.2")]).is_ok());
    haswell.triplet = Triplet::AARCH64_APPLE_DARWIN;
    let refused = refusal(haswell.plan(vec![given("1.10.2")]));
    assert!(
        refused.starts_with("`haswell` is a CPU of x86_64"),
        "{refused}"
    );
}

#[test]
fn an_option_that_makes_unusable_images_is_a_warning() {
    let stripped = app("julia-options = [\"-O3\", \"--strip-ir\"]\n");
    let plan = stripped.plan(vec![given("1.12.5")]).unwrap();
    let warning = &plan.warnings[0];
    assert!(warning.message.contains("MissingCodeError"), "{warning:?}");
    assert!(warning.hint.contains("`--strip-metadata`"), "{warning:?}");
    let warns = |inputs: &Inputs, julia: &str| {
        let plan = inputs.plan(vec![given(julia)]).unwrap();
        let mut warnings = plan.warnings.iter();
        warnings.any(|warning| warning.message.contains("--strip-ir"))
    };
    assert!(warns(&stripped, "1.12.5"));
    assert!(!warns(&stripped, "1.11.4"));
    let other = app("julia-options = \"--strip-metadata\"\n");
    assert!(!warns(&other, "1.12.5"));
}

#[test]
fn a_bundle_without_compiler_is_refused_for_a_julia_that_does_not_start_without_it() {
    let config =
        "[bundle]\nwithout-compiler = true\n[[app]]\nname = \"tally\"\npackage = \"Alpha\"\n";
    for (julia, library) in [
        ("1.5.3", "libjulia"),
        ("1.6.7", "libjulia-internal"),
        ("1.7.3", "libjulia-internal"),
    ] {
        let refused = refusal(app(config).plan(vec![given(julia)]));
        let expected = format!(
            "Julia {julia} does not start without its compiler: LLVM is linked into {library}\n"
        );
        assert!(refused.starts_with(&expected), "{refused}");
        assert!(refused.contains("Julia 1.8 or later"), "{refused}");
        assert!(app("").plan(vec![given(julia)]).is_ok());
    }
    for julia in ["1.8.0", "1.10.2", "1.12.7"] {
        app(config).plan(vec![given(julia)]).unwrap();
    }
}

#[test]
fn the_target_of_the_running_image_needs_julia_1_13() {
    for config in [
        "cpu = \"sysimage\"\n",
        "cpu = [\"generic\", \"sysimage\"]\n",
    ] {
        let inputs = app(config);
        let refused = refusal(inputs.plan(vec![given("1.12.7")]));
        assert!(
            refused
                .contains("Julia 1.12.7 does not know the CPU `sysimage`: it came with Julia 1.13"),
            "{refused}"
        );
        assert!(inputs.plan(vec![given("1.13.2")]).is_ok());
    }
}

#[test]
fn a_build_has_an_archive_of_its_image_unless_only_bundles_are_wanted() {
    let archives = |bundle: &str| -> Vec<String> {
        let tables = "[[app]]\nname = \"tally\"\npackage = \"Alpha\"\n\
                      [library]\nname = \"measure\"\npackage = \"Alpha\"\nversion = \"1.0.0\"\n";
        let plan = plan(&app(&format!("name = \"x\"\n{bundle}{tables}")));
        let ids = plan.builds[0].archives(&plan.name).unwrap();
        ids.iter().map(ToString::to_string).collect()
    };
    let bundles = [
        "x-app-julia1.10.2-x86_64-linux-gnu",
        "x-lib-julia1.10.2-x86_64-linux-gnu",
    ];
    assert_eq!(archives("[bundle]\nimage = false\n"), bundles);
    assert_eq!(
        archives(""),
        [&["x-julia1.10.2-x86_64-linux-gnu"][..], &bundles].concat()
    );
}

#[test]
fn portable_requests_the_cpu_targets_that_the_image_will_contain() {
    let target = |config: &str, julia: &str| {
        let plan = app(config).plan(vec![given(julia)]).unwrap();
        plan.builds[0].cpu.target.clone()
    };
    for (config, julia, all) in [
        ("", "1.5.4", false),
        ("", "1.10.2", false),
        ("cpu = \"portable\"\n", "1.11.1", false),
        ("base = \"core.so\"\n", "1.10.2", false),
        ("base = \"fresh\"\n", "1.10.2", true),
        ("", "1.12.7", true),
        ("cpu = \"portable\"\n", "1.13.0", true),
    ] {
        let triplet = app("").triplet;
        let wanted = match all {
            true => cpu::portable(triplet),
            false => cpu::portable_alone(triplet),
        };
        assert_eq!(target(config, julia), wanted, "{config}{julia}");
    }
    // What the user names is requested as it is.
    let named = "generic;haswell,clone_all";
    assert_eq!(target(&format!("cpu = \"{named}\"\n"), "1.10.2"), named);
}

#[test]
fn an_image_that_is_only_used_here_is_for_this_cpu_alone_if_nothing_chooses_its_targets() {
    let of = |config: &str, julia: &str| {
        let project = format!("name = \"x\"\n[deps]\nAlpha = \"{A}\"\n");
        let inputs = inputs(&project, None, config);
        let build = inputs.plan(vec![given(julia)]).unwrap().builds.remove(0);
        assert!(!inputs.is_for_this_machine(&build));
        let own = inputs.for_this_machine(&build)?;
        assert!(inputs.is_for_this_machine(&own));
        // Overrides still select by the identifier of the planned build.
        assert_eq!(own.settings, build.settings);
        Some((own.id.to_string(), own.cpu.target))
    };
    let own = of(
        "[[overrides]]\nselect = \"*-linux-gnu\"\nstrip = true\n",
        "1.12.5",
    );
    let id = "x-julia1.12.5-x86_64-linux-gnu-native".to_owned();
    assert_eq!(own, Some((id, "native".to_owned())));
    // Before 1.12 the image has one target anyway.
    assert_eq!(of("", "1.11.4"), None);
    assert_eq!(of("cpu = \"portable\"\n", "1.12.5"), None);
    assert_eq!(of("cpu = [\"x86-64-v2\", \"x86-64-v3\"]\n", "1.12.5"), None);
}

#[test]
fn a_project_becomes_one_build_for_each_julia_and_cpu() {
    let inputs = app("name = \"app\"\ncpu = [\"portable\", \"native\"]\narchive = \"tar.zst\"\n");
    // The same version, chosen for two requests, is planned once.
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
    // The requested package and its dependencies.
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
fn packages_may_be_named() {
    // Beta is only an indirect dependency of the project.
    let plan = plan(&app("packages = [\"Beta\", \"Alpha\"]\n"));
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
        one(inputs(&needs_alpha, None, "locked = true\n")),
        one(inputs(&needs_gamma, Some(&manifest("1.10.2")), "")),
        one(inputs(
            &needs_alpha,
            Some(&manifest("1.8.5")),
            "locked = true\n",
        )),
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
    // A pattern that matches nothing is an error, whatever the others match.
    let patterns = ["*1.10.9*".to_owned(), "*1.11*".to_owned()];
    assert!(refusal(all.select(&patterns)).contains("`*1.11*`"));
}

#[test]
fn the_nearest_request_counts() {
    let asked = |inputs: &Inputs| inputs.requests().unwrap();
    let exact = |version: &str| vec![Request::Exact(version.parse::<JuliaVersion>().unwrap())];
    // The command line's version, otherwise the configured one, otherwise the manifest's.
    assert_eq!(asked(&app("")), exact("1.10.2"));
    assert_eq!(asked(&app("julia = \"1.11.3\"\n")), exact("1.11.3"));
    let typed = Inputs {
        requests: vec!["lts".to_owned()],
        ..app("julia = \"1.11.3\"\n")
    };
    assert_eq!(asked(&typed), [Request::Lts]);
    assert_eq!(asked(&inputs("", None, "")), [Request::Release]);
    // `min` is resolved from the project.
    let oldest = Inputs {
        requests: vec!["min".to_owned()],
        ..app("")
    };
    assert!(matches!(asked(&oldest)[..], [Request::OldestMinor(_)]));
}

#[test]
fn requests_that_the_project_does_not_answer_are_refused() {
    for (request, project, words) in [
        ("min", "", "does not name julia"),
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

#[test]
fn each_build_has_the_manifest_of_its_julia() {
    let with = |julia: &str, beta: &str| {
        format!(
            "julia_version = \"{julia}\"\nmanifest_format = \"2.0\"\n\
             [[deps.Alpha]]\ndeps = [\"Beta\"]\nuuid = \"{A}\"\nversion = \"1.0.0\"\n\
             [[deps.Beta]]\nuuid = \"{B}\"\nversion = \"{beta}\"\n"
        )
    };
    let inputs = Inputs {
        manifests: Manifests(vec![
            file("Manifest-v1.11.toml", &with("1.11.9", "2.1.0")),
            file("Manifest-v1.12.toml", &with("1.12.7", "2.2.0")),
            // No planned Julia uses this manifest, so its error is ignored.
            file("Manifest.toml", "= not TOML"),
        ]),
        ..app("name = \"app\"\n")
    };
    let plan = inputs.plan(vec![given("1.11.9"), given("1.12.7")]).unwrap();
    let manifests: Vec<_> = plan.builds.iter().map(|b| b.manifest.as_deref()).collect();
    assert_eq!(
        manifests,
        [Some("Manifest-v1.11.toml"), Some("Manifest-v1.12.toml")]
    );
    let beta = |index: usize| plan.builds[index].closure[1].version.clone().unwrap();
    assert_eq!((beta(0), beta(1)), ("2.1.0".to_owned(), "2.2.0".to_owned()));
    assert_eq!(plan.closure.len(), 3, "of all builds");
    let error = inputs.plan(vec![given("1.10.2")]).unwrap_err();
    assert_eq!(error.location().unwrap().0, "Manifest.toml");
}

#[test]
fn a_weak_dependency_is_one_before_julia_1_9() {
    let project = format!(
        "name = \"Host\"\nuuid = \"11111111-2222-4333-8444-555555555555\"\n\
         [deps]\nAlpha = \"{A}\"\nGuest = \"{B}\"\n[weakdeps]\nGuest = \"{B}\"\n"
    );
    let alone = format!("[[Alpha]]\nuuid = \"{A}\"\n");
    let inputs = inputs(&project, Some(&alone), "");
    let plan = inputs.plan(vec![given("1.9.4")]).unwrap();
    let packages: Vec<_> = plan.builds[0]
        .packages
        .iter()
        .map(|p| p.name.as_str())
        .collect();
    assert_eq!(packages, ["Host", "Alpha"]);
    assert!(plan.closure.iter().all(|package| package.name != "Guest"));
    let error = refusal(inputs.plan(vec![given("1.8.5")]));
    assert!(error.contains("`Guest` is a dependency"), "{error}");
}

#[test]
fn a_manifest_that_does_not_name_its_julia_is_a_warning() {
    let old = format!("[[Alpha]]\nuuid = \"{A}\"\n");
    let new = format!("manifest_format = \"2.0\"\n[[deps.Alpha]]\nuuid = \"{A}\"\n");
    let next = format!("manifest_format = \"3.0\"\n[[deps.Alpha]]\nuuid = \"{A}\"\n");
    let project = format!("[deps]\nAlpha = \"{A}\"\n");
    let said = |manifest: &str, julia: &str| {
        let plan = inputs(&project, Some(manifest), "").plan(vec![given(julia)]);
        let warnings = plan.unwrap().warnings;
        warnings.into_iter().map(|w| w.message).collect::<String>()
    };
    assert!(said(&old, "1.12.7").contains("Manifest.toml is of the old format"));
    assert!(said(&new, "1.12.7").contains("does not say which Julia made it"));
    assert!(said(&next, "1.12.7").contains("is of format 3"));
    // Julia 1.6 writes only this format.
    assert_eq!(said(&old, "1.6.7"), "");
    assert_eq!(said(&manifest("1.10.2"), "1.10.9"), "");
}

#[test]
fn a_union_of_all_versions_is_a_warning() {
    let typed = |text: &str| Inputs {
        requests: vec![text.to_owned()],
        ..app("")
    };
    for inputs in [typed(">=1.10,<1.12"), app("julia = \">=1.10, <1.12\"\n")] {
        let plan = inputs.plan(vec![given("1.10.2")]).unwrap();
        let [warning] = plan.warnings.as_slice() else {
            panic!("{:?}", plan.warnings);
        };
        assert!(warning.message.contains("a comma means \"or\""));
        assert!(warning.hint.contains("write a space"));
    }
    assert!(plan(&typed(">=1.10 <1.12")).warnings.is_empty());
}

#[test]
fn an_empty_versioned_manifest_is_named() {
    let inputs = Inputs {
        manifests: Manifests(vec![
            file("Manifest-v1.12.toml", ""),
            file("Manifest.toml", &manifest("1.12.7")),
        ]),
        ..app("")
    };
    let error = refusal(inputs.plan(vec![given("1.12.7")]));
    assert!(
        error.contains("Manifest-v1.12.toml does not list it"),
        "{error}"
    );
    assert!(error.contains("instead of Manifest.toml"), "{error}");
    // The plain one was made by 1.12, so it does not apply.
    let other = inputs.plan(vec![given("1.11.9")]).unwrap();
    assert_ne!(other.builds[0].versions, Versions::Manifest);
}

#[test]
fn a_development_version_is_never_proposed_as_a_release() {
    let inputs = inputs(
        &format!("[deps]\nAlpha = \"{A}\"\n"),
        Some(&manifest("1.13.0-DEV")),
        "locked = true\n",
    );
    let error = refusal(inputs.plan(vec![given("1.12.7")]));
    assert!(error.contains("`--julia 1.13-nightly`"), "{error}");
    assert!(!error.contains("--julia 1.13.0-DEV"), "{error}");
}

#[test]
fn without_a_fitting_manifest_the_versions_are_resolved() {
    let needs_alpha = format!("[deps]\nAlpha = \"{A}\"\n");
    let none = plan(&inputs(&needs_alpha, None, ""));
    let because = NoManifest::Absent;
    assert_eq!(none.builds[0].versions, Versions::Resolved { because });
    // The dependencies of Alpha are not known yet.
    let closure: Vec<_> = none.closure.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(closure, ["Alpha"]);

    let other = plan(&inputs(&needs_alpha, Some(&manifest("1.8.5")), ""));
    let made_by = JuliaVersion::new(1, 8, 5);
    let because = NoManifest::OtherJulia {
        manifest: "Manifest.toml".to_owned(),
        made_by,
    };
    assert_eq!(other.builds[0].versions, Versions::Resolved { because });
    assert_eq!(plan(&app("")).builds[0].versions, Versions::Manifest);
}

#[test]
fn a_package_that_nothing_names_yet_is_looked_up_once_versions_are_resolved() {
    let needs_alpha = format!("[deps]\nAlpha = \"{A}\"\n");
    let inputs = inputs(&needs_alpha, None, "packages = [\"Beta\", \"Alpha\"]\n");
    let packages: Vec<_> = plan(&inputs).packages;
    assert_eq!(packages.len(), 1);
    let resolved = Manifest::from_toml("Manifest.toml", &manifest("1.10.2")).unwrap();
    let (packages, closure) = inputs
        .contents(&JuliaVersion::new(1, 10, 2), &resolved, Certainty::Known)
        .unwrap();
    let names: Vec<_> = packages.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["Beta", "Alpha"]);
    assert_eq!(closure.len(), 2);
    let unknown = Inputs {
        config: Config::from_toml("Sysimage.toml", "packages = [\"Gamma\"]\n").unwrap(),
        ..inputs
    };
    let refused = unknown.contents(&JuliaVersion::new(1, 10, 2), &resolved, Certainty::Known);
    assert!(matches!(refused, Err(PlanError::UnknownPackage { .. })));
}

#[test]
fn an_override_that_selects_nothing_is_a_warning() {
    let with = |select: &str| {
        let inputs = app(&format!(
            "[[overrides]]\nselect = \"{select}\"\nstrip = true\n"
        ));
        let warnings = inputs.plan(vec![given("1.10.2")]).unwrap().warnings;
        warnings.into_iter().map(|w| w.message).collect::<String>()
    };
    assert!(with("*-apple-drawin").contains("`*-apple-drawin` in Sysimage.toml selects no build"));
    assert!(with("*-julia1.9*").contains("selects no build"));
    // The pattern is for another platform.
    assert_eq!(with("*-apple-darwin"), "");
}
