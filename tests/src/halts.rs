//! A source that is halted beside another one that goes on.

use crate::Published;
use crate::messages::{self, Form, Messages};
use crate::rig::{Rig, caught_up};
use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::events::Notice;
use tidemill_contracts::events::notice::Fact;
use tidemill_contracts::subjects;
use tidemill_ingestion::raw_table_path;
use tidemill_spec::Spec;
use tidemill_types::SourceName;

/// Longest silence of the notices.
const SOON: Duration = Duration::from_secs(30);

/// The project of the tests with a second source, [`others`], of the same columns.
///
/// # Errors
/// When it is not valid, which is a defect.
pub fn two_sources() -> Result<Arc<Spec>> {
    Ok(Arc::new(Spec::parse(&two_sources_text()).context("two sources")?))
}

/// Its text.
#[must_use]
pub fn two_sources_text() -> String {
    let other = "\n  others:\n    key: [n]\n    event_time: at\n    columns:\n      n: {type: int64}\n      \
                 at: {type: timestamp}\n      meter: {type: string}\n      value: {type: float64, nullable: true}\n\nquality:";
    include_str!("../data/meters.yaml").replacen("\nquality:", other, 1)
}

/// Name of the second source.
///
/// # Errors
/// Never, as the name is valid.
pub fn others() -> Result<SourceName> {
    "others".parse().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// Publishes readings to the second source and waits until its raw table has them.
///
/// # Errors
/// When it has not in time.
pub async fn others_go_on(rig: &Rig, numbers: Range<i64>) -> Result<()> {
    let (others, count) = (others()?, numbers.end - numbers.start);
    let message = Messages::of(&others)?.readings(Form::Array, numbers)?;
    let last = Published::default().publish(&rig.bus, &[(message, count)]).await?;
    let table = raw_table_path(&rig.spec.project, &others);
    let stream = subjects::events_stream(&rig.spec.project, &others);
    caught_up(&rig.bus, rig.store.storage(), &table, &stream, last).await
}

/// What the alert with these words says that halts the source of [`messages::source`], as soon as it is raised.
///
/// # Errors
/// When nothing is said.
pub async fn halted(rig: &Rig, words: &str) -> Result<String> {
    let rule = format!("halted.{}", messages::source()?);
    let mut reader = OrderedReader::open(&rig.bus, subjects::NOTICES_STREAM, 1).await?;
    loop {
        let entries = reader.next_ready(100, 1 << 20, SOON).await?;
        ensure!(!entries.is_empty(), "nothing was said");
        for message in entries.iter().filter_map(Entry::message) {
            if let Some(Fact::AlertRaised(alert)) = Notice::decode(message.payload.clone())?.fact {
                ensure!(alert.rule == rule && alert.severity == "page", "another alert: {}", alert.text);
                if alert.text.contains(words) {
                    return Ok(alert.text);
                }
            }
        }
    }
}
