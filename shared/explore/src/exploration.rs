//! Everything together: one exploration of one table.

use crate::association::Associations;
use crate::compare::Comparison;
use crate::density::Density;
use crate::distance::NonLinear;
use crate::error::{Error, Result};
use crate::facts::ColumnFacts;
use crate::missing::Missing;
use crate::over_time::OverTime;
use crate::relations::{Relations, relations};
use crate::repeats::Repeats;
use crate::scan::Scanned;
use crate::seasons::Seasons;
use crate::times::TimeFacts;
use crate::warnings::{Warning, of_column, sorted};
use serde::Serialize;
use std::collections::BTreeMap;
use tidemill_privacy::Declaration;
use tidemill_stats::{ColumnProfile, Distinct, Quantiles, TableProfile};

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
    /// What the project says of personal data in columns, by name.
    pub declared: BTreeMap<String, Declaration>,
    /// Whether values are shown of columns that look personal and about which nothing is said.
    pub unmask: bool,
}

impl Options {
    /// Refuses options that name no column.
    ///
    /// # Errors
    /// [`Error::Column`] with the column whose name is most alike.
    pub fn check(&self, profile: &TableProfile) -> Result<()> {
        let names: Vec<&str> = profile.columns.iter().map(|column| column.name.as_str()).collect();
        let mut asked = self.target.iter().chain(&self.time).chain(self.documented.keys());
        asked.try_for_each(|wanted| known(wanted, &names))
    }

    /// Whether the project calls a column personal.
    pub(crate) fn is_personal(&self, column: &str) -> bool {
        self.declared.get(column).is_some_and(|declared| declared.class().is_some())
    }
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
    /// Seed by which rows were drawn and permuted.
    pub seed: u64,
    /// Relations between columns; none without rows.
    pub associations: Option<Associations>,
    /// Relations that a linear model will miss; none without rows.
    pub non_linear: Option<NonLinear>,
    /// Pairs of number columns as counts: those that a linear model will miss, then the strongest.
    pub densities: Vec<Density>,
    /// Missing cells; none without rows.
    pub missing: Option<Missing>,
    /// Tests of difference, the largest effect first.
    pub tests: Vec<Comparison>,
    /// How many were made, those of smaller effects that are not kept included.
    pub tests_made: u64,
    /// Quantiles and gaps over time.
    pub over_time: Option<OverTime>,
    /// Number columns by hour of day, weekday and month.
    pub seasons: Option<Seasons>,
    /// How far estimates may be off.
    pub errors: StatedErrors,
}

/// Explores a table that was read.
///
/// # Errors
/// [`Error::Column`] for an option that names no column.
pub fn explore(name: &str, scanned: &Scanned, options: &Options) -> Result<Exploration> {
    options.check(&scanned.profile)?;
    Ok(explore_profile(name, &scanned.profile, Some(&relations(scanned, options)?), options))
}

/// Explores a profile, for instance one that was merged from stored ones: facts and warnings by column; with relations
/// of rows of the same table, what these tell too.
#[must_use]
pub fn explore_profile(
    name: &str,
    profile: &TableProfile,
    relations: Option<&Relations>,
    options: &Options,
) -> Exploration {
    let seen = |name: &str| relations.and_then(|relations| relations.seen.get(name));
    let looks = |name: &str| relations.is_some_and(|relations| relations.shy.contains(name));
    let facts = |column: &ColumnProfile| {
        let facts = ColumnFacts::of(column, seen(&column.name));
        if options.is_personal(&column.name) || looks(&column.name) { facts.without_values() } else { facts }
    };
    let columns: Vec<ColumnFacts> = profile.columns.iter().map(facts).collect();
    let documented = |facts: &ColumnFacts| options.documented.get(&facts.name).map(Vec::as_slice);
    let of_columns = columns.iter().flat_map(|facts| of_column(facts, documented(facts)));
    let warnings = of_columns.chain(relations.into_iter().flat_map(|of| of.warnings.iter().cloned())).collect();
    let mut found = Exploration {
        name: name.to_owned(),
        rows: profile.rows,
        missing_cells: profile.columns.iter().map(|column| column.nulls + column.nans).sum(),
        warnings: sorted(warnings),
        columns,
        duplicates: None,
        times: Vec::new(),
        sampled: 0,
        whole: false,
        seed: options.seed,
        associations: None,
        non_linear: None,
        densities: Vec::new(),
        missing: None,
        tests: Vec::new(),
        tests_made: 0,
        over_time: None,
        seasons: None,
        errors: StatedErrors { quantile_rank: Quantiles::rank_error(), distinct: Distinct::standard_error() },
    };
    if let Some(relations) = relations {
        found.take_up(relations.clone());
    }
    found
}

impl Exploration {
    fn take_up(&mut self, relations: Relations) {
        (self.sampled, self.whole, self.seed) = (relations.sampled, relations.whole, relations.seed);
        (self.duplicates, self.times) = (relations.duplicates, relations.times);
        (self.associations, self.non_linear) = (Some(relations.associations), Some(relations.non_linear));
        (self.densities, self.seasons) = (relations.densities, relations.seasons);
        (self.missing, self.tests) = (Some(relations.missing), relations.tests);
        self.tests_made = relations.tests_made;
        self.over_time = relations.over_time;
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
