//! From a rule on commits to its test.

use super::CommitCheck;
use super::distribution::{Bins, Distribution};
use super::seasonal::Seasonal;
use super::shape::{Fresh, HasColumns, Trailing};
use super::statistics::{Bounded, Statistic};
use crate::error::QualityError;
use crate::rule::{Typing, bounds};
use tidemill_spec::{Check, DistributionRule, RangeRule, SeasonalRule};

type Made = Result<Box<dyn CommitCheck>, QualityError>;

/// Makes the test of a rule on commits.
pub(crate) fn compile(typing: &Typing<'_>, check: &Check) -> Made {
    match check {
        Check::RowCount(rule) => {
            let (min, max) = (rule.min.map(|n| n as f64), rule.max.map(|n| n as f64));
            bounded(typing, Statistic::Rows, "", min, max)
        }
        Check::RowCountNear(rule) => {
            let sound = 0.0 <= rule.low && rule.low <= rule.high && (5..=1_000).contains(&rule.commits);
            if !sound {
                return Err(typing.bad("0 <= low <= high is needed, and 5 to 1000 commits"));
            }
            Ok(Box::new(Trailing(rule.clone())))
        }
        Check::Mean(rule) => number(typing, Statistic::Mean, rule),
        Check::Median(rule) => number(typing, Statistic::Quantile(0.5), rule),
        Check::Std(rule) => number(typing, Statistic::Std, rule),
        Check::Sum(rule) => number(typing, Statistic::Sum, rule),
        Check::Quantile(rule) if (0.0..=1.0).contains(&rule.at) => {
            typing.number(&rule.column)?;
            bounded(typing, Statistic::Quantile(rule.at), &rule.column, rule.min, rule.max)
        }
        Check::Quantile(_) => Err(typing.bad("at is a share: it must lie in 0 to 1")),
        Check::NullShare(rule) => any(typing, Statistic::NullShare, rule),
        Check::Distinct(rule) => any(typing, Statistic::Distinct, rule),
        Check::CategoryShare(rule) => {
            typing.any(&rule.column)?;
            bounded(typing, Statistic::CategoryShare(rule.value.clone()), &rule.column, rule.min, rule.max)
        }
        Check::Distribution(rule) => distribution(typing, rule),
        Check::Freshness(rule) => {
            typing.instant(&rule.column)?;
            Ok(Box::new(Fresh { column: rule.column.clone(), within: rule.within }))
        }
        Check::Seasonal(rule) => seasonal(typing, rule),
        Check::Columns(rule) if rule.names.is_empty() => Err(typing.bad("columns needs names")),
        Check::Columns(rule) => Ok(Box::new(HasColumns(rule.clone()))),
        other => Err(typing.bad(format!("{} is no rule on commits", other.kind().key))),
    }
}

fn bounded(typing: &Typing<'_>, statistic: Statistic, column: &str, min: Option<f64>, max: Option<f64>) -> Made {
    let (low, high) = bounds(typing, min, max)?;
    Ok(Box::new(Bounded { statistic, column: column.to_owned(), low, high }))
}

fn number(typing: &Typing<'_>, statistic: Statistic, rule: &RangeRule) -> Made {
    typing.number(&rule.column)?;
    bounded(typing, statistic, &rule.column, rule.min, rule.max)
}

fn any(typing: &Typing<'_>, statistic: Statistic, rule: &RangeRule) -> Made {
    typing.any(&rule.column)?;
    bounded(typing, statistic, &rule.column, rule.min, rule.max)
}

fn distribution(typing: &Typing<'_>, rule: &DistributionRule) -> Made {
    let bins = match (rule.edges.is_empty(), rule.values.is_empty()) {
        (false, true) => {
            typing.number(&rule.column)?;
            if !rule.edges.windows(2).all(|pair| pair[0] < pair[1]) || rule.edges.iter().any(|edge| edge.is_nan()) {
                return Err(typing.bad("edges must rise"));
            }
            Bins::Edges(rule.edges.clone())
        }
        (true, false) => {
            typing.text(&rule.column)?;
            Bins::Values(rule.values.clone())
        }
        _ => return Err(typing.bad("a distribution has either edges (numbers) or values (texts)")),
    };
    let wanted = rule.edges.len() + rule.values.len() + 2;
    let filled = rule.counts.iter().any(|count| *count > 0);
    if rule.counts.len() != wanted || !filled || rule.at_least.is_nan() || rule.at_least < 0.0 {
        return Err(typing.bad(format!(
            "{wanted} counts are needed: one per bin or value, of all others, and of missing values; at_least is not below 0"
        )));
    }
    let (column, counts, at_least) = (rule.column.clone(), rule.counts.clone(), rule.at_least);
    Ok(Box::new(Distribution { column, bins, counts, at_least }))
}

fn seasonal(typing: &Typing<'_>, rule: &SeasonalRule) -> Made {
    typing.instant(typing.event_time)?;
    rule.column.iter().chain(&rule.by).try_for_each(|column| typing.any(column))?;
    if rule.deviation.is_nan() || rule.deviation <= 0.0 || !(4..=100).contains(&rule.cycles) {
        return Err(typing.bad("deviation must be above zero, and cycles lie in 4 to 100"));
    }
    Ok(Box::new(Seasonal {
        event_time: typing.event_time.to_owned(),
        column: rule.column.clone(),
        by: rule.by.clone(),
        season: rule.season,
        deviation: rule.deviation,
        cycles: rule.cycles,
        lateness: rule.lateness.millis(),
    }))
}
