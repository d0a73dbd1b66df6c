//! Holds what was taken in from the stream against the clean table, which has the last word.
//!
//! Every row that stands in a new commit must have been taken in, and every row taken in up to where the table now
//! reaches must stand in it. Where that is not so (a commit that was blocked, a share that `mostly` asks for, a source that
//! waits for a classification, a repeated event that only ingestion recognised), the source is set back: all behind the
//! last commit that agreed is taken back, the rows of the table are put in its place, and the stream is read again behind
//! them. A start does the same, so what a checkpoint holds beyond the clean table never counts.

use super::ahead::{Difference, Row};
use super::state::{Shared, Standing, State};
use crate::error::FeatureServiceError;
use crate::store::Position;
use arrow::array::RecordBatch;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::Bus;
use tidemill_contracts::{commits, paths, subjects};
use tidemill_dataset::{Error as TableError, Snapshot, Table, VersionAdds};
use tidemill_features::Engine;
use tidemill_quality::{Memory, Rules};
use tidemill_spec::{Source, Spec};
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, names};
use tidemill_types::{Classified as _, ErrorKind, Millis, SourceName};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

/// Between two looks at the clean table.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Looks after which it is asked whether the stream is still the same.
const STREAM_EVERY: u64 = 4;
/// Newest versions that are asked what the table says of itself when its log is not followed from where it was left.
const RECENT: u64 = 16;

/// Why a source is set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    /// The role starts.
    Start,
    /// Validation decided on its first rows.
    Begun,
    /// Other rows stand in the clean table than were taken in.
    Rows,
    /// Validation holds the source.
    Held,
    /// Validation goes on with it.
    Released,
    /// The table was made anew, or lost versions.
    Rewritten,
}

impl Cause {
    fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Begun => "begun",
            Self::Rows => "rows",
            Self::Held => "held",
            Self::Released => "released",
            Self::Rewritten => "rewritten",
        }
    }
}

/// One source and its clean table.
pub(super) struct Settler {
    bus: Bus,
    source: SourceName,
    /// Name of the stream.
    name: String,
    /// `<stream>@<created>`, as the table notes it; empty while there is none.
    stream: String,
    clean: Table,
    rules: Arc<Rules>,
    shared: Shared,
    turns: watch::Sender<u64>,
    metrics: Metrics,
    /// Version up to which everything was dealt with.
    seen: Option<u64>,
    rewinds: u32,
    /// Whether setting back has begun and not ended.
    unfinished: bool,
}

impl Settler {
    pub(super) async fn open(
        (bus, storage): (&Bus, &Storage),
        spec: &Spec,
        (source, declared): (&SourceName, &Source),
        rules: Arc<Rules>,
        shared: Shared,
        metrics: &Metrics,
    ) -> Result<Self, FeatureServiceError> {
        let path = paths::clean_table(&spec.project, source);
        let name = subjects::events_stream(&spec.project, source);
        let before = |state: &State| state.sources.get(source).map(|standing| standing.settled.stream.clone());
        let before = before(&shared.state.read()).unwrap_or_default();
        Ok(Self {
            bus: bus.clone(),
            source: source.clone(),
            stream: followed(bus, &name, &before).await?,
            name,
            clean: Table::open_or_create(storage, &path, &declared.table_schema()).await?,
            rules,
            shared,
            turns: watch::Sender::new(0),
            metrics: metrics.clone(),
            seen: None,
            rewinds: 0,
            unfinished: false,
        })
    }

    /// Tells the turns of the source.
    pub(super) fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// Puts the source where its clean table is.
    pub(super) async fn start(&mut self) -> Result<(), FeatureServiceError> {
        self.set_back(Cause::Start, None).await
    }

    /// Follows the clean table until `stop`; a store or a bus that is away is waited for.
    pub(super) async fn run(mut self, stop: CancellationToken) -> Result<(), FeatureServiceError> {
        for nth in 1_u64.. {
            tokio::select! {
                () = stop.cancelled() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let looked = if nth.is_multiple_of(STREAM_EVERY) { self.look_at_stream().await } else { self.look().await };
            match looked {
                Err(error) if error.is_transient() => {
                    warn!(source = %self.source, %error, "the clean table cannot be followed for now");
                }
                looked => looked?,
            }
        }
        Ok(())
    }

    /// A stream that was made anew is followed once a person has accepted it.
    async fn look_at_stream(&mut self) -> Result<(), FeatureServiceError> {
        let stream = followed(&self.bus, &self.name, &self.stream).await?;
        if stream == self.stream {
            return self.look().await;
        }
        self.stream = stream;
        self.set_back(Cause::Rewritten, None).await
    }

    async fn look(&mut self) -> Result<(), FeatureServiceError> {
        let snapshot = self.clean.load().await?;
        if self.unfinished || snapshot.rewinds() != self.rewinds {
            return self.set_back(Cause::Rewritten, None).await;
        }
        if self.seen == Some(snapshot.version()) {
            return Ok(());
        }
        let Some((position, seq, flows)) = self.stands() else { return Ok(()) };
        let Some(versions) = self.since(&position, &snapshot).await? else {
            return self.set_back(Cause::Rewritten, None).await;
        };
        let held = versions.iter().rev().find_map(is_held).unwrap_or(!flows && position.seq > 0);
        let decided = covered(&snapshot, &self.stream).await? > 0;
        match (flows, decided && !held) {
            (false, false) => {
                self.seen = Some(snapshot.version());
                return Ok(());
            }
            (true, false) => return self.set_back(Cause::Held, None).await,
            (false, true) if position.seq == 0 => return self.set_back(Cause::Begun, None).await,
            (false, true) => return self.set_back(Cause::Released, None).await,
            (true, true) => {}
        }
        // What the consumer has not reached yet cannot be compared yet.
        let reached = versions.iter().take_while(|v| v.txns.get(&self.stream).is_none_or(|last| *last <= signed(seq)));
        let reached: Vec<&VersionAdds> = reached.collect();
        if reached.len() == versions.len() {
            self.seen = Some(snapshot.version());
        }
        let Some((noted, until)) = reached.iter().rev().find_map(|v| Some((v.version, *v.txns.get(&self.stream)?)))
        else {
            return Ok(());
        };
        let mut rows = Vec::new();
        for version in &reached {
            for batch in self.clean.read_files(&version.files, Some(&Row::COLUMNS)).await? {
                rows.extend(Row::all(&batch)?);
            }
        }
        let count = rows.len() as u64;
        let watermark = reached.iter().filter_map(|v| said(v)).max();
        let settled = self.shared.change(&self.source, |_, standing| {
            let newest = standing.ahead.settle(until, rows)?;
            let settled = &mut standing.settled;
            (settled.seq, settled.version, settled.rows) = (unsigned(until), noted, settled.rows + count);
            settled.watermark = settled.watermark.max(watermark);
            settled.newest = settled.newest.max(newest);
            Ok::<_, Difference>(())
        });
        match settled {
            Some(Err(difference)) => self.set_back(Cause::Rows, Some(difference)).await,
            _ => Ok(()),
        }
    }

    /// Puts the source where its clean table is, and lets the stream be read again behind that.
    async fn set_back(&mut self, cause: Cause, difference: Option<Difference>) -> Result<(), FeatureServiceError> {
        let snapshot = self.clean.load().await?;
        let Some((position, _, _)) = self.stands() else { return Ok(()) };
        let since = self.since(&position, &snapshot).await?;
        let mut recent: Vec<VersionAdds> = match &since {
            Some(versions) if !versions.is_empty() => versions.clone(),
            _ => self.clean.history(RECENT).await?,
        };
        recent.sort_by_key(|version| std::cmp::Reverse(version.version));
        let done = covered(&snapshot, &self.stream).await?;
        let held = recent.iter().find_map(is_held).unwrap_or(false);
        (self.unfinished, self.rewinds) = (true, snapshot.rewinds());
        let after = since.is_some().then_some(signed(position.seq));
        let begun = |engine: &mut Engine, standing: &mut Standing| {
            let ahead = begin(standing, after, cause);
            engine.take_back(&self.source, after, standing.settled.newest)?;
            Ok::<_, FeatureServiceError>(ahead)
        };
        let ahead = self.shared.change(&self.source, begun).transpose()?.unwrap_or(0);
        let retracted = if cause == Cause::Held { ahead } else { difference.map_or(0, |d| d.surplus) };
        self.fill(&snapshot, since, done).await?;
        let memory = self.remembered(&snapshot).await?;
        let noted = recent.iter().find(|v| v.txns.contains_key(&self.stream)).map(|v| v.version);
        let watermark = recent.iter().filter_map(said).max();
        let turn = self.shared.change(&self.source, |_, standing| {
            let settled = &mut standing.settled;
            settled.stream.clone_from(&self.stream);
            settled.seq = unsigned(done);
            settled.retracted += retracted;
            settled.version = noted.unwrap_or(if after.is_some() { settled.version } else { snapshot.version() });
            settled.watermark = settled.watermark.max(watermark);
            (standing.seq, standing.watermark, standing.memory) = (settled.seq, settled.watermark, memory);
            standing.flows = done > 0 && !held;
            standing.waits = held || standing.seq < standing.regain;
            standing.turn
        });
        self.turns.send_replace(turn.unwrap_or_default());
        (self.unfinished, self.seen) = (false, Some(snapshot.version()));
        self.tell(cause, retracted, difference);
        Ok(())
    }

    /// Where the source stands: what is settled, the last sequence taken in, whether rows are taken in.
    fn stands(&self) -> Option<(Position, u64, bool)> {
        let state = self.shared.state.read();
        let standing = state.sources.get(&self.source)?;
        Some((standing.settled.clone(), standing.seq, standing.flows))
    }

    /// What the table did since a position; `None` when it cannot be followed from there, because it is another table, its
    /// log is gone, or its rows were made anew.
    async fn since(
        &self,
        position: &Position,
        snapshot: &Snapshot,
    ) -> Result<Option<Vec<VersionAdds>>, FeatureServiceError> {
        if position.stream != self.stream || position.is_mixed || position.version > snapshot.version() {
            return Ok(None);
        }
        if position.version > 0 {
            match self.clean.version_adds(position.version).await {
                Ok(adds) if adds.txns.get(&self.stream) == Some(&signed(position.seq)) => {}
                Ok(_) | Err(TableError::Absent { .. }) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
        match self.clean.added_between(position.version, snapshot.version()).await {
            // Rows of another stream have sequences of their own.
            Ok(versions) if versions.iter().any(|v| !v.files.is_empty() && !v.txns.contains_key(&self.stream)) => {
                Ok(None)
            }
            Ok(versions) => Ok(Some(versions)),
            Err(TableError::Absent { .. } | TableError::Rewritten { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes in the rows of some versions, or of the whole table.
    async fn fill(
        &self,
        snapshot: &Snapshot,
        since: Option<Vec<VersionAdds>>,
        done: i64,
    ) -> Result<(), FeatureServiceError> {
        let Some(versions) = since else {
            let mut scan = self.clean.scan(snapshot, None, None);
            while let Some(batch) = scan.next().await? {
                self.push(&batch, done)?;
            }
            return Ok(());
        };
        for file in versions.into_iter().flat_map(|version| version.files) {
            for batch in self.clean.read_files(std::slice::from_ref(&file), None).await? {
                self.push(&batch, done)?;
            }
        }
        Ok(())
    }

    fn push(&self, batch: &RecordBatch, done: i64) -> Result<(), FeatureServiceError> {
        let rows = Row::all(batch)?;
        let newest = rows.iter().map(|row| Millis(row.known)).max();
        let is_mixed = rows.iter().any(|row| row.seq > done);
        let pushed = self.shared.change(&self.source, |engine, standing| {
            let settled = &mut standing.settled;
            settled.rows += rows.len() as u64;
            settled.newest = settled.newest.max(newest);
            settled.is_mixed |= is_mixed;
            engine.push(&self.source, batch)
        });
        pushed.transpose()?;
        let labels = [("source", self.source.as_str())];
        self.metrics.counter(names::FEATURE_EVENTS_APPLIED).add(&labels, batch.num_rows() as u64);
        Ok(())
    }

    /// What the rules remember of the rows of the table.
    async fn remembered(&self, snapshot: &Snapshot) -> Result<Memory, FeatureServiceError> {
        let mut memory = Memory::new(&self.rules, Memory::CAPACITY);
        let columns = self.rules.remembered_columns();
        if columns.is_empty() {
            return Ok(memory);
        }
        let mut scan = self.clean.scan(snapshot, Some(&columns), None);
        while let Some(batch) = scan.next().await? {
            memory.remember(&self.rules, &batch)?;
        }
        Ok(memory)
    }

    fn tell(&self, cause: Cause, retracted: u64, difference: Option<Difference>) {
        if cause == Cause::Start {
            return;
        }
        let (source, missing) = (self.source.as_str(), difference.map_or(0, |d| d.missing));
        let labels = [("source", source), ("cause", cause.name())];
        self.metrics.counter(names::FEATURE_SET_BACKS).add(&labels, 1);
        self.metrics.counter(names::FEATURE_RETRACTED).add(&labels[..1], retracted);
        info!(source, cause = cause.name(), retracted, missing, "the online state was set back to the clean table");
    }
}

/// Forgets what is not settled, and of what is settled everything when the table is not followed from there. Gives the
/// number of rows that were ahead.
fn begin(standing: &mut Standing, after: Option<i64>, cause: Cause) -> u64 {
    if after.is_none() {
        let Position { late, retracted, .. } = standing.settled;
        standing.settled = Position { late, retracted, ..Position::default() };
    }
    standing.turn += 1;
    standing.flows = false;
    standing.waits = cause != Cause::Start;
    standing.regain = standing.regain.max(standing.seq);
    standing.watermark = standing.settled.watermark;
    standing.ahead.clear()
}

/// The stream to follow, as ingestion follows it: the one before while there is none, or one that nobody has accepted.
async fn followed(bus: &Bus, name: &str, before: &str) -> Result<String, FeatureServiceError> {
    let found = match bus.incarnation(name).await {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(before.to_owned()),
        Err(error) => return Err(error.into()),
    };
    let is_meant = before.is_empty() || found == before || tidemill_intake::is_accepted(bus, name, &found).await?;
    Ok(if is_meant { found } else { before.to_owned() })
}

async fn covered(snapshot: &Snapshot, stream: &str) -> Result<i64, FeatureServiceError> {
    Ok(snapshot.done(stream).await?.unwrap_or(0))
}

/// Whether a version says that the source is held, if it says anything of it.
fn is_held(version: &VersionAdds) -> Option<bool> {
    commits::held(&version.metadata, &version.txns).map(|columns| columns.is_some())
}

/// The watermark that a version says.
fn said(version: &VersionAdds) -> Option<Millis> {
    version.metadata.get(commits::WATERMARK)?.parse().ok().map(Millis)
}

/// Sequences are noted signed, as the table format has it.
fn signed(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}

fn unsigned(seq: i64) -> u64 {
    u64::try_from(seq).unwrap_or(0)
}
