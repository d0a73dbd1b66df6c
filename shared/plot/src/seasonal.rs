//! One number over cycles that repeat, side by side: medians joined by a line, with the span between the quartiles.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, px};
use crate::scale::{Scale, number};
use maud::{Markup, html};

/// Slots drawn at most, over all cycles.
const MOST: usize = 80;
/// Room between two cycles, in slots.
const GAP: f64 = 1.5;

/// One slot of a cycle, such as an hour.
#[derive(Clone, Debug, Default)]
pub struct CycleSlot {
    /// Name told when it is pointed at.
    pub name: String,
    /// Name below the axis; empty for most slots of a long cycle.
    pub tick: String,
    /// Lower end, middle, upper end; none without values.
    pub values: Option<[f64; 3]>,
}

/// One cycle.
#[derive(Clone, Debug, Default)]
pub struct CycleOf {
    /// Its name, below the axis.
    pub name: String,
    /// Its slots in order.
    pub slots: Vec<CycleSlot>,
}

/// Cycles side by side over one vertical axis. Slots without finite values break the line.
#[must_use]
pub fn seasonal(labels: Labels<'_>, cycles: &[CycleOf]) -> Markup {
    let mut left = MOST;
    let cycles: Vec<(&CycleOf, &[CycleSlot])> = cycles
        .iter()
        .map(|cycle| {
            let slots = &cycle.slots[..cycle.slots.len().min(left)];
            left -= slots.len();
            (cycle, slots)
        })
        .filter(|(_, slots)| !slots.is_empty())
        .collect();
    let values = cycles.iter().flat_map(|(_, slots)| slots.iter().filter_map(finite).flatten());
    let Some(ys) = Scale::over(values, BOTTOM, TOP) else { return frame::empty(labels) };
    let count = cycles.iter().map(|(_, slots)| slots.len()).sum::<usize>() as f64 + GAP * (cycles.len() - 1) as f64;
    let wide = (RIGHT - LEFT) / count;
    let starts: Vec<f64> = cycles
        .iter()
        .scan(LEFT, |at, (_, slots)| Some(std::mem::replace(at, *at + wide * (slots.len() as f64 + GAP))))
        .collect();
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            @for (at, ((cycle, slots), from)) in cycles.iter().zip(starts).enumerate() {
                (part(at, cycle, slots, (from, wide), &ys))
            }
        },
    )
}

fn part(at: usize, cycle: &CycleOf, slots: &[CycleSlot], (from, wide): (f64, f64), ys: &Scale) -> Markup {
    let x = |slot: usize| from + wide * (slot as f64 + 0.5);
    let end = from + wide * slots.len() as f64;
    let known: Vec<(usize, &CycleSlot, [f64; 3])> =
        slots.iter().enumerate().filter_map(|(at, slot)| Some((at, slot, finite(slot)?))).collect();
    let mut line = String::new();
    let mut last = None;
    for (slot, _, values) in &known {
        let pen = if last == slot.checked_sub(1) && last.is_some() { 'L' } else { 'M' };
        line.push_str(&format!("{pen}{} {}", px(x(*slot)), px(ys.at(values[1]))));
        last = Some(*slot);
    }
    let spans: String = known
        .iter()
        .filter(|(_, _, [low, _, high])| low < high)
        .map(|(slot, _, [low, _, high])| format!("M{} {}V{}", px(x(*slot)), px(ys.at(*low)), px(ys.at(*high))))
        .collect();
    html! {
        line x1=(px(from)) x2=(px(end)) y1=(px(BOTTOM)) y2=(px(BOTTOM)) stroke="currentColor" opacity="0.6" {}
        text x=(px((from + end) / 2.0)) y=(px(BOTTOM + 32.0)) text-anchor="middle" { (cycle.name) }
        path d=(line) fill="none" stroke=(colour(at)) stroke-width="2" {}
        @if !spans.is_empty() {
            path d=(spans) fill="none" stroke=(colour(at)) stroke-width=(px((0.5 * wide).max(1.0))) stroke-opacity="0.3" {}
        }
        g fill=(colour(at)) {
            @for (slot, named, [low, middle, high]) in &known {
                circle cx=(px(x(*slot))) cy=(px(ys.at(*middle))) r="2.5" {
                    title {
                        (named.name) ": " (number(*middle))
                        @if low < high { " (" (number(*low)) " to " (number(*high)) ")" }
                    }
                }
            }
        }
        @for (slot, named) in slots.iter().enumerate().filter(|(_, slot)| !slot.tick.is_empty()) {
            text class="tm-tick" x=(px(x(slot))) y=(px(BOTTOM + 16.0)) text-anchor="middle" { (named.tick) }
        }
    }
}

fn finite(slot: &CycleSlot) -> Option<[f64; 3]> {
    slot.values.filter(|values| values.iter().all(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycle(name: &str, values: &[f64]) -> CycleOf {
        let slot = |(at, value): (usize, &f64)| CycleSlot {
            name: format!("<{name} {at}>"),
            tick: if at % 6 == 0 { at.to_string() } else { String::new() },
            values: Some([value - 1.0, *value, value + 2.0]),
        };
        CycleOf { name: name.to_owned(), slots: values.iter().enumerate().map(slot).collect() }
    }

    #[test]
    fn cycles_stand_side_by_side_and_gaps_break_lines() {
        let hours: Vec<f64> = (0..24).map(|hour| if hour == 5 { f64::NAN } else { f64::from(hour) }).collect();
        let cycles = [cycle("hour", &hours), cycle("weekday", &[1.0; 7]), cycle("month", &[2.0; 12])];
        let svg = seasonal(Labels { title: "t", x: "", y: "v" }, &cycles).into_string();
        assert_eq!(svg.matches("<circle").count(), 42);
        assert!(svg.contains("&lt;hour 3&gt;: 3 (2 to 5)") && !svg.contains("hour 5&gt;") && !svg.contains("NaN"));
        let line = svg.split("fill=\"none\"").next().unwrap();
        assert_eq!(line.rsplit(" d=\"").next().unwrap().matches('M').count(), 2, "{line}");
        assert!(svg.len() < 9_000, "{}", svg.len());
        assert!(seasonal(Labels::default(), &[]).into_string().contains("no values"));
        let long = vec![1.0; 10_000];
        assert_eq!(seasonal(Labels::default(), &[cycle("long", &long)]).into_string().matches("<circle").count(), MOST);
    }
}
