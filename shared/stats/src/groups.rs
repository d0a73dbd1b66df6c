//! Profiles of the rows of a commit by window of event time and by segment, so that those of any range are a merge.
//!
//! Every row is in exactly one group of a cut, so the groups of a cut merge to the profile of the whole. What is kept is
//! bounded: a commit whose rows lie in too many days is cut by month, by year or not at all. Weeks are left out, since
//! they do not fill months.

mod partition;
mod window;

pub use partition::{MOST_SEGMENTS, MOST_SKETCHES, MOST_WINDOWS};
pub use window::Window;

use crate::{Error, Result, TableProfile};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};
use std::fmt;

/// How the stored form is compressed: the empty registers of small sketches cost nothing then.
const LEVEL: i32 = 3;

/// What rows of one value of a segment column have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// This value.
    Value(String),
    /// None.
    Null,
    /// One of those that are too rare in their commit to be kept apart.
    Others,
}

impl Segment {
    /// The segment that a text means: `(null)`, `(others)`, or else the value.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        match text {
            "(null)" => Self::Null,
            "(others)" => Self::Others,
            value => Self::Value(value.to_owned()),
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value(value) => value,
            Self::Null => "(null)",
            Self::Others => "(others)",
        })
    }
}

/// Rows of one window, and of one segment where the cut has them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Where in event time the rows lie.
    pub window: Window,
    /// What they have in common; none in a cut by time alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<Segment>,
    /// Sketches of them.
    pub profile: TableProfile,
}

/// All rows, cut by time and by the values of at most one column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cut {
    /// The segment column; none: by time alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Groups that have rows.
    pub groups: Vec<Group>,
}

/// Profiles of some rows, by window and segment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Groups {
    /// One cut for each segment column, or one by time alone.
    pub cuts: Vec<Cut>,
}

impl Groups {
    /// From the first to the end of the last window; none without rows.
    #[must_use]
    pub fn extent(&self) -> Option<Window> {
        let groups = &self.cuts.first()?.groups;
        let from = groups.iter().map(|group| group.window.from).min()?;
        let to = groups.iter().map(|group| group.window.to).max()?;
        Some(Window { from, to })
    }

    /// The profile of all rows; none without rows.
    ///
    /// # Errors
    /// None for groups of one table.
    pub fn whole(&self) -> Result<Option<TableProfile>> {
        let mut whole = TableProfile::default();
        for group in self.cuts.first().into_iter().flat_map(|cut| &cut.groups) {
            whole.merge(&group.profile)?;
        }
        Ok((whole.rows > 0).then_some(whole))
    }

    /// The cut that tells the segments of a column apart; for none, one that tells of time.
    #[must_use]
    pub fn cut(&self, by: Option<&str>) -> Option<&Cut> {
        match by {
            None => self.cuts.first(),
            Some(_) => self.cuts.iter().find(|cut| cut.by.as_deref() == by),
        }
    }

    /// Leaves out every value of some columns, as [`TableProfile::withhold`] does, and cuts by their values.
    pub fn withhold(&mut self, is_withheld: impl Fn(&str) -> bool) {
        for cut in &mut self.cuts {
            cut.groups.iter_mut().for_each(|group| group.profile.withhold(&is_withheld));
        }
        let is_told = |cut: &Cut| !cut.by.as_deref().is_some_and(&is_withheld);
        if self.cuts.iter().any(is_told) {
            self.cuts.retain(is_told);
            return;
        }
        self.cuts.truncate(1);
        for cut in &mut self.cuts {
            cut.by = None;
            cut.groups.iter_mut().for_each(|group| group.segment = None);
        }
    }

    /// Adds the groups of other rows, if they have the same columns and cuts and the sum stays within the bounds of one
    /// commit; otherwise nothing is added.
    #[must_use]
    pub fn join(&mut self, other: &Self) -> bool {
        let by = |groups: &Self| groups.cuts.iter().map(|cut| cut.by.clone()).collect::<Vec<_>>();
        if by(self) != by(other) {
            return false;
        }
        let mut joined = self.clone();
        for (mine, theirs) in joined.cuts.iter_mut().zip(&other.cuts) {
            if mine.join(theirs).is_err() {
                return false;
            }
        }
        let windows: BTreeSet<Window> = joined.cuts.iter().flat_map(|cut| &cut.groups).map(|one| one.window).collect();
        let sketches: usize = joined.cuts.iter().flat_map(|cut| &cut.groups).map(|one| one.profile.columns.len()).sum();
        if windows.len() > MOST_WINDOWS || sketches > MOST_SKETCHES {
            return false;
        }
        *self = joined;
        true
    }

    /// The stored form.
    ///
    /// # Errors
    /// None in practice; the JSON writer's, should it fail.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let text = serde_json::to_vec(self)?;
        zstd::bulk::compress(&text, LEVEL).map_err(|e| Error::Stored(serde::ser::Error::custom(e)))
    }

    /// Reads the stored form.
    ///
    /// # Errors
    /// Bytes that are no groups.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let text = zstd::decode_all(bytes).map_err(|e| Error::Stored(serde::de::Error::custom(e)))?;
        Ok(serde_json::from_slice(&text)?)
    }
}

impl Cut {
    fn join(&mut self, other: &Self) -> Result<()> {
        let key = |group: &Group| (group.window, group.segment.clone());
        let mut places: HashMap<_, usize> = self.groups.iter().map(key).zip(0..).collect();
        for group in &other.groups {
            match places.get(&key(group)) {
                Some(place) => self.groups[*place].profile.merge(&group.profile)?,
                None => {
                    // Profiles of other columns do not stand side by side either.
                    if let Some(one) = self.groups.first() {
                        one.profile.clone().merge(&group.profile)?;
                    }
                    places.insert(key(group), self.groups.len());
                    self.groups.push(group.clone());
                }
            }
        }
        self.groups.sort_by(|a, b| (a.window, &a.segment).cmp(&(b.window, &b.segment)));
        Ok(())
    }
}
