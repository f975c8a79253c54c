//! Measures startup and first-call times with and without an image.

use std::path::{Path, PathBuf};

use sysforge_build::measure::measure;
use sysforge_build::{sections, startup};
use sysforge_plan::Receipt;
use sysforge_plan::app::BundleRecord;
use sysforge_plan::receipt::ReceiptError;
use sysforge_report::{Report, Sample};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::failure::Failure;
use crate::paths::{require_writable_file, write_file};
use crate::planning::Planned;
use crate::runner::BuildRunner;

/// A benchmark of images, and the files of its report.
#[derive(Debug)]
pub struct Benchmark {
    /// Number of processes to measure with the image, and as many without it.
    pub samples: u32,
    /// The path of the chart.
    pub svg: Option<PathBuf>,
    /// The path of the HTML page.
    pub html: Option<PathBuf>,
}

impl Benchmark {
    /// Makes sure that the files can be written. It needs no plan, so it comes before anything is
    /// downloaded.
    ///
    /// # Errors
    ///
    /// If a file cannot be written, or both are the same.
    pub fn check_files(&self) -> Result<(), EngineError> {
        if let (Some(svg), Some(html)) = (&self.svg, &self.html)
            && svg == html
        {
            return Err(EngineError::SameReport(svg.clone()));
        }
        self.files().try_for_each(require_writable_file)
    }

    /// Makes sure that a report covers one build.
    ///
    /// # Errors
    ///
    /// If there are several builds and there is a file to write.
    pub fn check_builds(&self, planned: &Planned) -> Result<(), EngineError> {
        let builds = &planned.plan.builds;
        if builds.len() > 1 && self.files().next().is_some() {
            let ids = builds.iter().map(|build| build.id.to_string()).collect();
            return Err(EngineError::SeveralReports(ids));
        }
        Ok(())
    }

    /// Measures an image, and writes the report.
    ///
    /// # Errors
    ///
    /// If a process or a workload fails, or a file cannot be written.
    pub async fn run(
        &self,
        runner: &mut BuildRunner<'_>,
        planned: &Planned,
        image: &Path,
        engine: &Engine,
    ) -> Result<Report, Failure> {
        let report = compare(self.samples, runner, planned, image).await?;
        if let Some(file) = &self.svg {
            write_file(file, &sysforge_report::svg(&report))?;
        }
        if let Some(file) = &self.html {
            write_file(file, &sysforge_report::html(&report))?;
        }
        let written: Vec<PathBuf> = self.files().map(Path::to_owned).collect();
        planned.note_results(engine, &written)?;
        Ok(report)
    }

    /// Returns the files that the benchmark writes.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.svg.iter().chain(&self.html).map(PathBuf::as_path)
    }
}

/// Measures new processes with and without an image.
///
/// # Errors
///
/// If a process or a workload fails.
pub async fn compare(
    samples: u32,
    runner: &mut BuildRunner<'_>,
    planned: &Planned,
    image: &Path,
) -> Result<Report, Failure> {
    let (mut without, mut with) = (Vec::new(), Vec::new());
    // Alternate, so that other load on the machine affects both alike.
    for _ in 0..samples {
        without.push(sample(runner, None).await?);
        with.push(sample(runner, Some(image)).await?);
    }
    Ok(Report {
        build_id: runner.build.id.to_string(),
        julia: format!(
            "Julia {} on {}",
            runner.build.julia.version(),
            runner.build.triplet
        ),
        without,
        with,
        residuals: runner.residuals(image).await?,
        sections: sections::sections(image)?,
        receipt: receipt(runner, planned, image),
        bundles: bundles(runner, planned, image),
    })
}

/// Measures one new process that only starts, and one that runs the workloads.
async fn sample(runner: &mut BuildRunner<'_>, image: Option<&Path>) -> Result<Sample, Failure> {
    let startup = startup::startup(&runner.context, image).await?;
    let (packages, workloads) = (runner.packages(), runner.workloads());
    let measured = measure(&runner.context, image, packages, &workloads).await?;
    runner.warn_of_unmeasured(&measured.unmeasured);
    Ok(Sample {
        startup_s: startup.as_secs_f64(),
        load_s: measured.load_s,
        first_call_s: measured.first_call_s,
        second_call_s: measured.second_call_s,
        start_memory: measured.start_bytes,
        peak_memory: measured.peak_bytes,
    })
}

/// Returns the records of the archives in `dist` with the apps and the library that were made from
/// exactly this image. The library is linked once more, so only its inputs can be compared.
fn bundles(runner: &BuildRunner<'_>, planned: &Planned, image: &Path) -> Vec<BundleRecord> {
    let digest = sysforge_pack::sha256_of(image).ok();
    let is_own = image == runner.image();
    let inputs = is_own.then(|| runner.inputs_digest()).flatten();
    let ids = runner.build.archives(&planned.plan.name);
    let ids = ids.unwrap_or_default().into_iter();
    ids.filter_map(|id| {
        let path = planned.dist().join(format!("{id}.receipt.json"));
        let receipt = read_receipt(&path, runner.engine)?;
        let same_image = digest
            .as_ref()
            .is_some_and(|(d, _)| *d == receipt.image.sha256);
        let is_of_image = same_image || inputs == Some(receipt.inputs_digest);
        receipt.bundle.filter(|_| is_of_image)
    })
    .collect()
}

/// Reads a receipt, if the file exists. One that cannot be used is reported.
fn read_receipt(path: &Path, engine: &Engine) -> Option<Receipt> {
    let text = sysforge_files::read_text(path).ok()?;
    let read = Receipt::from_json(&text);
    let unusable = |error: &ReceiptError| {
        let text = format!("{} is not used: {error}", path.display());
        engine.reporter.note(text);
    };
    read.inspect_err(unusable).ok()
}

/// Returns the receipt of exactly this image: in the image's folder, as in an archive, or in
/// `dist`.
fn receipt(runner: &BuildRunner<'_>, planned: &Planned, image: &Path) -> Option<Receipt> {
    let beside = image.with_file_name("receipt.json");
    let packed = planned
        .dist()
        .join(format!("{}.receipt.json", runner.build.id));
    let paths = [beside, packed].into_iter();
    let mut candidates = paths.filter_map(|path| read_receipt(&path, runner.engine));
    let (digest, _) = sysforge_pack::sha256_of(image).ok()?;
    candidates.find(|receipt| receipt.image.sha256 == digest)
}
