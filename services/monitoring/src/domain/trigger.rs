//! When to train again: by the calendar of event time, and by rules over window reports.

use super::calendar::{CalendarWindow, compact_date};
use super::report::WindowReport;
use crate::error::MonitoringError;
use arrow::array::{ArrayRef, AsArray, Float64Array, RecordBatch};
use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_expr::Compiled;
use tidemill_spec::{Retrain, Window, trigger_schema};
use tidemill_types::{CycleId, Millis};

/// Reason of a retraining by the calendar.
pub const SCHEDULE: &str = "schedule";
/// Reasons of retrainings by rule begin with this.
const RULE: &str = "rule: ";

/// A retraining that was asked for; stored as its own marker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetrainOrder {
    /// `schedule`, or `rule: ` and the expression.
    pub reason: String,
    /// Knowledge instant: nothing learned later may be used.
    pub as_of: Millis,
    /// Turn of the loop.
    pub cycle_id: CycleId,
    /// Window whose report asked for it.
    pub window: Option<CalendarWindow>,
}

impl RetrainOrder {
    /// An order with the cycle of its day; `None` outside the calendar.
    #[must_use]
    pub fn new(reason: String, as_of: Millis, window: Option<CalendarWindow>) -> Option<Self> {
        let cycle_id = format!("c-{}", compact_date(as_of)).parse().ok()?;
        Some(Self { reason, as_of, cycle_id, window })
    }

    fn by_rule(&self) -> bool {
        self.reason.starts_with(RULE)
    }
}

/// Decides about retraining. Knows every order that was given, so that none is given twice.
#[derive(Clone, Debug)]
pub struct Trigger {
    every: Window,
    rules: Vec<Compiled>,
    cool_down: i64,
    orders: BTreeMap<Millis, RetrainOrder>,
    /// The calendar was looked at up to here.
    looked: Option<Millis>,
}

impl Trigger {
    /// Compiles the rules of the spec and takes in the orders given before.
    ///
    /// # Errors
    /// When a rule does not type, which the spec was checked for.
    pub fn new(spec: &Retrain, given: Vec<RetrainOrder>) -> Result<Self, MonitoringError> {
        let schema = trigger_schema();
        let rules = spec.when.iter().map(|text| Compiled::new(text, &schema)).collect::<Result<_, _>>()?;
        let orders = given.into_iter().map(|order| (order.as_of, order)).collect();
        Ok(Self { every: spec.every, rules, cool_down: spec.cool_down.millis(), orders, looked: None })
    }

    /// Orders given, oldest first.
    pub fn orders(&self) -> impl Iterator<Item = &RetrainOrder> {
        self.orders.values()
    }

    /// Notes that an order was given.
    pub fn given(&mut self, order: RetrainOrder) {
        self.orders.insert(order.as_of, order);
    }

    /// Calendar instants that are due: starts of a week or month up to `watermark`, after `champion`, the instant
    /// at which the model in service was trained, for which no order was given yet. Oldest first.
    ///
    /// Without an instant of the champion (a model that was put there by hand) the calendar begins at the watermark.
    pub fn due(&mut self, watermark: Millis, champion: Option<Millis>) -> Vec<RetrainOrder> {
        let after = match (champion, self.looked) {
            (Some(trained), looked) => looked.map_or(trained, |l| l.max(trained)),
            (None, looked) => looked.unwrap_or(watermark),
        };
        self.looked = Some(after.max(watermark));
        let mut due = Vec::new();
        let mut window = CalendarWindow::of(self.every, after).next();
        while window.start <= watermark {
            if !self.orders.contains_key(&window.start) {
                due.extend(RetrainOrder::new(SCHEDULE.to_owned(), window.start, None));
            }
            window = window.next();
        }
        due
    }

    /// The order that a window's first report leads to: that of the first rule that holds, unless a rule led to one
    /// less than the cool-down before, or a cycle of the same day exists. `as_of` is the instant at which the report
    /// became possible.
    ///
    /// # Errors
    /// When a rule cannot be evaluated.
    pub fn by_rule(&self, report: &WindowReport, as_of: Millis) -> Result<Option<RetrainOrder>, MonitoringError> {
        let row = trigger_row(report)?;
        let mut held = None;
        for rule in &self.rules {
            if holds(rule, &row)? {
                held = Some(rule);
                break;
            }
        }
        let Some(rule) = held else { return Ok(None) };
        let Some(order) = RetrainOrder::new(format!("{RULE}{}", rule.text()), as_of, Some(report.window)) else {
            return Ok(None);
        };
        let too_soon = |given: &RetrainOrder| {
            given.by_rule() && (given.as_of.0.saturating_sub(as_of.0)).saturating_abs() < self.cool_down
        };
        let blocked = self.orders.values().any(|given| too_soon(given) || given.cycle_id == order.cycle_id);
        Ok((!blocked).then_some(order))
    }
}

fn holds(rule: &Compiled, row: &RecordBatch) -> Result<bool, MonitoringError> {
    let value = rule.evaluate(row)?;
    // A rule over something that is not known does not hold.
    Ok(*value.data_type() == DataType::Boolean && value.as_boolean().iter().next().flatten().unwrap_or(false))
}

/// The columns that rules see, as one row; what is not known is null.
fn trigger_row(report: &WindowReport) -> Result<RecordBatch, MonitoringError> {
    let champion = report.performance.champion.as_ref();
    let auc = champion.map(|c| c.roc_auc.value);
    let reference = report.auc_reference.map(|r| r.value);
    let value = |name: &str| match name {
        "auc" => auc,
        "auc_reference" => reference,
        "auc_drop" => reference.zip(auc).map(|(reference, auc)| reference - auc),
        "brier" => champion.map(|c| c.brier.value),
        "ece" => champion.map(|c| c.ece.value),
        "kpi" => report.kpi.as_ref().map(|kpi| kpi.value),
        "rows" => Some(report.outcomes as f64),
        "drifted_share" => report.drift.as_ref().map(|drift| drift.drifted_share),
        _ => None,
    };
    let schema = trigger_schema();
    let columns = schema.fields().iter().map(|f| Arc::new(Float64Array::from(vec![value(f.name())])) as ArrayRef);
    let columns = columns.collect();
    Ok(RecordBatch::try_new(Arc::new(schema), columns)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::report::AucReference;
    use crate::domain::report::samples::report;
    use tidemill_spec::Span;

    fn at(text: &str) -> Millis {
        Millis::parse(text).unwrap()
    }

    fn trigger(rules: &[&str], given: Vec<RetrainOrder>) -> Trigger {
        let when = rules.iter().map(|r| (*r).to_owned()).collect();
        Trigger::new(&Retrain { every: Window::Month, when, cool_down: Span::hours(14 * 24) }, given).unwrap()
    }

    #[test]
    fn the_calendar_asks_once_for_every_month_after_the_champion() {
        let february = Some(at("2013-02-01T00:00:00Z"));
        let mut calendar = trigger(&[], vec![]);
        assert_eq!(calendar.due(at("2013-02-28T23:59:59Z"), february), []);
        let due = calendar.due(at("2013-03-01T00:00:00Z"), february);
        assert_eq!(due.len(), 1);
        assert_eq!((due[0].as_of, due[0].cycle_id.as_str()), (at("2013-03-01T00:00:00Z"), "c-20130301"));
        calendar.given(due[0].clone());
        assert_eq!(calendar.due(at("2013-03-20T00:00:00Z"), february), []);
        // A watermark that leaps asks for each month that it passed, oldest first.
        let days: Vec<_> = calendar.due(at("2013-06-02T00:00:00Z"), february).iter().map(|o| o.as_of).collect();
        assert_eq!(days, [at("2013-04-01T00:00:00Z"), at("2013-05-01T00:00:00Z"), at("2013-06-01T00:00:00Z")]);
    }

    #[test]
    fn a_restart_asks_only_for_what_was_not_given() {
        let february = Some(at("2013-02-01T00:00:00Z"));
        let march = RetrainOrder::new(SCHEDULE.to_owned(), at("2013-03-01T00:00:00Z"), None).unwrap();
        let mut calendar = trigger(&[], vec![march]);
        let due = calendar.due(at("2013-04-05T00:00:00Z"), february);
        assert_eq!(due.iter().map(|o| o.as_of).collect::<Vec<_>>(), [at("2013-04-01T00:00:00Z")]);
        // A champion put there by hand: the calendar begins now.
        let mut by_hand = trigger(&[], vec![]);
        assert_eq!(by_hand.due(at("2013-04-05T00:00:00Z"), None), []);
        assert_eq!(by_hand.due(at("2013-05-05T00:00:00Z"), None).len(), 1);
    }

    #[test]
    fn a_rule_asks_once_per_cool_down() {
        let mut rules = trigger(&["auc_drop > 0.03"], vec![]);
        let mut bad = report();
        bad.auc_reference = Some(AucReference { value: 0.99, low: 0.98 });
        let first = rules.by_rule(&bad, at("2013-02-12T12:00:00Z")).unwrap().unwrap();
        assert_eq!((first.reason.as_str(), first.window), ("rule: auc_drop > 0.03", Some(bad.window)));
        rules.given(first);
        assert_eq!(rules.by_rule(&bad, at("2013-02-19T12:00:00Z")).unwrap(), None, "cooling down");
        assert!(rules.by_rule(&bad, at("2013-02-26T12:00:00Z")).unwrap().is_some());
        let scheduled = RetrainOrder::new(SCHEDULE.to_owned(), at("2013-03-05T00:00:00Z"), None).unwrap();
        rules.given(scheduled);
        assert_eq!(rules.by_rule(&bad, at("2013-03-05T12:00:00Z")).unwrap(), None, "this day has a cycle");
        let cooled = rules.by_rule(&bad, at("2013-03-06T12:00:00Z")).unwrap();
        assert!(cooled.is_some(), "the calendar does not cool rules down");
    }

    #[test]
    fn a_rule_over_what_is_not_known_does_not_hold() {
        let rules = trigger(&["auc_drop > 0.03", "drifted_share > 0.5"], vec![]);
        let mut unknown = report();
        unknown.auc_reference = None;
        unknown.drift = None;
        assert_eq!(rules.by_rule(&unknown, at("2013-02-12T12:00:00Z")).unwrap(), None);
        let other = trigger(&["kpi < 1000000 and rows >= 10"], vec![]);
        assert!(other.by_rule(&report(), at("2013-02-12T12:00:00Z")).unwrap().is_some());
    }
}
