//! Reads the stream until a commit is due.

use crate::dedupe::Window;
use crate::error::IntakeError;
use crate::gather::Gathered;
use crate::guard::Guard;
use crate::writer::{IntakeOptions, signed};
use std::time::{Duration, Instant};
use tidemill_bus::{Entry, Message, OrderedReader};
use tidemill_conform::Conform;
use tokio_util::sync::CancellationToken;

/// Bytes asked for at once: what is decoded together stays small beside what a commit may hold.
const PULL_BYTES: usize = 8 << 20;
/// Messages asked for at once.
const PULL_MESSAGES: usize = 4_096;
/// Longest wait for the first message of a pull, so that shutdown is noticed.
const PULL_WAIT: Duration = Duration::from_millis(200);

/// What one commit will hold, and when its first message came.
pub(crate) struct Due {
    pub(crate) gathered: Gathered,
    pub(crate) began: Instant,
}

/// A place in the stream and the ids that were seen before it.
pub(crate) struct Reading {
    pub(crate) reader: OrderedReader,
    pub(crate) window: Window,
    pub(crate) conform: Conform,
    pub(crate) options: IntakeOptions,
}

impl Reading {
    /// The next commit; empty only after `stop`. With a guard, each message is announced before it is decoded.
    pub(crate) async fn next(
        &mut self,
        mut guard: Option<&mut Guard>,
        stop: &CancellationToken,
    ) -> Result<Due, IntakeError> {
        let mut gathered = Gathered::default();
        while !stop.is_cancelled() {
            // As soon as there is anything: a commit is due a while after its first message.
            let entries = self.reader.next_ready(PULL_MESSAGES, PULL_BYTES, PULL_WAIT).await?;
            if entries.is_empty() {
                continue;
            }
            let began = Instant::now();
            self.take(&mut gathered, guard.as_deref_mut(), entries).await?;
            while gathered.bytes < self.options.commit_bytes && !stop.is_cancelled() {
                let left = self.options.commit_age.saturating_sub(began.elapsed());
                if left.is_zero() {
                    break;
                }
                let room = (self.options.commit_bytes - gathered.bytes).min(PULL_BYTES);
                let entries = self.reader.next_batch(PULL_MESSAGES, room, left.min(PULL_WAIT)).await?;
                self.take(&mut gathered, guard.as_deref_mut(), entries).await?;
            }
            return Ok(Due { gathered, began });
        }
        Ok(Due { gathered, began: Instant::now() })
    }

    async fn take(
        &mut self,
        gathered: &mut Gathered,
        guard: Option<&mut Guard>,
        entries: Vec<Entry>,
    ) -> Result<(), IntakeError> {
        if let Some(guard) = guard {
            return self.take_carefully(gathered, guard, entries).await;
        }
        let mut messages: Vec<Message> = Vec::with_capacity(entries.len());
        for entry in entries {
            match entry {
                Entry::Message(message) => messages.push(message),
                Entry::Tombstone { seq } => {
                    gathered.take(&self.conform, &mut self.window, &messages, |_| false);
                    messages.clear();
                    gathered.tombstone(signed(seq));
                }
            }
        }
        gathered.take(&self.conform, &mut self.window, &messages, |_| false);
        Ok(())
    }

    /// One message at a time, each announced, as after a crash loop.
    async fn take_carefully(
        &mut self,
        gathered: &mut Gathered,
        guard: &mut Guard,
        entries: Vec<Entry>,
    ) -> Result<(), IntakeError> {
        for entry in entries {
            let seq = signed(entry.seq());
            let Entry::Message(message) = entry else {
                gathered.tombstone(seq);
                continue;
            };
            let poison = guard.is_poison(seq);
            if !poison {
                guard.announce(seq).await?;
            }
            gathered.take(&self.conform, &mut self.window, &[message], |_| poison);
        }
        guard.survived().await
    }
}
