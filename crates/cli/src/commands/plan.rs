//! `sysforge plan`: what would be built.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use sysforge_build::depots::{Depots, MissingPackage, sources};
use sysforge_engine::{Emission, Planned, packages};
use sysforge_plan::config::Config;
use sysforge_plan::generation::Generation;
use sysforge_plan::link::Strategy;
use sysforge_plan::plan::{Build, PlannedJulia, Versions};
use sysforge_plan::runner::Runner;
use sysforge_plan::text::counted;
use sysforge_plan::{BuildId, Plan};

use crate::args::PlanArgs;
use crate::commands::existing;
use crate::failure::Outcome;
use crate::runner::today;
use crate::session::Session;

pub(crate) async fn run(args: &PlanArgs, session: &Session) -> Outcome {
    let options = args.options();
    let planned = session.plan(&args.select).await?;
    for build in &planned.plan.builds {
        planned.require_locked(build, &options.packages)?;
    }
    warn_of_runners(&planned.files.inputs.config, session);
    let released = existing::builds(args, session).await?;
    let mut existing = Vec::new();
    for build in &planned.plan.builds {
        // Asked only where it matters: the digest needs the workloads, a plan does not.
        if released.iter().any(|(id, _)| *id == build.id) {
            let digest = planned
                .fingerprint(&session.engine, build, &options)?
                .digest();
            if released.contains(&(build.id.clone(), digest)) {
                existing.push(&build.id);
            }
        }
    }
    let missing: BTreeMap<&BuildId, Vec<MissingPackage>> = planned
        .plan
        .builds
        .iter()
        .map(|build| {
            let depots = packages::depots(
                &session.engine,
                &planned.files,
                Some(build),
                &options.packages,
            );
            (&build.id, missing(&planned, build, &depots))
        })
        .filter(|(_, missing)| !missing.is_empty())
        .collect();
    let builds = planned.plan.builds.iter();
    let emission: BTreeMap<&BuildId, Emission> = builds
        .map(|build| (&build.id, planned.emission(build, &options.image)))
        .collect();
    if session.global.json {
        session.terminal.json(&Shown {
            plan: &planned.plan,
            emission,
            existing,
            missing: missing
                .iter()
                .map(|(id, missing)| (*id, missing.iter().map(ToString::to_string).collect()))
                .collect(),
        });
    } else {
        let server = packages::server(&session.engine);
        let server = server.as_deref();
        let text = text(&planned.plan, &emission, &existing, &missing, server);
        session.terminal.data(&text);
    }
    Ok(())
}

/// The packages of a build's manifest that no depot holds. Those whose versions are still to be
/// resolved are not known.
fn missing(planned: &Planned, build: &Build, depots: &Depots) -> Vec<MissingPackage> {
    let manifests = &planned.files.inputs.manifests;
    let file = manifests.of(build.julia.version());
    let manifest = file.and_then(|file| file.content.as_ref().ok());
    let manifest = manifest.filter(|_| build.versions == Versions::Manifest);
    manifest.map_or_else(Vec::new, |manifest| depots.missing(manifest))
}

/// Says which of the runners that the configuration names are about to end.
fn warn_of_runners(config: &Config, session: &Session) {
    let platforms = config.platforms.values();
    let labels: BTreeSet<&str> = platforms
        .filter_map(|platform| platform.runner.as_deref())
        .collect();
    let runners = labels.into_iter().filter_map(Runner::named);
    for dying in runners.filter_map(|runner| runner.dying(today())) {
        session
            .engine
            .reporter
            .warn(dying.to_string(), Some(dying.hint()));
    }
}

/// What `--json` shows.
#[derive(serde::Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    plan: &'a Plan,
    /// What emitting is expected to take, by build.
    emission: BTreeMap<&'a BuildId, Emission>,
    /// The builds that the release has already.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    existing: Vec<&'a BuildId>,
    /// The packages that no depot holds, by build.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    missing: BTreeMap<&'a BuildId, Vec<String>>,
}

/// The plan for people. `server` is the package server that missing packages come from.
fn text(
    plan: &Plan,
    emission: &BTreeMap<&BuildId, Emission>,
    existing: &[&BuildId],
    missing: &BTreeMap<&BuildId, Vec<MissingPackage>>,
    server: Option<&str>,
) -> String {
    let mut text = String::new();
    for build in &plan.builds {
        let julia = match &build.julia {
            PlannedJulia::Catalogue { request, choice } => {
                format!("{} (`{request}`), {}", choice.version, choice.file.url)
            }
            PlannedJulia::Given { executable, build } => {
                format!("{}, {}", build.version, executable.display())
            }
        };
        let packages: Vec<_> = build.packages.iter().map(|p| p.name.as_str()).collect();
        let others = build.closure.len().saturating_sub(packages.len());
        let _ = writeln!(text, "{}", build.id);
        let _ = writeln!(text, "  julia     {julia}");
        let _ = writeln!(text, "  platform  {}", build.triplet);
        let others = match &build.versions {
            Versions::Manifest => format!("and {others} that they need"),
            Versions::Resolved { because } => format!(
                "and what they need, in versions that are still to be resolved: {}",
                because.explain(build.julia.version())
            ),
        };
        let _ = writeln!(text, "  packages  {} ({others})", packages.join(", "));
        if let Some(missing) = missing.get(&build.id) {
            let count = counted(missing.len(), "package");
            let _ = writeln!(text, "  missing   {count}, to be installed");
            for (source, names) in sources(missing, server) {
                let _ = writeln!(text, "            from {source}: {}", names.join(", "));
            }
        }
        let _ = writeln!(text, "  cpu       {}", build.cpu.target);
        if let Some(emission) = emission.get(&build.id) {
            let _ = writeln!(text, "  memory    {}", expected(emission));
        }
        let _ = writeln!(text, "  linkers   {}", linkers(build));
        let _ = writeln!(
            text,
            "  archive   {}.{}",
            build.id,
            build.archive.extension()
        );
        for app in &build.apps {
            let _ = writeln!(text, "  app       {} (in {})", app.name, app.package);
        }
        if let (false, Ok(id)) = (build.apps.is_empty(), build.app_id(&plan.name)) {
            let extension = build.archive.extension();
            let _ = writeln!(text, "  archive   {id}.{extension}");
        }
        if existing.contains(&&build.id) {
            let _ = writeln!(text, "  released  already, from the same inputs");
        }
    }
    text
}

/// What emitting is expected to take.
fn expected(emission: &Emission) -> String {
    let targets = match emission.targets {
        1 => String::new(),
        targets => format!(" for {targets} CPU targets"),
    };
    let threads = counted(emission.threads as usize, "thread");
    let gb = emission.memory as f64 / 1e9;
    format!("about {gb:.1} GB while emitting{targets} with {threads}; more for large packages")
}

/// The ways to come by a linker, in the order in which they are tried.
fn linkers(build: &Build) -> String {
    let os = build.triplet.os();
    let generation = Generation::of(build.julia.version());
    let order = generation.map(|generation| Strategy::order(os, generation));
    let titles = order
        .iter()
        .flatten()
        .map(|strategy| strategy.title(os).replace('`', ""));
    titles.collect::<Vec<_>>().join(", then ")
}
