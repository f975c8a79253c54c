//! What is said of a link that was done: which linker really ran, which were passed over and why,
//! and what the image looks like. Part of the receipt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::link::inspection::Inspection;
use crate::link::strategy::Strategy;

/// A linked image, for the receipt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Linked {
    /// How the linker was come by.
    pub strategy: Strategy,
    /// The program that was started: a linker or a compiler driver.
    pub program: String,
    /// The linker that really ran, in its own words.
    pub linker_version: String,
    /// The linkers that were tried before it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// The finished image.
    pub inspection: Inspection,
    /// Wall time of the linker itself, in seconds.
    pub wall_seconds: f64,
}

/// A linker that was not used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PassedOver {
    /// How it was come by.
    pub strategy: Strategy,
    /// The program.
    pub program: String,
    /// Why it was not used.
    pub reason: String,
}
