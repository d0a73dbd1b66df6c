//! What training tells the others, and where its dead letters go.

use crate::error::TrainingError;
use tidemill_bus::{Bus, DeadLetterFn};
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::subjects;
use tidemill_runtime::Teller;
use tidemill_types::ProjectName;

/// Publishes a notice under an id, so that a repeated one is stored once.
pub(crate) async fn tell(
    bus: &Bus,
    project: &ProjectName,
    cycle: &str,
    (noun, participle): (&str, &str),
    fact: Fact,
) -> Result<(), TrainingError> {
    let id = format!("{project}-{cycle}-{noun}-{participle}");
    let teller = Teller { role: "training", bus, project };
    Ok(teller.notice((noun, participle), (cycle, Some(&id)), fact).await?)
}

/// Stores jobs and notices that are given up.
pub(crate) fn dead_letters(bus: &Bus, project: &ProjectName) -> Result<DeadLetterFn, TrainingError> {
    let origin = "training".parse().map_err(|e| TrainingError::Request(format!("{e}")))?;
    Ok(bus.dead_letters(subjects::dead(project, &origin)))
}
