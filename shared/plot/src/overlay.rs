//! Two distributions over each other: a reference as an area, the present as a line.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, dashes, px};
use crate::scale::{Scale, number};
use crate::text::shortened;
use crate::thin::{merged, merged_edges};
use maud::{Markup, html};

/// Bins or values drawn at most.
const MOST: usize = 80;

/// Two distributions over the same bins, given by rising edges (one more than bins), as shares of their own sum.
#[must_use]
pub fn overlay(
    labels: Labels<'_>,
    edges: &[f64],
    reference: &[f64],
    current: &[f64],
    (before, now): (&str, &str),
) -> Markup {
    let usable =
        edges.len() == reference.len() + 1 && reference.len() == current.len() && edges.iter().all(|e| e.is_finite());
    let edges = merged_edges(edges, MOST);
    let shares = [reference, current].map(|weights| shares(&merged(weights, MOST)));
    let xs = Scale::over(edges.iter().copied(), LEFT, RIGHT).filter(|_| usable);
    let (Some(xs), [Some(first), Some(second)]) = (xs, &shares) else { return frame::empty(labels) };
    let ys = Scale::new(0.0, highest(first, second), BOTTOM, TOP);
    let hint = |name: &str, i: usize, share: f64| {
        format!("{name}, {} to {}: {} %", number(edges[i]), number(edges[i + 1]), number(percent(share)))
    };
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            @for (i, share) in first.iter().enumerate() {
                @let (left, right, top) = (xs.at(edges[i]), xs.at(edges[i + 1]), ys.at(*share));
                rect x=(px(left)) width=(px((right - left).max(0.5))) y=(px(top)) height=(px(BOTTOM - top)) fill=(colour(0))
                    fill-opacity="0.35" {
                    title { (hint(before, i, *share)) }
                }
            }
            path d=(steps(&edges, second, &xs, &ys)) fill="none" stroke=(colour(1)) stroke-width="2"
                stroke-dasharray=[dashes(1)] {
                title { (now) }
            }
            @for (i, share) in second.iter().enumerate() {
                circle cx=(px(f64::midpoint(xs.at(edges[i]), xs.at(edges[i + 1])))) cy=(px(ys.at(*share))) r="3" fill=(colour(1)) {
                    title { (hint(now, i, *share)) }
                }
            }
            (frame::x_axis(&xs))
            (frame::legend(&[before, now]))
        },
    )
}

/// How much falls on one named value, before and now. Only the proportions matter.
#[derive(Clone, Copy, Debug)]
pub struct PairedBar<'a> {
    /// The value.
    pub name: &'a str,
    /// Count or share in the reference.
    pub reference: f64,
    /// Count or share now.
    pub current: f64,
}

/// Two distributions over the same named values, as shares of their own sum; the first values when there are too many.
#[must_use]
pub fn paired_bars(labels: Labels<'_>, bars: &[PairedBar<'_>], (before, now): (&str, &str)) -> Markup {
    let first = shares(&bars.iter().map(|b| b.reference).collect::<Vec<_>>());
    let second = shares(&bars.iter().map(|b| b.current).collect::<Vec<_>>());
    let (Some(first), Some(second)) = (first, second) else { return frame::empty(labels) };
    let ys = Scale::new(0.0, highest(&first, &second), BOTTOM, TOP);
    let slot = (RIGHT - LEFT) / bars.len().min(MOST) as f64;
    // Names that would run into each other are told by the marks alone.
    let letters = ((slot - 4.0) / 6.2) as usize;
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            @for (i, bar) in bars.iter().take(MOST).enumerate() {
                @let left = LEFT + slot * i as f64;
                @let top = ys.at(first[i]);
                rect x=(px(left + 0.12 * slot)) width=(px(0.76 * slot)) y=(px(top)) height=(px(BOTTOM - top)) fill=(colour(0))
                    fill-opacity="0.35" {
                    title { (before) ", " (bar.name) ": " (number(percent(first[i]))) " %" }
                }
                @let top = px(ys.at(second[i]));
                line x1=(px(left + 0.12 * slot)) x2=(px(left + 0.88 * slot)) y1=(top) y2=(top) stroke=(colour(1))
                    stroke-width="3" {
                    title { (now) ", " (bar.name) ": " (number(percent(second[i]))) " %" }
                }
                @if letters >= 2 {
                    text class=[frame::thinnable(bars.len())] x=(px(left + slot / 2.0)) y=(px(BOTTOM + 16.0)) text-anchor="middle" font-size="10" {
                        (shortened(bar.name, letters))
                    }
                }
            }
            (frame::base_line())
            (frame::legend(&[before, now]))
        },
    )
}

fn percent(share: f64) -> f64 {
    (share * 1_000.0).round() / 10.0
}

/// Weights as shares of their sum; none without weight.
fn shares(weights: &[f64]) -> Option<Vec<f64>> {
    let weight = |w: &f64| if w.is_finite() { w.max(0.0) } else { 0.0 };
    let sum: f64 = weights.iter().map(weight).sum();
    (sum > 0.0).then(|| weights.iter().map(|w| weight(w) / sum).collect())
}

fn highest(first: &[f64], second: &[f64]) -> f64 {
    first.iter().chain(second).copied().fold(0.0, f64::max)
}

fn steps(edges: &[f64], shares: &[f64], xs: &Scale, ys: &Scale) -> String {
    let mut text = format!("M{} {}", px(xs.at(edges[0])), px(BOTTOM));
    for (pair, share) in edges.windows(2).zip(shares) {
        text.push_str(&format!("V{}H{}", px(ys.at(*share)), px(xs.at(pair[1]))));
    }
    text.push_str(&format!("V{}", px(BOTTOM)));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: (&str, &str) = ("training", "March <13>");

    #[test]
    fn shares_not_counts_are_compared() {
        let svg = overlay(Labels::default(), &[0.0, 1.0, 2.0], &[10.0, 30.0], &[1.0, 3.0], NAMES).into_string();
        assert!(svg.contains("training, 0 to 1: 25 %") && svg.contains("March &lt;13&gt;, 0 to 1: 25 %"));
        let bars = [("UA", 10.0, 1.0), ("AA", 30.0, 3.0)].map(|(name, reference, current)| PairedBar {
            name,
            reference,
            current,
        });
        let svg = paired_bars(Labels::default(), &bars, NAMES).into_string();
        assert!(svg.contains("training, AA: 75 %") && svg.contains("March &lt;13&gt;, AA: 75 %"));
    }

    #[test]
    fn what_cannot_be_compared_says_so_and_size_is_bounded() {
        let empty = overlay(Labels::default(), &[0.0, 1.0], &[1.0], &[f64::NAN], NAMES);
        for svg in [
            empty,
            overlay(Labels::default(), &[0.0], &[1.0], &[1.0], NAMES),
            paired_bars(Labels::default(), &[], NAMES),
        ] {
            assert!(svg.into_string().contains("no values"));
        }
        let bars = [PairedBar { name: "x", reference: 1.0, current: 1.0 }; 5_000];
        assert!(paired_bars(Labels::default(), &bars, NAMES).into_string().matches("<rect").count() <= MOST);
        let (edges, weights) = ((0..=5_001).map(f64::from).collect::<Vec<_>>(), vec![1.0; 5_001]);
        assert!(
            overlay(Labels::default(), &edges, &weights, &weights, NAMES).into_string().matches("<rect").count()
                <= MOST
        );
    }
}
