//! The second entry of the books: what the table held when it was last committed, kept on the bus.

use serde::{Deserialize, Serialize};

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
