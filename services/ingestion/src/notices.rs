//! What ingestion tells the others.

use crate::Deps;
use prost::Message as _;
use tidemill_bus::Headers;
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::events::{AlertRaised, Notice};
use tidemill_contracts::{headers, subjects};
use tidemill_types::ProjectName;

/// A fact about the project, as it goes out.
pub(crate) fn encoded(project: &ProjectName, fact: Fact) -> Vec<u8> {
    Notice { project: project.to_string(), cycle_id: String::new(), fact: Some(fact) }.encode_to_vec()
}

/// Raises an alert. The same id within the bus's dedupe window is the same alert.
pub(crate) async fn raise(
    deps: &Deps,
    id: &str,
    rule: &str,
    severity: &str,
    text: String,
) -> Result<(), tidemill_bus::Error> {
    let project = &deps.spec.project;
    let fact = AlertRaised { rule: rule.to_owned(), severity: severity.to_owned(), text, window_start_ms: 0 };
    let sent = Headers::new().with(headers::NATS_MSG_ID, id)?;
    deps.bus
        .publish(&subjects::notice(project, "alert", "raised"), &sent, encoded(project, Fact::AlertRaised(fact)))
        .await?;
    Ok(())
}
