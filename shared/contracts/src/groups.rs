//! Names of the objects that hold profiles by window of event time and by segment, and which of them count.

use crate::paths::groups;
use tidemill_types::{Millis, ProjectName, SourceName};

/// What the name of an object with groups tells before it is read: which commits it covers, and where in event time
/// their rows lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct GroupsName {
    /// Version of the clean table with which its history was made anew; 0: never. Objects of an older generation do not
    /// count, whoever wrote them when.
    pub generation: u64,
    /// The first and the last raw version that it covers. What an interrupted pass left is covered by the next one.
    pub versions: (i64, i64),
    /// How many commits it covers.
    pub commits: u64,
    /// The first instant and the first one behind, in milliseconds; equal when there are no rows.
    pub extent: (i64, i64),
}

impl GroupsName {
    /// The path of the object.
    #[must_use]
    pub fn path(self, project: &ProjectName, source: &SourceName) -> String {
        let ((first, last), (from, to)) = (self.versions, self.extent);
        format!(
            "{}/{:010}_{first:010}_{last:010}_{}_{from}_{to}.json.zst",
            groups(project, source),
            self.generation,
            self.commits
        )
    }

    /// Reads the name at the end of a path; none for other objects.
    #[must_use]
    pub fn parse(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next()?.strip_suffix(".json.zst")?;
        let numbers: Vec<i64> = name.split('_').map(|part| part.parse().ok()).collect::<Option<_>>()?;
        let [generation, first, last, commits, from, to] = numbers[..] else { return None };
        let (generation, commits) = (generation.try_into().ok()?, commits.try_into().ok()?);
        Some(Self { generation, versions: (first, last), commits, extent: (from, to) })
    }
}

/// The objects that count, in the order of their versions, and those whose place another has taken: one of a newer
/// generation, one that covers more commits, or one of the same commits that was written later. A writer that stops
/// half-way leaves some of those behind.
#[must_use]
pub fn living(there: impl IntoIterator<Item = (GroupsName, Millis)>) -> (Vec<GroupsName>, Vec<GroupsName>) {
    let mut all: Vec<(GroupsName, Millis)> = there.into_iter().collect();
    // What may cover another stands before it.
    all.sort_by_key(|(name, at)| (name.versions.0, std::cmp::Reverse((name.versions.1, at.0))));
    let newest = generation(all.iter().map(|(name, _)| *name));
    let mut reached = i64::MIN;
    let (mut live, mut superseded) = (Vec::new(), Vec::new());
    for (name, _) in all {
        if name.generation < newest || name.versions.1 <= reached {
            superseded.push(name);
        } else {
            reached = name.versions.1;
            live.push(name);
        }
    }
    (live, superseded)
}

/// The generation that counts.
#[must_use]
pub fn generation(there: impl IntoIterator<Item = GroupsName>) -> u64 {
    there.into_iter().map(|name| name.generation).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::{profile, profiles};

    #[test]
    fn groups_lie_beside_profiles_and_tell_what_they_are_of() {
        let (project, source) = ("flights".parse().unwrap(), "weather".parse().unwrap());
        let name = GroupsName { generation: 3, versions: (7, 9), commits: 2, extent: (-86_400_000, 0) };
        let path = name.path(&project, &source);
        assert_eq!(path, "profiles/flights/weather.groups/0000000003_0000000007_0000000009_2_-86400000_0.json.zst");
        assert!(!path.starts_with(&format!("{}/", profiles(&project, &source))));
        assert_eq!(GroupsName::parse(&path), Some(name));
        assert!(GroupsName::parse(&profile(&project, &source, 7)).is_none());
    }

    #[test]
    fn a_commit_counts_once_whatever_was_left_behind() {
        let of = |first, last, at| {
            let name = GroupsName { generation: 4, versions: (first, last), commits: 1, extent: (at, at + 1) };
            (name, Millis(at))
        };
        let of_old = (GroupsName { generation: 3, ..of(1, 20, 0).0 }, Millis(9));
        let there = [of_old, of(9, 9, 1), of(1, 1, 1), of(1, 4, 2), of(4, 4, 1), of(5, 5, 1), of(5, 5, 3), of(2, 3, 1)];
        let (live, superseded) = living(there);
        assert_eq!(live, [of(1, 4, 2).0, of(5, 5, 3).0, of(9, 9, 1).0]);
        assert_eq!(superseded.len(), 5);
    }
}
