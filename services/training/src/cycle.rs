//! One cycle: from a training set to a signed candidate.
//!
//! Every step is stored under the cycle's name before the next begins, so a cycle that was cut off goes on where it
//! was, and one that is done is not done again.

use crate::Context;
use crate::candidate::finish;
use crate::domain::leaks::{ColumnRole, LeakFinding, check_column};
use crate::domain::record::{RunRecord, RunState, Sealed, SetRef, TrialRecord, TrialSummary, WindowRows};
use crate::domain::rows::Rows;
use crate::domain::space::learner_key;
use crate::domain::windows::Windows;
use crate::error::TrainingError;
use crate::quality;
use crate::store::{SetKey, audit_leaks, blocking, read_json, run_path, stretch, trial_path, write_run};
use crate::worker::TrialJob;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::BatchPublisher;
use tidemill_contracts::training_set as names;
use tidemill_types::Millis;
use tracing::{Instrument as _, info, info_span};

/// How often the coordinator looks for results.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What starts a cycle.
#[derive(Clone, Debug)]
pub(crate) struct CycleRequest {
    pub(crate) cycle: String,
    pub(crate) as_of: Millis,
    pub(crate) reason: String,
}

/// The record of a cycle, as far as it is; a new one when there is none.
pub(crate) async fn open(context: &Context, request: &CycleRequest) -> Result<RunRecord, TrainingError> {
    let project = context.spec.project.as_str();
    if let Some(record) = read_json::<RunRecord>(&context.storage, &run_path(project, &request.cycle)).await? {
        return Ok(record);
    }
    Ok(RunRecord {
        project: project.to_owned(),
        cycle: request.cycle.clone(),
        state: RunState::Running,
        reason: request.reason.clone(),
        as_of: request.as_of,
        spec_digest: context.spec.digest().to_string(),
        code: env!("CARGO_PKG_VERSION").to_owned(),
        seed: context.spec.train.search.seed,
        training_set: None,
        quality: BTreeMap::new(),
        windows: None,
        rows: BTreeMap::new(),
        sealed: None,
        leaks: Vec::new(),
        trials: Vec::new(),
        chosen: None,
        model_digest: None,
        baselines: BTreeMap::new(),
        rates_by: context.spec.train.baselines.rule.rates_by.clone(),
        seconds: BTreeMap::new(),
        failure: None,
        trace_id: tidemill_telemetry::current_trace_id(),
    })
}

/// Carries a cycle to its candidate.
pub(crate) async fn carry_out(context: &Context, run: &mut RunRecord) -> Result<(), TrainingError> {
    let applied = context.spec.digest();
    if run.spec_digest != applied.as_str() {
        // Workers refuse its trials, so it would only hold up the cycles behind it.
        let (began, applied) = (run.spec_digest.clone(), applied.to_string());
        return Err(TrainingError::SpecChanged { began, applied });
    }
    let began = Instant::now();
    run.state = RunState::Running;
    run.failure = None;
    write_run(&context.storage, run).await?;

    let set = training_set(context, run).await?;
    let windows = cut(context, run, &set).await?;
    let key = SetKey { path: set.path.clone(), digest: set.digest.clone(), until: windows.valid_until };
    let rows = context.sets.rows(&key).await?;
    let first = Millis(rows.as_of.first().copied().unwrap_or_default());
    for (name, from, until) in
        [("train", first, windows.train_until), ("validation", windows.valid_from, windows.valid_until)]
    {
        let window = rows.between(from, until);
        if window.len() == 0 {
            return Err(TrainingError::NoRows { from, until });
        }
        run.rows.insert(name.to_owned(), shares(&window));
    }
    leaks(context, run, &set, &rows, &windows).await?;
    write_run(&context.storage, run).await?;

    let trials = search(context, run, &set, &windows).await?;
    finish(context, run, &rows, &windows, &trials).instrument(info_span!("fit candidate")).await?;
    run.state = RunState::Done;
    run.seconds.insert("total".to_owned(), began.elapsed().as_secs_f64());
    write_run(&context.storage, run).await
}

async fn training_set(context: &Context, run: &mut RunRecord) -> Result<SetRef, TrainingError> {
    if let Some(set) = &run.training_set
        && context.storage.exists(&set.path).await?
    {
        return Ok(set.clone());
    }
    let began = Instant::now();
    let set = context.features.build(&run.cycle, run.as_of).await?;
    if set.plan_digest != context.plan.digest().as_str() {
        let text = "the feature service runs another feature plan than training".to_owned();
        return Err(TrainingError::Features { text, kind: tidemill_types::ErrorKind::Conflict });
    }
    run.quality = quality::behind(context, &set, run.as_of).await?;
    run.training_set = Some(set.clone());
    run.seconds.insert("training_set".to_owned(), began.elapsed().as_secs_f64());
    Ok(set)
}

async fn cut(context: &Context, run: &mut RunRecord, set: &SetRef) -> Result<Windows, TrainingError> {
    let missing = TrainingError::NoHistory { rows: set.rows, until: run.as_of };
    let stretch = stretch(&context.storage, &set.path).await?.ok_or(missing)?;
    let matures = context.spec.features.label.matures_within.millis();
    let windows = Windows::cut(&context.spec.split, matures, stretch, run.as_of)?;
    run.windows = Some(windows);
    run.sealed = Some(Sealed {
        path: set.path.clone(),
        digest: set.digest.clone(),
        from: windows.test_from,
        until: windows.test_until,
    });
    Ok(windows)
}

fn shares(rows: &Rows) -> WindowRows {
    WindowRows { rows: rows.len(), positive_rate: rows.positive_rate() }
}

/// Checks features over the rows that are fitted on, audit columns over excluded rows too. A leaking feature ends
/// the run.
async fn leaks(
    context: &Context,
    run: &mut RunRecord,
    set: &SetRef,
    rows: &Arc<Rows>,
    windows: &Windows,
) -> Result<(), TrainingError> {
    let began = Instant::now();
    let (checked, rules) = (Arc::clone(rows), context.spec.train.leak_checks.clone());
    let mut found = blocking(move || feature_leaks(&checked, &rules)).await?;
    let rules = &context.spec.train.leak_checks;
    found.extend(audit_leaks(&context.storage, &set.path, &audit_columns(context), windows.valid_until, rules).await?);
    let masks = context.spec.training_masks(names::ENTITY_PREFIX, names::OUTCOME_PREFIX);
    found.iter_mut().for_each(|finding| finding.mask(&masks));
    let of_features = found.iter().filter(|finding| finding.role == ColumnRole::Feature);
    let blocking_ones: Vec<String> = of_features.map(|finding| finding.verdict.clone()).collect();
    for finding in &found {
        info!(cycle = run.cycle, "leak check: {}", finding.verdict);
    }
    run.leaks = found;
    run.seconds.insert("leak_checks".to_owned(), began.elapsed().as_secs_f64());
    if blocking_ones.is_empty() {
        return Ok(());
    }
    Err(TrainingError::Leak(blocking_ones.join("; ")))
}

fn feature_leaks(rows: &Rows, rules: &tidemill_spec::LeakChecks) -> Result<Vec<LeakFinding>, TrainingError> {
    let mut found = Vec::new();
    for (field, column) in rows.features.schema().fields().iter().zip(rows.features.columns()) {
        found.extend(check_column(field.name(), ColumnRole::Feature, column, &rows.labels, rules)?);
    }
    Ok(found)
}

/// Columns of the training set that are no features: those of the entity row and of the outcome row.
fn audit_columns(context: &Context) -> Vec<(String, ColumnRole)> {
    let entity = context.plan.entity_columns().fields().iter().map(|f| f.name().clone());
    let mut columns: Vec<_> =
        entity.map(|name| (format!("{}{name}", names::ENTITY_PREFIX), ColumnRole::Entity)).collect();
    let label = &context.spec.features.label;
    if let Some(source) = context.spec.sources.get(&label.source) {
        let outcome = source.columns.keys().filter(|name| **name != label.key);
        columns.extend(outcome.map(|name| (format!("{}{name}", names::OUTCOME_PREFIX), ColumnRole::Outcome)));
    }
    columns
}

/// Hands out all trials and waits for their results.
async fn search(
    context: &Context,
    run: &mut RunRecord,
    set: &SetRef,
    windows: &Windows,
) -> Result<Vec<TrialRecord>, TrainingError> {
    let began = Instant::now();
    let train = &context.spec.train;
    let mut jobs = Vec::new();
    for learner in &train.candidates {
        for index in 0..train.search.trials {
            let job = TrialJob {
                project: run.project.clone(),
                cycle: run.cycle.clone(),
                set_path: set.path.clone(),
                set_digest: set.digest.clone(),
                spec_digest: run.spec_digest.clone(),
                windows: *windows,
                learner: learner_key(*learner).to_owned(),
                index,
                seed: run.seed,
            };
            jobs.push(job);
        }
    }
    let publish = async {
        let messages = jobs.iter().map(TrialJob::message).collect::<Result<Vec<_>, _>>()?;
        Ok::<_, TrainingError>(BatchPublisher::new(&context.bus).publish(&messages).await?)
    };
    publish.instrument(info_span!("tm.work.training.trial publish", otel.kind = "producer", jobs = jobs.len())).await?;
    let trials = results(context, run, &jobs).await?;
    run.trials = trials.iter().map(TrialSummary::from).collect();
    run.seconds.insert("trials".to_owned(), began.elapsed().as_secs_f64());
    write_run(&context.storage, run).await?;
    Ok(trials)
}

/// The results of all jobs, in the order of the jobs. Gives up when none arrives for too long.
async fn results(context: &Context, run: &RunRecord, jobs: &[TrialJob]) -> Result<Vec<TrialRecord>, TrainingError> {
    let mut found: Vec<Option<TrialRecord>> = vec![None; jobs.len()];
    let mut last_news = Instant::now();
    loop {
        for (slot, job) in found.iter_mut().zip(jobs).filter(|(slot, _)| slot.is_none()) {
            *slot = read_json(&context.storage, &trial_path(&run.project, &run.cycle, &job.learner, job.index)).await?;
            if slot.is_some() {
                last_news = Instant::now();
            }
        }
        let missing = found.iter().filter(|slot| slot.is_none()).count();
        if missing == 0 {
            return Ok(found.into_iter().flatten().collect());
        }
        if last_news.elapsed() > context.options.trial_limit {
            return Err(TrainingError::TrialsLate { missing, seconds: context.options.trial_limit.as_secs() });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
