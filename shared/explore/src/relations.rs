//! What needs rows: how columns go together, where cells are missing, how groups differ.
//!
//! The rows are those of a file's sample or drawn from a table. Columns that the project calls personal are opaque here:
//! only their gaps are looked at. Those that look personal, and about which nobody has said anything, take part in
//! measures, but in nothing that shows values: pictures, groups, quantiles over time.

use crate::association::{Associations, associations};
use crate::compare::{Comparison, comparisons};
use crate::density::{Density, density};
use crate::distance::{NonLinear, non_linear};
use crate::error::{Error, Result};
use crate::exploration::Options;
use crate::facts::Seen;
use crate::missing::{Missing, missing};
use crate::over_time::{OverTime, over_time};
use crate::repeats::Repeats;
use crate::scan::{ScanOptions, Scanned, Stream};
use crate::seasons::{Seasons, seasons};
use crate::table::{self, Column};
use crate::times::TimeFacts;
use crate::warnings::{Beside, Warning, of_table};
use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use std::collections::{BTreeMap, BTreeSet};
use tidemill_privacy::{ColumnView, PrivacyError, classify};
use tidemill_stats::Kind;

/// Rows that relations and tests look at.
const RELATED: usize = 10_000;
/// Pairs that are drawn.
const DRAWN: usize = 8;
/// Relation from which on a pair is worth a picture.
const VISIBLE: f64 = 0.1;
/// Relation from which on a picture is only a line.
const SAME: f64 = 0.999;

/// What rows tell of a table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Relations {
    /// Rows looked at.
    pub sampled: u64,
    /// Whether they are the whole table.
    pub whole: bool,
    /// Which rows were drawn, and what else was drawn by chance.
    pub seed: u64,
    /// Full duplicate rows, when all rows were looked at.
    pub duplicates: Option<Repeats>,
    /// Rhythm of time columns, when all rows were looked at.
    pub times: Vec<TimeFacts>,
    /// Measures pair by pair.
    pub associations: Associations,
    /// Relations that a linear model will miss.
    pub non_linear: NonLinear,
    /// The strongest pairs of number columns, and those that a linear model will miss, as counts.
    pub densities: Vec<Density>,
    /// Missing cells.
    pub missing: Missing,
    /// Tests of difference.
    pub tests: Vec<Comparison>,
    /// How many were made, those of smaller effects that are not kept included.
    pub tests_made: u64,
    /// Quantiles and gaps over time.
    pub over_time: Option<OverTime>,
    /// Number columns by hour, weekday and month.
    pub seasons: Option<Seasons>,
    /// What to look at, of the table as a whole.
    pub warnings: Vec<Warning>,
    /// Outliers and formats by column.
    pub(crate) seen: BTreeMap<String, Seen>,
    /// Columns that look personal and about which nothing is said.
    pub(crate) shy: BTreeSet<String>,
}

/// Relations of a table that was read.
///
/// # Errors
/// Columns that cannot be looked at.
pub fn relations(scanned: &Scanned, options: &Options) -> Result<Relations> {
    let shy = if options.unmask { BTreeSet::new() } else { suspicious(&scanned.sample, options)? };
    let columns = opaque(table::columns(&scanned.sample)?, options);
    let related = match scanned.sample.num_rows() > RELATED {
        true => opaque(table::columns(&thinned(scanned)?)?, options),
        false => columns.clone(),
    };
    let mut associations = associations(&related);
    let non_linear = non_linear(&related, &mut associations.pairs, options.seed);
    let shown: Vec<&Column> = columns.iter().filter(|column| !shy.contains(&column.name)).collect();
    let time = time_column(&columns, options);
    // The ends of gaps are instants of the column.
    let told = |times: &&TimeFacts| !options.is_personal(&times.column) && !shy.contains(&times.column);
    let times: Vec<TimeFacts> = scanned.times.iter().filter(told).cloned().collect();
    let missing = missing(&columns, &shown, time, options.seed);
    let (tests, tests_made) = comparisons(&related, options.target.as_deref(), options.seed);
    let beside = Beside {
        rows: scanned.rows,
        keys: &scanned.keys,
        times: &times,
        missing: Some(&missing),
        associations: Some(&associations),
        non_linear: Some(&non_linear),
    };
    Ok(Relations {
        sampled: scanned.sample.num_rows() as u64,
        whole: scanned.whole,
        seed: options.seed,
        duplicates: scanned.rows,
        warnings: of_table(&beside),
        densities: densities(&shown, &associations, &non_linear),
        tests,
        tests_made,
        over_time: time.and_then(|time| over_time(time, &shown)),
        seasons: time.and_then(|time| seasons(time, &shown)),
        times,
        seen: columns.iter().map(|column| (column.name.clone(), Seen::of(column))).collect(),
        associations,
        non_linear,
        missing,
        shy,
    })
}

/// Relations of rows that were drawn from a table by `options.seed`; `whole` when they are all of its rows. Of drawn
/// rows neither repeats nor the rhythm of instants say anything of the table, so that they are left out.
///
/// # Errors
/// Columns that cannot be looked at.
pub fn relations_of(batches: &[RecordBatch], whole: bool, options: &Options) -> Result<Relations> {
    let Some(first) = batches.first() else { return Ok(Relations::default()) };
    let rows = batches.iter().map(|batch| batch.num_rows() as u64).sum();
    let keep_all = ScanOptions { sample_rows: rows, seed: options.seed, threads: 1 };
    let mut stream = Stream::new(&first.schema(), &keep_all);
    batches.iter().try_for_each(|batch| stream.push(batch))?;
    let mut scanned = stream.finish()?;
    scanned.whole = whole;
    if !whole {
        scanned.rows = None;
        scanned.keys.clear();
        scanned.times.clear();
    }
    relations(&scanned, options)
}

/// Columns that look personal and about which the project says nothing.
fn suspicious(rows: &RecordBatch, options: &Options) -> Result<BTreeSet<String>> {
    let schema = rows.schema();
    let fields = schema.fields().iter().zip(rows.columns());
    let plain = fields.filter(|(field, _)| Kind::of(field.data_type()) != Kind::Other);
    let views: Vec<ColumnView<'_>> = plain
        .map(|(field, values)| ColumnView {
            name: field.name(),
            values,
            declared: options.declared.get(field.name()).copied(),
        })
        .collect();
    let verdicts = classify(&views, options.seed).map_err(PrivacyError::from)?;
    Ok(verdicts.into_iter().filter(|verdict| verdict.is_suspicious()).map(|verdict| verdict.column).collect())
}

/// Leaves of personal columns only where they are missing.
fn opaque(mut columns: Vec<Column>, options: &Options) -> Vec<Column> {
    for column in columns.iter_mut().filter(|column| options.is_personal(&column.name)) {
        column.kind = Kind::Other;
        column.numbers = Vec::new();
        column.categories = None;
    }
    columns
}

/// The pairs that a linear model will miss, then the strongest others.
fn densities(shown: &[&Column], associations: &Associations, non_linear: &NonLinear) -> Vec<Density> {
    // Columns over time have pictures of their own.
    let named = |name: &str| shown.iter().find(|column| column.name == name && column.kind == Kind::Numeric).copied();
    let hidden = non_linear.found.iter().map(|one| (one.a.as_str(), one.b.as_str())).take(DRAWN / 2);
    let strength = |pair: &&crate::association::Pair| pair.value.map_or(0.0, f64::abs);
    let mut strong: Vec<_> = associations
        .pairs
        .iter()
        .filter(|pair| pair.pearson.is_some() && (VISIBLE..SAME).contains(&strength(pair)))
        .collect();
    strong.sort_by(|a, b| strength(b).total_cmp(&strength(a)));
    let mut pairs: Vec<(&str, &str)> = hidden.collect();
    for pair in strong {
        if !pairs.contains(&(pair.a.as_str(), pair.b.as_str())) {
            pairs.push((&pair.a, &pair.b));
        }
    }
    pairs.into_iter().filter_map(|(a, b)| density(named(a)?, named(b)?)).take(DRAWN).collect()
}

fn time_column<'a>(columns: &'a [Column], options: &Options) -> Option<&'a Column> {
    let is_time = |column: &&Column| match &options.time {
        Some(name) => column.name == *name,
        None => column.kind == Kind::Instant,
    };
    columns.iter().find(is_time).filter(|column| column.kind == Kind::Instant)
}

/// Every so manieth row of the sample.
fn thinned(scanned: &Scanned) -> Result<RecordBatch> {
    let step = scanned.sample.num_rows().div_ceil(RELATED);
    let rows = UInt64Array::from_iter_values((0..scanned.sample.num_rows() as u64).step_by(step));
    take_record_batch(&scanned.sample, &rows).map_err(Error::Rows)
}
