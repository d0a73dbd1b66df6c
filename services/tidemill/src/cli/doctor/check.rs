//! One check, what it found, and what follows from all of them.

use crate::error::Error;
use serde_json::{Value, json};
use tidemill_types::{Classified as _, ErrorKind};

/// What a check found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// Nothing could be checked, and nothing needs to be.
    Skipped,
    /// Works, but somebody should look.
    Warn,
    /// Wrong or unsafe, with a mend.
    Open,
    /// Something needed does not answer.
    Failed,
}

impl State {
    /// The word shown.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warn => "warn",
            Self::Open => "open",
            Self::Failed => "failed",
        }
    }
}

/// A check that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Check {
    area: &'static str,
    name: String,
    state: State,
    seen: String,
    mend: String,
}

impl Check {
    fn new(area: &'static str, name: impl Into<String>, state: State, seen: impl Into<String>) -> Self {
        // Some servers answer in several lines.
        let seen = seen.into().split_whitespace().collect::<Vec<_>>().join(" ");
        Self { area, name: name.into(), state, seen, mend: String::new() }
    }

    /// As it should be.
    pub(super) fn ok(area: &'static str, name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(area, name, State::Ok, seen)
    }

    /// Not checked, and why.
    pub(super) fn skipped(area: &'static str, name: impl Into<String>, why: impl Into<String>) -> Self {
        Self::new(area, name, State::Skipped, why)
    }

    /// Somebody should look.
    pub(super) fn warn(area: &'static str, name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(area, name, State::Warn, seen)
    }

    /// Wrong or unsafe.
    pub(super) fn open(area: &'static str, name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(area, name, State::Open, seen)
    }

    /// Something needed does not answer.
    pub(super) fn failed(area: &'static str, name: impl Into<String>, seen: impl Into<String>) -> Self {
        Self::new(area, name, State::Failed, seen)
    }

    /// What does not answer is a failure, what refuses is open; the mend is the one of the error.
    pub(super) fn of_error(area: &'static str, name: impl Into<String>, error: &Error) -> Self {
        let unreachable = matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut);
        let state = if unreachable { State::Failed } else { State::Open };
        let code = error.shown_code();
        let seen = format!("{code}: {}", error.text());
        let mend = error.mend().unwrap_or_else(|| format!("tidemill explain {code}"));
        Self::new(area, name, state, seen).mended_by(mend)
    }

    /// Adds the command or setting that mends it.
    pub(super) fn mended_by(self, mend: impl Into<String>) -> Self {
        Self { mend: mend.into(), ..self }
    }

    /// What it found.
    pub(super) fn state(&self) -> State {
        self.state
    }

    /// For people: a line, and one for the mend.
    pub(super) fn lines(&self) -> String {
        let Self { area, name, state, seen, mend } = self;
        let line = format!("{:<8} {area:<9} {name:<22} {seen}\n", state.word());
        if mend.is_empty() { line } else { format!("{line}{:<41} mend: {mend}\n", "") }
    }

    /// For JSON and CSV.
    pub(super) fn row(&self) -> Value {
        json!({
            "area": self.area,
            "check": self.name,
            "state": self.state.word(),
            "seen": self.seen,
            "mend": self.mend,
        })
    }
}

/// Exit code of a command that made these checks: 4 when something does not answer, 3 when something is open.
pub(super) fn exit_code(checks: &[Check]) -> u8 {
    match checks.iter().map(Check::state).max() {
        Some(State::Failed) => 4,
        Some(State::Open) => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_decides_the_exit_code() {
        let (ok, warn) = (Check::ok("bus", "a", ""), Check::warn("bus", "b", ""));
        let open = Check::open("bus", "c", "");
        let failed = Check::of_error("bus", "d", &Error::NoInstance("x".to_owned()));
        assert_eq!(exit_code(&[ok.clone(), warn]), 0);
        assert_eq!(exit_code(&[ok.clone(), open.clone()]), 3);
        assert_eq!(exit_code(&[failed.clone(), open, ok]), 4);
        assert_eq!(failed.state(), State::Failed);
        assert_eq!(failed.row()["mend"].as_str().map(|mend| mend.contains("tidemill up")), Some(true));
    }

    #[test]
    fn what_refuses_is_open_and_names_its_page() {
        let check = Check::of_error("store", "write", &Error::Usage("no".to_owned()));
        assert_eq!((check.state(), check.row()["mend"].clone()), (State::Open, json!("tidemill explain TM1503")));
    }
}
