//! Features: what they are, how they were at training, what they drift, and what came from what.

mod feature;
mod graph;
mod lookup;
mod picture;
mod reference;

pub(crate) use feature::FeaturePage;
pub(crate) use graph::Lineage;
pub(crate) use lookup::Lookup;

use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{Align, Tile, empty, encoded, panel, table, tiles};
use crate::page::Page;
use crate::pages::models::{Known, scorecard};
use crate::pages::paging::{Part, field, filled, select};
use maud::{Markup, html};
use reference::{Statistics, Values, statistics};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_expr::columns_of;
use tidemill_plot::{mini_bars, mini_histogram};
use tidemill_spec::{FeatureKind, Spec};
use tidemill_types::Millis;

/// Features on one page.
const SHOWN: usize = 60;

/// The list of features.
#[derive(Debug, Serialize)]
pub(crate) struct Features {
    set: String,
    part: Part,
    filter: Filter,
    sources: Vec<String>,
    features: Vec<Line>,
    /// The model whose training the statistics are of.
    model: Option<String>,
    online: crate::app::Part<Online>,
    #[serde(skip)]
    known: Known,
}

/// Which features are shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    q: Option<String>,
    source: Option<String>,
    page: Option<String>,
}

/// The state of the features online.
#[derive(Clone, Debug, Deserialize, Serialize)]
struct Online {
    plan_digest: String,
    watermark_ms: i64,
    rows_applied: u64,
    state_entries: u64,
    late_rows: u64,
}

/// One feature with what is known of it.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Line {
    name: String,
    kind: FeatureKind,
    expression: String,
    #[serde(flatten)]
    uses: Uses,
    importance: Option<f64>,
    statistics: Option<Statistics>,
}

/// What one feature reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Uses {
    /// Operators, by their names in `features.inputs`.
    inputs: BTreeSet<String>,
    /// Columns of the entity row.
    columns: BTreeSet<String>,
    /// Sources behind both.
    sources: BTreeSet<String>,
}

/// What the expression of a feature reads.
fn uses(spec: &Spec, expr: &str) -> Uses {
    let entity = &spec.features.entity.source;
    let columns = spec.sources.get(entity).map(|source| &source.columns);
    let mut found = Uses::default();
    for name in columns_of(expr).unwrap_or_default() {
        if let Some((input, _)) = name.split_once('.')
            && let Some(operator) = spec.features.inputs.get(input)
        {
            found.inputs.insert(input.to_owned());
            found.sources.insert(operator.from.to_string());
        } else if columns.is_some_and(|columns| columns.contains_key(name.as_str())) {
            found.columns.insert(name);
            found.sources.insert(entity.to_string());
        }
    }
    found
}

/// Features of the project in the order of their names, with statistics and importance of the model in service.
async fn lines(app: &App, known: &Known) -> Result<(Vec<Line>, Option<String>)> {
    let model =
        known.behind("champion").map(str::to_owned).or_else(|| known.versions.first().map(|v| v.digest.to_string()));
    let (mut stats, mut weights) = (BTreeMap::new(), BTreeMap::new());
    if let Some(digest) = &model {
        stats = statistics(app, digest).await?;
        if let Some(card) = scorecard(app, digest).await? {
            weights = card.subject.importance.into_iter().collect();
        }
    }
    let spec: &Spec = &app.spec;
    let line = |(name, definition): (&String, &tidemill_spec::Definition)| Line {
        kind: definition.kind(),
        expression: definition.expr().to_owned(),
        uses: uses(spec, definition.expr()),
        importance: weights.get(name).copied(),
        statistics: stats.remove(name),
        name: name.clone(),
    };
    Ok((spec.features.define.iter().map(line).collect(), model))
}

impl Page for Features {
    type Query = Filter;

    async fn load(app: &App, filter: Filter) -> Result<Self> {
        let known = Known::load(app).await?;
        let (all, model) = lines(app, &known).await?;
        let online = app.feature_state().await.and_then(|answer| {
            let damaged =
                |e: serde_json::Error| crate::error::Error::Answer { service: "feature", reason: e.to_string() };
            Online::deserialize(&*answer).map_err(damaged)
        });
        let text = filled(filter.q.as_ref()).map(str::to_lowercase);
        let source = filled(filter.source.as_ref());
        let finds = |line: &Line| {
            let said = format!("{} {}", line.name, line.expression).to_lowercase();
            source.is_none_or(|source| line.uses.sources.contains(source))
                && text.as_ref().is_none_or(|text| said.contains(text))
        };
        let found: Vec<Line> = all.into_iter().filter(finds).collect();
        let part = Part::of(found.len(), SHOWN, filled(filter.page.as_ref()))?;
        Ok(Self {
            set: app.spec.features.set.clone(),
            sources: app.spec.sources.keys().map(ToString::to_string).collect(),
            features: part.cut(found),
            part,
            model,
            online: online.into(),
            known,
            filter,
        })
    }

    fn view(&self) -> Markup {
        html! {
            p.lead {
                "Feature set " code { (self.set) } ". " a href="/lineage" { "What came from what" } " · "
                a href="/lookup" { "Look a vector up by its key" }
            }
            (self.state())
            (self.form())
            @if self.features.is_empty() {
                (empty("No feature matches the filter.", ""))
            } @else {
                (panel("Features", &self.note(), &self.list()))
            }
        }
    }
}

impl Features {
    fn note(&self) -> String {
        let found = format!("{} found", self.part.found);
        match &self.model {
            Some(digest) => {
                format!("{found}; statistics and importance of the training of {}.", self.known.name(digest))
            }
            None => format!("{found}; statistics come with the first model: tidemill train."),
        }
    }

    fn state(&self) -> Markup {
        let online = match &self.online {
            crate::app::Part::Here(online) => online,
            crate::app::Part::Absent(why) => return crate::layout::absent(why),
        };
        let tile = |label: &str, value: String, note: &str| Tile {
            label: label.to_owned(),
            value,
            note: note.to_owned(),
            ..Tile::default()
        };
        tiles(&[
            tile("Complete up to", format::minute(Millis(online.watermark_ms)), "watermark of all sources, UTC"),
            tile("Rows applied online", format::count(online.rows_applied), "since the last start and its checkpoint"),
            tile("Entries held", format::count(online.state_entries), "state of all operators"),
            tile("Late rows", format::count(online.late_rows), "counted, and used from then on"),
        ])
    }

    fn form(&self) -> Markup {
        html! {
            form.filter method="get" action="/features" role="search" {
                (field("Text", &html! { input type="search" name="q" value=[&self.filter.q] placeholder="name or expression"; }))
                (field("Source", &select("source", "all", &self.sources, filled(self.filter.source.as_ref()))))
                button type="submit" { "Show" }
            }
        }
    }

    fn list(&self) -> Markup {
        let heads = [
            ("Feature", Align::Text),
            ("Kind", Align::Text),
            ("At training", Align::Text),
            ("Missing", Align::Number),
            ("Mean", Align::Number),
            ("Deviation", Align::Number),
            ("Importance", Align::Number),
            ("Definition", Align::Text),
        ];
        let rows: Vec<Vec<Markup>> = self.features.iter().map(row).collect();
        html! {
            (table("Features", &heads, &rows))
            (self.part.links("/features", &[("q", self.filter.q.as_deref().unwrap_or_default()), ("source", self.filter.source.as_deref().unwrap_or_default())]))
        }
    }
}

fn row(line: &Line) -> Vec<Markup> {
    let statistics = line.statistics.as_ref();
    let (mean, sd) = match statistics.map(|s| &s.values) {
        Some(Values::Numeric { mean, sd, .. }) => (Some(*mean), Some(*sd)),
        _ => (None, None),
    };
    vec![
        html! { a href={ "/features/" (encoded(&line.name)) } { (line.name) } },
        html! { (kind(line.kind)) },
        match statistics {
            Some(statistics) => picture(&line.name, statistics),
            None => html! { (format::ABSENT) },
        },
        html! { (format::or_dash(statistics, |s| format::percent(s.null_share, 1))) },
        html! { (format::or_dash(mean, format::number)) },
        html! { (format::or_dash(sd, format::number)) },
        html! { (format::or_dash(line.importance, |w| format::percent(w, 1))) },
        html! { code.wrap { (line.expression) } },
    ]
}

fn kind(kind: FeatureKind) -> &'static str {
    match kind {
        FeatureKind::Number => "number",
        FeatureKind::Category => "category",
    }
}

/// The distribution in the size of a cell.
fn picture(name: &str, statistics: &Statistics) -> Markup {
    match &statistics.values {
        Values::Numeric { edges, counts, .. } => mini_histogram(name, edges, counts),
        Values::Categorical { top, .. } => mini_bars(name, &top.iter().map(|(_, count)| *count).collect::<Vec<_>>()),
        Values::Withheld => html! { "personal, not shown" },
    }
}
