//! Relations that a linear model will miss: distance correlation far above Pearson's and Spearman's.
//!
//! Distance correlation (Székely, Rizzo & Bakirov 2007, the V-statistic) is zero for independent columns only, whatever
//! the shape of a relation. Its chance comes from seeded permutations. A pair counts as a candidate when its distance
//! correlation is clearly above both correlations; the others are never told and take part in the false discovery rate
//! (Benjamini & Hochberg 1995) with p = 1, so that looking for candidates first does not make chances too small.

mod covariance;

pub use covariance::{Distances, correlation};

use crate::association::Pair;
use crate::table::Column;
use serde::Serialize;
use tidemill_stats::hypothesis::benjamini_hochberg;
use tidemill_stats::random::Random;

/// Rows that distances are taken between.
const ROWS: usize = 1_000;
/// Rows that a pair needs.
const LEAST: usize = 30;
/// By how much the distance correlation must be above the others.
const CLEARLY: f64 = 0.1;
/// Permutations of a candidate.
const PERMUTATIONS: u32 = 999;
/// Candidates at most, those furthest above the others.
const CANDIDATES: usize = 20;
/// False discovery rate up to which a candidate is told.
const RATE: f64 = 0.05;

/// A relation that a linear model will miss.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Hidden {
    /// One column.
    pub a: String,
    /// The other.
    pub b: String,
    /// Distance correlation, 0 to 1.
    pub distance: f64,
    /// Pearson's r.
    pub pearson: Option<f64>,
    /// Spearman's rank correlation.
    pub spearman: Option<f64>,
    /// The chance of a distance covariance at least as large among permutations.
    pub p: f64,
    /// p after Benjamini & Hochberg over all pairs of number columns.
    pub q: f64,
}

/// What was looked for and found.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct NonLinear {
    /// Rows of a pair at most.
    pub rows: u64,
    /// Pairs of number columns looked at: the family of the false discovery rate.
    pub pairs: u64,
    /// Of them with a distance correlation clearly above the others; so many were tested at most.
    pub candidates: u64,
    /// Permutations of a test.
    pub permutations: u32,
    /// Seed of the permutations.
    pub seed: u64,
    /// Relations at a false discovery rate of 5 %, the one furthest above its correlations first.
    pub found: Vec<Hidden>,
}

/// Fills in the distance correlation of pairs of number columns, and tests those that a linear model will miss.
#[must_use]
pub fn non_linear(columns: &[Column], pairs: &mut [Pair], seed: u64) -> NonLinear {
    let step = columns.first().map_or(0, Column::rows).div_ceil(ROWS).max(1);
    let sampled: Vec<Sampled<'_>> = columns.iter().filter(|c| c.is_number()).map(|c| Sampled::of(c, step)).collect();
    let of = |name: &str| sampled.iter().find(|one| one.name == name);
    let mut family = 0;
    let mut candidates: Vec<(f64, Hidden, Distances, Distances)> = Vec::new();
    for pair in pairs.iter_mut() {
        let Some((a, b)) = of(&pair.a).zip(of(&pair.b)).and_then(|(a, b)| a.with(b)) else { continue };
        let Some(distance) = correlation(&a, &b) else { continue };
        family += 1;
        pair.distance = Some(distance);
        let (pearson, spearman) = (pair.pearson, pair.value);
        let above = distance - [pearson, spearman].into_iter().flatten().map(f64::abs).fold(0.0, f64::max);
        if above >= CLEARLY {
            let (name, other) = (pair.a.clone(), pair.b.clone());
            let hidden = Hidden { a: name, b: other, distance, pearson, spearman, p: 1.0, q: 1.0 };
            candidates.push((above, hidden, a, b));
        }
    }
    let found = candidates.len();
    candidates.sort_by(|a, b| b.0.total_cmp(&a.0));
    candidates.truncate(CANDIDATES);
    for (at, (_, hidden, a, b)) in candidates.iter_mut().enumerate() {
        hidden.p = chance(a, b, &mut Random::new(seed ^ (at as u64 + 1)));
    }
    let mut told: Vec<Hidden> = candidates.into_iter().map(|(_, hidden, _, _)| hidden).collect();
    let p: Vec<f64> = told.iter().map(|one| one.p).chain(std::iter::repeat(1.0)).take(family).collect();
    if let Ok(q) = benjamini_hochberg(&p) {
        told.iter_mut().zip(q).for_each(|(one, q)| one.q = q);
    }
    told.retain(|one| one.q <= RATE);
    NonLinear {
        rows: ROWS as u64,
        pairs: family as u64,
        candidates: found as u64,
        permutations: PERMUTATIONS,
        seed,
        found: told,
    }
}

/// A column in the rows that distances are taken between.
struct Sampled<'a> {
    name: &'a str,
    values: Vec<f64>,
    /// Its distances, when no row lacks it.
    whole: Option<Distances>,
}

impl<'a> Sampled<'a> {
    fn of(column: &'a Column, step: usize) -> Self {
        let values: Vec<f64> = column.numbers.iter().copied().step_by(step).collect();
        let whole = values.iter().all(|value| value.is_finite()).then(|| Distances::of(&values));
        Self { name: &column.name, values, whole }
    }

    /// Distances of both in the rows that have both.
    fn with(&self, other: &Self) -> Option<(Distances, Distances)> {
        let both = match (&self.whole, &other.whole) {
            (Some(a), Some(b)) => (a.clone(), b.clone()),
            _ => {
                let pairs = self.values.iter().zip(&other.values).filter(|(a, b)| a.is_finite() && b.is_finite());
                let (a, b): (Vec<f64>, Vec<f64>) = pairs.map(|(a, b)| (*a, *b)).unzip();
                (Distances::of(&a), Distances::of(&b))
            }
        };
        (both.0.rows() >= LEAST).then_some(both)
    }
}

/// The share of permutations whose distance covariance is at least that of the rows, the rows themselves among them.
#[must_use]
pub fn chance(a: &Distances, b: &Distances, random: &mut Random) -> f64 {
    let mut order: Vec<usize> = (0..a.rows()).collect();
    let seen = a.product(b, &order) * (1.0 - 1e-12);
    let mut as_large = 1;
    for _ in 0..PERMUTATIONS {
        random.shuffle(&mut order);
        as_large += u32::from(a.product(b, &order) >= seen);
    }
    f64::from(as_large) / f64::from(PERMUTATIONS + 1)
}
