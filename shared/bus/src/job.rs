//! One delivery of a job, its answers, and its dead letter.

use crate::connection::{Bus, fraction};
use crate::error::{Error, Result};
use crate::headers::Headers;
use crate::work::WorkSpec;
use async_nats::jetstream::{self, AckKind};
use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use std::sync::Arc;
use tidemill_contracts::headers::{DEAD_ATTEMPTS, DEAD_CODE, DEAD_REASON, DEAD_SEQ, DEAD_STREAM, NATS_MSG_ID};
use tidemill_types::{Classified, Code, ErrorKind, Millis};
use tokio::task::JoinHandle;

/// A job that is given up, with all that is needed to look into it or run it again.
#[derive(Clone, Debug)]
pub struct DeadJob {
    /// Stream it came from.
    pub stream: String,
    /// `<stream>@<created>`: with the sequence it is the job's identity.
    pub incarnation: String,
    /// Sequence in that stream.
    pub sequence: u64,
    /// Subject it was published to.
    pub subject: String,
    /// Its headers.
    pub headers: Headers,
    /// Its body.
    pub payload: Bytes,
    /// How often it was delivered.
    pub attempt: u64,
    /// Code of the error for which it is given up.
    pub code: Code,
    /// Why it is given up.
    pub reason: String,
}

/// Stores a dead letter; the job is ended only after this has returned `Ok`.
pub type DeadLetterFn = Arc<dyn Fn(DeadJob) -> BoxFuture<'static, std::result::Result<(), String>> + Send + Sync>;

impl Bus {
    /// Stores dead letters under `subject`: the original bytes and headers, with code, reason, number of attempts and
    /// origin beside them. The message id `<incarnation>:<sequence>` keeps a letter that is written again from standing there twice.
    #[must_use]
    pub fn dead_letters(&self, subject: impl Into<String>) -> DeadLetterFn {
        let (bus, subject) = (self.clone(), subject.into());
        Arc::new(move |job| {
            let (bus, subject) = (bus.clone(), subject.clone());
            async move {
                let stored = async {
                    let mut headers = job.headers;
                    headers.set(NATS_MSG_ID, &format!("{}:{}", job.incarnation, job.sequence))?;
                    headers.set(DEAD_STREAM, &job.incarnation)?;
                    headers.set(DEAD_SEQ, &job.sequence.to_string())?;
                    headers.set(DEAD_CODE, &job.code.to_string())?;
                    headers.set(DEAD_ATTEMPTS, &job.attempt.to_string())?;
                    headers.set(DEAD_REASON, &job.reason.replace(['\r', '\n'], " "))?;
                    bus.publish(&subject, &headers, job.payload).await
                };
                stored.await.map(|_| ()).map_err(|error| error.to_string())
            }
            .boxed()
        })
    }
}

/// One delivery of a job or notice. Dropped without an answer, it comes again when its lease has passed.
#[derive(Clone, Debug)]
pub struct Job {
    /// Subject it was published to.
    pub subject: String,
    /// Headers.
    pub headers: Headers,
    /// Body.
    pub payload: Bytes,
    /// Number of this delivery, 1 for the first. Not a detector of duplicates: deliveries are not counted durably.
    pub attempt: u64,
    /// Sequence in the stream; with the stream's incarnation it is the job's identity.
    pub sequence: u64,
    /// When the server stored it.
    pub published_at: Millis,
    message: Arc<jetstream::Message>,
    spec: Arc<WorkSpec>,
    incarnation: Arc<str>,
}

impl Job {
    pub(crate) fn new(message: jetstream::Message, spec: Arc<WorkSpec>, incarnation: Arc<str>) -> Result<Self> {
        let info = message.info().map_err(|error| Error::Malformed(format!("delivery of {}: {error}", spec.stream)))?;
        let nanos = info.published.unix_timestamp_nanos();
        Ok(Self {
            subject: message.subject.to_string(),
            headers: Headers::from_map(message.headers.clone()),
            payload: message.payload.clone(),
            attempt: u64::try_from(info.delivered).unwrap_or(1),
            sequence: info.stream_sequence,
            published_at: Millis(i64::try_from(nanos.div_euclid(1_000_000)).unwrap_or(i64::MAX)),
            message: Arc::new(message),
            spec,
            incarnation,
        })
    }

    /// Ends the job, confirmed by the server. Call it after the effect is durable.
    ///
    /// # Errors
    /// `TM0608` when the server did not confirm: the job may come again, so its effect must be idempotent.
    pub async fn ack(&self) -> Result<()> {
        self.answer(AckKind::Ack).await
    }

    /// Answers a failure by its class: what may pass comes again after a pause that grows with the deliveries;
    /// everything else, and what fails on the last delivery, is given up.
    ///
    /// # Errors
    /// `TM0608` when the server did not confirm; `TM0614` when the dead letter was not stored.
    pub async fn fail(&self, error: &(dyn Classified + Sync)) -> Result<()> {
        if self.is_last() || !may_pass(error) {
            return self.term(error).await;
        }
        let pause = self.spec.pauses.at(self.attempt, fraction());
        self.answer(AckKind::Nak(Some(pause))).await
    }

    /// Gives the job back undone, to come again at once: for a process that ends.
    ///
    /// # Errors
    /// `TM0608` when the server did not confirm: the job then comes again when its lease is over.
    pub async fn release(&self) -> Result<()> {
        self.answer(AckKind::Nak(None)).await
    }

    /// Whether the job is given up if this delivery fails.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.attempt >= self.spec.max_deliver
    }

    /// Gives the job up: stores its dead letter, then ends it.
    ///
    /// # Errors
    /// `TM0614` when the dead letter was not stored; the job then comes again.
    pub async fn term(&self, error: &(dyn Classified + Sync)) -> Result<()> {
        let dead = DeadJob {
            stream: self.spec.stream.clone(),
            incarnation: self.incarnation.to_string(),
            sequence: self.sequence,
            subject: self.subject.clone(),
            headers: self.headers.clone(),
            payload: self.payload.clone(),
            // A delivery beyond the last is not an attempt.
            attempt: self.attempt.min(self.spec.max_deliver),
            code: error.code(),
            reason: error.to_string(),
        };
        (self.spec.dead_letter)(dead).await.map_err(|reason| Error::DeadLetter {
            stream: self.spec.stream.clone(),
            sequence: self.sequence,
            reason,
        })?;
        self.answer(AckKind::Term).await
    }

    /// Extends the lease by another `ack_wait`.
    ///
    /// # Errors
    /// `TM0608` when it could not be sent.
    pub async fn progress(&self) -> Result<()> {
        self.message.ack_with(AckKind::Progress).await.map_err(|error| self.unanswered(&*error))
    }

    /// Extends the lease in the background until the guard is dropped, for work that takes long.
    #[must_use]
    pub fn keep_alive(&self) -> Heartbeat {
        let job = self.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::time::sleep(job.spec.ack_wait / 3).await;
                if let Err(error) = job.progress().await {
                    tracing::debug!("lease not extended: {error}");
                }
            }
        });
        Heartbeat { task }
    }

    async fn answer(&self, kind: AckKind) -> Result<()> {
        self.message.double_ack_with(kind).await.map_err(|error| self.unanswered(&*error))
    }

    fn unanswered(&self, error: &(dyn std::error::Error + Send + Sync)) -> Error {
        Error::TimedOut(format!("the answer to {}:{} ({error})", self.spec.stream, self.sequence))
    }
}

/// Whether the same job may succeed later. Besides what is transient: who came second looks again, and an answer that
/// did not come may have been a yes, which jobs stand because their effects are idempotent.
fn may_pass(error: &dyn Classified) -> bool {
    error.is_transient() || matches!(error.kind(), ErrorKind::Conflict | ErrorKind::TimedOut)
}

/// Extends a job's lease until dropped.
#[derive(Debug)]
pub struct Heartbeat {
    task: JoinHandle<()>,
}

impl Drop for Heartbeat {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_told_by_the_class_of_the_error() {
        let bucket = || "registry/flights".to_owned();
        let passing = [
            Error::TimedOut(bucket()),
            Error::Full(bucket()),
            Error::Conflict { key: bucket() },
            Error::Unknown { subject: bucket() },
            Error::Unreachable { url: bucket(), reason: "refused".to_owned() },
        ];
        assert!(passing.iter().all(|error| may_pass(error)));
        let staying = [Error::Malformed(bucket()), Error::Denied(bucket()), Error::NotFound(bucket())];
        assert!(!staying.iter().any(|error| may_pass(error)));
    }
}
