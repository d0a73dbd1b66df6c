//! The poison guard: a message that kills the process is not decoded for ever.
//!
//! The cursor of the table does not move when the process dies while decoding. So a count of starts at the same
//! cursor, kept on the bus, tells a crash loop. From the third start on, every message is announced durably
//! before it is decoded, one at a time; one that stood announced at two starts is the one that kills. Once is not
//! enough: a process may be killed from outside while it decodes an innocent message.

use crate::error::IntakeError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_bus::Kv;

/// Starts at one cursor that are still normal.
const NORMAL_STARTS: u32 = 2;
/// Deaths under a message that convict it.
const DEATHS: u32 = 2;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    cursor: i64,
    starts: u32,
    attempting: Option<i64>,
    /// Deaths by the sequence that was announced.
    deaths: BTreeMap<i64, u32>,
}

/// Watches one stream for messages that kill.
pub(crate) struct Guard {
    kv: Kv,
    key: String,
    record: Record,
}

impl Guard {
    /// Notes a start at `cursor`.
    pub(crate) async fn start(kv: Kv, key: String, cursor: i64) -> Result<Self, IntakeError> {
        let stored = kv.get(&key).await?;
        let mut record: Record = stored.and_then(|e| serde_json::from_slice(&e.value?).ok()).unwrap_or_default();
        if record.cursor != cursor {
            record = Record { cursor, ..Record::default() };
        }
        if let Some(seq) = record.attempting.take() {
            *record.deaths.entry(seq).or_default() += 1;
        }
        record.starts += 1;
        let guard = Self { kv, key, record };
        guard.save().await?;
        Ok(guard)
    }

    /// Whether messages must be announced and decoded one at a time.
    pub(crate) fn careful(&self) -> bool {
        self.record.starts > NORMAL_STARTS
    }

    /// Whether this message has killed the process often enough.
    pub(crate) fn is_poison(&self, seq: i64) -> bool {
        self.record.deaths.get(&seq).is_some_and(|deaths| *deaths >= DEATHS)
    }

    /// Announces a message that is about to be decoded.
    pub(crate) async fn announce(&mut self, seq: i64) -> Result<(), IntakeError> {
        self.record.attempting = Some(seq);
        self.save().await
    }

    /// The announced message was survived.
    pub(crate) async fn survived(&mut self) -> Result<(), IntakeError> {
        match self.record.attempting.take() {
            Some(_) => self.save().await,
            None => Ok(()),
        }
    }

    /// Goes on at another cursor after a race for the commit was lost, which is no start.
    pub(crate) fn moved(&mut self, cursor: i64) {
        if self.record.cursor != cursor {
            self.record = Record { cursor, ..Record::default() };
        }
    }

    /// A commit went through, or the process ends in good order: this is no crash loop.
    pub(crate) async fn passed(&mut self, cursor: i64) -> Result<(), IntakeError> {
        let calm = self.record.starts == 0;
        self.record = Record { cursor, ..Record::default() };
        // In quiet running there is nothing to write: a later crash is compared with a cursor that has moved.
        if calm { Ok(()) } else { self.save().await }
    }

    async fn save(&self) -> Result<(), IntakeError> {
        let text = serde_json::to_vec(&self.record).unwrap_or_default();
        self.kv.put(&self.key, text).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_bus::KvSpec;
    use tidemill_testkit::Nats;

    #[tokio::test]
    async fn a_message_under_which_two_processes_died_is_poison_until_the_cursor_moves() {
        let nats = Nats::start().await.unwrap();
        let kv = Kv::open(&nats.bus().await.unwrap(), &KvSpec::new("heads")).await.unwrap();
        let start = |cursor| Guard::start(kv.clone(), "guard.S".to_owned(), cursor);
        for _ in 0..2 {
            assert!(!start(7).await.unwrap().careful(), "two starts are normal");
        }
        for deaths in 0..2 {
            let mut guard = start(7).await.unwrap();
            assert!(guard.careful() && !guard.is_poison(9), "{deaths} deaths under 9");
            guard.announce(8).await.unwrap();
            guard.survived().await.unwrap();
            guard.announce(9).await.unwrap();
        }
        let mut guard = start(7).await.unwrap();
        assert!(guard.is_poison(9) && !guard.is_poison(8));
        guard.passed(12).await.unwrap();
        let guard = start(12).await.unwrap();
        assert!(!guard.careful() && !guard.is_poison(9));
    }
}
