//! One run: what it was made from, what was tried, what was found, what became of it.

mod search;

use super::record::{Leak, Run, Windows, parameter};
use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{Align, State, badge, columns, empty, facts, panel, table};
use crate::page::Page;
use crate::pages::models::{Known, Scorecard, importance, p_value, scorecard};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_types::Millis;

/// Findings shown.
const SHOWN: usize = 100;

/// One run.
#[derive(Debug, Serialize)]
pub(crate) struct RunPage {
    #[serde(flatten)]
    run: Run,
    /// Judgement of its candidate on the sealed test.
    scorecard: Option<Scorecard>,
    #[serde(skip)]
    known: Known,
    #[serde(skip)]
    traced: bool,
    #[serde(skip)]
    traces_url: String,
}

/// The run in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    run: String,
}

impl Page for RunPage {
    type Query = RunQuery;

    async fn load(app: &App, query: RunQuery) -> Result<Self> {
        let (answer, known) = tokio::try_join!(app.run(&query.run), Known::load(app))?;
        let run = Run::read(&answer)?;
        let card = match &run.model_digest {
            Some(digest) => scorecard(app, digest).await?,
            None => None,
        };
        let traced = run.trace_id.as_ref().is_some_and(|id| app.recent.trace(id).is_some());
        Ok(Self { run, scorecard: card, known, traced, traces_url: app.traces_url.clone() })
    }

    fn title(&self) -> Option<String> {
        Some(format!("Run {}", self.run.cycle))
    }

    fn view(&self) -> Markup {
        let run = &self.run;
        html! {
            p.lead { (run.badge()) " " (run.reason) }
            @if let Some(failure) = &run.failure {
                p.message role="status" { (badge(State::Bad, &failure.code)) " " (failure.text) }
            }
            (columns(&[panel("What it is", "", &self.about()), panel("What became of it", "", &self.outcome())]))
            (panel("Windows", "By the instant of the prediction; the gaps are embargoes.", &self.windows()))
            (panel("Trials", "Scored on the validation rows. The smallest log loss wins.", &search::trials(&self.run)))
            (columns(&[panel("Parameters in force", "", &self.chosen()), panel("What the model depends on", "", &self.importance())]))
            (panel("Baselines on the sealed test", "Differences on the same rows, this run's model less the other.", &self.baselines()))
            (panel("Leak checks", "Columns that alone give the outcome away.", &self.leaks()))
        }
    }
}

impl RunPage {
    fn about(&self) -> Markup {
        let run = &self.run;
        let mut pairs = vec![
            ("Knowledge of", format::time(run.as_of)),
            ("Project file", format::digest(&run.spec_digest)),
            ("Code", html! { (run.code) }),
            ("Seed", html! { (run.seed) }),
        ];
        if let Some(set) = &run.training_set {
            let share = format!("{} rows, {} with a label", format::count(set.rows), format::count(set.labelled));
            let versions: Vec<String> = set.table_versions.iter().map(|(t, v)| format!("{t} {v}")).collect();
            pairs.push(("Training set", html! { (share) br; code { (set.path) } " " (format::digest(&set.digest)) }));
            pairs.push(("Versions of the clean tables", html! { (versions.join(", ")) }));
        }
        if let Some(id) = &run.trace_id {
            pairs.push(("Trace", self.trace(id)));
        }
        facts(&pairs)
    }

    fn trace(&self, id: &str) -> Markup {
        html! {
            @if self.traced { a href={ "/traces/" (id) } { code { (id.get(..16).unwrap_or(id)) } } }
            @else { code title=(id) { (id.get(..16).unwrap_or(id)) } " " span.muted { "no longer in memory" } }
            @if !self.traces_url.is_empty() {
                " · " a href={ (self.traces_url.trim_end_matches('/')) "/trace/" (id) } rel="noreferrer" { "Jaeger" }
            }
        }
    }

    fn outcome(&self) -> Markup {
        let run = &self.run;
        let Some(chosen) = &run.chosen else {
            return html! { p.muted { "No model was chosen" @if run.state == "running" { " yet" } "." } };
        };
        let mut pairs = vec![
            ("Chosen", html! { (chosen.learner) ", trial " (chosen.trial) }),
            ("Threshold", html! { (format::fixed(chosen.threshold, 4)) }),
            (
                "Fitted on",
                html! { (format::count(chosen.fitted_on.rows)) " rows, " (format::percent(chosen.fitted_on.positive_rate, 1)) " positive" },
            ),
        ];
        if let Some(digest) = &run.model_digest {
            pairs.push(("Model", self.known.link(digest)));
        }
        match &self.scorecard {
            Some(card) => {
                let state = if card.passed { State::Good } else { State::Bad };
                let word = if card.passed { "passed" } else { "refused" };
                pairs.push(("Verdict", html! { (badge(state, word)) " " (card.verdict) }));
                pairs.push(("AUC on the sealed test", card.report.roc_auc.show(3)));
            }
            None if run.model_digest.is_some() => pairs.push(("Verdict", badge(State::Idle, "not judged yet"))),
            None => {}
        }
        let stages: Vec<String> = run
            .seconds
            .iter()
            .filter(|(stage, _)| *stage != "total")
            .map(|(stage, seconds)| format!("{} {}", stage.replace('_', " "), format::seconds(*seconds)))
            .collect();
        if let Some(seconds) = run.total_seconds() {
            pairs.push(("Took", html! { (format::seconds(seconds)) " " span.muted { (stages.join(", ")) } }));
        }
        facts(&pairs)
    }

    fn windows(&self) -> Markup {
        let Some(windows) = &self.run.windows else {
            return html! { p.muted { "The run ended before its rows were divided." } };
        };
        let heads = [
            ("Window", Align::Text),
            ("From", Align::Text),
            ("Until", Align::Text),
            ("Length", Align::Number),
            ("Rows", Align::Number),
            ("Positive", Align::Number),
        ];
        let row = |name: &str, key: &str, from: Option<Millis>, until: Millis| {
            let rows = self.run.rows.get(key);
            vec![
                html! { (name) },
                from.map_or_else(|| html! { "first row" }, format::time),
                format::time(until),
                html! { (format::or_dash(from, |from| format::span(until.0 - from.0))) },
                html! { (format::or_dash(rows, |r| format::count(r.rows))) },
                html! { (format::or_dash(rows, |r| format::percent(r.positive_rate, 1))) },
            ]
        };
        let mut test = row("sealed test", "", Some(windows.test_from), windows.test_until);
        if let Some(card) = &self.scorecard {
            test[4] = html! { (format::count(card.report.n)) };
            test[5] = html! { (format::percent(card.report.prevalence.value, 1)) };
        }
        let rows = [
            row("training", "train", None, windows.train_until),
            row("validation", "validation", Some(windows.valid_from), windows.valid_until),
            test,
        ];
        html! { div.scroll { (strip(windows)) } (table("Windows", &heads, &rows)) }
    }

    fn chosen(&self) -> Markup {
        let Some(chosen) = &self.run.chosen else { return html! { p.muted { "None." } } };
        let heads = [("Parameter", Align::Text), ("Value", Align::Number)];
        let row = |(name, value): (&String, &serde_json::Value)| vec![html! { (name) }, html! { (parameter(value)) }];
        table("Parameters", &heads, &chosen.params.iter().map(row).collect::<Vec<_>>())
    }

    fn importance(&self) -> Markup {
        match &self.run.chosen {
            Some(chosen) => importance(&chosen.importance),
            None => html! { p.muted { "Nothing was chosen." } },
        }
    }

    fn baselines(&self) -> Markup {
        let Some(card) = &self.scorecard else {
            return empty("The sealed test was not opened for this run: only a candidate is judged.", "tidemill train");
        };
        let measure = format!("Lead in {}, {}", card.kpi.name.replace('_', " "), card.kpi.unit);
        let heads = [
            ("Against", Align::Text),
            ("Its AUC", Align::Number),
            ("Lead in AUC", Align::Number),
            ("p", Align::Number),
            (&measure, Align::Number),
            ("p", Align::Number),
        ];
        let row = |c: &crate::pages::models::Comparison| {
            vec![
                html! { (c.against) @if let Some(digest) = &c.digest { " " (self.known.link(digest)) } },
                html! { (format::fixed(c.metrics.roc_auc.champion, 3)) },
                c.metrics.roc_auc.difference.show(4),
                html! { (p_value(c.metrics.roc_auc.p)) },
                c.kpi.difference.show(0),
                html! { (p_value(c.kpi.p)) },
            ]
        };
        table("Baselines", &heads, &card.comparisons.iter().map(row).collect::<Vec<_>>())
    }

    fn leaks(&self) -> Markup {
        if self.run.leaks.is_empty() {
            return html! { p { (badge(State::Good, "nothing found")) } };
        }
        let heads = [
            ("Column", Align::Text),
            ("Where", Align::Text),
            ("Measured", Align::Number),
            ("Rows", Align::Number),
            ("Finding", Align::Text),
        ];
        let row = |leak: &Leak| {
            let state = if leak.role == "feature" { State::Bad } else { State::Idle };
            vec![
                html! { code { (leak.column) } },
                badge(state, &leak.role),
                leak.value.show(3),
                html! { (format::count(leak.support)) },
                html! { span.wrap { (leak.verdict) } },
            ]
        };
        table("Leak findings", &heads, &self.run.leaks.iter().take(SHOWN).map(row).collect::<Vec<_>>())
    }
}

/// The windows to scale, as far back as validation and test together reach once more.
fn strip(windows: &Windows) -> Markup {
    let shown = windows.test_until.0 - windows.valid_from.0;
    let from = windows.train_until.0 - shown / 2;
    let at = |instant: i64| 640.0 * (instant - from) as f64 / (windows.test_until.0 - from).max(1) as f64;
    let parts = [
        ("training", from, windows.train_until.0, 0),
        ("validation", windows.valid_from.0, windows.valid_until.0, 1),
        ("sealed test", windows.test_from.0, windows.test_until.0, 2),
    ];
    html! {
        svg.tm-strip viewBox="0 0 640 40" role="img" aria-label="Windows in time" xmlns="http://www.w3.org/2000/svg" {
            @for (name, from, until, series) in parts {
                rect x=(format!("{:.1}", at(from))) y="4" height="30" rx="3" width=(format!("{:.1}", at(until) - at(from)))
                    fill={ "var(--tm-series-" (series) ")" } fill-opacity="0.3" {
                    title { (name) }
                }
                text x=(format!("{:.1}", at(from) + 6.0)) y="24" font-size="13" fill="currentColor" { (name) }
            }
        }
    }
}
