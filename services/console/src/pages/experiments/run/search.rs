//! The search of a run: its trials, what was varied, and how the results spread.

use super::super::record::{Run, Trial, parameters};
use crate::format;
use crate::layout::{Align, State, badge, empty, table};
use maud::{Markup, html};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_plot::{BoxOf, Labels, box_plot};

/// Trials shown.
const SHOWN: usize = 100;

/// Every trial, the best first.
pub(super) fn trials(run: &Run) -> Markup {
    if run.trials.is_empty() {
        return empty("Nothing was tried.", "");
    }
    let mut trials: Vec<&Trial> = run.trials.iter().collect();
    let loss = |trial: &Trial| trial.log_loss.filter(|l| l.is_finite()).unwrap_or(f64::INFINITY);
    trials.sort_by(|a, b| loss(a).total_cmp(&loss(b)));
    let heads = [
        ("Learner", Align::Text),
        ("Trial", Align::Number),
        ("Log loss", Align::Number),
        ("AUC", Align::Number),
        ("Took", Align::Number),
        ("Parameters that were varied", Align::Text),
    ];
    let chosen = run.chosen.as_ref();
    let varied = varied(&run.trials);
    let rows: Vec<Vec<Markup>> = trials
        .iter()
        .take(SHOWN)
        .map(|trial| {
            let won = chosen.is_some_and(|c| c.learner == trial.learner && c.trial == trial.index);
            let said = match &trial.failure {
                Some(failure) => html! { (badge(State::Bad, &failure.code)) " " (failure.text) },
                None => html! { span.wrap { (parameters(&trial.params, |name| varied.contains(&(trial.learner.as_str(), name)))) } },
            };
            vec![
                html! { (trial.learner) @if won { " " (badge(State::Good, "chosen")) } },
                html! { (trial.index) },
                html! { (format::or_dash(trial.log_loss, |v| format::fixed(v, 4))) },
                html! { (format::or_dash(trial.roc_auc, |v| format::fixed(v, 4))) },
                html! { (format::seconds(trial.seconds)) },
                said,
            ]
        })
        .collect();
    html! {
        (spread(&run.trials))
        (table("Trials", &heads, &rows))
        @if trials.len() > SHOWN { p.muted { (trials.len() - SHOWN) " more trials in the JSON." } }
    }
}

/// Learner and parameter, where not all trials of the learner have the same value.
fn varied(trials: &[Trial]) -> BTreeSet<(&str, &str)> {
    let mut seen: BTreeMap<(&str, &str), &serde_json::Value> = BTreeMap::new();
    let mut varied = BTreeSet::new();
    for trial in trials {
        for (name, value) in &trial.params {
            let key = (trial.learner.as_str(), name.as_str());
            if *seen.entry(key).or_insert(value) != value {
                varied.insert(key);
            }
        }
    }
    varied
}

/// Spread of the log loss by learner, where there are trials enough to speak of a spread.
fn spread(trials: &[Trial]) -> Markup {
    let mut learners: Vec<&str> = trials.iter().map(|t| t.learner.as_str()).collect();
    learners.sort_unstable();
    learners.dedup();
    let boxes: Vec<BoxOf<'_>> = learners
        .iter()
        .filter_map(|learner| {
            let mut losses: Vec<f64> = trials
                .iter()
                .filter(|t| t.learner == *learner)
                .filter_map(|t| t.log_loss)
                .filter(|l| l.is_finite())
                .collect();
            losses.sort_by(f64::total_cmp);
            (losses.len() >= 3).then(|| BoxOf {
                name: learner,
                five: [0.0, 0.25, 0.5, 0.75, 1.0].map(|share| quantile(&losses, share)),
            })
        })
        .collect();
    html! {
        @if boxes.len() > 1 {
            (box_plot(Labels { title: "Log loss of the trials", x: "learner", y: "log loss" }, &boxes))
        }
    }
}

/// Quantile of rising values, between neighbours in proportion.
fn quantile(rising: &[f64], share: f64) -> f64 {
    let at = share * (rising.len() - 1) as f64;
    let (low, high) = (rising[at.floor() as usize], rising[at.ceil() as usize]);
    low + (high - low) * at.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_their_neighbours() {
        let values = [1.0, 2.0, 4.0, 8.0];
        assert_eq!([0.0, 0.5, 1.0].map(|share| quantile(&values, share)), [1.0, 3.0, 8.0]);
        assert_eq!(quantile(&[5.0], 0.75), 5.0);
    }
}
