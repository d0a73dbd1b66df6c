//! `dataset at` and `dataset diff`.

use super::{masked, pinned, stale};
use crate::cli::classify;
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use stale::Stale;
use tidemill_dataset::Between;
use tidemill_dataset::diff::{ColumnDiff, Compared, Origin, Side, TableDiff};
use tidemill_storage::Storage;
use tidemill_types::{Millis, columns};

/// Two versions.
#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    /// The left version.
    #[arg(value_name = "TABLE[@VERSION]")]
    left: String,
    /// The right version.
    #[arg(value_name = "TABLE[@VERSION]")]
    right: String,
    /// Also compare the hashes of the content, for which all rows are read.
    #[arg(long)]
    hash: bool,
    /// End with 3 when anything differs.
    #[arg(long)]
    check: bool,
}

/// Says what was current, and what was known, at an instant.
pub(super) async fn at(target: &Target, storage: &Storage, out: Output, path: &str, instant: Millis) -> Result<u8> {
    let pinned::Pinned { table, snapshot } = pinned::open(target, storage, path).await?;
    let current = match table.version_at(instant).await? {
        None => Value::Null,
        Some(version) => {
            let then = table.load_version(version).await?;
            json!({
                "version": version,
                "committed_at": table.version_adds(version).await?.committed_at.to_string(),
                "rows": then.num_rows(),
            })
        }
    };
    let known = match snapshot.schema().index_of(columns::KNOWN_AT) {
        Err(_) => Value::Null,
        Ok(_) => {
            let to = Millis(instant.0.saturating_add(1));
            let between = Between { column: columns::KNOWN_AT.to_owned(), from: Millis::MIN, to };
            let mut scan = table.scan(&snapshot, Some(&[columns::KNOWN_AT]), Some(between));
            let mut rows = 0;
            while let Some(batch) = scan.next().await? {
                rows += batch.num_rows();
            }
            json!({"complete_since_version": table.complete_at(instant).await?, "rows": rows})
        }
    };
    out.record(&json!({
        "table": table.path(),
        "instant": instant.to_string(),
        "by_commit": current,
        "by_knowledge": known,
    }))?;
    say("by_commit: the version that had been written by then; by_knowledge: rows of the newest version known by then");
    match current["version"].as_u64() {
        Some(version) => next(&format!("tidemill dataset show {}@{version} --rows 5", table.path())),
        None => next(&format!("tidemill dataset show {}", table.path())),
    }
    Ok(0)
}

/// Compares two versions.
pub(super) async fn diff(target: &Target, storage: &Storage, out: Output, args: &DiffArgs) -> Result<u8> {
    let left = pinned::open(target, storage, &args.left).await?;
    let right = pinned::open(target, storage, &args.right).await?;
    let side = |pinned: &'_ pinned::Pinned| -> (tidemill_dataset::Table, tidemill_dataset::Snapshot) {
        (pinned.table.clone(), pinned.snapshot.clone())
    };
    let ((a, old), (b, new)) = (side(&left), side(&right));
    let mut found =
        tidemill_dataset::diff::diff(Side { table: &a, snapshot: &old }, Side { table: &b, snapshot: &new }).await?;
    // Values are shown as those of rows are.
    let masks = masked::found(&b, &new, &classify::known(target, b.path()).await?).await?;
    found.mask(|column| masks.covers(column), |column, value| masks.text(column, value));
    let hashes = match args.hash {
        false => None,
        true => Some((a.content_hash(&old, None).await?.hash, b.content_hash(&new, None).await?.hash)),
    };
    let stale = match a.path() == b.path() {
        false => Some(Vec::new()),
        true => match stale::models(target, storage, &a, [&old, &new]).await {
            Ok(models) => Some(models),
            Err(error) => {
                say(&format!("which models become stale is not known: {}", error.text()));
                None
            }
        },
    };
    let same = hashes.as_ref().map(|(left, right)| left == right);
    if out.is_table() {
        shown(out, &found, stale.as_deref())?;
    } else {
        let mut record = serde_json::to_value(&found).map_err(|e| Error::Output(e.into()))?;
        if let (Some(fields), Some((left, right))) = (record.as_object_mut(), &hashes) {
            fields.insert("content_hash".to_owned(), json!({"left": left, "right": right, "same": same}));
        }
        if let Some(fields) = record.as_object_mut() {
            fields.insert("stale_models".to_owned(), json!(stale));
        }
        out.record(&record)?;
    }
    if let Some(same) = same {
        say(if same { "the content is the same, row for row" } else { "the content differs" });
    }
    next(&format!("tidemill dataset export {} --out FILE", args.right));
    let differs =
        found.rows_more != 0 || !found.schema.is_empty() || found.differing().count() > 0 || same == Some(false);
    Ok(if args.check && differs { 3 } else { 0 })
}

/// For people: what happened in a few lines, then the columns.
fn shown(out: Output, found: &TableDiff, stale: Option<&[Stale]>) -> Result<()> {
    let named = |side: &tidemill_dataset::diff::VersionFacts| format!("{}@{}", side.table, side.version);
    let changed = found.schema.iter().map(|change| {
        let said = |side: &Option<String>| side.clone().unwrap_or_else(|| "absent".to_owned());
        format!("{}: {} -> {}", change.column, said(&change.left), said(&change.right))
    });
    let compared = match found.compared {
        Compared::AddedRows => "rows of the left version with those added since",
        Compared::WholeTables => "all rows of both sides",
    };
    let origin = match found.origin {
        Origin::StoredProfiles => "stored profiles",
        Origin::Rows => "the rows, read now",
    };
    out.record(&json!({
        "left": named(&found.left),
        "right": named(&found.right),
        "rows": format!("{} -> {} ({:+})", found.left.rows, found.right.rows, found.rows_more),
        "schema": changed.collect::<Vec<_>>(),
        "compared": format!("{compared}: {} with {}", found.left_rows, found.right_rows),
        "from": origin,
        "stale_models": stale.map(|models| models.iter().map(named_model).collect::<Vec<_>>()),
    }))?;
    let rows: Vec<Value> = found.columns.iter().map(row).collect();
    out.rows(&["column", "differs", "psi", "limit", "size", "ks", "missing", "mean", "new_values"], &rows)
}

fn named_model(stale: &Stale) -> String {
    let aliases = if stale.aliases.is_empty() { String::new() } else { format!(", {}", stale.aliases.join(", ")) };
    format!("{} ({}{aliases}), trained on version {}", stale.model, stale.digest.short(), stale.trained_on)
}

fn row(column: &ColumnDiff) -> Value {
    let pair = |left: Option<f64>, right: Option<f64>| match (left, right) {
        (Some(left), Some(right)) => json!(format!("{left:.4} -> {right:.4}")),
        _ => Value::Null,
    };
    let facts = (&column.left, &column.right);
    json!({
        "column": column.name,
        "differs": column.differs,
        "psi": column.psi,
        "limit": column.psi_limit,
        "size": column.band,
        "ks": column.ks,
        "missing": pair(Some(facts.0.missing_share), Some(facts.1.missing_share)),
        "mean": pair(facts.0.mean, facts.1.mean),
        "new_values": column.new_values.join(" "),
    })
}
