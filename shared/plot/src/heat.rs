//! Heat maps: rows × columns of one value.
//!
//! The value is told three times: by depth of one hue over the page's own ground, which reads on light and dark and
//! without seeing colours; by its text where there is room; and a cell that is marked by a full corner.

use crate::Labels;
use crate::frame::{self, colour, px};
use crate::scale::number;
use crate::text::shortened;
use maud::{Markup, html};

/// Cells drawn at most.
const CELLS: usize = 600;
/// Columns drawn at most.
const COLUMNS: usize = 24;
/// Height of a row.
const ROW: f64 = 20.0;
/// Width of the picture, room for the names of rows included.
const WIDE: f64 = 860.0;
const NAMES: f64 = 210.0;
/// Widest cell.
const CELL: f64 = 72.0;
/// Room for one character.
const LETTER: f64 = 6.5;
const TOP: f64 = 58.0;
/// Deepest fill: text of the page still reads on it.
const DEEPEST: f64 = 0.62;

/// One cell.
#[derive(Clone, Debug, Default)]
pub struct HeatCell {
    /// What its depth follows; `None` where nothing was measured.
    pub value: Option<f64>,
    /// Written in it where there is room.
    pub text: String,
    /// Told when it is pointed at.
    pub hint: String,
    /// Worth a look: told by a corner, not by colour.
    pub marked: bool,
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct HeatRow {
    /// Its name.
    pub name: String,
    /// Where its name leads.
    pub href: Option<String>,
    /// A cell for each column.
    pub cells: Vec<HeatCell>,
}

/// What a heat map shows.
#[derive(Clone, Debug, Default)]
pub struct HeatMap<'a> {
    /// Names of the columns, from the left.
    pub columns: Vec<String>,
    /// Rows, from the top.
    pub rows: Vec<HeatRow>,
    /// Rising values at which the fill grows deeper.
    pub steps: &'a [f64],
}

/// Rows × columns of one value. With too many rows those with the highest values stay; with too many columns the
/// last ones.
#[must_use]
pub fn heat_map(labels: Labels<'_>, heat: &HeatMap<'_>) -> Markup {
    let across = heat.columns.len();
    let first = across.saturating_sub(COLUMNS);
    let finite = |cell: &HeatCell| cell.value.filter(|v| v.is_finite());
    let peak = |row: &HeatRow| row.cells.iter().skip(first).filter_map(finite).fold(f64::NEG_INFINITY, f64::max);
    let mut rows: Vec<&HeatRow> = heat.rows.iter().collect();
    let room = (CELLS / across.clamp(1, COLUMNS)).max(1);
    if rows.len() > room {
        let mut peaks: Vec<f64> = rows.iter().map(|row| peak(row)).collect();
        peaks.sort_by(|a, b| b.total_cmp(a));
        let least = peaks[room - 1];
        rows.retain(|row| peak(row) >= least);
        rows.truncate(room);
    }
    if across == 0 || !rows.iter().any(|row| peak(row).is_finite()) {
        return frame::empty(labels);
    }
    let cell = ((WIDE - NAMES - 8.0) / (across - first) as f64).min(CELL);
    let height = TOP + ROW * rows.len() as f64 + 34.0;
    frame::wide(
        labels,
        (WIDE, height),
        &html! {
            @for (i, name) in heat.columns[first..].iter().enumerate() {
                text x=(px(NAMES + cell * (i as f64 + 0.5))) y=(px(TOP - 8.0)) text-anchor="middle" font-size="11" {
                    title { (name) }
                    (shortened(name, (cell / LETTER) as usize))
                }
            }
            @for (i, row) in rows.iter().enumerate() {
                g transform={ "translate(0 " (px(TOP + ROW * i as f64)) ")" } {
                    (row_name(row))
                    (cells(&row.cells[first.min(row.cells.len())..across.min(row.cells.len())], cell, heat.steps))
                }
            }
            (key(heat.steps, height - 12.0, heat.rows.len() - rows.len()))
        },
    )
}

fn row_name(row: &HeatRow) -> Markup {
    let name = html! {
        text x=(px(NAMES - 8.0)) y="14" text-anchor="end" {
            title { (row.name) }
            (shortened(&row.name, 28))
        }
    };
    html! {
        @if let Some(href) = &row.href { a href=(href) { (name) } } @else { (name) }
    }
}

/// The cells of a row. What all fills and all texts share is said once: a map has hundreds of them.
fn cells(row: &[HeatCell], wide: f64, steps: &[f64]) -> Markup {
    let known = |cell: &HeatCell| cell.value.filter(|v| v.is_finite());
    let left = |i: usize| NAMES + wide * i as f64;
    html! {
        g fill=(colour(0)) {
            @for (i, cell) in row.iter().enumerate() {
                @if let Some(value) = known(cell) {
                    rect x=(px(left(i))) width=(px(wide - 1.0)) height=(px(ROW - 1.0)) fill-opacity=(depth(value, steps)) {
                        title { (cell.hint) }
                    }
                }
            }
        }
        g text-anchor="middle" font-size="11" {
            @for (i, cell) in row.iter().enumerate() {
                @let middle = px(left(i) + wide / 2.0);
                @if known(cell).is_none() {
                    text x=(middle) y="14" opacity="0.45" { title { (cell.hint) } "·" }
                } @else if wide >= LETTER * (cell.text.chars().count() + 1) as f64 {
                    text x=(middle) y="14" pointer-events="none" { (cell.text) }
                }
            }
        }
        g fill="var(--tm-bad, #dc2626)" pointer-events="none" {
            @for (i, cell) in row.iter().enumerate() {
                @if cell.marked && known(cell).is_some() { (corner(left(i) + wide - 1.0, 0.0)) }
            }
        }
    }
}

/// A full upper right corner.
fn corner(right: f64, top: f64) -> Markup {
    html! {
        path d={ "M" (px(right)) " " (px(top)) "h-7l7 7z" } {}
    }
}

fn depth(value: f64, steps: &[f64]) -> String {
    let passed = steps.iter().filter(|step| value >= **step).count() as f64;
    format!("{:.2}", 0.05 + passed / steps.len().max(1) as f64 * (DEEPEST - 0.05))
}

/// The fills with the values they begin at, the marked corner, and how many rows are left out.
fn key(steps: &[f64], y: f64, left_out: usize) -> Markup {
    html! {
        g font-size="11" {
            @for (i, step) in steps.iter().take(8).enumerate() {
                @let left = NAMES + 64.0 * i as f64;
                rect x=(px(left)) y=(px(y - 11.0)) width="14" height="14" fill=(colour(0)) fill-opacity=(depth(*step, steps)) {}
                text x=(px(left + 18.0)) y=(px(y)) { "≥ " (number(*step)) }
            }
            @if left_out > 0 {
                text x="8" y=(px(y)) opacity="0.75" { (left_out) " calmer rows not drawn" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heat(rows: usize, columns: usize) -> String {
        let cell = |i: usize| HeatCell {
            value: (!i.is_multiple_of(7)).then_some(i as f64 / 1000.0),
            text: format!("{:.2}", i as f64 / 1000.0),
            hint: format!("<cell {i}>"),
            marked: i % 10 == 3,
        };
        let row = |r: usize| HeatRow {
            name: format!("<{r}>"),
            href: Some(format!("/drift?feature={r}")),
            cells: (0..columns).map(|c| cell(r * columns + c)).collect(),
        };
        let heat = HeatMap {
            columns: (0..columns).map(|c| format!("month {c}")).collect(),
            rows: (0..rows).map(row).collect(),
            steps: &[0.02, 0.1, 0.2],
        };
        heat_map(Labels { title: "PSI", ..Labels::default() }, &heat).into_string()
    }

    #[test]
    fn every_cell_tells_its_value_and_marks_have_a_shape() {
        let svg = heat(20, 14);
        assert_eq!(svg.matches("<rect").count(), 20 * 14 - 40 + 3);
        assert!(svg.contains("&lt;cell 44&gt;") && svg.contains(">0.04</text>") && svg.contains("≥ 0.2"));
        assert!(svg.contains("--tm-bad") && svg.contains("/drift?feature=3"));
    }

    #[test]
    fn size_is_bounded_and_the_highest_rows_stay() {
        let svg = heat(3_000, 30);
        assert!(svg.matches("<rect").count() <= CELLS + 3 && svg.len() < 150_000, "{}", svg.len());
        assert!(svg.contains("2975 calmer rows not drawn") && svg.contains("&lt;cell 89999&gt;"));
        assert!(heat(0, 0).contains("no values") && heat(1, 1).contains("no values"));
    }
}
