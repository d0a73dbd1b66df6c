//! The promises of the prediction log against a real nats-server that goes away and comes back.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::config::Config;
use crate::domain::answer::{Answer, PRESENT};
use crate::domain::entry::Entry;
use crate::log::{Pending, PredictionLog};
use crate::sender::Target;
use arrow::array::{Array as _, AsArray as _, Float64Array, Int32Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::ipc::reader::StreamReader;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions, Entry as BusEntry, OrderedReader};
use tidemill_contracts::{prediction_log, subjects};
use tidemill_servers::{NatsOptions, NatsServer, Obtain, nats_server};
use tidemill_types::Millis;

fn pending(first: usize, rows: usize) -> Pending {
    let answer = Answer {
        model: "m".into(),
        variant: "champion",
        trace_id: None,
        plan_digest: String::new(),
        feature_ages_s: BTreeMap::new(),
        scores: vec![Some(0.5); rows],
        alerted: vec![true; rows],
        prediction_ids: (first..first + rows).map(|i| i.to_string()).collect(),
        statuses: vec![PRESENT.to_owned(); rows],
    };
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
    let features = RecordBatch::try_new(schema, vec![Arc::new(Float64Array::from(vec![1.0; rows]))]).unwrap();
    let keys = Arc::new(Int32Array::from(vec![1; rows]));
    let entry = Entry::new(&answer, keys, TimestampMillisecondArray::from(vec![0; rows]), Millis(1), features).unwrap();
    Pending { entry, answered_by: "m".into(), shadow: None, traceparent: None }
}

async fn server(dir: &Path) -> NatsServer {
    let binary = nats_server(&Obtain::from_env()).await.unwrap();
    NatsServer::start(NatsOptions::new(binary, dir)).await.unwrap()
}

async fn connect(server: &NatsServer) -> Bus {
    Bus::connect(BusOptions::new(server.url(), "serving-test")).await.unwrap()
}

fn open(bus: &Bus, spool: &Path) -> (PredictionLog, tokio::task::JoinHandle<()>) {
    let config = Config { log_wait_ms: 20, spool_retry_ms: 50, ..Config::default() };
    let target = Target::new(bus.clone(), "flights".parse().unwrap(), "disruption".parse().unwrap());
    let (log, tasks) = PredictionLog::open(target, spool, &config).unwrap();
    (log, tokio::spawn(tasks.run()))
}

/// Ids on the bus, in order.
async fn logged(bus: &Bus, rows: usize) -> Vec<String> {
    let stream = subjects::predictions_stream(&"flights".parse().unwrap(), &"disruption".parse().unwrap());
    let mut reader = OrderedReader::open(bus, &stream, 1).await.unwrap();
    let mut ids = Vec::new();
    while ids.len() < rows {
        let entries = reader.next_batch(1, 1 << 20, Duration::from_secs(10)).await.unwrap();
        assert!(!entries.is_empty(), "{} of {rows} rows are on the bus", ids.len());
        for message in entries.iter().filter_map(BusEntry::message) {
            for batch in StreamReader::try_new(message.payload.as_ref(), None).unwrap() {
                let batch = batch.unwrap();
                let column = batch.column_by_name(prediction_log::PREDICTION_ID).unwrap().as_string::<i32>().clone();
                ids.extend((0..column.len()).map(|i| column.value(i).to_owned()));
            }
        }
    }
    ids
}

fn expected(rows: usize) -> Vec<String> {
    (0..rows).map(|i| i.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_is_logged_once_and_in_order_across_an_outage_and_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let spool = dir.path().join("spool");
    let mut nats = server(&dir.path().join("nats")).await;
    let bus = connect(&nats).await;
    let (log, tasks) = open(&bus, &spool);
    log.record(pending(0, 100)).unwrap();
    log.flush().await;
    assert_eq!(log.counters().logged.load(Ordering::Acquire), 100);

    nats.stop().await.unwrap();
    for first in [100, 200, 300] {
        log.record(pending(first, 100)).unwrap();
        log.flush().await;
    }
    assert_eq!(log.counters().spooled.load(Ordering::Acquire), 300, "on disk while the bus is away");
    // The process ends during the outage.
    drop(log);
    tasks.await.unwrap();

    let (log, tasks) = open(&bus, &spool);
    log.record(pending(400, 100)).unwrap();
    nats.restart().await.unwrap();
    tokio::time::timeout(Duration::from_secs(30), async {
        while log.counters().logged.load(Ordering::Acquire) < 400 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(log.counters().spooled.load(Ordering::Acquire), 0);
    assert_eq!(log.counters().buffered.load(Ordering::Acquire), 0);
    assert_eq!(logged(&bus, 500).await, expected(500));
    drop(log);
    tasks.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn large_answers_are_split_below_the_limit_of_a_message() {
    let dir = tempfile::tempdir().unwrap();
    let nats = server(&dir.path().join("nats")).await;
    let bus = connect(&nats).await;
    let (log, tasks) = open(&bus, &dir.path().join("spool"));
    log.record(pending(0, 20_000)).unwrap();
    log.flush().await;
    assert_eq!(log.counters().logged.load(Ordering::Acquire), 20_000);
    assert_eq!(logged(&bus, 20_000).await, expected(20_000));
    drop(log);
    tasks.await.unwrap();
}
