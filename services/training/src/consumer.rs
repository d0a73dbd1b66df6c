//! Requests for a cycle in, candidates out.

use crate::Context;
use crate::api::cycle_name;
use crate::cycle::{CycleRequest, carry_out, open};
use crate::domain::record::{Failure, RunRecord, RunState};
use crate::error::TrainingError;
use crate::notices::{dead_letters, tell};
use crate::store::write_run;
use prost::Message as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Job, Notices};
use tidemill_contracts::events::{AlertRaised, CandidateTrained, Notice, notice::Fact};
use tidemill_contracts::subjects;
use tidemill_telemetry::names;
use tidemill_types::{Classified, CycleId, Millis};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info, info_span, warn};

/// Longest wait for a notice, so that shutdown is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Takes requests until `stop`, one cycle at a time.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) -> Result<(), TrainingError> {
    let project = &context.spec.project;
    let subject = subjects::notice(project, "retrain", "requested");
    let dead = dead_letters(&context.bus, project)?;
    let durable = format!("training-{project}");
    let mut notices = Notices::open(&context.bus, subjects::NOTICES_STREAM, &durable, vec![subject], dead).await?;
    while !stop.is_cancelled() {
        let Some(job) = notices.next(LOOK_EVERY).await? else { continue };
        let span = info_span!("training cycle", otel.kind = "consumer");
        if let Some(parent) = tidemill_bus::trace::extract(&job.headers) {
            tidemill_telemetry::set_parent(&span, parent);
        }
        // A cycle that is cut off comes again and goes on where it was.
        let taken = stop.run_until_cancelled(take(&context, &job).instrument(span)).await;
        taken.unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// Carries out one request and ends its notice. Only the bus and the store can fail here.
async fn take(context: &Context, job: &Job) -> Result<(), TrainingError> {
    let _lease = job.keep_alive();
    let request = match request(&job.payload) {
        Ok(request) => request,
        Err(error) => return Ok(job.term(&error).await?),
    };
    let began = Instant::now();
    let mut run = match open(context, &request).await {
        Ok(run) => run,
        Err(error) => return Ok(job.fail(&error).await?),
    };
    let fresh = run.state != RunState::Done;
    if fresh {
        crate::lineage::began(context, &run).await;
    }
    let done = if fresh { carry_out(context, &mut run).await } else { Ok(()) };
    context.sets.forget().await;
    if let Err(error) = done {
        tidemill_telemetry::failed(&Span::current(), error.code());
        if error.is_transient() && !job.is_last() {
            warn!(cycle = request.cycle, %error, "the cycle pauses");
            return Ok(job.fail(&error).await?);
        }
        run.state = RunState::Failed;
        run.failure = Some(Failure { code: error.code().to_string(), text: error.to_string() });
        write_run(&context.storage, &run).await?;
    }
    report(context, &run, fresh, began.elapsed()).await?;
    Ok(job.ack().await?)
}

fn request(payload: &[u8]) -> Result<CycleRequest, TrainingError> {
    let notice = Notice::decode(payload).map_err(|e| TrainingError::Request(format!("no notice: {e}")))?;
    let Some(Fact::RetrainRequested(fact)) = notice.fact else {
        return Err(TrainingError::Request("the notice does not ask for a cycle".to_owned()));
    };
    let as_of = Millis(fact.as_of_ms);
    let cycle = match notice.cycle_id.as_str() {
        "" => cycle_name(as_of)?,
        given => given.parse::<CycleId>().map_err(|e| TrainingError::Request(e.to_string()))?.to_string(),
    };
    Ok(CycleRequest { cycle, as_of, reason: fact.reason })
}

/// Tells what became of a cycle. Told again when the notice comes again; the bus knows the ids.
async fn report(context: &Context, run: &RunRecord, fresh: bool, took: Duration) -> Result<(), TrainingError> {
    let project = &context.spec.project;
    let outcome = if run.state == RunState::Done { "done" } else { "failed" };
    if fresh {
        let labels = [("project", project.as_str()), ("outcome", outcome)];
        context.metrics.counter(names::TRAINING_RUNS).add(&labels, 1);
        let labels = [("project", project.as_str())];
        context.metrics.histogram(names::TRAINING_SECONDS).observe(&labels, took.as_secs_f64());
        crate::lineage::ended(context, run).await;
    }
    if let (RunState::Done, Some(model), Some(set)) = (run.state, &run.model_digest, &run.training_set) {
        info!(cycle = run.cycle, model, seconds = took.as_secs_f64(), "a candidate is trained");
        let fact = CandidateTrained {
            run_id: run.cycle.clone(),
            model_digest: model.clone(),
            as_of_ms: run.as_of.0,
            training_set: set.path.clone(),
        };
        return tell(&context.bus, project, &run.cycle, ("candidate", "trained"), Fact::CandidateTrained(fact)).await;
    }
    let failure = run.failure.as_ref().map(|f| format!("{}: {}", f.code, f.text)).unwrap_or_default();
    error!(cycle = run.cycle, failure, "the cycle failed");
    let fact = AlertRaised {
        rule: "training".to_owned(),
        severity: "error".to_owned(),
        text: format!("cycle {} gave no candidate: {failure}", run.cycle),
        window_start_ms: run.as_of.0,
        source: String::new(),
    };
    tell(&context.bus, project, &run.cycle, ("alert", "raised"), Fact::AlertRaised(fact)).await
}
