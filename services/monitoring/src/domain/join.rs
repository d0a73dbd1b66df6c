//! Predictions meet their outcomes, in bounded memory.
//!
//! Either side may come first, late, twice or out of order. Of predictions of one entity at one instant the latest
//! answered counts, of outcomes of one entity the latest known. Nothing is joined when it comes in: a window is put
//! together when it is asked for, so the order of arrival cannot matter.

use super::calendar::CalendarWindow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tidemill_spec::Window;
use tidemill_types::Millis;

/// One logged prediction.
#[derive(Clone, Debug, PartialEq)]
pub struct Prediction {
    /// Instant for which it was made.
    pub as_of: Millis,
    /// Instant of the answer.
    pub answered_at: Millis,
    /// Probability; `None` when the entity was not known.
    pub score: Option<f64>,
    /// Probability of the shadow.
    pub shadow_score: Option<f64>,
    /// Whether it reached the model's threshold.
    pub alerted: bool,
    /// Digest of the model.
    pub model: Arc<str>,
}

/// How an entity turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The label; `None` when the row gives none.
    pub label: Option<bool>,
    /// When it became known.
    pub known_at: Millis,
}

/// What became of an incoming row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is kept and waits for the other side.
    Waiting,
    /// It met the other side; the number of predictions that have an outcome now and had none before.
    Joined(u64),
    /// It replaced, or repeated, what was there.
    Restated,
    /// It belongs to a time that is closed.
    Late,
}

#[derive(Clone, Debug, Default)]
struct Entity {
    /// One per instant, ascending.
    predictions: Vec<Prediction>,
    outcome: Option<Outcome>,
}

/// The rows of one window, in the order of their instants and keys.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WindowRows {
    /// Predictions of the window, those that were superseded included.
    pub predictions: u64,
    /// Predictions of an entity that was asked about again within the window.
    pub superseded: u64,
    /// Predictions without a score.
    pub unscored: u64,
    /// Predictions per model digest.
    pub models: BTreeMap<String, u64>,
    /// Scored predictions whose outcome is known.
    pub scores: Vec<f64>,
    /// Shadow scores of the same rows.
    pub shadow_scores: Vec<Option<f64>>,
    /// Whether each was alerted.
    pub alerted: Vec<bool>,
    /// Outcome of each.
    pub labels: Vec<bool>,
}

/// Predictions and outcomes of the time that is not closed.
#[derive(Clone, Debug)]
pub struct Join {
    kinds: Vec<Window>,
    entities: HashMap<Box<str>, Entity>,
    touched: BTreeSet<CalendarWindow>,
    newest_prediction: Option<Millis>,
    /// By kind, the start of the oldest window that is not closed.
    closed: BTreeMap<Window, Millis>,
    /// The earliest of those: nothing before it is kept.
    horizon: Millis,
    open: BTreeSet<CalendarWindow>,
    late_predictions: u64,
    late_outcomes: u64,
}

impl Join {
    /// An empty join over windows of these kinds.
    #[must_use]
    pub fn new(kinds: &[Window]) -> Self {
        Self {
            kinds: kinds.to_vec(),
            entities: HashMap::new(),
            touched: BTreeSet::new(),
            newest_prediction: None,
            closed: BTreeMap::new(),
            horizon: Millis::MIN,
            open: BTreeSet::new(),
            late_predictions: 0,
            late_outcomes: 0,
        }
    }

    /// Takes in a prediction.
    pub fn prediction(&mut self, key: &str, prediction: Prediction) -> Taken {
        self.newest_prediction = self.newest_prediction.max(Some(prediction.as_of));
        if prediction.as_of < self.horizon {
            self.late_predictions += 1;
            return Taken::Late;
        }
        let windows = self.open_windows([prediction.as_of]);
        self.touched.extend(&windows);
        self.open.extend(&windows);
        let entity = self.entities.entry(key.into()).or_default();
        match entity.predictions.binary_search_by_key(&prediction.as_of, |p| p.as_of) {
            Ok(at) => {
                if entity.predictions[at].answered_at <= prediction.answered_at {
                    entity.predictions[at] = prediction;
                }
                Taken::Restated
            }
            Err(at) => {
                entity.predictions.insert(at, prediction);
                if entity.outcome.is_some() { Taken::Joined(1) } else { Taken::Waiting }
            }
        }
    }

    /// Takes in an outcome.
    pub fn outcome(&mut self, key: &str, outcome: Outcome) -> Taken {
        let instants: Vec<Millis> =
            self.entities.get(key).iter().flat_map(|e| e.predictions.iter().map(|p| p.as_of)).collect();
        // Predictions that are still kept are joined, however early the outcome was known.
        if outcome.known_at < self.horizon && instants.is_empty() {
            self.late_outcomes += 1;
            return Taken::Late;
        }
        let windows = self.open_windows(instants);
        let entity = self.entities.entry(key.into()).or_default();
        match entity.outcome {
            Some(known) if known.known_at > outcome.known_at => Taken::Restated,
            Some(known) => {
                if known.label != outcome.label {
                    self.touched.extend(windows);
                }
                entity.outcome = Some(outcome);
                Taken::Restated
            }
            None => {
                self.touched.extend(windows);
                entity.outcome = Some(outcome);
                match entity.predictions.len() {
                    0 => Taken::Waiting,
                    waiting => Taken::Joined(waiting as u64),
                }
            }
        }
    }

    /// Windows with at least one prediction, those of each kind in the order of time.
    pub fn windows(&self) -> impl Iterator<Item = CalendarWindow> {
        self.open.iter().copied()
    }

    /// Nothing before this instant is kept.
    #[must_use]
    pub fn horizon(&self) -> Millis {
        self.horizon
    }

    fn open_windows(&self, instants: impl IntoIterator<Item = Millis>) -> Vec<CalendarWindow> {
        let of = |instant| self.kinds.iter().map(move |kind| CalendarWindow::of(*kind, instant));
        let open = |w: &CalendarWindow| self.closed.get(&w.kind).is_none_or(|closed| w.start >= *closed);
        instants.into_iter().flat_map(of).filter(open).collect()
    }

    /// Whether the window changed since this was last asked.
    pub fn take_touched(&mut self, window: CalendarWindow) -> bool {
        self.touched.remove(&window)
    }

    /// Instant of the newest prediction ever taken in.
    #[must_use]
    pub fn newest_prediction(&self) -> Option<Millis> {
        self.newest_prediction
    }

    /// Predictions and outcomes that came for a time that was closed.
    #[must_use]
    pub fn late(&self) -> (u64, u64) {
        (self.late_predictions, self.late_outcomes)
    }

    /// Entities in memory.
    #[must_use]
    pub fn entities(&self) -> usize {
        self.entities.len()
    }

    /// The rows of a window. Of several predictions about one entity within the window, the one with the latest
    /// instant counts.
    #[must_use]
    pub fn rows(&self, window: CalendarWindow) -> WindowRows {
        let mut rows = WindowRows::default();
        let mut chosen: Vec<(Millis, &str, &Prediction, Option<bool>)> = Vec::new();
        for (key, entity) in &self.entities {
            let mut inside = entity.predictions.iter().filter(|p| window.holds(p.as_of));
            let count = inside.clone().count() as u64;
            let Some(newest) = inside.next_back() else { continue };
            rows.predictions += count;
            rows.superseded += count - 1;
            let label = entity.outcome.and_then(|outcome| outcome.label);
            chosen.push((newest.as_of, key, newest, label));
        }
        // The order of a hash map must not decide which of two equal scores is inside the budget.
        chosen.sort_unstable_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        for (_, _, prediction, label) in chosen {
            *rows.models.entry(prediction.model.to_string()).or_default() += 1;
            let score = prediction.score.filter(|score| score.is_finite());
            rows.unscored += u64::from(score.is_none());
            if let (Some(score), Some(label)) = (score, label) {
                rows.scores.push(score);
                rows.shadow_scores.push(prediction.shadow_score.filter(|score| score.is_finite()));
                rows.alerted.push(prediction.alerted);
                rows.labels.push(label);
            }
        }
        rows
    }

    /// Closes the windows of a kind that end at or before `instant`, and forgets the time before the oldest window
    /// that is open; rows that come for that time from now on are late.
    pub fn close(&mut self, kind: Window, instant: Millis) {
        let start = CalendarWindow::of(kind, instant).start;
        let closed = self.closed.entry(kind).or_insert(Millis::MIN);
        *closed = start.max(*closed);
        let closed = *closed;
        self.open.retain(|w| w.kind != kind || w.start >= closed);
        self.touched.retain(|w| w.kind != kind || w.start >= closed);
        let horizon = self.kinds.iter().map(|kind| self.closed.get(kind).copied().unwrap_or(Millis::MIN)).min();
        let Some(horizon) = horizon.filter(|horizon| *horizon > self.horizon) else { return };
        self.horizon = horizon;
        self.entities.retain(|_, entity| {
            entity.predictions.retain(|p| p.as_of >= horizon);
            // The outcome of a kept prediction is kept, however early it was known.
            !entity.predictions.is_empty() || entity.outcome.is_some_and(|o| o.known_at >= horizon)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400_000;

    fn prediction(as_of: i64, answered_at: i64, score: f64) -> Prediction {
        Prediction {
            as_of: Millis(as_of),
            answered_at: Millis(answered_at),
            score: Some(score),
            shadow_score: None,
            alerted: score >= 0.5,
            model: "m".into(),
        }
    }

    fn outcome(label: bool, known_at: i64) -> Outcome {
        Outcome { label: Some(label), known_at: Millis(known_at) }
    }

    fn january() -> CalendarWindow {
        CalendarWindow::of(Window::Month, Millis(0))
    }

    #[test]
    fn the_order_of_arrival_does_not_matter() {
        let (mut first, mut second) = (Join::new(&[Window::Month]), Join::new(&[Window::Month]));
        assert_eq!(first.prediction("a", prediction(DAY, DAY, 0.7)), Taken::Waiting);
        assert_eq!(first.prediction("b", prediction(DAY, DAY, 0.2)), Taken::Waiting);
        assert_eq!(first.outcome("b", outcome(false, 2 * DAY)), Taken::Joined(1));
        assert_eq!(first.outcome("a", outcome(true, 2 * DAY)), Taken::Joined(1));
        assert_eq!(second.outcome("a", outcome(true, 2 * DAY)), Taken::Waiting);
        assert_eq!(second.outcome("b", outcome(false, 2 * DAY)), Taken::Waiting);
        assert_eq!(second.prediction("b", prediction(DAY, DAY, 0.2)), Taken::Joined(1));
        assert_eq!(second.prediction("a", prediction(DAY, DAY, 0.7)), Taken::Joined(1));
        let rows = first.rows(january());
        assert_eq!(rows, second.rows(january()));
        assert_eq!((rows.scores, rows.labels, rows.predictions), (vec![0.7, 0.2], vec![true, false], 2));
    }

    #[test]
    fn repeated_predictions_count_once_and_the_latest_answer_wins() {
        let mut join = Join::new(&[Window::Month]);
        join.prediction("a", prediction(DAY, 5, 0.1));
        assert_eq!(join.prediction("a", prediction(DAY, 9, 0.9)), Taken::Restated);
        assert_eq!(join.prediction("a", prediction(DAY, 5, 0.1)), Taken::Restated);
        join.outcome("a", outcome(true, 2 * DAY));
        assert_eq!(join.rows(january()).scores, [0.9]);
        assert_eq!(join.rows(january()).predictions, 1);
        // Another instant of the same window supersedes it and is said to.
        join.prediction("a", prediction(DAY + 1, 9, 0.3));
        let rows = join.rows(january());
        assert_eq!((rows.scores, rows.predictions, rows.superseded), (vec![0.3], 2, 1));
    }

    #[test]
    fn the_outcome_known_last_wins_and_touches_the_window() {
        let mut join = Join::new(&[Window::Month]);
        join.prediction("a", prediction(DAY, DAY, 0.9));
        join.outcome("a", outcome(false, 3 * DAY));
        assert!(join.take_touched(january()));
        assert_eq!(join.outcome("a", outcome(true, 2 * DAY)), Taken::Restated);
        assert!(!join.take_touched(january()), "an older statement changes nothing");
        assert_eq!(join.rows(january()).labels, [false]);
        assert_eq!(join.outcome("a", outcome(true, 4 * DAY)), Taken::Restated);
        assert!(join.take_touched(january()));
        assert_eq!(join.rows(january()).labels, [true]);
    }

    #[test]
    fn a_closed_time_is_forgotten_and_its_late_rows_are_counted() {
        let mut join = Join::new(&[Window::Month]);
        let february = CalendarWindow::of(Window::Month, Millis(40 * DAY));
        join.prediction("a", prediction(DAY, DAY, 0.9));
        join.prediction("b", prediction(40 * DAY, 40 * DAY, 0.9));
        join.outcome("b", outcome(true, 30 * DAY));
        join.outcome("c", outcome(true, 2 * DAY));
        join.close(Window::Month, february.start);
        assert_eq!(join.windows().collect::<Vec<_>>(), [february]);
        assert_eq!(join.entities(), 1);
        assert_eq!(join.prediction("a", prediction(DAY, DAY, 0.9)), Taken::Late);
        assert_eq!(join.outcome("a", outcome(true, 2 * DAY)), Taken::Late);
        assert_eq!(join.late(), (1, 1));
        assert_eq!(join.rows(february).labels, [true]);
        assert_eq!(join.newest_prediction(), Some(Millis(40 * DAY)));
    }

    #[test]
    fn memory_reaches_back_to_the_oldest_open_window_of_any_kind() {
        let mut join = Join::new(&[Window::Week, Window::Month]);
        join.prediction("a", prediction(12 * DAY, 0, 0.9));
        assert_eq!(join.windows().count(), 2);
        join.close(Window::Week, Millis(20 * DAY));
        assert_eq!(join.windows().collect::<Vec<_>>(), [january()], "the month still needs the row");
        assert_eq!(join.rows(january()).predictions, 1);
        join.prediction("b", prediction(12 * DAY, 0, 0.9));
        assert_eq!(join.windows().collect::<Vec<_>>(), [january()], "a closed week is not opened again");
        join.close(Window::Month, Millis(35 * DAY));
        assert_eq!((join.windows().count(), join.entities()), (0, 0));
    }

    #[test]
    fn rows_without_score_or_label_count_as_predictions_only() {
        let mut join = Join::new(&[Window::Month]);
        join.prediction("a", Prediction { score: None, ..prediction(DAY, DAY, 0.0) });
        join.prediction("b", prediction(DAY, DAY, 0.4));
        join.outcome("a", outcome(true, 2 * DAY));
        join.outcome("b", Outcome { label: None, known_at: Millis(2 * DAY) });
        let rows = join.rows(january());
        assert_eq!((rows.predictions, rows.unscored, rows.scores.len()), (2, 1, 0));
    }
}
