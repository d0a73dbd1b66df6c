//! The reader's hold on the server: an ephemeral pull consumer, asked for more before it runs dry.

use crate::reader::ReaderOptions;
use async_nats::jetstream::consumer::Consumer;
use async_nats::jetstream::consumer::pull::{BatchConfig, Config};
use async_nats::{StatusCode, Subscriber};
use std::time::Duration;
use tidemill_types::Millis;
use tokio::time::Instant;

/// The server says that a pull is alive this often.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// After this silence the consumer is taken for lost.
pub(crate) const SILENCE: Duration = Duration::from_secs(5);
/// How long the server keeps one pull.
const PULL_EXPIRES: Duration = Duration::from_secs(30);

/// An ephemeral consumer and what was asked of it.
#[derive(Debug)]
pub(crate) struct Pull {
    pub(crate) consumer: Consumer<Config>,
    pub(crate) subscriber: Subscriber,
    pub(crate) inbox: String,
    /// Number of the connection it was made on.
    pub(crate) connects: u64,
    /// Messages asked for and neither received nor given back.
    pub(crate) messages: usize,
    /// The same in bytes.
    pub(crate) bytes: usize,
    pub(crate) last_heard: Instant,
}

/// What an arrival means for the reader.
pub(crate) enum Arrival {
    Nothing,
    Broken,
    Message { seq: u64, published_at: Millis },
}

impl Pull {
    /// True when the connection has changed or the server has gone silent.
    pub(crate) fn is_lost(&self, connects: u64) -> bool {
        self.connects != connects || self.last_heard.elapsed() > SILENCE
    }

    /// Asks for more before the last request is used up, so that the server never waits for us.
    pub(crate) async fn top_up(&mut self, options: &ReaderOptions) {
        if self.messages > options.pull_messages / 2 && self.bytes > options.pull_bytes / 2 {
            return;
        }
        let request = BatchConfig {
            batch: options.pull_messages,
            expires: Some(PULL_EXPIRES),
            max_bytes: options.pull_bytes,
            idle_heartbeat: HEARTBEAT,
            ..BatchConfig::default()
        };
        match self.consumer.request_batch(request, self.inbox.as_str().into()).await {
            Ok(()) => {
                if self.messages == 0 {
                    self.last_heard = Instant::now();
                }
                self.messages += options.pull_messages;
                self.bytes += options.pull_bytes;
            }
            Err(error) => tracing::debug!("pull not sent: {error}"),
        }
    }

    /// Accounts for what has arrived.
    pub(crate) fn classify(&mut self, received: &async_nats::Message) -> Arrival {
        self.last_heard = Instant::now();
        let Some(status) = received.status.filter(|status| *status != StatusCode::OK) else {
            self.messages = self.messages.saturating_sub(1);
            self.bytes = self.bytes.saturating_sub(received.length);
            let parsed = received.reply.as_deref().and_then(parse_reply);
            return parsed.map_or(Arrival::Broken, |(seq, published_at)| Arrival::Message { seq, published_at });
        };
        if status == StatusCode::IDLE_HEARTBEAT {
            return Arrival::Nothing;
        }
        // A finished pull says how much of it was not used; without that the consumer itself is gone.
        let left = |name: &str| received.headers.as_ref()?.get(name)?.as_str().parse::<usize>().ok();
        let (Some(messages), Some(bytes)) = (left("Nats-Pending-Messages"), left("Nats-Pending-Bytes")) else {
            tracing::debug!(%status, description = received.description, "the consumer ended");
            return Arrival::Broken;
        };
        self.messages = self.messages.saturating_sub(messages);
        self.bytes = self.bytes.saturating_sub(bytes);
        Arrival::Nothing
    }
}

/// Stream sequence and time from `$JS.ACK.<stream>.<consumer>.<delivered>.<stream seq>.<consumer seq>.<nanos>.<pending>`,
/// or the longer form with domain and account in front.
fn parse_reply(reply: &str) -> Option<(u64, Millis)> {
    let rest = reply.strip_prefix("$JS.ACK.")?;
    let skip = if rest.bytes().filter(|byte| *byte == b'.').count() >= 8 { 5 } else { 3 };
    let mut parts = rest.split('.').skip(skip);
    let seq = parts.next()?.parse().ok()?;
    let nanos: i64 = parts.nth(1)?.parse().ok()?;
    Some((seq, Millis(nanos.div_euclid(1_000_000))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_reply_are_read() {
        assert_eq!(parse_reply("$JS.ACK.S.c.1.42.7.1700000000123456789.0"), Some((42, Millis(1_700_000_000_123))));
        assert_eq!(
            parse_reply("$JS.ACK._.hash.S.c.1.42.7.1700000000123456789.0.tok"),
            Some((42, Millis(1_700_000_000_123)))
        );
        assert_eq!(parse_reply("_INBOX.x"), None);
    }
}
