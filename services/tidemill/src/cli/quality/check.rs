//! `quality check`: a file judged by rules, as one commit.

use super::{FileArgs, bare};
use crate::cli::output::{Output, next, say};
use crate::error::{Error, Result};
use clap::Args;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use tidemill_privacy::Masks;
use tidemill_quality::{CommitMemory, Memory, RuleResult, Rules, Verdict};
use tidemill_spec::{Rule, Spec, read_yaml};
use tidemill_types::SourceName;

/// What to judge by what.
#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// A Parquet, CSV or JSON-lines file.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Rules: a list, a `quality:` block, or a whole project file.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// Which source's rules, where the file has those of several.
    #[arg(long, value_name = "SOURCE")]
    source: Option<SourceName>,
    #[command(flatten)]
    about: FileArgs,
    /// Show personal values of failing rows as they are.
    #[arg(long)]
    unmask: bool,
}

/// A `quality:` block by itself.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Block {
    quality: BTreeMap<SourceName, Vec<Rule>>,
}

pub(super) async fn run(out: Output, args: &CheckArgs) -> Result<u8> {
    let rules = rules(&args.rules, args.source.as_ref())?;
    let bare = bare::read(&args.file, &args.about, args.source.as_ref()).await?;
    let compiled = Rules::compile(&bare.source, &rules)?;
    if !compiled.references().is_empty() {
        say("rules that look at other sources are not judged on a bare file");
    }
    let mut memory = Memory::new(&compiled, Memory::CAPACITY);
    // Nothing is known of other sources, so what refers to them is not judged rather than failed.
    let commits = CommitMemory::without_others(&compiled);
    let verdict = compiled.check_commit(&mut memory, &commits, &bare.rows)?;
    let masks = if args.unmask { Masks::default() } else { bare.source.masks_in(&bare.rows)? };
    let of = |(rule, result): (&Rule, &RuleResult)| row(rule, &result.masked(Some(rule), &masks));
    let shown: Vec<Value> = rules.iter().zip(&verdict.results).map(of).collect();
    if out.is_json() {
        out.record(&document(&verdict, &shown))?;
    } else {
        out.rows(&["rule", "asks", "on_fail", "checked", "failed", "state", "observed"], &shown)?;
    }
    let set_aside = bare.rows.num_rows() - verdict.accepted.num_rows();
    say(&format!("{} rows, {set_aside} would be set aside", bare.rows.num_rows()));
    match &verdict.blocked {
        Some(rule) => {
            say(&format!("the blocking rule {rule} failed"));
            Ok(3)
        }
        None => {
            next("put the rules under quality: in the project file, then tidemill project validate FILE");
            Ok(0)
        }
    }
}

fn document(verdict: &Verdict, rules: &[Value]) -> Value {
    json!({
        "rows": verdict.mask.len(),
        "accepted": verdict.accepted.num_rows(),
        "held": verdict.held,
        "blocked": verdict.blocked,
        "rules": rules,
    })
}

fn row(rule: &Rule, result: &RuleResult) -> Value {
    let failed = if result.on_commit { result.commit_failed } else { result.failed > 0 };
    let state = match (result.checked, failed) {
        (0, _) => "not judged",
        (_, true) => "failed",
        (_, false) => "passed",
    };
    json!({
        "rule": rule.id,
        "kind": rule.check.kind().key,
        "asks": rule.in_words(),
        "on_fail": rule.on_fail,
        "checked": result.checked,
        "failed": result.failed,
        "state": state,
        "observed": result.observed,
        "samples": result.samples,
    })
}

/// The rules of a file, whichever of the three forms it has.
fn rules(path: &Path, source: Option<&SourceName>) -> Result<Vec<Rule>> {
    let text = std::fs::read_to_string(path).map_err(Error::file("read", path))?;
    let refused = |error: tidemill_spec::SpecError| Error::in_file(path, &text)(error.into());
    let is_list = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    if is_list.is_none_or(|line| line.starts_with(['-', '['])) {
        return read_yaml(&text).map_err(refused);
    }
    let is_project = text.lines().any(|line| line.starts_with("project:"));
    let quality = match is_project {
        true => Spec::parse(&text).map_err(refused)?.quality,
        false => read_yaml::<Block>(&text).map_err(refused)?.quality,
    };
    match source {
        Some(name) => Ok(quality.get(name).cloned().unwrap_or_default()),
        None if quality.len() == 1 => Ok(quality.into_values().next().unwrap_or_default()),
        None => Err(Error::Usage(format!(
            "{} has rules of {} sources: say --source, one of {}",
            path.display(),
            quality.len(),
            quality.keys().map(SourceName::as_str).collect::<Vec<_>>().join(", ")
        ))),
    }
}
