//! What was published, to be compared with what is in the table.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use tidemill_bus::{BatchPublisher, Bus, Outgoing};

/// Rows that each sequence of a stream should have, as the producer knows it.
#[derive(Clone, Debug, Default)]
pub struct Published {
    /// Rows by sequence.
    pub rows: BTreeMap<i64, i64>,
}

impl Published {
    /// Publishes messages with their row counts and notes where the bus stored them.
    ///
    /// # Errors
    /// When the bus does not take them, or stores them elsewhere than one after the other.
    pub async fn publish(&mut self, bus: &Bus, messages: &[(Outgoing, i64)]) -> Result<i64> {
        let plain: Vec<Outgoing> = messages.iter().map(|(message, _)| message.clone()).collect();
        let ack = BatchPublisher::new(bus).publish(&plain).await?;
        let last = i64::try_from(ack.last_sequence().unwrap_or_default())?;
        let first = last + 1 - i64::try_from(messages.len())?;
        ensure!(ack.duplicates == 0, "the bus dropped {} messages as duplicates", ack.duplicates);
        for (sequence, (_, rows)) in (first..).zip(messages) {
            ensure!(self.rows.insert(sequence, *rows).is_none(), "sequence {sequence} was given twice");
        }
        Ok(last)
    }

    /// Rows of all messages.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.rows.values().sum()
    }

    /// Last sequence.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.rows.last_key_value().map_or(0, |(sequence, _)| *sequence)
    }
}
