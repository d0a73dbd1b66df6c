//! *Alerts*: what was raised, about which window, and the numbers behind it.

use super::overview::{counts, urgency};
use super::paging::Part;
use crate::answers::Alert;
use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{self, Align};
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Alerts of one page.
const PAGE: usize = 50;
/// Names of an evidence that is a list, at most.
const NAMED: usize = 12;

/// Heads of a table of alerts.
pub(super) const HEADS: [(&str, Align); 4] =
    [("Urgency", Align::Text), ("Rule", Align::Text), ("What", Align::Text), ("Known at", Align::Text)];

/// Which alerts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    severity: Option<Severity>,
    page: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Severity {
    Warn,
    Error,
    Page,
}

impl Severity {
    fn name(self) -> &'static str {
        match self {
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Page => "page",
        }
    }
}

/// Alerts, newest first.
#[derive(Serialize)]
pub(super) struct Alerts {
    severity: Option<Severity>,
    total: usize,
    part: Part,
    alerts: Vec<Alert>,
}

impl Page for Alerts {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let mut alerts = counts(app).await?.alerts;
        let total = alerts.len();
        alerts.retain(|alert| query.severity.is_none_or(|severity| severity.name() == alert.severity));
        alerts.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
        let part = Part::of(alerts.len(), PAGE, query.page.as_deref())?;
        Ok(Self { severity: query.severity, total, part, alerts: part.cut(alerts) })
    }

    fn view(&self) -> Markup {
        if self.total == 0 {
            let what = "No alert was raised. Alerts appear when a window of predictions has met its outcomes and a \
                        monitor finds something.";
            return layout::panel("Alerts", "", &layout::empty(what, "tidemill events replay PLAN"));
        }
        let chosen = self.severity.map_or("all", Severity::name);
        let options = [
            ("all", "/alerts"),
            ("page", "/alerts?severity=page"),
            ("error", "/alerts?severity=error"),
            ("warn", "/alerts?severity=warn"),
        ];
        let options = options.map(|(name, href)| (name, href.to_owned()));
        html! {
            p.muted { "A " strong { "page" } " is to be looked at now, a " strong { "warning" } " in working hours; an "
                strong { "error" } " is not tried again by itself. Each alert is raised once per window and rule; one \
                on a silent or refused source stands until it is over. Those of other roles are kept for 90 days." }
            div.toolbar { (layout::choice("Urgency", chosen, &options)) span.muted { (format::count(self.part.found as u64)) " alerts" } }
            @if self.alerts.is_empty() {
                (layout::empty("None of this urgency.", ""))
            }
            @for alert in &self.alerts { (one(alert)) }
            (self.part.links("/alerts", &[("severity", self.severity.map_or("", Severity::name))]))
        }
    }
}

fn one(alert: &Alert) -> Markup {
    html! {
        article.panel.alert {
            header {
                h2 { (layout::badge(urgency(&alert.severity), &alert.severity)) " " (alert.rule.replace('_', " ")) }
                p { (about(alert)) }
            }
            p { (alert.text) }
            details {
                summary { "Numbers behind it" }
                (layout::facts(&alert.evidence.iter().map(|(name, value)| (name.as_str(), evidence(value))).collect::<Vec<_>>()))
            }
        }
    }
}

/// What an alert is about, and when.
fn about(alert: &Alert) -> Markup {
    html! {
        @match &alert.source {
            Some(source) => { a href={ "/data/" (source) } { (source) } ", raised " (format::time(alert.raised_at)) }
            None if alert.elsewhere => { "raised " (format::time(alert.raised_at)) }
            None => { (alert.kind) " from " (format::day(alert.start)) ", known " (format::time(alert.raised_at)) }
        }
        @match alert.resolved_at {
            Some(at) => { ", over " (format::time(at)) }
            None if alert.source.is_some() => { ", still so" }
            None => {}
        }
    }
}

fn evidence(value: &Value) -> Markup {
    let text = match value {
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), format::number),
        Value::String(text) => text.chars().take(80).collect(),
        Value::Array(names) => {
            let shown: Vec<String> = names
                .iter()
                .take(NAMED)
                .map(|name| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
                .collect();
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{}{more}", shown.join(", "))
        }
        Value::Null => format::ABSENT.to_owned(),
        other => other.to_string().chars().take(200).collect(),
    };
    html! { (text) }
}

/// An alert as a row, with what was found but not what is suspected.
pub(super) fn short_row(alert: &Alert) -> Vec<Markup> {
    vec![
        layout::badge(urgency(&alert.severity), &alert.severity),
        html! { (alert.rule.replace('_', " ")) },
        html! { span.wrap { (alert.text.split(". ").next().unwrap_or_default()) } },
        format::time(alert.raised_at),
    ]
}
