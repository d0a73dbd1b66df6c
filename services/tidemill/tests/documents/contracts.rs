//! The table of subjects is the one of the code, and headers are named as the code names them.

use crate::markdown::{in_language, read, table_rows};
use tidemill_contracts::{headers, letters, prediction_log, subjects};

const FILE: &str = "infra/docs/contracts.md";

/// A name with the parts that the document writes in angle brackets.
fn shown(name: &str) -> String {
    let mut shown = name.to_owned();
    for part in ["project", "source", "deployment", "noun", "participle", "service", "job"] {
        // A whole part of a name, behind a dot or an underscore.
        for before in ['.', '_'] {
            shown = shown.replace(&format!("{before}{part}"), &format!("{before}<{part}>"));
        }
    }
    format!("`{shown}`")
}

#[test]
fn the_table_of_subjects_is_the_one_of_the_code() {
    let (project, source) = ("project".parse().unwrap(), "source".parse().unwrap());
    let deployment = "deployment".parse().unwrap();
    let fixed = str::to_owned;
    let wanted = [
        (subjects::events(&project, &source), subjects::events_stream(&project, &source)),
        (subjects::predictions(&project, &deployment), subjects::predictions_stream(&project, &deployment)),
        (subjects::notice(&project, "noun", "participle"), fixed(subjects::NOTICES_STREAM)),
        (subjects::work("service", "job"), fixed(subjects::WORK_STREAM)),
        (subjects::dead(&project, &source), fixed(subjects::DEAD_STREAM)),
        (subjects::audit(&project), fixed(subjects::AUDIT_STREAM)),
        (subjects::lineage(&project), fixed(subjects::LINEAGE_STREAM)),
    ];
    let wanted: Vec<(String, String)> = wanted.iter().map(|(s, stream)| (shown(s), shown(stream))).collect();
    let rows = table_rows(&read(FILE));
    let subjects_told = rows.iter().filter(|row| row[0].starts_with("`tm.") && row.len() == 6);
    let told: Vec<(String, String)> = subjects_told.map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(told, wanted);

    let buckets = [subjects::PROJECTS_BUCKET, subjects::REGISTRY_BUCKET, subjects::HEADS_BUCKET, letters::BUCKET];
    let told: Vec<&String> =
        rows.iter().filter(|row| row.len() == 5 && row[0] != "bucket").map(|row| &row[0]).collect();
    assert_eq!(told, buckets.map(|name| format!("`{name}`")).iter().collect::<Vec<_>>());
}

#[test]
fn every_header_and_column_is_named() {
    let text = read(FILE);
    let names = [
        headers::CE_ID,
        headers::CE_SOURCE,
        headers::CE_TYPE,
        headers::CE_TIME,
        headers::CE_SPECVERSION,
        headers::CE_DATACONTENTTYPE,
        headers::CE_TRACEPARENT,
        headers::CONTENT_TYPE,
        headers::TRACEPARENT,
        headers::NATS_MSG_ID,
        headers::WATERMARK,
        headers::DEAD_CODE,
        headers::DEAD_REASON,
        headers::DEAD_ATTEMPTS,
        headers::DEAD_POSITION,
        headers::DEAD_STREAM,
        headers::DEAD_SEQ,
        headers::DEAD_ROW,
        headers::DEAD_BODY,
        headers::REPLAY_OF,
        headers::JSON,
        headers::NDJSON,
        headers::ARROW_STREAM,
        headers::TYPE_WATERMARK,
        prediction_log::PREDICTION_ID,
        prediction_log::KEY,
        prediction_log::AS_OF,
        prediction_log::ANSWERED_AT,
        prediction_log::MODEL,
        prediction_log::VARIANT,
        prediction_log::SCORE,
        prediction_log::ALERTED,
        prediction_log::SHADOW_MODEL,
        prediction_log::SHADOW_SCORE,
        prediction_log::STATUS,
        prediction_log::TRACE_ID,
        prediction_log::OLDEST_INPUT,
        prediction_log::OLDEST_INPUT_AGE_S,
    ];
    for name in names {
        assert!(text.contains(&format!("`{name}`")), "{name} does not stand in {FILE}");
    }
}

#[test]
fn the_rust_example_is_the_one_that_is_compiled() {
    let shown = in_language(&read(FILE), "rust").concat();
    assert!(read("services/tidemill/examples/publish.rs").contains(&shown), "{FILE} and the example differ");
    assert!(shown.contains("publish_with_headers"));
}
