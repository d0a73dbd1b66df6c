//! What became of a dead letter: one entry in the bucket `letters` under `<project>.<number>`.
//!
//! The letter itself never changes. A letter without an entry is open.

use serde::{Deserialize, Serialize};
use tidemill_types::{Millis, ProjectName};

/// Bucket of the entries.
pub const BUCKET: &str = "letters";

/// What became of a letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LetterState {
    /// Nothing yet.
    Open,
    /// Its event was published again.
    Replayed,
    /// Somebody said that it is not needed.
    Discarded,
}

impl LetterState {
    /// The state in one word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Replayed => "replayed",
            Self::Discarded => "discarded",
        }
    }
}

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetterEntry {
    /// What became of it.
    pub state: LetterState,
    /// When.
    pub at: Millis,
    /// By whom.
    pub by: String,
    /// Why; empty for a replay without a word.
    #[serde(default)]
    pub reason: String,
    /// For replays: id of the event that was published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// For replays: its sequence in the stream of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_seq: Option<u64>,
    /// For replays: whether its body was mended.
    #[serde(default)]
    pub mended: bool,
}

/// Key of a letter.
#[must_use]
pub fn key(project: &ProjectName, seq: u64) -> String {
    format!("{project}.{seq}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_keep_their_form() {
        let text = r#"{"state":"discarded","at":5,"by":"ann","reason":"a test device"}"#;
        let entry: LetterEntry = serde_json::from_str(text).unwrap();
        assert_eq!((entry.state.word(), entry.mended, entry.event_seq), ("discarded", false, None));
        assert_eq!(key(&"flights".parse().unwrap(), 7), "flights.7");
    }
}
