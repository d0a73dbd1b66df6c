//! Bar charts and histograms.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, px};
use crate::scale::{Scale, number};
use crate::text::shortened;
use crate::thin::{merged, merged_edges};
use maud::{Markup, html};

/// Bars drawn at most.
const MOST: usize = 60;
/// Bars of a histogram drawn at most.
const BINS: usize = 200;

/// One bar.
#[derive(Clone, Debug)]
pub struct Bar<'a> {
    /// Name under the bar.
    pub name: &'a str,
    /// Its height; negative bars hang from zero.
    pub value: f64,
    /// Ends of an interval drawn as a whisker.
    pub interval: Option<(f64, f64)>,
}

/// Named bars from zero, with optional intervals; the first ones when there are too many to draw.
#[must_use]
pub fn bar_chart(labels: Labels<'_>, bars: &[Bar<'_>]) -> Markup {
    let shown: Vec<&Bar<'_>> = bars.iter().filter(|b| b.value.is_finite()).take(MOST).collect();
    let ends = shown.iter().flat_map(|b| b.interval.map(<[f64; 2]>::from)).flatten();
    let Some(ys) = Scale::over(shown.iter().map(|b| b.value).chain(ends).chain([0.0]), BOTTOM, TOP) else {
        return frame::empty(labels);
    };
    if shown.is_empty() {
        return frame::empty(labels);
    }
    let slot = (RIGHT - LEFT) / shown.len() as f64;
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            (frame::base_line())
            @for (i, bar) in shown.iter().enumerate() {
                @let left = LEFT + slot * i as f64;
                @let middle = px(left + slot / 2.0);
                (rectangle(left + 0.15 * slot, 0.7 * slot, bar.value, &ys, &format!("{}: {}", bar.name, number(bar.value))))
                @if let Some((low, high)) = bar.interval.filter(|(low, high)| low.is_finite() && high.is_finite()) {
                    line x1=(middle) x2=(middle) y1=(px(ys.at(low))) y2=(px(ys.at(high))) stroke="currentColor" {}
                }
                text class=[frame::thinnable(shown.len())] x=(middle) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (shortened(bar.name, (slot / 7.0) as usize)) }
            }
        },
    )
}

/// Counts between rising edges (one more than counts); widths follow the edges. Very fine ones are drawn coarser.
#[must_use]
pub fn histogram(labels: Labels<'_>, edges: &[f64], counts: &[u64]) -> Markup {
    let usable = edges.len() == counts.len() + 1 && edges.iter().all(|e| e.is_finite());
    let Some(xs) = Scale::over(edges.iter().copied(), LEFT, RIGHT).filter(|_| usable && !counts.is_empty()) else {
        return frame::empty(labels);
    };
    let edges = merged_edges(edges, BINS);
    let counts = merged(&counts.iter().map(|count| *count as f64).collect::<Vec<_>>(), BINS);
    let ys = Scale::new(0.0, counts.iter().copied().fold(1.0, f64::max), BOTTOM, TOP);
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            @for (pair, count) in edges.windows(2).zip(&counts) {
                @let (left, right) = (xs.at(pair[0]), xs.at(pair[1]));
                @let hint = format!("{} to {}: {count}", number(pair[0]), number(pair[1]));
                (rectangle(left, (right - left - 1.0).max(0.5), *count, &ys, &hint))
            }
            (frame::x_axis(&xs))
        },
    )
}

fn rectangle(left: f64, width: f64, value: f64, ys: &Scale, hint: &str) -> Markup {
    let (zero, end) = (ys.at(0.0), ys.at(value));
    html! {
        rect x=(px(left)) width=(px(width)) y=(px(zero.min(end))) height=(px((zero - end).abs())) fill=(colour(0)) {
            title { (hint) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_many_as_finite_values() {
        let bar = |value| Bar { name: "a rather long <name>", value, interval: Some((value - 1.0, value + 1.0)) };
        let svg = bar_chart(Labels::default(), &[bar(3.0), bar(-2.0), bar(f64::NAN)]).into_string();
        assert_eq!(svg.matches("<rect").count(), 2);
        let svg = bar_chart(Labels::default(), &vec![bar(1.0); 500]).into_string();
        assert!(svg.matches("<rect").count() == MOST && svg.contains(">a…<"), "{svg}");
        assert!(svg.contains("a rather long &lt;name&gt;") && !svg.contains("NaN"));
    }

    #[test]
    fn histograms_check_their_edges() {
        assert_eq!(histogram(Labels::default(), &[0.0, 1.0, 3.0], &[5, 2]).into_string().matches("<rect").count(), 2);
        let edges: Vec<f64> = (0..=10_001).map(f64::from).collect();
        let svg = histogram(Labels::default(), &edges, &vec![1; 10_001]).into_string();
        assert!(svg.matches("<rect").count() <= BINS && svg.contains("to 10001: "), "the last bin is drawn");
        for (edges, counts) in [(&[0.0, 1.0][..], &[1, 2][..]), (&[][..], &[][..]), (&[0.0, f64::NAN][..], &[1][..])] {
            assert!(histogram(Labels::default(), edges, counts).into_string().contains("no values"));
        }
        assert!(bar_chart(Labels::default(), &[]).into_string().contains("no values"));
    }
}
