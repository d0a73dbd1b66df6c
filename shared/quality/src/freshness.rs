//! Freshness: how long a source has been silent, in knowledge time.

use serde::{Deserialize, Serialize};
use tidemill_spec::Source;
use tidemill_types::Millis;

/// How long a source has been silent, against what it promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Freshness {
    /// Newest knowledge time seen.
    pub newest_known_at: Option<Millis>,
    /// Instant of the judgement: the clock in operation, the replay's time in a replay.
    pub at: Millis,
    /// Longest silence that counts as fresh, in milliseconds; absent: nothing was promised.
    pub within: Option<i64>,
}

/// Verdict on freshness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FreshnessState {
    /// Silent for no longer than promised.
    Fresh,
    /// Silent for longer than promised.
    Stale,
    /// No row was ever seen.
    Empty,
    /// Nothing was promised.
    Undeclared,
}

impl Freshness {
    /// Freshness of a source at an instant.
    #[must_use]
    pub fn of(source: &Source, newest_known_at: Option<Millis>, at: Millis) -> Self {
        Self { newest_known_at, at, within: source.fresh_within.map(tidemill_spec::Span::millis) }
    }

    /// Length of the silence in milliseconds; rows known in the future count as none.
    #[must_use]
    pub fn silence(&self) -> Option<i64> {
        self.newest_known_at.map(|newest| self.at.0.saturating_sub(newest.0).max(0))
    }

    /// The verdict; a silence of exactly the promised length is fresh.
    #[must_use]
    pub fn state(&self) -> FreshnessState {
        match (self.within, self.silence()) {
            (None, _) => FreshnessState::Undeclared,
            (Some(_), None) => FreshnessState::Empty,
            (Some(within), Some(silence)) if silence <= within => FreshnessState::Fresh,
            (Some(_), Some(_)) => FreshnessState::Stale,
        }
    }
}
