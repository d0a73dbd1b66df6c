//! Jobs and notices: durable consumers with explicit, confirmed acknowledgments.
//!
//! The server's own delivery limit is not used: when it is reached the server merely stops, and the message is
//! forgotten unless somebody collects an advisory. Here an attempt beyond the limit is still delivered, its dead
//! letter is stored, and only then the message is ended.

use crate::connection::{Bus, backoff, describe};
use crate::error::{Error, Result};
use crate::job::{DeadLetterFn, Job};
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy};
use futures::StreamExt;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tidemill_types::Pauses;
use tokio::time::Instant;

/// Where a new durable consumer begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the oldest message that is kept.
    Oldest,
    /// With what is published from now on.
    Now,
}

/// How jobs are taken.
#[derive(Clone)]
pub struct WorkSpec {
    /// Stream of the jobs.
    pub stream: String,
    /// Name of the durable consumer; workers that share it share the jobs.
    pub durable: String,
    /// Subjects taken; all when empty.
    pub subjects: Vec<String>,
    /// Lease: a job that was neither ended nor extended for so long is given to another worker.
    pub ack_wait: Duration,
    /// Deliveries after which a job is given up.
    pub max_deliver: u64,
    /// Pauses before a job that failed comes again.
    pub pauses: Pauses,
    /// Most jobs under way over all workers.
    pub max_in_flight: usize,
    /// Where to begin when the consumer is new.
    pub start: StartAt,
    /// Stores dead letters.
    pub dead_letter: DeadLetterFn,
}

impl WorkSpec {
    /// All subjects, 30 s lease, 5 deliveries with pauses of up to 2, 4, 8 and 16 s, 1,024 under way, from the oldest.
    #[must_use]
    pub fn new(stream: impl Into<String>, durable: impl Into<String>, dead_letter: DeadLetterFn) -> Self {
        Self {
            stream: stream.into(),
            durable: durable.into(),
            subjects: Vec::new(),
            ack_wait: Duration::from_secs(30),
            max_deliver: 5,
            pauses: Pauses::new(Duration::from_secs(2), Duration::from_secs(60)),
            max_in_flight: 1_024,
            start: StartAt::Oldest,
            dead_letter,
        }
    }
}

impl fmt::Debug for WorkSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkSpec")
            .field("stream", &self.stream)
            .field("durable", &self.durable)
            .field("subjects", &self.subjects)
            .field("ack_wait", &self.ack_wait)
            .field("max_deliver", &self.max_deliver)
            .finish_non_exhaustive()
    }
}

/// Takes jobs from a stream.
#[derive(Debug)]
pub struct WorkQueue {
    bus: Bus,
    spec: Arc<WorkSpec>,
    incarnation: Arc<str>,
    consumer: Consumer<Config>,
    failures: usize,
}

impl WorkQueue {
    /// Makes the durable consumer or brings it to this specification.
    ///
    /// # Errors
    /// `TM0604` when there is no such stream; `TM0613` when the server refuses the consumer.
    pub async fn open(bus: &Bus, spec: WorkSpec) -> Result<Self> {
        let incarnation = bus.incarnation(&spec.stream).await?.into();
        let spec = Arc::new(spec);
        let consumer = open_consumer(bus, &spec).await?;
        Ok(Self { bus: bus.clone(), spec, incarnation, consumer, failures: 0 })
    }

    /// The next job, or `None` when none came within `max_wait`.
    ///
    /// # Errors
    /// `TM0614` when a job must be given up and its dead letter cannot be stored.
    pub async fn next(&mut self, max_wait: Duration) -> Result<Option<Job>> {
        let deadline = Instant::now() + max_wait;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next_batch(1, left).await?.pop() {
                Some(job) => return Ok(Some(job)),
                None if Instant::now() >= deadline => return Ok(None),
                None => {}
            }
        }
    }

    /// Up to `max_jobs` jobs: waits up to `max_wait` for the first, then takes what is there.
    ///
    /// # Errors
    /// As [`WorkQueue::next`].
    pub async fn next_batch(&mut self, max_jobs: usize, max_wait: Duration) -> Result<Vec<Job>> {
        // Whatever is there at once; a pull that waits would wait for the last of `max_jobs`, not for the first.
        let jobs = self.fetch(max_jobs, None).await?;
        if !jobs.is_empty() || max_wait.is_zero() {
            return Ok(jobs);
        }
        let mut jobs = self.fetch(1, Some(max_wait)).await?;
        if !jobs.is_empty() && max_jobs > 1 {
            jobs.extend(self.fetch(max_jobs - 1, None).await?);
        }
        Ok(jobs)
    }

    async fn fetch(&mut self, max_jobs: usize, wait: Option<Duration>) -> Result<Vec<Job>> {
        let batch = match wait {
            Some(wait) => self.consumer.batch().max_messages(max_jobs).expires(wait).messages().await,
            None => self.consumer.fetch().max_messages(max_jobs).messages().await,
        };
        let mut batch = match batch {
            Ok(batch) => batch,
            Err(error) => return self.recover(&describe(&error)).await,
        };
        let mut jobs = Vec::new();
        // A server that has gone away never ends the batch.
        let patience =
            Instant::now() + wait.unwrap_or_default() + self.bus.request_timeout().min(Duration::from_secs(2));
        loop {
            let received = match tokio::time::timeout_at(patience, batch.next()).await {
                Ok(Some(received)) => received,
                Ok(None) => break,
                Err(_) if jobs.is_empty() => return self.recover("no answer").await,
                Err(_) => break,
            };
            match received {
                Ok(message) => {
                    let job = Job::new(message, Arc::clone(&self.spec), Arc::clone(&self.incarnation))?;
                    if job.attempt <= self.spec.max_deliver {
                        jobs.push(job);
                        continue;
                    }
                    let (stream, deliveries) = (self.spec.stream.clone(), self.spec.max_deliver);
                    job.term(&Error::Unfinished { stream, sequence: job.sequence, deliveries }).await?;
                }
                Err(error) if jobs.is_empty() => return self.recover(&error.to_string()).await,
                Err(_) => break,
            }
        }
        self.failures = 0;
        Ok(jobs)
    }

    /// After a failure: a pause, and the consumer again, as the server may have lost it.
    async fn recover(&mut self, reason: &str) -> Result<Vec<Job>> {
        tracing::debug!(durable = self.spec.durable, "no jobs now: {reason}");
        self.failures += 1;
        tokio::time::sleep(backoff(self.failures.min(5))).await;
        match open_consumer(&self.bus, &self.spec).await {
            Ok(consumer) => self.consumer = consumer,
            Err(error @ (Error::NotFound(_) | Error::Denied(_))) => return Err(error),
            Err(error) => tracing::debug!(durable = self.spec.durable, "the bus is away: {error}"),
        }
        Ok(Vec::new())
    }
}

async fn open_consumer(bus: &Bus, spec: &WorkSpec) -> Result<Consumer<Config>> {
    let config = Config {
        durable_name: Some(spec.durable.clone()),
        deliver_policy: match spec.start {
            StartAt::Oldest => DeliverPolicy::All,
            StartAt::Now => DeliverPolicy::New,
        },
        ack_policy: AckPolicy::Explicit,
        ack_wait: spec.ack_wait,
        max_deliver: -1,
        filter_subjects: spec.subjects.clone(),
        max_ack_pending: i64::try_from(spec.max_in_flight).unwrap_or(i64::MAX),
        ..Config::default()
    };
    let created = async {
        bus.js.create_consumer_on_stream(config, &spec.stream).await.map_err(|error| Error::Refused {
            what: format!("consumer {} of {}", spec.durable, spec.stream),
            reason: describe(&error),
        })
    };
    bus.unless_denied(&format!("CONSUMER.CREATE.{}.{}", spec.stream, spec.durable), created).await
}

/// The notices of interest to one service: a [`WorkQueue`] that shares nothing with other services.
#[derive(Debug)]
pub struct Notices {
    queue: WorkQueue,
}

impl Notices {
    /// Durable consumer named after the service, so that notices published while it is down are not missed.
    ///
    /// # Errors
    /// As [`WorkQueue::open`].
    pub async fn open(
        bus: &Bus,
        stream: &str,
        service: &str,
        subjects: Vec<String>,
        dead_letter: DeadLetterFn,
    ) -> Result<Self> {
        let spec = WorkSpec { subjects, ..WorkSpec::new(stream, service, dead_letter) };
        Ok(Self { queue: WorkQueue::open(bus, spec).await? })
    }

    /// The next notice, or `None` when none came within `max_wait`.
    ///
    /// # Errors
    /// As [`WorkQueue::next`].
    pub async fn next(&mut self, max_wait: Duration) -> Result<Option<Job>> {
        self.queue.next(max_wait).await
    }

    /// Up to `max` notices: waits up to `max_wait` for the first, then takes what is there.
    ///
    /// # Errors
    /// As [`WorkQueue::next`].
    pub async fn next_batch(&mut self, max: usize, max_wait: Duration) -> Result<Vec<Job>> {
        self.queue.next_batch(max, max_wait).await
    }
}
