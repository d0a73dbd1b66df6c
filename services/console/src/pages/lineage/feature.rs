//! One feature: its definition, what it reads, how it was at training, how it has drifted.

use super::reference::{Statistics, Values};
use super::{Line, kind, lines};
use crate::answers::DriftWindow;
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, columns, empty, encoded, facts, panel, table};
use crate::page::Page;
use crate::pages::models::Known;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_plot::{Bar, Labels, Series, TimeSeries, bar_chart, histogram, time_series};
use tidemill_spec::{Input, Spec};

/// Windows of drift shown.
const WINDOWS: usize = 60;

/// One feature.
#[derive(Debug, Serialize)]
pub(crate) struct FeaturePage {
    #[serde(flatten)]
    line: Line,
    /// The model whose training the statistics are of.
    model: Option<String>,
    /// Drift by week, against the training of the model that served.
    drift: crate::app::Part<Vec<Drift>>,
    #[serde(skip)]
    known: Known,
    #[serde(skip)]
    spec: Arc<Spec>,
}

/// The feature in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeatureQuery {
    feature: String,
}

/// Drift in one window.
#[derive(Clone, Debug, Serialize)]
struct Drift {
    start: i64,
    psi: f64,
    psi_critical: f64,
    p_value: f64,
    drifted: bool,
    null_share: f64,
    rows: u64,
}

impl Page for FeaturePage {
    type Query = FeatureQuery;

    async fn load(app: &App, query: FeatureQuery) -> Result<Self> {
        let known = Known::load(app).await?;
        let (all, model) = lines(app, &known).await?;
        let missing = || Error::missing("feature", query.feature.chars().take(80).collect::<String>());
        let line = all.into_iter().find(|line| line.name == query.feature).ok_or_else(missing)?;
        let drift = app.drift_windows("week").await.map(|windows| history(&windows, &line.name));
        Ok(Self { line, model, drift: drift.into(), known, spec: Arc::clone(&app.spec) })
    }

    fn title(&self) -> Option<String> {
        Some(format!("Feature {}", self.line.name))
    }

    fn view(&self) -> Markup {
        html! {
            (columns(&[panel("Definition", "", &self.definition()), panel("At training", &self.note(), &self.training())]))
            @if let Some(statistics) = &self.line.statistics {
                (panel("Distribution at training", "", &distribution(&self.line.name, statistics)))
            }
            (panel("Operators it reads", "Each sees only what was known at the instant of the prediction.", &self.inputs()))
            (panel("Drift by week", "Against the training of the model that served.", &self.drifts()))
        }
    }
}

impl FeaturePage {
    fn note(&self) -> String {
        self.model.as_ref().map(|digest| format!("Of {}.", self.known.name(digest))).unwrap_or_default()
    }

    fn definition(&self) -> Markup {
        let line = &self.line;
        let sources = html! {
            @for source in &line.uses.sources { a href={ "/features?source=" (encoded(source)) } { (source) } " " }
        };
        facts(&[
            ("Expression", html! { code { (line.expression) } }),
            ("Kind", html! { (kind(line.kind)) }),
            ("Sources", sources),
            ("Columns of the entity row", html! { (joined(line.uses.columns.iter())) }),
            ("Importance in the model", html! { (format::or_dash(line.importance, |w| format::percent(w, 1))) }),
            ("Lineage", html! { a href={ "/lineage?of=" (encoded(&line.name)) } { "from source to deployment" } }),
        ])
    }

    fn training(&self) -> Markup {
        let Some(statistics) = &self.line.statistics else {
            return empty("No model was trained on it yet.", "tidemill train");
        };
        let mut pairs = vec![
            ("Rows", html! { (format::count(statistics.rows)) }),
            ("Missing", html! { (format::percent(statistics.null_share, 2)) }),
        ];
        match &statistics.values {
            Values::Numeric { mean, sd, five, .. } => {
                pairs.push(("Mean", html! { (format::number(*mean)) }));
                pairs.push(("Standard deviation", html! { (format::number(*sd)) }));
                pairs.push(("Smallest, largest", html! { (format::number(five[0])) ", " (format::number(five[4])) }));
                pairs.push((
                    "Quartiles",
                    html! { (format::number(five[1])) ", median " (format::number(five[2])) ", " (format::number(five[3])) },
                ));
            }
            Values::Categorical { distinct, top, rest } => {
                pairs.push(("Values", html! { (format::count(*distinct as u64)) }));
                let most = top.first().map(|(name, count)| format!("{name}, {} rows", format::count(*count)));
                pairs.push(("Most frequent", html! { (most.as_deref().unwrap_or(format::ABSENT)) }));
                pairs.push(("Rows of values not drawn", html! { (format::count(*rest)) }));
            }
            Values::Withheld => pairs.push(("Values", html! { "personal, not shown" })),
        }
        facts(&pairs)
    }

    fn inputs(&self) -> Markup {
        let heads = [
            ("Operator", Align::Text),
            ("Source", Align::Text),
            ("By", Align::Text),
            ("Rows", Align::Text),
            ("Outputs", Align::Text),
        ];
        let inputs = &self.spec.features.inputs;
        let row = |name: &String| {
            let input = inputs.get(name)?;
            let outputs = input.values.iter().chain(&input.last).map(|(name, of)| format!("{name} = {of}"));
            Some(vec![
                html! { code { (name) } },
                html! { a href={ "/features?source=" (encoded(input.from.as_str())) } { (input.from) } },
                html! { (if input.by.is_empty() { "all rows".to_owned() } else { joined(input.by.iter()) }) },
                html! { span.wrap { (reach(input)) } },
                html! { code.wrap { (outputs.collect::<Vec<_>>().join("; ")) } },
            ])
        };
        let rows: Vec<Vec<Markup>> = self.line.uses.inputs.iter().filter_map(row).collect();
        html! {
            @if rows.is_empty() { p.muted { "None: it is computed from the entity row alone." } }
            @else { (table("Operators", &heads, &rows)) }
        }
    }

    fn drifts(&self) -> Markup {
        let windows = match &self.drift {
            crate::app::Part::Here(windows) => windows,
            crate::app::Part::Absent(why) => return crate::layout::absent(why),
        };
        if windows.is_empty() {
            return empty("No window of predictions is closed yet.", "tidemill predict --key KEY");
        }
        let series = |name: &str, value: fn(&Drift) -> f64, dashed| Series {
            name: name.to_owned(),
            points: windows.iter().map(|w| (w.start, value(w))).collect(),
            dashed,
            ..Series::default()
        };
        let chart = TimeSeries {
            series: vec![series("PSI", |w| w.psi, false), series("PSI by chance, 95 %", |w| w.psi_critical, true)],
            limit: Some(0.2),
            ..TimeSeries::default()
        };
        let last = windows.last().map(|w| {
            let state = if w.drifted { "beyond chance" } else { "within chance" };
            format!(
                "Latest: PSI {}, p {}, {} missing of {} rows: {state}.",
                format::fixed(w.psi, 3),
                super::super::models::p_value(w.p_value),
                format::percent(w.null_share, 1),
                format::count(w.rows)
            )
        });
        html! {
            (time_series(Labels { title: "Population stability index", x: "", y: "PSI" }, &chart))
            p.muted { (last.unwrap_or_default()) " The dashed horizontal line is 0.2, from which a shift is called large." }
        }
    }
}

fn distribution(name: &str, statistics: &Statistics) -> Markup {
    match &statistics.values {
        Values::Numeric { edges, counts, .. } => {
            let labels = Labels {
                title: "Sample of the training rows, 1st to 99th percentile",
                x: name,
                y: "rows of the sample",
            };
            histogram(labels, edges, counts)
        }
        Values::Categorical { top, .. } => {
            let bars: Vec<Bar<'_>> =
                top.iter().map(|(name, count)| Bar { name, value: *count as f64, interval: None }).collect();
            bar_chart(Labels { title: "Most frequent values", x: name, y: "rows" }, &bars)
        }
        Values::Withheld => html! { p.muted { "Personal, not shown." } },
    }
}

/// Which rows an operator sees.
fn reach(input: &Input) -> String {
    let filter = input.filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
    match &input.window {
        Some(window) => {
            let over = input.on.as_deref().unwrap_or("knowledge time");
            format!("{window} of {over}{filter}")
        }
        None => {
            let within = input.within.as_ref().map(|within| format!(", not older than {within}")).unwrap_or_default();
            let lag = if input.lag == 0 { String::new() } else { format!(", {} before it", input.lag) };
            format!("the newest{lag}{within}{filter}")
        }
    }
}

fn joined<'a>(names: impl Iterator<Item = &'a String>) -> String {
    let text = names.map(String::as_str).collect::<Vec<_>>().join(", ");
    if text.is_empty() { format::ABSENT.to_owned() } else { text }
}

/// The windows in which the feature was compared, the oldest first.
fn history(windows: &[DriftWindow], feature: &str) -> Vec<Drift> {
    let recent = windows.iter().skip(windows.len().saturating_sub(WINDOWS));
    let found = recent.filter_map(|window| {
        let verdict = window.drift.as_ref()?.features.iter().find(|v| v.drift.name == feature)?;
        Some(Drift {
            start: window.start.0,
            psi: verdict.drift.psi,
            psi_critical: verdict.drift.psi_critical,
            p_value: verdict.drift.p_value,
            drifted: verdict.drifted,
            null_share: verdict.drift.null_share,
            rows: verdict.drift.rows,
        })
    });
    found.collect()
}
