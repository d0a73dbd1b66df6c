//! Line charts and reliability diagrams.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, dashes, px};
use crate::scale::{Scale, number};
use crate::thin::{MOST_POINTS, thinned};
use maud::{Markup, html};

/// One series of a line chart.
#[derive(Clone, Debug)]
pub struct Line<'a> {
    /// Name in the legend.
    pub name: &'a str,
    /// Points from left to right. A value that is not finite breaks the line.
    pub points: Vec<(f64, f64)>,
}

/// Lines drawn at most.
pub(crate) const LINES: usize = 12;
/// Points of a chart that are drawn as dots with their value, at most.
pub(crate) const DOTS: usize = 150;

/// Lines over a shared numeric axis, with an optional horizontal limit drawn dashed. Many points are thinned, their
/// extremes kept; of many lines the first are drawn.
#[must_use]
pub fn line_chart(labels: Labels<'_>, lines: &[Line<'_>], limit: Option<f64>) -> Markup {
    let lines = &lines[..lines.len().min(LINES)];
    let points = || lines.iter().flat_map(|l| &l.points).filter(|(x, y)| x.is_finite() && y.is_finite());
    let xs = Scale::over(points().map(|p| p.0), LEFT, RIGHT);
    let ys = Scale::over(points().map(|p| p.1).chain(limit), BOTTOM, TOP);
    let (Some(xs), Some(ys), true) = (xs, ys, points().next().is_some()) else { return frame::empty(labels) };
    let names: Vec<&str> = lines.iter().map(|l| l.name).collect();
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            (frame::x_axis(&xs))
            @if let Some(limit) = limit.filter(|l| l.is_finite()) {
                @let y = px(ys.at(limit));
                line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(y) y2=(y) stroke="currentColor" stroke-dasharray="6 4" {}
            }
            @for (i, line) in lines.iter().enumerate() {
                path d=(path(&thinned(&line.points, MOST_POINTS / lines.len()), &xs, &ys)) fill="none" stroke=(colour(i))
                    stroke-width="2" stroke-dasharray=[dashes(i)] {
                    title { (line.name) }
                }
                @if points().count() <= DOTS {
                    @for (x, y) in line.points.iter().filter(|(x, y)| x.is_finite() && y.is_finite()) {
                        circle cx=(px(xs.at(*x))) cy=(px(ys.at(*y))) r="3" fill=(colour(i)) {
                            title { (line.name) ", " (number(*x)) ": " (number(*y)) }
                        }
                    }
                }
            }
            (frame::legend(&names))
        },
    )
}

/// Mean score against share of positives, each point with its interval, and the diagonal of perfect calibration.
///
/// Points are `(mean score, share, low, high)`, all between 0 and 1.
#[must_use]
pub fn reliability(labels: Labels<'_>, points: &[(f64, f64, f64, f64)]) -> Markup {
    let xs = Scale::new(0.0, 1.0, LEFT, RIGHT);
    let ys = Scale::new(0.0, 1.0, BOTTOM, TOP);
    let shown: Vec<_> =
        points.iter().filter(|(x, y, low, high)| [x, y, low, high].iter().all(|v| v.is_finite())).collect();
    if shown.is_empty() {
        return frame::empty(labels);
    }
    let means: Vec<(f64, f64)> = shown.iter().map(|p| (p.0, p.1)).collect();
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            (frame::x_axis(&xs))
            line x1=(px(LEFT)) y1=(px(BOTTOM)) x2=(px(RIGHT)) y2=(px(TOP)) stroke="currentColor" stroke-dasharray="6 4" {}
            path d=(path(&means, &xs, &ys)) fill="none" stroke=(colour(0)) stroke-width="2" {}
            @for (x, y, low, high) in shown {
                @let at = px(xs.at(*x));
                line x1=(at) x2=(at) y1=(px(ys.at(*low))) y2=(px(ys.at(*high))) stroke=(colour(0)) opacity="0.6" {}
                circle cx=(at) cy=(px(ys.at(*y))) r="4" fill=(colour(0)) {
                    title { "score " (number(*x)) ": share " (number(*y)) ", " (number(*low)) " to " (number(*high)) }
                }
            }
        },
    )
}

/// SVG path through the finite points; gaps start a new piece.
pub(crate) fn path(points: &[(f64, f64)], xs: &Scale, ys: &Scale) -> String {
    let mut text = String::new();
    let mut pen = 'M';
    for (x, y) in points {
        if !x.is_finite() || !y.is_finite() {
            pen = 'M';
            continue;
        }
        text.push_str(&format!("{pen}{} {}", px(xs.at(*x)), px(ys.at(*y))));
        pen = 'L';
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: Labels<'static> = Labels { title: "AUC <by> \"day\"", x: "day", y: "AUC" };

    #[test]
    fn text_is_escaped_and_gaps_break_the_line() {
        let line = Line { name: "a&b", points: vec![(0.0, 1.0), (1.0, f64::NAN), (2.0, 3.0), (3.0, 2.0)] };
        let svg = line_chart(LABELS, &[line.clone(), line], Some(2.5)).into_string();
        assert!(svg.contains("AUC &lt;by&gt; &quot;day&quot;") && svg.contains("a&amp;b"));
        assert_eq!(svg.matches('M').count(), 4, "two pieces per line");
        assert!(!svg.contains("NaN") && svg.contains("stroke-dasharray") && svg.contains("a&amp;b, 2: 3"));
    }

    #[test]
    fn a_million_points_give_a_thousand_marks() {
        let points: Vec<(f64, f64)> = (0..1_000_000).map(|i| (f64::from(i), f64::from(i % 1_013))).collect();
        let lines: Vec<Line<'_>> = (0..20).map(|_| Line { name: "a", points: points[..100_000].to_vec() }).collect();
        for lines in [&[Line { name: "a", points }][..], &lines] {
            let svg = line_chart(LABELS, lines, None).into_string();
            let marks = svg.split(" d=\"").skip(1).filter_map(|rest| rest.split('"').next());
            assert!(marks.map(|d| d.matches(['M', 'L']).count()).sum::<usize>() <= 1_000 && svg.len() < 40_000);
        }
    }

    #[test]
    fn charts_without_values_say_so() {
        for svg in [line_chart(LABELS, &[], Some(1.0)), reliability(LABELS, &[(f64::NAN, 0.0, 0.0, 0.0)])] {
            assert!(svg.into_string().contains("no values"));
        }
    }

    #[test]
    fn reliability_draws_every_bin_on_a_unit_square() {
        let svg = reliability(LABELS, &[(0.1, 0.2, 0.1, 0.3), (0.9, 0.8, 0.7, 0.9)]).into_string();
        assert_eq!(svg.matches("<circle").count(), 2);
    }
}
