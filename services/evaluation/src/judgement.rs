//! One judgement: a candidate against the sealed test, its baselines and the champion.

use crate::Context;
use crate::card::render;
use crate::domain::scorecard::{CHAMPION, Opponent, Scorecard, Subject, TestRows, judge_candidate};
use crate::error::EvaluationError;
use crate::inputs::{Run, baseline, read_json, run, score, to_json};
use crate::promotion::{champion, ensure_first, now, promote};
use std::sync::Arc;
use tidemill_learn::Model;
use tidemill_registry::{Bundle, Error as RegistryError};
use tidemill_types::Digest;
use tracing::info;

/// How often a candidate is judged anew because the champion changed meanwhile.
const ATTEMPTS: usize = 3;

/// Path of the scorecard of a model.
#[must_use]
pub fn scorecard_path(project: &str, model: &str) -> String {
    format!("scorecards/{project}/{model}.json")
}

/// Path of the model card of a model.
#[must_use]
pub fn card_path(project: &str, model: &str) -> String {
    format!("scorecards/{project}/{model}.html")
}

/// What a judgement came to.
pub(crate) struct Judgement {
    pub(crate) card: Scorecard,
    /// Whether the candidate is or was champion.
    pub(crate) promoted: bool,
    /// Whether this call judged it, rather than an earlier one.
    pub(crate) fresh: bool,
}

/// Judges a candidate and, when every gate said yes, makes it champion. Repeated, it changes nothing.
pub(crate) async fn judge(context: &Context, cycle: &str, model: &Digest) -> Result<Judgement, EvaluationError> {
    let project = &context.spec.project;
    let stored = read_json::<Scorecard>(&context.storage, &scorecard_path(project.as_str(), model.as_str())).await?;
    let (mut card, fresh) = match stored {
        Some(card) => (card, false),
        None => (measure(context, cycle, model).await?, true),
    };
    for _ in 0..ATTEMPTS {
        if !card.passed {
            return Ok(Judgement { card, promoted: false, fresh });
        }
        let history = context.registry.history(project, CHAMPION).await?;
        if history.iter().any(|made| made.to == *model) {
            // An earlier attempt may have ended between the two moves.
            ensure_first(context, history.first().map_or(model, |made| &made.to), BY).await?;
            return Ok(Judgement { card, promoted: true, fresh });
        }
        let expected = card.subject.champion.as_deref().and_then(Digest::parse);
        let reason = format!("cycle {cycle}: {}", card.verdict);
        match promote(context, model, expected.as_ref(), BY, &reason).await {
            Ok(()) => return Ok(Judgement { card, promoted: true, fresh }),
            Err(EvaluationError::Registry(RegistryError::AliasMoved { .. })) => {
                info!(cycle, "the champion changed during the judgement; judging again");
                card = measure(context, cycle, model).await?;
            }
            Err(other) => return Err(other),
        }
    }
    Err(EvaluationError::Request(format!("the champion changed {ATTEMPTS} times while {} was judged", model.short())))
}

/// Who moves aliases when gates decide.
const BY: &str = "evaluation";

/// Opens the test, scores every model on it and stores scorecard and card.
async fn measure(context: &Context, cycle: &str, model: &Digest) -> Result<Scorecard, EvaluationError> {
    let project = context.spec.project.as_str();
    let run = run(&context.storage, project, cycle).await?;
    if run.model_digest.as_deref() != Some(model.as_str()) {
        return Err(EvaluationError::Missing(format!("model {} in run \"{cycle}\"", model.short())));
    }
    let plan = context.plan.digest().as_str();
    if run.training_set.as_ref().is_none_or(|set| set.plan_digest != plan) {
        let reason = "it was made from another feature plan than this service runs".to_owned();
        return Err(EvaluationError::Incomparable { model: model.short().to_owned(), reason });
    }
    let bundle = tidemill_registry::load(&context.storage, model, &context.trusted).await?;
    let candidate = Model::load(&bundle.model_files())?;
    let in_service = champion(context).await?.map(|state| state.entry.digest).filter(|digest| digest != model);

    let missing = || EvaluationError::Missing(format!("sealed test of run \"{cycle}\""));
    let sealed = run.sealed.as_ref().ok_or_else(missing)?;
    let plan = (context.plan.schema(), run.windows.as_ref());
    let opened = sealed.open(&context.storage, project, (cycle, model), plan, now()).await?;
    let (rows, opening) = (Arc::new(opened.0), opened.1);

    let mut models = Vec::new();
    for (name, folder) in &run.baselines {
        models.push((name.clone(), None, baseline(&context.storage, folder).await.map_err(|e| e.to_string())));
    }
    if let Some(digest) = &in_service {
        let loaded = opponent(context, digest).await;
        models.push((CHAMPION.to_owned(), Some(digest.to_string()), loaded));
    }
    let subject = subject(&run, &bundle, model, in_service.as_ref(), opening)?;
    let spec = Arc::clone(&context.spec);
    let card = tokio::task::spawn_blocking(move || compare(&spec, subject, &rows, &candidate, models));
    let card = card.await.map_err(|e| EvaluationError::Task(e.to_string()))??;

    let path = card_path(project, model.as_str());
    context.storage.put(&path, render(&context.spec, &card).into_string()).await?;
    // The scorecard last: one that exists has its card.
    let path = scorecard_path(project, model.as_str());
    context.storage.put(&path, to_json(&path, &card)?).await?;
    Ok(card)
}

/// A registered model, if it reads the same features as the candidate.
async fn opponent(context: &Context, digest: &Digest) -> Result<Model, String> {
    let bundle =
        tidemill_registry::load(&context.storage, digest, &context.trusted).await.map_err(|e| e.to_string())?;
    let plan = bundle.manifest.about.lineage.iter().find(|made_from| made_from.kind == "features");
    if plan.and_then(|plan| plan.digest.as_ref()) != Some(context.plan.digest()) {
        return Err(format!("model {} reads another feature plan", digest.short()));
    }
    Model::load(&bundle.model_files()).map_err(|e| e.to_string())
}

type Contender = (String, Option<String>, Result<Model, String>);

fn compare(
    spec: &tidemill_spec::Spec,
    subject: Subject,
    rows: &TestRows,
    candidate: &Model,
    models: Vec<Contender>,
) -> Result<Scorecard, EvaluationError> {
    let scores = score(candidate, &rows.features)?;
    let scored = |(name, digest, model): Contender| {
        let scores = model.and_then(|model| score(&model, &rows.features).map_err(|e| e.to_string()));
        Opponent { name, digest, scores }
    };
    let opponents: Vec<Opponent> = models.into_iter().map(scored).collect();
    judge_candidate(spec, subject, rows, &scores, &opponents)
}

fn subject(
    run: &Run,
    bundle: &Bundle,
    model: &Digest,
    champion: Option<&Digest>,
    opening: String,
) -> Result<Subject, EvaluationError> {
    let missing = |what: &str| EvaluationError::Missing(format!("{what} in run \"{}\"", run.cycle));
    let chosen = run.chosen.as_ref().ok_or_else(|| missing("chosen model"))?;
    let sealed = run.sealed.as_ref().ok_or_else(|| missing("sealed test"))?;
    let set = run.training_set.as_ref().ok_or_else(|| missing("training set"))?;
    Ok(Subject {
        project: bundle.manifest.about.project.to_string(),
        cycle: run.cycle.clone(),
        model_digest: model.to_string(),
        learner: chosen.learner.clone(),
        params: chosen.params.clone(),
        as_of: run.as_of,
        test_from: sealed.from,
        test_until: sealed.until,
        // The signed value, not the record's.
        threshold: bundle.manifest.about.threshold.unwrap_or(chosen.threshold),
        validation: chosen.validation.clone(),
        importance: chosen.importance.clone(),
        leaks: run.leaks.clone(),
        training_set: (set.path.clone(), set.digest.clone()),
        // The signed ones, as the threshold.
        quality: bundle.manifest.about.quality.clone(),
        spec_digest: run.spec_digest.clone(),
        champion: champion.map(ToString::to_string),
        opening,
    })
}
