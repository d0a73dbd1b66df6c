//! Trials: jobs that any training process computes.
//!
//! A trial depends on its job only, so a lost worker costs a lease and nothing else: the job comes again, and the
//! result is written once.

use crate::Context;
use crate::domain::fit::run_trial;
use crate::domain::record::{Failure, TrialOutcome, TrialRecord};
use crate::domain::space;
use crate::domain::windows::Windows;
use crate::error::TrainingError;
use crate::notices::dead_letters;
use crate::store::{SetKey, blocking, trial_path, write_trial};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Job, Outgoing, WorkQueue, WorkSpec};
use tidemill_contracts::subjects;
use tidemill_telemetry::names;
use tidemill_types::Classified;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{Instrument, Span, info, info_span, warn};

/// Longest wait for a job, so that shutdown is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// One trial to be computed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TrialJob {
    pub(crate) project: String,
    pub(crate) cycle: String,
    pub(crate) set_path: String,
    pub(crate) set_digest: String,
    /// A worker with another spec has other features and gives the job back.
    pub(crate) spec_digest: String,
    pub(crate) windows: Windows,
    pub(crate) learner: String,
    pub(crate) index: u32,
    pub(crate) seed: u64,
}

impl TrialJob {
    /// The message that hands the job out; published twice, it is stored once.
    pub(crate) fn message(&self) -> Result<Outgoing, TrainingError> {
        let body = serde_json::to_vec(self).map_err(|e| TrainingError::Request(e.to_string()))?;
        let mut headers = tidemill_bus::Headers::new();
        tidemill_bus::trace::inject(&mut headers, tidemill_telemetry::current_traceparent().as_deref())?;
        let id = format!("{}-{}-{}-{}", self.project, self.cycle, self.learner, self.index);
        Ok(Outgoing::new(subject(), body).with_headers(headers).with_id(&id)?)
    }
}

fn subject() -> String {
    subjects::work("training", "trial")
}

/// Computes trials until `stop`.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) -> Result<(), TrainingError> {
    let dead = dead_letters(&context.bus, &context.spec.project)?;
    let mut spec = WorkSpec::new(subjects::WORK_STREAM, "training-trials", dead);
    spec.subjects = vec![subject()];
    let mut queue = WorkQueue::open(&context.bus, spec).await?;
    while !stop.is_cancelled() {
        let Some(job) = queue.next(LOOK_EVERY).await? else { continue };
        let span = info_span!("training trial", otel.kind = "consumer", learner = Empty);
        if let Some(parent) = tidemill_bus::trace::extract(&job.headers) {
            tidemill_telemetry::set_parent(&span, parent);
        }
        take(&context, &job).instrument(span).await?;
    }
    Ok(())
}

/// Computes one job and ends it. Only the bus can fail here.
async fn take(context: &Context, job: &Job) -> Result<(), TrainingError> {
    let lease = job.keep_alive();
    let trial: TrialJob = match serde_json::from_slice(&job.payload) {
        Ok(trial) => trial,
        Err(error) => return Ok(job.term(&TrainingError::Request(format!("no trial: {error}"))).await?),
    };
    let applied = context.spec.digest();
    if trial.spec_digest != applied.as_str() || trial.project != context.spec.project.as_str() {
        // Another worker may run the cycle's own.
        let other = TrainingError::SpecChanged { began: trial.spec_digest, applied: applied.to_string() };
        return Ok(job.fail(&other).await?);
    }
    Span::current().record("learner", trial.learner.as_str());
    let done = compute(context, &trial).await;
    drop(lease);
    match done {
        Ok(()) => Ok(job.ack().await?),
        Err(error) => {
            warn!(%error, learner = trial.learner, index = trial.index, "a trial is given back");
            Ok(job.fail(&error).await?)
        }
    }
}

/// Computes and stores a trial. A learner's refusal is a result; only passing failures come back as errors.
async fn compute(context: &Context, trial: &TrialJob) -> Result<(), TrainingError> {
    let path = trial_path(&trial.project, &trial.cycle, &trial.learner, trial.index);
    if context.storage.exists(&path).await? {
        return Ok(());
    }
    let began = Instant::now();
    let outcome = match score(context, trial).await {
        Ok(score) => TrialOutcome::Scored(Box::new(score)),
        Err(error) if error.is_transient() => return Err(error),
        Err(error) => TrialOutcome::Failed(Failure { code: error.code().to_string(), text: error.to_string() }),
    };
    let ended = if matches!(outcome, TrialOutcome::Scored(_)) { "scored" } else { "failed" };
    let learner = ("learner", trial.learner.as_str());
    context.metrics.counter(names::TRAINING_TRIALS).add(&[learner, ("outcome", ended)], 1);
    context.metrics.histogram(names::TRAINING_TRIAL_SECONDS).observe(&[learner], began.elapsed().as_secs_f64());
    let record = TrialRecord {
        learner: trial.learner.clone(),
        index: trial.index,
        outcome,
        seconds: began.elapsed().as_secs_f64(),
    };
    write_trial(&context.storage, &trial.project, &trial.cycle, &record).await?;
    info!(cycle = trial.cycle, learner = trial.learner, index = trial.index, seconds = record.seconds, "trial is done");
    Ok(())
}

async fn score(context: &Context, trial: &TrialJob) -> Result<crate::domain::fit::TrialScore, TrainingError> {
    let key =
        SetKey { path: trial.set_path.clone(), digest: trial.set_digest.clone(), until: trial.windows.valid_until };
    let rows = context.sets.rows(&key).await?;
    let params = space::params(&trial.learner, trial.seed, trial.index)?;
    let (trial, budget) = (trial.clone(), context.spec.kpi.budget);
    blocking(move || run_trial(&rows, &trial.windows, &trial.learner, &params, budget, trial.seed)).await
}
