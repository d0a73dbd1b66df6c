//! The streams a project needs on the bus.

use crate::error::Result;
use std::time::Duration;
use tidemill_bus::{Bus, Kv, KvSpec, Retention, StreamSpec};
use tidemill_contracts::{letters, subjects};
use tidemill_registry::Registry;
use tidemill_runtime::config::Size;
use tidemill_spec::Spec;

const DAY: Duration = Duration::from_secs(86_400);
/// How long data events can be replayed from the bus. Tables keep them for good.
const EVENTS_KEPT: Duration = DAY.saturating_mul(30);
/// Dead letters and notices are looked at within this time, or not at all.
const LETTERS_KEPT: Duration = DAY.saturating_mul(90);
/// Ids of dead letters are remembered this long, so that a repeated pass over a stream does not double them.
const LETTERS_REMEMBERED: Duration = Duration::from_secs(3_600);

/// Every stream of a project and those that all projects share, of which the dead letters hold at most so many bytes.
pub(crate) fn of_project(spec: &Spec, letters: Size) -> Vec<StreamSpec> {
    let project = &spec.project;
    let mut streams: Vec<StreamSpec> = spec
        .sources
        .keys()
        .map(|source| StreamSpec {
            max_age: Some(EVENTS_KEPT),
            ..StreamSpec::new(subjects::events_stream(project, source), [subjects::events(project, source)])
        })
        .collect();
    let deployment = &spec.serve.deployment;
    streams.push(StreamSpec {
        max_age: Some(EVENTS_KEPT),
        ..StreamSpec::new(
            subjects::predictions_stream(project, deployment),
            [subjects::predictions(project, deployment)],
        )
    });
    streams.push(StreamSpec {
        max_age: Some(LETTERS_KEPT),
        ..StreamSpec::new(subjects::NOTICES_STREAM, ["tm.notices.>"])
    });
    streams
        .push(StreamSpec { retention: Retention::WorkQueue, ..StreamSpec::new(subjects::WORK_STREAM, ["tm.work.>"]) });
    streams.push(StreamSpec {
        max_age: Some(LETTERS_KEPT),
        max_bytes: Some(letters.0),
        duplicate_window: LETTERS_REMEMBERED,
        ..StreamSpec::new(subjects::DEAD_STREAM, ["tm.dead.>"])
    });
    streams.push(StreamSpec::new(subjects::AUDIT_STREAM, ["tm.audit.>"]));
    streams.push(StreamSpec {
        max_age: Some(LETTERS_KEPT),
        ..StreamSpec::new(subjects::LINEAGE_STREAM, ["tm.lineage.>"])
    });
    streams
}

/// Makes the streams that are missing and brings the others to their specification; makes the buckets that the roles
/// share, which they may not make themselves.
pub(crate) async fn ensure(bus: &Bus, spec: &Spec, letters: Size) -> Result<()> {
    for stream in of_project(spec, letters) {
        bus.ensure_stream(&stream).await?;
    }
    Registry::open(bus).await?;
    Kv::open(bus, &KvSpec::new(subjects::HEADS_BUCKET)).await?;
    Kv::open(bus, &KvSpec::new(letters::BUCKET)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subject_is_stored_by_one_stream() {
        let spec = Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
        let streams = of_project(&spec, Size(1));
        let mut subjects: Vec<_> = streams.iter().flat_map(|s| s.subjects.clone()).collect();
        let all = subjects.len();
        subjects.sort();
        subjects.dedup();
        assert_eq!(subjects.len(), all);
        assert_eq!(streams.len(), spec.sources.len() + 6);
    }
}
