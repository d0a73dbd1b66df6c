//! The replay plan: how files of history become data events.

use crate::error::{SpecError, SpecProblem};
use serde::Deserialize;
use std::collections::BTreeMap;
use tidemill_types::SourceName;

/// A set of streams that are published together, in the order of their knowledge time.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayPlan {
    /// The streams.
    pub streams: Vec<ReplayStream>,
}

/// One file read as events of one source.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayStream {
    /// Source that the events belong to.
    pub source: SourceName,
    /// Parquet file, relative to the plan.
    pub file: String,
    /// CloudEvents type.
    #[serde(rename = "type")]
    pub event_type: String,
    /// Rows to take; absent: all.
    #[serde(default, rename = "where")]
    pub filter: Option<String>,
    /// Instant at which the row became known: an expression over the file's columns.
    pub known_at: String,
    /// Columns of the event: expressions over the file's columns.
    pub columns: BTreeMap<String, String>,
}

impl ReplayPlan {
    /// Reads a plan.
    ///
    /// # Errors
    /// [`SpecError::Syntax`] naming the line.
    pub fn parse(text: &str) -> Result<Self, SpecError> {
        serde_saphyr::from_str(text).map_err(|e| {
            let line = e.location().and_then(|l| usize::try_from(l.line()).ok());
            let message = e.to_string().lines().next().unwrap_or_default().to_owned();
            SpecError::Syntax(SpecProblem { path: String::new(), line, column: None, message, mend: None })
        })
    }
}
