//! The end of a cycle: the chosen trial becomes a signed candidate, beside its baselines.

use crate::Context;
use crate::bundle::{Parts, assemble};
use crate::domain::fit::{BASELINES, final_params, fit_baseline, fit_before, fitted_rows, references, reloaded};
use crate::domain::personal::Personal;
use crate::domain::record::{Chosen, RunRecord, TrialOutcome, TrialRecord, WindowRows, best};
use crate::domain::rows::Rows;
use crate::domain::windows::Windows;
use crate::error::TrainingError;
use crate::store::{baseline_folder, blocking};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;
use tidemill_registry::NewVersion;
use tidemill_types::Millis;

/// Rows that serving replays before it trusts a bundle.
const EXAMPLES: usize = 50;

/// Chooses, fits once more on training and validation rows, fits the baselines on the same rows, signs and stores.
pub(crate) async fn finish(
    context: &Context,
    run: &mut RunRecord,
    rows: &Arc<Rows>,
    windows: &Windows,
    trials: &[TrialRecord],
) -> Result<(), TrainingError> {
    let began = Instant::now();
    let reasons = || {
        trials.iter().filter_map(|t| match &t.outcome {
            TrialOutcome::Failed(failure) => Some(format!("{} {}: {}", t.learner, t.index, failure.text)),
            TrialOutcome::Scored(_) => None,
        })
    };
    let none = || TrainingError::NoTrial(reasons().collect::<Vec<_>>().join("; "));
    let (trial, score) = best(trials).ok_or_else(none)?;
    let params = final_params(&trial.learner, score);
    let (learner, seed, until) = (trial.learner.clone(), run.seed, windows.valid_until);
    let (held, windows, with) = (Arc::clone(rows), *windows, params.clone());
    let distribution = score.scores.clone();
    let personal = personal(context, run)?;
    let (parts, importance, fitted_on) = blocking(move || {
        let mut fitted = fit_before(&held, until, &learner, &with, seed)?;
        let mut importance = fitted.model.importance();
        personal.hide_values(&mut importance);
        personal.hide_in(&mut fitted.model);
        let (files, model) = reloaded(&fitted.model)?;
        let mut references = personal.hidden(references(&held, until));
        references.push(distribution);
        let examples = personal.without_values(held.between(windows.valid_from, until).sample(EXAMPLES)?)?;
        Ok((Parts { files, model, examples, references }, importance, fitted_rows(&held, until)?))
    })
    .await?;
    let chosen = Chosen {
        learner: trial.learner.clone(),
        trial: trial.index,
        params,
        threshold: score.threshold,
        validation: BTreeMap::from([
            ("roc_auc".to_owned(), score.roc_auc.value),
            ("roc_auc_low".to_owned(), score.roc_auc.low),
            ("roc_auc_high".to_owned(), score.roc_auc.high),
            ("log_loss".to_owned(), score.log_loss),
            ("brier".to_owned(), score.brier),
            ("precision_at_budget".to_owned(), score.precision_at_budget),
        ]),
        fitted_on: WindowRows { rows: fitted_on.0, positive_rate: fitted_on.1 },
        importance,
    };
    baselines(context, run, rows, until).await?;
    let bundle = assemble(context, run, &chosen, parts)?;
    tidemill_registry::store(&context.storage, &bundle).await?;
    let parse = |e: tidemill_types::id::BadName| TrainingError::Request(e.to_string());
    let version = NewVersion {
        digest: bundle.digest.clone(),
        run: run.cycle.parse().map_err(parse)?,
        cycle: Some(run.cycle.parse().map_err(parse)?),
        created: run.as_of,
    };
    context.registry.register(&context.spec.project, &version).await?;
    run.chosen = Some(chosen);
    run.model_digest = Some(bundle.digest.to_string());
    run.seconds.insert("fit".to_owned(), began.elapsed().as_secs_f64());
    Ok(())
}

fn personal(context: &Context, run: &RunRecord) -> Result<Personal, TrainingError> {
    let set = run.training_set.as_ref().ok_or_else(|| TrainingError::NoRun(run.cycle.clone()))?;
    Ok(Personal::new(context.spec.feature_masks(), &set.digest))
}

async fn baselines(
    context: &Context,
    run: &mut RunRecord,
    rows: &Arc<Rows>,
    until: Millis,
) -> Result<(), TrainingError> {
    let personal = personal(context, run)?;
    for name in BASELINES {
        let (held, keys, seed, personal) = (Arc::clone(rows), run.rates_by.clone(), run.seed, personal.clone());
        let fit = move || {
            let mut model = fit_baseline(&held, until, name, &keys, seed)?.model;
            personal.hide_in(&mut model);
            Ok(model.save()?)
        };
        let files = blocking(fit).await?;
        let folder = baseline_folder(&run.project, &run.cycle, name);
        for (file, content) in files {
            context.storage.put(&format!("{folder}/{file}"), content).await?;
        }
        run.baselines.insert(name.to_owned(), folder);
    }
    Ok(())
}
