//! Notices out.

use crate::Role;
use crate::domain::alerts::Alert;
use crate::domain::calendar::compact;
use crate::domain::trigger::RetrainOrder;
use crate::error::MonitoringError;
use tidemill_bus::Message;
use tidemill_contracts::events::{AlertRaised, AlertResolved, RetrainRequested, notice};
use tidemill_contracts::headers;
use tidemill_runtime::Teller;

/// Tells of an alert; the same alert twice is one message for the bus.
pub(crate) async fn alert(deps: &Role, alert: &Alert) -> Result<(), MonitoringError> {
    let fact = AlertRaised {
        rule: alert.rule.clone(),
        severity: alert.severity.as_str().to_owned(),
        text: alert.text.clone(),
        window_start_ms: alert.window.start.0,
        source: about(alert),
    };
    send(deps, ("alert", "raised"), "", notice::Fact::AlertRaised(fact), &message_id(deps, "alert", alert)).await
}

/// Tells that what an alert was about is over; the same twice is one message for the bus.
pub(crate) async fn resolved(deps: &Role, alert: &Alert) -> Result<(), MonitoringError> {
    let fact = AlertResolved {
        rule: alert.rule.clone(),
        raised_at_ms: alert.raised_at.0,
        resolved_at_ms: alert.resolved_at.map(|at| at.0).unwrap_or_default(),
        source: about(alert),
    };
    send(deps, ("alert", "resolved"), "", notice::Fact::AlertResolved(fact), &message_id(deps, "resolved", alert)).await
}

fn about(alert: &Alert) -> String {
    alert.source.as_ref().map(ToString::to_string).unwrap_or_default()
}

fn message_id(deps: &Role, what: &str, alert: &Alert) -> String {
    format!("{}{}", own(deps, what), alert.id())
}

/// How the ids of what this role tells of alerts begin.
fn own(deps: &Role, what: &str) -> String {
    format!("{what}:{}:{}:", deps.spec.project, deps.spec.serve.deployment)
}

/// Whether this role published a notice about an alert.
pub(crate) fn is_own(deps: &Role, message: &Message) -> bool {
    let id = message.headers.get(headers::NATS_MSG_ID).unwrap_or_default();
    ["alert", "resolved"].iter().any(|what| id.starts_with(&own(deps, what)))
}

/// Asks for a retraining; the same order twice is one message for the bus.
pub(crate) async fn order(deps: &Role, order: &RetrainOrder) -> Result<(), MonitoringError> {
    let fact = RetrainRequested { reason: order.reason.clone(), as_of_ms: order.as_of.0 };
    let id = format!("retrain:{}:{}:{}", deps.spec.project, deps.spec.serve.deployment, compact(order.as_of));
    let fact = notice::Fact::RetrainRequested(fact);
    send(deps, ("retrain", "requested"), order.cycle_id.as_str(), fact, &id).await
}

async fn send(
    deps: &Role,
    what: (&str, &str),
    cycle_id: &str,
    fact: notice::Fact,
    id: &str,
) -> Result<(), MonitoringError> {
    let teller = Teller { role: "monitoring", bus: &deps.bus, project: &deps.spec.project };
    Ok(teller.notice(what, (cycle_id, Some(id)), fact).await?)
}
