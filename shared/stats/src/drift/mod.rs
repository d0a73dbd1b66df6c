//! Drift of features against a reference that was frozen at training.
//!
//! Freezing the bins is the point: bins that follow the current window let one wild value hide a shift.

mod compare;
mod reference;

pub use compare::{Distribution, FeatureDrift, Test};
pub use reference::{Reference, Shape};

use crate::distance::PsiBand;
use crate::{Result, hypothesis};
use serde::{Deserialize, Serialize};

/// The decision on one feature, after the others were taken into account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What was measured.
    pub drift: FeatureDrift,
    /// The p-value after Benjamini–Hochberg adjustment over the family.
    pub q_value: f64,
    /// True when the adjusted p-value is at most the false-discovery rate: the shift is real.
    pub drifted: bool,
    /// True when it is real and its PSI reaches the band [`PsiBand::Watch`]: the shift is also large.
    pub actionable: bool,
}

/// Judges all features of one window together, holding the expected share of false alarms among alarms at `fdr`.
///
/// Verdicts come in the order of the input.
///
/// # Errors
/// A p-value that is none; it cannot come from [`Reference::compare`].
pub fn family(features: Vec<FeatureDrift>, fdr: f64) -> Result<Vec<Verdict>> {
    let p_values: Vec<f64> = features.iter().map(|f| f.p_value).collect();
    let q_values = hypothesis::benjamini_hochberg(&p_values)?;
    Ok(features
        .into_iter()
        .zip(q_values)
        .map(|(drift, q_value)| {
            let drifted = q_value <= fdr;
            let actionable = drifted && drift.psi_band >= PsiBand::Watch;
            Verdict { drift, q_value, drifted, actionable }
        })
        .collect())
}
