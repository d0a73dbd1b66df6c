//! What ingestion tells the others.

use crate::Deps;
use tidemill_contracts::events::AlertRaised;

/// Raises an alert. The same id within the bus's dedupe window is the same alert.
pub(crate) async fn raise(
    deps: &Deps,
    id: &str,
    rule: &str,
    severity: &str,
    text: String,
) -> Result<(), tidemill_bus::Error> {
    let alert = AlertRaised { rule: rule.to_owned(), severity: severity.to_owned(), text, ..AlertRaised::default() };
    deps.teller().alert(Some(id), alert).await
}
