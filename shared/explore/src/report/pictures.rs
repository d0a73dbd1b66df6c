//! Pictures of relations: pairs of number columns as hexagons, and number columns over hours, weekdays and months.

use super::part;
use super::text::cut;
use crate::density::{ACROSS, Density, UP};
use crate::exploration::Exploration;
use crate::seasons::{Cycle, Seasonal, Seasons};
use crate::warnings::{count, percent};
use maud::{Markup, html};
use tidemill_plot::{CycleOf, CycleSlot, Hexagons, Labels, hexagons, seasonal};

/// Longest name that is shown.
const WIDE: usize = 32;
const WEEKDAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// As many of the pictures as fit into the bytes that are left, which they take.
fn fitting(drawn: impl Iterator<Item = Markup>, left: &mut usize) -> Vec<Markup> {
    let fits = |markup: &Markup| {
        let rest = left.checked_sub(markup.0.len());
        *left = rest.unwrap_or(*left);
        rest.is_some()
    };
    drawn.take_while(fits).collect()
}

/// Pairs of number columns.
pub(super) fn densities(found: &Exploration, left: &mut usize) -> Markup {
    let drawn = fitting(found.densities.iter().map(density), left);
    if drawn.is_empty() {
        return html! {};
    }
    let hidden = found.non_linear.as_ref().is_some_and(|of| !of.found.is_empty());
    let first = if hidden { "those that a linear model will miss first, then the strongest" } else { "the strongest" };
    let body = html! { div.charts { @for one in &drawn { div { (one) } } } };
    part("pairs", "Pairs of number columns", &format!("{first}; deeper and larger where more rows lie"), &body)
}

fn density(found: &Density) -> Markup {
    let (x, y) = (cut(&found.x, WIDE), cut(&found.y, WIDE));
    let title = format!("{y} against {x}");
    let cells = Hexagons { x: found.x_range, y: found.y_range, size: (ACROSS, UP), cells: &found.cells };
    html! {
        h3 { (title) }
        (hexagons(Labels { title: &title, x: &x, y: &y }, &cells))
        p.muted {
            (count(found.rows)) " rows" @if found.outside > 0 { "; " (count(found.outside)) " beyond the outermost half percent are not drawn" }
        }
    }
}

/// Seasons.
pub(super) fn seasons(found: &Seasons, left: &mut usize) -> Markup {
    let drawn = fitting(std::iter::once(rows(found)).chain(found.columns.iter().map(column)), left);
    if drawn.is_empty() {
        return html! {};
    }
    let body = html! { div.charts { @for one in &drawn { div { (one) } } } };
    let note = format!("sampled rows by {} in UTC; medians with the span between the quartiles", cut(&found.by, WIDE));
    part("seasons", "Seasons", &note, &body)
}

fn rows(found: &Seasons) -> Markup {
    let cycle = |(cycle, rows): &(Cycle, Vec<u64>)| {
        let even = rows.iter().sum::<u64>() as f64 / rows.len() as f64;
        let values = rows.iter().map(|rows| Some([*rows as f64 / even; 3])).collect::<Vec<_>>();
        drawn(*cycle, &values)
    };
    let cycles: Vec<CycleOf> = found.cycles.iter().map(cycle).collect();
    html! {
        h3 { "Number of rows" }
        (seasonal(Labels { title: "Number of rows by season", x: "", y: "times the mean" }, &cycles))
    }
}

fn column(found: &Seasonal) -> Markup {
    let name = cut(&found.column, WIDE);
    let title = format!("{name} by season");
    let cycles: Vec<CycleOf> = found.seasons.iter().map(|season| drawn(season.cycle, &season.quartiles)).collect();
    let shares: Vec<String> =
        found.seasons.iter().map(|season| format!("{} {}", word(season.cycle), percent(season.strength))).collect();
    html! {
        h3 { (name) }
        (seasonal(Labels { title: &title, x: "", y: &name }, &cycles))
        p.muted { "share of the variance: " (shares.join(", ")) }
    }
}

fn word(cycle: Cycle) -> &'static str {
    match cycle {
        Cycle::Hour => "hour",
        Cycle::Weekday => "weekday",
        Cycle::Month => "month",
    }
}

fn drawn(cycle: Cycle, values: &[Option<[f64; 3]>]) -> CycleOf {
    let slot = |(at, values): (usize, &Option<[f64; 3]>)| {
        let (name, tick) = match cycle {
            Cycle::Hour => (format!("{at}:00"), if at % 6 == 0 { at.to_string() } else { String::new() }),
            Cycle::Weekday => named(&WEEKDAYS, at),
            Cycle::Month => named(&MONTHS, at),
        };
        CycleSlot { name, tick, values: *values }
    };
    CycleOf { name: word(cycle).to_owned(), slots: values.iter().enumerate().map(slot).collect() }
}

/// The name of a slot, and its first letter.
fn named(names: &[&str], at: usize) -> (String, String) {
    let name = names.get(at).copied().unwrap_or_default();
    (name.to_owned(), name.chars().take(1).collect())
}
