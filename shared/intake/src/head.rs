//! The second entry of the books: what the table held when it was last committed, kept on the bus.

use crate::error::IntakeError;
use serde::{Deserialize, Serialize};
use tidemill_bus::{Bus, Error as BusError, Kv, KvSpec};
use tidemill_contracts::subjects;
use tidemill_types::{Digest, Millis};

/// Head of a table as the bus knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Incarnation of the stream, `<stream>@<created>`.
    pub incarnation: String,
    /// Version of the table.
    pub table_version: u64,
    /// Last sequence in it.
    pub last_seq: i64,
    /// Digest of the files of that commit.
    pub digest: String,
}

/// The bucket of heads.
pub(crate) struct Heads {
    bucket: Kv,
}

impl Heads {
    /// Opens the bucket, making it when there is none.
    pub(crate) async fn open(bus: &Bus) -> Result<Self, IntakeError> {
        Ok(Self { bucket: Kv::open(bus, &KvSpec::new(subjects::HEADS_BUCKET)).await? })
    }

    /// The bucket, for what else is noted beside heads.
    pub(crate) fn bucket(&self) -> Kv {
        self.bucket.clone()
    }

    /// Head of a table, `None` before its first commit.
    pub(crate) async fn read(&self, table: &str) -> Result<Option<Head>, IntakeError> {
        let Some(entry) = self.bucket.get(&key(table)).await? else {
            return Ok(None);
        };
        let damaged = |e: serde_json::Error| IntakeError::BadHead { table: table.into(), reason: e.to_string() };
        serde_json::from_slice(&entry.value.unwrap_or_default()).map(Some).map_err(damaged)
    }

    /// Writes the head of a table.
    pub(crate) async fn note(&self, table: &str, head: &Head) -> Result<(), IntakeError> {
        let text = serde_json::to_vec(head).unwrap_or_default();
        self.bucket.put(&key(table), text).await?;
        Ok(())
    }
}

/// Notes that a stream which was made anew is meant to be read: what the one before still held unread is given up.
/// Returns its incarnation. An intake that waits for it goes on; if the stream is made anew once more, it is asked again.
///
/// # Errors
/// `TM0604` when there is no such stream.
pub async fn accept_stream(bus: &Bus, stream: &str) -> Result<String, BusError> {
    let incarnation = bus.incarnation(stream).await?;
    let bucket = Kv::open(bus, &KvSpec::new(subjects::HEADS_BUCKET)).await?;
    bucket.put(&subjects::accepted_stream(stream), incarnation.clone()).await?;
    Ok(incarnation)
}

/// Whether a person has accepted this incarnation of a stream in place of another.
///
/// # Errors
/// When the bus does not answer.
pub async fn is_accepted(bus: &Bus, stream: &str, incarnation: &str) -> Result<bool, BusError> {
    let bucket = Kv::open(bus, &KvSpec::new(subjects::HEADS_BUCKET)).await?;
    let entry = bucket.get(&subjects::accepted_stream(stream)).await?;
    Ok(entry.and_then(|entry| entry.value).is_some_and(|text| text == incarnation.as_bytes()))
}

/// Keys of the bucket may not hold the slashes of a path.
fn key(table: &str) -> String {
    format!("head.{}", Digest::of(table.as_bytes()).short())
}

/// What table, head and stream say of each other at the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Known<'a> {
    /// Last sequence of this incarnation in the table.
    pub(crate) done: i64,
    /// When the stream was made that the table was last filled from, as the table says; `None` for one that was never
    /// filled, or only before tables said so.
    pub(crate) filled_from: Option<Millis>,
    /// Whether anything was ever committed to the table.
    pub(crate) is_filled: bool,
    /// The head, if there is one.
    pub(crate) head: Option<&'a Head>,
    /// Incarnation of the stream.
    pub(crate) incarnation: &'a str,
    /// When the stream was made.
    pub(crate) made: Option<Millis>,
    /// Sequence of its first message.
    pub(crate) first: i64,
    /// Sequence of its last message.
    pub(crate) last: i64,
    /// Whether a person has accepted this incarnation in place of another.
    pub(crate) is_accepted: bool,
}

/// What comparing them says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Books agree, or the table is ahead of a head that was not written any more.
    Agrees,
    /// The store lost its tail; the bus has it, so reading on from the table replays it.
    StoreLostTail,
    /// The bus lost data that the table has.
    BusLostData,
    /// The bus no longer has what the table lacks.
    Expired,
    /// The stream is another one than the table was filled from, and nobody has said that it is meant.
    MadeAnew,
}

impl Known<'_> {
    /// Compares the three.
    pub(crate) fn standing(&self) -> Standing {
        if self.is_another_stream() && !self.is_accepted {
            return Standing::MadeAnew;
        }
        if self.last < self.done {
            return Standing::BusLostData;
        }
        if self.first > self.done + 1 {
            return Standing::Expired;
        }
        match self.head {
            Some(head) if head.incarnation == self.incarnation && head.last_seq > self.done => Standing::StoreLostTail,
            _ => Standing::Agrees,
        }
    }

    /// The table itself knows best, since a bus that is new has no head. A table that holds nothing misses nothing.
    fn is_another_stream(&self) -> bool {
        match self.filled_from {
            Some(_) => self.filled_from != self.made,
            None => self.is_filled && self.head.is_some_and(|head| head.incarnation != self.incarnation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(last_seq: i64) -> Head {
        Head { incarnation: "s@1".into(), table_version: 3, last_seq, digest: String::new() }
    }

    fn known(done: i64, head: Option<&Head>, first: i64, last: i64) -> Known<'_> {
        let at = Some(Millis(1));
        let incarnation = "s@1";
        Known { done, filled_from: at, is_filled: true, head, incarnation, made: at, first, last, is_accepted: false }
    }

    #[test]
    fn each_loss_is_told_apart() {
        assert_eq!(known(10, Some(&head(10)), 1, 20).standing(), Standing::Agrees);
        assert_eq!(known(10, Some(&head(8)), 1, 20).standing(), Standing::Agrees);
        assert_eq!(known(8, Some(&head(10)), 1, 20).standing(), Standing::StoreLostTail);
        assert_eq!(known(10, Some(&head(10)), 1, 9).standing(), Standing::BusLostData);
        assert_eq!(known(10, None, 12, 20).standing(), Standing::Expired);
    }

    #[test]
    fn a_stream_that_was_made_anew_is_read_once_a_person_says_that_it_is_meant() {
        let (head, table) = (head(10), Some(Millis(1)));
        let anew = Known { incarnation: "s@2", made: Some(Millis(2)), ..known(0, Some(&head), 1, 0) };
        assert_eq!(anew.standing(), Standing::MadeAnew);
        assert_eq!(Known { head: None, ..anew }.standing(), Standing::MadeAnew, "a new bus has no head");
        // A table that was filled before it noted from what.
        assert_eq!(Known { filled_from: None, ..anew }.standing(), Standing::MadeAnew);
        assert_eq!(Known { filled_from: None, head: None, ..anew }.standing(), Standing::Agrees);
        assert_eq!(Known { filled_from: None, is_filled: false, ..anew }.standing(), Standing::Agrees, "a new store");
        assert_eq!(Known { is_accepted: true, ..anew }.standing(), Standing::Agrees);
        let same = Known { made: table, incarnation: "s@1", last: 20, ..anew };
        assert_eq!(same.standing(), Standing::StoreLostTail, "the store is behind, the stream the same");
    }
}
