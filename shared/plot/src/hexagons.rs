//! Two numbers against each other: a dot in the middle of each hexagon, deeper and larger where more rows lie.
//!
//! Counts are told three times: by depth of one hue, by the size of the dot, and by the title of each step. Dots take a
//! quarter of the bytes of hexagons and touch each other like these.

use crate::Labels;
use crate::frame::{self, BOTTOM, LEFT, RIGHT, TOP, colour, px};
use crate::scale::Scale;
use maud::{Markup, html};

/// Steps of depth.
const STEPS: usize = 5;
/// Hexagons drawn at most.
const MOST: usize = 1_000;
/// Size of the dots of the lowest step, as a share of the hexagon.
const LEAST: f64 = 0.35;
/// Size of the dots of the highest step.
const LARGEST: f64 = 0.88;

/// Counted rows.
#[derive(Clone, Copy, Debug)]
pub struct Hexagons<'a> {
    /// Range from left to right.
    pub x: (f64, f64),
    /// Range from bottom to top.
    pub y: (f64, f64),
    /// Hexagons across, and those of one lattice from bottom to top.
    pub size: (u16, u16),
    /// Middles in half hexagons from the left and from the bottom, with their counts.
    pub cells: &'a [(u16, u16, u64)],
}

/// The picture. Its size depends on the number of hexagons alone; of too many the first are drawn.
#[must_use]
pub fn hexagons(labels: Labels<'_>, found: &Hexagons<'_>) -> Markup {
    let cells = &found.cells[..found.cells.len().min(MOST)];
    let most = cells.iter().map(|cell| cell.2).max().unwrap_or(0);
    let finite = [found.x.0, found.x.1, found.y.0, found.y.1].iter().all(|end| end.is_finite());
    if most == 0 || !finite || found.size.0 == 0 || found.size.1 == 0 {
        return frame::empty(labels);
    }
    // Half a hexagon of room on each side, so that no dot lies on an axis.
    let step = ((RIGHT - LEFT) / f64::from(found.size.0 + 1), (BOTTOM - TOP) / f64::from(found.size.1 + 1));
    let xs = Scale::new(found.x.0, found.x.1, LEFT + step.0 / 2.0, RIGHT - step.0 / 2.0);
    let ys = Scale::new(found.y.0, found.y.1, BOTTOM - step.1 / 2.0, TOP + step.1 / 2.0);
    let edges = edges(most);
    frame::chart(
        labels,
        &html! {
            (frame::y_axis(&ys))
            (frame::x_axis(&xs))
            @for (at, (low, high)) in edges.iter().enumerate() {
                @let inside: Vec<&(u16, u16, u64)> = cells.iter().filter(|cell| (*low..=*high).contains(&cell.2)).collect();
                @if !inside.is_empty() {
                    path d=(dots(&inside, step)) fill="none" stroke=(colour(0)) stroke-linecap="round"
                        stroke-width=(px(step.0 * size(at, edges.len()))) stroke-opacity=(format!("{:.2}", depth(at, edges.len()))) {
                        title { @if low == high { (low) } @else { (low) " to " (high) } @if *high == 1 { " row" } @else { " rows" } " in a hexagon" }
                    }
                }
            }
        },
    )
}

/// Steps of counts, each as many times the one before; fewer where there are fewer different counts.
fn edges(most: u64) -> Vec<(u64, u64)> {
    let factor = (most as f64).powf(1.0 / STEPS as f64);
    let mut found = Vec::new();
    let mut low = 1;
    for at in 1..=STEPS {
        let high = if at == STEPS { most } else { factor.powi(at as i32) as u64 };
        if high >= low {
            found.push((low, high));
            low = high + 1;
        }
    }
    found
}

fn depth(step: usize, steps: usize) -> f64 {
    0.25 + 0.75 * (step + 1) as f64 / steps as f64
}

fn size(step: usize, steps: usize) -> f64 {
    LEAST + (LARGEST - LEAST) * (step + 1) as f64 / steps as f64
}

/// Lines without length, of which the round ends remain.
fn dots(cells: &[&(u16, u16, u64)], (wide, high): (f64, f64)) -> String {
    let mut text = String::new();
    for (x, y, _) in cells {
        let (x, y) = (LEFT + f64::from(*x + 1) * wide / 2.0, BOTTOM - f64::from(*y + 1) * high / 2.0);
        text.push_str(&format!("M{} {}h0", px(x), px(y)));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_hold_every_count_once() {
        for most in [1, 2, 3, 7, 100, 12_345] {
            let edges = edges(most);
            assert!(edges.len() <= STEPS && edges[0].0 == 1 && edges[edges.len() - 1].1 == most, "{edges:?}");
            assert!(edges.windows(2).all(|pair| pair[0].1 + 1 == pair[1].0), "{edges:?}");
        }
    }

    #[test]
    fn size_depends_on_hexagons_and_not_on_rows() {
        let labels = Labels { title: "a <against> b", x: "a", y: "b" };
        let cells: Vec<(u16, u16, u64)> = (0..57)
            .flat_map(|x| (0..13).filter(move |y| x % 2 == y % 2).map(move |y| (x, y, 1 + u64::from(x * y))))
            .collect();
        let draw = |cells: &[(u16, u16, u64)]| {
            hexagons(labels, &Hexagons { x: (0.0, 1.0), y: (-5.0, 5.0), size: (28, 6), cells }).into_string()
        };
        let svg = draw(&cells);
        assert_eq!(svg.matches('M').count(), cells.len());
        assert!(
            svg.len() < 8_000 && svg.contains("rows in a hexagon") && svg.contains("a &lt;against&gt; b"),
            "{}",
            svg.len()
        );
        let heavy: Vec<(u16, u16, u64)> = cells.iter().map(|cell| (cell.0, cell.1, cell.2 * 1_000_000)).collect();
        assert!(draw(&heavy).len() < 8_500);
        assert!(draw(&[]).contains("no values") && !svg.contains("NaN"));
    }
}
