//! The candidate as a signed bundle.

use crate::Context;
use crate::domain::record::{Chosen, RunRecord, SetRef};
use crate::error::TrainingError;
use crate::store::to_json;
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use arrow::ipc::writer::StreamWriter;
use std::collections::BTreeMap;
use tidemill_learn::Model;
use tidemill_registry::{BundleBytes, BundleWriter, Input, InputKind, Lineage, ManifestDraft, file};
use tidemill_stats::Reference;
use tidemill_types::{Digest, RunId};

/// Findings of the leak checks.
const LEAKS: &str = "leaks.json";
/// The run as it stood when the bundle was made.
const LINEAGE: &str = "lineage.json";

/// What the bundle holds beside the run's record.
pub(crate) struct Parts {
    /// The learner's files.
    pub(crate) files: Vec<(String, Vec<u8>)>,
    /// The model read back from those files.
    pub(crate) model: Model,
    /// Rows that serving replays.
    pub(crate) examples: RecordBatch,
    /// Distributions of features and scores.
    pub(crate) references: Vec<Reference>,
}

/// Signs a bundle. Everything in it follows from the run, so the same run gives the same digest.
pub(crate) fn assemble(
    context: &Context,
    run: &RunRecord,
    chosen: &Chosen,
    parts: Parts,
) -> Result<BundleBytes, TrainingError> {
    let spec = &context.spec;
    let set = run.training_set.as_ref().ok_or_else(|| TrainingError::NoRun(run.cycle.clone()))?;
    let scores = parts.model.predict(&parts.examples)?;
    let inputs = context.plan.schema().fields().iter().map(|field| Input {
        name: field.name().clone(),
        kind: if field.data_type() == &DataType::Utf8 { InputKind::Category } else { InputKind::Number },
    });
    let run_id: RunId = run.cycle.parse().map_err(|e| TrainingError::Request(format!("{e}")))?;
    let draft = ManifestDraft {
        project: spec.project.clone(),
        run: run_id,
        // The instant the knowledge is from, not the clock's: a repeated run gives the same digest.
        created_at: run.as_of,
        task: "binary".to_owned(),
        learner: chosen.learner.clone(),
        inputs: inputs.collect(),
        target: spec.features.label.name.clone(),
        params: serde_json::to_value(&chosen.params).unwrap_or_default(),
        seeds: BTreeMap::from([("train".to_owned(), run.seed)]),
        metrics: chosen.validation.clone(),
        threshold: Some(chosen.threshold),
        budget: Some(spec.kpi.budget),
        spec_digest: spec.digest(),
        code: run.code.clone(),
        data_digest: digest(&set.digest)?,
        lineage: lineage(&spec.features.set, set)?,
        quality: run.quality.clone(),
    };
    let lineage = serde_json::json!({
        "training_set": set, "windows": run.windows, "rows": run.rows, "sealed": run.sealed,
        "chosen": chosen, "as_of": run.as_of, "reason": run.reason, "trace_id": run.trace_id,
    });
    let writer = BundleWriter::new(draft)
        .model(parts.files)?
        .file(file::SPEC, to_json(file::SPEC, spec.as_ref())?)?
        .file(file::REFERENCE, to_json(file::REFERENCE, &parts.references)?)?
        .file(file::EXAMPLES, stream(&parts.examples)?)?
        .file(file::EXPECTED, to_json(file::EXPECTED, &scores)?)?
        .file(LEAKS, to_json(LEAKS, &run.leaks)?)?
        .file(LINEAGE, to_json(LINEAGE, &lineage)?)?;
    Ok(writer.sign(&context.signing_key)?)
}

fn lineage(set_name: &str, set: &SetRef) -> Result<Vec<Lineage>, TrainingError> {
    let entry = |kind: &str, name: &str, version, digest| Lineage {
        kind: kind.to_owned(),
        name: name.to_owned(),
        version,
        digest,
    };
    let mut made_from = vec![
        entry("features", set_name, None, Some(digest(&set.plan_digest)?)),
        entry("training_set", &set.path, None, Some(digest(&set.digest)?)),
    ];
    let tables = set.table_versions.iter();
    made_from.extend(tables.map(|(name, version)| entry("table", name, u64::try_from(*version).ok(), None)));
    Ok(made_from)
}

fn digest(text: &str) -> Result<Digest, TrainingError> {
    Digest::parse(text).ok_or_else(|| TrainingError::Request(format!("\"{text}\" is no digest")))
}

fn stream(batch: &RecordBatch) -> Result<Vec<u8>, TrainingError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner()?)
}
