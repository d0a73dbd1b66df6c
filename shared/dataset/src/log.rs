//! Lines of a Delta log entry: what this crate writes and must understand.

use crate::error::Error;
use crate::expire::DELETE;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use tidemill_types::Millis;

/// One line; exactly one of the fields is set.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) commit_info: Option<CommitInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) protocol: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) meta_data: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) txn: Option<Txn>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) add: Option<Add>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) remove: Option<Remove>,
}

/// Who committed, when and why.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct CommitInfo {
    pub(crate) timestamp: i64,
    pub(crate) operation: String,
    pub(crate) operation_parameters: BTreeMap<String, Value>,
    pub(crate) engine_info: String,
    pub(crate) is_blind_append: bool,
    /// Tells the writer's own commit from another's after an unclear answer.
    pub(crate) tidemill_commit: String,
    pub(crate) tidemill: BTreeMap<String, String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Txn {
    pub(crate) app_id: String,
    pub(crate) version: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) last_updated: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Add {
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) partition_values: BTreeMap<String, Option<String>>,
    pub(crate) size: u64,
    pub(crate) modification_time: i64,
    pub(crate) data_change: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stats: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_vector: Option<Value>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Remove {
    pub(crate) path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) deletion_timestamp: Option<i64>,
    pub(crate) data_change: bool,
    #[serde(default)]
    pub(crate) extended_file_metadata: bool,
    #[serde(default)]
    pub(crate) partition_values: BTreeMap<String, Option<String>>,
    #[serde(default)]
    pub(crate) size: u64,
}

/// Path of a version's log entry inside the table.
pub(crate) fn entry_path(version: u64) -> String {
    format!("_delta_log/{version:020}.json")
}

pub(crate) fn to_bytes(lines: &[Line]) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for line in lines {
        serde_json::to_writer(&mut bytes, line).map_err(|e| Error::Encode(e.to_string()))?;
        bytes.push(b'\n');
    }
    Ok(bytes)
}

pub(crate) fn parse(path: &str, bytes: &[u8]) -> Result<Vec<Line>, Error> {
    let lines = bytes.split(|b| *b == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let parsed: Vec<Line> = lines
        .map(serde_json::from_slice)
        .collect::<Result<_, _>>()
        .map_err(|e| Error::Corrupt { path: path.to_owned(), reason: e.to_string() })?;
    if parsed.is_empty() {
        return Err(Error::Corrupt { path: path.to_owned(), reason: "the log entry is empty".to_owned() });
    }
    Ok(parsed)
}

/// The last sequence of each application, as lines.
pub(crate) fn noted(notes: &[(&str, i64)], now: Millis) -> impl Iterator<Item = Line> {
    notes.iter().map(move |(app_id, last_seq)| {
        let txn = Txn { app_id: (*app_id).to_owned(), version: *last_seq, last_updated: Some(now.0) };
        Line { txn: Some(txn), ..Line::default() }
    })
}

/// Files with rows that the table did not hold before. Compaction moves rows, and whoever takes rows out of a file puts
/// those that stay into another.
pub(crate) fn new_rows(lines: &[Line]) -> impl Iterator<Item = &Add> {
    let only_takes = lines.iter().filter_map(|line| line.commit_info.as_ref()).any(|info| info.operation == DELETE);
    lines.iter().filter_map(|line| line.add.as_ref()).filter(move |add| add.data_change && !only_takes)
}

/// Id that the writer gave a commit; empty when another program wrote it.
pub(crate) fn commit_id(lines: &[Line]) -> &str {
    let infos = lines.iter().filter_map(|line| line.commit_info.as_ref());
    infos.map(|info| info.tidemill_commit.as_str()).find(|id| !id.is_empty()).unwrap_or_default()
}

pub(crate) fn commit_info(operation: &str, now: Millis, id: &str, metadata: BTreeMap<String, String>) -> Line {
    let mode = (operation == "WRITE").then(|| ("mode".to_owned(), Value::from("Append")));
    let info = CommitInfo {
        timestamp: now.0,
        operation: operation.to_owned(),
        operation_parameters: mode.into_iter().collect(),
        engine_info: concat!("tidemill/", env!("CARGO_PKG_VERSION")).to_owned(),
        is_blind_append: operation == "WRITE",
        tidemill_commit: id.to_owned(),
        tidemill: metadata,
    };
    Line { commit_info: Some(info), ..Line::default() }
}

/// The lines of version 0. Reader version 1 and writer version 2 are what every implementation understands.
pub(crate) fn creation(schema: &str, now: Millis, id: &str) -> Vec<Line> {
    let protocol = json!({"minReaderVersion": 1, "minWriterVersion": 2});
    let meta_data = json!({
        "id": id, "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
        "partitionColumns": [], "configuration": {}, "createdTime": now.0,
    });
    vec![
        commit_info("CREATE TABLE", now, id, BTreeMap::new()),
        Line { protocol: Some(protocol), ..Line::default() },
        Line { meta_data: Some(meta_data), ..Line::default() },
    ]
}
