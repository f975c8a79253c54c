//! Evidence that a person can look at: the figures of a benchmark and the receipt of an image as
//! an SVG chart and as a self-contained HTML page.
//!
//! Architecture invariants: pure functions from values to text. No file, network, clock or
//! environment; what is rendered refers to nothing outside itself, and reads well in light and
//! dark, and without telling colours apart.

mod chart;
mod figures;
mod html;
pub mod units;

pub use chart::svg;
pub use figures::{Figures, Sample};
pub use html::html;

use sysforge_plan::Receipt;

/// What a report is about.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The build identifier.
    pub build_id: String,
    /// The Julia version, and the platform in Julia's spelling.
    pub julia: String,
    /// What fresh processes saw without the image.
    pub without: Vec<Sample>,
    /// What fresh processes saw with the image.
    pub with: Vec<Sample>,
    /// Statements that running the workloads on the image still compiled.
    pub residuals: Vec<String>,
    /// The parts of the image file, by name and bytes.
    pub sections: Vec<(String, u64)>,
    /// The image's receipt, if it has one.
    pub receipt: Option<Receipt>,
}
