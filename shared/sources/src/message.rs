//! Pieces of an object as messages of the bus, with their origin in headers and identity.

use crate::error::Result;
use bytes::Bytes;
use tidemill_bus::{Headers, Message, Outgoing};
use tidemill_conform::cloud::{decoded, encoded};
use tidemill_contracts::{headers, subjects};
use tidemill_types::{Millis, ProjectName, SourceName};

/// Most bytes of a piece, so that a message stays well below the limit of the bus.
pub(crate) const PIECE_BYTES: usize = 256 << 10;
/// Most rows of a piece: a refused row becomes a dead letter with its whole message.
pub(crate) const PIECE_ROWS: usize = 500;
/// Most bytes of one row: a message must hold it.
pub(crate) const ROW_BYTES: usize = 4 << 20;

/// Some rows of an object, encoded as they will travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Media type of the body.
    pub(crate) content_type: &'static str,
    /// The rows.
    pub(crate) body: Bytes,
    /// Position of the first row in the object.
    pub(crate) first: u64,
    /// Rows in the body.
    pub(crate) rows: u64,
}

/// What the pieces of one object have in common.
#[derive(Clone, Debug)]
pub(crate) struct Envelope {
    pub(crate) project: ProjectName,
    pub(crate) source: SourceName,
    /// `files`, `http` or `postgres`.
    pub(crate) kind: &'static str,
    /// The file, the address or the table.
    pub(crate) object: String,
    /// Number of this content of the object, from 1.
    pub(crate) revision: u64,
    /// Digest of the content, or another name of it.
    pub(crate) digest: String,
}

impl Envelope {
    /// The message of a piece.
    pub(crate) fn message(&self, piece: &Piece) -> Result<Outgoing> {
        let object = encoded(&self.object);
        let short = self.digest.get(..16).unwrap_or(&self.digest);
        let id = format!("{}-{short}-{}", self.revision, piece.first);
        let (revision, first, rows) = (self.revision.to_string(), piece.first.to_string(), piece.rows.to_string());
        let source = format!("/tidemill/{}/{object}", self.kind);
        let kind = format!("{}.{}", self.project, self.source);
        let now = now().to_string();
        let pairs = [
            (headers::CE_SPECVERSION, "1.0"),
            (headers::CE_ID, id.as_str()),
            (headers::CE_SOURCE, source.as_str()),
            (headers::CE_TYPE, kind.as_str()),
            (headers::CE_TIME, now.as_str()),
            (headers::CONTENT_TYPE, piece.content_type),
            (headers::SOURCE_KIND, self.kind),
            (headers::SOURCE_OBJECT, object.as_str()),
            (headers::SOURCE_REVISION, revision.as_str()),
            (headers::SOURCE_DIGEST, self.digest.as_str()),
            (headers::SOURCE_OFFSET, first.as_str()),
            (headers::SOURCE_ROWS, rows.as_str()),
        ];
        let subject = subjects::events(&self.project, &self.source);
        Ok(Outgoing::new(subject, piece.body.clone()).with_headers(Headers::from_pairs(pairs)?))
    }
}

/// What a stored message says about where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) object: String,
    pub(crate) revision: u64,
    pub(crate) digest: String,
    pub(crate) first: u64,
    pub(crate) rows: u64,
}

impl Stamp {
    /// The stamp of a message that a puller of this kind stored.
    pub(crate) fn of(message: &Message, kind: &str) -> Option<Self> {
        let header = |name: &str| message.headers.get(name);
        if header(headers::SOURCE_KIND) != Some(kind) {
            return None;
        }
        Some(Self {
            object: decoded(header(headers::SOURCE_OBJECT)?).ok()?.into_owned(),
            revision: header(headers::SOURCE_REVISION)?.parse().ok()?,
            digest: header(headers::SOURCE_DIGEST)?.to_owned(),
            first: header(headers::SOURCE_OFFSET)?.parse().ok()?,
            rows: header(headers::SOURCE_ROWS)?.parse().ok()?,
        })
    }
}

/// Now, by the clock of this machine.
pub(crate) fn now() -> Millis {
    Millis(chrono::Utc::now().timestamp_millis())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn names_of_objects_survive_the_headers() {
        for name in ["a.csv", "Übersicht 2024 \"neu\" 100%.csv", "tabs\tand\nlines", "日本"] {
            let text = encoded(name);
            assert!(text.bytes().all(|b| (0x21..=0x7e).contains(&b)), "{text}");
            assert_eq!(decoded(&text).unwrap(), name);
        }
    }

    #[test]
    fn a_message_says_where_it_came_from() {
        let envelope = Envelope {
            project: "meters".parse().unwrap(),
            source: "readings".parse().unwrap(),
            kind: "files",
            object: "in/a b.csv".to_owned(),
            revision: 2,
            digest: "ab".repeat(32),
        };
        let piece = Piece { content_type: headers::NDJSON, body: Bytes::from_static(b"{}"), first: 10, rows: 1 };
        let out = envelope.message(&piece).unwrap();
        assert_eq!(out.headers.get(headers::CE_ID), Some("2-abababababababab-10"));
        assert_eq!(out.headers.get(headers::CE_SOURCE), Some("/tidemill/files/in/a%20b.csv"));
        let stored = Message {
            seq: 1,
            subject: out.subject.clone(),
            headers: out.headers.clone(),
            payload: out.payload.clone(),
            published_at: Millis(0),
        };
        let stamp = Stamp::of(&stored, "files").unwrap();
        assert_eq!((stamp.object.as_str(), stamp.revision, stamp.first, stamp.rows), ("in/a b.csv", 2, 10, 1));
        assert_eq!(Stamp::of(&stored, "http"), None);
    }
}
