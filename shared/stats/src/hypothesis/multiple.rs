//! Many tests at once.

use crate::{Error, Result};

/// Adjusted p-values (q-values) of Benjamini & Hochberg (1995), in the order of the input.
///
/// Rejecting all with q ≤ α keeps the expected share of false alarms among alarms at α, for independent or positively
/// dependent tests. Equal to scipy's `false_discovery_control`.
///
/// # Errors
/// A p-value outside [0, 1].
pub fn benjamini_hochberg(p_values: &[f64]) -> Result<Vec<f64>> {
    if let Some(bad) = p_values.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return Err(Error::Value { what: "p-value", value: *bad });
    }
    let count = p_values.len() as f64;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut adjusted = vec![1.0; p_values.len()];
    let mut least = 1.0_f64;
    for (rank, index) in order.iter().enumerate().rev() {
        least = least.min(p_values[*index] * count / (rank + 1) as f64);
        adjusted[*index] = least;
    }
    Ok(adjusted)
}
