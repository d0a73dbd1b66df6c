//! Columns: a line in the table, and a part with charts.

use super::Context;
use super::text::{cut, encoded, spread, written};
use crate::exploration::Exploration;
use crate::facts::ColumnFacts;
use crate::over_time::Moment;
use crate::warnings::{count, number, percent};
use maud::{Markup, html};
use tidemill_plot::{
    BoxOf, Labels, Series, TimeSeries, box_row, histogram, mini_bars, mini_histogram, ranked_bars, time_series,
};
use tidemill_stats::Kind;

/// Longest name or value that is shown.
const WIDE: usize = 48;

/// All columns, a line each.
pub(super) fn table(columns: &[ColumnFacts], context: &Context) -> Markup {
    let mut bytes = 0;
    let pictures: Vec<Option<Markup>> = columns
        .iter()
        .map(|facts| {
            let drawn = Some(picture(facts)).filter(|_| bytes < context.room.small_pictures);
            bytes += drawn.as_ref().map_or(0, |drawn| drawn.0.len());
            drawn
        })
        .collect();
    html! {
        div.scroll tabindex="0" role="region" aria-label="Columns" {
            table {
                thead { tr {
                    th { "Column" } th { "Type" } th { "Distribution" } th.num { "Missing" } th.num { "Distinct" }
                    th.num { "Smallest" } th.num { "Median" } th.num { "Mean" } th.num { "SD" } th.num { "Largest" }
                } }
                tbody { @for (facts, picture) in columns.iter().zip(&pictures) { (line(facts, picture.as_ref(), context)) } }
            }
        }
    }
}

fn line(facts: &ColumnFacts, picture: Option<&Markup>, context: &Context) -> Markup {
    let link = match &context.column_link {
        Some(start) => format!("{start}{}", encoded(&facts.name)),
        None => format!("#{}", anchor(&facts.name)),
    };
    let value = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| written(facts.kind, value));
    let sd = facts.sd.map_or_else(|| "–".to_owned(), |sd| spread(facts.kind, sd));
    html! {
        tr {
            td { a href=(link) { (cut(&facts.name, WIDE)) } }
            td { (kind(facts.kind)) }
            td { @if let Some(picture) = picture { (picture) } }
            td.num { (percent(facts.missing_share)) }
            td.num { (distinct(facts)) }
            td.num { (value(facts.min)) }
            td.num { (value(facts.quantile(0.5))) }
            td.num { (value(facts.mean)) }
            td.num { (sd) }
            td.num { (value(facts.max)) }
        }
    }
}

fn picture(facts: &ColumnFacts) -> Markup {
    if !facts.histogram.counts.is_empty() {
        return mini_histogram(&facts.name, &facts.histogram.edges, &facts.histogram.counts);
    }
    let counts: Vec<u64> = facts.top.iter().map(|top| top.count).collect();
    mini_bars(&facts.name, &counts)
}

fn distinct(facts: &ColumnFacts) -> String {
    format!("{}{}", if facts.distinct_exact { "" } else { "≈ " }, count(facts.distinct))
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Numeric => "number",
        Kind::Boolean => "yes/no",
        Kind::Text => "text",
        Kind::Instant => "instant",
        Kind::Other => "other",
    }
}

/// A name that can stand behind `#`.
fn anchor(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '-' };
    format!("c-{}", name.chars().take(60).map(plain).collect::<String>())
}

/// One column with its charts.
#[must_use]
pub fn details(facts: &ColumnFacts, found: &Exploration) -> Markup {
    let followed = found.over_time.as_ref().and_then(|time| time.columns.iter().find(|f| f.column == facts.name));
    html! {
        article.column id=(anchor(&facts.name)) {
            h3 { (cut(&facts.name, WIDE)) " " span.muted { (kind(facts.kind)) } }
            div.charts {
                div { (distribution(facts)) }
                div { (facts_list(facts)) }
            }
            @if let Some(followed) = followed.filter(|f| f.moments.len() > 1) {
                @let by = found.over_time.as_ref().map_or("", |time| time.by.as_str());
                details { summary { "Over time" } (over_time(facts, by, &followed.moments)) }
            }
        }
    }
}

fn distribution(facts: &ColumnFacts) -> Markup {
    let title = format!("Distribution of {}", cut(&facts.name, WIDE));
    if facts.kind == Kind::Other {
        return html! { p.muted { "Values of this type are counted only." } };
    }
    html! {
        @if !facts.histogram.counts.is_empty() && facts.kind == Kind::Numeric {
            (histogram(Labels { title: &title, x: "", y: "rows" }, &facts.histogram.edges, &facts.histogram.counts))
            @if let Some(five) = facts.five {
                @let ends = facts.histogram.edges.first().zip(facts.histogram.edges.last());
                (box_row(BoxOf { name: &facts.name, five }, ends.map(|(low, high)| (*low, *high))))
            }
        } @else if facts.kind == Kind::Instant {
            (rows_over_time(facts, &title))
        } @else if !facts.top.is_empty() {
            (frequent(facts, &title))
        }
        @if facts.kind == Kind::Numeric && !facts.top.is_empty() && facts.top[0].share > 0.02 {
            details { summary { "Frequent values" } (frequent(facts, "Frequent values")) }
        }
    }
}

fn frequent(facts: &ColumnFacts, title: &str) -> Markup {
    let values: Vec<(String, u64, String)> = facts
        .top
        .iter()
        .map(|top| {
            let about = if top.error > 0 { "≈ " } else { "" };
            (cut(&top.value, WIDE), top.count, format!("{about}{} · {}", count(top.count), percent(top.share)))
        })
        .collect();
    let rows: Vec<(&str, u64, &str)> =
        values.iter().map(|(name, n, text)| (name.as_str(), *n, text.as_str())).collect();
    ranked_bars(title, &rows)
}

fn rows_over_time(facts: &ColumnFacts, title: &str) -> Markup {
    let middles = facts.histogram.edges.windows(2).zip(&facts.histogram.counts);
    let points = middles.map(|(pair, n)| (f64::midpoint(pair[0], pair[1]) as i64, *n as f64)).collect();
    let series = Series { name: "rows".to_owned(), points, band: Vec::new(), dashed: false };
    time_series(Labels { title, x: "", y: "rows" }, &TimeSeries { series: vec![series], ..TimeSeries::default() })
}

fn over_time(facts: &ColumnFacts, by: &str, moments: &[Moment]) -> Markup {
    let title = format!("{} over {by}", cut(&facts.name, WIDE));
    let at = |moment: &Moment, which: usize| moment.quartiles.map_or(f64::NAN, |quartiles| quartiles[which]);
    let median = Series {
        name: "median".to_owned(),
        points: moments.iter().map(|m| (m.at, at(m, 1))).collect(),
        band: moments.iter().map(|m| (m.at, at(m, 0), at(m, 2))).collect(),
        dashed: false,
    };
    let shown = TimeSeries { series: vec![median], ..TimeSeries::default() };
    let gaps = Series {
        name: "missing".to_owned(),
        points: moments.iter().map(|m| (m.at, m.missing)).collect(),
        band: Vec::new(),
        dashed: false,
    };
    html! {
        (time_series(Labels { title: &title, x: "median, and the middle half of the values", y: "" }, &shown))
        @if facts.missing_share > 0.0 {
            (time_series(Labels { title: "Missing over time", x: "share of rows without a value", y: "" },
                &TimeSeries { series: vec![gaps], ..TimeSeries::default() }))
        }
    }
}

fn facts_list(facts: &ColumnFacts) -> Markup {
    let mut pairs: Vec<(&str, String)> = vec![
        ("Present", format!("{} of {}", count(facts.present()), count(facts.rows))),
        ("Missing", format!("{} null, {} not a number", count(facts.nulls), count(facts.nans))),
        ("Distinct", distinct(facts)),
    ];
    let mut add = |name, value: Option<String>| pairs.extend(value.map(|value| (name, value)));
    add("Infinite", (facts.infs > 0).then(|| count(facts.infs)));
    if facts.kind == Kind::Numeric {
        add("Zeros", Some(format!("{}, below zero {}", count(facts.zeros), count(facts.negatives))));
        add("Mean ± SD", facts.mean.zip(facts.sd).map(|(mean, sd)| format!("{} ± {}", number(mean), number(sd))));
        let shape = facts.skewness.zip(facts.kurtosis);
        add("Skewness, kurtosis", shape.map(|(skew, kurtosis)| format!("{}, {}", number(skew), number(kurtosis))));
    }
    if facts.kind.is_numeric() {
        let quantiles: Vec<String> = facts
            .quantiles
            .iter()
            .map(|(share, v)| format!("{} % {}", number(share * 100.0), written(facts.kind, *v)))
            .collect();
        add("Quantiles", (!quantiles.is_empty()).then(|| quantiles.join(" · ")));
        let range = facts.min.zip(facts.max);
        add("Range", range.map(|(a, b)| format!("{} to {}", written(facts.kind, a), written(facts.kind, b))));
    }
    let ends = |ends: &[tidemill_stats::Extreme]| {
        let one = |e: &tidemill_stats::Extreme| match e.count {
            1 => number(e.value),
            n => format!("{} (×{})", number(e.value), count(n)),
        };
        (!ends.is_empty()).then(|| ends.iter().map(one).collect::<Vec<_>>().join(", "))
    };
    add("Smallest", ends(&facts.lowest));
    add("Largest", ends(&facts.highest));
    add("Lengths", facts.lengths.map(|l| format!("{} to {}, mean {}", number(l.min), number(l.max), number(l.mean))));
    add("Blank", (facts.blanks > 0).then(|| count(facts.blanks)));
    if let Some(found) = facts.outliers {
        let mad = found.mad.map_or_else(|| "–".to_owned(), count);
        let text =
            format!("IQR {}, z {}, MAD {mad} of {} looked at", count(found.iqr), count(found.z), count(found.values));
        add("Outliers", Some(text));
    }
    if let Some(formats) = facts.formats.as_ref().filter(|formats| formats.shapes.len() > 1) {
        let shapes: Vec<String> =
            formats.shapes.iter().take(4).map(|s| format!("{} ({})", cut(&s.shape, 24), count(s.count))).collect();
        add("Formats", Some(shapes.join(", ")));
    }
    html! { dl.facts { @for (name, value) in &pairs { div { dt { (name) } dd { (value) } } } } }
}
