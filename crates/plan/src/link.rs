//! How to link a sysimage: the table of operating systems and Julia generations, the order in which
//! linkers are tried, their argument vectors, and the checks of a finished image. Pure functions
//! over values: the `build` crate runs linkers, opens libraries and writes export lists, and
//! nothing here may depend on how.

pub mod arguments;
pub mod choice;
pub mod exports;
pub mod inspection;
pub mod layout;
pub mod linker;
pub mod report;
pub mod size;
pub mod strategy;
pub mod stub;
pub mod symbols;

pub use arguments::{Flavour, Input, LinkSpec, NOT_FOR_GNU_PE};
pub use choice::{LinkerChoice, NotWords, words};
pub use inspection::{Expectation, Finding, Format, Inspection};
pub use layout::Layout;
pub use linker::{Candidate, Family, Inventory};
pub use report::{Linked, PassedOver};
pub use strategy::Strategy;
