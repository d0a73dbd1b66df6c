//! Up to which instant a source is known to be complete.

use std::collections::BTreeMap;
use tidemill_types::{Millis, SourceName};

/// What is known about one source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// Largest watermark that a producer sent.
    said: Option<Millis>,
    /// Newest knowledge instant among the rows.
    newest: Option<Millis>,
}

impl Mark {
    /// Takes in what one commit says.
    pub fn advance(&mut self, said: Option<Millis>, newest: Option<Millis>) {
        self.said = self.said.max(said);
        self.newest = self.newest.max(newest);
    }

    /// The instant up to which the source is complete: what the producer says, or, of producers that say nothing,
    /// the newest knowledge (rows become known when they arrive, so they come in that order).
    #[must_use]
    pub fn instant(self) -> Option<Millis> {
        self.said.or(self.newest)
    }
}

/// Marks of all sources of a project.
#[derive(Clone, Debug, Default)]
pub struct Marks {
    by_source: BTreeMap<SourceName, Mark>,
}

impl Marks {
    /// Marks of these sources, about which nothing is known yet.
    #[must_use]
    pub fn of(sources: impl IntoIterator<Item = SourceName>) -> Self {
        Self { by_source: sources.into_iter().map(|source| (source, Mark::default())).collect() }
    }

    /// Takes in what one commit of a source says.
    pub fn advance(&mut self, source: &SourceName, said: Option<Millis>, newest: Option<Millis>) {
        self.by_source.entry(source.clone()).or_default().advance(said, newest);
    }

    /// The instant up to which one source is complete.
    #[must_use]
    pub fn instant(&self, source: &SourceName) -> Option<Millis> {
        self.by_source.get(source).and_then(|mark| mark.instant())
    }

    /// The instant up to which all sources are complete; `None` until every one has said something.
    #[must_use]
    pub fn all(&self) -> Option<Millis> {
        self.by_source.values().map(|mark| mark.instant()).min().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_sources_are_complete_up_to_the_slowest_and_unknown_until_the_last_spoke() {
        let (a, b): (SourceName, SourceName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let mut marks = Marks::of([a.clone(), b.clone()]);
        marks.advance(&a, Some(Millis(10)), Some(Millis(12)));
        assert_eq!(marks.all(), None);
        marks.advance(&b, None, Some(Millis(7)));
        assert_eq!(marks.all(), Some(Millis(7)));
        marks.advance(&b, Some(Millis(20)), None);
        assert_eq!(marks.all(), Some(Millis(10)));
        marks.advance(&a, Some(Millis(3)), None);
        assert_eq!(marks.instant(&a), Some(Millis(10)), "watermarks never go back");
    }
}
