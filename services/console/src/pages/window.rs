//! Windows of event time, as pages ask for them and name them.

use serde::{Deserialize, Serialize};

/// A kind of window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum WindowKind {
    /// Calendar weeks.
    Week,
    /// Calendar months.
    Month,
}

impl WindowKind {
    /// Name in addresses and requests.
    /// The beginning of a window as a heading of a narrow column: `2013-02` for a month, `02-25` for a week.
    pub(super) fn short(self, begins: &str) -> &str {
        let part = match self {
            Self::Week => begins.get(5..),
            Self::Month => begins.get(..7),
        };
        part.unwrap_or(begins)
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Week => "week",
            Self::Month => "month",
        }
    }
}
