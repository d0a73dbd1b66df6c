//! Alerts that other roles raised, so that all are asked for in one place. Nothing follows from them here.

use super::alerts::{Alert, AlertSeverity};
use super::calendar::CalendarWindow;
use std::collections::VecDeque;
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::events::{AlertRaised, AlertResolved};
use tidemill_spec::Window;
use tidemill_types::Millis;

/// Alerts that are kept.
const MOST: usize = 1_000;

/// What others told, oldest first. The stream of notices keeps it; whoever begins anew reads it again.
#[derive(Clone, Debug, Default)]
pub struct Heard {
    alerts: VecDeque<Alert>,
}

impl Heard {
    /// Takes in a notice that was published at an instant; those that are not about alerts say nothing.
    pub fn take(&mut self, fact: &Fact, at: Millis) {
        match fact {
            Fact::AlertRaised(raised) => self.raised(raised, at),
            Fact::AlertResolved(resolved) => self.resolved(resolved),
            _ => {}
        }
    }

    /// The alerts, oldest first.
    pub fn alerts(&self) -> impl Iterator<Item = &Alert> {
        self.alerts.iter()
    }

    fn raised(&mut self, raised: &AlertRaised, at: Millis) {
        let alert = alert(raised, at);
        // A role that began anew raises again what stands.
        if let Some(known) = self.alerts.iter_mut().find(|known| stands(known, &raised.rule, &raised.source)) {
            known.text = alert.text;
            return;
        }
        if self.alerts.len() >= MOST {
            let over = self.alerts.iter().position(|alert| alert.source.is_none() || alert.resolved_at.is_some());
            self.alerts.remove(over.unwrap_or_default());
        }
        self.alerts.push_back(alert);
    }

    fn resolved(&mut self, resolved: &AlertResolved) {
        let over = |alert: &&mut Alert| stands(alert, &resolved.rule, &resolved.source);
        for alert in self.alerts.iter_mut().filter(over) {
            alert.resolved_at = Some(Millis(resolved.resolved_at_ms));
        }
    }
}

/// Whether an alert of this rule about this source is not over; one about no source is told once, and has no end.
fn stands(alert: &Alert, rule: &str, source: &str) -> bool {
    let is_about = alert.source.as_ref().is_some_and(|about| about.as_str() == source);
    is_about && alert.rule == rule && alert.resolved_at.is_none()
}

fn alert(raised: &AlertRaised, at: Millis) -> Alert {
    let about = if raised.window_start_ms == 0 { at } else { Millis(raised.window_start_ms) };
    Alert {
        rule: raised.rule.clone(),
        severity: AlertSeverity::told(&raised.severity),
        text: raised.text.clone(),
        evidence: serde_json::json!({}),
        window: CalendarWindow::of(Window::Week, about),
        raised_at: at,
        source: raised.source.parse().ok(),
        since: None,
        resolved_at: None,
        elsewhere: true,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn raised(rule: &str, source: &str, text: &str) -> Fact {
        let (rule, source, text) = (rule.to_owned(), source.to_owned(), text.to_owned());
        Fact::AlertRaised(AlertRaised { rule, source, text, severity: "error".to_owned(), window_start_ms: 0 })
    }

    fn resolved(rule: &str, source: &str) -> Fact {
        let (rule, source) = (rule.to_owned(), source.to_owned());
        Fact::AlertResolved(AlertResolved { rule, source, raised_at_ms: 0, resolved_at_ms: 9 })
    }

    #[test]
    fn an_alert_of_another_role_stands_once_until_it_is_over() {
        let mut heard = Heard::default();
        heard.take(&raised("dead_letters", "readings", "40 of 140"), Millis(1));
        heard.take(&raised("dead_letters", "readings", "60 of 160"), Millis(2));
        heard.take(&raised("dead_letters", "others", "all"), Millis(3));
        heard.take(&resolved("dead_letters", "readings"), Millis(9));
        heard.take(&raised("dead_letters", "readings", "again"), Millis(10));
        let seen: Vec<_> = heard.alerts().map(|a| (a.text.as_str(), a.raised_at.0, a.resolved_at)).collect();
        assert_eq!(seen, [("60 of 160", 1, Some(Millis(9))), ("all", 3, None), ("again", 10, None)]);
        let first = heard.alerts().next().unwrap();
        assert_eq!((first.severity, first.elsewhere), (AlertSeverity::Error, true));
    }

    #[test]
    fn what_is_told_once_is_kept_among_the_newest_and_what_stands_is_not_pushed_out() {
        let mut heard = Heard::default();
        heard.take(&raised("dead_letters", "readings", "stands"), Millis(0));
        for n in 1..=2_000 {
            heard.take(&raised("training", "", "no candidate"), Millis(n));
        }
        assert_eq!(heard.alerts().count(), MOST);
        assert_eq!(heard.alerts().next().map(|alert| alert.text.as_str()), Some("stands"));
        assert_eq!(heard.alerts().last().map(|alert| alert.raised_at), Some(Millis(2_000)));
    }
}
