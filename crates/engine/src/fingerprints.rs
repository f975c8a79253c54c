//! The fingerprints of one build: what each step records about its inputs, and what a later run
//! compares it with before it reuses the result.

use sysforge_build::inputs::{Fingerprint, Stage};
use sysforge_build::rounds::Traced;
use sysforge_plan::Sha256;

/// The name of the part for the traced statements.
const STATEMENTS: &str = "the recorded statements";

/// The name of the part for versions that were resolved for the build. Fingerprints of releases do
/// not contain it.
const RESOLVED: &str = "the resolved manifest";

/// The inputs of a build, from which the fingerprint of each step is derived.
#[derive(Debug, Clone)]
pub(crate) struct Fingerprints(Fingerprint);

impl Fingerprints {
    pub(crate) fn new(build: Fingerprint) -> Self {
        Self(build)
    }

    /// Returns the inputs of the build, except those that are known only while it runs.
    pub(crate) fn build(&self) -> &Fingerprint {
        &self.0
    }

    /// Adds the manifest that was resolved for the build.
    pub(crate) fn add_resolved(&mut self, manifest: &str) {
        self.0.add(Stage::Trace, RESOLVED, manifest);
    }

    /// Returns the fingerprint of the trace, both recorded and expected.
    pub(crate) fn trace(&self) -> Fingerprint {
        self.0.up_to(Stage::Trace)
    }

    /// Returns the expected fingerprint of an object that is emitted from these statements.
    pub(crate) fn object(&self, traced: &Traced) -> Fingerprint {
        self.with_statements(Stage::Emit, traced)
    }

    /// Returns the expected fingerprint of an image that is made from these statements, and of its
    /// check.
    pub(crate) fn image(&self, traced: &Traced) -> Fingerprint {
        self.with_statements(Stage::Link, traced)
    }

    /// Returns the fingerprint to record for an emission, which reads the project again after the
    /// trace.
    pub(crate) fn emitted(&self, traced: &Traced, trace: &Fingerprint) -> Fingerprint {
        self.object(traced).reading(trace, Stage::Emit)
    }

    /// Returns the fingerprint to record for a link, which reads only the object.
    pub(crate) fn linked(&self, emitted: &Fingerprint) -> Fingerprint {
        self.0.after(emitted, Stage::Link)
    }

    /// Returns the fingerprint to record for a check, which reads the project again to run the
    /// workloads.
    pub(crate) fn checked(&self, linked: &Fingerprint) -> Fingerprint {
        linked.reading(&self.0, Stage::Link)
    }

    /// Returns the digest for the receipt of a checked image. It covers the inputs that are known
    /// before the build.
    pub(crate) fn inputs_digest(checked: Fingerprint) -> Sha256 {
        checked.without(STATEMENTS).without(RESOLVED).digest()
    }

    /// Adds the statements, which several rounds may have extended.
    fn with_statements(&self, stage: Stage, traced: &Traced) -> Fingerprint {
        let mut fingerprint = self.0.up_to(stage);
        let lists =
            [&traced.statements, &traced.ineffective, &traced.given].map(|list| list.join("\n"));
        fingerprint.add(Stage::Emit, STATEMENTS, lists.join("\n\n"));
        fingerprint
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{Strategy, any, prop, prop_assert_eq, prop_assert_ne, proptest};
    use sysforge_build::inputs::Options;
    use sysforge_plan::link::Strategy as LinkStrategy;
    use sysforge_plan::plan::PlannedJulia;
    use sysforge_plan::{JuliaBuild, JuliaVersion, Triplet};

    use super::*;
    use crate::shared_tests::write_package;
    use crate::{BuildOptions, Engine, Environment, ImageOptions, Location, Planned};

    const TRIPLET: Triplet = Triplet::X86_64_LINUX_GNU;

    /// The content of a `Sysimage.toml` and the options of a command line.
    #[derive(Debug, Clone)]
    struct Said {
        config: String,
        image: ImageOptions,
    }

    fn said() -> impl Strategy<Value = Said> {
        let strategies = vec![LinkStrategy::Driver, LinkStrategy::Lld];
        let image = (
            any::<bool>(),
            any::<bool>(),
            prop::option::of(1..4_u32),
            prop::option::of(1..4_u32),
            prop::option::of("(gcc|clang)"),
            prop::sample::subsequence(strategies, 0..3),
        );
        let image =
            image.prop_map(
                |(strict, strip, rounds, image_threads, cc, linker)| ImageOptions {
                    strict,
                    strip,
                    rounds,
                    image_threads,
                    cc,
                    linker,
                },
            );
        let cpu = prop::sample::select(vec!["portable", "native", "generic"]);
        let base = prop::sample::select(vec!["shipped", "fresh"]);
        let julia = prop::sample::select(vec!["", "\"-O3\"", "\"-O3\", \"--inline=no\""]);
        let config = (any::<[bool; 3]>(), 1..4_u32, cpu, base, julia);
        let config = config.prop_map(|([execute, strict, strip], rounds, cpu, base, julia)| {
            format!(
                "execute = {execute}\nstrict = {strict}\nstrip = {strip}\nrounds = {rounds}\n\
                 cpu = \"{cpu}\"\nbase = \"{base}\"\njulia-options = [{julia}]\n"
            )
        });
        (config, image).prop_map(|(config, image)| Said { config, image })
    }

    /// Returns the options of the steps and the fingerprints for a command line and this project.
    fn decided(said: &Said) -> (Options, Fingerprints) {
        let folder = tempfile::tempdir().unwrap();
        let project = folder.path();
        write_package(project);
        std::fs::write(project.join("Sysimage.toml"), &said.config).unwrap();
        let location = Location::in_folder(project);
        let engine = Engine::new(None, location, Environment::default());
        let files = engine.location.read(&[], TRIPLET).unwrap();
        let julia = PlannedJulia::Given {
            executable: "/opt/julia".into(),
            build: JuliaBuild {
                version: JuliaVersion::new(1, 5, 3),
                commit: String::new(),
                triplet: TRIPLET,
            },
        };
        let plan = files.inputs.plan(vec![julia]).unwrap();
        let planned = Planned::without_nightlies(files, plan);
        let build = &planned.plan.builds[0];
        let options = BuildOptions {
            image: said.image.clone(),
            ..BuildOptions::default()
        };
        let fingerprint = planned.fingerprint(&engine, build, &options).unwrap();
        // The configuration is an input through the options that it sets, not through its text.
        let fingerprint = fingerprint.without("Sysimage.toml");
        let options = planned.options(build, &options.image);
        (options, Fingerprints::new(fingerprint))
    }

    fn traced(statements: Vec<String>) -> Traced {
        Traced {
            statements,
            ..Traced::default()
        }
    }

    proptest! {
        #![proptest_config(proptest::test_runner::Config::with_cases(64))]

        #[test]
        fn single_steps_leave_the_fingerprints_that_a_build_expects(
            said in said(),
            statements in prop::collection::vec("[a-z]{1,4}", 0..3),
        ) {
            let traced = traced(statements);
            // Each command reads the project and its options again.
            let step = || decided(&said).1;
            let trace = step().trace();
            let emitted = step().emitted(&traced, &trace);
            let linked = step().linked(&emitted);
            let checked = step().checked(&linked);
            let build = step();
            prop_assert_eq!(trace, build.trace());
            prop_assert_eq!(emitted, build.object(&traced));
            prop_assert_eq!(&linked, &build.image(&traced));
            prop_assert_eq!(&checked, &build.image(&traced));
            let digest = build.build().digest();
            prop_assert_eq!(Fingerprints::inputs_digest(checked), digest);
        }

        #[test]
        fn a_changed_option_is_a_changed_fingerprint(one in said(), other in said()) {
            let traced = traced(vec!["f".to_owned()]);
            let ((a, one), (b, other)) = (decided(&one), decided(&other));
            prop_assert_eq!(a == b, one.image(&traced) == other.image(&traced));
            prop_assert_eq!(
                (&a.trace, &a.emit) == (&b.trace, &b.emit),
                one.object(&traced) == other.object(&traced)
            );
            prop_assert_eq!(a.trace == b.trace, one.trace() == other.trace());
        }

        #[test]
        fn a_link_with_other_options_is_not_current(said in said()) {
            let traced = traced(Vec::new());
            let mut stripped = said.clone();
            stripped.image.strip = true;
            stripped.image.cc = Some("other".to_owned());
            let (with, plain) = (decided(&stripped).1, decided(&said).1);
            let emitted = plain.emitted(&traced, &plain.trace());
            let checked = plain.checked(&with.linked(&emitted));
            prop_assert_ne!(&checked, &plain.image(&traced));
            prop_assert_eq!(checked, with.image(&traced));
        }
    }
}
