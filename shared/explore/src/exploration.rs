//! Everything together: one exploration of one table.

use crate::association::{Associations, associations};
use crate::compare::{Comparison, comparisons};
use crate::error::{Error, Result};
use crate::facts::ColumnFacts;
use crate::missing::{Missing, missing};
use crate::over_time::{OverTime, over_time};
use crate::repeats::Repeats;
use crate::scan::Scanned;
use crate::table::{self, Column};
use crate::times::TimeFacts;
use crate::warnings::{Beside, Warning, of_column, of_table, sorted};
use arrow::array::UInt64Array;
use arrow::compute::take_record_batch;
use serde::Serialize;
use std::collections::BTreeMap;
use tidemill_stats::{Distinct, Kind, Quantiles, TableProfile};

/// Rows that relations and tests look at.
const RELATED: usize = 10_000;

/// What is asked of an exploration.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Seed of everything random.
    pub seed: u64,
    /// The column that others are compared by; without it every grouping column is.
    pub target: Option<String>,
    /// The time column of series; without it the first instant column.
    pub time: Option<String>,
    /// Values that columns may have, by name.
    pub documented: BTreeMap<String, Vec<String>>,
}

/// Errors of what is estimated, as shares.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct StatedErrors {
    /// Rank error of a quantile, with 99 % confidence.
    pub quantile_rank: f64,
    /// Standard error of a number of different values, where it is not exact.
    pub distinct: f64,
}

/// What was found out about a table.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Exploration {
    /// What it is called.
    pub name: String,
    /// Rows.
    pub rows: u64,
    /// Missing cells: null or NaN.
    pub missing_cells: u64,
    /// What to look at first, the gravest first.
    pub warnings: Vec<Warning>,
    /// Facts by column, in the order of the table.
    pub columns: Vec<ColumnFacts>,
    /// Full duplicate rows; none when they were not counted.
    pub duplicates: Option<Repeats>,
    /// Rhythm of the time columns.
    pub times: Vec<TimeFacts>,
    /// Rows of the sample, zero when only sketches were there.
    pub sampled: u64,
    /// Whether the sample is the whole table, so that what is said of it is exact.
    pub whole: bool,
    /// Relations between columns; none without rows.
    pub associations: Option<Associations>,
    /// Missing cells; none without rows.
    pub missing: Option<Missing>,
    /// Tests of difference, the largest effect first.
    pub tests: Vec<Comparison>,
    /// Quantiles and gaps over time.
    pub over_time: Option<OverTime>,
    /// How far estimates may be off.
    pub errors: StatedErrors,
}

/// Explores a table that was read.
///
/// # Errors
/// [`Error::Column`] for an option that names no column.
pub fn explore(name: &str, scanned: &Scanned, options: &Options) -> Result<Exploration> {
    let names: Vec<&str> = scanned.profile.columns.iter().map(|column| column.name.as_str()).collect();
    let asked = options.target.iter().chain(&options.time).chain(options.documented.keys());
    for wanted in asked {
        known(wanted, &names)?;
    }
    let columns = table::columns(&scanned.sample)?;
    let related = match scanned.sample.num_rows() > RELATED {
        true => table::columns(&thinned(scanned)?)?,
        false => columns.clone(),
    };
    let mut found = explore_profile(name, &scanned.profile, Some(&columns), options);
    found.duplicates = scanned.rows;
    found.times.clone_from(&scanned.times);
    found.sampled = scanned.sample.num_rows() as u64;
    found.whole = scanned.whole;
    let associations = associations(&related);
    let missing = missing(&columns, options.seed);
    found.tests = comparisons(&related, options.target.as_deref());
    found.over_time = time_column(&columns, options).and_then(|time| over_time(time, &columns));
    let beside = Beside {
        rows: scanned.rows,
        keys: &scanned.keys,
        times: &scanned.times,
        missing: Some(&missing),
        associations: Some(&associations),
    };
    let warnings = std::mem::take(&mut found.warnings).into_iter().chain(of_table(&beside));
    found.warnings = sorted(warnings.collect());
    (found.associations, found.missing) = (Some(associations), Some(missing));
    Ok(found)
}

/// Explores a profile alone, for instance one that was merged from stored ones: facts and warnings by column.
#[must_use]
pub fn explore_profile(
    name: &str,
    profile: &TableProfile,
    sample: Option<&[Column]>,
    options: &Options,
) -> Exploration {
    let sampled = |name: &str| sample.and_then(|columns| columns.iter().find(|column| column.name == name));
    let columns: Vec<ColumnFacts> =
        profile.columns.iter().map(|column| ColumnFacts::of(column, sampled(&column.name))).collect();
    let documented = |facts: &ColumnFacts| options.documented.get(&facts.name).map(Vec::as_slice);
    let warnings = columns.iter().flat_map(|facts| of_column(facts, documented(facts))).collect();
    Exploration {
        name: name.to_owned(),
        rows: profile.rows,
        missing_cells: profile.columns.iter().map(|column| column.nulls + column.nans).sum(),
        warnings: sorted(warnings),
        columns,
        duplicates: None,
        times: Vec::new(),
        sampled: 0,
        whole: false,
        associations: None,
        missing: None,
        tests: Vec::new(),
        over_time: None,
        errors: StatedErrors { quantile_rank: Quantiles::rank_error(), distinct: Distinct::standard_error() },
    }
}

/// Refuses a column that is not there, with the one whose name is most alike.
pub(crate) fn known(wanted: &str, names: &[&str]) -> Result<()> {
    if names.contains(&wanted) {
        return Ok(());
    }
    let alike = |name: &&&str| {
        let shared = name.chars().zip(wanted.chars()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
        (shared, std::cmp::Reverse(name.len().abs_diff(wanted.len())))
    };
    let near = names.iter().max_by_key(alike).map_or_else(String::new, |name| (*name).to_owned());
    Err(Error::Column { name: wanted.to_owned(), near })
}

fn time_column<'a>(columns: &'a [Column], options: &Options) -> Option<&'a Column> {
    let is_time = |column: &&Column| match &options.time {
        Some(name) => column.name == *name,
        None => column.kind == Kind::Instant,
    };
    columns.iter().find(is_time).filter(|column| column.kind == Kind::Instant)
}

/// Every so manieth row of the sample.
fn thinned(scanned: &Scanned) -> Result<arrow::array::RecordBatch> {
    let step = scanned.sample.num_rows().div_ceil(RELATED);
    let rows = UInt64Array::from_iter_values((0..scanned.sample.num_rows() as u64).step_by(step));
    Ok(take_record_batch(&scanned.sample, &rows)?)
}
