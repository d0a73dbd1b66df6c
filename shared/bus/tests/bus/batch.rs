//! Atomic batches: all or nothing, and never twice with ids.

use crate::server::{Server, numbered};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidemill_bus::{BatchPublisher, Error, Headers, Outgoing, StreamSpec};
use tidemill_types::Classified;

#[tokio::test]
async fn a_large_batch_is_split_and_stored_in_order() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let ack = BatchPublisher::new(&bus).publish(&numbered("s.a", 0..2_500)).await.unwrap();
    assert_eq!(ack.last_sequences, [1_000, 2_000, 2_500]);
    assert_eq!(bus.stream_state("S").await.unwrap().messages, 2_500);
    assert_eq!(BatchPublisher::new(&bus).publish(&[]).await.unwrap().last_sequence(), None);
}

#[tokio::test]
async fn a_refused_batch_leaves_nothing_behind() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let spec = StreamSpec { max_bytes: Some(20_000), ..StreamSpec::new("S", ["s.>"]) };
    bus.ensure_stream(&spec).await.unwrap();
    let publisher = BatchPublisher::new(&bus);
    publisher.publish(&numbered("s.a", 0..10)).await.unwrap();

    // The last message of the batch does not fit.
    let mut batch = numbered("s.a", 0..10);
    batch.push(Outgoing::new("s.a", vec![7; 19_500]));
    let error = publisher.publish(&batch).await.unwrap_err();
    assert!(matches!(error, Error::Full(_)), "{error}");
    assert!(error.is_transient());
    assert_eq!(bus.stream_state("S").await.unwrap().last_seq, 10);

    // A message that no server takes is found before anything is sent.
    let batch = [Outgoing::new("s.a", "1"), Outgoing::new("s.a", vec![0; bus.max_payload() + 1])];
    let error = publisher.publish(&batch).await.unwrap_err();
    assert!(matches!(error, Error::TooLarge { .. }), "{error}");

    // A subject of no stream, first and in the middle.
    let error = publisher.publish(&numbered("elsewhere", 0..3)).await.unwrap_err();
    assert!(matches!(error, Error::NotFound(_)), "{error}");
    assert_eq!(bus.stream_state("S").await.unwrap().last_seq, 10);
}

#[tokio::test]
async fn a_batch_across_two_streams_is_refused() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("A", ["a"])).await.unwrap();
    bus.ensure_stream(&StreamSpec::new("B", ["b"])).await.unwrap();
    let batch = [Outgoing::new("a", "1"), Outgoing::new("b", "2"), Outgoing::new("a", "3")];
    BatchPublisher::new(&bus).publish(&batch).await.unwrap_err();
    assert_eq!(bus.stream_state("A").await.unwrap().messages, 0);
    assert_eq!(bus.stream_state("B").await.unwrap().messages, 0);
}

#[tokio::test]
async fn ids_make_a_repeated_batch_harmless() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let batch = |numbers: std::ops::Range<usize>| -> Vec<Outgoing> {
        numbered("s.a", numbers.clone())
            .into_iter()
            .zip(numbers)
            .map(|(message, number)| message.with_id(&format!("id-{number}")).unwrap())
            .collect()
    };
    let publisher = BatchPublisher::new(&bus);
    publisher.publish(&batch(0..100)).await.unwrap();
    let again = publisher.publish(&batch(50..150)).await.unwrap();
    assert_eq!((again.messages, again.duplicates), (100, 50));
    assert_eq!(bus.stream_state("S").await.unwrap().messages, 150);

    let headers = Headers::new().with("Nats-Msg-Id", "id-7").unwrap();
    let ack = bus.publish("s.a", &headers, Bytes::from_static(b"7")).await.unwrap();
    assert!(ack.duplicate);
    assert_eq!(ack.sequence, 8);
}

#[tokio::test]
async fn a_batch_cut_off_by_a_crash_is_whole_or_absent() {
    let mut server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let publisher = BatchPublisher::new(&bus);
    let mut acknowledged = 0;
    for round in 0..5 {
        let stop = Arc::new(AtomicBool::new(false));
        let task = tokio::spawn({
            let (publisher, stop) = (publisher.clone(), Arc::clone(&stop));
            async move {
                let mut done = 0;
                while !stop.load(Ordering::Relaxed) {
                    done += u64::from(publisher.publish(&numbered("s.a", 0..200)).await.is_ok());
                }
                done
            }
        });
        tokio::time::sleep(Duration::from_millis(60 + 35 * round)).await;
        server.nats.kill().await.unwrap();
        stop.store(true, Ordering::Relaxed);
        server.nats.restart().await.unwrap();
        acknowledged += task.await.unwrap();
        while !bus.is_connected() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let state = bus.stream_state("S").await.unwrap();
        assert_eq!(state.messages % 200, 0, "round {round}: a torn batch");
        assert!(state.messages >= acknowledged * 200, "round {round}: {acknowledged} acknowledged, {state:?}");
        acknowledged = state.messages / 200;
    }
    assert!(acknowledged > 0);
}
