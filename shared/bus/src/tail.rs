//! Watching subjects, for command lines, pages and boards; nothing is acknowledged.

use crate::connection::{Bus, describe};
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::reader::Message;
use async_nats::jetstream::consumer::DeliverPolicy;
use async_nats::jetstream::consumer::pull::{Ordered, OrderedConfig};
use futures::{Stream, StreamExt};
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tidemill_types::Millis;

/// A stream of messages as they come; survives a restart of the server.
pub struct Tail {
    inner: Ordered,
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tail")
    }
}

impl Bus {
    /// Messages of `stream` on these subjects (all when empty) that are stored from now on.
    ///
    /// # Errors
    /// `TM0604` when there is no such stream.
    pub async fn tail(&self, stream: &str, subjects: Vec<String>) -> Result<Tail> {
        self.watch(stream, subjects, DeliverPolicy::New).await
    }

    /// As [`Bus::tail`], but first the messages that the stream has kept.
    ///
    /// # Errors
    /// As [`Bus::tail`].
    pub async fn tail_from_first(&self, stream: &str, subjects: Vec<String>) -> Result<Tail> {
        self.watch(stream, subjects, DeliverPolicy::All).await
    }

    async fn watch(&self, stream: &str, subjects: Vec<String>, from: DeliverPolicy) -> Result<Tail> {
        self.stream_state(stream).await?;
        let config = OrderedConfig { deliver_policy: from, filter_subjects: subjects, ..OrderedConfig::default() };
        let refused = |error: &dyn std::error::Error| Error::Refused {
            what: format!("watching {stream}"),
            reason: describe(error),
        };
        let consumer = self.js.create_consumer_on_stream(config, stream).await.map_err(|error| refused(&error))?;
        Ok(Tail { inner: consumer.messages().await.map_err(|error| refused(&error))? })
    }
}

impl Tail {
    /// The next message, or `None` when none came within `max_wait`.
    ///
    /// # Errors
    /// `TM0613` when the server no longer delivers.
    pub async fn next_within(&mut self, max_wait: Duration) -> Result<Option<Message>> {
        match tokio::time::timeout(max_wait, self.next()).await {
            Ok(message) => message.transpose(),
            Err(_) => Ok(None),
        }
    }
}

impl Stream for Tail {
    type Item = Result<Message>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.inner
            .poll_next_unpin(cx)
            .map(|received| received.map(|received| message(received.map_err(|e| describe(&e)))))
    }
}

fn message(received: std::result::Result<async_nats::jetstream::Message, String>) -> Result<Message> {
    let refused = |reason: String| Error::Refused { what: "watching".to_owned(), reason };
    let received = received.map_err(refused)?;
    let info = received.info().map_err(|error| refused(error.to_string()))?;
    let millis = info.published.unix_timestamp_nanos().div_euclid(1_000_000);
    Ok(Message {
        seq: info.stream_sequence,
        published_at: Millis(i64::try_from(millis).unwrap_or(i64::MAX)),
        subject: received.subject.to_string(),
        headers: Headers::from_map(received.headers.clone()),
        payload: received.payload.clone(),
    })
}
