//! The receipt: one JSON document that describes a result. A copy is in the archive and another
//! next to it. Planning (what exists), publishing (merging), installing (choosing) and reporting
//! (tables) read this schema.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::build_id::BuildId;
use crate::digest::Sha256;
use crate::event::Step;
use crate::json;
use crate::julia::JuliaBuild;
use crate::julia_option::JuliaOption;
use crate::measured;
use crate::output::OutputKind;
use crate::portability::Portability;
use crate::signing::SignatureCheck;
use crate::statements::Ignored;
use crate::text::{self, FileName, ImageName};

/// The schema that this Sysforge writes. A reader refuses a higher major number.
pub const SCHEMA: &str = "sysforge-receipt/1";

/// No Julia loads packages and runs a workload in less time, in seconds.
const SHORTEST_RESULT_S: f64 = 1e-4;

/// What was built, from which inputs, how, and what was verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Sysforge receipt")]
pub struct Receipt {
    /// Always `sysforge-receipt/1`.
    pub schema: String,
    /// The build identifier.
    pub build_id: BuildId,
    /// The image's name, as configured.
    pub name: ImageName,
    /// The version of the project that the image was built from, if it has one.
    #[serde(default, deserialize_with = "text::optional::<text::PlainVersion, _>")]
    pub project_version: Option<String>,
    /// The Julia build of the image; no other build may load it.
    pub julia: JuliaBuild,
    /// The origin of that Julia.
    pub julia_origin: JuliaOrigin,
    /// The image file.
    pub image: FileRecord,
    /// The CPU targets.
    pub targets: Targets,
    /// Options passed to the emitting Julia that change the code in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub julia_options: Vec<JuliaOption>,
    /// The packages in the image: all that the emitting Julia had loaded, its own libraries
    /// included.
    pub packages: Vec<PackageRecord>,
    /// The extensions of packages in the image.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extensions: Vec<ExtensionRecord>,
    /// The preferences for packages in the image, as set in the environment (Julia 1.6 and later).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preferences: Vec<PreferenceRecord>,
    /// The manifest with the versions of the packages; the archive contains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<ManifestRecord>,
    /// The results of replaying the precompile statements.
    pub statements: StatementCounts,
    /// What the check of the finished image found.
    pub check: CheckRecord,
    /// How it was linked.
    pub link: LinkRecord,
    /// How long each step took.
    pub timings: Vec<Timing>,
    /// The content of an archive of apps and the results of running them; absent in the receipt of
    /// an image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bundle: Option<crate::app::BundleRecord>,
    /// The tool that built it.
    pub tool: ToolRecord,
    /// The git objects at the top level of the archive, without the receipt: with them, the tree hash
    /// of the archive's content is known without unpacking it. Empty in older receipts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<ObjectRecord>,
    /// The digest of everything that decides the result: Julia build, packages, workloads,
    /// configuration, recipe. Equal digests mean that no second build is needed.
    pub inputs_digest: Sha256,
}

/// The origin of a Julia.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum JuliaOrigin {
    /// From the catalogue, verified by digest.
    Catalogue {
        /// The archive's address in the catalogue.
        #[serde(deserialize_with = "text::string::<text::WebAddress, _>")]
        url: String,
        /// The archive's digest, which was verified.
        sha256: Sha256,
        /// The result of checking its signature.
        #[serde(flatten)]
        signature: SignatureCheck,
    },
    /// A nightly build. No published digest exists for one: this is the digest of the downloaded
    /// file.
    Nightly {
        /// The archive's address, without credentials.
        #[serde(deserialize_with = "text::string::<text::WebAddress, _>")]
        url: String,
        /// The archive's digest.
        sha256: Sha256,
    },
    /// Given by the user, not verified.
    Given,
}

/// A git object at the top level of an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectRecord {
    /// The name of the file, link or folder.
    #[serde(deserialize_with = "text::string::<text::PlainName, _>")]
    pub name: String,
    /// What it is.
    pub kind: ObjectKind,
    /// Git's hash of its content.
    #[serde(deserialize_with = "text::string::<text::TreeHash, _>")]
    pub sha1: String,
}

/// The kinds of entries that a git tree distinguishes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectKind {
    /// A file.
    File,
    /// An executable file.
    Program,
    /// A symbolic link, whose content is the path of its target.
    Link,
    /// A folder.
    Folder,
}

impl ObjectKind {
    /// Returns the kind of a file with these permissions.
    pub fn of_mode(mode: u32) -> Self {
        match mode & 0o100 {
            0 => Self::File,
            _ => Self::Program,
        }
    }

    /// Returns the mode in a git tree.
    pub fn mode(self) -> &'static str {
        match self {
            Self::File => "100644",
            Self::Program => "100755",
            Self::Link => "120000",
            Self::Folder => "40000",
        }
    }
}

/// A file, by name, size and digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FileRecord {
    /// The file name, without folders.
    pub name: FileName,
    /// Size in bytes.
    pub size: u64,
    /// Digest of the bytes.
    pub sha256: Sha256,
}

/// CPU targets: the requested ones and those in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Targets {
    /// The tier of this image, if the platform has several, for instance `x86-64-v3`.
    #[serde(default, deserialize_with = "text::optional::<text::CpuTier, _>")]
    pub tier: Option<String>,
    /// The `--cpu-target` string passed to Julia.
    #[serde(deserialize_with = "text::string::<text::CpuTargets, _>")]
    pub requested: String,
    /// The targets read from the finished image; `None` where they could not be read.
    #[serde(
        default,
        deserialize_with = "text::optional_list::<text::CpuTargets, _>"
    )]
    pub held: Option<Vec<String>>,
}

/// One package in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PackageRecord {
    /// The name.
    #[serde(deserialize_with = "text::string::<text::PackageName, _>")]
    pub name: String,
    /// The UUID.
    #[serde(deserialize_with = "text::string::<text::Uuid, _>")]
    pub uuid: String,
    /// The version; standard libraries may have none.
    #[serde(default, deserialize_with = "text::optional::<text::PlainVersion, _>")]
    pub version: Option<String>,
    /// `git-tree-sha1` from the Manifest, for packages that come from a registry or repository.
    #[serde(default, deserialize_with = "text::optional::<text::TreeHash, _>")]
    pub tree: Option<String>,
    /// Whether it was requested explicitly, not only as a dependency.
    pub requested: bool,
}

/// An extension of a package: code that Julia loads once all packages that trigger it are loaded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct ExtensionRecord {
    /// The name.
    #[serde(deserialize_with = "text::string::<text::PackageName, _>")]
    pub name: String,
    /// The package that it extends.
    #[serde(deserialize_with = "text::string::<text::PackageName, _>")]
    pub package: String,
}

/// A preference of a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PreferenceRecord {
    /// The package.
    #[serde(deserialize_with = "text::string::<text::PackageName, _>")]
    pub package: String,
    /// The name of the preference.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub name: String,
    /// Its value, as TOML; truncated to 500 characters.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub value: String,
}

/// The manifest of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ManifestRecord {
    /// Its name in the archive.
    #[serde(deserialize_with = "text::string::<text::FileName, _>")]
    pub name: String,
    /// Digest of the file.
    pub sha256: Sha256,
    /// Whether its versions were resolved for this build, because no manifest of the project could
    /// be used.
    pub resolved: bool,
}

/// The results of replaying the precompile statements: `recorded` is the sum of `replayed`,
/// `failed` and `skipped`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatementCounts {
    /// Distinct statements from tracing and from the configuration.
    pub recorded: usize,
    /// Statements that Julia compiled into the image.
    pub replayed: usize,
    /// The replayed statements whose printed form had to be repaired before Julia could parse it.
    pub mended: usize,
    /// Statements that could not be replayed, each with its reason.
    pub failed: Vec<Unreplayed>,
    /// Statements that were skipped on purpose, each with its reason.
    pub skipped: Vec<Unreplayed>,
    /// Other text in the configured files of statements, not counted as statements.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
}

/// The counts of the statements contradict each other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{recorded} statements were recorded, but {replayed} replayed, {failed} failed and {skipped} \
     skipped make {}", replayed.saturating_add(*failed).saturating_add(*skipped)
)]
pub struct Unaccounted {
    /// See [`StatementCounts::recorded`].
    pub recorded: usize,
    /// See [`StatementCounts::replayed`].
    pub replayed: usize,
    /// How many failed.
    pub failed: usize,
    /// How many were skipped.
    pub skipped: usize,
}

impl StatementCounts {
    /// Checks that every statement is counted as replayed, failed or skipped.
    ///
    /// # Errors
    ///
    /// If the counts do not add up.
    pub fn check(&self) -> Result<(), Unaccounted> {
        let (failed, skipped) = (self.failed.len(), self.skipped.len());
        let sum = self.replayed.checked_add(failed + skipped);
        if sum == Some(self.recorded) {
            return Ok(());
        }
        Err(Unaccounted {
            recorded: self.recorded,
            replayed: self.replayed,
            failed,
            skipped,
        })
    }
}

/// A statement that is not in the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unreplayed {
    /// The statement, as recorded.
    pub statement: String,
    /// The reason.
    pub reason: String,
}

/// The results of checking the finished image.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CheckRecord {
    /// The requested packages that `Base.loaded_modules` held right after the start.
    #[serde(deserialize_with = "text::list::<text::PackageName, _>")]
    pub loaded: Vec<String>,
    /// Statements that running the workloads on the image still compiled, although the image could
    /// contain their code.
    pub residuals: Vec<String>,
    /// Statements compiled for functions and types that the workloads define: no image of the
    /// packages can contain their code.
    #[serde(default)]
    pub own: Vec<String>,
    /// The number of residual statements after each round of tracing and emitting; the last one is
    /// this image's.
    #[serde(default)]
    pub rounds: Vec<usize>,
    /// The kinds of standard output that the workloads were run with, and the residuals of each.
    #[serde(default)]
    pub outputs: Vec<OutputRecord>,
    /// How many milliseconds compiling each residual and each statement in `own` took, if Julia
    /// reports it (1.12 and later).
    #[serde(
        default,
        skip_serializing_if = "BTreeMap::is_empty",
        deserialize_with = "measured::costs"
    )]
    pub costs_ms: BTreeMap<String, f64>,
    /// Latency with the image, in seconds; absent without a workload.
    pub latency: Option<Latency>,
    /// Loading the packages in a new process without the image, in seconds; absent if not measured.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "measured::optional_seconds"
    )]
    pub load_without_image_s: Option<f64>,
    /// The first run of the workloads in a new process without the image, in seconds; absent if not
    /// measured.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "measured::optional_seconds"
    )]
    pub first_call_without_image_s: Option<f64>,
    /// Waiting times of an interactive session; absent if not measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interactive: Option<Interactive>,
    /// Measurements that failed, with reasons.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unmeasured: Vec<String>,
    /// What the image needs of a machine besides its Julia.
    #[serde(default)]
    pub portability: Option<Portability>,
}

/// The check results for one kind of standard output.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct OutputRecord {
    /// The kind.
    pub output: OutputKind,
    /// Statements that running the workloads with this output still compiled, although the image
    /// could contain their code.
    pub residuals: Vec<String>,
}

/// The time that an interactive session needs until its first prompt and until the end of a first
/// `using Pkg`, in seconds, with an empty home folder and an empty depot. Each is measured from
/// starting Julia until it exits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interactive {
    /// The first prompt.
    #[serde(deserialize_with = "measured::seconds")]
    pub first_prompt_s: f64,
    /// The first prompt of the Julia without the image.
    #[serde(deserialize_with = "measured::seconds")]
    pub first_prompt_without_image_s: f64,
    /// The first `using Pkg`.
    #[serde(deserialize_with = "measured::seconds")]
    pub using_pkg_s: f64,
    /// The first `using Pkg` of the Julia without the image.
    #[serde(deserialize_with = "measured::seconds")]
    pub using_pkg_without_image_s: f64,
}

/// Latency of a workload, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Loading the packages (`using`).
    #[serde(deserialize_with = "measured::seconds")]
    pub load_s: f64,
    /// The first run of the workloads in a new process.
    #[serde(deserialize_with = "measured::seconds")]
    pub first_call_s: f64,
    /// The second run in the same process; absent if the workloads cannot run twice.
    #[serde(default, deserialize_with = "measured::optional_seconds")]
    pub second_call_s: Option<f64>,
}

/// How an image was linked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LinkRecord {
    /// The strategy, for instance `driver` or `julia-lld`.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub strategy: String,
    /// The version text of the linker that ran.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub linker: String,
}

/// How long a step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Timing {
    /// The step.
    pub step: Step,
    /// Seconds of wall time.
    #[serde(deserialize_with = "measured::seconds")]
    pub seconds: f64,
    /// The observed peak memory of the step's child process, in bytes, if it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory: Option<u64>,
}

/// The tool that built the image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ToolRecord {
    /// `sysforge`.
    #[serde(deserialize_with = "text::string::<text::Line, _>")]
    pub name: String,
    /// Its version.
    #[serde(deserialize_with = "text::string::<text::PlainVersion, _>")]
    pub version: String,
    /// The version of its recipe, raised whenever the same inputs would give another image.
    pub recipe: u32,
}

/// A receipt cannot be used.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages describe the variants")]
pub enum ReceiptError {
    #[error("not a Sysforge receipt")]
    Malformed(#[source] json::JsonError),
    #[error("the receipt has the schema `{}`, and this Sysforge reads `{SCHEMA}`", crate::text::shortened(.0, 60))]
    Schema(String),
    #[error("the receipt is called {found}, and its parts make {expected}")]
    Identifier { found: BuildId, expected: String },
    #[error("the counts of the statements in the receipt do not add up")]
    Unaccounted(#[source] Unaccounted),
}

impl Receipt {
    /// Returns the receipt as indented JSON with a final newline.
    pub fn to_json(&self) -> String {
        text::json(self)
    }

    /// Parses a receipt. Unknown fields are ignored, so that later versions of Sysforge can add
    /// some.
    ///
    /// # Errors
    ///
    /// If the text is not a receipt, has another schema, or contradicts itself.
    pub fn from_json(text: impl AsRef<[u8]>) -> Result<Self, ReceiptError> {
        let text = text.as_ref();
        let schema = json::schema(text).map_err(ReceiptError::Malformed)?;
        if schema != SCHEMA {
            return Err(ReceiptError::Schema(schema));
        }
        let receipt: Self = json::parse(text).map_err(ReceiptError::Malformed)?;
        receipt
            .statements
            .check()
            .map_err(ReceiptError::Unaccounted)?;
        match receipt.other_build_id() {
            None => Ok(receipt),
            Some(expected) => Err(ReceiptError::Identifier {
                found: receipt.build_id,
                expected,
            }),
        }
    }

    /// Returns the build identifier for the name, Julia, platform and tier, if the receipt's
    /// differs.
    pub fn other_build_id(&self) -> Option<String> {
        let (julia, tier) = (&self.julia, self.targets.tier.as_deref());
        match BuildId::of(&self.name, &julia.version, julia.triplet, tier) {
            Ok(expected) => (expected != self.build_id).then(|| expected.into()),
            Err(error) => Some(error.to_string()),
        }
    }

    /// Returns the path of the image in the archive.
    pub fn image_path(&self) -> String {
        match &self.bundle {
            None => self.image.name.to_string(),
            Some(bundle) => {
                let folder = bundle.image_folder(self.julia.triplet.os());
                format!("{folder}/{}", self.image.name)
            }
        }
    }

    /// Returns the JSON Schema of receipts, for other tools that read them.
    pub fn json_schema() -> serde_json::Value {
        schemars::schema_for!(Self).to_value()
    }
}

impl Latency {
    /// Returns the time for loading and the first call, in seconds.
    pub fn first_result_s(&self) -> f64 {
        self.load_s + self.first_call_s
    }
}

impl CheckRecord {
    /// Returns the first call's time divided by the second's: 1.0 means that nothing was left to
    /// compile. `None` if the second was not measured, or too short to measure.
    pub fn first_over_second(&self) -> Option<f64> {
        let latency = self.latency?;
        let second = latency.second_call_s.filter(|time| *time >= 1e-9)?;
        Some(latency.first_call_s / second)
    }

    /// Returns how many milliseconds compiling the workloads' own functions took, as far as Julia
    /// reports it.
    pub fn own_cost_ms(&self) -> f64 {
        let costs = self.own.iter().filter_map(|text| self.costs_ms.get(text));
        costs.sum()
    }

    /// Returns the time for loading and the first call without the image, in seconds; `None` if one
    /// was not measured.
    pub fn first_result_without_image_s(&self) -> Option<f64> {
        Some(self.load_without_image_s? + self.first_call_without_image_s?)
    }

    /// Returns how many times faster loading and the first call are with the image; `None` if
    /// either was not measured, or is too short to be true.
    pub fn first_result_speedup(&self) -> Option<f64> {
        let with = self.latency?.first_result_s();
        let without = self.first_result_without_image_s()?;
        (with >= SHORTEST_RESULT_S).then(|| without / with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads a receipt in which the field at `pointer` has this JSON text as its value.
    fn read_with(pointer: &str, text: &str) -> Result<Receipt, ReceiptError> {
        let image = crate::release::tests::image("x86_64-linux-gnu", "1.12.7", None, "generic");
        let mut value = serde_json::to_value(image.receipt).unwrap();
        let times = |names: &[&str]| {
            let times = names.iter().map(|name| ((*name).to_owned(), 1.5.into()));
            serde_json::Value::Object(times.collect())
        };
        let interactive = times(&[
            "first_prompt_s",
            "first_prompt_without_image_s",
            "using_pkg_s",
            "using_pkg_without_image_s",
        ]);
        value["check"]["interactive"] = interactive;
        value["check"]["latency"] = times(&["load_s", "first_call_s", "second_call_s"]);
        value["check"]["costs_ms"] = times(&["precompile(f)"]);
        value["check"]["load_without_image_s"] = 1.5.into();
        value["check"]["first_call_without_image_s"] = 1.5.into();
        value["timings"] = serde_json::json!([{"step": "emit", "seconds": 1.5}]);
        *value.pointer_mut(pointer).unwrap() = serde_json::from_str(text).unwrap();
        Receipt::from_json(value.to_string())
    }

    #[test]
    fn a_time_that_nobody_measured_is_refused_with_its_field() {
        for pointer in [
            "/check/interactive/first_prompt_s",
            "/check/interactive/first_prompt_without_image_s",
            "/check/interactive/using_pkg_s",
            "/check/interactive/using_pkg_without_image_s",
            "/check/latency/load_s",
            "/check/latency/first_call_s",
            "/check/latency/second_call_s",
            "/check/costs_ms/precompile(f)",
            "/check/load_without_image_s",
            "/check/first_call_without_image_s",
            "/timings/0/seconds",
        ] {
            for good in ["0", "1.5", "2592000"] {
                assert!(read_with(pointer, good).is_ok(), "{pointer}: {good}");
            }
            for bad in ["-1", "-1e-300", "1e300", "2592000001"] {
                let Err(ReceiptError::Malformed(error)) = read_with(pointer, bad) else {
                    panic!("{pointer}: {bad} is accepted");
                };
                let text = error.to_string();
                assert!(text.contains("a measured time is between"), "{text}");
                let field = pointer.split('/').nth(1).unwrap();
                assert!(text.contains(field), "{text}");
            }
        }
    }

    #[test]
    fn statements_that_do_not_add_up_are_refused() {
        assert!(read_with("/statements/recorded", "0").is_ok());
        for (pointer, count) in [
            ("/statements/recorded", "18446744073709551615"),
            ("/statements/replayed", "18446744073709551615"),
            ("/statements/recorded", "1"),
        ] {
            let error = read_with(pointer, count).unwrap_err();
            assert!(matches!(error, ReceiptError::Unaccounted(_)), "{error}");
        }
        let mut counts = StatementCounts {
            replayed: usize::MAX,
            ..StatementCounts::default()
        };
        counts.failed.push(Unreplayed {
            statement: String::new(),
            reason: String::new(),
        });
        assert!(counts.check().unwrap_err().to_string().contains("make"));
    }

    #[test]
    fn a_result_without_any_latency_has_no_speedup() {
        let with = |seconds: f64| CheckRecord {
            latency: Some(Latency {
                load_s: seconds,
                first_call_s: seconds,
                second_call_s: Some(seconds),
            }),
            load_without_image_s: Some(4.0),
            first_call_without_image_s: Some(4.0),
            ..CheckRecord::default()
        };
        assert_eq!(with(0.5).first_result_speedup(), Some(8.0));
        assert_eq!(with(0.0).first_result_speedup(), None);
        assert_eq!(with(0.0).first_over_second(), None);
    }

    #[test]
    fn what_the_workloads_own_functions_cost_is_told_from_residuals() {
        let costs = [("precompile(own)", 1900.0), ("precompile(left)", 16.0)];
        let check = CheckRecord {
            own: vec!["precompile(own)".to_owned(), "precompile(other)".to_owned()],
            residuals: vec!["precompile(left)".to_owned()],
            costs_ms: costs.map(|(text, ms)| (text.to_owned(), ms)).into(),
            ..CheckRecord::default()
        };
        assert!((check.own_cost_ms() - 1900.0).abs() < 0.5);
    }
}
