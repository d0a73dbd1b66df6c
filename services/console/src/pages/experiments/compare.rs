//! Several runs side by side: only what differs, metrics with intervals, and the paired tests that were made.
//!
//! A paired p-value needs the scores of both models on the same rows. Evaluation makes such tests when it judges a
//! candidate (against the champion and the baselines) and keeps their results; it keeps no scores by row, so that for
//! other pairs there is none, which is said.

mod differing;

use super::record::Run;
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, State, badge, empty, panel, table};
use crate::page::Page;
use crate::pages::models::{Better, Difference, Known, Scorecard, p_value, scorecard};
use differing::{Differing, divide, values};
use futures::future::try_join_all;
use maud::{Markup, html};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Runs side by side.
const FEWEST: usize = 2;
const MOST: usize = 50;

/// Several runs side by side.
#[derive(Debug, Serialize)]
pub(crate) struct Compare {
    runs: Vec<Compared>,
    /// Parameters that are not the same in all runs: a value for each run.
    differing: Differing,
    /// Parameters that all runs share.
    shared: BTreeMap<String, String>,
    /// Paired tests that evaluation made among these runs.
    paired: Vec<Pair>,
    /// Pairs of judged models for which there is none.
    unpaired: usize,
    #[serde(skip)]
    known: Known,
}

#[derive(Debug, Serialize)]
struct Compared {
    run: Run,
    scorecard: Option<Scorecard>,
}

/// The paired tests of one run's model against another's.
#[derive(Debug, Serialize)]
struct Pair {
    run: String,
    against: String,
    rows: u64,
    roc_auc: Difference,
    brier: Difference,
    kpi: Difference,
    kpi_unit: String,
}

impl Page for Compare {
    /// `run=…` for each run.
    type Query = Vec<(String, String)>;

    async fn load(app: &App, query: Self::Query) -> Result<Self> {
        let names = asked(&query)?;
        let known = Known::load(app).await?;
        if names.is_empty() {
            return Ok(Self::of(Vec::new(), known));
        }
        let load = |name: String| async move {
            let run = Run::read(&*app.run(&name).await?)?;
            let scorecard = match &run.model_digest {
                Some(digest) => scorecard(app, digest).await?,
                None => None,
            };
            Ok::<_, Error>(Compared { run, scorecard })
        };
        let runs = try_join_all(names.into_iter().map(load)).await?;
        Ok(Self::of(runs, known))
    }

    fn view(&self) -> Markup {
        if self.runs.is_empty() {
            return html! {
                (empty("Mark two to fifty runs in the list and press \"Compare\".", "tidemill train"))
                p { a href="/runs" { "To the list of runs" } }
            };
        }
        html! {
            (panel("Metrics on the sealed test", &self.windows_note(), &self.metrics()))
            (panel("Paired tests", "Both models on the same rows of the first run's sealed test; difference with its 95 % interval.", &self.tests()))
            (panel("Parameters that differ", &format!("{} others are the same in all runs.", self.shared.len()), &self.parameters()))
        }
    }
}

/// The runs in the address, each once.
fn asked(query: &[(String, String)]) -> Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for (name, value) in query {
        if name != "run" {
            return Err(Error::Query(format!("unknown parameter \"{name}\", expected \"run\"")));
        }
        if !names.contains(value) {
            names.push(value.clone());
        }
    }
    if names.is_empty() || (FEWEST..=MOST).contains(&names.len()) {
        return Ok(names);
    }
    Err(Error::Query(format!("{} runs cannot be compared: mark {FEWEST} to {MOST}", names.len())))
}

impl Compare {
    fn of(runs: Vec<Compared>, known: Known) -> Self {
        let (differing, shared) = divide(&runs.iter().map(|c| values(&c.run)).collect::<Vec<_>>());
        let mut paired = Vec::new();
        let judged: Vec<&Compared> = runs.iter().filter(|c| c.scorecard.is_some()).collect();
        for one in &judged {
            let Some(card) = &one.scorecard else { continue };
            for other in judged.iter().filter(|other| other.run.cycle != one.run.cycle) {
                let digest = other.run.model_digest.as_deref();
                let Some(found) = card.comparisons.iter().find(|c| c.digest.is_some() && c.digest.as_deref() == digest)
                else {
                    continue;
                };
                paired.push(Pair {
                    run: one.run.cycle.clone(),
                    against: other.run.cycle.clone(),
                    rows: found.metrics.n,
                    roc_auc: found.metrics.roc_auc.clone(),
                    brier: found.metrics.brier.clone(),
                    kpi: found.kpi.clone(),
                    kpi_unit: card.kpi.unit.clone(),
                });
            }
        }
        let pairs: BTreeSet<_> = paired
            .iter()
            .map(|p| (p.run.clone().min(p.against.clone()), p.run.clone().max(p.against.clone())))
            .collect();
        let unpaired = judged.len() * judged.len().saturating_sub(1) / 2 - pairs.len();
        Self { runs, differing, shared, paired, unpaired, known }
    }

    fn heads<'a>(&'a self, first: &'a str) -> Vec<(&'a str, Align)> {
        std::iter::once((first, Align::Text))
            .chain(self.runs.iter().map(|c| (c.run.cycle.as_str(), Align::Number)))
            .collect()
    }

    fn windows_note(&self) -> String {
        let windows: BTreeSet<_> = self
            .runs
            .iter()
            .filter_map(|c| c.scorecard.as_ref())
            .map(|s| (s.subject.test_from, s.subject.test_until))
            .collect();
        match windows.len() {
            0 => "None of these runs was judged.".to_owned(),
            1 => "All on the same window: values may be compared.".to_owned(),
            n => format!(
                "On {n} different windows: a difference may come from the weeks, not the models. The paired tests below do not have this flaw."
            ),
        }
    }

    fn metrics(&self) -> Markup {
        let each = |show: &dyn Fn(&Compared) -> Option<Markup>| -> Vec<Markup> {
            self.runs.iter().map(|c| show(c).unwrap_or_else(|| html! { (format::ABSENT) })).collect()
        };
        let line = |name: Markup, cells: Vec<Markup>| std::iter::once(name).chain(cells).collect::<Vec<_>>();
        let mut rows = vec![
            line(
                html! { "Run" },
                each(&|c| Some(html! { a href={ "/runs/" (c.run.cycle) } { "open" } " " (c.run.badge()) })),
            ),
            line(html! { "Model" }, each(&|c| c.run.model_digest.as_deref().map(|digest| self.known.link(digest)))),
            line(html! { "Learner" }, each(&|c| c.run.learner().map(|learner| html! { (learner) }))),
            line(
                html! { "Test window" },
                each(&|c| {
                    let subject = &c.scorecard.as_ref()?.subject;
                    Some(html! { (format::day(subject.test_from)) " – " (format::day(subject.test_until)) })
                }),
            ),
            line(html! { "Rows" }, each(&|c| Some(html! { (format::count(c.scorecard.as_ref()?.report.n)) }))),
        ];
        let count = self.runs.iter().find_map(|c| c.scorecard.as_ref()).map_or(0, |card| card.metrics().len());
        for i in 0..count {
            rows.push(self.metric(i));
        }
        let kpi = self.runs.iter().find_map(|c| c.scorecard.as_ref()).map(|card| &card.kpi);
        if let Some(kpi) = kpi {
            let name = html! { (kpi.name.replace('_', " ")) " at the budget, " (kpi.unit) span.muted { " ↑" } };
            rows.push(line(name, each(&|c| Some(c.scorecard.as_ref()?.kpi.at_budget.show(0)))));
        }
        table("Metrics of the runs", &self.heads(""), &rows)
    }

    /// One metric of all runs, the best one marked.
    fn metric(&self, i: usize) -> Vec<Markup> {
        let of = |c: &Compared| c.scorecard.as_ref().map(|card| card.metrics()[i].1.clone());
        let Some((name, _, better)) = self.runs.iter().find_map(|c| c.scorecard.as_ref()).map(|card| card.metrics()[i])
        else {
            return Vec::new();
        };
        let found = self.runs.iter().filter_map(|c| of(c).map(|estimate| estimate.value)).filter(|v| v.is_finite());
        let best = match better {
            Better::More => found.reduce(f64::max),
            Better::Less => found.reduce(f64::min),
            Better::Neither => None,
        };
        let cell = |c: &Compared| match of(c) {
            Some(estimate) if Some(estimate.value) == best => {
                html! { strong title="best value" { (estimate.show(4)) } }
            }
            Some(estimate) => estimate.show(4),
            None => html! { (format::ABSENT) },
        };
        std::iter::once(html! { (name) span.muted { (better.arrow()) } }).chain(self.runs.iter().map(cell)).collect()
    }

    fn tests(&self) -> Markup {
        let kpi = self.runs.iter().find_map(|c| c.scorecard.as_ref()).map(|card| &card.kpi);
        let measure = kpi.map(|kpi| format!("{}, {}", kpi.name.replace('_', " "), kpi.unit)).unwrap_or_default();
        let heads = [
            ("Run", Align::Text),
            ("Against", Align::Text),
            ("Rows", Align::Number),
            ("AUC", Align::Number),
            ("p", Align::Number),
            ("Brier", Align::Number),
            ("p", Align::Number),
            (&measure, Align::Number),
            ("p", Align::Number),
        ];
        let p = |p: f64| html! { @if p < 0.05 { strong { (p_value(p)) } } @else { (p_value(p)) } };
        let row = |pair: &Pair| {
            vec![
                html! { (pair.run) },
                html! { (pair.against) },
                html! { (format::count(pair.rows)) },
                pair.roc_auc.difference.show(4),
                p(pair.roc_auc.p),
                pair.brier.difference.show(4),
                p(pair.brier.p),
                pair.kpi.difference.show(0),
                p(pair.kpi.p),
            ]
        };
        html! {
            @if !self.paired.is_empty() { (table("Paired tests", &heads, &self.paired.iter().map(row).collect::<Vec<_>>())) }
            @if self.unpaired > 0 {
                p {
                    (badge(State::Idle, &format!("{} without a paired test", pairs(self.unpaired)))) " "
                    "Evaluation compares a candidate with the champion of its day on the same rows and keeps the result; it keeps no scores by row, so for other pairs no p-value can be given."
                }
            }
            @if self.paired.is_empty() && self.unpaired == 0 { p.muted { "Fewer than two of these runs were judged." } }
        }
    }

    fn parameters(&self) -> Markup {
        if self.differing.is_empty() {
            return html! { p.muted { "All parameters are the same." } };
        }
        let cell = |value: &Option<String>| html! { (value.as_deref().unwrap_or(format::ABSENT)) };
        let row = |(name, values): (&String, &Vec<Option<String>>)| {
            std::iter::once(html! { (name) }).chain(values.iter().map(cell)).collect::<Vec<_>>()
        };
        table("Parameters that differ", &self.heads("Parameter"), &self.differing.iter().map(row).collect::<Vec<_>>())
    }
}

fn pairs(n: usize) -> String {
    if n == 1 { "1 pair".to_owned() } else { format!("{n} pairs") }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn two_to_fifty_runs_are_taken_each_once() {
        let query = |n: usize| (0..n).map(|i| ("run".to_owned(), format!("c-{i}"))).collect::<Vec<_>>();
        assert_eq!(asked(&[query(2), query(2)].concat()).unwrap().len(), 2);
        assert!(asked(&query(0)).unwrap().is_empty());
        assert!(asked(&query(1)).is_err() && asked(&query(51)).is_err());
        assert!(asked(&[("runs".to_owned(), "a".to_owned())]).is_err());
    }
}
