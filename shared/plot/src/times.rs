//! Series over time: lines with their intervals, shaded spans of time, and instants that are marked.

use crate::Labels;
use crate::calendar::{AtMillis, ticks, written};
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, dashes, px};
use crate::lines::{DOTS, LINES, path};
use crate::scale::{Scale, number};
use crate::text::shortened;
use crate::thin::{MOST_POINTS, thinned};
use maud::{Markup, html};

/// Marks and shaded spans drawn at most.
const MARKS: usize = 60;
/// Names of the time axis at most.
const TICKS: i64 = 10;
/// Room between two marks that are both named.
const MARK_ROOM: f64 = 56.0;

/// One series over time.
#[derive(Clone, Debug, Default)]
pub struct Series {
    /// Name in the legend.
    pub name: String,
    /// Instant and value, from early to late. A value that is not finite is a gap.
    pub points: Vec<(AtMillis, f64)>,
    /// Instant, lower and upper end of the interval, from early to late.
    pub band: Vec<(AtMillis, f64, f64)>,
    /// Drawn dashed, whatever its place among the series.
    pub dashed: bool,
}

/// A span of time shaded behind the series, for instance while outcomes are still coming in.
#[derive(Clone, Debug)]
pub struct Shade {
    /// Begin.
    pub from_ms: AtMillis,
    /// End.
    pub to_ms: AtMillis,
    /// What it means.
    pub label: String,
}

/// An instant marked by a vertical line, for instance a promotion.
#[derive(Clone, Debug)]
pub struct Mark {
    /// When.
    pub at_ms: AtMillis,
    /// What happened.
    pub label: String,
}

/// What a chart over time shows.
#[derive(Clone, Debug, Default)]
pub struct TimeSeries {
    /// The series; of many the first twelve are drawn.
    pub series: Vec<Series>,
    /// Marked instants.
    pub marks: Vec<Mark>,
    /// Shaded spans.
    pub shade: Vec<Shade>,
    /// A horizontal limit, drawn dashed.
    pub limit: Option<f64>,
}

/// Series over time with everything that explains them.
#[must_use]
pub fn time_series(labels: Labels<'_>, time: &TimeSeries) -> Markup {
    let series = &time.series[..time.series.len().min(LINES)];
    let shades: Vec<&Shade> = time.shade.iter().filter(|s| s.from_ms < s.to_ms).take(MARKS).collect();
    let points = || series.iter().flat_map(|s| &s.points).filter(|p| p.1.is_finite());
    let ends = series.iter().flat_map(|s| &s.band).flat_map(|(_, low, high)| [*low, *high]);
    let instants = points().map(|p| p.0).chain(shades.iter().flat_map(|s| [s.from_ms, s.to_ms]));
    let xs = Scale::over(instants.map(|at| at as f64), LEFT, RIGHT);
    let ys = Scale::over(points().map(|p| p.1).chain(ends).chain(time.limit), BOTTOM, TOP);
    let (Some(xs), Some(ys), true) = (xs, ys, points().next().is_some()) else { return frame::empty(labels) };
    let ys = ys.widened(0.04);
    let names: Vec<&str> = series.iter().map(|s| s.name.as_str()).collect();
    let dots = points().count() <= DOTS;
    let most = MOST_POINTS / 2 / series.len();
    frame::chart(
        labels,
        &html! {
            @for shade in &shades {
                (shaded(shade, &xs))
            }
            (frame::y_axis(&ys))
            (time_axis(&xs))
            @if let Some(limit) = time.limit.filter(|l| l.is_finite()) {
                @let y = px(ys.at(limit));
                line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(y) y2=(y) stroke="currentColor" stroke-dasharray="6 4" {
                    title { "limit " (number(limit)) }
                }
            }
            (marked(&time.marks, &xs))
            @for (i, one) in series.iter().enumerate() {
                (band(i, one, &xs, &ys, most))
                (line(i, one, &xs, &ys, most))
                @if dots {
                    (values(i, one, &xs, &ys))
                }
            }
            (frame::legend(&names))
        },
    )
}

fn line(i: usize, series: &Series, xs: &Scale, ys: &Scale, most: usize) -> Markup {
    let points: Vec<(f64, f64)> = series.points.iter().map(|p| (p.0 as f64, p.1)).collect();
    let dashes = if series.dashed { dashes(1) } else { dashes(i) };
    html! {
        path d=(path(&thinned(&points, most), xs, ys)) fill="none" stroke=(colour(i)) stroke-width="2" stroke-dasharray=[dashes] {
            title { (series.name) }
        }
    }
}

/// The intervals as an area: along the upper ends and back along the lower ones, a piece between every two gaps.
fn band(i: usize, series: &Series, xs: &Scale, ys: &Scale, most: usize) -> Markup {
    let whole = |low: &f64, high: &f64| low.is_finite() && high.is_finite();
    let ends = |upper: bool| -> Vec<(f64, f64)> {
        let end = |(at, low, high): &(AtMillis, f64, f64)| match whole(low, high) {
            true => (*at as f64, if upper { *high } else { *low }),
            false => (*at as f64, f64::NAN),
        };
        thinned(&series.band.iter().map(end).collect::<Vec<_>>(), most / 2)
    };
    let (upper, lower) = (ends(true), ends(false));
    let mut d = String::new();
    let gap = |p: &(f64, f64)| !p.1.is_finite();
    for (above, below) in upper.split(gap).zip(lower.split(gap)).filter(|(above, _)| above.len() > 1) {
        d.push_str(&path(above, xs, ys));
        for point in below.iter().rev() {
            d.push_str(&format!("L{} {}", px(xs.at(point.0)), px(ys.at(point.1))));
        }
        d.push('Z');
    }
    html! {
        @if !d.is_empty() {
            path d=(d) fill=(colour(i)) fill-opacity="0.15" stroke="none" {
                title { (series.name) ", interval" }
            }
        }
    }
}

fn values(i: usize, series: &Series, xs: &Scale, ys: &Scale) -> Markup {
    let interval = |at: AtMillis| series.band.iter().find(|b| b.0 == at && b.1.is_finite() && b.2.is_finite());
    html! {
        @for (at, value) in series.points.iter().filter(|p| p.1.is_finite()) {
            circle cx=(px(xs.at(*at as f64))) cy=(px(ys.at(*value))) r="3" fill=(colour(i)) {
                title {
                    (series.name) ", " (written(*at)) ": " (number(*value))
                    @if let Some((_, low, high)) = interval(*at) { " (" (number(*low)) " to " (number(*high)) ")" }
                }
            }
        }
    }
}

fn shaded(shade: &Shade, xs: &Scale) -> Markup {
    let (left, right) = (xs.at(shade.from_ms as f64), xs.at(shade.to_ms as f64));
    html! {
        rect class="tm-shade" x=(px(left)) width=(px((right - left).max(1.0))) y=(px(TOP)) height=(px(BOTTOM - TOP))
            fill="currentColor" fill-opacity="0.09" {
            title { (shade.label) ", " (written(shade.from_ms)) " to " (written(shade.to_ms)) }
        }
    }
}

/// Marks from left to right; a name is left to the hint where it would run into the one before.
fn marked(marks: &[Mark], xs: &Scale) -> Markup {
    let mut shown: Vec<&Mark> = marks.iter().filter(|m| (xs.low..=xs.high).contains(&(m.at_ms as f64))).collect();
    shown.sort_by_key(|m| m.at_ms);
    shown.truncate(MARKS);
    let mut free = f64::NEG_INFINITY;
    html! {
        @for mark in shown {
            @let at = xs.at(mark.at_ms as f64);
            @let named = at >= free;
            g class="tm-mark" {
                title { (mark.label) ", " (written(mark.at_ms)) }
                line x1=(px(at)) x2=(px(at)) y1=(px(TOP)) y2=(px(BOTTOM)) stroke="currentColor" opacity="0.55" stroke-dasharray="2 2" {}
                path d={ "M" (px(at)) " " (px(TOP)) "l-4 -6h8z" } {}
                @if named {
                    @let () = free = at + MARK_ROOM;
                    text x=(px((at + 4.0).min(RIGHT - MARK_ROOM))) y=(px(TOP + 10.0)) font-size="10" { (shortened(&mark.label, 9)) }
                }
            }
        }
    }
}

fn time_axis(xs: &Scale) -> Markup {
    html! {
        (frame::base_line())
        @for (at, name) in ticks(xs.low.ceil() as i64, xs.high.floor() as i64, TICKS) {
            @let x = px(xs.at(at as f64));
            line x1=(x) x2=(x) y1=(px(BOTTOM)) y2=(px(BOTTOM + 4.0)) stroke="currentColor" opacity="0.6" {}
            text class="tm-tick" x=(x) y=(px(BOTTOM + 17.0)) text-anchor="middle" font-size="11" { (name) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn series(n: i64) -> Series {
        let value = |i: i64| if i == 3 { f64::NAN } else { (i % 5) as f64 };
        Series {
            name: "AUC <champion>".into(),
            points: (0..n).map(|i| (i * DAY, value(i))).collect(),
            band: (0..n).map(|i| (i * DAY, value(i) - 1.0, value(i) + 1.0)).collect(),
            dashed: false,
        }
    }

    fn mark(day: i64, label: &str) -> Mark {
        Mark { at_ms: day * DAY, label: label.into() }
    }

    #[test]
    fn intervals_shades_and_marks_are_all_told() {
        let time = TimeSeries {
            series: vec![series(8), series(8)],
            shade: vec![Shade { from_ms: 6 * DAY, to_ms: 9 * DAY, label: "outcomes still coming in".into() }],
            marks: vec![mark(2, "model 4 promoted"), mark(900, "outside")],
            limit: Some(2.5),
        };
        let svg = time_series(Labels { title: "AUC by week", ..Labels::default() }, &time).into_string();
        assert_eq!(svg.matches("fill-opacity=\"0.15\"").count(), 2);
        assert_eq!(svg.matches("Z\"").count() + svg.matches("ZM").count(), 4, "a gap splits each band in two");
        assert!(svg.contains("outcomes still coming in, 1970-01-07 to 1970-01-10"));
        assert!(svg.contains("model 4 promoted, 1970-01-03") && !svg.contains("outside"));
        assert!(svg.contains("AUC &lt;champion&gt;, 1970-01-02: 1 (0 to 2)") && !svg.contains("NaN"));
    }

    #[test]
    fn size_is_bounded_and_nothing_is_said() {
        let marks = (0..9_000).map(|i| mark(i, "promoted")).collect();
        let time = TimeSeries { series: vec![series(200_000); 20], marks, ..TimeSeries::default() };
        let svg = time_series(Labels::default(), &time).into_string();
        let drawn = svg.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
        assert!(drawn.map(|d| d.matches(['M', 'L']).count()).sum::<usize>() <= MOST_POINTS + MARKS);
        assert!(svg.len() < 50_000, "{}", svg.len());
        assert!(time_series(Labels::default(), &TimeSeries::default()).into_string().contains("no values"));
    }
}
