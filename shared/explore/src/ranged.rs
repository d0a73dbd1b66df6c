//! Profiles of a range of event time, of a segment or of both: merges of what was stored with the commits.

use crate::over_time::{OverTime, of_spans};
use crate::spans::Spans;
use std::collections::BTreeSet;
use tidemill_stats::groups::{Cut, Window};
use tidemill_stats::{Groups, Segment, TableProfile};
use tidemill_types::Millis;

/// Segments that are told.
const TOLD: usize = 32;

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Event time from here on; absent: from the beginning.
    pub from: Option<Millis>,
    /// Event time before this instant; absent: to the end.
    pub to: Option<Millis>,
    /// A segment column, and which of its segments.
    pub segment: Option<(String, Segment)>,
}

impl Range {
    /// Whether rows between these instants may be asked for.
    #[must_use]
    pub fn meets(&self, (from, to): (i64, i64)) -> bool {
        Window { from, to }.meets(self.from.map(|at| at.0), self.to.map(|at| at.0))
    }

    fn cut<'a>(&self, groups: &'a Groups) -> Option<&'a Cut> {
        groups.cut(self.segment.as_ref().map(|(by, _)| by.as_str()))
    }
}

/// Groups of a range, merged as they come: however many there are, what is kept of them does not grow.
#[derive(Debug, Default)]
pub struct Ranged {
    range: Range,
    /// Number of commits looked at.
    pub commits: u64,
    /// Sketches of the rows of the range.
    pub profile: TableProfile,
    left_behind: u64,
    unsegmented: u64,
    others: u64,
    beyond: u64,
    extent: Option<Window>,
    /// Segments that were there, where one was asked for.
    met: BTreeSet<Segment>,
    spans: Spans<TableProfile>,
}

impl Ranged {
    /// Nothing yet of a range.
    #[must_use]
    pub fn of(range: Range) -> Self {
        Self { range, ..Self::default() }
    }

    /// Adds the groups of some commits, in their order. Profiles of other columns, from before the source changed, are
    /// left behind.
    pub fn add(&mut self, groups: &Groups, commits: u64) {
        let Some(cut) = self.range.cut(groups) else {
            self.unsegmented += commits;
            return;
        };
        self.commits += commits;
        let (from, to) = (self.range.from.map(|at| at.0), self.range.to.map(|at| at.0));
        let wanted = self.range.segment.clone().map(|(_, segment)| segment);
        for group in cut.groups.iter().filter(|group| group.window.meets(from, to)) {
            if self.met.len() < TOLD {
                self.met.extend(group.segment.clone());
            }
            if wanted.is_some() && group.segment != wanted {
                self.others += if group.segment == Some(Segment::Others) { group.profile.rows } else { 0 };
                continue;
            }
            if self.profile.merge(&group.profile).is_err() {
                let left_behind = self.left_behind + self.commits - commits;
                *self = Self { commits, left_behind, unsegmented: self.unsegmented, ..Self::of(self.range.clone()) };
                self.profile.clone_from(&group.profile);
            }
            self.beyond += if group.window.is_within(from, to) { 0 } else { group.profile.rows };
            let extent = self.extent.get_or_insert(group.window);
            *extent = Window { from: extent.from.min(group.window.from), to: extent.to.max(group.window.to) };
            // All have the columns of the whole, or they were left behind.
            let merge = |mine: &mut TableProfile, theirs: TableProfile| mine.merge(&theirs).unwrap_or_default();
            self.spans.add(group.window.from, group.profile.clone(), merge);
        }
    }

    /// The segments that the range has, as they are asked for; the first ones of very many.
    #[must_use]
    pub fn segments(&self) -> Vec<String> {
        if self.range.segment.is_none() {
            return Vec::new();
        }
        self.met.iter().map(ToString::to_string).collect()
    }

    /// Columns over event time; none where all rows lie in one window.
    #[must_use]
    pub fn over_time(&self) -> Option<OverTime> {
        of_spans("event time", &self.profile, &self.spans)
    }

    /// What was merged, in words.
    #[must_use]
    pub fn origin(&self) -> String {
        let segment = self.range.segment.as_ref().map(|(by, segment)| format!(", {by} = {segment}"));
        let extent = self.extent.map(|Window { from, to }| format!(", event time {} to {}", Millis(from), Millis(to)));
        format!(
            "profiles of {} commits merged{}{}",
            self.commits,
            segment.unwrap_or_default(),
            extent.unwrap_or_default()
        )
    }

    /// What the answer holds that was not asked for, and what it lacks; each in words.
    #[must_use]
    pub fn caveats(&self) -> Vec<String> {
        let mut told = Vec::new();
        if self.beyond > 0 {
            told.push(format!(
                "{} of {} rows lie in windows that reach beyond the range: windows are days in UTC, and longer where a \
                 commit spans many",
                self.beyond, self.profile.rows
            ));
        }
        if self.others > 0 {
            told.push(format!(
                "{} rows of the range have values that were too rare in their commit to be kept apart, this one perhaps \
                 among them",
                self.others
            ));
        }
        if self.unsegmented > 0 {
            told.push(format!(
                "{} commits are left out: they are from before these segments were kept",
                self.unsegmented
            ));
        }
        if self.left_behind > 0 {
            told.push(format!("{} commits with other columns were left behind", self.left_behind));
        }
        told
    }
}
