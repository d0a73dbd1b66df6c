//! The second entry of the books: what the table held when it was last committed, kept on the bus.

use crate::error::IntakeError;
use serde::{Deserialize, Serialize};
use tidemill_bus::{Bus, Kv, KvSpec};
use tidemill_contracts::subjects;
use tidemill_types::Digest;

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

/// Keys of the bucket may not hold the slashes of a path.
fn key(table: &str) -> String {
    format!("head.{}", Digest::of(table.as_bytes()).short())
}

/// What comparing table, head and stream says at the start.
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
}

/// Compares the three.
pub(crate) fn compare(table_done: i64, head: Option<&Head>, incarnation: &str, first: i64, last: i64) -> Standing {
    if last < table_done {
        return Standing::BusLostData;
    }
    if first > table_done + 1 {
        return Standing::Expired;
    }
    match head {
        Some(head) if head.incarnation == incarnation && head.last_seq > table_done => Standing::StoreLostTail,
        _ => Standing::Agrees,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loss_is_told_apart() {
        let head = |last_seq| Head { incarnation: "s@1".into(), table_version: 3, last_seq, digest: String::new() };
        assert_eq!(compare(10, Some(&head(10)), "s@1", 1, 20), Standing::Agrees);
        assert_eq!(compare(10, Some(&head(8)), "s@1", 1, 20), Standing::Agrees);
        assert_eq!(compare(8, Some(&head(10)), "s@1", 1, 20), Standing::StoreLostTail);
        assert_eq!(compare(10, Some(&head(10)), "s@1", 1, 9), Standing::BusLostData);
        assert_eq!(compare(10, None, "s@1", 12, 20), Standing::Expired);
        assert_eq!(compare(0, Some(&head(10)), "s@2", 1, 0), Standing::Agrees);
    }
}
