//! Metrics: only listed names, in the stated form.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use tidemill_telemetry::names::{self, Kind};
use tidemill_telemetry::{Metrics, metrics};

fn shown(text: &str) -> BTreeSet<(String, String)> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.filter_map(|line| line.split_once(' ')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn render_shows_only_listed_names_with_their_type() {
    let metrics = Metrics::new();
    metrics.counter(names::INGESTION_ROWS).add(&[("source", "flights")], 3);
    metrics.counter(names::INGESTION_ROWS).add(&[("source", "flights")], 4);
    metrics.gauge(names::FEATURE_WATERMARK_LAG_SECONDS).set(&[], 1.5);
    metrics.histogram(names::SERVING_REQUEST_SECONDS).observe(&[("deployment", "desk")], 0.003);
    let text = metrics.render();
    assert!(text.contains("tidemill_ingestion_rows_total{source=\"flights\"} 7"), "{text}");
    assert!(text.contains("tidemill_feature_watermark_lag_seconds{} 1.5"), "{text}");
    assert!(text.contains("tidemill_serving_request_seconds_count{deployment=\"desk\"} 1"), "{text}");
    assert!(text.contains("tidemill_process_resident_bytes"), "{text}");
    assert!(text.ends_with("# EOF\n"));
    for (name, kind) in shown(&text) {
        let name = if kind == "counter" { format!("{name}_total") } else { name };
        let listed = names::ALL.iter().find(|metric| metric.name == name);
        let listed = listed.unwrap_or_else(|| panic!("{name} is not in the list"));
        assert_eq!(format!("{:?}", listed.kind).to_lowercase(), kind);
    }
}

#[test]
fn every_name_has_the_stated_form_and_is_unique() {
    let services = ["ingestion", "validation", "feature", "training", "evaluation", "serving", "monitoring", "process"];
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        let parts: Vec<&str> = metric.name.split('_').collect();
        assert_eq!(parts.first(), Some(&"tidemill"), "{}", metric.name);
        assert!(services.contains(parts.get(1).unwrap()), "{}", metric.name);
        assert!(parts.len() >= 4 || metric.kind == Kind::Counter, "{} names its unit", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.ends_with('.') && !metric.unit.is_empty());
        assert!(seen.insert(metric.name), "{} twice", metric.name);
    }
    assert_eq!(metrics::describe(names::ALL).lines().count(), names::ALL.len() + 2);
}
