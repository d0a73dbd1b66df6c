//! What operators look at agrees with what is there: dashboards query metrics and labels that exist, Prometheus scrapes
//! every role, and the dashboards are what their script writes.
#![allow(clippy::unwrap_used, reason = "tests")]

use serde_json::Value;
use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tidemill_telemetry::names::{self, Kind};
use tidemill_tests::python;

/// Labels that Prometheus adds to everything it scrapes, and that of histogram buckets.
const ADDED: [&str; 3] = ["job", "instance", "le"];

fn infra() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra")
}

fn dashboards() -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for file in std::fs::read_dir(infra().join("grafana/dashboards")).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        found.push((name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()));
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    found
}

fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    value.pointer(pointer).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// Every expression of a dashboard, with what Grafana would put in for its variables.
fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = list(dashboard, "/panels").iter().flat_map(|panel| list(panel, "/targets"));
    let queries = targets.map(|target| text(target, "/expr").replace("$__rate_interval", "5m"));
    let variables = list(dashboard, "/templating/list").iter().filter_map(|variable| {
        let asked = variable.pointer("/query/query")?.as_str()?.strip_prefix("label_values(")?.strip_suffix(')')?;
        let (metric, label) = asked.split_once(", ")?;
        Some(format!("count by ({label}) ({metric})"))
    });
    queries.chain(variables).collect()
}

/// What PromQL's grammar, as others wrote it down, sees in the expressions.
fn parsed(expressions: &[String]) -> Vec<Value> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration");
    let python = python::environment("promql", &tests.join("promql.requirements.txt")).unwrap();
    let mut child =
        Command::new(python).arg(tests.join("promql.py")).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(serde_json::to_string(expressions).unwrap().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "an expression is no PromQL");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Labels of a series, and of what Prometheus makes of a scrape; `None` when there is no such series.
fn labels_of(series: &str) -> Option<&'static [&'static str]> {
    if series == "up" {
        return Some(&[]);
    }
    let of = |name: &str, histogram: bool| {
        let found = names::ALL.iter().find(|metric| metric.name == name)?;
        ((found.kind == Kind::Histogram) == histogram).then_some(found.labels)
    };
    let parts = ["_bucket", "_sum", "_count"].into_iter().find_map(|end| series.strip_suffix(end));
    of(series, false).or_else(|| of(parts?, true))
}

#[test]
fn dashboards_query_what_exists() {
    let dashboards = dashboards();
    let titles: Vec<&str> = dashboards.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(titles, ["flow", "model", "platform", "serving"]);
    let mut queried = BTreeSet::new();
    for (dashboard, content) in &dashboards {
        let expressions = expressions(content);
        assert!(expressions.len() > 10, "{dashboard}");
        for (expression, seen) in expressions.iter().zip(parsed(&expressions)) {
            let mut labels = BTreeSet::from(ADDED);
            for selector in list(&seen, "/metrics") {
                let series = text(selector, "/0");
                let own =
                    labels_of(series).unwrap_or_else(|| panic!("{dashboard}: no metric {series} in {expression}"));
                labels.extend(own);
                for label in list(selector, "/1").iter().filter_map(Value::as_str) {
                    assert!(own.contains(&label) || ADDED.contains(&label), "{dashboard}: {series} has no {label}");
                }
                queried.insert(series.to_owned());
            }
            for label in list(&seen, "/by").iter().filter_map(Value::as_str) {
                assert!(labels.contains(label), "{dashboard}: nothing has the label {label} in {expression}");
            }
        }
    }
    let shown = |metric: &names::Metric| queried.iter().any(|series| series.starts_with(metric.name));
    let hidden: Vec<&str> = names::ALL.iter().filter(|metric| !shown(metric)).map(|metric| metric.name).collect();
    assert!(hidden.is_empty(), "no dashboard shows {hidden:?}");
}

#[test]
fn rules_of_prometheus_ask_for_what_exists() {
    let rules = std::fs::read_to_string(infra().join("prometheus/rules/sources.yml")).unwrap();
    let expressions: Vec<String> =
        rules.lines().filter_map(|line| Some(line.trim().strip_prefix("expr: ")?.to_owned())).collect();
    assert_eq!(expressions.len(), rules.matches("- alert:").count(), "each alert has an expression");
    for (expression, seen) in expressions.iter().zip(parsed(&expressions)) {
        for selector in list(&seen, "/metrics") {
            assert!(labels_of(text(selector, "/0")).is_some(), "{expression}");
        }
    }
}

#[test]
fn panels_say_what_they_mean_and_in_what_unit() {
    for (dashboard, content) in dashboards() {
        assert_eq!(text(&content, "/uid"), format!("tidemill-{dashboard}"));
        for panel in list(&content, "/panels").iter().filter(|panel| text(panel, "/type") != "row") {
            let title = text(panel, "/title");
            assert!(!title.is_empty() && text(panel, "/description").ends_with('.'), "{dashboard}: {title}");
            assert!(!text(panel, "/fieldConfig/defaults/unit").is_empty(), "{dashboard}: {title} has no unit");
            assert!(!list(panel, "/fieldConfig/defaults/thresholds/steps").is_empty(), "{dashboard}: {title}");
            assert_eq!(text(panel, "/datasource/uid"), "${source}", "{dashboard}: {title} is bound to one source");
        }
        let grid = |panel: &Value, key: &str| panel.pointer(&format!("/gridPos/{key}")).and_then(Value::as_u64);
        assert!(
            list(&content, "/panels").iter().all(|panel| grid(panel, "x") < Some(24) && grid(panel, "w") <= Some(24))
        );
    }
}

#[test]
fn dashboards_are_what_their_script_writes() {
    let script = infra().join("grafana/dashboards.py");
    let output = Command::new("python3").arg(script).arg("--check").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn prometheus_scrapes_every_role_by_its_name() {
    let text = std::fs::read_to_string(infra().join("prometheus/prometheus.yml")).unwrap();
    let jobs: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("- job_name: ")).collect();
    let roles = ["ingestion", "validation", "feature", "training", "evaluation", "serving", "monitoring", "console"];
    assert_eq!(jobs, roles);
    for role in roles {
        assert!(text.contains(&format!("targets: [\"{role}:9464\"]")), "{role}");
    }
}
