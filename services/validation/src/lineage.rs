//! What a clean commit was made of, for those who ask later.

use crate::Deps;
use crate::store::{clean_table_path, quarantine_table_path, raw_table_path};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_dataset::{Committed, VersionAdds};
use tidemill_lineage::{Assertion, Change, ColumnMetrics, Metrics, Place, Step, columns, names};
use tidemill_privacy::Masks;
use tidemill_quality::{RuleResult, Verdict};
use tidemill_spec::{Check, Rule, Severity};
use tidemill_stats::{ColumnProfile, Kind, TableProfile};
use tidemill_types::SourceName;

/// Shares for which quantiles are told.
const SHARES: [f64; 7] = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99];

/// What was checked, and where it went.
pub(crate) struct Checked<'a> {
    /// The raw versions that were read.
    pub(crate) versions: &'a [VersionAdds],
    /// Newest raw version that was read.
    pub(crate) raw_version: u64,
    /// What was made of the clean table.
    pub(crate) committed: &'a Committed,
    /// The version of the quarantine that holds the rows that do not go on.
    pub(crate) quarantine: u64,
    /// What became of the rows.
    pub(crate) verdict: &'a Verdict,
    /// What is known of the rows that went on.
    pub(crate) profile: &'a TableProfile,
}

/// A commit as a run: raw rows into clean and quarantined ones.
pub(crate) fn step(deps: &Deps, source: &SourceName, done: &Checked<'_>) -> Step {
    let (project, committed) = (&deps.spec.project, done.committed);
    let (accepted, quarantined) = (done.verdict.accepted.num_rows() as u64, done.verdict.quarantined.num_rows() as u64);
    let masks = deps.spec.sources.get(source).map(tidemill_spec::Source::masks).unwrap_or_default();
    let rules = deps.spec.quality.get(source).map(Vec::as_slice).unwrap_or_default();
    let sizes: Vec<u64> = done.versions.iter().flat_map(|version| &version.files).map(|file| file.size).collect();
    let raw = Place::new(raw_table_path(project, source))
        .at(done.raw_version)
        .with_rows(accepted + quarantined)
        .with_assertions(assertions(rules, &done.verdict.results, &masks))
        .with_metrics(Metrics {
            rows: done.profile.rows,
            bytes: Some(sizes.iter().sum()),
            files: Some(sizes.len() as u64),
            last_updated: done.versions.last().map(|version| version.committed_at),
            columns: metrics(done.profile, &masks),
        })
        .with_files(sizes);
    let place = |path: String, rows| {
        let uri = format!("{}/{path}", deps.storage.url());
        Place::new(path).with_rows(rows).lying_at(uri).with_columns(columns::cleaned(&deps.spec, source))
    };
    let clean = clean_table_path(project, source);
    let mut clean_place = place(clean.clone(), accepted).at(committed.version);
    clean_place = clean_place.with_files(committed.files.iter().map(|file| file.size));
    if let Some(declared) = deps.spec.sources.get(source) {
        clean_place = clean_place.with_schema(declared.table_schema());
    }
    if committed.version == 1 {
        clean_place = clean_place.changed(Change::Create);
    }
    let step = Step::new(project, names::validation(source), &format!("{clean}@{}", committed.version));
    let step = step.owned_by(&deps.spec.problem.owners).reads(raw).writes(clean_place);
    if quarantined == 0 {
        return step;
    }
    step.writes(place(quarantine_table_path(project, source), quarantined).at(done.quarantine))
}

/// All clean rows made anew, as a run.
pub(crate) fn replayed(deps: &Deps, source: &SourceName, raw_version: u64, made: &Committed) -> Step {
    let (project, clean) = (&deps.spec.project, clean_table_path(&deps.spec.project, source));
    let uri = format!("{}/{clean}", deps.storage.url());
    let what = format!("{clean}@{}", made.version);
    let change = if made.rows == 0 { Change::Truncate } else { Change::Overwrite };
    let place = Place::new(clean).with_rows(made.rows).lying_at(uri).at(made.version).changed(change);
    let place = place.with_files(made.files.iter().map(|file| file.size));
    let place = place.with_columns(columns::cleaned(&deps.spec, source));
    Step::new(project, names::validation(source), &what)
        .owned_by(&deps.spec.problem.owners)
        .reads(Place::new(raw_table_path(project, source)).at(raw_version))
        .writes(place)
}

/// What is known of the columns; of those with personal data counts and nothing else.
fn metrics(profile: &TableProfile, masks: &Masks) -> BTreeMap<String, ColumnMetrics> {
    let of = |column: &ColumnProfile| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an estimate of a count")]
        let distinct = column.distinct.estimate().round() as u64;
        #[expect(clippy::cast_precision_loss, reason = "the schema wants a number")]
        let count = (column.count - column.nulls) as f64;
        let mut metrics = ColumnMetrics {
            null_count: Some(column.nulls),
            distinct_count: Some(distinct),
            count: Some(count),
            ..ColumnMetrics::default()
        };
        if !masks.covers(&column.name) {
            let moments = &column.moments;
            (metrics.min, metrics.max) = (moments.min, moments.max);
            #[expect(clippy::cast_precision_loss, reason = "the schema wants a number")]
            let sum = moments.mean * moments.count as f64;
            // A sum of instants says nothing.
            metrics.sum = Some(sum).filter(|sum| column.kind == Kind::Numeric && moments.count > 0 && sum.is_finite());
            let found = column.quantiles.quantiles(&SHARES).ok().flatten().unwrap_or_default();
            metrics.quantiles = SHARES.iter().map(f64::to_string).zip(found).filter(|(_, at)| at.is_finite()).collect();
        }
        (column.name.clone(), metrics)
    };
    profile.columns.iter().map(of).collect()
}

/// What the rules found. Of rules on columns with personal data only counts are told.
fn assertions(rules: &[Rule], results: &[RuleResult], masks: &Masks) -> Vec<Assertion> {
    let of = |result: &RuleResult| {
        let rule = rules.iter().find(|rule| rule.id == result.id)?;
        let (kind, content, content_type) = match (&rule.check, kind(&rule.check)?) {
            (Check::Expr(text), (kind, _)) => (kind, text.clone(), "expression"),
            (_, (kind, asked)) => (kind, asked.to_string(), "json"),
        };
        let columns = rule.columns();
        let failed = format!("{} of {} failed", result.failed, result.checked);
        Some(Assertion {
            assertion: kind,
            success: if result.on_commit { !result.commit_failed } else { result.failed == 0 },
            column: columns.first().filter(|_| columns.len() == 1).map(|&column| column.to_owned()),
            severity: if result.severity == Severity::Warn { "warn" } else { "error" },
            name: result.id.clone(),
            expected: Some(match rule.mostly {
                Some(share) => format!("{share} of the rows pass"),
                None if result.on_commit => "the commit passes".to_owned(),
                None => "no row fails".to_owned(),
            }),
            actual: Some(result.observed.clone().filter(|_| !rule.is_about(masks)).unwrap_or(failed)),
            content: Some(content),
            content_type: Some(content_type),
            params: BTreeMap::from([
                ("checked".to_owned(), json!(result.checked)),
                ("failed".to_owned(), json!(result.failed)),
                ("onFail".to_owned(), json!(result.severity)),
            ]),
        })
    };
    results.iter().filter_map(of).collect()
}

/// The key of a check, and what stands behind it.
fn kind(check: &Check) -> Option<(String, Value)> {
    match serde_json::to_value(check).ok()? {
        Value::Object(fields) => fields.into_iter().next(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use std::sync::Arc;
    use tidemill_privacy::PiiClass;

    fn masks() -> Masks {
        [("phone".to_owned(), PiiClass::Phone)].into_iter().collect()
    }

    #[test]
    fn of_columns_with_personal_data_only_counts_are_told() {
        let column = |values: Vec<Option<i64>>| Arc::new(Int64Array::from(values)) as ArrayRef;
        let of_age = column((1..=100).map(Some).chain([None]).collect());
        let of_phone = column((0..101).map(|n| Some(600_000_000 + n)).collect());
        let batch =
            RecordBatch::try_from_iter_with_nullable([("age", of_age, true), ("phone", of_phone, true)]).unwrap();
        let told = metrics(&TableProfile::of(&batch).unwrap(), &masks());
        let age = &told["age"];
        assert_eq!((age.null_count, age.count, age.sum), (Some(1), Some(100.0), Some(5_050.0)));
        assert_eq!((age.min, age.max), (Some(1.0), Some(100.0)));
        let median = age.quantiles["0.5"];
        assert!((49.0..=52.0).contains(&median), "{median}");
        let phone = &told["phone"];
        assert_eq!((phone.null_count, phone.count), (Some(0), Some(101.0)));
        assert!(phone.distinct_count.is_some_and(|distinct| (99..=103).contains(&distinct)));
        assert_eq!((phone.min, phone.max, phone.sum, phone.quantiles.len()), (None, None, None, 0));
    }

    #[test]
    fn each_rule_is_an_assertion_with_what_it_asks_and_what_it_found() {
        let rules = [
            Rule { on_fail: Severity::Quarantine, ..Rule::new("age_there", Check::NotNull("age".to_owned())) },
            Rule { mostly: Some(0.9), ..Rule::new("grown_up", Check::Expr("age >= 18".to_owned())) },
            Rule::new("called", Check::NotNull("phone".to_owned())),
        ];
        let result = |rule: &Rule, failed, on_commit, observed: &str| RuleResult {
            id: rule.id.clone(),
            severity: rule.on_fail,
            checked: 10,
            failed,
            on_commit,
            observed: Some(observed.to_owned()).filter(|text| !text.is_empty()),
            ..RuleResult::default()
        };
        let results = [
            result(&rules[0], 2, false, ""),
            result(&rules[1], 1, true, "90.0000 % of rows pass"),
            result(&rules[2], 0, false, "600000001"),
        ];
        let told = assertions(&rules, &results, &masks());
        let [there, grown, called] = &told[..] else { panic!("{told:?}") };
        assert_eq!((there.assertion.as_str(), there.success, there.severity), ("not_null", false, "error"));
        assert_eq!((there.column.as_deref(), there.actual.as_deref()), (Some("age"), Some("2 of 10 failed")));
        assert_eq!((there.content.as_deref(), there.content_type), (Some("\"age\""), Some("json")));
        assert_eq!((&there.params["failed"], &there.params["onFail"]), (&json!(2), &json!("quarantine")));
        // One row failed, but fewer than may.
        assert_eq!((grown.assertion.as_str(), grown.success, grown.severity), ("expr", true, "warn"));
        assert_eq!((grown.content.as_deref(), grown.content_type), (Some("age >= 18"), Some("expression")));
        assert_eq!(grown.expected.as_deref(), Some("0.9 of the rows pass"));
        assert_eq!(grown.actual.as_deref(), Some("90.0000 % of rows pass"));
        assert_eq!(called.actual.as_deref(), Some("0 of 10 failed"), "what was seen of personal data is not told");
    }
}
