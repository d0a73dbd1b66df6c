//! One trace over process borders.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use tidemill_telemetry::{
    JsonLogs, RecentQuery, TelemetryOptions, add_links, current_trace_id, current_traceparent, failed, follow, init,
    set_parent,
};

#[tokio::test]
async fn a_trace_is_continued_and_linked_without_an_exporter() {
    let options = TelemetryOptions { json_logs: JsonLogs::On, ..TelemetryOptions::new("test") };
    let options = TelemetryOptions { roles: vec!["serving"], ..options };
    let telemetry = init(&options).unwrap();
    assert!(init(&options).is_err(), "a second set-up is refused");
    assert_eq!(current_traceparent(), None);

    let sent = tracing::info_span!(target: "tidemill_test", "publish").in_scope(|| current_traceparent().unwrap());
    let received = tracing::info_span!(target: "tidemill_test", "consume");
    assert!(set_parent(&received, &sent));
    let continued = received.in_scope(|| {
        tracing::info!(rows = 3, "a line with ids");
        current_trace_id().unwrap()
    });
    assert_eq!(sent.split('-').nth(1).unwrap(), continued);
    assert!(!set_parent(&tracing::info_span!(target: "tidemill_test", "consume"), "nonsense"));

    let many: Vec<String> = (1..40).map(|n| format!("00-{n:032x}-{n:016x}-01")).collect();
    assert_eq!(add_links(&tracing::info_span!(target: "tidemill_test", "commit"), &many), 16);
    assert_eq!(add_links(&tracing::info_span!(target: "tidemill_test", "commit"), &[&sent, &sent]), 1);

    // One context makes a child, several make links on a child.
    let parts: Vec<&str> = sent.split('-').collect();
    let one = tracing::info_span!(target: "tidemill_test", "one");
    follow(&one, &[&sent, &sent], || unreachable!("one context needs no links"));
    assert_eq!(one.in_scope(|| current_trace_id().unwrap()), parts[1]);
    let several = tracing::info_span!(target: "tidemill_test", "several");
    follow(&several, &[&sent, &many[0]], || tracing::info_span!(target: "tidemill_test", "receive"));
    let apart = several.in_scope(|| current_trace_id().unwrap());
    assert_ne!(apart, parts[1]);
    failed(&several, "TM0001");
    drop((one, several));

    drop(received);
    // The pipeline keeps what was recorded; the spans above have ended.
    let recent = telemetry.recent();
    let trace = recent.trace(&continued).unwrap();
    let names: Vec<&str> = trace.tree.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["publish", "consume", "one"]);
    assert_eq!(trace.tree[1].parent_id.as_deref(), Some(trace.tree[0].span_id.as_str()));
    assert!(trace.tree[1].parent_remote && trace.tree[0].parent_id.is_none());
    assert_eq!(trace.summary.services, ["test"], "this crate is of no role");
    let apart = recent.trace(&apart).unwrap();
    assert_eq!(apart.tree.iter().map(|span| span.links.len()).collect::<Vec<_>>(), [0, 2], "roots carry no links");
    assert_eq!((apart.summary.error, apart.tree[0].message.as_deref()), (true, Some("TM0001")));
    let role =
        tracing::info_span!(target: "tidemill_test", "predict", { tidemill_telemetry::ROLE } = "serving", rows = 2);
    drop(role);
    let served = recent.list(&RecentQuery { root: Some("PREDICT".to_owned()), ..RecentQuery::default() });
    assert_eq!(served.traces[0].service, "tidemill-serving");
    let served = recent.trace(&served.traces[0].trace_id).unwrap();
    assert_eq!(served.tree[0].attributes, BTreeMap::from([("rows".to_owned(), "2".to_owned())]));
    let linked = recent.list(&RecentQuery { root: Some("commit".to_owned()), ..RecentQuery::default() });
    let links = linked.traces.iter().map(|line| recent.trace(&line.trace_id).unwrap().tree[0].links.len());
    assert_eq!(links.collect::<Vec<_>>(), [1, 16]);
    telemetry.shutdown().await;
}
