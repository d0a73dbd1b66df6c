//! What an alias points to, and how it got there.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use tidemill_types::{Digest, Millis, ProjectName};

/// Moves kept in the entry itself; the audit log keeps all.
const KEPT_MOVES: usize = 100;

/// Why an alias moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MoveKind {
    /// To a model that was chosen.
    Set,
    /// Back to the model before.
    Rollback,
}

/// One move of an alias: an audit entry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasMove {
    /// Project.
    pub project: ProjectName,
    /// Alias.
    pub alias: String,
    /// Why.
    pub kind: MoveKind,
    /// Where it pointed; `None` when it is new.
    pub from: Option<Digest>,
    /// Where it points now.
    pub to: Digest,
    /// Version number of `to`.
    pub version: u64,
    /// When; given, not read from a clock.
    pub at: Millis,
    /// Who.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// Trace in which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// Who moves an alias, when and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveRequest {
    /// Who.
    pub by: String,
    /// Why, in words.
    pub reason: String,
    /// When.
    pub at: Millis,
    /// Trace in which it happens.
    pub traceparent: Option<String>,
}

/// The value of an alias. The history stands in the same entry as the pointer, so the two cannot disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AliasEntry {
    /// The model it points to.
    pub digest: Digest,
    /// Its version number.
    pub version: u64,
    /// Since when.
    pub since: Millis,
    /// Who moved it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Where a rollback leads.
    pub previous: Option<Previous>,
    /// The last moves, oldest first, this one included.
    pub moves: Vec<AliasMove>,
}

/// A model an alias pointed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Previous {
    /// Digest of the model.
    pub digest: Digest,
    /// Its version number.
    pub version: u64,
}

/// An alias at one revision of the registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AliasState {
    /// Its value.
    pub entry: AliasEntry,
    /// Revision, growing over the whole registry.
    pub revision: u64,
}

impl AliasEntry {
    /// The entry after a move. `previous` is the stack below the new pointer.
    pub(crate) fn after(current: Option<&Self>, made: AliasMove, previous: Option<Previous>) -> Self {
        let mut moves = current.map(|entry| entry.moves.clone()).unwrap_or_default();
        moves.push(made.clone());
        let surplus = moves.len().saturating_sub(KEPT_MOVES);
        moves.drain(..surplus);
        let AliasMove { to: digest, version, at: since, by, reason, .. } = made;
        Self { digest, version, since, by, reason, previous, moves }
    }

    /// This pointer, as the thing to roll back to.
    pub(crate) fn as_previous(&self) -> Previous {
        Previous { digest: self.digest.clone(), version: self.version }
    }

    /// What stood below a model when the alias was last set to it: a second rollback goes further back instead of
    /// returning to the model that was just left.
    pub(crate) fn below(&self, digest: &Digest) -> Option<Previous> {
        let set = self.moves.iter().rposition(|made| made.kind == MoveKind::Set && made.to == *digest)?;
        let below = self.moves[set].from.as_ref()?;
        let version = self.moves[..set].iter().rev().find(|made| made.to == *below)?.version;
        Some(Previous { digest: below.clone(), version })
    }
}

pub(crate) fn check_alias(alias: &str) -> Result<()> {
    let starts_well = alias.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
    if starts_well && alias.len() <= 48 && alias.bytes().all(plain) {
        return Ok(());
    }
    Err(Error::AliasName(alias.to_owned()))
}
