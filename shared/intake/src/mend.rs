//! A table of which the store lost a part, brought to where the stream fills it again.

use crate::error::IntakeError;
use crate::writer::signed;
use tidemill_bus::Bus;
use tidemill_dataset::Table;
use tidemill_storage::Storage;
use tracing::warn;

/// Gives up the newest versions of a table when the store lost part of them, so that the stream fills it again from the
/// last whole one. To be called before the table is opened, also after a passing failure: the store may have come back
/// from a power cut. Tables that stand in folders, which are flushed, are not looked at.
///
/// # Errors
/// [`IntakeError::Lost`] when the stream no longer has what would be given up; when bus or store fail.
pub async fn mend(bus: &Bus, storage: &Storage, table: &str, stream: &str) -> Result<(), IntakeError> {
    while let Some(damage) = Table::damage(storage, table).await? {
        let state = bus.stream_state(stream).await?;
        let done = Table::done_before(storage, table, &damage, &state.incarnation(stream)).await?;
        let first = signed(state.first_seq);
        if first > done + 1 {
            return Err(IntakeError::Lost {
                table: table.to_owned(),
                whole: damage.whole.map_or_else(|| "none".to_owned(), |version| version.to_string()),
                reason: damage.reason,
                stream: stream.to_owned(),
                first,
                done,
            });
        }
        warn!(
            table,
            whole = damage.whole,
            newest = damage.newest,
            reason = damage.reason,
            done,
            "the store lost part of the newest versions of a table; they are given up and filled again from the bus"
        );
        Table::give_up(storage, &damage).await?;
    }
    Ok(())
}
