//! `cleaning log`: the decisions of the applied project, and what each did to the rows of its clean table.

use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use tidemill_contracts::paths;
use tidemill_dataset::Table;
use tidemill_quality::Cleaned;
use tidemill_quality::clean::{Told, told};
use tidemill_spec::{Decision, Spec};
use tidemill_storage::Storage;
use tidemill_types::SourceName;

/// Newest commits among which one tells of decisions.
const WITHIN: u64 = 64;

/// Which decisions.
#[derive(Debug, Args)]
pub(in crate::cli) struct LogArgs {
    /// Only those about this source.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
}

pub(super) async fn run(target: &Target, out: Output, args: &LogArgs) -> Result<u8> {
    let bus = target.bus().await?;
    let (storage, spec) = (target.storage()?, target.spec(&bus).await?);
    if let Some(source) = args.source.as_ref().filter(|source| !spec.sources.contains_key(*source)) {
        return Err(Error::NotFound { what: "source", name: source.to_string(), list: "tidemill project show" });
    }
    let mut rows = Vec::new();
    for (source, decisions) in &spec.cleaning {
        if args.source.as_ref().is_some_and(|wanted| wanted != source) {
            continue;
        }
        let told = newest(&storage, &spec, source).await?;
        let replayed = told.decisions == tidemill_quality::clean::digest(decisions);
        rows.extend(decisions.iter().map(|decision| row(source, decision, replayed, told.of(&decision.id))));
    }
    let columns =
        ["source", "decision", "column", "does", "reason", "by", "rows", "changed", "before", "after", "state"];
    out.rows(&columns, &rows)?;
    if rows.is_empty() {
        say("the project has decided nothing about its values");
    }
    next("tidemill cleaning suggest --source SOURCE");
    Ok(0)
}

/// What the newest commit of a clean table tells.
async fn newest(storage: &Storage, spec: &Spec, source: &SourceName) -> Result<Told> {
    let table = match Table::open(storage, &paths::clean_table(&spec.project, source)).await {
        Ok(table) => table,
        Err(tidemill_dataset::Error::Absent { .. }) => return Ok(Told::default()),
        Err(other) => return Err(other.into()),
    };
    let versions = table.history(WITHIN).await?;
    Ok(versions.iter().find_map(|version| told(&version.metadata)).unwrap_or_default())
}

fn row(source: &SourceName, decision: &Decision, replayed: bool, cleaned: Option<&Cleaned>) -> Value {
    let state = if replayed { "in force" } else { "history not yet made anew" };
    json!({
        "source": source,
        "decision": decision.id,
        "column": decision.column,
        "does": decision.says(),
        "reason": decision.reason,
        "by": decision.by,
        "rows": cleaned.map(|cleaned| cleaned.rows),
        "changed": cleaned.map(|cleaned| cleaned.changed),
        "before": cleaned.map(|cleaned| cleaned.values_before),
        "after": cleaned.map(|cleaned| cleaned.values_after),
        "examples": cleaned.map(|cleaned| &cleaned.examples),
        "state": state,
    })
}
