//! `train --wait`: follows a cycle until its model answers, or until it is clear that it will not.

use super::lifecycle::{evaluation, training};
use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use serde_json::{Value, json};
use std::time::Duration;
use tidemill_contracts::evaluation::ShowScorecardRequest;
use tidemill_contracts::inference::ModelReadyRequest;
use tidemill_contracts::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use tidemill_contracts::training::ShowRunRequest;
use tidemill_types::Digest;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Code;

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Longest wait. Whoever needs longer looks with `runs show`.
const PATIENCE: Duration = Duration::from_secs(1_800);

/// Follows a cycle and shows how it ended: 0 when its model answers, 1 when the run failed, 3 when a gate said no.
pub(super) async fn for_verdict(target: &Target, out: Output, project: &str, cycle: &str) -> Result<u8> {
    say(&format!("waiting for the verdict on {cycle}; Ctrl-C ends the waiting, not the training"));
    let late = |_| Error::NotReady { seconds: PATIENCE.as_secs(), unmet: format!("the verdict on {cycle}") };
    timeout_at(Instant::now() + PATIENCE, follow(target, out, project, cycle)).await.map_err(late)?
}

async fn follow(target: &Target, out: Output, project: &str, cycle: &str) -> Result<u8> {
    let run = ended(target, project, cycle).await?;
    let mut shown = json!({"cycle": cycle, "state": run["state"], "learner": run["chosen"]["learner"]});
    let Some(model) = run["model_digest"].as_str() else {
        shown["failure"] = run["failure"].clone();
        out.record(&shown)?;
        next(&format!("tidemill runs show {cycle}"));
        return Ok(1);
    };
    let card = scorecard(target, project, model).await?;
    let passed = card["passed"] == true;
    shown["model"] = json!(short(model));
    let auc = &card["report"]["roc_auc"];
    for (name, part) in [("roc_auc", "value"), ("roc_auc_low", "low"), ("roc_auc_high", "high")] {
        shown[name] = auc[part].clone();
    }
    shown["tested_on"] = card["report"]["n"].clone();
    shown["verdict"] = card["verdict"].clone();
    if passed {
        served(target, model).await?;
    }
    out.record(&shown)?;
    if passed {
        next("tidemill predict --key KEY, or --row JSON");
        return Ok(0);
    }
    next(&format!("tidemill models card {} --out card.html; a person may promote it with a reason", short(model)));
    Ok(3)
}

/// The record of the run once it is no longer under way.
async fn ended(target: &Target, project: &str, cycle: &str) -> Result<Value> {
    let mut client = training(target).await?;
    loop {
        let request = ShowRunRequest { project: project.to_owned(), run_id: cycle.to_owned() };
        match client.show_run(request).await {
            Ok(answer) => {
                let run = parsed(&answer.into_inner().run_json)?;
                if run["state"] != "running" {
                    return Ok(run);
                }
            }
            // The run begins when training has read the notice.
            Err(status) if status.code() == Code::NotFound => {}
            Err(status) => return Err(Error::remote("show run")(status)),
        }
        sleep(LOOK_EVERY).await;
    }
}

async fn scorecard(target: &Target, project: &str, model: &str) -> Result<Value> {
    let mut client = evaluation(target).await?;
    loop {
        let request = ShowScorecardRequest { project: project.to_owned(), model_digest: model.to_owned() };
        match client.show_scorecard(request).await {
            Ok(answer) => return parsed(&answer.into_inner().scorecard_json),
            Err(status) if status.code() == Code::NotFound => sleep(LOOK_EVERY).await,
            Err(status) => return Err(Error::remote("show scorecard")(status)),
        }
    }
}

/// Waits until the model answers requests; it was verified and tried by then.
async fn served(target: &Target, model: &str) -> Result<()> {
    let bus = target.bus().await?;
    let name = target.spec(&bus).await?.serve.deployment.to_string();
    let channel = target.channel("serving", &target.endpoints.serving_grpc).await?;
    let mut client = GrpcInferenceServiceClient::new(channel);
    loop {
        let request = ModelReadyRequest { name: name.clone(), version: short(model) };
        if client.model_ready(request).await.map_err(Error::remote("model ready"))?.into_inner().ready {
            return Ok(());
        }
        sleep(LOOK_EVERY).await;
    }
}

fn short(model: &str) -> String {
    Digest::parse(model).map_or_else(|| model.to_owned(), |digest| digest.short().to_owned())
}

fn parsed(text: &str) -> Result<Value> {
    Ok(serde_json::from_str(text).map_err(std::io::Error::other)?)
}
