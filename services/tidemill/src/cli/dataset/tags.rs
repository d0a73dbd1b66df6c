//! `dataset tag`: immutable names for versions of tables.

use super::{pinned, source_of};
use crate::cli::output::{Output, next};
use crate::cli::prompt::given_or_asked;
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Args;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_contracts::paths;
use tidemill_dataset::{Processing, REPLACE, Table, Tag, TagDropped, TagQuality, TaggedTable, Tags};
use tidemill_quality::{Freshness, QualityReport, RuleResult, Tally, merge_results, score};
use tidemill_spec::Spec;
use tidemill_stats::TableProfile;
use tidemill_storage::Storage;
use tidemill_types::Millis;

/// What to name, or to show.
#[derive(Debug, Args)]
pub(in crate::cli) struct TagArgs {
    /// The name: lower-case letters, digits, `-`, `_`, `.`.
    #[arg(value_name = "TAG")]
    name: Option<String>,
    /// What it stands for.
    #[arg(value_name = "TABLE[@VERSION]")]
    tables: Vec<String>,
    /// What it is for.
    #[arg(long, default_value = "", value_name = "TEXT")]
    note: String,
    /// Say that it is no longer needed, so that vacuum may drop its files. Its name is never given again.
    #[arg(long, conflicts_with = "tables", requires = "name")]
    drop: bool,
    /// Why it is dropped.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Who gives or drops it.
    #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
    by: String,
}

/// Gives, shows, lists or drops tags.
pub(super) async fn run(target: &Target, storage: &Storage, out: Output, args: TagArgs) -> Result<u8> {
    let project = target.project().await?;
    let tags = Tags::new(storage, &project);
    let Some(name) = &args.name else {
        let rows: Vec<Value> = tags.all().await?.iter().map(|(tag, dropped)| row(tag, dropped.as_ref())).collect();
        out.rows(&["tag", "at", "by", "tables", "note", "dropped"], &rows)?;
        next("tidemill dataset tag NAME TABLE gives one");
        return Ok(0);
    };
    if args.drop {
        let reason = given_or_asked(args.reason, "why is it no longer needed", "--reason TEXT")?;
        tags.drop(name, &TagDropped { at: now(), by: args.by, reason }).await?;
    } else if !args.tables.is_empty() {
        let mut tables = Vec::new();
        for named in &args.tables {
            tables.push(tagged(target, storage, named).await?);
        }
        let processing = Some(processing(target).await);
        let (at, by, note) = (now(), args.by, args.note);
        tags.give(&Tag { name: name.clone(), project, at, by, note, tables, processing }).await?;
    }
    let missing = || Error::NotFound { what: "tag", name: name.clone(), list: "tidemill dataset tag" };
    let (tag, dropped) = tags.all().await?.into_iter().find(|(tag, _)| tag.name == *name).ok_or_else(missing)?;
    let mut record = serde_json::to_value(&tag).map_err(|e| Error::Output(e.into()))?;
    if let (Some(fields), Some(dropped)) = (record.as_object_mut(), &dropped) {
        fields.insert("dropped".to_owned(), json!(dropped));
    }
    out.record(&record)?;
    match tag.tables.first() {
        Some(first) => next(&format!("tidemill dataset diff {}@{name} {}", first.table, first.table)),
        None => next("tidemill dataset tag"),
    }
    Ok(0)
}

fn row(tag: &Tag, dropped: Option<&TagDropped>) -> Value {
    let tables: Vec<String> = tag.tables.iter().map(|t| format!("{}@{}", t.table, t.version)).collect();
    json!({
        "tag": tag.name,
        "at": tag.at.to_string(),
        "by": tag.by,
        "tables": tables.join(" "),
        "note": tag.note,
        "dropped": dropped.map(|dropped| dropped.reason.clone()),
    })
}

/// What a tag says of a table: its version, content and quality.
async fn tagged(target: &Target, storage: &Storage, named: &str) -> Result<TaggedTable> {
    let pinned::Pinned { table, snapshot } = pinned::open(target, storage, named).await?;
    let version = snapshot.version();
    Ok(TaggedTable {
        table: table.path().to_owned(),
        version,
        committed_at: table.version_adds(version).await?.committed_at,
        rows: snapshot.num_rows(),
        content_hash: table.content_hash(&snapshot, None).await?.hash,
        quality: quality(storage, &table, version).await?,
    })
}

/// This program, and the project in force where one can be asked.
async fn processing(target: &Target) -> Processing {
    let spec = async { target.spec(&target.bus().await?).await };
    let spec = spec.await.ok().map(|spec: Spec| spec.digest());
    Processing { program: env!("CARGO_PKG_VERSION").to_owned(), spec }
}

/// The quality of the rows of a clean version: of all its commits whose reports are stored, back to where its rows were
/// made anew or its columns were others.
async fn quality(storage: &Storage, table: &Table, version: u64) -> Result<Option<TagQuality>> {
    let Some((project, source)) = source_of(table.path()).filter(|_| table.path().starts_with("clean/")) else {
        return Ok(None);
    };
    let usage = |e: tidemill_types::id::BadName| Error::Usage(e.to_string());
    let (project, source) = (project.parse().map_err(usage)?, source.parse().map_err(usage)?);
    let raw = paths::raw_table(&project, &source);
    let mut merged = Merged::default();
    for version in (0..=version).rev() {
        let Ok(adds) = table.version_adds(version).await else { break };
        let Some(raw_version) = adds.txns.get(&raw) else { continue };
        let bytes = match storage.get(&paths::profile(&project, &source, *raw_version)).await {
            Ok(bytes) => Some(bytes),
            Err(tidemill_storage::Error::NotFound(_)) => None,
            Err(other) => return Err(other.into()),
        };
        let report = bytes.and_then(|bytes| QualityReport::from_json(&bytes).ok());
        let fits = report.is_none_or(|report| merged.add(&report));
        if !fits || adds.operation == REPLACE {
            break;
        }
    }
    Ok(merged.quality())
}

/// Reports of commits, newest first, as one.
#[derive(Default)]
struct Merged {
    commits: u64,
    checked: u64,
    quarantined: u64,
    /// How long the source was silent is judged by the newest report.
    freshness: Option<Freshness>,
    rules: Vec<RuleResult>,
    tally: Tally,
    profile: TableProfile,
}

impl Merged {
    /// Takes up a report; `false` when it is of other columns.
    fn add(&mut self, report: &QualityReport) -> bool {
        if self.profile.merge(&report.profile).is_err() {
            return false;
        }
        if self.commits == 0 {
            self.freshness = report.freshness;
        }
        self.commits += 1;
        self.checked += report.checked;
        self.quarantined += report.quarantined;
        merge_results(&mut self.rules, &report.rules);
        self.tally.merge(&report.tally);
        true
    }

    fn quality(self) -> Option<TagQuality> {
        if self.commits == 0 {
            return None;
        }
        let unpromised = Freshness { newest_known_at: None, at: Millis(0), within: None };
        let total = score(&self.tally, &self.freshness.unwrap_or(unpromised)).total;
        let failed = self.rules.into_iter().filter(|rule| rule.failed > 0);
        Some(TagQuality {
            score: total.map(|total| total / 100.0),
            checked: self.checked,
            quarantined: self.quarantined,
            failed_rules: failed.map(|rule| rule.id).collect(),
            commits: self.commits,
        })
    }
}

pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
