//! Names on the bus. A change here breaks running systems and stored data.

use anyhow::{Context as _, Result};
use tidemill_contracts::{headers, subjects};
use tidemill_types::{DeploymentName, ProjectName, SourceName};

#[test]
fn every_subject_and_stream_has_its_published_name() -> Result<()> {
    let project: ProjectName = "flights".parse()?;
    let source: SourceName = "departures".parse()?;
    let deployment: DeploymentName = "disruption".parse()?;
    let table = [
        (subjects::events(&project, &source), "tm.events.flights.departures"),
        (subjects::events_stream(&project, &source), "TM_EVENTS_flights_departures"),
        (subjects::notice(&project, "candidate", "trained"), "tm.notices.flights.candidate.trained"),
        (subjects::work("training", "trial"), "tm.work.training.trial"),
        (subjects::predictions(&project, &deployment), "tm.predictions.flights.disruption"),
        (subjects::predictions_stream(&project, &deployment), "TM_PREDICTIONS_flights_disruption"),
        (subjects::dead(&project, &source), "tm.dead.flights.departures"),
        (subjects::audit(&project), "tm.audit.flights"),
        (subjects::lineage(&project), "tm.lineage.flights"),
        (subjects::NOTICES_STREAM.to_owned(), "TM_NOTICES"),
        (subjects::WORK_STREAM.to_owned(), "TM_WORK"),
        (subjects::DEAD_STREAM.to_owned(), "TM_DEAD"),
        (subjects::AUDIT_STREAM.to_owned(), "TM_AUDIT"),
        (subjects::LINEAGE_STREAM.to_owned(), "TM_LINEAGE"),
        (subjects::PROJECTS_BUCKET.to_owned(), "projects"),
        (subjects::REGISTRY_BUCKET.to_owned(), "registry"),
        (subjects::HEADS_BUCKET.to_owned(), "heads"),
    ];
    for (name, published) in table {
        assert_eq!(name, published);
    }
    Ok(())
}

#[test]
fn names_that_would_split_a_subject_are_no_names() {
    for bad in ["", "a.b", "a b", "*", ">", "a/b", "ä", "a\n"] {
        assert!(bad.parse::<ProjectName>().is_err(), "{bad:?}");
        assert!(bad.parse::<SourceName>().is_err(), "{bad:?}");
    }
}

#[test]
fn headers_are_those_of_cloudevents_and_trace_context() {
    let table = [
        (headers::CE_ID, "ce-id"),
        (headers::CE_SOURCE, "ce-source"),
        (headers::CE_TYPE, "ce-type"),
        (headers::CE_TIME, "ce-time"),
        (headers::CE_SPECVERSION, "ce-specversion"),
        (headers::CE_DATACONTENTTYPE, "ce-datacontenttype"),
        (headers::CE_TRACEPARENT, "ce-traceparent"),
        (headers::CONTENT_TYPE, "content-type"),
        (headers::TRACEPARENT, "traceparent"),
        (headers::NATS_MSG_ID, "Nats-Msg-Id"),
        (headers::WATERMARK, "tm-watermark"),
        (headers::DEAD_CODE, "tm-dead-code"),
        (headers::DEAD_REASON, "tm-dead-reason"),
        (headers::DEAD_ATTEMPTS, "tm-dead-attempts"),
        (headers::DEAD_POSITION, "tm-dead-position"),
        (headers::DEAD_STREAM, "tm-dead-stream"),
        (headers::DEAD_SEQ, "tm-dead-seq"),
        (headers::DEAD_ROW, "tm-dead-row"),
        (headers::DEAD_BODY, "tm-dead-body"),
        (headers::REPLAY_OF, "tm-replay-of"),
        (headers::JSON, tidemill_conform::JSON),
        (headers::NDJSON, tidemill_conform::NDJSON),
        (headers::ARROW_STREAM, tidemill_conform::ARROW_STREAM),
        (headers::TYPE_WATERMARK, "tidemill.watermark"),
    ];
    for (name, published) in table {
        assert_eq!(name, published);
    }
}

#[test]
fn a_content_type_is_read_as_http_and_cloudevents_say() -> Result<()> {
    let spec = tidemill_tests::messages::spec()?;
    let readings = &spec.sources.get(&tidemill_tests::messages::source()?).context("the source")?;
    let conform = tidemill_conform::Conform::new(&readings.conform_schema())?;
    let body = tidemill_tests::messages::object(1);
    let accepted = |content_type: &str| {
        let arrived_at = tidemill_types::Millis(7);
        let message =
            tidemill_conform::MessageIn { seq: 1, content_type, event_id: "e", arrived_at, body: body.as_bytes() };
        conform.message(&message).batch.is_some()
    };
    for good in [
        "",
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        "application/json;charset=\"UTF-8\"",
        "application/x-ndjson",
    ] {
        assert!(accepted(good), "{good:?}");
    }
    for bad in [
        "text/plain",
        "application/jsonl",
        "application/json; charset=latin-1",
        "application/vnd.apache.arrow.stream",
        "json",
    ] {
        assert!(!accepted(bad), "{bad:?}");
    }
    Ok(())
}
