//! Warnings about the table as a whole, and about columns beside each other.

use super::{Level, Sort, Warning, count, percent, span};
use crate::association::Associations;
use crate::distance::NonLinear;
use crate::missing::Missing;
use crate::repeats::Repeats;
use crate::times::TimeFacts;
use tidemill_types::Millis;

/// Association from which on two columns say the same.
const SAME: f64 = 0.95;
/// AUC from which on gaps are foretold by other columns.
const FORETOLD: f64 = 0.6;
/// Pairs that are named.
const NAMED: usize = 5;

/// What is known beside the columns.
pub(crate) struct Beside<'a> {
    pub(crate) rows: Option<Repeats>,
    pub(crate) keys: &'a [(String, Repeats)],
    pub(crate) times: &'a [TimeFacts],
    pub(crate) missing: Option<&'a Missing>,
    pub(crate) associations: Option<&'a Associations>,
    pub(crate) non_linear: Option<&'a NonLinear>,
}

/// Everything worth a look beside the columns.
pub(crate) fn of_table(beside: &Beside<'_>) -> Vec<Warning> {
    let mut found = Vec::new();
    if let Some(rows) = beside.rows.filter(|rows| rows.repeated > 0) {
        let text = format!(
            "{} full duplicate rows: they equal an earlier row in every column ({} of {})",
            count(rows.repeated),
            percent(rows.repeated as f64 / rows.values as f64),
            count(rows.values)
        );
        let advice = "remove them, and find out where they are sent twice";
        found.push(Warning { level: Level::Bad, sort: Sort::DuplicateRows, column: None, text, advice });
    }
    found.extend(beside.keys.iter().filter_map(|(column, repeats)| repeated_key(column, *repeats)));
    beside.times.iter().for_each(|facts| found.extend(of_time(facts)));
    if let Some(missing) = beside.missing {
        found.extend(systematic(missing));
    }
    if let Some(associations) = beside.associations {
        found.extend(redundant(associations));
    }
    found.extend(beside.non_linear.into_iter().flat_map(hidden));
    found
}

fn repeated_key(column: &str, repeats: Repeats) -> Option<Warning> {
    // What repeats more often than now and then is no key.
    let few = repeats.repeated > 0 && repeats.repeated * 50 < repeats.values;
    few.then(|| {
        let text = format!(
            "nearly a key: {} of {} values are repeated, one of them {} times",
            count(repeats.repeated),
            count(repeats.values),
            count(repeats.most)
        );
        Warning::of(Level::Warn, Sort::Repeated, column, text, "if it is the key, remove or merge the repeats")
    })
}

fn of_time(facts: &TimeFacts) -> Vec<Warning> {
    let mut found = Vec::new();
    let unique_share = 1.0 - facts.repeated as f64 / facts.values.max(1) as f64;
    // A column where most instants repeat is a property of the rows, not their clock.
    if facts.repeated > 0 && unique_share > 0.5 {
        let share = percent(facts.repeated as f64 / facts.values as f64);
        let text = format!("{} timestamps are repeated ({share} of the rows)", count(facts.repeated));
        found.push(Warning::of(
            Level::Warn,
            Sort::Repeated,
            &facts.column,
            text,
            "decide which row of an instant counts",
        ));
    }
    if let Some(gap) = facts.gaps.first().filter(|_| unique_share > 0.01) {
        let more = match facts.gap_count {
            1 => String::new(),
            n => format!("; {} more gaps", count(n - 1)),
        };
        let text = format!(
            "no row for {}, from {} to {}, while the usual step is {}{more}",
            span(gap.millis()),
            Millis(gap.from),
            Millis(gap.to),
            span(facts.median_step)
        );
        let advice = "do not let windows or lags reach over it, and say so beside every series";
        found.push(Warning::of(Level::Warn, Sort::Gap, &facts.column, text, advice));
    }
    found
}

fn systematic(missing: &Missing) -> Vec<Warning> {
    let foretold = missing.predictability.iter().filter(|score| score.auc > FORETOLD);
    let warn = foretold.map(|score| {
        let by =
            score.strongest.as_ref().map_or_else(String::new, |(by, auc)| format!(", most by {by} alone ({auc:.2})"));
        let text = format!("not missing at random: other columns foretell its gaps with AUC {:.2}{by}", score.auc);
        let advice = "impute from those columns, and keep an indicator; leaving such rows out would bias";
        Warning::of(Level::Warn, Sort::Systematic, &score.column, text, advice)
    });
    warn.collect()
}

fn hidden(non_linear: &NonLinear) -> Vec<Warning> {
    let warn = non_linear.found.iter().take(NAMED).map(|one| {
        let linear = one.pearson.map_or(0.0, f64::abs);
        let text = format!(
            "depends on {} in a way that no line shows: distance correlation {:.2}, Pearson {linear:.2}",
            one.b, one.distance
        );
        let advice = "look at their picture; use trees, bins or a transformed column instead of a linear term";
        Warning::of(Level::Note, Sort::NonLinear, &one.a, text, advice)
    });
    warn.collect()
}

fn redundant(associations: &Associations) -> Vec<Warning> {
    let value = |pair: &crate::association::Pair| pair.value.map_or(0.0, f64::abs);
    let strong = associations.pairs.iter().filter(|pair| value(pair) >= SAME);
    let warn = strong.take(NAMED).map(|pair| {
        let text = format!("says almost the same as {} (association {:.3})", pair.b, value(pair));
        Warning::of(Level::Note, Sort::Redundant, &pair.a, text, "keep one of the two in linear models")
    });
    warn.collect()
}
