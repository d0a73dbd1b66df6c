//! Charts that lie on their side: a box below a histogram, frequent values with their names.

use crate::frame::{self, LEFT, RIGHT, WIDTH, colour, px};
use crate::scale::{Scale, number};
use crate::text::shortened;
use crate::{BoxOf, Labels};
use maud::{Markup, html};

/// Bars drawn at most.
const MOST: usize = 30;
/// Height of a bar with its room.
const ROW: f64 = 24.0;
/// Room for names.
const NAMES: f64 = 190.0;
/// Room for amounts.
const AMOUNTS: f64 = 150.0;

/// One box on its side, to stand below a histogram over `ends`; what lies outside is cut off at them.
#[must_use]
pub fn box_row(of: BoxOf<'_>, ends: Option<(f64, f64)>) -> Markup {
    let title = format!("Box of {}", of.name);
    let labels = Labels { title: &title, ..Labels::default() };
    let both = ends.map_or([of.five[0], of.five[4]], <[f64; 2]>::from);
    let Some(xs) = Scale::over(both.into_iter(), LEFT, RIGHT).filter(|_| of.five.iter().all(|v| v.is_finite())) else {
        return frame::flat(labels, (WIDTH, 20.0), &html! {});
    };
    let [low, lower, median, upper, high] = of.five.map(|v| xs.at(v.clamp(xs.low, xs.high)));
    let told = format!(
        "{}: whiskers {} and {}, middle half {} to {}, median {}",
        of.name,
        number(of.five[0]),
        number(of.five[4]),
        number(of.five[1]),
        number(of.five[3]),
        number(of.five[2])
    );
    frame::flat(
        labels,
        (WIDTH, 40.0),
        &html! {
            g {
                title { (told) }
                rect x=(px(LEFT)) width=(px(RIGHT - LEFT)) y="4" height="32" fill="transparent" {}
                @for (from, to) in [(low, lower), (upper, high)] {
                    line x1=(px(from)) x2=(px(to)) y1="20" y2="20" stroke="currentColor" {}
                }
                @for end in [low, high] { line x1=(px(end)) x2=(px(end)) y1="14" y2="26" stroke="currentColor" {} }
                rect x=(px(lower)) width=(px((upper - lower).max(1.0))) y="8" height="24" fill=(colour(0)) fill-opacity="0.35"
                    stroke=(colour(0)) {}
                line x1=(px(median)) x2=(px(median)) y1="8" y2="32" stroke="currentColor" stroke-width="2.5" {}
            }
        },
    )
}

/// Named amounts from the largest down, each with its text; the first ones when there are too many.
#[must_use]
pub fn ranked_bars(title: &str, rows: &[(&str, u64, &str)]) -> Markup {
    let labels = Labels { title, ..Labels::default() };
    if rows.is_empty() {
        return frame::empty(labels);
    }
    let shown = &rows[..rows.len().min(MOST)];
    let most = shown.iter().map(|row| row.1).max().unwrap_or(1).max(1) as f64;
    let room = WIDTH - NAMES - AMOUNTS;
    let top = 30.0;
    frame::flat(
        labels,
        (WIDTH, top + ROW * shown.len() as f64 + 4.0),
        &html! {
            @for (i, (name, amount, text)) in shown.iter().enumerate() {
                @let y = top + ROW * i as f64;
                text x=(px(NAMES - 8.0)) y=(px(y + 15.0)) text-anchor="end" { title { (name) } (shortened(name, 24)) }
                rect x=(px(NAMES)) width=(px((*amount as f64 / most * room).max(1.0))) y=(px(y + 3.0)) height=(px(ROW - 8.0))
                    rx="2" fill=(colour(0)) {
                    title { (name) ": " (text) }
                }
                text x=(px(WIDTH - 4.0)) y=(px(y + 15.0)) text-anchor="end" opacity="0.8" { (text) }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_lie_inside_their_ends_and_tell_their_numbers() {
        let five = [-100.0, 1.0, 2.0, 4.0, 900.0];
        let svg = box_row(BoxOf { name: "a<b", five }, Some((0.0, 10.0))).into_string();
        assert!(svg.contains("a&lt;b: whiskers -100 and 900, middle half 1 to 4, median 2"), "{svg}");
        let inside = |x: &str| {
            x.split('"').next().and_then(|x| x.parse::<f64>().ok()).is_none_or(|x| (0.0..=WIDTH).contains(&x))
        };
        assert!(svg.split("x1=\"").skip(1).all(inside));
        assert!(!box_row(BoxOf { name: "n", five: [f64::NAN; 5] }, None).into_string().contains("NaN"));
    }

    #[test]
    fn bars_are_named_and_bounded() {
        let svg = ranked_bars("top", &vec![("<value>", 5, "5 · 10 %"); 90]).into_string();
        assert_eq!(svg.matches("<rect").count(), MOST);
        assert!(svg.contains("&lt;value&gt;: 5 · 10 %"));
        assert!(ranked_bars("top", &[]).into_string().contains("no values"));
    }
}
