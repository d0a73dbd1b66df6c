//! How fast small messages go in and out; printed, not asserted, as machines differ.

use crate::server::Server;
use std::time::{Duration, Instant};
use tidemill_bus::{BatchPublisher, Headers, OrderedReader, Outgoing, StreamSpec};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn throughput_of_small_messages() {
    const MESSAGES: usize = 200_000;
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let headers = Headers::from_pairs([("ce-id", "0123456789"), ("ce-type", "flight.landed"), ("ce-source", "demo")]);
    let headers = headers.unwrap();
    let message = Outgoing::new("s.a", vec![b'x'; 150]).with_headers(headers);
    let batch = vec![message; 1_000];

    let begin = Instant::now();
    let publisher = BatchPublisher::new(&bus);
    for _ in 0..MESSAGES / batch.len() {
        publisher.publish(&batch).await.unwrap();
    }
    let published = begin.elapsed();

    let mut reader = OrderedReader::open(&bus, "S", 1).await.unwrap();
    let begin = Instant::now();
    let mut read = 0;
    while read < MESSAGES {
        read += reader.next_batch(5_000, 8 << 20, Duration::from_secs(5)).await.unwrap().len();
    }
    let rate = |elapsed: Duration| MESSAGES as f64 / elapsed.as_secs_f64();
    println!("published {:.0}/s durably, read {:.0}/s contiguously", rate(published), rate(begin.elapsed()));
    assert_eq!(reader.position(), MESSAGES as u64 + 1);
}
