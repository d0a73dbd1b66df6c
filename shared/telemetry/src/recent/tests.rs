//! Bounds, order and filters of the traces in memory.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

fn span(trace: &str, id: &str, parent: Option<&str>, name: &str, start: i64) -> RecentSpan {
    RecentSpan {
        trace_id: trace.to_owned(),
        span_id: id.to_owned(),
        parent_id: parent.map(str::to_owned),
        name: name.to_owned(),
        service: "tidemill-serving".to_owned(),
        kind: "internal",
        start_micros: start,
        duration_micros: 10,
        ..RecentSpan::default()
    }
}

fn ids(page: &RecentPage) -> Vec<&str> {
    page.traces.iter().map(|trace| trace.trace_id.as_str()).collect()
}

#[test]
fn the_newest_come_first_and_pages_do_not_overlap() {
    let recent = Recent::default();
    for n in 0..10_i64 {
        recent.record(span(&format!("t{n}"), "a", None, "infer", (n * 7) % 10));
    }
    let all = recent.list(&RecentQuery::default());
    let starts: Vec<i64> = all.traces.iter().map(|trace| trace.start_micros).collect();
    assert_eq!(starts, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
    let page = recent.list(&RecentQuery { skip: 4, limit: 3, ..RecentQuery::default() });
    assert_eq!(ids(&page), ids(&all)[4..7]);
    assert_eq!((page.found, page.kept), (10, 10));
}

#[test]
fn rare_roots_are_not_pushed_out_by_frequent_ones() {
    let recent = Recent::new(5, 200);
    recent.record(span("cycle", "a", None, "training cycle", 0));
    for n in 0..20_i64 {
        recent.record(span(&format!("t{n}"), "a", None, "infer", n + 1));
    }
    let page = recent.list(&RecentQuery::default());
    assert_eq!(ids(&page), ["t19", "t18", "t17", "t16", "cycle"]);
    assert_eq!(page.dropped, RecentDropped { traces: 16, spans: 0, parts: 0 });
    assert_eq!(page.roots, BTreeMap::from([("infer".to_owned(), 4), ("training cycle".to_owned(), 1)]));
    assert!(recent.trace("t0").is_none());
}

#[test]
fn a_full_trace_keeps_its_root_and_counts_the_rest() {
    let recent = Recent::new(5, 3);
    for n in 0..6 {
        recent.record(span("t", &n.to_string(), Some("root"), "child", 10 + n));
    }
    recent.record(span("t", "root", None, "infer", 1));
    let trace = recent.trace("t").unwrap();
    assert_eq!((trace.summary.root.as_str(), trace.summary.spans, trace.summary.dropped_spans), ("infer", 3, 4));
    assert_eq!(trace.tree[0].span_id, "root", "spans come in the order of their start");
    assert_eq!((trace.summary.start_micros, trace.summary.duration_micros), (1, 24), "dropped spans count in time");
    assert_eq!(recent.list(&RecentQuery::default()).dropped.spans, 4);
}

#[test]
fn filters_look_at_root_duration_and_error() {
    let recent = Recent::default();
    let mut slow = span("slow", "a", None, "Training Cycle", 1);
    slow.duration_micros = 5_000;
    let mut failed = span("failed", "b", Some("a"), "score", 2);
    failed.error = true;
    recent.record(slow);
    recent.record(failed);
    recent.record(span("failed", "a", None, "infer", 2));
    let list = |query: RecentQuery| ids(&recent.list(&query)).join(" ");
    assert_eq!(list(RecentQuery { root: Some("cycle".to_owned()), ..RecentQuery::default() }), "slow");
    assert_eq!(list(RecentQuery { min_duration_micros: 5_000, ..RecentQuery::default() }), "slow");
    assert_eq!(list(RecentQuery { errors_only: true, ..RecentQuery::default() }), "failed");
    assert_eq!(recent.trace("failed").unwrap().summary.root, "infer");
}

#[test]
fn a_trace_is_listed_when_none_of_its_spans_is_open() {
    let recent = Recent::default();
    recent.opened("t".to_owned());
    recent.opened("t".to_owned());
    recent.closed(span("t", "b", Some("a"), "score", 2));
    assert_eq!(recent.list(&RecentQuery::default()).found, 0);
    assert!(recent.trace("t").is_some());
    recent.closed(span("t", "a", None, "infer", 1));
    assert_eq!(ids(&recent.list(&RecentQuery::default())), ["t"]);
    // It continues later, on the other side of a message.
    recent.closed(span("t", "c", Some("a"), "join outcome", 9));
    let trace = recent.trace("t").unwrap();
    assert_eq!((trace.summary.root.as_str(), trace.tree.len()), ("infer", 3));
}
