//! What one commit says about the quality of its rows: written by validation, read by whoever shows it.

use crate::freshness::Freshness;
use crate::score::QualityScore;
use crate::tally::Tally;
use crate::verdict::RuleResult;
use serde::{Deserialize, Serialize};
use tidemill_stats::TableProfile;
use tidemill_types::Millis;

/// Result of validating the rows of one or more raw commits.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QualityReport {
    /// Newest raw version covered.
    pub raw_version: i64,
    /// Rows checked.
    pub checked: u64,
    /// Rows in quarantine.
    pub quarantined: u64,
    /// Rule for which the whole commit was held back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held: Option<String>,
    /// Rule with severity `block` that failed.
    pub blocked: Option<String>,
    /// Results by rule.
    pub rules: Vec<RuleResult>,
    /// What the score is made of; nothing in reports from before it was kept.
    #[serde(default)]
    pub tally: Tally,
    /// How fresh the source was with these rows.
    #[serde(default)]
    pub freshness: Option<Freshness>,
    /// Four dimensions and their formula.
    pub score: QualityScore,
    /// Newest knowledge instant among the rows.
    pub newest_known_at: Option<Millis>,
    /// Mergeable sketches of the accepted rows.
    pub profile: TableProfile,
}

impl QualityReport {
    /// Reads the stored form.
    ///
    /// # Errors
    /// Bytes that are no report.
    pub fn from_json(bytes: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(bytes)
    }
}
