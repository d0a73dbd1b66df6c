//! Golden bytes: fixed messages encode to committed bytes and decode from them, for ever.

use anyhow::{Context as _, Result};
use prost::Message;
use std::collections::HashMap;
use std::fmt::Debug;
use tidemill_contracts::events::{
    AlertRaised, AlertResolved, CandidateEvaluated, CandidateTrained, CleanCommitted, Notice, ProjectApplied,
    RawCommitted, RetrainRequested, notice::Fact,
};
use tidemill_contracts::feature::{
    BuildTrainingSetRequest, BuildTrainingSetResponse, DescribeRequest, DescribeResponse, ReadOnlineRequest,
    ReadOnlineResponse,
};

const GOLDEN: &str = include_str!("golden.txt");

/// Compares with the line `<name> <hex>`.
fn check<M: Message + Default + PartialEq + Debug>(name: &str, message: &M) -> Result<()> {
    let line = GOLDEN.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let encoded = hex::encode(message.encode_to_vec());
    let golden = line.with_context(|| format!("golden.txt lacks: {name} {encoded}"))?;
    assert_eq!(encoded, golden, "{name} is encoded in another way");
    assert_eq!(M::decode(hex::decode(golden)?.as_slice())?, *message, "{name} is decoded in another way");
    Ok(())
}

fn notice(fact: Fact) -> Notice {
    Notice { project: "flights".to_owned(), cycle_id: "c1".to_owned(), fact: Some(fact) }
}

#[test]
fn notices_keep_their_bytes() -> Result<()> {
    let text = str::to_owned;
    let raw = RawCommitted { source: text("departures"), table_version: 7, last_seq: 1_234_567, rows: 300 };
    check("notice.raw_committed", &notice(Fact::RawCommitted(raw)))?;
    let clean = CleanCommitted {
        source: text("departures"),
        table_version: 8,
        rows: 290,
        quarantined: 10,
        known_until_ms: 1_357_000_000_000,
    };
    check("notice.clean_committed", &notice(Fact::CleanCommitted(clean)))?;
    let retrain = RetrainRequested { reason: text("auc_drop > 0.03"), as_of_ms: 1_357_000_000_000 };
    check("notice.retrain_requested", &notice(Fact::RetrainRequested(retrain)))?;
    let trained = CandidateTrained {
        run_id: text("r1"),
        model_digest: text("abc"),
        as_of_ms: 1_357_000_000_000,
        training_set: text("features/flights/x.parquet"),
    };
    check("notice.candidate_trained", &notice(Fact::CandidateTrained(trained)))?;
    let evaluated = CandidateEvaluated {
        run_id: text("r1"),
        model_digest: text("abc"),
        promoted: true,
        failed_gates: vec![text("beats_champion")],
        scorecard: text("scorecards/r1.json"),
        as_of_ms: 1_357_000_000_000,
    };
    check("notice.candidate_evaluated", &notice(Fact::CandidateEvaluated(evaluated)))?;
    let alert = AlertRaised {
        rule: text("r"),
        severity: text("page"),
        text: text("t"),
        window_start_ms: 5,
        ..AlertRaised::default()
    };
    check("notice.alert_raised", &notice(Fact::AlertRaised(alert)))?;
    let resolved = AlertResolved { rule: text("r"), raised_at_ms: 5, resolved_at_ms: 6, ..AlertResolved::default() };
    check("notice.alert_resolved", &notice(Fact::AlertResolved(resolved)))?;
    check("notice.project_applied", &notice(Fact::ProjectApplied(ProjectApplied { spec_digest: text("d") })))
}

#[test]
fn feature_messages_keep_their_bytes() -> Result<()> {
    let text = str::to_owned;
    let one = |value| HashMap::from([(text("departures"), value)]);
    let read = ReadOnlineRequest { project: text("flights"), keys: vec![1, 2, 255].into(), deadline_ms: 2_000 };
    check("feature.read_online_request", &read)?;
    let answer = ReadOnlineResponse { rows: vec![0, 9].into(), plan_digest: text("p"), newest_known_ms: one(-1) };
    check("feature.read_online_response", &answer)?;
    let build = BuildTrainingSetRequest {
        project: text("flights"),
        from_ms: 1,
        to_ms: 1_357_000_000_000,
        known_by_ms: 3,
        cycle_id: text("c1"),
    };
    check("feature.build_training_set_request", &build)?;
    let built = BuildTrainingSetResponse {
        path: text("features/x.parquet"),
        rows: 300,
        labelled: 299,
        digest: text("d"),
        plan_digest: text("p"),
        table_versions: one(12),
        seconds: 1.5,
    };
    check("feature.build_training_set_response", &built)?;
    check("feature.describe_request", &DescribeRequest { project: text("flights") })?;
    let described = DescribeResponse {
        plan_digest: text("p"),
        features: vec![text("a"), text("b")],
        watermark_ms: 4,
        watermark_by_source_ms: one(4),
        rows_applied: 5,
        state_entries: 6,
        late_rows: 7,
        waiting_sources: Vec::new(),
        retracted_rows: 0,
    };
    check("feature.describe_response", &described)?;
    let held = DescribeResponse { waiting_sources: vec![text("departures")], retracted_rows: 9, ..described };
    check("feature.describe_response_of_a_held_source", &held)
}
