//! What a model depends on.

use crate::format;
use crate::layout::{Align, encoded, table};
use maud::{Markup, html};

/// Features named.
const NAMED: usize = 15;

/// The features that matter most, the largest first.
pub(crate) fn importance(weights: &[(String, f64)]) -> Markup {
    let most = weights.iter().map(|(_, weight)| *weight).fold(0.0, f64::max);
    let heads = [("Feature", Align::Text), ("Share", Align::Number), ("", Align::Text)];
    let row = |(name, weight): &(String, f64)| {
        let share = format::percent(*weight, 1);
        vec![
            html! { a href={ "/features/" (encoded(name)) } { (name) } },
            html! { (share) },
            html! { meter min="0" max=(format!("{most:.4}")) value=(format!("{weight:.4}")) { (share) } },
        ]
    };
    let rows: Vec<Vec<Markup>> = weights.iter().take(NAMED).map(row).collect();
    html! {
        (table("Importance", &heads, &rows))
        @if weights.len() > NAMED { p.muted { (weights.len() - NAMED) " more features." } }
    }
}
