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
    let listed = names::ALL.iter().map(|metric| {
        let stem = metric.name.strip_suffix("_total").unwrap_or(metric.name);
        (stem.to_owned(), format!("{:?}", metric.kind).to_lowercase())
    });
    let (shown, listed) = (shown(&text), listed.collect::<BTreeSet<_>>());
    assert!(shown.len() == 8 && shown.is_subset(&listed), "{shown:?}");
}

#[test]
fn processor_time_grows_and_never_falls() {
    let metrics = Metrics::new();
    let read = || {
        let text = metrics.render();
        let line = text.lines().find_map(|line| line.strip_prefix("tidemill_process_cpu_seconds_total ")).unwrap();
        line.parse::<f64>().unwrap()
    };
    let before = read();
    let spent = (0..20_000_000_u64).fold(0_u64, |sum, n| sum.wrapping_mul(31).wrapping_add(n));
    assert_ne!(std::hint::black_box(spent), 0);
    assert!(read() >= before);
}

#[test]
fn every_name_has_the_stated_form_and_is_unique() {
    let services = ["ingestion", "validation", "feature", "training", "evaluation", "serving", "monitoring", "process"];
    let mut seen = BTreeSet::new();
    for metric in names::ALL {
        let parts: Vec<&str> = metric.name.split('_').collect();
        assert_eq!(parts.first(), Some(&"tidemill"), "{}", metric.name);
        assert!(services.contains(parts.get(1).unwrap()), "{}", metric.name);
        let named = parts.len() >= 4 || metric.kind == Kind::Counter || metric.unit == *parts.last().unwrap();
        assert!(named, "{} names its unit", metric.name);
        assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
        assert!(!metric.help.ends_with('.') && !metric.unit.is_empty());
        assert!(seen.insert(metric.name), "{} twice", metric.name);
    }
    assert_eq!(metrics::describe(names::ALL).lines().count(), names::ALL.len() + 2);
}
