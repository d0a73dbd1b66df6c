//! What one commit says about the quality of its rows. Pure.

use serde::{Deserialize, Serialize};
use tidemill_quality::{QualityScore, RuleResult};
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
    /// Rule that blocked the whole commit.
    pub blocked: Option<String>,
    /// Results by rule.
    pub rules: Vec<RuleResult>,
    /// Four dimensions and their formula.
    pub score: QualityScore,
    /// Newest knowledge instant among the rows.
    pub newest_known_at: Option<Millis>,
    /// Mergeable sketches of the accepted rows.
    pub profile: TableProfile,
}
