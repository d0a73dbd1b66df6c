//! Tiny pictures for cells of tables: no axes, no text, one accessible name.

use crate::frame::{colour, px};
use crate::scale::{Scale, number};
use crate::thin::{merged, merged_edges, thinned};
use maud::{Markup, html};

/// Width of a tiny picture.
const WIDE: f64 = 120.0;
/// Its height.
const HIGH: f64 = 28.0;
/// Bars in it at most.
const BARS: usize = 40;
/// Points in it at most.
const POINTS: usize = 120;

/// Bars of counts between rising edges (one more than counts), as wide as a cell; neighbouring bars are summed when
/// there are too many. Bars are equally wide: what is told is the shape by rank of the bins.
///
/// `name` tells what it shows, for instance `"dep_hour"`.
#[must_use]
pub fn mini_histogram(name: &str, edges: &[f64], counts: &[u64]) -> Markup {
    if edges.len() != counts.len() + 1 || !edges.iter().all(|e| e.is_finite()) {
        return nothing(name);
    }
    let kept = merged_edges(edges, BARS);
    let hint = |i: usize, count: f64| format!("{} to {}: {count}", number(kept[i]), number(kept[i + 1]));
    bars(name, counts, hint)
}

/// Bars of counts of named values, the order kept.
#[must_use]
pub fn mini_bars(name: &str, values: &[u64]) -> Markup {
    bars(name, values, |i, count| format!("{}.: {count}", i + 1))
}

fn bars(name: &str, counts: &[u64], hint: impl Fn(usize, f64) -> String) -> Markup {
    let bars = merged(&counts.iter().map(|c| *c as f64).collect::<Vec<_>>(), BARS);
    let highest = bars.iter().copied().fold(0.0, f64::max);
    if highest <= 0.0 {
        return nothing(name);
    }
    // A few values do not become walls.
    let slot = (WIDE / bars.len() as f64).min(WIDE / 6.0);
    let gap = if slot > 4.0 { 1.0 } else { 0.0 };
    tiny(
        name,
        &html! {
            @for (i, value) in bars.iter().enumerate().filter(|(_, value)| **value > 0.0) {
                // A bar that exists is seen, however small its share.
                @let height = (value / highest * (HIGH - 1.0)).max(1.0);
                rect x=(px(slot * i as f64)) width=(px(slot - gap)) y=(px(HIGH - height)) height=(px(height)) {
                    title { (hint(i, *value)) }
                }
            }
        },
    )
}

/// A line through the values, the newest marked by a dot. A value that is not finite is a gap.
#[must_use]
pub fn sparkline(name: &str, values: &[f64]) -> Markup {
    let points: Vec<(f64, f64)> = values.iter().enumerate().map(|(i, v)| (i as f64, *v)).collect();
    let points = thinned(&points, POINTS);
    let finite = || points.iter().filter(|p| p.1.is_finite());
    let xs = Scale::over(finite().map(|p| p.0), 3.0, WIDE - 3.0);
    let ys = Scale::over(finite().map(|p| p.1), HIGH - 3.0, 3.0);
    let (Some(xs), Some(ys), Some(last)) = (xs, ys, finite().next_back()) else { return nothing(name) };
    tiny(
        name,
        &html! {
            path d=(crate::lines::path(&points, &xs, &ys)) fill="none" stroke=(colour(0)) stroke-width="1.5" {}
            circle cx=(px(xs.at(last.0))) cy=(px(ys.at(last.1))) r="2.5" {}
        },
    )
}

fn tiny(name: &str, marks: &Markup) -> Markup {
    html! {
        svg class="tm-spark" role="img" aria-label=(name) xmlns="http://www.w3.org/2000/svg" width=(WIDE) height=(HIGH)
            viewBox={ "0 0 " (WIDE) " " (HIGH) } fill=(colour(0)) {
            title { (name) }
            line x1="0" x2=(WIDE) y1=(px(HIGH - 0.5)) y2=(px(HIGH - 0.5)) stroke="currentColor" opacity="0.25" {}
            (marks)
        }
    }
}

fn nothing(name: &str) -> Markup {
    html! {
        span class="tm-spark-empty" title=(name) { "no values" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiny_pictures_are_bounded_and_named() {
        let edges: Vec<f64> = (0..=100_000).map(f64::from).collect();
        let svg = mini_histogram("a<b", &edges, &vec![2; 100_000]).into_string();
        assert!(svg.matches("<rect").count() <= BARS && svg.contains("aria-label=\"a&lt;b\""));
        let values: Vec<f64> = (0..100_000).map(|i| f64::from(i % 13)).collect();
        let svg = sparkline("daily", &values).into_string();
        assert!(svg.matches(['M', 'L']).count() <= POINTS + 1 && svg.len() < 4_000, "{}", svg.len());
    }

    #[test]
    fn nothing_to_show_is_said() {
        assert!(mini_bars("carrier", &[5, 0, 3]).into_string().contains("3.: 3"));
        for svg in [mini_bars("a", &[]), mini_histogram("a", &[0.0, 1.0], &[0]), sparkline("a", &[f64::NAN])] {
            assert!(svg.into_string().contains("no values"));
        }
    }
}
