//! *Compare versions*: two versions of a table of rows, by columns, rows and distributions.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align, State, Tile};
use crate::page::Page;
use crate::pages::paging::{field, filled};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_contracts::paths;
use tidemill_dataset::diff::{ColumnDiff, Compared, Origin, Side, TableDiff, diff_within};
use tidemill_dataset::{Snapshot, Table};
use tidemill_privacy::LOOKED_AT;
use tidemill_stats::distance::PsiBand;
use tidemill_types::SourceName;

/// Versions between the two that are shown when none are named.
const BACK: u64 = 16;
/// Rows of either side that are read where profiles do not cover them; more are left to the command.
const MOST_ROWS: u64 = 500_000;

/// Which versions.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Query {
    source: Option<String>,
    area: Option<String>,
    left: Option<String>,
    right: Option<String>,
}

/// Two versions side by side.
#[derive(Serialize)]
pub(crate) struct Diff {
    source: String,
    area: String,
    table: String,
    newest: u64,
    left: u64,
    right: u64,
    found: Option<TableDiff>,
    #[serde(skip)]
    sources: Vec<String>,
}

impl Page for Diff {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let sources: Vec<String> = app.spec.sources.keys().map(ToString::to_string).collect();
        let first = sources.first().cloned().unwrap_or_default();
        let source = filled(query.source.as_ref()).map_or(first, str::to_owned);
        let name = app.spec.sources.keys().find(|name| name.as_str() == source);
        let name = name.ok_or_else(|| Error::missing("source", short(&source)))?.clone();
        let area = filled(query.area.as_ref()).unwrap_or("clean").to_owned();
        let path = table_path(app, &area, &name)?;
        let absent = |e| match e {
            tidemill_dataset::Error::Absent { version: None, .. } => Error::missing("table", path.clone()),
            tidemill_dataset::Error::Absent { version: Some(v), .. } => Error::missing("version", v.to_string()),
            other => other.into(),
        };
        let table = app.tables.open(&path).await.map_err(absent)?;
        let newest = table.load().await?;
        let right = version(query.right.as_ref(), newest.version())?;
        let left = version(query.left.as_ref(), right.saturating_sub(BACK))?;
        // Versions never change, so what was found once stands.
        let compare = async {
            let sides = tokio::try_join!(at(&table, &newest, left), at(&table, &newest, right));
            let (old, new) = sides.map_err(absent)?;
            let side = |snapshot| Side { table: &table, snapshot };
            let mut found = diff_within(side(&old), side(&new), MOST_ROWS).await?;
            if let (Some(found), Some(declared)) = (&mut found, app.spec.sources.get(&name)) {
                let masks = declared.masks_in(&table.head(&new, LOOKED_AT).await?)?;
                found.mask(|column| masks.covers(column), |column, value| masks.text(column, value));
            }
            serde_json::to_value(found).map_err(|e| unreadable(&path, &e))
        };
        let found = app.lasting(&format!("diff {path} {left} {right}"), compare).await?;
        let found = Option::<TableDiff>::deserialize(&*found).map_err(|e| unreadable(&path, &e))?;
        Ok(Self { source, area, table: path.clone(), newest: newest.version(), left, right, found, sources })
    }

    fn title(&self) -> Option<String> {
        Some(format!("{} {} to {}", self.table, self.left, self.right))
    }

    fn view(&self) -> Markup {
        let areas = ["raw", "clean", "quarantine"].map(str::to_owned);
        let (left, right, newest) = (self.left.to_string(), self.right.to_string(), self.newest.to_string());
        html! {
            form.filter method="get" action="/diff" {
                (field("Source", &choice("source", &self.sources, &self.source)))
                (field("Table", &choice("area", &areas, &self.area)))
                (field("From version", &html! { input type="number" name="left" min="0" max=(newest) value=(left); }))
                (field("To version", &html! { input type="number" name="right" min="0" max=(newest) value=(right); }))
                button type="submit" { "Compare" }
            }
            @match &self.found {
                Some(found) => (shown(found)),
                None => (layout::empty(
                    "Stored profiles do not cover these versions, and their rows are too many to be read for a page.",
                    &format!("tidemill dataset diff {}@{left} {}@{right}", self.table, self.table),
                )),
            }
        }
    }
}

/// One of some names.
fn choice(name: &str, options: &[String], chosen: &str) -> Markup {
    html! {
        select name=(name) {
            @for option in options { option value=(option) selected[option == chosen] { (option) } }
        }
    }
}

fn unreadable(path: &str, error: &serde_json::Error) -> Error {
    Error::Stored { path: path.to_owned(), reason: error.to_string() }
}

/// Text of a stranger, cut.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}

fn table_path(app: &App, area: &str, source: &SourceName) -> Result<String> {
    let project = &app.spec.project;
    match area {
        "raw" => Ok(paths::raw_table(project, source)),
        "clean" => Ok(paths::clean_table(project, source)),
        "quarantine" => Ok(paths::quarantine_table(project, source)),
        other => Err(Error::missing("kind of table", short(other))),
    }
}

fn version(text: Option<&String>, otherwise: u64) -> Result<u64> {
    let Some(text) = filled(text) else { return Ok(otherwise) };
    text.parse().map_err(|_| Error::Query(format!("\"{}\" is no version: write a whole number", short(text))))
}

async fn at(table: &Table, newest: &Snapshot, version: u64) -> std::result::Result<Snapshot, tidemill_dataset::Error> {
    if version == newest.version() { Ok(newest.clone()) } else { table.load_version(version).await }
}

fn shown(found: &TableDiff) -> Markup {
    let differing = found.differing().count();
    let tile = |label: &str, value: String, note: String, state: Option<State>| Tile {
        label: label.to_owned(),
        value,
        note,
        state,
        ..Tile::default()
    };
    let when = |at: Option<tidemill_types::Millis>| at.map_or_else(String::new, format::minute);
    let more = if found.rows_more < 0 { "fewer" } else { "more" };
    let compared = match found.compared {
        Compared::AddedRows => {
            "The rows of the first version are compared with those that were added until the second."
        }
        Compared::WholeTables => "All rows of one version are compared with all of the other.",
    };
    let origin = match found.origin {
        Origin::StoredProfiles => "From the profiles of the commits.",
        Origin::Rows => "From the rows, read for this page.",
    };
    let count = |rows: i64| format::count(rows.unsigned_abs());
    html! {
        (layout::tiles(&[
            tile("Rows before", format::count(found.left.rows), when(found.left.committed_at), None),
            tile("Rows after", format::count(found.right.rows), when(found.right.committed_at), None),
            tile("Difference", count(found.rows_more), more.to_owned(), None),
            tile(
                "Columns that differ",
                differing.to_string(),
                format!("of {}", found.columns.len()),
                Some(if differing == 0 { State::Good } else { State::Warn }),
            ),
        ]))
        @if !found.schema.is_empty() { (layout::panel("Columns", "not the same on both sides", &schema(found))) }
        (layout::panel("Distributions", &format!("{compared} {origin}"), &columns(found)))
        p.muted { "PSI counts when it is above its limit, which follows from the numbers of rows; its size is called by convention." }
    }
}

fn schema(found: &TableDiff) -> Markup {
    let cell = |text: &Option<String>| html! { (text.as_deref().unwrap_or(format::ABSENT)) };
    let rows: Vec<Vec<Markup>> = found
        .schema
        .iter()
        .map(|change| vec![html! { (change.column) }, cell(&change.left), cell(&change.right)])
        .collect();
    layout::table("Columns", &[("Column", Align::Text), ("Before", Align::Text), ("After", Align::Text)], &rows)
}

fn columns(found: &TableDiff) -> Markup {
    let heads = [
        ("Column", Align::Text),
        ("", Align::Text),
        ("PSI", Align::Number),
        ("Limit", Align::Number),
        ("KS", Align::Number),
        ("Limit", Align::Number),
        ("Missing", Align::Number),
        ("Mean", Align::Number),
        ("Median", Align::Number),
        ("Distinct", Align::Number),
        ("New values", Align::Text),
    ];
    layout::table("Distributions", &heads, &found.columns.iter().map(row).collect::<Vec<_>>())
}

fn row(column: &ColumnDiff) -> Vec<Markup> {
    let instant = column.kind == tidemill_stats::Kind::Instant;
    let shown = |value: f64| if instant { day(value) } else { format::number(value) };
    let pair = |left: Option<f64>, right: Option<f64>| match (left, right) {
        (Some(left), Some(right)) => sides(&shown(left), &shown(right)),
        _ => html! { (format::ABSENT) },
    };
    let (left, right) = (&column.left, &column.right);
    let number = |value: Option<f64>| html! { (format::or_dash(value, format::number)) };
    vec![
        html! { (column.name) },
        mark(column),
        number(column.psi),
        number(column.psi_limit),
        number(column.ks),
        number(column.ks_limit),
        sides(&format::percent(left.missing_share, 1), &format::percent(right.missing_share, 1)),
        pair(left.mean, right.mean),
        pair(left.median, right.median),
        sides(&format::number(left.distinct), &format::number(right.distinct)),
        html! { span.wrap { (column.new_values.join(", ")) } },
    ]
}

/// What stands on either side; once where it is the same.
fn sides(left: &str, right: &str) -> Markup {
    html! {
        @if left == right { (left) } @else { span.sides { (left) " → " span { (right) } } }
    }
}

/// What convention calls the size of a difference that is more than chance.
fn mark(column: &ColumnDiff) -> Markup {
    match column.band {
        None => html! { (format::ABSENT) },
        Some(_) if !column.differs => layout::badge(State::Good, "same"),
        Some(PsiBand::Stable) => layout::badge(State::Good, "differs little"),
        Some(PsiBand::Watch) => layout::badge(State::Warn, "differs"),
        Some(PsiBand::Act) => layout::badge(State::Bad, "differs much"),
    }
}

fn day(value: f64) -> String {
    #[expect(clippy::cast_possible_truncation, reason = "instants are whole milliseconds far below 2^53")]
    let instant = tidemill_types::Millis(value as i64);
    format::day(instant)
}
