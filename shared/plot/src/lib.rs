//! SVG charts for reports and pages.
//!
//! Charts follow the page: text and axes take `currentColor`, series the CSS variables `--tm-series-0` … with built-in
//! fallbacks that read on light and dark. No script, no outside resource; all text is escaped. Values that are not
//! finite are left out, and a chart without values says so.

mod bars;
mod frame;
mod lines;
mod scale;

pub use bars::{Bar, bar_chart, histogram};
pub use lines::{Line, line_chart, reliability};
pub use maud::Markup;

/// Titles and axis names of a chart.
#[derive(Clone, Copy, Debug, Default)]
pub struct Labels<'a> {
    /// What the chart shows; also its accessible name.
    pub title: &'a str,
    /// Name and unit of the horizontal axis.
    pub x: &'a str,
    /// Name and unit of the vertical axis.
    pub y: &'a str,
}
