//! One trace over process borders.
#![allow(clippy::unwrap_used, reason = "tests")]

use tidemill_telemetry::{
    JsonLogs, TelemetryOptions, add_links, current_trace_id, current_traceparent, init, set_parent,
};

#[tokio::test]
async fn a_trace_is_continued_and_linked_without_an_exporter() {
    let options = TelemetryOptions { json_logs: JsonLogs::On, ..TelemetryOptions::new("test") };
    let telemetry = init(&options).unwrap();
    assert!(init(&options).is_err(), "a second set-up is refused");
    assert_eq!(current_traceparent(), None);

    let sent = tracing::info_span!("publish").in_scope(|| current_traceparent().unwrap());
    let received = tracing::info_span!("consume");
    assert!(set_parent(&received, &sent));
    let continued = received.in_scope(|| {
        tracing::info!(rows = 3, "a line with ids");
        current_trace_id().unwrap()
    });
    assert_eq!(sent.split('-').nth(1).unwrap(), continued);
    assert!(!set_parent(&tracing::info_span!("consume"), "nonsense"));

    let many: Vec<String> = (1..40).map(|n| format!("00-{n:032x}-{n:016x}-01")).collect();
    assert_eq!(add_links(&tracing::info_span!("commit"), &many), 16);
    assert_eq!(add_links(&tracing::info_span!("commit"), &[&sent, &sent]), 1);
    telemetry.shutdown().await;
}
