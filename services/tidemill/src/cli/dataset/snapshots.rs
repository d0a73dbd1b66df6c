//! Retention of the raw bodies that HTTP sources answered: they hold what rows hold, and go when rows go.

use super::vacuum::{GRACE, held};
use crate::error::{Error, Result};
use serde_json::{Value, json};
use tidemill_sources::Snapshots;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_types::Millis;

/// The folders of those sources that keep bodies.
pub(super) async fn folders(storage: &Storage, spec: &Spec) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for source in spec.sources.keys() {
        let folder = Snapshots::of(storage, &spec.project, source).folder().to_owned();
        if !storage.list(&folder).await?.is_empty() {
            found.push(folder);
        }
    }
    Ok(found)
}

/// Plans, and when told to drops, the bodies of a folder that are older than rows are kept; the row of the answer, and
/// the bytes.
pub(super) async fn vacuum(storage: &Storage, spec: &Spec, path: &str, apply: bool) -> Result<(Value, u64)> {
    let folder = |name| Snapshots::of(storage, &spec.project, name);
    let Some(source) = spec.sources.keys().find(|name| folder(name).folder() == path) else {
        return Err(Error::NotFound { what: "folder of snapshots", name: path.to_owned(), list: "tidemill source ls" });
    };
    let (class, keeps) = spec.retention.of(source);
    if let Some(hold) = spec.retention.holds(source).next() {
        return Ok((held(path, class, hold), 0));
    }
    let snapshots = folder(source);
    let plan = match keeps.rows {
        Some(age) => {
            let since = Millis(super::tags::now().0 - GRACE.0);
            snapshots.plan(Millis(age.millis()), since).await?
        }
        // Rows are kept for good, and so is what they were made of.
        None => Default::default(),
    };
    if apply {
        snapshots.drop(&plan).await?;
    }
    let row = json!({
        "table": path,
        "class": class,
        "rows_expired": 0,
        "files": plan.notes.len() + plan.bodies.len(),
        "bytes": plan.bytes(),
        "kept_for": [],
        "files_kept_for": 0,
        "readable_since_version": Value::Null,
        "hold": Value::Null,
        "done": apply,
    });
    Ok((row, plan.bytes()))
}
