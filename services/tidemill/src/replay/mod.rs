//! History as data events: files read, computed, ordered and published by the instant at which they became known.

mod history;
mod publisher;

pub(crate) use history::History;
pub(crate) use publisher::Publisher;

use anyhow::{Context, Result};
use std::collections::HashMap;
use std::path::Path;
use tidemill_dataset::read_parquet;
use tidemill_spec::{ReplayPlan, Spec};
use tidemill_storage::{S3Options, Storage};

/// Reads a replay plan and the files it names, which lie beside it.
///
/// # Errors
/// A plan or file that cannot be read, expressions that do not fit, sources the spec does not declare.
pub(crate) async fn load(plan_file: &Path, spec: &Spec) -> Result<Vec<History>> {
    let text = tokio::fs::read_to_string(plan_file).await.with_context(|| format!("read {}", plan_file.display()))?;
    let plan = ReplayPlan::parse(&text).with_context(|| plan_file.display().to_string())?;
    let folder = plan_file.parent().unwrap_or(Path::new(".")).canonicalize()?;
    let storage = Storage::open(&format!("file://{}", folder.display()), &S3Options::default())?;
    let mut files = HashMap::new();
    let mut histories = Vec::new();
    for stream in &plan.streams {
        let source = spec.sources.get(&stream.source);
        let source = source.with_context(|| format!("the project declares no source {}", stream.source))?;
        if !files.contains_key(&stream.file) {
            let rows = read_parquet(&storage, &stream.file, None).await.with_context(|| stream.file.clone())?;
            files.insert(stream.file.clone(), rows);
        }
        let rows = files.get(&stream.file).map(Vec::as_slice).unwrap_or_default();
        histories.push(tokio::task::block_in_place(|| History::build(stream, source, rows))?);
    }
    Ok(histories)
}
