//! Sources and their rules as a data contract of the Open Data Contract Standard (ODCS) 3.1, and back.
//!
//! A contract that Tidemill wrote comes back as it was: what the standard has no word for stands in custom properties
//! and in quality checks of the engine `tidemill`. Of a contract from elsewhere, every part that is not taken is named.

mod export;
mod import;
mod quality;
mod types;

pub use export::export;
pub use import::{Imported, import};

/// Version of the standard that is written.
pub const API_VERSION: &str = "v3.1.0";
/// Engine of checks that the standard has no metric for.
const ENGINE: &str = "tidemill";
/// Custom property with what the standard has no place for.
const OWN: &str = "tidemill";
/// Custom property of a check: its place among the rules of the source.
const PLACE: &str = "tidemill.place";
