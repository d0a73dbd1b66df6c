//! SVG charts for reports and pages.
//!
//! Charts follow the page: text and axes take `currentColor`, series the CSS variables `--tm-series-0` … with built-in
//! fallbacks that read on light and dark. No script, no outside resource; all text is escaped. Values that are not
//! finite are left out, and a chart without values says so. Every mark has its text, and what colour tells, shape or dash
//! tells too. The size of a chart is bounded whatever it is given.

mod bars;
mod boxes;
mod calendar;
mod frame;
mod graph;
mod heat;
mod hexagons;
mod lines;
mod lying;
mod matrix;
mod overlay;
mod scale;
mod seasonal;
mod spark;
mod text;
mod thin;
mod times;
mod waterfall;

pub use bars::{Bar, bar_chart, histogram};
pub use boxes::{BoxOf, box_plot};
pub use calendar::AtMillis;
pub use graph::{Layered, Node, layered_graph};
pub use heat::{HeatCell, HeatMap, HeatRow, heat_map};
pub use hexagons::{Hexagons, hexagons};
pub use lines::{Line, line_chart, reliability};
pub use lying::{box_row, ranked_bars};
pub use matrix::{Square, pattern_matrix, square_matrix};
pub use maud::Markup;
pub use overlay::{PairedBar, overlay, paired_bars};
pub use seasonal::{CycleOf, CycleSlot, seasonal};
pub use spark::{mini_bars, mini_histogram, sparkline};
pub use times::{Mark, Series, Shade, TimeSeries, time_series};
pub use waterfall::{SpanBar, waterfall};

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
