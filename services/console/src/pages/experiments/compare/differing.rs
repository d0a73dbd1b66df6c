//! In what runs differ.

use super::super::record::{Run, parameter};
use crate::format;
use std::collections::{BTreeMap, BTreeSet};

/// What distinguishes a run: parameters of its model, and what it was made from.
pub(super) fn values(run: &Run) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    if let Some(chosen) = &run.chosen {
        values
            .extend(chosen.params.iter().map(|(name, value)| (format!("{}.{name}", chosen.learner), parameter(value))));
        values.insert("learner".to_owned(), chosen.learner.clone());
        values.insert("threshold".to_owned(), format::fixed(chosen.threshold, 4));
        values.insert("fitted on rows".to_owned(), format::count(chosen.fitted_on.rows));
    }
    values.insert("project file".to_owned(), run.spec_digest.chars().take(12).collect());
    values.insert("code".to_owned(), run.code.clone());
    values.insert("seed".to_owned(), run.seed.to_string());
    values.insert("knowledge of".to_owned(), format::minute(run.as_of));
    values
}

/// A value for each run, by name.
pub(super) type Differing = BTreeMap<String, Vec<Option<String>>>;

/// Names whose values differ, with all values; and names whose value is the same everywhere.
pub(super) fn divide(runs: &[BTreeMap<String, String>]) -> (Differing, BTreeMap<String, String>) {
    let names: BTreeSet<&String> = runs.iter().flat_map(BTreeMap::keys).collect();
    let (mut differing, mut shared) = (BTreeMap::new(), BTreeMap::new());
    for name in names {
        let values: Vec<Option<String>> = runs.iter().map(|run| run.get(name).cloned()).collect();
        match &values[0] {
            Some(first) if values.iter().all(|value| value.as_ref() == Some(first)) => {
                shared.insert(name.clone(), first.clone());
            }
            _ => {
                differing.insert(name.clone(), values);
            }
        }
    }
    (differing, shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn only_what_differs_is_shown() {
        let runs =
            [params(&[("rounds", "40"), ("seed", "7")]), params(&[("rounds", "50"), ("seed", "7"), ("l2", "1")])];
        let (differing, shared) = divide(&runs);
        assert_eq!(differing.keys().collect::<Vec<_>>(), ["l2", "rounds"]);
        assert_eq!(differing["l2"], [None, Some("1".to_owned())]);
        assert_eq!(shared, params(&[("seed", "7")]));
        assert_eq!(divide(&[]), Default::default());
    }
}
