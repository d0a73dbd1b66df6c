//! Random search over declared ranges.
//!
//! Trial `i` depends on space, seed and `i` only, so any worker can compute any trial.

use crate::error::{Error, Result};
use crate::params::{ParamValue, Params};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Where the values of one parameter come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Range {
    /// A number in `[low, high)`, all equally likely.
    Uniform {
        /// Smallest.
        low: f64,
        /// Bound above.
        high: f64,
    },
    /// A number in `[low, high)`, its logarithm uniform.
    Log {
        /// Smallest, positive.
        low: f64,
        /// Bound above.
        high: f64,
    },
    /// A whole number from `low` to `high`, both included.
    Int {
        /// Smallest.
        low: i64,
        /// Largest.
        high: i64,
    },
    /// One of some values.
    Choice {
        /// The values.
        options: Vec<ParamValue>,
    },
    /// Always the same value.
    Fixed {
        /// The value.
        value: ParamValue,
    },
}

/// Ranges by parameter name.
pub type SearchSpace = BTreeMap<String, Range>;

/// The parameters of trial `i`.
///
/// # Errors
/// [`Error::SearchRange`] for an empty range or a logarithmic one that is not positive.
pub fn trial(space: &SearchSpace, seed: u64, i: u64) -> Result<Params> {
    space.iter().map(|(name, range)| Ok((name.clone(), draw(name, range, seed, i)?))).collect()
}

fn draw(name: &str, range: &Range, seed: u64, i: u64) -> Result<ParamValue> {
    // A generator per parameter: adding one parameter does not change the draws of the others.
    let named = name.bytes().fold(seed ^ 0xcbf2_9ce4_8422_2325, fnv);
    let mut rng = Pcg64Mcg::seed_from_u64(i.to_le_bytes().into_iter().fold(named, fnv));
    let empty = |reason| Error::SearchRange { name: name.to_owned(), reason };
    Ok(match range {
        Range::Uniform { low, high } if low < high && (high - low).is_finite() => {
            ParamValue::Float(rng.random_range(*low..*high))
        }
        Range::Log { low, high } if *low > 0.0 && low < high && high.is_finite() => {
            ParamValue::Float(rng.random_range(low.ln()..high.ln()).exp())
        }
        Range::Int { low, high } if low <= high => ParamValue::Int(rng.random_range(*low..=*high)),
        Range::Choice { options } if !options.is_empty() => options[rng.random_range(0..options.len())].clone(),
        Range::Fixed { value } => value.clone(),
        Range::Log { .. } => return Err(empty("expected 0 < low < high")),
        Range::Choice { .. } => return Err(empty("no options")),
        Range::Uniform { .. } => return Err(empty("expected low < high")),
        Range::Int { .. } => return Err(empty("expected low ≤ high")),
    })
}

/// One step of the FNV-1a hash (64 bit).
fn fnv(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn space() -> SearchSpace {
        let text = r#"{
            "learning_rate": {"kind": "log", "low": 0.01, "high": 0.3},
            "max_leaves": {"kind": "int", "low": 7, "high": 63},
            "colsample": {"kind": "uniform", "low": 0.5, "high": 1.0},
            "encoding": {"kind": "choice", "options": ["target", "ordinal"]},
            "rounds": {"kind": "fixed", "value": 300}
        }"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_trial_is_the_same_wherever_it_is_computed() {
        let (space, other) = (space(), SearchSpace::from([("max_leaves".to_owned(), space()["max_leaves"].clone())]));
        for i in (0..50).rev() {
            let params = trial(&space, 7, i).unwrap();
            assert_eq!(params, trial(&space, 7, i).unwrap());
            assert_eq!(params["max_leaves"], trial(&other, 7, i).unwrap()["max_leaves"]);
        }
        assert_ne!(trial(&space, 7, 0).unwrap(), trial(&space, 8, 0).unwrap());
    }

    #[test]
    fn draws_fill_their_range() {
        let space = space();
        let trials: Vec<Params> = (0..2000).map(|i| trial(&space, 1, i).unwrap()).collect();
        let float = |name: &str| -> Vec<f64> {
            let value = |p: &Params| if let ParamValue::Float(v) = p[name] { v } else { f64::NAN };
            trials.iter().map(value).collect()
        };
        let rates = float("learning_rate");
        assert!(rates.iter().all(|v| (0.01..0.3).contains(v)));
        // Half of the draws lie below the geometric middle.
        let below = rates.iter().filter(|v| **v < (0.01_f64 * 0.3).sqrt()).count();
        assert!((900..1100).contains(&below), "{below}");
        let leaves: std::collections::BTreeSet<String> = trials.iter().map(|p| p["max_leaves"].to_string()).collect();
        assert_eq!(leaves.len(), 57);
        assert!((float("colsample").iter().sum::<f64>() / 2000.0 - 0.75).abs() < 0.02);
    }

    #[test]
    fn an_empty_range_is_refused() {
        for text in [
            r#"{"kind": "log", "low": 0, "high": 1}"#,
            r#"{"kind": "uniform", "low": 1, "high": 1}"#,
            r#"{"kind": "int", "low": 2, "high": 1}"#,
            r#"{"kind": "choice", "options": []}"#,
        ] {
            let space = SearchSpace::from([("x".to_owned(), serde_json::from_str(text).unwrap())]);
            assert!(matches!(trial(&space, 0, 0), Err(Error::SearchRange { .. })), "{text}");
        }
    }
}
