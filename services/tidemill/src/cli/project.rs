//! `project`: specs checked, compared and put in force.

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use crate::projects;
use clap::Subcommand;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use tidemill_spec::{Spec, SpecProblem};

const EXAMPLES: &str = "\
Examples:
  tidemill project validate infra/examples/flights/project.yaml
  tidemill project plan infra/examples/flights/project.yaml
  tidemill project apply infra/examples/flights/project.yaml
  tidemill project show -o json";

/// `tidemill project …`.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub(super) enum ProjectCommand {
    /// Check a project file; needs nothing that runs. Ends with 2 when it is refused.
    #[command(after_help = EXAMPLES)]
    Validate {
        /// The project file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show what applying a project file would change.
    #[command(after_help = EXAMPLES)]
    Plan {
        /// The project file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Put a project file in force.
    #[command(after_help = EXAMPLES)]
    Apply {
        /// The project file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Show the project file in force, or one that was applied earlier.
    #[command(after_help = EXAMPLES)]
    Show {
        /// Digest of an earlier one, or its beginning.
        #[arg(long, value_name = "DIGEST")]
        digest: Option<String>,
    },
}

fn read(file: &Path) -> Result<String> {
    std::fs::read_to_string(file).map_err(Error::file("read", file))
}

/// Checks a spec. The answer lists every problem, also as JSON.
pub(super) async fn validate(out: Output, file: &Path) -> Result<u8> {
    let text = read(file)?;
    match projects::check(&text).map_err(Error::in_file(file, &text)) {
        Ok(spec) => {
            out.record(&summary(&spec))?;
            next(&format!("tidemill project apply {}", file.display()));
            Ok(0)
        }
        Err(refused) => {
            // For people the problems stand on standard error, with their lines.
            if !out.is_table() {
                let problems: Vec<Value> = refused.problems().iter().map(shown).collect();
                out.record(&json!({"valid": false, "code": refused.shown_code(), "problems": problems}))?;
            }
            Err(refused)
        }
    }
}

fn shown(problem: &SpecProblem) -> Value {
    json!({
        "path": problem.path,
        "line": problem.line,
        "column": problem.column,
        "message": problem.message,
        "mend": problem.mend,
    })
}

fn summary(spec: &Spec) -> Value {
    json!({
        "valid": true,
        "project": spec.project,
        "digest": spec.digest(),
        "sources": spec.sources.keys().collect::<Vec<_>>(),
        "features": spec.features.define.len(),
        "candidates": spec.train.candidates,
        "deployment": spec.serve.deployment,
    })
}

/// The other verbs.
pub(super) async fn run(target: &Target, out: Output, command: ProjectCommand) -> Result<u8> {
    match command {
        ProjectCommand::Validate { file } => validate(out, &file).await,
        ProjectCommand::Plan { file } => plan(target, out, &file).await,
        ProjectCommand::Apply { file } => apply(target, out, &file).await,
        ProjectCommand::Show { digest } => show(target, out, digest.as_deref()).await,
    }
}

async fn plan(target: &Target, out: Output, file: &Path) -> Result<u8> {
    let text = read(file)?;
    let wanted = projects::check(&text).map_err(Error::in_file(file, &text))?;
    let bus = target.bus().await?;
    let before = match projects::in_force(&bus, wanted.project.as_str()).await {
        Ok(spec) => Some(spec),
        Err(Error::NoProject(_)) => None,
        Err(other) => return Err(other),
    };
    let new = serde_json::to_value(&wanted).map_err(std::io::Error::other)?;
    let old = before.as_ref().map_or(Ok(Value::Null), serde_json::to_value).map_err(std::io::Error::other)?;
    let mut changes = Vec::new();
    differences("", &old, &new, &mut changes);
    out.rows(&["path", "change", "before", "after"], &changes)?;
    match changes.len() {
        0 => {
            say("the project file in force says the same; nothing would change");
            next("tidemill status");
        }
        _ => next(&format!("tidemill project apply {}", file.display())),
    }
    Ok(0)
}

/// Every place where two specs differ; a thing that is new as a whole is one place.
fn differences(path: &str, old: &Value, new: &Value, found: &mut Vec<Value>) {
    if old == new {
        return;
    }
    if let (Value::Object(a), Value::Object(b)) = (old, new) {
        let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
        for key in keys {
            let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            let of = |side: &serde_json::Map<String, Value>| side.get(key).cloned().unwrap_or(Value::Null);
            differences(&inner, &of(a), &of(b), found);
        }
        return;
    }
    let change = match (old, new) {
        (Value::Null, _) => "add",
        (_, Value::Null) => "remove",
        _ => "change",
    };
    let path = if path.is_empty() { "(project)" } else { path };
    found.push(json!({"path": path, "change": change, "before": old, "after": new}));
}

async fn apply(target: &Target, out: Output, file: &Path) -> Result<u8> {
    let text = read(file)?;
    // What is wrong with the text is said before anything is connected.
    projects::check(&text).map_err(Error::in_file(file, &text))?;
    let bus = target.bus().await?;
    let applied = projects::apply(&bus, &text, target.config.bus.dead_letters).await?;
    out.record(&json!({
        "project": applied.spec.project,
        "digest": applied.digest,
        "replaced": applied.replaced,
        "changed": applied.changed,
    }))?;
    match (&target.instance, applied.changed) {
        (_, false) => {
            say("the project file in force says the same; nothing changed");
            next("tidemill status");
        }
        (Some(_), true) => {
            next("restart the instance, so that its roles take the new spec: tidemill down; tidemill up")
        }
        (None, true) => next("tidemill up"),
    }
    Ok(0)
}

async fn show(target: &Target, out: Output, digest: Option<&str>) -> Result<u8> {
    let bus = target.bus().await?;
    let project = target.project().await?;
    let text = match digest {
        Some(digest) => projects::earlier(&bus, project.as_str(), digest).await?,
        None => projects::text_of(&bus, project.as_str()).await?,
    };
    out.text("spec", &text)?;
    next("tidemill project plan FILE shows what another file would change");
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_names_the_places_that_differ() {
        let mut found = Vec::new();
        let old = json!({"kpi": {"budget": 0.1, "name": "x"}, "a": [1]});
        let new = json!({"kpi": {"budget": 0.2, "name": "x"}, "b": 1, "a": [1]});
        differences("", &old, &new, &mut found);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0]["change"], "add");
        assert_eq!(found[1]["path"], "kpi.budget");
    }
}
