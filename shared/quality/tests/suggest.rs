//! Proposed rules: what is said of their false alarms is true of commits of the size that was said.
#![allow(clippy::unwrap_used, reason = "tests")]

use arrow::array::{ArrayRef, Float64Array, RecordBatch, TimestampMillisecondArray};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_quality::suggest::{Options, suggest, wilson_upper};
use tidemill_quality::{CommitMemory, Memory, Rules};
use tidemill_spec::{Rule, Scope, Source};
use tidemill_stats::random::Random;

const ROWS: usize = 20_000;
/// Commits drawn anew.
const FRESH: usize = 4_000;

fn source() -> Source {
    serde_json::from_value(json!({"key": [], "event_time": "at", "columns": {
        "at": {"type": "timestamp"}, "plain": {"type": "float64", "nullable": true},
        "skewed": {"type": "float64", "nullable": true}, "rare": {"type": "float64", "nullable": true}}}))
    .unwrap()
}

/// Rows that are drawn independently: a bell, a long tail, and a column that is mostly there.
fn rows(random: &mut Random, count: usize) -> RecordBatch {
    let mut normal = || (-2.0 * (1.0 - random.unit()).ln()).sqrt() * (std::f64::consts::TAU * random.unit()).cos();
    let plain: Float64Array = (0..count).map(|_| Some(50.0 + 10.0 * normal())).collect();
    let skewed: Float64Array = (0..count).map(|_| Some(normal().exp())).collect();
    let rare: Float64Array = (0..count).map(|_| Some(normal()).filter(|v| *v > -1.5)).collect();
    let at = TimestampMillisecondArray::from_iter_values((0..count as i64).map(|n| n * 1_000)).with_timezone("UTC");
    let columns: Vec<(&str, ArrayRef)> =
        vec![("at", Arc::new(at)), ("plain", Arc::new(plain)), ("skewed", Arc::new(skewed)), ("rare", Arc::new(rare))];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

/// How often each rule on commits fails for commits that are drawn from the same distribution.
fn alarms(rules: Vec<Rule>, size: usize, random: &mut Random) -> BTreeMap<String, u64> {
    let rules = Rules::compile(&source(), &rules).unwrap();
    let mut failed: BTreeMap<String, u64> = rules.ids().map(|id| (id.to_owned(), 0)).collect();
    for _ in 0..FRESH {
        let commit = rows(random, size);
        let verdict = rules.check_commit(&mut Memory::new(&rules, 0), &CommitMemory::new(&rules), &commit).unwrap();
        for result in verdict.results {
            *failed.get_mut(&result.id).unwrap() += result.failed;
        }
    }
    failed
}

#[test]
fn small_commits_of_the_same_distribution_fail_as_rarely_as_was_said() {
    for (seed, size) in [(1, 20), (2, 50), (3, 400)] {
        let mut random = Random::new(seed);
        let history = rows(&mut random, ROWS);
        let options = Options { commits: vec![size], ..Options::default() };
        let proposals = suggest(&source(), &history, &options, &|_| false).unwrap();
        let on_commits = proposals.iter().filter(|proposal| proposal.rule.check.kind().scope == Scope::Commit);
        let stated: BTreeMap<String, f64> =
            on_commits.clone().map(|proposal| (proposal.rule.id.clone(), proposal.false_alarms.at_most)).collect();
        for name in ["plain-mean", "skewed-mean", "rare-null-share"] {
            assert!(stated.contains_key(name), "{size}: {stated:?}");
        }
        assert_eq!(stated.contains_key("plain-distribution"), size >= 30, "{size}: {stated:?}");
        let rules = on_commits.map(|proposal| proposal.rule.clone()).collect();
        for (id, failed) in alarms(rules, size, &mut random) {
            let rate = failed as f64 / FRESH as f64;
            assert!(rate <= stated[&id], "{id} with commits of {size}: {failed} of {FRESH}, at most {}", stated[&id]);
            assert!(stated[&id] < 0.12, "{id}: enough commits were tried to say something");
        }
    }
}

#[test]
fn rules_for_small_commits_still_find_what_is_wrong() {
    let mut random = Random::new(4);
    let history = rows(&mut random, ROWS);
    let proposals =
        suggest(&source(), &history, &Options { commits: vec![50], ..Options::default() }, &|_| false).unwrap();
    let rules: Vec<Rule> = proposals.into_iter().map(|proposal| proposal.rule).collect();
    let rules = Rules::compile(&source(), &rules).unwrap();
    let mut wrong = rows(&mut random, 50).columns().to_vec();
    // Another unit, and a column that is no longer filled.
    wrong[1] = Arc::new((0..50).map(|n| Some(70.0 + f64::from(n) / 10.0)).collect::<Float64Array>());
    wrong[3] = Arc::new(Float64Array::from(vec![None; 50]));
    let wrong = RecordBatch::try_new(history.schema(), wrong).unwrap();
    let verdict = rules.check_commit(&mut Memory::new(&rules, 100), &CommitMemory::new(&rules), &wrong);
    let failed: Vec<_> = verdict.unwrap().results.into_iter().filter(|r| r.commit_failed).map(|r| r.id).collect();
    for name in ["plain-mean", "plain-distribution", "rare-null-share"] {
        assert!(failed.iter().any(|id| id == name), "{failed:?}");
    }
}

#[test]
fn commits_of_different_sizes_are_those_that_came() {
    let mut random = Random::new(5);
    let history = rows(&mut random, ROWS);
    // Mostly tiny commits, some large.
    let commits: Vec<usize> = (0..400).map(|n| if n % 10 == 0 { 400 } else { 10 }).collect();
    let proposals = suggest(&source(), &history, &Options { commits, ..Options::default() }, &|_| false).unwrap();
    let mean = proposals.iter().find(|proposal| proposal.rule.id == "plain-mean").unwrap();
    // The newest 19,600 rows in those commits, the rest in commits of the usual ten; a third only teaches.
    assert!((240..450).contains(&mean.false_alarms.tested), "{:?}", mean.false_alarms);
    let few = suggest(&source(), &history, &Options { commits: vec![ROWS / 3], ..Options::default() }, &|_| false);
    assert!(few.unwrap_err().to_string().contains("3 commits of 6666: 4 are needed"));
    assert!(wilson_upper(0, 100) < 0.04);
}
