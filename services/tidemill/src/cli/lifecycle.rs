//! `train`, `runs` and `models`: what was learned, and which of it serves.

use super::instant;
use super::output::{Output, next, say};
use super::prompt::given_or_asked;
use super::target::{MAX_ANSWER, Target};
use crate::error::{Error, Result};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::path::PathBuf;
use tidemill_bus::Bus;
use tidemill_contracts::evaluation::evaluation_service_client::EvaluationServiceClient;
use tidemill_contracts::evaluation::{PromoteRequest, PromoteResponse, RollbackRequest, ShowScorecardRequest};
use tidemill_contracts::feature::DescribeRequest;
use tidemill_contracts::feature::feature_service_client::FeatureServiceClient;
use tidemill_contracts::training::training_service_client::TrainingServiceClient;
use tidemill_contracts::training::{ListRunsRequest, ShowRunRequest, TrainRequest};
use tidemill_registry::Registry;
use tidemill_types::{Digest, Millis, ProjectName};
use tonic::transport::Channel;

const TRAIN_EXAMPLES: &str = "\
Examples:
  tidemill train --wait
  tidemill train --as-of 2013-03-01 --reason 'new runway'";

/// `tidemill train`.
#[derive(Debug, Args)]
#[command(after_help = TRAIN_EXAMPLES)]
pub(super) struct TrainArgs {
    /// Use only what was known at this instant; by default, what is known by now.
    #[arg(long, value_parser = instant, value_name = "INSTANT")]
    as_of: Option<Millis>,
    /// Why, for the record.
    #[arg(long, default_value = "asked for on the command line", value_name = "TEXT")]
    reason: String,
    /// Wait for the verdict, and for the model to answer; end with 3 when a gate says no.
    #[arg(long)]
    wait: bool,
}

const RUNS_EXAMPLES: &str = "\
Examples:
  tidemill runs ls
  tidemill runs show m-2013-02 -o json";

/// `tidemill runs …`.
#[derive(Debug, Subcommand)]
#[command(after_help = RUNS_EXAMPLES)]
pub(super) enum RunsCommand {
    /// List runs, newest first.
    #[command(after_help = RUNS_EXAMPLES)]
    Ls,
    /// Show a run: data, windows, trials, choice.
    #[command(after_help = RUNS_EXAMPLES)]
    Show {
        /// Its name, as `runs ls` shows it.
        #[arg(value_name = "RUN")]
        run: String,
    },
}

const MODELS_EXAMPLES: &str = "\
Examples:
  tidemill models ls
  tidemill models card champion --out card.html
  tidemill models promote 3f9a2c --reason 'approved by the duty manager'
  tidemill models rollback --reason 'alerts doubled'";

/// `tidemill models …`.
#[derive(Debug, Subcommand)]
#[command(after_help = MODELS_EXAMPLES)]
pub(super) enum ModelsCommand {
    /// List versions, and which is champion.
    #[command(after_help = MODELS_EXAMPLES)]
    Ls,
    /// Show the scorecard of a model, and write its card.
    #[command(after_help = MODELS_EXAMPLES)]
    Card {
        /// Version number, alias, or beginning of the digest.
        #[arg(value_name = "MODEL")]
        model: String,
        /// Write the HTML card to this file.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Make a model the champion.
    #[command(after_help = MODELS_EXAMPLES)]
    Promote {
        /// Version number, alias, or beginning of the digest.
        #[arg(value_name = "MODEL")]
        model: String,
        /// Why, for the audit; asked for at a terminal when it is left out.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Who, for the audit.
        #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
        by: String,
    },
    /// Make the champion before the present one champion again.
    #[command(after_help = MODELS_EXAMPLES)]
    Rollback {
        /// Why, for the audit; asked for at a terminal when it is left out.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Who, for the audit.
        #[arg(long, env = "USER", default_value = "unknown", hide_env_values = true, value_name = "NAME")]
        by: String,
    },
}

pub(super) async fn training(target: &Target) -> Result<TrainingServiceClient<Channel>> {
    let channel = target.channel("training", &target.endpoints.training).await?;
    Ok(TrainingServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
}

pub(super) async fn evaluation(target: &Target) -> Result<EvaluationServiceClient<Channel>> {
    let channel = target.channel("evaluation", &target.endpoints.evaluation).await?;
    Ok(EvaluationServiceClient::new(channel).max_decoding_message_size(MAX_ANSWER))
}

/// Asks for a training run.
pub(super) async fn train(target: &Target, out: Output, args: TrainArgs) -> Result<u8> {
    let project = target.project().await?.to_string();
    let as_of = match args.as_of {
        Some(as_of) => as_of,
        None => known_until(target, &project).await?,
    };
    let request = TrainRequest { project: project.clone(), as_of_ms: as_of.0, reason: args.reason };
    let answer = training(target).await?.train(request).await.map_err(Error::remote("train"))?;
    let cycle = answer.into_inner().cycle_id;
    if args.wait {
        return super::wait::for_verdict(target, out, &project, &cycle).await;
    }
    out.record(&json!({"cycle": cycle, "as_of": as_of.to_string()}))?;
    next(&format!("tidemill runs show {cycle}"));
    Ok(0)
}

/// History that is replayed is known up to its watermark, not up to our clock.
async fn known_until(target: &Target, project: &str) -> Result<Millis> {
    let channel = target.channel("feature", &target.endpoints.feature).await?;
    let request = DescribeRequest { project: project.to_owned() };
    let answer = FeatureServiceClient::new(channel).describe(request).await.map_err(Error::remote("describe"))?;
    let (watermark, now) = (answer.get_ref().watermark_ms, crate::up::now());
    Ok(if watermark > 0 && watermark < now.0 { Millis(watermark) } else { now })
}

fn parsed(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text).map_err(std::io::Error::other)?)
}

/// Runs `tidemill runs …`.
pub(super) async fn runs(target: &Target, out: Output, command: RunsCommand) -> Result<u8> {
    let project = target.project().await?.to_string();
    let mut client = training(target).await?;
    match command {
        RunsCommand::Ls => {
            let answer = client.list_runs(ListRunsRequest { project }).await.map_err(Error::remote("list runs"))?;
            let runs = answer.into_inner().runs_json;
            let rows = runs.iter().map(|text| Ok(run_row(&parsed(text)?))).collect::<Result<Vec<_>>>()?;
            out.rows(&["run", "state", "as_of", "learner", "roc_auc", "model", "seconds", "reason"], &rows)?;
            next(if rows.is_empty() { "tidemill train" } else { "tidemill runs show RUN" });
        }
        RunsCommand::Show { run } => {
            let request = ShowRunRequest { project, run_id: run };
            let answer = client.show_run(request).await.map_err(Error::remote("show run"))?;
            out.record(&parsed(&answer.into_inner().run_json)?)?;
            next("tidemill models ls");
        }
    }
    Ok(0)
}

fn run_row(run: &Value) -> Value {
    let stages = run["seconds"].as_object().into_iter().flatten();
    let seconds = stages.filter_map(|(_, seconds)| seconds.as_f64()).fold(0.0, |sum, seconds| sum + seconds);
    json!({
        "run": run["cycle"],
        "state": run["state"],
        "as_of": run["as_of"].as_i64().map(|ms| Millis(ms).to_string()),
        "learner": run["chosen"]["learner"],
        "roc_auc": run["chosen"]["validation"]["roc_auc"],
        "model": run["model_digest"].as_str().map(|digest| digest.get(..12).unwrap_or(digest)),
        "seconds": seconds,
        "reason": run["reason"],
        "failure": run["failure"],
    })
}

/// Runs `tidemill models …`.
pub(super) async fn models(target: &Target, out: Output, command: ModelsCommand) -> Result<u8> {
    let project = target.project().await?;
    match command {
        ModelsCommand::Ls => list(target, out, &project).await,
        ModelsCommand::Card { model, out: file } => card(target, out, &project, &model, file).await,
        ModelsCommand::Promote { model, reason, by } => {
            let reason = given_or_asked(reason, "why is it promoted", "--reason TEXT")?;
            let model_digest = resolve(target, &project, &model).await?.to_string();
            let request = PromoteRequest { project: project.to_string(), model_digest, by, reason };
            let answer = evaluation(target).await?.promote(request).await.map_err(Error::remote("promote"))?;
            moved(out, &answer.into_inner())
        }
        ModelsCommand::Rollback { reason, by } => {
            let reason = given_or_asked(reason, "why is it rolled back", "--reason TEXT")?;
            let request = RollbackRequest { project: project.to_string(), by, reason };
            let answer = evaluation(target).await?.rollback(request).await.map_err(Error::remote("rollback"))?;
            moved(out, &answer.into_inner())
        }
    }
}

fn moved(out: Output, answer: &PromoteResponse) -> Result<u8> {
    out.record(&json!({"champion": answer.champion, "previous": answer.previous}))?;
    next("tidemill status shows which model answers; tidemill models rollback undoes it");
    Ok(0)
}

async fn list(target: &Target, out: Output, project: &ProjectName) -> Result<u8> {
    let registry = Registry::open(&target.bus().await?).await?;
    let aliases = registry.aliases(project).await?;
    let versions = registry.versions(project).await?;
    let rows = versions.iter().rev().map(|version| {
        let names = aliases.iter().filter(|(_, state)| state.entry.digest == version.digest);
        let names: Vec<&str> = names.map(|(name, _)| name.as_str()).collect();
        json!({
            "version": version.version,
            "model": version.digest.short(),
            "aliases": names.join(" "),
            "run": version.run,
            "created": version.created.to_string(),
            "digest": version.digest,
        })
    });
    let rows: Vec<Value> = rows.collect();
    out.rows(&["version", "model", "aliases", "run", "created"], &rows)?;
    match rows.is_empty() {
        true => next("tidemill train"),
        false => next("tidemill models card champion --out card.html"),
    }
    Ok(0)
}

async fn resolve(target: &Target, project: &ProjectName, name: &str) -> Result<Digest> {
    resolve_model(&target.bus().await?, project, name).await
}

/// The digest of a model that is named by number, alias or the beginning of its digest.
pub(super) async fn resolve_model(bus: &Bus, project: &ProjectName, name: &str) -> Result<Digest> {
    let registry = Registry::open(bus).await?;
    if let Some((_, state)) = registry.aliases(project).await?.into_iter().find(|(alias, _)| alias == name) {
        return Ok(state.entry.digest);
    }
    let versions = registry.versions(project).await?;
    let number = name.parse::<u64>().ok();
    let numbered = versions.iter().find(|version| Some(version.version) == number);
    let mut begun = versions.iter().filter(|version| version.digest.as_str().starts_with(name));
    let found = numbered.or_else(|| begun.next().filter(|_| begun.next().is_none()));
    let missing = || Error::NotFound { what: "single model", name: name.to_owned(), list: "tidemill models ls" };
    Ok(found.ok_or_else(missing)?.digest.clone())
}

async fn card(target: &Target, out: Output, project: &ProjectName, model: &str, file: Option<PathBuf>) -> Result<u8> {
    let model_digest = resolve(target, project, model).await?.to_string();
    let request = ShowScorecardRequest { project: project.to_string(), model_digest };
    let answer = evaluation(target).await?.show_scorecard(request).await.map_err(Error::remote("show scorecard"))?;
    let answer = answer.into_inner();
    out.record(&parsed(&answer.scorecard_json)?)?;
    let Some(file) = file else {
        next(&format!("tidemill models card {model} --out card.html writes the card ({})", answer.card_path));
        return Ok(0);
    };
    let html = target.storage()?.get(&answer.card_path).await?;
    std::fs::write(&file, html).map_err(Error::file("write", &file))?;
    say(&format!("wrote {}", file.display()));
    next("open it in a browser; tidemill models promote MODEL --reason WHY makes it champion");
    Ok(0)
}
