//! One column: its distribution, its numbers, its rules.

use super::summary::Summary;
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align};
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_plot::{Bar, Labels, bar_chart, histogram};
use tidemill_stats::ColumnProfile;
use tidemill_types::SourceName;

/// Bins of the picture.
const BINS: usize = 40;
/// Shares at which quantiles are told.
const QUANTILES: [(f64, &str); 7] =
    [(0.0, "least"), (0.01, "1 %"), (0.25, "25 %"), (0.5, "median"), (0.75, "75 %"), (0.99, "99 %"), (1.0, "largest")];

/// Which column.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    source: SourceName,
    column: String,
}

/// A column.
#[derive(Serialize)]
pub(in crate::pages) struct Column {
    source: String,
    column: String,
    declared_type: String,
    nullable: bool,
    commits: usize,
    summary: Option<Summary>,
    nulls: u64,
    nans: u64,
    infinite: u64,
    skewness: Option<f64>,
    quantiles: Vec<(&'static str, f64)>,
    distinct_error: f64,
    rules: Vec<String>,
}

impl Page for Column {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let missing = || Error::missing("column", format!("{}.{}", query.source, query.column));
        let declared = app.spec.sources.get(&query.source).and_then(|source| source.columns.get(&query.column));
        let declared = declared.ok_or_else(missing)?;
        let known = app.profiles.source(&query.source).await?;
        let profile = known.profile.column(&query.column);
        let summary = profile.map(|profile| Summary::of(profile, BINS));
        let numbers = summary.as_ref().is_some_and(|summary| summary.mean.is_some());
        let rules = app.spec.quality.get(&query.source).into_iter().flatten();
        Ok(Self {
            source: query.source.to_string(),
            declared_type: format!("{:?}", declared.kind).to_lowercase(),
            nullable: declared.nullable,
            commits: known.commits,
            nulls: profile.map_or(0, |profile| profile.nulls),
            nans: profile.map_or(0, |profile| profile.nans),
            infinite: profile.map_or(0, |profile| profile.infs),
            skewness: profile.and_then(|profile| profile.moments.skewness()).filter(|_| numbers),
            quantiles: profile.filter(|_| numbers).map(quantiles).unwrap_or_default(),
            distinct_error: tidemill_stats::Distinct::standard_error(),
            rules: rules.filter(|rule| rule.concerns(&query.column)).map(|rule| rule.id.clone()).collect(),
            summary,
            column: query.column,
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
            @match &self.summary {
                Some(summary) if summary.rows > 0 => { (self.filled(summary)) }
                _ => {
                    (layout::empty("No rows with this column were checked yet.",
                        &format!("tidemill events publish --source {} FILE", self.source)))
                }
            }
        }
    }
}

impl Column {
    fn filled(&self, summary: &Summary) -> Markup {
        let note = format!("{} rows of the newest {} commits", format::count(summary.rows), self.commits);
        let value = |value: Option<f64>| html! { (format::or_dash(value, |value| summary.value(value))) };
        let optional = if self.nullable { ", may be absent" } else { "" };
        let mut facts = vec![
            ("Type", html! { (self.declared_type) (optional) }),
            ("Rows", html! { (format::count(summary.rows)) }),
            (
                "Missing",
                html! { (format::percent(summary.missing_share, 2)) " (" (format::count(self.nulls)) " null, " (format::count(self.nans)) " not a number)" },
            ),
            ("Infinite", html! { (format::count(self.infinite)) }),
            (
                "Distinct",
                html! { (summary.distinct()) @if !summary.distinct_exact { " (± " (format::percent(self.distinct_error, 1)) ")" } },
            ),
            ("Mean", value(summary.mean)),
            ("Standard deviation", html! { (format::or_dash(summary.sd, |sd| summary.spread(sd))) }),
            ("Skewness", html! { (format::or_dash(self.skewness, |skew| format::fixed(skew, 2))) }),
            ("Rules", html! { @if self.rules.is_empty() { "none" } @else { (self.rules.join(", ")) } }),
        ];
        if summary.mean.is_none() {
            facts.retain(|(name, _)| !matches!(*name, "Infinite" | "Mean" | "Standard deviation" | "Skewness"));
        }
        html! {
            (layout::columns(&[
                layout::panel("Distribution", &note, &self.picture(summary)),
                layout::panel("Numbers", "", &layout::facts(&facts)),
            ]))
            @if !self.quantiles.is_empty() {
                (layout::panel("Quantiles", "from a sketch; ranks are right to about one percent", &self.quantile_table(summary)))
            }
        }
    }

    fn picture(&self, summary: &Summary) -> Markup {
        if summary.withheld {
            return layout::empty("The values are personal: none is kept or shown.", "");
        }
        let title = format!("{} of {}", self.column, self.source);
        if summary.bins.values.is_empty() {
            let labels = Labels { title: &title, x: &self.declared_type, y: "rows" };
            return histogram(labels, &summary.bins.edges, &summary.bins.counts);
        }
        let bars = summary.bins.values.iter().zip(&summary.bins.counts);
        #[expect(clippy::cast_precision_loss, reason = "counts become heights")]
        let bars: Vec<_> = bars.map(|(name, count)| Bar { name, value: *count as f64, interval: None }).collect();
        bar_chart(Labels { title: &title, x: "most frequent values", y: "rows" }, &bars)
    }

    fn quantile_table(&self, summary: &Summary) -> Markup {
        let heads: Vec<_> = self.quantiles.iter().map(|(name, _)| (*name, Align::Number)).collect();
        let cells = self.quantiles.iter().map(|(_, value)| html! { (summary.value(*value)) }).collect();
        layout::table("Quantiles", &heads, &[cells])
    }
}

fn quantiles(profile: &ColumnProfile) -> Vec<(&'static str, f64)> {
    let value = |share| profile.quantiles.quantile(share).ok().flatten();
    QUANTILES.iter().filter_map(|(share, name)| Some((*name, value(*share)?))).collect()
}
