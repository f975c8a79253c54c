//! Renders the figures of a benchmark and the receipt of an image as a table, as an SVG chart and
//! as a self-contained HTML page.
//!
//! Architecture invariants: pure functions from values to text, which access no file, network,
//! clock or environment. The output refers to nothing outside of itself, and is readable in light
//! and dark mode and without colours.

pub mod built;
mod chart;
pub mod comparison;
mod figures;
mod html;
pub mod table;

pub use chart::svg;
pub use figures::{Figures, Sample};
pub use html::html;

use sysforge_plan::Receipt;
use sysforge_plan::app::BundleRecord;

/// The data of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The build identifier.
    pub build_id: String,
    /// The Julia version, and the platform in Julia's spelling.
    pub julia: String,
    /// Measurements of new processes without the image.
    pub without: Vec<Sample>,
    /// Measurements of new processes with the image.
    pub with: Vec<Sample>,
    /// Statements that the workloads still compiled when they ran on the image.
    pub residuals: Vec<String>,
    /// The sections of the image file: name and size in bytes.
    pub sections: Vec<(String, u64)>,
    /// The image's receipt, if it has one.
    pub receipt: Option<Receipt>,
    /// The contents of the archives of its apps and of its C library, as far as there are any.
    pub bundles: Vec<BundleRecord>,
}
