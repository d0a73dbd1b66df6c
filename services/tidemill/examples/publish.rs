//! A producer of data events in Rust, as infra/docs/contracts.md shows it.
//!
//! `cargo run --example publish nats://127.0.0.1:4222`
#![allow(dead_code, unreachable_pub, clippy::print_stdout, reason = "a program, and a part of the test that runs it")]

use async_nats::{Error, HeaderMap, connect, jetstream};

/// Publishes an observation and waits until it is on disk; gives its sequence in the stream.
pub async fn publish(url: &str) -> Result<u64, Error> {
    let stream = jetstream::new(connect(url).await?);
    let mut headers = HeaderMap::new();
    headers.insert("ce-specversion", "1.0");
    headers.insert("ce-id", "jfk-3");
    headers.insert("ce-source", "/station/jfk");
    headers.insert("ce-type", "observed");
    let event = r#"{"origin":"JFK","observed_at":"2013-02-01T08:00:00Z","published_at":"2013-02-01T08:15:00Z"}"#;
    let sent = stream.publish_with_headers("tm.events.flights.weather", headers, event.into()).await?;
    Ok(sent.await?.sequence)
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let url = std::env::args().nth(1).ok_or("usage: publish URL")?;
    println!("{}", publish(&url).await?);
    Ok(())
}
