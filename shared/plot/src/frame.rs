//! What all charts share: the drawing area, axes, ticks, titles.

use crate::Labels;
use crate::scale::{Scale, number};
use crate::text::shortened;
use maud::{Markup, html};

pub(crate) const WIDTH: f64 = 640.0;
pub(crate) const HEIGHT: f64 = 300.0;
pub(crate) const LEFT: f64 = 64.0;
pub(crate) const RIGHT: f64 = WIDTH - 16.0;
pub(crate) const TOP: f64 = 48.0;
pub(crate) const BOTTOM: f64 = HEIGHT - 48.0;

/// Characters of all names in a legend.
const LEGEND: usize = 66;

const FALLBACK: [&str; 6] = ["#3b82f6", "#f59e0b", "#10b981", "#ef4444", "#8b5cf6", "#64748b"];

/// Colour of a series: a CSS variable of the page, or a fallback.
pub(crate) fn colour(series: usize) -> String {
    format!("var(--tm-series-{series}, {})", FALLBACK[series % FALLBACK.len()])
}

/// A pixel position, to a tenth.
pub(crate) fn px(value: f64) -> String {
    format!("{value:.1}")
}

/// Class of names below an axis, of which a narrow page may leave out every other; a few are all shown.
pub(crate) fn thinnable(names: usize) -> Option<&'static str> {
    (names > 6).then_some("tm-tick")
}

/// Dashes of a series, so that it is known without its colour.
pub(crate) fn dashes(series: usize) -> Option<&'static str> {
    [None, Some("7 3"), Some("2 3"), Some("9 3 2 3"), Some("4 4"), Some("1 4")][series % 6]
}

/// The finished chart around its marks, with axis names.
pub(crate) fn chart(labels: Labels<'_>, marks: &Markup) -> Markup {
    canvas(
        labels,
        (WIDTH, HEIGHT),
        &html! {
            (marks)
            text x=(px((LEFT + RIGHT) / 2.0)) y=(px(HEIGHT - 10.0)) text-anchor="middle" { (labels.x) }
            text transform={ "translate(14 " (px((TOP + BOTTOM) / 2.0)) ") rotate(-90)" } text-anchor="middle" {
                (labels.y)
            }
        },
    )
}

/// A titled drawing area that keeps its size: a narrow page scrolls it instead of shrinking its letters.
pub(crate) fn wide(labels: Labels<'_>, size: (f64, f64), marks: &Markup) -> Markup {
    drawing(labels, size, Some(size), marks)
}

/// A titled drawing area of its own height that shrinks with the page.
pub(crate) fn flat(labels: Labels<'_>, size: (f64, f64), marks: &Markup) -> Markup {
    canvas(labels, size, marks)
}

/// A titled drawing area that shrinks with the page.
fn canvas(labels: Labels<'_>, size: (f64, f64), marks: &Markup) -> Markup {
    drawing(labels, size, None, marks)
}

fn drawing(labels: Labels<'_>, (width, height): (f64, f64), fixed: Option<(f64, f64)>, marks: &Markup) -> Markup {
    let class = if fixed.is_some() { "tm-chart tm-wide" } else { "tm-chart" };
    html! {
        svg class=(class) role="img" aria-label=(labels.title) xmlns="http://www.w3.org/2000/svg"
            width=[fixed.map(|size| size.0)] height=[fixed.map(|size| size.1)] viewBox={ "0 0 " (width) " " (height) }
            font-family="inherit" font-size="12" fill="currentColor" {
            title { (labels.title) }
            text class="tm-title" x="8" y="18" font-size="14" font-weight="600" { (labels.title) }
            (marks)
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
            text class="tm-tick" x=(px(scale.at(tick))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (number(tick)) }
        }
    }
}

pub(crate) fn base_line() -> Markup {
    html! {
        line x1=(px(LEFT)) x2=(px(RIGHT)) y1=(px(BOTTOM)) y2=(px(BOTTOM)) stroke="currentColor" opacity="0.6" {}
    }
}

/// Names of series above the drawing area, each after a piece of its line, when there is more than one. They flow as
/// one line of text, so that they stay apart at any size of letters.
pub(crate) fn legend(names: &[&str]) -> Markup {
    const PIECES: [&str; 6] = ["━━", "╍╍", "┅┅", "━┅", "╸╸", "┈┈"];
    let letters = (LEGEND / names.len().max(1)).max(2);
    html! {
        @if names.len() > 1 {
            text class="tm-legend" x=(px(LEFT)) y="38" {
                @for (i, name) in names.iter().enumerate() {
                    tspan fill=(colour(i)) font-weight="700" { (PIECES[i % PIECES.len()]) }
                    tspan { " " (shortened(name, letters)) "\u{2003}" }
                }
            }
        }
    }
}
