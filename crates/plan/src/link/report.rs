//! The report of a link: the linker that ran, the linkers that were passed over and why, and the
//! properties of the image. Part of the receipt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::inspection::Inspection;
use crate::link::strategy::Strategy;

/// A linked image, for the receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Linked {
    /// The strategy that found the linker.
    pub strategy: Strategy,
    /// The program that was started: a linker or a compiler driver.
    pub program: String,
    /// The version text of the linker that ran.
    pub linker_version: String,
    /// The linkers that were tried before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// The properties of the finished image.
    pub inspection: Inspection,
    /// Wall time of the linker itself, in seconds.
    pub wall_seconds: f64,
}

/// A linker that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedOver {
    /// The strategy that found it.
    pub strategy: Strategy,
    /// The program.
    pub program: String,
    /// Why it was not used.
    pub reason: String,
}
