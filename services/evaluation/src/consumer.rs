//! Candidates in, verdicts out.

use crate::Context;
use crate::error::EvaluationError;
use crate::judgement::{Judgement, judge, scorecard_path};
use crate::notices::{dead_letters, tell};
use prost::Message as _;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Job, Notices};
use tidemill_contracts::events::{AlertRaised, CandidateEvaluated, CandidateTrained, Notice, notice::Fact};
use tidemill_contracts::subjects;
use tidemill_telemetry::names;
use tidemill_types::{Classified, Digest};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, error, info, info_span, warn};

/// Longest wait for a notice, so that shutdown is noticed.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Judges candidates until `stop`, one at a time.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) -> Result<(), EvaluationError> {
    let project = &context.spec.project;
    let subject = subjects::notice(project, "candidate", "trained");
    let dead = dead_letters(&context.bus, project)?;
    let durable = format!("evaluation-{project}");
    let mut notices = Notices::open(&context.bus, subjects::NOTICES_STREAM, &durable, vec![subject], dead).await?;
    while !stop.is_cancelled() {
        let Some(job) = notices.next(LOOK_EVERY).await? else { continue };
        let span = info_span!("evaluate candidate", otel.kind = "consumer");
        if let Some(parent) = tidemill_bus::trace::extract(&job.headers) {
            tidemill_telemetry::set_parent(&span, parent);
        }
        // A judgement that is cut off comes again.
        let taken = stop.run_until_cancelled(take(&context, &job).instrument(span)).await;
        taken.unwrap_or(Ok(()))?;
    }
    Ok(())
}

/// Judges one candidate and ends its notice. Only the bus can fail here.
async fn take(context: &Context, job: &Job) -> Result<(), EvaluationError> {
    let _lease = job.keep_alive();
    let (cycle, fact) = match candidate(&job.payload) {
        Ok(found) => found,
        Err(error) => return Ok(job.term(&error).await?),
    };
    let Some(model) = Digest::parse(&fact.model_digest) else {
        return Ok(job.term(&EvaluationError::Request("the notice names no model".to_owned())).await?);
    };
    let began = Instant::now();
    let lineage = crate::lineage::Run::begin(context, &fact, &model).await;
    let judged = judge(context, &fact.run_id, &model).await;
    let labels = [("project", context.spec.project.as_str())];
    context.metrics.histogram(names::EVALUATION_SECONDS).observe(&labels, began.elapsed().as_secs_f64());
    lineage.end(&judged).await;
    match judged {
        Ok(judgement) => report(context, &cycle, &fact, &judgement).await?,
        Err(error) if error.is_transient() && !job.is_last() => {
            warn!(cycle, %error, "the judgement pauses");
            return Ok(job.fail(&error).await?);
        }
        Err(error) => fail(context, &cycle, &fact, &error).await?,
    }
    Ok(job.ack().await?)
}

fn candidate(payload: &[u8]) -> Result<(String, CandidateTrained), EvaluationError> {
    let notice = Notice::decode(payload).map_err(|e| EvaluationError::Request(format!("no notice: {e}")))?;
    match notice.fact {
        Some(Fact::CandidateTrained(fact)) => Ok((notice.cycle_id, fact)),
        _ => Err(EvaluationError::Request("the notice names no candidate".to_owned())),
    }
}

async fn report(
    context: &Context,
    cycle: &str,
    fact: &CandidateTrained,
    judgement: &Judgement,
) -> Result<(), EvaluationError> {
    let project = &context.spec.project;
    let card = &judgement.card;
    let verdict = if judgement.promoted { "promoted" } else { "refused" };
    if judgement.fresh {
        let labels = [("project", project.as_str()), ("verdict", verdict)];
        context.metrics.counter(names::EVALUATION_VERDICTS).add(&labels, 1);
    }
    info!(cycle, model = fact.model_digest, auc = card.report.roc_auc.value, verdict, "{}", card.verdict);
    let evaluated = CandidateEvaluated {
        run_id: fact.run_id.clone(),
        model_digest: fact.model_digest.clone(),
        promoted: judgement.promoted,
        failed_gates: card.gates.iter().filter(|gate| !gate.passed).map(|gate| gate.gate.clone()).collect(),
        scorecard: scorecard_path(project.as_str(), &fact.model_digest),
        as_of_ms: fact.as_of_ms,
    };
    tell(&context.bus, project, cycle, ("candidate", "evaluated"), Fact::CandidateEvaluated(evaluated)).await
}

/// A candidate that cannot be judged is not promoted, and somebody is told why.
async fn fail(
    context: &Context,
    cycle: &str,
    fact: &CandidateTrained,
    reason: &EvaluationError,
) -> Result<(), EvaluationError> {
    let project = &context.spec.project;
    tidemill_telemetry::failed(&Span::current(), reason.code());
    error!(cycle, model = fact.model_digest, code = %reason.code(), "the candidate cannot be judged: {reason}");
    let labels = [("project", project.as_str()), ("verdict", "failed")];
    context.metrics.counter(names::EVALUATION_VERDICTS).add(&labels, 1);
    let alert = AlertRaised {
        rule: "evaluation".to_owned(),
        severity: "error".to_owned(),
        text: format!("the candidate of cycle {cycle} cannot be judged: {}: {reason}", reason.code()),
        window_start_ms: fact.as_of_ms,
        source: String::new(),
    };
    tell(&context.bus, project, cycle, ("alert", "raised"), Fact::AlertRaised(alert)).await?;
    let evaluated = CandidateEvaluated {
        run_id: fact.run_id.clone(),
        model_digest: fact.model_digest.clone(),
        promoted: false,
        failed_gates: vec!["judgement".to_owned()],
        scorecard: String::new(),
        as_of_ms: fact.as_of_ms,
    };
    tell(&context.bus, project, cycle, ("candidate", "evaluated"), Fact::CandidateEvaluated(evaluated)).await
}
