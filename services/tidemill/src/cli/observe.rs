//! `status` and `drift`: how the instance and its model fare.

use super::output::{Output, next, say};
use super::target::{MAX_ANSWER, Target};
use crate::error::{Error, Result};
use crate::ready::{Health, ask};
use crate::roles::Role;
use clap::{Args, ValueEnum};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use tidemill_bus::Bus;
use tidemill_contracts::feature::DescribeRequest;
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_contracts::monitoring::monitoring_service_client::MonitoringServiceClient;
use tidemill_contracts::monitoring::{DriftRequest, StatusRequest};
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_registry::Registry;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Millis;

/// Newest alerts that a table shows.
const SHOWN_ALERTS: usize = 10;

const STATUS_EXAMPLES: &str = "\
Examples:
  tidemill status
  tidemill status --check -o json      for scripts: ends with 3 when a role is not ready";

const DRIFT_EXAMPLES: &str = "\
Examples:
  tidemill drift
  tidemill drift --window week
  tidemill drift --start 2013-02-01      every feature of that window";

/// `tidemill status`.
#[derive(Debug, Args)]
#[command(after_help = STATUS_EXAMPLES)]
pub(super) struct StatusArgs {
    /// End with 3 when a role is not ready.
    #[arg(long)]
    check: bool,
}

/// A window of event time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum WindowKind {
    /// Calendar weeks.
    Week,
    /// Calendar months.
    Month,
}

/// `tidemill drift`.
#[derive(Debug, Args)]
#[command(after_help = DRIFT_EXAMPLES)]
pub(super) struct DriftArgs {
    /// Size of the windows.
    #[arg(long, value_enum, default_value = "month")]
    window: WindowKind,
    /// Show every feature of the window that starts on this day.
    #[arg(long, value_name = "DATE")]
    start: Option<String>,
}

/// Shows how the instance fares. What does not answer is shown as such, not as a failure of the command.
pub(super) async fn status(target: &Target, out: Output, args: &StatusArgs) -> Result<u8> {
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let mut report = Map::new();
    report.insert("project".to_owned(), json!(spec.project));
    report.insert("spec_digest".to_owned(), json!(spec.digest()));
    if let Some(instance) = &target.instance {
        report.insert("pid".to_owned(), json!(instance.pid));
        report.insert("started".to_owned(), json!(instance.started));
    }
    report.insert("console".to_owned(), json!(target.endpoints.console));
    report.insert("bus".to_owned(), json!(target.bus_url()));
    let health = roles(target).await;
    let ready = health.values().all(|health| matches!(health, Health::Serving | Health::Answers));
    let words: BTreeMap<&str, &str> = health.iter().map(|(role, health)| (role.name(), health.word())).collect();
    report.insert("roles".to_owned(), json!(words));
    report.insert("sources".to_owned(), sources(target, &bus, &spec).await?);
    report.insert("champion".to_owned(), champion(&bus, &spec).await?);
    report.insert("predictions".to_owned(), predictions(target, &spec).await.unwrap_or(Value::Null));
    let alerts = alerts(target, &spec).await;
    report.insert("alerts".to_owned(), json!(alerts));
    show(out, &report)?;
    if !ready {
        say("not every role is ready; /readyz says what is missing");
        return Ok(if args.check { 3 } else { 0 });
    }
    next("tidemill models ls; tidemill drift");
    Ok(0)
}

/// JSON as one document; for people, sources and alerts as tables of their own.
fn show(out: Output, report: &Map<String, Value>) -> Result<()> {
    if !out.is_table() {
        return out.record(&Value::Object(report.clone()));
    }
    let mut head = report.clone();
    let sources = head.remove("sources").unwrap_or_default();
    let alerts = head.remove("alerts").unwrap_or_default();
    out.record(&Value::Object(head))?;
    let sources = sources.as_array().cloned().unwrap_or_default();
    out.rows(&["source", "events", "in_table", "lag", "rows", "watermark"], &sources)?;
    let alerts = alerts.as_array().cloned().unwrap_or_default();
    let newest = alerts.len().saturating_sub(SHOWN_ALERTS);
    if !alerts.is_empty() {
        out.rows(&["start_date", "severity", "rule", "text", "resolved"], &alerts[newest..])?;
    }
    Ok(())
}

async fn roles(target: &Target) -> BTreeMap<Role, Health> {
    let asked = Role::ALL.into_iter().filter_map(|role| {
        let url = role.endpoint(&target.endpoints)?.to_owned();
        Some(async move { (role, ask(&url).await) })
    });
    futures::future::join_all(asked).await.into_iter().collect()
}

/// Events on the bus, events in the raw table, and what lies between; null where a stream is not there.
async fn sources(target: &Target, bus: &Bus, spec: &Spec) -> Result<Value> {
    let storage = target.storage()?;
    let watermarks = watermarks(target, spec).await.unwrap_or_default();
    let mut rows = Vec::new();
    for source in spec.sources.keys() {
        let stream = subjects::events_stream(&spec.project, source);
        let state = bus.stream_state_if_any(&stream).await?;
        let path = tidemill_ingestion::raw_table_path(&spec.project, source);
        let incarnation = state.as_ref().map(|state| state.incarnation(&stream)).unwrap_or_default();
        let (done, count) = in_table(&storage, &path, &incarnation).await?;
        let last = state.map(|state| i64::try_from(state.last_seq).unwrap_or(i64::MAX));
        rows.push(json!({
            "source": source,
            "events": last,
            "in_table": done,
            "lag": last.map(|last| last - done),
            "rows": count,
            "watermark": watermarks.get(source.as_str()).filter(|ms| **ms > 0).map(|ms| Millis(*ms).to_string()),
        }));
    }
    Ok(Value::Array(rows))
}

/// Last sequence and rows of a raw table; zero when there is none yet.
async fn in_table(storage: &Storage, path: &str, incarnation: &str) -> Result<(i64, u64)> {
    let table = match Table::open(storage, path).await {
        Ok(table) => table,
        Err(tidemill_dataset::Error::Absent { .. }) => return Ok((0, 0)),
        Err(other) => return Err(other.into()),
    };
    let snapshot = table.load().await?;
    Ok((snapshot.done(incarnation).await?.unwrap_or(0), snapshot.num_rows()))
}

async fn watermarks(target: &Target, spec: &Spec) -> Result<BTreeMap<String, i64>> {
    let channel = target.channel("feature", &target.endpoints.feature).await?;
    let request = DescribeRequest { project: spec.project.to_string() };
    let answer = FeatureServiceClient::new(channel).describe(request).await.map_err(Error::remote("describe"))?;
    Ok(answer.into_inner().watermark_by_source_ms.into_iter().collect())
}

async fn champion(bus: &Bus, spec: &Spec) -> Result<Value> {
    let found = Registry::open(bus).await?.alias(&spec.project, "champion").await?;
    Ok(found.map_or(Value::Null, |state| {
        let entry = state.entry;
        json!({
            "model": entry.digest.short(),
            "version": entry.version,
            "since": entry.since.to_string(),
            "by": entry.by,
            "reason": entry.reason,
        })
    }))
}

async fn monitoring(target: &Target, spec: &Spec) -> Result<tidemill_contracts::monitoring::StatusResponse> {
    let channel = target.channel("monitoring", &target.endpoints.monitoring).await?;
    let request = StatusRequest { project: spec.project.to_string() };
    let mut client = MonitoringServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
    Ok(client.status(request).await.map_err(Error::remote("status"))?.into_inner())
}

async fn predictions(target: &Target, spec: &Spec) -> Result<Value> {
    let status = monitoring(target, spec).await?;
    Ok(json!({"logged": status.predictions, "outcomes": status.outcomes, "joined": status.joined}))
}

async fn alerts(target: &Target, spec: &Spec) -> Vec<Value> {
    let Ok(status) = monitoring(target, spec).await else { return Vec::new() };
    let mut alerts: Vec<Value> = status.alerts_json.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    for alert in &mut alerts {
        let resolved = alert["resolved_at"].as_i64().map(|ms| Millis(ms).to_string());
        if let (Some(fields), Some(resolved)) = (alert.as_object_mut(), resolved) {
            fields.insert("resolved".to_owned(), resolved.into());
        }
        let start = alert["start"].as_i64().map(|ms| Millis(ms).to_string().chars().take(10).collect::<String>());
        if let (Some(fields), Some(start)) = (alert.as_object_mut(), start) {
            fields.entry("start_date").or_insert_with(|| start.into());
        }
    }
    alerts
}

/// Shows drift by window.
pub(super) async fn drift(target: &Target, out: Output, args: &DriftArgs) -> Result<u8> {
    let window = match args.window {
        WindowKind::Week => "week",
        WindowKind::Month => "month",
    };
    let request = DriftRequest { project: target.project().await?.to_string(), window: window.to_owned() };
    let channel = target.channel("monitoring", &target.endpoints.monitoring).await?;
    let mut client = MonitoringServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
    let answer = client.drift(request).await.map_err(Error::remote("drift"))?.into_inner();
    let windows: Vec<Value> = answer.windows_json.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    if let Some(start) = &args.start {
        let missing = || Error::NotFound { what: "window", name: start.clone(), list: "tidemill drift" };
        let found = windows.iter().find(|w| w["start_date"].as_str() == Some(start)).ok_or_else(missing)?;
        let features = found["drift"]["features"].as_array().cloned().unwrap_or_default();
        let columns = features.first().and_then(Value::as_object).map(|f| f.keys().cloned().collect::<Vec<_>>());
        let columns = columns.unwrap_or_default();
        out.rows(&columns.iter().map(String::as_str).collect::<Vec<_>>(), &features)?;
        next("tidemill status shows the alerts that followed");
        return Ok(0);
    }
    let rows: Vec<Value> = if out.is_table() { windows.iter().map(drift_row).collect() } else { windows };
    out.rows(&["window", "rows", "drifted", "actionable", "score_psi", "features"], &rows)?;
    match rows.is_empty() {
        true => next("tidemill predict: windows are tested once predictions were made in them"),
        false => next(&format!("tidemill drift --window {window} --start DATE shows every feature of a window")),
    }
    Ok(0)
}

fn drift_row(window: &Value) -> Value {
    let drift = &window["drift"];
    let names = |key: &str| drift[key].as_array().cloned().unwrap_or_default();
    let actionable: Vec<String> = names("actionable").iter().filter_map(|n| n.as_str().map(str::to_owned)).collect();
    json!({
        "window": window["start_date"],
        "rows": drift["rows"],
        "drifted": names("drifted").len(),
        "actionable": actionable.len(),
        "score_psi": window["score_psi"],
        "features": actionable.join(" "),
    })
}
