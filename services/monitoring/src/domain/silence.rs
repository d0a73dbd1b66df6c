//! Sources that fall silent: seen by a clock, because nothing else tells that nothing comes.
//!
//! The only decision of monitoring that looks at a clock, which its caller hands in. It raises alerts and nothing else
//! follows from it. Three things keep it from crying wolf:
//!
//! * Clocks differ. Silence runs from the instant at which a row was *seen*; that rows say that they were known earlier
//!   counts only as far as it exceeds [`CLOCK_SKEW_MS`], and rows from the future count as of now.
//! * What is older than [`HISTORY_MS`] when it comes is history that is loaded or replayed: its time is not ours, so no
//!   clock judges it until something new comes.
//! * An alert is one per silence, named by the commit after which it began, whoever finds it and how often.

use super::alerts::{Alert, AlertSeverity};
use super::calendar::CalendarWindow;
use super::rhythm::{Arrival, Rhythm};
use serde_json::json;
use std::collections::BTreeMap;
use tidemill_spec::{Source, Window};
use tidemill_types::{Millis, SourceName};

/// Difference between the clocks of producers and ours that is forgiven, in milliseconds.
pub const CLOCK_SKEW_MS: i64 = 10 * 60_000;
/// Age from which what comes is history, in milliseconds, unless the promise itself is half as long.
pub const HISTORY_MS: i64 = 30 * 86_400_000;

/// What some commits say about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Newest knowledge instant among the rows.
    pub newest: Millis,
    /// When the rows were committed, by the writer's clock.
    pub committed: Millis,
    /// When they were seen, by ours.
    pub seen: Millis,
}

/// How a source stands to what it promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Standing {
    /// No row was ever seen.
    Unheard,
    /// Its time is not ours.
    History,
    /// Silent for no longer than promised, and nothing says that it will be.
    Fresh,
    /// Fresh still, but the next row is overdue or the lag grows towards the promise.
    Late,
    /// Silent for longer than promised.
    Stale,
}

/// What is to be told.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// An alert begins.
    Raise(Alert),
    /// It is over; the alert says since when.
    Resolve(Alert),
}

/// A source with a promise.
#[derive(Debug)]
struct Watched {
    within: i64,
    newest: Option<Millis>,
    committed: Millis,
    is_history: bool,
    rhythm: Rhythm,
    open: Vec<Alert>,
}

impl Watched {
    /// Takes in what came; only what is newer than all before ends a silence.
    fn take(&mut self, news: News) {
        if self.newest.is_some_and(|newest| news.newest <= newest) {
            return;
        }
        self.newest = Some(news.newest);
        self.committed = news.committed;
        let age = news.seen.0.saturating_sub(news.newest.0);
        self.is_history = age.saturating_abs() > HISTORY_MS.max(self.within.saturating_mul(2));
        if self.is_history {
            self.rhythm = Rhythm::default();
            return;
        }
        self.rhythm.take(Arrival { seen: news.seen, lag: age.saturating_sub(CLOCK_SKEW_MS).max(0) });
    }

    /// Length of the silence at `now`, in milliseconds.
    fn silence(&self, now: Millis) -> i64 {
        self.rhythm.last().map_or(0, |last| now.0.saturating_sub(last.heard().0).max(0))
    }

    fn standing(&self, now: Millis) -> Standing {
        if self.newest.is_none() {
            return Standing::Unheard;
        }
        if self.is_history {
            return Standing::History;
        }
        if self.silence(now) > self.within {
            return Standing::Stale;
        }
        let is_overdue = self.rhythm.due(self.within).is_some_and(|due| now > due);
        if is_overdue || self.rhythm.breach(self.within).is_some() { Standing::Late } else { Standing::Fresh }
    }

    fn step(&mut self, source: &SourceName, now: Millis) -> Vec<Change> {
        let is_open = |open: &[Alert], rule: &str| open.iter().any(|alert| alert.rule == rule);
        match self.standing(now) {
            Standing::Unheard | Standing::History => Vec::new(),
            Standing::Fresh => {
                let over = self.open.drain(..).map(|alert| Alert { resolved_at: Some(now), ..alert });
                over.map(Change::Resolve).collect()
            }
            Standing::Late if self.open.is_empty() => self.raise(self.late(source, now)),
            Standing::Stale if !is_open(&self.open, &stale_rule(source)) => self.raise(self.stale(source, now)),
            Standing::Late | Standing::Stale => Vec::new(),
        }
    }

    fn raise(&mut self, alert: Alert) -> Vec<Change> {
        self.open.push(alert.clone());
        vec![Change::Raise(alert)]
    }

    fn late(&self, source: &SourceName, now: Millis) -> Alert {
        let within = length(self.within);
        let (because, breach) = match self.rhythm.breach(self.within) {
            Some(breach) => ("rows come later and later".to_owned(), breach),
            None => {
                let pause = length(self.rhythm.longest_pause(self.within).unwrap_or_default());
                (format!("the longest of its newest pauses was {pause}"), self.breach(now))
            }
        };
        let text = format!(
            "source {source} is late: nothing new for {}, and {because}. It breaks its promise of {within} at \
             {breach} if this goes on.",
            length(self.silence(now))
        );
        self.alert(source, (late_rule(source), AlertSeverity::Warn), text, breach, now)
    }

    fn stale(&self, source: &SourceName, now: Millis) -> Alert {
        let text = format!(
            "source {source} is silent: nothing new for {}, promised within {}. Suspected: its producer, or a service \
             on the way from it, has stopped.",
            length(self.silence(now)),
            length(self.within)
        );
        self.alert(source, (stale_rule(source), AlertSeverity::Page), text, self.breach(now), now)
    }

    /// The instant at which the silence as it is becomes longer than promised.
    fn breach(&self, now: Millis) -> Millis {
        let heard = self.rhythm.last().map_or(now, Arrival::heard);
        Millis(heard.0.saturating_add(self.within))
    }

    fn alert(
        &self,
        source: &SourceName,
        (rule, severity): (String, AlertSeverity),
        text: String,
        breach: Millis,
        now: Millis,
    ) -> Alert {
        let evidence = json!({
            "silence_s": self.silence(now) / 1_000,
            "promised_s": self.within / 1_000,
            "newest_known_at": self.newest.map(|newest| newest.to_string()),
            "breach_at": breach.to_string(),
            "longest_pause_s": self.rhythm.longest_pause(self.within).map(|pause| pause / 1_000),
        });
        let window = CalendarWindow::of(Window::Week, self.committed);
        Alert {
            rule,
            severity,
            text,
            evidence,
            window,
            raised_at: now,
            source: Some(source.clone()),
            since: Some(self.committed),
            resolved_at: None,
            elsewhere: false,
        }
    }
}

/// All sources that promise to be fresh.
#[derive(Debug)]
pub struct Silences {
    by_source: BTreeMap<SourceName, Watched>,
    /// Open alerts about sources that promise nothing any more.
    orphans: Vec<Alert>,
}

impl Silences {
    /// Sources of which nothing was heard yet; `stored` are the alerts that were raised before.
    #[must_use]
    pub fn new<'a>(sources: impl IntoIterator<Item = (&'a SourceName, &'a Source)>, stored: &[Alert]) -> Self {
        let promised = sources.into_iter().filter_map(|(name, source)| Some((name.clone(), source.fresh_within?)));
        let watched = |within: tidemill_spec::Span| Watched {
            within: within.millis(),
            newest: None,
            committed: Millis::MIN,
            is_history: false,
            rhythm: Rhythm::default(),
            open: Vec::new(),
        };
        let mut silences =
            Self { by_source: promised.map(|(name, within)| (name, watched(within))).collect(), orphans: Vec::new() };
        for alert in stored.iter().filter(|alert| alert.resolved_at.is_none()) {
            let Some(source) = &alert.source else { continue };
            match silences.by_source.get_mut(source) {
                Some(watched) => watched.open.push(alert.clone()),
                None => silences.orphans.push(alert.clone()),
            }
        }
        silences
    }

    /// Whether a source promises to be fresh.
    #[must_use]
    pub fn watches(&self, source: &SourceName) -> bool {
        self.by_source.contains_key(source)
    }

    /// Takes in what came of a source.
    pub fn take(&mut self, source: &SourceName, news: News) {
        if let Some(watched) = self.by_source.get_mut(source) {
            watched.take(news);
        }
    }

    /// What is to be told at `now`; each change once.
    pub fn step(&mut self, now: Millis) -> Vec<Change> {
        let over = self.orphans.drain(..).map(|alert| Change::Resolve(Alert { resolved_at: Some(now), ..alert }));
        let mut changes: Vec<Change> = over.collect();
        for (source, watched) in &mut self.by_source {
            changes.extend(watched.step(source, now));
        }
        changes
    }

    /// Every watched source with its standing and the length of its silence in milliseconds.
    pub fn standings(&self, now: Millis) -> impl Iterator<Item = (&SourceName, Standing, i64)> {
        self.by_source.iter().map(move |(source, watched)| (source, watched.standing(now), watched.silence(now)))
    }
}

fn late_rule(source: &SourceName) -> String {
    format!("late.{source}")
}

fn stale_rule(source: &SourceName) -> String {
    format!("stale.{source}")
}

/// A length of time in the unit in which people would say it.
fn length(millis: i64) -> String {
    let seconds = millis as f64 / 1_000.0;
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7_200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3_600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}
