//! The exploration as one page that needs nothing else: no network, no script, light and dark, to be printed.
//!
//! Its parts are functions of their own, so that the console shows the very same ones. The size of the page is bounded
//! whatever the number of rows: charts are drawn from sketches, and what is long is cut and says so.

mod assets;
mod column;
mod pictures;
mod quality;
mod relations;
mod text;

pub use assets::STYLE;
pub use column::details as column_details;
pub use quality::{QualityFacts, RuleFacts, ScoreAt};
pub use text::written;

use crate::exploration::Exploration;
use crate::warnings::{Level, count, percent};
use maud::{DOCTYPE, Markup, html};
use tidemill_stats::Kind;

/// Columns with charts; the others have a line in the table.
const DRAWN: usize = 40;
/// Bytes of all charts of columns; those that no longer fit are left out.
const BUDGET: usize = 220_000;

/// How much is shown; what is beyond it is cut and says so.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// Columns that have a line.
    pub columns: usize,
    /// Bytes of the small pictures in these lines.
    pub small_pictures: usize,
    /// Warnings.
    pub warnings: usize,
    /// Columns of a matrix.
    pub matrix: usize,
    /// Lines of the other tables.
    pub lines: usize,
    /// Bytes of pictures of pairs and seasons.
    pub pictures: usize,
}

impl Room {
    /// Of a file of at most 500 kB.
    pub const FILE: Self =
        Self { columns: 200, small_pictures: 50_000, warnings: 80, matrix: 24, lines: 30, pictures: 70_000 };
    /// Of a page of at most 150 kB that has other parts too.
    pub const PAGE: Self =
        Self { columns: 60, small_pictures: 16_000, warnings: 30, matrix: 14, lines: 12, pictures: 36_000 };
}

/// What stands around the exploration on the page.
#[derive(Clone, Debug)]
pub struct Context {
    /// Where the rows came from: a file, or a table and the versions that were merged.
    pub origin: String,
    /// Bytes of it, if known.
    pub bytes: Option<u64>,
    /// When the page was made, as text.
    pub made_at: String,
    /// Results of rules, where the table has any.
    pub quality: Option<QualityFacts>,
    /// Columns that get charts of their own.
    pub drawn: usize,
    /// Where the name of a column leads, before the name itself; without it, to its part of the page.
    pub column_link: Option<String>,
    /// How much is shown.
    pub room: Room,
}

impl Default for Context {
    fn default() -> Self {
        let (origin, made_at) = (String::new(), String::new());
        Self { origin, bytes: None, made_at, quality: None, drawn: DRAWN, column_link: None, room: Room::FILE }
    }
}

/// The whole page.
#[must_use]
pub fn page(found: &Exploration, context: &Context) -> String {
    let body = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                title { "Profile of " (found.name) }
                style { (maud::PreEscaped(STYLE)) }
            }
            body {
                main {
                    header.head {
                        p.kind { "Profile" }
                        h1 { (found.name) }
                        p.muted { (context.origin) @if !context.made_at.is_empty() { " · made " (context.made_at) } }
                    }
                    nav.toc aria-label="Parts" {
                        @for (id, name) in parts(found, context) { a href={ "#" (id) } { (name) } }
                    }
                    (sections(found, context))
                    footer.muted { (errors(found)) }
                }
            }
        }
    };
    body.into_string()
}

/// All parts below each other, each with its heading.
#[must_use]
pub fn sections(found: &Exploration, context: &Context) -> Markup {
    let room = context.room;
    // What pairs leave is for seasons.
    let (mut of_pairs, of_seasons) = (room.pictures / 2, room.pictures - room.pictures / 2);
    let pairs = pictures::densities(found, &mut of_pairs);
    let mut left = of_seasons + of_pairs;
    html! {
        (overview(found, context))
        (warnings(found, room.warnings))
        (columns(found, context))
        @if let Some(missing) = &found.missing { (relations::missing(missing, found, room)) }
        @if let Some(associations) = &found.associations {
            (relations::associations(associations, found.non_linear.as_ref(), room))
        }
        (pairs)
        @if let Some(seasons) = &found.seasons { (pictures::seasons(seasons, &mut left)) }
        @if !found.tests.is_empty() { (relations::tests(&found.tests, found.tests_made, room)) }
        @if !found.times.is_empty() { (relations::times(&found.times)) }
        @if let Some(quality) = &context.quality { (quality::quality(quality)) }
    }
}

fn parts(found: &Exploration, context: &Context) -> Vec<(&'static str, &'static str)> {
    let mut parts = vec![("overview", "Overview"), ("warnings", "Warnings"), ("columns", "Columns")];
    let optional = [
        (found.missing.is_some(), ("missing", "Missing")),
        (found.associations.is_some(), ("associations", "Associations")),
        (!found.densities.is_empty(), ("pairs", "Pairs")),
        (found.seasons.is_some(), ("seasons", "Seasons")),
        (!found.tests.is_empty(), ("tests", "Tests")),
        (!found.times.is_empty(), ("times", "Time")),
        (context.quality.is_some(), ("rules", "Rules")),
    ];
    parts.extend(optional.into_iter().filter(|(there, _)| *there).map(|(_, part)| part));
    parts
}

/// A part with its heading.
fn part(id: &str, heading: &str, note: &str, body: &Markup) -> Markup {
    html! {
        section.panel id=(id) {
            header { h2 { (heading) } @if !note.is_empty() { p { (note) } } }
            (body)
        }
    }
}

fn overview(found: &Exploration, context: &Context) -> Markup {
    let cells = found.rows.saturating_mul(found.columns.len() as u64).max(1);
    let of = |kind: Kind| found.columns.iter().filter(|column| column.kind == kind).count();
    let kinds =
        [(Kind::Numeric, "numbers"), (Kind::Text, "texts"), (Kind::Boolean, "yes/no"), (Kind::Instant, "instants")];
    let named: Vec<String> = kinds
        .iter()
        .map(|(kind, name)| (of(*kind), name))
        .filter(|(n, _)| *n > 0)
        .map(|(n, name)| format!("{n} {name}"))
        .collect();
    let grave = found.warnings.iter().filter(|w| w.level == Level::Bad).count();
    let duplicates = found.duplicates.map_or_else(|| "not counted".to_owned(), |rows| count(rows.repeated));
    let size = context.bytes.map(|bytes| format!("{:.1} MB", bytes as f64 / 1e6));
    let tiles = [
        ("Rows", count(found.rows), size.unwrap_or_default()),
        ("Columns", found.columns.len().to_string(), named.join(", ")),
        (
            "Missing cells",
            count(found.missing_cells),
            format!("{} of all", percent(found.missing_cells as f64 / cells as f64)),
        ),
        ("Full duplicates", duplicates, "rows that stand twice".to_owned()),
        ("Warnings", found.warnings.len().to_string(), format!("{grave} of them grave")),
    ];
    html! {
        dl.tiles id="overview" {
            @for (label, value, note) in &tiles {
                div.tile { dt { (label) } dd.value { (value) } dd.note { (note) } }
            }
        }
    }
}

fn warnings(found: &Exploration, most: usize) -> Markup {
    let shown = &found.warnings[..found.warnings.len().min(most)];
    let body = html! {
        @if shown.is_empty() { p.muted { "Nothing stands out." } } @else {
            ul.warnings {
                @for warning in shown {
                    li {
                        span class={ "level " (word(warning.level)) } { (mark(warning.level)) " " (word(warning.level)) }
                        div {
                            p {
                                @if let Some(column) = &warning.column { strong { (text::cut(column, 60)) } ": " }
                                (warning.text)
                            }
                            p.muted { (warning.advice) }
                        }
                    }
                }
            }
            @if found.warnings.len() > shown.len() { p.muted { (found.warnings.len() - shown.len()) " more are in the JSON form." } }
        }
    };
    part("warnings", "What to look at first", "", &body)
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Note => "note",
        Level::Warn => "look",
        Level::Bad => "grave",
    }
}

/// What colour tells, a shape tells too.
fn mark(level: Level) -> &'static str {
    match level {
        Level::Note => "○",
        Level::Warn => "▲",
        Level::Bad => "◆",
    }
}

fn columns(found: &Exploration, context: &Context) -> Markup {
    let lines = &found.columns[..found.columns.len().min(context.room.columns)];
    let table = html! {
        (column::table(lines, context))
        @if found.columns.len() > lines.len() {
            p.muted { (found.columns.len() - lines.len()) " more columns are in the JSON form." }
        }
    };
    let mut drawn: Vec<Markup> = Vec::new();
    let mut bytes = 0;
    for facts in found.columns.iter().take(context.drawn) {
        let details = column::details(facts, found);
        bytes += details.0.len();
        if bytes > BUDGET {
            break;
        }
        drawn.push(details);
    }
    let some = context.drawn > 0 && found.columns.len() > drawn.len();
    let note = if some { format!("the first {} with charts", drawn.len()) } else { String::new() };
    let body = html! {
        (table)
        @for details in &drawn { (details) }
    };
    part("columns", "Columns", &note, &body)
}

fn errors(found: &Exploration) -> Markup {
    let (rank, distinct) = (percent(found.errors.quantile_rank), percent(found.errors.distinct));
    html! {
        p {
            "Counts, means, deviations, extremes and repeats are exact. Ranks of quantiles are right to " (rank)
            " (99 % confidence), numbers of different values marked ≈ to a standard error of " (distinct) "."
            @if found.sampled > 0 {
                " Relations, tests, outliers and missing patterns rest on "
                @if found.whole { "all " (count(found.sampled)) " rows" } @else { "a sample of " (count(found.sampled)) " rows drawn by seed " (found.seed) }
                ", relations and tests on at most 10,000 of them."
            } @else { " Only profiles were merged, no rows were read: relations and tests need rows." }
        }
    }
}
