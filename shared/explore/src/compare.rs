//! Tests of difference between groups, chosen by what the values allow, with the reason told.
//!
//! Numbers in two groups: Welch's t test; in more: ANOVA when Levene's test finds no unequal spread, else
//! Kruskal–Wallis; and Kruskal–Wallis wherever a small group is strongly skewed. Categories: chi-square; a 2×2 table with
//! an expected count below five: Fisher's exact test; larger tables whose counts are too small for the chi-square
//! distribution: its chance among random tables with the same sums. Every test has an effect size, because with many
//! rows everything is significant, and a q-value over the whole family.

use crate::association::table;
use crate::table::{Categories, Column, MISSING};
use serde::Serialize;
use tidemill_stats::Moments;
use tidemill_stats::hypothesis::{anova, benjamini_hochberg, cohens_d, kruskal_wallis, levene, welch_t};

/// Groups at most.
const GROUPS: usize = 20;
/// Values that every group needs.
const LEAST: usize = 5;
/// Tests kept of one family.
const TESTS: usize = 200;
/// From so many values a mean is as good as normal for most distributions.
const MANY: usize = 30;
/// Skewness beyond which it is not.
const SKEWED: f64 = 2.0;
/// Level at which Levene's test says that spreads differ.
const UNEQUAL: f64 = 0.05;
/// Cochran's rule: the chi-square distribution fits when no expected count is below one and no more than this share of
/// them below five.
const SPARSE: f64 = 0.2;

/// Which test was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// Welch's t test.
    WelchT,
    /// One-way analysis of variance.
    Anova,
    /// Kruskal–Wallis, of two groups too.
    KruskalWallis,
    /// Pearson's chi-square test.
    ChiSquare,
    /// Pearson's chi-square statistic, its chance from random tables with the same sums.
    ChiSquareMonteCarlo,
    /// Fisher's exact test.
    FisherExact,
}

/// What the effect size is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Cohen's d.
    CohensD,
    /// η², the share of variance that the groups explain; of the ranks for Kruskal–Wallis.
    EtaSquared,
    /// Cramér's V.
    CramersV,
}

/// One comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// Column whose values are compared.
    pub column: String,
    /// Column that makes the groups.
    pub by: String,
    /// Rows with both.
    pub rows: u64,
    /// Groups.
    pub groups: usize,
    /// The test.
    pub test: Test,
    /// Why this one.
    pub reason: String,
    /// Its statistic; none for Fisher's test, which has only a chance.
    pub statistic: Option<f64>,
    /// p-value.
    pub p: f64,
    /// p-value after Benjamini & Hochberg (1995) over all comparisons of this table.
    pub q: f64,
    /// Sort of effect size.
    pub effect: Effect,
    /// The effect size.
    pub size: f64,
}

/// Compares every column by the target, or, without one, every column by every grouping column. Gives the comparisons of
/// the largest effects, and how many were made: all of them are the family of the q-values.
#[must_use]
pub fn comparisons(columns: &[Column], target: Option<&str>, seed: u64) -> (Vec<Comparison>, u64) {
    let groupings: Vec<&Column> =
        columns.iter().filter(|c| target.is_none_or(|t| c.name == t) && c.groups(GROUPS).is_some()).collect();
    let numeric_target = columns.iter().find(|c| Some(c.name.as_str()) == target && c.groups(GROUPS).is_none());
    let mut found = Vec::new();
    for by in groupings {
        // Two category columns are one pair, whichever makes the groups.
        let twice = |column: &Column| {
            target.is_none() && column.kind == by.kind && column.groups(GROUPS).is_some() && column.name >= by.name
        };
        let others = columns.iter().filter(|column| column.name != by.name && !twice(column));
        found.extend(others.filter_map(|column| compare(column, by, seed)));
    }
    if let Some(column) = numeric_target {
        found.extend(columns.iter().filter(|by| by.name != column.name).filter_map(|by| compare(column, by, seed)));
    }
    let p: Vec<f64> = found.iter().map(|one| one.p).collect();
    if let Ok(adjusted) = benjamini_hochberg(&p) {
        found.iter_mut().zip(adjusted).for_each(|(one, q)| one.q = q);
    }
    found.sort_by(|a, b| b.size.abs().total_cmp(&a.size.abs()));
    let made = found.len() as u64;
    found.truncate(TESTS);
    (found, made)
}

/// Compares the values of one column between the groups of another; none where that makes no sense.
#[must_use]
pub fn compare(column: &Column, by: &Column, seed: u64) -> Option<Comparison> {
    let groups = by.groups(GROUPS)?;
    let discrete = column.groups(GROUPS).filter(|c| !column.is_number() || c.names.len() <= 2);
    match discrete {
        Some(categories) => tables((column, by), categories, groups, seed),
        None if column.is_number() => numbers(column, by, groups),
        None => None,
    }
}

fn numbers(column: &Column, by: &Column, groups: &Categories) -> Option<Comparison> {
    let mut values: Vec<Vec<f64>> = vec![Vec::new(); groups.names.len()];
    for (value, code) in column.numbers.iter().zip(&groups.codes) {
        if value.is_finite() && *code != MISSING {
            values[*code as usize].push(*value);
        }
    }
    values.retain(|group| group.len() >= LEAST);
    let slices: Vec<&[f64]> = values.iter().map(Vec::as_slice).collect();
    let least = slices.iter().map(|group| group.len()).min().filter(|_| slices.len() >= 2)?;
    let skew = slices.iter().filter_map(|group| Moments::of(group).skewness()).map(f64::abs).fold(0.0, f64::max);
    let mut found = Comparison {
        column: column.name.clone(),
        by: by.name.clone(),
        rows: slices.iter().map(|group| group.len() as u64).sum(),
        groups: slices.len(),
        test: Test::WelchT,
        reason: String::new(),
        statistic: None,
        p: 1.0,
        q: 1.0,
        effect: Effect::CohensD,
        size: 0.0,
    };
    let spread = levene(&slices).ok();
    let small_and_skewed = least < MANY && skew > SKEWED;
    if let ([a, b], false) = (slices.as_slice(), small_and_skewed) {
        let test = welch_t(a, b).ok()?;
        found.reason = "two groups of numbers; equal spread is not assumed".to_owned();
        (found.statistic, found.p, found.size) = (Some(test.statistic), test.p, cohens_d(a, b).ok()?);
        return Some(found);
    }
    let unequal = spread.is_some_and(|test| test.p < UNEQUAL);
    found.effect = Effect::EtaSquared;
    let test = if small_and_skewed || unequal {
        found.test = Test::KruskalWallis;
        found.reason = if small_and_skewed {
            format!("the smallest group has {least} values and the skewness reaches {skew:.1}, so ranks are compared")
        } else {
            format!(
                "spreads differ (Levene p {}), so ranks are compared",
                spread.map_or_else(String::new, |t| short(t.p))
            )
        };
        kruskal_wallis(&slices).ok()?
    } else {
        found.test = Test::Anova;
        let p = spread.map_or_else(|| "not to be had".to_owned(), |t| short(t.p));
        found.reason = format!("{} groups of alike spread (Levene p {p})", slices.len());
        anova(&slices).ok()?
    };
    (found.statistic, found.p, found.size) = (Some(test.statistic), test.p, test.eta_squared);
    Some(found)
}

fn tables(
    (column, by): (&Column, &Column),
    categories: &Categories,
    groups: &Categories,
    seed: u64,
) -> Option<Comparison> {
    let sizes = (categories.names.len(), groups.names.len());
    let (table, rows) = table((&categories.codes, sizes.0), (&groups.codes, sizes.1))?;
    if table.rows() < 2 || table.columns() < 2 {
        return None;
    }
    let result = table.chi_square();
    let mut found = Comparison {
        column: column.name.clone(),
        by: by.name.clone(),
        rows,
        groups: table.columns(),
        test: Test::ChiSquare,
        reason: "two columns of categories, expected counts large enough".to_owned(),
        statistic: Some(result.statistic),
        p: result.p,
        q: 1.0,
        effect: Effect::CramersV,
        size: result.cramers_v_corrected,
    };
    if let Some(p) = table.fisher().filter(|_| result.least_expected < 5.0) {
        found.test = Test::FisherExact;
        found.reason = format!("a 2×2 table with an expected count of {:.1}", result.least_expected);
        (found.statistic, found.p, found.size) = (None, p, result.cramers_v);
    } else if result.least_expected < 1.0 || result.sparse_share > SPARSE {
        let simulated = table.random_tables(seed);
        found.test = Test::ChiSquareMonteCarlo;
        found.reason = format!(
            "expected counts down to {:.1}, {:.0} % of them below 5: p from {} random tables with the same sums",
            result.least_expected,
            100.0 * result.sparse_share,
            simulated.tables
        );
        found.p = simulated.p;
    }
    Some(found)
}

fn short(p: f64) -> String {
    if p < 0.001 { "< 0.001".to_owned() } else { format!("{p:.3}") }
}
