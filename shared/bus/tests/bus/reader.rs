//! Contiguity: every sequence once, in order, whatever happens to the server or the messages.

use crate::server::{Server, numbered};
use std::time::{Duration, Instant};
use tidemill_bus::{BatchPublisher, Bus, Entry, Error, OrderedReader, ReaderOptions, StreamSpec};

const MB: usize = 1 << 20;

async fn stream_of(bus: &Bus, messages: usize) {
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    BatchPublisher::new(bus).publish(&numbered("s.a", 0..messages)).await.unwrap();
}

/// Reads until sequence `last`, checking that each entry has the next sequence.
async fn read_to(reader: &mut OrderedReader, last: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut next = reader.position();
    let begin = Instant::now();
    while next <= last {
        assert!(begin.elapsed() < Duration::from_secs(60), "stuck at {next} of {last}");
        for entry in reader.next_batch(700, MB, Duration::from_millis(500)).await.unwrap() {
            assert_eq!(entry.seq(), next, "not contiguous");
            next += 1;
            entries.push(entry);
        }
    }
    entries
}

#[tokio::test]
async fn everything_is_read_once_from_any_position() {
    let server = Server::start().await;
    let bus = server.bus().await;
    stream_of(&bus, 5_000).await;
    let mut reader = OrderedReader::open(&bus, "S", 1_234).await.unwrap();
    assert_eq!(reader.incarnation(), bus.incarnation("S").await.unwrap());
    let entries = read_to(&mut reader, 5_000).await;
    assert_eq!(entries.len(), 3_767);
    for entry in &entries {
        let message = entry.message().unwrap();
        assert_eq!(message.payload, (entry.seq() - 1).to_string());
        assert_eq!(message.subject, "s.a");
        assert!(message.published_at.0 > 1_600_000_000_000);
    }
    assert!(reader.next_batch(10, MB, Duration::from_millis(50)).await.unwrap().is_empty());
    // A message that comes later is seen at once.
    let begin = Instant::now();
    let (read, _) = tokio::join!(reader.next_ready(10, MB, Duration::from_secs(5)), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        BatchPublisher::new(&bus).publish(&numbered("s.a", 5_000..5_001)).await.unwrap()
    });
    assert_eq!(read.unwrap().len(), 1);
    assert!(begin.elapsed() < Duration::from_secs(2));
}

#[tokio::test]
async fn size_bounds_a_batch_and_small_pulls_lose_nothing() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let messages: Vec<_> = (0..400).map(|n| tidemill_bus::Outgoing::new("s.a", vec![1; 1_000 + n])).collect();
    BatchPublisher::new(&bus).publish(&messages).await.unwrap();
    let options = ReaderOptions { pull_messages: 50, pull_bytes: 20_000 };
    let mut reader = OrderedReader::open_with(&bus, "S", 1, options).await.unwrap();
    let some = reader.next_batch(1_000, 10_000, Duration::from_secs(5)).await.unwrap();
    assert_eq!(some.len(), 10);
    assert_eq!(read_to(&mut reader, 400).await.len(), 390);
}

#[tokio::test]
async fn a_crash_of_the_server_leaves_no_gap() {
    let mut server = Server::start().await;
    let bus = server.bus().await;
    stream_of(&bus, 1_000).await;
    let mut reader = OrderedReader::open(&bus, "S", 1).await.unwrap();
    assert_eq!(read_to(&mut reader, 500).await.last().unwrap().message().unwrap().seq % 100, 0);

    let bus_2 = server.bus().await;
    let writer = tokio::spawn(async move {
        let publisher = BatchPublisher::new(&bus_2);
        let mut stored = 0;
        while stored < 10 {
            match publisher.publish(&numbered("s.a", 0..300)).await {
                Ok(_) => stored += 1,
                Err(error) => assert!(!matches!(error, Error::Refused { .. }), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        bus_2.stream_state("S").await.unwrap().last_seq
    });
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        reader.next_batch(200, MB, Duration::from_millis(30)).await.unwrap();
        server.nats.kill().await.unwrap();
        // Reading from a server that is away waits and yields what had arrived.
        reader.next_batch(100, MB, Duration::from_millis(100)).await.unwrap();
        server.nats.restart().await.unwrap();
    }
    let last = writer.await.unwrap();
    let begin = Instant::now();
    let rest = read_to(&mut reader, last).await;
    assert!(rest.iter().all(|entry| entry.message().is_some()));
    assert_eq!(reader.position(), last + 1);
    assert!(begin.elapsed() < Duration::from_secs(20));
}

#[tokio::test]
async fn deleted_messages_are_tombstones() {
    let server = Server::start().await;
    let bus = server.bus().await;
    stream_of(&bus, 100).await;
    // At the start, alone, in a row, and at the very end.
    let deleted = [1, 2, 40, 60, 61, 62, 99, 100];
    for seq in deleted {
        bus.delete_message("S", seq).await.unwrap();
    }
    let mut reader = OrderedReader::open(&bus, "S", 1).await.unwrap();
    let entries = read_to(&mut reader, 100).await;
    let found: Vec<u64> = entries.iter().filter(|entry| entry.message().is_none()).map(Entry::seq).collect();
    assert_eq!(found, deleted);
    // Deleted between two reads, before the reader has come there.
    BatchPublisher::new(&bus).publish(&numbered("s.a", 100..110)).await.unwrap();
    bus.delete_message("S", 105).await.unwrap();
    assert_eq!(read_to(&mut reader, 110).await.len(), 10);
}

#[tokio::test]
async fn a_dropped_call_loses_nothing() {
    let server = Server::start().await;
    let bus = server.bus().await;
    stream_of(&bus, 3_000).await;
    bus.delete_message("S", 1_500).await.unwrap();
    let mut reader = OrderedReader::open(&bus, "S", 1).await.unwrap();
    let mut next = 1;
    for round in 0_u64.. {
        let patience = Duration::from_micros(200 + 150 * (round % 7));
        let read = reader.next_batch(400, MB, Duration::from_secs(2));
        let Ok(entries) = tokio::time::timeout(patience, read).await else { continue };
        for entry in entries.unwrap() {
            assert_eq!(entry.seq(), next);
            next += 1;
        }
        if next > 2_800 {
            break;
        }
    }
}

#[tokio::test]
async fn another_incarnation_and_a_shortened_stream_stop_the_reader() {
    let server = Server::start().await;
    let bus = server.bus().await;
    stream_of(&bus, 50).await;
    let error = OrderedReader::open(&bus, "S", 52).await.unwrap_err();
    assert!(matches!(error, Error::Behind { last_seq: 50, wanted: 52, .. }), "{error}");
    let mut reader = OrderedReader::open(&bus, "S", 51).await.unwrap();
    assert!(reader.next_batch(1, MB, Duration::from_millis(100)).await.unwrap().is_empty());
    bus.delete_stream("S").await.unwrap();
    stream_of(&bus, 80).await;
    let begin = Instant::now();
    let error = loop {
        match reader.next_batch(100, MB, Duration::from_secs(1)).await {
            Ok(entries) => assert!(entries.is_empty() && begin.elapsed() < Duration::from_secs(20)),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::Incarnation { .. }), "{error}");
}
