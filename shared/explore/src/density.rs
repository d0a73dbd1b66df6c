//! Two number columns against each other: rows counted in hexagons (Carr, Littlefield, Nicholson & Littlefield 1987).
//!
//! A picture of counts has the same size for any number of rows, and shows no single row of its own.

use crate::outliers::quantile;
use crate::table::Column;
use serde::Serialize;

/// Hexagons from left to right.
pub const ACROSS: u16 = 28;
/// Hexagons of one of the two lattices from bottom to top.
pub const UP: u16 = 6;
/// Share of the values that may lie outside at either end.
const TAIL: f64 = 0.005;
/// Rows that a picture needs.
const LEAST: usize = 30;

/// Counts of two columns.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Density {
    /// The column from left to right.
    pub x: String,
    /// The column from bottom to top.
    pub y: String,
    /// Rows inside.
    pub rows: u64,
    /// Rows with both values of which one lies beyond the shown range.
    pub outside: u64,
    /// Shown range of `x`: all but half a percent of its values at either end.
    pub x_range: (f64, f64),
    /// Shown range of `y`.
    pub y_range: (f64, f64),
    /// Middle of a hexagon in half widths from the left and half heights from the bottom, and its rows.
    pub cells: Vec<(u16, u16, u64)>,
}

/// Counts two number columns; none when one does not vary or rows are too few.
#[must_use]
pub fn density(x: &Column, y: &Column) -> Option<Density> {
    let both: Vec<(f64, f64)> = x
        .numbers
        .iter()
        .zip(&y.numbers)
        .filter(|(x, y)| x.is_finite() && y.is_finite())
        .map(|(x, y)| (*x, *y))
        .collect();
    let x_range = range(both.iter().map(|at| at.0))?;
    let y_range = range(both.iter().map(|at| at.1))?;
    if both.len() < LEAST {
        return None;
    }
    let width = usize::from(2 * ACROSS) + 1;
    let mut counts = vec![0_u64; width * (usize::from(2 * UP) + 1)];
    let mut rows = 0;
    let inside = |value: f64, (low, high): (f64, f64)| low <= value && value <= high;
    for (x, y) in both.iter().filter(|(x, y)| inside(*x, x_range) && inside(*y, y_range)) {
        let across = (x - x_range.0) / (x_range.1 - x_range.0) * f64::from(ACROSS);
        let up = (y - y_range.0) / (y_range.1 - y_range.0) * f64::from(UP);
        let (column, row) = nearest(across, up);
        counts[row * width + column] += 1;
        rows += 1;
    }
    let cells = counts.iter().enumerate().filter(|(_, count)| **count > 0);
    let cells = cells.map(|(at, count)| ((at % width) as u16, (at / width) as u16, *count)).collect();
    let outside = both.len() as u64 - rows;
    Some(Density { x: x.name.clone(), y: y.name.clone(), rows, outside, x_range, y_range, cells })
}

/// The nearer of the middles of two lattices, one of which is moved by half a step, in half steps.
fn nearest(across: f64, up: f64) -> (usize, usize) {
    let even = (across.round(), up.round());
    let odd = (across.floor() + 0.5, up.floor() + 0.5);
    // A step up is √3 as long as one across.
    let far = |(x, y): (f64, f64)| (across - x).powi(2) + 3.0 * (up - y).powi(2);
    let beyond = odd.0 > f64::from(ACROSS) || odd.1 > f64::from(UP);
    let (x, y) = if beyond || far(even) <= far(odd) { even } else { odd };
    ((2.0 * x) as usize, (2.0 * y) as usize)
}

fn range(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let (least, most) = (*sorted.first()?, *sorted.last()?);
    let (low, high) = (quantile(&sorted, TAIL), quantile(&sorted, 1.0 - TAIL));
    if high > low { Some((low, high)) } else { (most > least).then_some((least, most)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_stats::Kind;
    use tidemill_stats::random::Random;

    fn column(name: &str, numbers: Vec<f64>) -> Column {
        let missing = numbers.iter().map(|value| value.is_nan()).collect();
        Column { name: name.to_owned(), kind: Kind::Numeric, missing, numbers, categories: None }
    }

    #[test]
    fn every_row_inside_is_counted_once_in_its_nearest_hexagon() {
        let mut random = Random::new(1);
        let mut x: Vec<f64> = (0..20_000).map(|_| random.unit()).collect();
        let mut y: Vec<f64> = (0..20_000).map(|_| 100.0 * random.unit()).collect();
        (x[0], y[1]) = (1e9, f64::NAN);
        let found = density(&column("x", x), &column("y", y)).unwrap();
        assert_eq!(found.rows + found.outside, 19_999);
        assert!(found.outside > 200 && found.x_range.1 < 1.0, "a far value does not squeeze the others");
        assert_eq!(found.cells.iter().map(|cell| cell.2).sum::<u64>(), found.rows);
        // Evenly spread rows fill all hexagons of both lattices alike but for those cut by the border.
        let inner: Vec<u64> = found
            .cells
            .iter()
            .filter(|(x, y, _)| (1..2 * ACROSS).contains(x) && (1..2 * UP).contains(y))
            .map(|cell| cell.2)
            .collect();
        let expected = f64::from(u32::from(ACROSS - 1) * u32::from(UP - 1) + u32::from(ACROSS * UP));
        assert_eq!(inner.len() as f64, expected);
        let mean = found.rows as f64 / (2.0 * f64::from(ACROSS) * f64::from(UP));
        assert!(inner.iter().all(|count| (*count as f64 - mean).abs() < 5.0 * mean.sqrt()), "{mean}: {inner:?}");
        assert!(found.cells.iter().all(|(x, y, _)| x % 2 == y % 2));
    }

    #[test]
    fn what_does_not_vary_has_no_picture() {
        let line = column("line", (0..1_000).map(f64::from).collect());
        assert!(density(&line, &column("flat", vec![1.0; 1_000])).is_none());
        let rare = column("rare", (0..1_000).map(|row| f64::from(u8::from(row == 50))).collect());
        assert_eq!(density(&line, &rare).unwrap().y_range, (0.0, 1.0));
    }
}
