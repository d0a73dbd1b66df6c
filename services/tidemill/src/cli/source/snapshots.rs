//! `source snapshots`: what HTTP sources answered, and when; what was known at an instant.

use crate::cli::masking::Unmask;
use crate::cli::output::{Output, next, say};
use crate::cli::target::Target;
use crate::error::{Error, Result};
use clap::Subcommand;
use serde_json::Value;
use std::path::PathBuf;
use tidemill_sources::{Kept, Snapshots};
use tidemill_spec::Source;
use tidemill_types::{Digest, Millis, SourceName};

const EXAMPLES: &str = "\
Examples:
  tidemill source snapshots ls stations
  tidemill source snapshots at stations 2024-03-01T12:00:00Z
  tidemill source snapshots show stations 4f1c --out stations.json
A body is kept once, however often it came; `dataset vacuum` drops those that are older than retention keeps rows.";

/// `tidemill source snapshots …`.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SnapshotsCommand {
    /// List the fetches that brought something new, newest first.
    #[command(after_help = EXAMPLES)]
    Ls {
        /// The source.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        /// Most of them.
        #[arg(long, default_value_t = 50, value_name = "N")]
        limit: usize,
    },
    /// Say what was known at an instant: of each address the newest body that had been fetched by then.
    #[command(after_help = EXAMPLES)]
    At {
        /// The source.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        /// The instant: 2013-06-01 or 2013-06-01T12:00:00Z.
        #[arg(value_name = "INSTANT", value_parser = crate::cli::instant)]
        instant: Millis,
    },
    /// Write a body as it came.
    #[command(after_help = EXAMPLES)]
    Show {
        /// The source.
        #[arg(value_name = "SOURCE")]
        source: SourceName,
        /// Digest of the body, or its beginning.
        #[arg(value_name = "SHA256")]
        digest: String,
        /// The file; without it, standard output.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        unmask: Unmask,
    },
}

/// Runs the command.
pub(super) async fn run(target: &Target, out: Output, command: SnapshotsCommand) -> Result<u8> {
    let (SnapshotsCommand::Ls { source, .. }
    | SnapshotsCommand::At { source, .. }
    | SnapshotsCommand::Show { source, .. }) = &command;
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let missing = || Error::NotFound { what: "source", name: source.to_string(), list: "tidemill source ls" };
    let declared = spec.sources.get(source).ok_or_else(missing)?;
    let snapshots = Snapshots::of(&target.storage()?, &spec.project, source);
    match command {
        SnapshotsCommand::Ls { limit, .. } => {
            let mut all = snapshots.all().await?;
            all.reverse();
            all.truncate(limit);
            listed(out, &all)
        }
        SnapshotsCommand::At { instant, .. } => listed(out, &snapshots.at(instant).await?),
        SnapshotsCommand::Show { source, digest, out: file, unmask } => {
            let digest = whole(&snapshots, &digest).await?;
            let what = format!("snapshot {} of {source}", digest.short());
            permitted(target, &what, declared, &unmask).await?;
            show(out, &snapshots, &digest, file).await
        }
    }
}

fn listed(out: Output, kept: &[Kept]) -> Result<u8> {
    let rows = kept.iter().map(serde_json::to_value).collect::<std::result::Result<Vec<Value>, _>>();
    let rows = rows.map_err(std::io::Error::other)?;
    out.rows(&["fetched_at", "url", "status", "bytes", "sha256", "license"], &rows)?;
    next("tidemill source snapshots show SOURCE SHA256");
    Ok(0)
}

/// The one digest that begins so.
async fn whole(snapshots: &Snapshots, beginning: &str) -> Result<Digest> {
    let mut found: Vec<Digest> = snapshots.all().await?.into_iter().map(|kept| kept.sha256).collect();
    found.retain(|digest| digest.as_str().starts_with(beginning));
    found.sort();
    found.dedup();
    match <[Digest; 1]>::try_from(found) {
        Ok([digest]) => Ok(digest),
        Err(found) if found.is_empty() => Err(missing(beginning)),
        Err(found) => Err(Error::Usage(format!("{} snapshots begin with {beginning}", found.len()))),
    }
}

fn missing(digest: &str) -> Error {
    let list = "tidemill source snapshots ls SOURCE";
    Error::NotFound { what: "snapshot", name: digest.to_owned(), list }
}

/// A body is shown as a whole or not at all: where personal data stands in it is not known.
async fn permitted(target: &Target, what: &str, declared: &Source, unmask: &Unmask) -> Result<()> {
    let masks = unmask.asked(target, what, declared.masks()).await?;
    if masks.is_empty() {
        return Ok(());
    }
    let named: Vec<&str> = masks.columns().collect();
    let named = named.join(", ");
    Err(Error::Usage(format!("the body holds personal data ({named}), as it came; --unmask shows it, and is noted")))
}

async fn show(out: Output, snapshots: &Snapshots, digest: &Digest, file: Option<PathBuf>) -> Result<u8> {
    let body = snapshots.body(digest).await?.ok_or_else(|| missing(digest.as_str()))?;
    match file {
        Some(path) => {
            std::fs::write(&path, &body).map_err(Error::file("write", &path))?;
            say(&format!("{} bytes in {}", body.len(), path.display()));
        }
        None => out.bytes(&body)?,
    }
    Ok(0)
}
