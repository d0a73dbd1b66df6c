//! What became of the letters, as the bucket beside them says.

use crate::error::{Error, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_bus::{Bus, Kv, KvSpec};
use tidemill_contracts::letters::{BUCKET, LetterEntry, LetterState, key};
use tidemill_types::{Millis, ProjectName};

/// Entries asked for at once.
const AT_ONCE: usize = 32;

/// The entries of a project. Held are the numbers of all, and what stands in those of the letters in hand.
pub(super) struct Book {
    kv: Kv,
    project: ProjectName,
    noted: HashSet<u64>,
    entries: HashMap<u64, LetterEntry>,
}

impl Book {
    /// Reads which letters have an entry.
    pub(super) async fn open(bus: &Bus, project: &ProjectName) -> Result<Self> {
        let kv = Kv::open(bus, &KvSpec::new(BUCKET)).await?;
        let own = format!("{project}.");
        let keys = kv.keys().await?;
        let noted = keys.iter().filter_map(|name| name.strip_prefix(&own)?.parse().ok()).collect();
        Ok(Self { kv, project: project.clone(), noted, entries: HashMap::new() })
    }

    /// Takes these letters in hand, and puts down those before.
    pub(super) async fn turn_to(&mut self, letters: impl Iterator<Item = u64>) -> Result<()> {
        let noted: Vec<u64> = letters.filter(|seq| self.noted.contains(seq)).collect();
        let read = futures::stream::iter(noted).map(|seq| self.read(seq)).buffer_unordered(AT_ONCE);
        let read: Vec<(u64, Option<LetterEntry>)> = read.try_collect().await?;
        self.entries = read.into_iter().filter_map(|(seq, entry)| Some((seq, entry?))).collect();
        Ok(())
    }

    async fn read(&self, seq: u64) -> Result<(u64, Option<LetterEntry>)> {
        let stored = self.kv.get(&key(&self.project, seq)).await?.and_then(|entry| entry.value);
        Ok((seq, stored.and_then(|value| serde_json::from_slice(&value).ok())))
    }

    /// The entry of a letter in hand.
    pub(super) fn entry(&self, seq: u64) -> Option<&LetterEntry> {
        self.entries.get(&seq)
    }

    /// The state of a letter in hand.
    pub(super) fn state(&self, seq: u64) -> LetterState {
        self.entry(seq).map_or(LetterState::Open, |entry| entry.state)
    }

    /// Notes what became of a letter.
    pub(super) async fn note(&mut self, seq: u64, entry: LetterEntry) -> Result<()> {
        let text = serde_json::to_vec(&entry).map_err(|e| Error::Output(e.into()))?;
        self.kv.put(&key(&self.project, seq), text).await?;
        self.noted.insert(seq);
        self.entries.insert(seq, entry);
        Ok(())
    }
}

/// The instant of an entry.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
