//! What became of the letters, as the bucket beside them says.

use crate::error::{Error, Result};
use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};
use tidemill_bus::{Bus, Kv, KvSpec};
use tidemill_contracts::letters::{BUCKET, LetterEntry, LetterState, key};
use tidemill_types::{Millis, ProjectName};

/// All entries of a project.
pub(super) struct Book {
    kv: Kv,
    project: ProjectName,
    entries: HashMap<u64, LetterEntry>,
}

impl Book {
    /// Reads the entries.
    pub(super) async fn open(bus: &Bus, project: &ProjectName) -> Result<Self> {
        let kv = Kv::open(bus, &KvSpec::new(BUCKET)).await?;
        let mut entries = HashMap::new();
        for name in kv.keys().await? {
            let Some(seq) = name.strip_prefix(&format!("{project}.")).and_then(|seq| seq.parse().ok()) else {
                continue;
            };
            let stored = kv.get(&name).await?.and_then(|entry| entry.value);
            if let Some(entry) = stored.and_then(|value| serde_json::from_slice(&value).ok()) {
                entries.insert(seq, entry);
            }
        }
        Ok(Self { kv, project: project.clone(), entries })
    }

    /// The entry of a letter.
    pub(super) fn entry(&self, seq: u64) -> Option<&LetterEntry> {
        self.entries.get(&seq)
    }

    /// The state of a letter.
    pub(super) fn state(&self, seq: u64) -> LetterState {
        self.entry(seq).map_or(LetterState::Open, |entry| entry.state)
    }

    /// Notes what became of a letter.
    pub(super) async fn note(&mut self, seq: u64, entry: LetterEntry) -> Result<()> {
        let text = serde_json::to_vec(&entry).map_err(|e| Error::Output(e.into()))?;
        self.kv.put(&key(&self.project, seq), text).await?;
        self.entries.insert(seq, entry);
        Ok(())
    }
}

/// The instant of an entry.
pub(super) fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
