//! Training runs: the list, one run, and several side by side.

mod compare;
mod record;
mod run;

pub(crate) use compare::Compare;
pub(crate) use record::Run;
pub(crate) use run::RunPage;

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, empty, panel, table};
use crate::page::Page;
use crate::pages::models::Known;
use crate::pages::paging::{Part, address, field, filled, select};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use tidemill_types::Millis;

/// Runs on one page.
const SHOWN: usize = 25;
/// Ways to sort the list, the first one unless said otherwise.
const SORTS: [(&str, &str); 4] = [("newest", ""), ("AUC", "auc"), ("duration", "seconds"), ("trials", "trials")];

/// The list of runs.
#[derive(Debug, Serialize)]
pub(crate) struct Experiments {
    part: Part,
    filter: Filter,
    learners: Vec<String>,
    runs: Vec<Line>,
    /// Whether there is any run, found or not.
    any: bool,
    #[serde(skip)]
    known: Known,
}

/// Which runs are shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    q: Option<String>,
    learner: Option<String>,
    state: Option<String>,
    sort: Option<String>,
    page: Option<String>,
}

#[derive(Debug, Serialize)]
struct Line {
    run: String,
    state: String,
    reason: String,
    as_of: Millis,
    learner: Option<String>,
    trials: usize,
    validation_auc: Option<f64>,
    seconds: Option<f64>,
    model_digest: Option<String>,
    #[serde(skip)]
    record: Run,
}

impl From<Run> for Line {
    fn from(record: Run) -> Self {
        Self {
            run: record.cycle.clone(),
            state: record.state.clone(),
            reason: record.reason.clone(),
            as_of: record.as_of,
            learner: record.learner().map(str::to_owned),
            trials: record.trials.len(),
            validation_auc: record.validation_auc().map(|(value, _)| value),
            seconds: record.total_seconds(),
            model_digest: record.model_digest.clone(),
            record,
        }
    }
}

impl Filter {
    fn finds(&self, run: &Run) -> bool {
        let is = |wanted: Option<&String>, found: Option<&str>| filled(wanted).is_none_or(|w| Some(w) == found);
        let text = filled(self.q.as_ref()).map(str::to_lowercase);
        let said = format!("{} {} {}", run.cycle, run.reason, run.model_digest.as_deref().unwrap_or_default());
        is(self.learner.as_ref(), run.learner())
            && is(self.state.as_ref(), Some(&run.state))
            && text.is_none_or(|text| said.to_lowercase().contains(&text))
    }

    fn order(&self) -> Result<fn(&Run, &Run) -> Ordering> {
        Ok(match filled(self.sort.as_ref()) {
            None => |_, _| Ordering::Equal,
            Some("auc") => |a, b| falling(a.validation_auc().map(|v| v.0), b.validation_auc().map(|v| v.0)),
            Some("seconds") => |a, b| falling(a.total_seconds(), b.total_seconds()),
            Some("trials") => |a, b| b.trials.len().cmp(&a.trials.len()),
            Some(other) => return Err(Error::Query(format!("runs are not sorted by \"{other}\""))),
        })
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("q", self.q.as_deref().unwrap_or_default()),
            ("learner", self.learner.as_deref().unwrap_or_default()),
            ("state", self.state.as_deref().unwrap_or_default()),
            ("sort", self.sort.as_deref().unwrap_or_default()),
            ("page", self.page.as_deref().unwrap_or_default()),
        ]
    }
}

/// The larger one first, an absent one last.
fn falling(a: Option<f64>, b: Option<f64>) -> Ordering {
    b.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.unwrap_or(f64::NEG_INFINITY))
}

impl Page for Experiments {
    type Query = Filter;

    async fn load(app: &App, filter: Filter) -> Result<Self> {
        let (runs, known) = tokio::try_join!(Run::all(app), Known::load(app))?;
        let any = !runs.is_empty();
        let mut learners: Vec<String> = runs.iter().filter_map(|run| run.learner().map(str::to_owned)).collect();
        learners.sort_unstable();
        learners.dedup();
        let mut found: Vec<Run> = runs.into_iter().filter(|run| filter.finds(run)).collect();
        // Stable: equal ones stay newest first.
        found.sort_by(filter.order()?);
        let part = Part::of(found.len(), SHOWN, filled(filter.page.as_ref()))?;
        let runs = part.cut(found).into_iter().map(Line::from).collect();
        Ok(Self { part, filter, learners, runs, any, known })
    }

    fn view(&self) -> Markup {
        if !self.any {
            return empty("No run yet: a run trains candidates on what was known at an instant.", "tidemill train");
        }
        html! {
            (self.form())
            @if self.runs.is_empty() {
                (empty("No run matches the filter.", ""))
            } @else {
                (panel("Runs", &format!("{} found", format::count(self.part.found as u64)), &self.list()))
            }
        }
    }
}

impl Experiments {
    fn form(&self) -> Markup {
        let states: Vec<String> = ["done", "running", "failed"].map(str::to_owned).to_vec();
        let sort = self.filter.sort.as_deref().unwrap_or_default();
        let chosen = SORTS.iter().find(|(_, value)| *value == sort).map_or(SORTS[0].0, |(name, _)| name);
        let to = |value: &str| address("/runs", &self.filter.pairs(), &[("sort", value), ("page", "")]);
        let options: Vec<(&str, String)> = SORTS.iter().map(|(name, value)| (*name, to(value))).collect();
        html! {
            form.filter method="get" action="/runs" role="search" {
                (field("Text", &html! { input type="search" name="q" value=[&self.filter.q] placeholder="run, reason or model"; }))
                (field("Learner", &select("learner", "all", &self.learners, filled(self.filter.learner.as_ref()))))
                (field("State", &select("state", "all", &states, filled(self.filter.state.as_ref()))))
                @if !sort.is_empty() { input type="hidden" name="sort" value=(sort); }
                button type="submit" { "Show" }
            }
            div.sort { span { "Sorted by" } (crate::layout::choice("Sort by", chosen, &options)) }
        }
    }

    fn list(&self) -> Markup {
        let heads = [
            ("", Align::Text),
            ("Run", Align::Text),
            ("State", Align::Text),
            ("Knowledge of", Align::Text),
            ("Why", Align::Text),
            ("Learner", Align::Text),
            ("Trials", Align::Number),
            ("AUC on validation", Align::Number),
            ("Took", Align::Number),
            ("Model", Align::Text),
        ];
        let rows: Vec<Vec<Markup>> = self.runs.iter().map(|line| self.row(line)).collect();
        html! {
            (table("Training runs", &heads, &rows))
            // Beside the table, not around it: forms are not printed.
            form.filter #compare method="get" action="/runs/compare" {
                button type="submit" { "Compare the marked runs" }
                span.muted { "two to fifty" }
            }
            (self.part.links("/runs", &self.filter.pairs()))
        }
    }

    fn row(&self, line: &Line) -> Vec<Markup> {
        let auc = match line.record.validation_auc() {
            Some((value, Some((low, high)))) => html! {
                (format::fixed(value, 3)) " " span.muted { "[" (format::fixed(low, 3)) ", " (format::fixed(high, 3)) "]" }
            },
            Some((value, None)) => html! { (format::fixed(value, 3)) },
            None => html! { (format::ABSENT) },
        };
        vec![
            html! { input type="checkbox" name="run" form="compare" value=(line.run) aria-label={ "Compare " (line.run) }; },
            html! { a href={ "/runs/" (line.run) } { (line.run) } },
            line.record.badge(),
            format::time(line.as_of),
            html! { span.wrap { (line.reason) } },
            html! { (line.learner.as_deref().unwrap_or(format::ABSENT)) },
            html! { (line.trials) },
            auc,
            html! { (format::or_dash(line.seconds, format::seconds)) },
            match &line.model_digest {
                Some(digest) => self.known.link(digest),
                None => html! { (format::ABSENT) },
            },
        ]
    }
}
