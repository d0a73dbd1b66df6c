//! What all charts share: the drawing area, axes, ticks, titles.

use crate::Labels;
use crate::scale::{Scale, number};
use maud::{Markup, html};

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const HEIGHT: f64 = 320.0;
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const RIGHT: f64 = WIDTH - 16.0;
pub(crate) const TOP: f64 = 36.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 48.0;

const FALLBACK: [&str; 6] = ["#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#64748b"];

/// Colour of a series: a CSS variable of the page, or a fallback.
pub(crate) fn colour(series: usize) -> String {
    format!("var(--tm-series-{series}, {})", FALLBACK[series % FALLBACK.len()])
}

/// A pixel position, to a tenth.
pub(crate) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// The finished chart around its marks.
pub(crate) fn chart(labels: Labels<'_>, marks: &Markup) -> Markup {
    html! {
        svg class="tm-chart" role="img" aria-label=(labels.title) xmlns="http://www.w3.org/2000/svg"
            viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } font-family="inherit" font-size="12" fill="currentColor" {
            title { (labels.title) }
            text x=(px(LEFT)) y="20" font-size="14" font-weight="600" { (labels.title) }
            (marks)
            text x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 10.0)) text-anchor="middle" { (labels.x) }
            text transform={ "translate(14 " (px((TOP + BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" {
                (labels.y)
            }
        }
    }
}

/// A chart that has nothing to show.
pub(crate) fn empty(labels: Labels<'_>) -> Markup {
    let middle = html! {
        text x=(px((LEFT + RIGHT) / 2.0)) y=(px((TOP + BOTTOM) / 2.0)) text-anchor="middle" opacity="0.6" { "no values" }
    };
    chart(labels, &middle)
}

/// Vertical axis with grid lines.
pub(crate) fn y_axis(scale: &Scale) -> Markup {
    html! {
        @for tick in scale.ticks() {
            @let y = px(scale.at(tick));
            line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(y) y2=(y) stroke="currentColor" opacity="0.15" {}
            text x=(px(LEFT - 6.0)) y=(y) text-anchor="end" dominant-baseline="middle" { (number(tick)) }
        }
    }
}

/// Horizontal axis of numbers.
pub(crate) fn x_axis(scale: &Scale) -> Markup {
    html! {
        (base_line())
        @for tick in scale.ticks() {
            text x=(px(scale.at(tick))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (number(tick)) }
        }
    }
}

pub(crate) fn base_line() -> Markup {
    html! {
        line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(BOTTOM)) y2=(px(BOTTOM)) stroke="currentColor" opacity="0.6" {}
    }
}

/// Names of series in the upper right corner, when there is more than one.
pub(crate) fn legend(names: &[&str]) -> Markup {
    html! {
        @if names.len() > 1 {
            @for (i, name) in names.iter().enumerate() {
                text x=(px(RIGHT)) y=(px(TOP + 14.0 * i as f64)) text-anchor="end" fill=(colour(i)) { (name) }
            }
        }
    }
}
