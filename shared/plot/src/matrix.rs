//! Square matrices of relations, and patterns of what is missing.
//!
//! Strength is told by depth of a hue and by the number in the cell; a negative one has the second hue and its sign.

use crate::Labels;
use crate::frame::{self, colour, px};
use crate::text::shortened;
use maud::{Markup, html};

/// Columns drawn at most.
const MOST: usize = 24;
/// Patterns drawn at most.
const PATTERNS: usize = 24;
/// Room for names beside and above.
const NAMES: f64 = 150.0;
const ABOVE: f64 = 110.0;
/// Deepest fill: text of the page still reads on it.
const DEEPEST: f64 = 0.68;

/// One cell of a square matrix.
#[derive(Clone, Debug)]
pub struct Square {
    /// From −1 to 1.
    pub value: f64,
    /// Told when it is pointed at.
    pub hint: String,
}

/// Relations of named things with each other; the lower half is drawn, since the upper one would say the same.
#[must_use]
pub fn square_matrix(labels: Labels<'_>, names: &[&str], cell: &dyn Fn(usize, usize) -> Option<Square>) -> Markup {
    let names = &names[..names.len().min(MOST)];
    if names.len() < 2 {
        return frame::empty(labels);
    }
    let wide = (640.0 / names.len() as f64).clamp(26.0, 46.0);
    let size = (NAMES + wide * names.len() as f64 + 70.0, ABOVE + wide * names.len() as f64 + 8.0);
    frame::wide(
        labels,
        size,
        &html! {
            (heads(names, wide))
            @for (i, name) in names.iter().enumerate() {
                @let y = ABOVE + wide * i as f64;
                text x=(px(NAMES - 8.0)) y=(px(y + wide / 2.0 + 4.0)) text-anchor="end" { title { (name) } (shortened(name, 20)) }
                @for j in 0..=i {
                    @let x = NAMES + wide * j as f64;
                    @if i == j {
                        rect x=(px(x)) y=(px(y)) width=(px(wide - 1.0)) height=(px(wide - 1.0)) fill="currentColor" fill-opacity="0.08" {}
                    } @else if let Some(square) = cell(i, j).filter(|square| square.value.is_finite()) {
                        (filled(&square, (x, y), wide))
                    } @else {
                        text x=(px(x + wide / 2.0)) y=(px(y + wide / 2.0 + 4.0)) text-anchor="middle" opacity="0.45" { "·" }
                    }
                }
            }
        },
    )
}

fn filled(square: &Square, (x, y): (f64, f64), wide: f64) -> Markup {
    let strength = square.value.abs().min(1.0);
    let hue = if square.value < 0.0 { colour(1) } else { colour(0) };
    let text = format!("{:.2}", square.value).replacen("0.", ".", 1).replacen('-', "−", 1);
    html! {
        g {
            title { (square.hint) }
            rect x=(px(x)) y=(px(y)) width=(px(wide - 1.0)) height=(px(wide - 1.0)) fill=(hue)
                fill-opacity=(format!("{:.2}", 0.04 + strength * (DEEPEST - 0.04))) {}
            @if strength >= 0.095 {
                text x=(px(x + wide / 2.0 - 0.5)) y=(px(y + wide / 2.0 + 4.0)) text-anchor="middle" font-size="11" { (text) }
            }
        }
    }
}

fn heads(names: &[&str], wide: f64) -> Markup {
    html! {
        @for (i, name) in names.iter().enumerate() {
            @let x = NAMES + wide * (i as f64 + 0.5);
            text transform={ "translate(" (px(x - 2.0)) " " (px(ABOVE - 8.0)) ") rotate(-50)" } font-size="12" {
                title { (name) }
                (shortened(name, 18))
            }
        }
    }
}

/// Which columns lack a value, a row a pattern with its text; full cells are missing.
#[must_use]
pub fn pattern_matrix(title: &str, names: &[&str], rows: &[(Vec<bool>, String)]) -> Markup {
    let labels = Labels { title, ..Labels::default() };
    let names = &names[..names.len().min(MOST)];
    let rows = &rows[..rows.len().min(PATTERNS)];
    if names.is_empty() || rows.is_empty() {
        return frame::empty(labels);
    }
    let wide = (640.0 / names.len() as f64).clamp(22.0, 46.0);
    let high = 20.0;
    let size = (NAMES + wide * names.len() as f64 + 70.0, ABOVE + high * rows.len() as f64 + 8.0);
    frame::wide(
        labels,
        size,
        &html! {
            (heads(names, wide))
            @for (i, (flags, text)) in rows.iter().enumerate() {
                @let y = ABOVE + high * i as f64;
                text x=(px(NAMES - 8.0)) y=(px(y + 14.0)) text-anchor="end" { (text) }
                rect x=(px(NAMES)) y=(px(y)) width=(px(wide * names.len() as f64 - 1.0)) height=(px(high - 1.0))
                    fill="currentColor" fill-opacity="0.07" {}
                @for (j, _) in flags.iter().take(names.len()).enumerate().filter(|(_, missing)| **missing) {
                    rect x=(px(NAMES + wide * j as f64)) y=(px(y)) width=(px(wide - 1.0)) height=(px(high - 1.0)) fill=(colour(1))
                        fill-opacity="0.85" {
                        title { (names[j]) " is missing, " (text) }
                    }
                }
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relations_tell_strength_and_sign() {
        let cell = |a: usize, b: usize| {
            Some(Square { value: if a + b == 1 { -0.5 } else { 0.25 }, hint: format!("<{a} {b}>") })
        };
        let svg = square_matrix(Labels { title: "r", ..Labels::default() }, &["a", "b", "c"], &cell).into_string();
        assert_eq!(svg.matches("<rect").count(), 6);
        assert!(svg.contains(">−.50<") && svg.contains(">.25<") && svg.contains("&lt;1 0&gt;"), "{svg}");
        let names = vec!["column"; 500];
        let large = square_matrix(Labels::default(), &names, &cell).into_string();
        assert!(large.len() < 130_000, "{}", large.len());
        assert!(square_matrix(Labels::default(), &["a"], &cell).into_string().contains("no values"));
    }

    #[test]
    fn patterns_tell_what_is_missing() {
        let rows = vec![(vec![true, false], "12 · 1 %".to_owned()); 100];
        let svg = pattern_matrix("gaps", &["age", "name"], &rows).into_string();
        assert_eq!(svg.matches("<rect").count(), 2 * PATTERNS);
        assert!(svg.contains("age is missing, 12 · 1 %") && !svg.contains("name is missing"));
        assert!(pattern_matrix("gaps", &[], &rows).into_string().contains("no values"));
    }
}
