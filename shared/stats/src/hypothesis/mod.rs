//! Tests of "all samples come from one distribution".

mod contingency;
mod groups;
mod kolmogorov;
mod ks;
mod means;
mod multiple;
mod random_tables;
mod tables;

pub use contingency::{ChiSquare, chi_square_quantile, chi_square_test, upper_tail as chi_square_sf};
pub use groups::{GroupTest, anova, cohens_d, kruskal_wallis, levene, median, ranked};
pub use kolmogorov::kolmogorov_sf;
pub use ks::{KsMethod, KsTest, ks_two_sample};
pub use means::{MeanTest, two_proportion_z, welch_t};
pub use multiple::benjamini_hochberg;
pub use random_tables::RandomTables;
pub use tables::{Independence, Table};

use crate::{Error, Result};

pub(crate) fn finite(what: &'static str, values: &[f64]) -> Result<()> {
    match values.iter().find(|v| !v.is_finite()) {
        None => Ok(()),
        Some(value) => Err(Error::Value { what, value: *value }),
    }
}

pub(crate) fn at_least(what: &'static str, need: usize, got: usize) -> Result<()> {
    if got >= need { Ok(()) } else { Err(Error::TooFew { what, need, got }) }
}

/// Two-sided p-value of a standard normal statistic.
fn normal_p(z: f64) -> f64 {
    statrs::function::erf::erfc(z.abs() / std::f64::consts::SQRT_2)
}
