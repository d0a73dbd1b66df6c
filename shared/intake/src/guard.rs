//! The poison guard: a message that kills the process is not decoded for ever.
//!
//! The cursor of the table does not move when the process dies while decoding. Each life of a process has an entry
//! on the bus from its start until its first commit or its end in good order, so entries of others at the same cursor
//! tell a crash loop. From the third start on, every message is announced durably before it is decoded, one at a time;
//! one under which lives ended in three rounds is the one that kills. Once is not enough: a process may be killed from
//! outside while it decodes an innocent message. Neither is it that two ended: one power cut takes all who live beside
//! each other and decode the same. So lives count by rounds: who begins knowing of deaths is of the round after theirs.
//!
//! An intake that begins again within its process is the same life. Another process may live beside this one: its entry
//! makes us careful, no more, since its announcements change while it lives.

use crate::error::IntakeError;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;
use tidemill_bus::{Error as BusError, Kv};

/// Other lives at one cursor that are still normal.
const NORMAL: usize = 2;
/// Rounds of lives that ended under a message which convict it.
const ROUNDS: usize = 3;

/// Names one life of a process: from its start to its end, however often an intake begins anew meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life(String);

impl Life {
    /// A new life.
    #[must_use]
    pub fn begin() -> Self {
        // A fresh hasher is seeded at random.
        Self(format!("{:016x}", RandomState::new().build_hasher().finish()))
    }
}

/// What is kept of a stream: the lives that neither committed nor ended in good order since they began.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(default)]
    lives: BTreeMap<String, Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    cursor: i64,
    attempting: Option<i64>,
    /// Grows with every announcement.
    announced: u64,
    /// One more than that of the deaths that were known when the life began.
    #[serde(default)]
    round: u32,
}

/// Watches one stream for messages that kill.
pub(crate) struct Guard {
    kv: Kv,
    key: String,
    life: Life,
    own: Entry,
    /// Whether the record holds an entry of this life.
    is_noted: bool,
    /// Other lives at the same cursor.
    others: Vec<String>,
    /// Rounds in which lives ended, by the sequence that they had announced.
    deaths: BTreeMap<i64, BTreeSet<u32>>,
}

impl Guard {
    /// Notes that `life` begins at `cursor` of a stream. An announcement that still stands after `patience` is that of a
    /// life that ended.
    pub(crate) async fn start(
        kv: Kv,
        stream: &str,
        life: Life,
        cursor: i64,
        patience: Duration,
    ) -> Result<Self, IntakeError> {
        let own = Entry { cursor, attempting: None, announced: 0, round: 0 };
        let (key, others, deaths) = (format!("guard.{stream}"), Vec::new(), BTreeMap::new());
        let mut guard = Self { kv, key, life, own, is_noted: true, others, deaths };
        let (name, own) = (&guard.life.0, &guard.own);
        let begun = guard.change(|lives| {
            // Who began before what is committed now has nothing to do with what is read next.
            lives.retain(|_, entry| entry.cursor >= cursor);
            lives.insert(name.clone(), own.clone());
        });
        let begun = begun.await?;
        let others = begun.lives.iter().filter(|(other, entry)| *other != name && entry.cursor == cursor);
        let others: BTreeMap<&String, &Entry> = others.collect();
        if others.values().any(|entry| entry.attempting.is_some()) {
            tokio::time::sleep(patience).await;
        }
        let (later, _) = guard.read().await?;
        let mut deaths = BTreeMap::<i64, BTreeSet<u32>>::new();
        for (other, entry) in &others {
            if let Some(seq) = entry.attempting.filter(|_| later.lives.get(*other) == Some(*entry)) {
                deaths.entry(seq).or_default().insert(entry.round);
            }
        }
        guard.own.round = deaths.values().flatten().max().map_or(0, |round| round + 1);
        let others = others.into_keys().cloned().collect();
        (guard.others, guard.deaths) = (others, deaths);
        Ok(guard)
    }

    /// Whether messages must be announced and decoded one at a time.
    pub(crate) fn careful(&self) -> bool {
        self.others.len() >= NORMAL
    }

    /// Whether this message has ended processes often enough.
    pub(crate) fn is_poison(&self, seq: i64) -> bool {
        self.deaths.get(&seq).is_some_and(|rounds| rounds.len() >= ROUNDS)
    }

    /// Announces a message that is about to be decoded.
    pub(crate) async fn announce(&mut self, seq: i64) -> Result<(), IntakeError> {
        self.own.attempting = Some(seq);
        self.save().await
    }

    /// The announced message was survived.
    pub(crate) async fn survived(&mut self) -> Result<(), IntakeError> {
        match self.own.attempting.take() {
            Some(_) => self.save().await,
            None => Ok(()),
        }
    }

    /// Goes on at another cursor after a race for the commit was lost.
    pub(crate) fn moved(&mut self, cursor: i64) {
        if self.own.cursor != cursor {
            self.own.cursor = cursor;
            self.deaths.clear();
        }
    }

    /// A commit went through, or the process ends in good order: this is no crash loop.
    pub(crate) async fn passed(&mut self, cursor: i64) -> Result<(), IntakeError> {
        self.moved(cursor);
        // In quiet running there is nothing to write.
        if !std::mem::take(&mut self.is_noted) {
            return Ok(());
        }
        let others = std::mem::take(&mut self.others);
        self.change(|lives| lives.retain(|life, _| *life != self.life.0 && !others.contains(life))).await?;
        Ok(())
    }

    async fn save(&mut self) -> Result<(), IntakeError> {
        self.own.announced += 1;
        let note = |lives: &mut BTreeMap<String, Entry>| {
            lives.insert(self.life.0.clone(), self.own.clone());
        };
        self.change(note).await?;
        self.is_noted = true;
        Ok(())
    }

    /// The record and its revision.
    async fn read(&self) -> Result<(Record, u64), IntakeError> {
        let Some(entry) = self.kv.get(&self.key).await? else { return Ok((Record::default(), 0)) };
        let record = entry.value.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
        Ok((record, entry.revision))
    }

    /// Changes the record, whoever else changes it meanwhile.
    async fn change(&self, change: impl Fn(&mut BTreeMap<String, Entry>)) -> Result<Record, IntakeError> {
        loop {
            let (mut record, revision) = self.read().await?;
            change(&mut record.lives);
            let text = serde_json::to_vec(&record).unwrap_or_default();
            match self.kv.update(&self.key, text, revision).await {
                Ok(_) => return Ok(record),
                Err(BusError::Conflict { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_bus::KvSpec;
    use tidemill_testkit::Nats;

    const PATIENCE: Duration = Duration::from_millis(200);

    async fn bucket(nats: &Nats) -> Kv {
        Kv::open(&nats.bus().await.unwrap(), &KvSpec::new("heads")).await.unwrap()
    }

    async fn start(kv: &Kv, life: &Life, cursor: i64) -> Guard {
        Guard::start(kv.clone(), "S", life.clone(), cursor, PATIENCE).await.unwrap()
    }

    #[tokio::test]
    async fn a_message_under_which_three_processes_died_is_poison_until_the_cursor_moves() {
        let nats = Nats::start().await.unwrap();
        let kv = bucket(&nats).await;
        for _ in 0..2 {
            assert!(!start(&kv, &Life::begin(), 7).await.careful(), "two starts are normal");
        }
        for deaths in 0..3 {
            let mut guard = start(&kv, &Life::begin(), 7).await;
            assert!(guard.careful() && !guard.is_poison(9), "{deaths} deaths under 9");
            guard.announce(8).await.unwrap();
            guard.survived().await.unwrap();
            guard.announce(9).await.unwrap();
        }
        let mut guard = start(&kv, &Life::begin(), 7).await;
        assert!(guard.is_poison(9) && !guard.is_poison(8));
        guard.passed(12).await.unwrap();
        let guard = start(&kv, &Life::begin(), 12).await;
        assert!(!guard.careful() && !guard.is_poison(9));
    }

    #[tokio::test]
    async fn processes_that_are_killed_together_convict_no_message() {
        let nats = Nats::start().await.unwrap();
        let kv = bucket(&nats).await;
        for _ in 0..2 {
            start(&kv, &Life::begin(), 7).await;
        }
        for _ in 0..2 {
            let (life, beside) = (Life::begin(), Life::begin());
            let (mut one, mut two) = tokio::join!(start(&kv, &life, 7), start(&kv, &beside, 7));
            for guard in [&mut one, &mut two] {
                assert!(guard.careful() && !guard.is_poison(9));
                guard.announce(9).await.unwrap();
            }
        }
        assert!(!start(&kv, &Life::begin(), 7).await.is_poison(9), "four deaths in two rounds");
    }

    #[tokio::test]
    async fn beginning_again_within_a_process_is_no_start() {
        let nats = Nats::start().await.unwrap();
        let (kv, life) = (bucket(&nats).await, Life::begin());
        for _ in 0..10 {
            // As with a full disk: decoded, announced or not, and no commit goes through.
            let mut guard = start(&kv, &life, 7).await;
            assert!(!guard.careful() && !guard.is_poison(8));
            guard.announce(8).await.unwrap();
        }
    }

    #[tokio::test]
    async fn the_announcements_of_a_process_that_lives_convict_nothing() {
        let nats = Nats::start().await.unwrap();
        let kv = bucket(&nats).await;
        let (mut one, mut two) = (start(&kv, &Life::begin(), 7).await, start(&kv, &Life::begin(), 7).await);
        one.announce(8).await.unwrap();
        two.announce(8).await.unwrap();
        let (life, begun) = (Life::begin(), std::cell::Cell::new(false));
        let begin = async {
            let third = start(&kv, &life, 7).await;
            begun.set(true);
            third
        };
        // They go on until the third has looked twice.
        let live = async {
            let mut seq = 9;
            while !begun.get() {
                one.announce(seq).await.unwrap();
                two.announce(seq).await.unwrap();
                seq += 1;
            }
            seq
        };
        let (third, last) = tokio::join!(begin, live);
        assert!(third.careful() && !(8..last).any(|seq| third.is_poison(seq)));
        // Each goes its own way: the first ends in good order, the others are there still.
        one.passed(7).await.unwrap();
        assert_eq!(third.read().await.unwrap().0.lives.len(), 2);
    }
}
