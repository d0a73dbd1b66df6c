//! Files below a folder or an S3 prefix: each taken once it is complete, row by row, once.

mod arrow_ipc;
mod batches;
mod csv;
mod jsonl;
mod parquet;
pub(crate) mod read;
mod scratch;
mod take;
mod watch;

pub(crate) use csv::{endless, fault as csv_fault};
pub(crate) use read::{Compression, format_of};
pub(crate) use scratch::Scratch;

use crate::error::Result;
use crate::ledger::Ledger;
use crate::puller::Puller;
use crate::secret;
use crate::text::Rules;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Instant;
use tidemill_spec::FilesOrigin;
use tidemill_storage::Storage;
use tokio_util::sync::CancellationToken;
use watch::Watch;

/// Name of this kind in headers and keys.
const KIND: &str = "files";

/// What is known of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Taken {
    /// Path below the watched place.
    path: String,
    /// Size and time when it was looked at last.
    size: u64,
    modified: i64,
    /// SHA-256 of the content that was taken.
    digest: String,
    /// Number of this content, from 1.
    revision: u64,
    /// Rows of it that are on the stream.
    rows: u64,
    /// Whether nothing is left to do with this content.
    done: bool,
    /// Whether rows of an earlier content are on the stream.
    #[serde(default)]
    had_rows: bool,
}

/// State of one run of the puller.
struct Run<'a> {
    puller: &'a Puller,
    origin: &'a FilesOrigin,
    rules: Rules,
    place: Storage,
    ledger: Ledger,
    known: HashMap<String, Taken>,
}

/// Watches until `stop`. An error ends this run; the next one begins with what the stream says.
pub(crate) async fn run(
    puller: &Puller,
    origin: &FilesOrigin,
    stop: &CancellationToken,
    failures: &mut u32,
) -> Result<()> {
    let place = Storage::open(&origin.url, &secret::s3(origin.s3.as_ref())?)?;
    let rules = Rules::new(&puller.declared, &origin.text);
    let (mut ledger, _) = Ledger::open(&puller.bus, &puller.project, &puller.source, KIND).await?;
    let mut stored: HashMap<String, Taken> = HashMap::new();
    ledger
        .catch_up(|_, stamp| {
            let taken = Taken {
                path: stamp.object.clone(),
                digest: stamp.digest,
                revision: stamp.revision,
                rows: stamp.first + stamp.rows,
                ..Taken::default()
            };
            // Of one file, later messages reach further.
            stored.insert(stamp.object, taken);
        })
        .await?;
    let mut run = Run { puller, origin, rules, place, ledger, known: HashMap::new() };
    run.recover(stored).await?;
    let mut watch = Watch::new(origin);
    loop {
        let began = Instant::now();
        for file in watch.complete(run.place.list("").await?) {
            run.take(&file, stop).await?;
            if stop.is_cancelled() {
                return Ok(());
            }
        }
        if !puller.looked(began, origin.every, failures, stop).await {
            return Ok(());
        }
    }
}

impl Run<'_> {
    /// Joins what the stream says with what is noted: of one content the further position, else the later revision.
    async fn recover(&mut self, stored: HashMap<String, Taken>) -> Result<()> {
        for seen in stored.into_values() {
            let noted = self.noted(&seen.path).await?;
            let newer = match &noted {
                None => true,
                Some(noted) if noted.revision == seen.revision => noted.rows < seen.rows && !noted.done,
                Some(noted) => noted.revision < seen.revision,
            };
            if newer {
                self.known.insert(seen.path.clone(), seen);
            }
        }
        Ok(())
    }

    /// What is known of a file, from memory or from the notes.
    async fn noted(&mut self, path: &str) -> Result<Option<Taken>> {
        if let Some(known) = self.known.get(path) {
            return Ok(Some(known.clone()));
        }
        let noted: Option<Taken> = self.ledger.object(path).await?;
        if let Some(noted) = &noted {
            self.known.insert(path.to_owned(), noted.clone());
        }
        Ok(noted)
    }

    /// Notes what is known of a file, then that everything on the stream is taken account of: what was recovered from
    /// the stream and never noted is noted with it.
    async fn note(&mut self, taken: Taken) -> Result<()> {
        self.ledger.note_object(&taken.path, &taken).await?;
        self.known.insert(taken.path.clone(), taken);
        for unfinished in self.known.values().filter(|taken| !taken.done) {
            self.ledger.note_object(&unfinished.path, unfinished).await?;
        }
        self.ledger.note(&()).await
    }
}
