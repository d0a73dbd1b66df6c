//! What every role says of its runs, posted to a server that speaks OpenLineage.
//!
//! A durable consumer of its own remembers what was taken: an event is acknowledged when the server has it, so a server
//! that is away, or a restart, loses nothing, and nothing else waits for it. Events go out one by one in their order.

use crate::error::MonitoringError;
use std::collections::BTreeSet;
use std::time::Duration;
use tidemill_bus::{Bus, Job, WorkQueue, WorkSpec};
use tidemill_contracts::subjects;
use tidemill_runtime::Backoff;
use tidemill_sources::{Posted, Poster};
use tidemill_telemetry::{Metrics, names};
use tidemill_types::{Classified as _, ErrorKind, ProjectName};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

/// Where servers take events, below their address.
const PATH: &str = "/api/v1/lineage";
/// Longest wait for an answer.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Longest wait for an event before the end is looked for, and before the stream is looked for again.
const PAUSE: Duration = Duration::from_millis(500);
/// An event that a process has neither finished nor extended is given to the next one.
const LEASE: Duration = Duration::from_secs(30);
/// Pauses between attempts: the first, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(30));

/// Posts the events of a project to `url` until `stop`.
///
/// # Errors
/// An address that is none; failures of the bus that do not pass.
pub async fn run(
    bus: Bus,
    project: ProjectName,
    url: String,
    metrics: Metrics,
    stop: CancellationToken,
) -> Result<(), MonitoringError> {
    let poster = Poster::new("lineage.url", &url, PATH, TIMEOUT)?;
    let mut sender = Sender { bus, project, poster, metrics, refused: BTreeSet::new() };
    loop {
        match sender.send(&stop).await {
            Err(_) if stop.is_cancelled() => return Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => debug!(%error, "no lineage is told on this bus yet"),
            Err(error) if error.is_transient() => warn!(%error, "posting of lineage pauses"),
            ended => return ended,
        }
        let _ = tokio::time::timeout(PAUSE, stop.cancelled()).await;
    }
}

struct Sender {
    bus: Bus,
    project: ProjectName,
    poster: Poster,
    metrics: Metrics,
    /// Statuses of refusals that were said in the log.
    refused: BTreeSet<u16>,
}

impl Sender {
    async fn send(&mut self, stop: &CancellationToken) -> Result<(), MonitoringError> {
        let letters = self.bus.dead_letters(format!("tm.dead.{}.lineage", self.project));
        let spec = WorkSpec {
            subjects: vec![subjects::lineage(&self.project)],
            ack_wait: LEASE,
            // An event is never given up, and no later one overtakes it.
            max_deliver: u64::MAX,
            max_in_flight: 1,
            ..WorkSpec::new(subjects::LINEAGE_STREAM, subjects::lineage_sender(&self.project), letters)
        };
        let mut queue = WorkQueue::open(&self.bus, spec).await?;
        while !stop.is_cancelled() {
            let Some(job) = queue.next(PAUSE).await? else { continue };
            if self.deliver(&job, stop).await {
                job.ack().await?;
            } else {
                job.release().await?;
            }
        }
        Ok(())
    }

    /// Posts an event until it is taken or refused; false when told to end before.
    async fn deliver(&mut self, job: &Job, stop: &CancellationToken) -> bool {
        let _lease = job.keep_alive();
        let mut backoff = Backoff::new(PAUSES.0, PAUSES.1);
        let mut failures = 0_u64;
        loop {
            let Some(posted) = stop.run_until_cancelled(self.poster.post(job.payload.clone())).await else {
                return false;
            };
            match posted {
                Posted::Taken => {
                    if failures > 0 {
                        info!(failures, "the server of lineage takes events again");
                    }
                    self.count("taken");
                    return true;
                }
                Posted::Refused(status, reason) => {
                    self.count("refused");
                    let event_seq = job.sequence;
                    if self.refused.insert(status) {
                        warn!(status, reason, event_seq, "the server of lineage refuses an event, which it will miss");
                    } else {
                        debug!(status, reason, event_seq, "the server of lineage refuses an event");
                    }
                    return true;
                }
                Posted::Later(reason) => {
                    self.count("failed");
                    if failures == 0 {
                        warn!(reason, "the server of lineage takes no event now; nothing waits for it but lineage");
                    }
                    failures += 1;
                    if !backoff.wait(stop).await {
                        return false;
                    }
                }
            }
        }
    }

    fn count(&self, outcome: &str) {
        self.metrics.counter(names::MONITORING_LINEAGE_POSTS).add(&[("outcome", outcome)], 1);
    }
}
