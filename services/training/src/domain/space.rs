//! Learners of the spec and the ranges their parameters are drawn from.

use tidemill_learn::{Params, Range, SearchSpace, trial};
use tidemill_spec::LearnerName;

/// Name of a learner in `tidemill-learn`.
#[must_use]
pub(crate) fn learner_key(name: LearnerName) -> &'static str {
    match name {
        LearnerName::Logistic => "logistic",
        LearnerName::GradientBoosting => "boosted",
    }
}

/// Ranges of a learner's parameters; parameters not named keep their defaults.
fn space(learner: &str) -> SearchSpace {
    let log = |low, high| Range::Log { low, high };
    let uniform = |low, high| Range::Uniform { low, high };
    let named = |list: Vec<(&str, Range)>| list.into_iter().map(|(name, range)| (name.to_owned(), range)).collect();
    match learner {
        "boosted" => named(vec![
            ("learning_rate", log(0.03, 0.15)),
            ("max_leaves", Range::Int { low: 15, high: 63 }),
            ("min_child_weight", log(1.0, 100.0)),
            ("colsample", uniform(0.5, 1.0)),
            ("subsample", uniform(0.6, 1.0)),
            ("l2", log(0.1, 10.0)),
        ]),
        "logistic" => named(vec![("c", log(1e-3, 10.0))]),
        _ => SearchSpace::new(),
    }
}

/// Parameters of a trial: the first is the learner's default, the others are drawn.
///
/// # Errors
/// A range that contains nothing.
pub(crate) fn params(learner: &str, seed: u64, index: u32) -> Result<Params, tidemill_learn::Error> {
    if index == 0 {
        return Ok(Params::new());
    }
    trial(&space(learner), seed, u64::from(index))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_first_trial_is_the_default_and_the_rest_repeat() {
        for learner in ["boosted", "logistic"] {
            assert!(params(learner, 7, 0).unwrap().is_empty());
            let drawn = params(learner, 7, 3).unwrap();
            assert!(!drawn.is_empty());
            assert_eq!(drawn, params(learner, 7, 3).unwrap());
            assert_ne!(drawn, params(learner, 7, 2).unwrap());
        }
    }
}
