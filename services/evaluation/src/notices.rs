//! What evaluation tells the others, and where its dead letters go.

use crate::error::EvaluationError;
use tidemill_bus::{Bus, DeadLetterFn};
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::subjects;
use tidemill_registry::AliasMove;
use tidemill_runtime::Teller;
use tidemill_types::ProjectName;

/// Publishes a notice under an id, so that a repeated one is stored once.
pub(crate) async fn tell(
    bus: &Bus,
    project: &ProjectName,
    cycle: &str,
    (noun, participle): (&str, &str),
    fact: Fact,
) -> Result<(), EvaluationError> {
    let id = format!("{project}-{cycle}-{noun}-{participle}");
    let teller = Teller { role: "evaluation", bus, project };
    Ok(teller.notice((noun, participle), (cycle, Some(&id)), fact).await?)
}

/// Appends a move of an alias to the audit log.
pub(crate) async fn audit(bus: &Bus, made: &AliasMove) -> Result<(), EvaluationError> {
    let id = format!("{}-{}-{}-{}", made.project, made.alias, made.to, made.at.0);
    Ok(Teller { role: "evaluation", bus, project: &made.project }.audit(Some(&id), made).await?)
}

/// Stores notices that are given up.
pub(crate) fn dead_letters(bus: &Bus, project: &ProjectName) -> Result<DeadLetterFn, EvaluationError> {
    let origin = "evaluation".parse().map_err(|e| EvaluationError::Request(format!("{e}")))?;
    Ok(bus.dead_letters(subjects::dead(project, &origin)))
}
