//! One column: its distribution, its numbers, its quantiles over time, its rules. Of the newest commits, as many as were
//! asked for, their stored profiles are merged; rows are not read.

use super::summary::Summary;
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout;
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_explore::over_time::Followed;
use tidemill_explore::report::column_details;
use tidemill_explore::{ColumnFacts, Exploration, explore_profile};
use tidemill_types::SourceName;

/// Bins of the twin.
const BINS: usize = 40;
/// Newest commits that can be chosen.
const RANGES: [u64; 3] = [32, 128, 512];

/// Which column, and of how many of the newest commits.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    source: SourceName,
    column: String,
    commits: Option<String>,
}

/// A column.
#[derive(Serialize)]
pub(in crate::pages) struct Column {
    source: String,
    column: String,
    declared_type: String,
    nullable: bool,
    /// Versions of the clean table that were looked at, the newest.
    range: u64,
    /// Commits among them.
    commits: usize,
    origin: String,
    summary: Option<Summary>,
    facts: Option<ColumnFacts>,
    /// Quartiles and gaps over the knowledge of the commits.
    over_time: Option<Followed>,
    distinct_error: f64,
    rules: Vec<String>,
    #[serde(skip)]
    exploration: Exploration,
}

impl Page for Column {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let missing = || Error::missing("column", format!("{}.{}", query.source, query.column));
        let declared = app.spec.sources.get(&query.source).and_then(|source| source.columns.get(&query.column));
        let declared = declared.ok_or_else(missing)?;
        let range = chosen(query.commits.as_deref())?;
        let merged = app.commits.newest(&query.source, range).await?;
        let options = app.samples.options(&query.source);
        let sampled = app.samples.of(&query.source);
        let relations = sampled.as_ref().map(|sampled| &sampled.relations);
        let mut exploration = explore_profile(query.source.as_str(), &merged.profile, relations, &options);
        exploration.over_time = merged.over_time();
        let mut followed = exploration.over_time.iter().flat_map(|time| &time.columns);
        let over_time = followed.find(|followed| followed.column == query.column).cloned();
        let rules = app.spec.quality.get(&query.source).into_iter().flatten();
        Ok(Self {
            source: query.source.to_string(),
            declared_type: format!("{:?}", declared.kind).to_lowercase(),
            nullable: declared.nullable,
            range,
            commits: merged.commits,
            origin: merged.origin(),
            summary: merged.profile.column(&query.column).map(|profile| Summary::of(profile, BINS)),
            facts: exploration.columns.iter().find(|facts| facts.name == query.column).cloned(),
            over_time,
            distinct_error: tidemill_stats::Distinct::standard_error(),
            rules: rules.filter(|rule| rule.concerns(&query.column)).map(|rule| rule.id.clone()).collect(),
            column: query.column,
            exploration,
        })
    }

    fn title(&self) -> Option<String> {
        Some(self.column.clone())
    }

    fn view(&self) -> Markup {
        html! {
            p.crumbs {
                a href="/data" { "Data & quality" } " / " a href={ "/data/" (self.source) } { (self.source) } " / " (self.column)
            }
            @match &self.facts {
                Some(facts) if facts.rows > 0 => { (self.filled(facts)) }
                _ => {
                    (layout::empty("No rows with this column were checked yet.",
                        &format!("tidemill events publish --source {} FILE", self.source)))
                }
            }
        }
    }
}

impl Column {
    fn filled(&self, facts: &ColumnFacts) -> Markup {
        let optional = if self.nullable { ", may be absent" } else { "" };
        let about = [
            ("Type", html! { (self.declared_type) (optional) }),
            ("Rows", html! { (format::count(facts.rows)) }),
            ("Missing", html! { (format::percent(facts.missing_share, 2)) }),
            ("Rules", html! { @if self.rules.is_empty() { "none" } @else { (self.rules.join(", ")) } }),
        ];
        html! {
            (layout::panel("About", &self.origin, &html! { (layout::facts(&about)) (self.ranges()) }))
            @if facts.withheld { (layout::empty("The values are personal: none is kept or shown.", "")) }
            @else { (layout::panel("Values", "from sketches; ranks are right to about one percent", &column_details(facts, &self.exploration))) }
        }
    }

    /// Links to the other ranges.
    fn ranges(&self) -> Markup {
        let path = format!("/data/{}/{}", self.source, layout::encoded(&self.column));
        html! {
            p.muted {
                "Newest versions looked at: "
                @for (at, range) in RANGES.iter().enumerate() {
                    @if at > 0 { " · " }
                    @if *range == self.range { strong { (format::count(*range)) } }
                    @else { a href={ (path) "?commits=" (range) } { (format::count(*range)) } }
                }
            }
        }
    }
}

/// One of the ranges.
fn chosen(text: Option<&str>) -> Result<u64> {
    let Some(text) = text else { return Ok(RANGES[0]) };
    let known = text.parse().ok().filter(|range| RANGES.contains(range));
    known.ok_or_else(|| Error::Query(format!("commits is one of {RANGES:?}, not \"{text}\"")))
}
