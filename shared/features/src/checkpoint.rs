//! State as bytes: `TMFE`, a JSON header, Arrow IPC sections, and the SHA-256 of all that.
//!
//! The digest is checked before anything is parsed, so a damaged checkpoint is refused, never read.

use crate::engine::{Engine, Progress};
use crate::entity::{Entities, Version};
use crate::error::FeatureError;
use crate::group::Group;
use crate::key::{KeyMap, column};
use crate::plan::{GroupPlan, Plan};
use crate::series::{Place, Series};
use crate::value::{Texts, ValueKind, Values};
use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int32Array, Int64Array, LargeBinaryArray, RecordBatch};
use arrow::array::{LargeStringArray, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};
use arrow::ipc::reader::StreamReader;
use arrow::ipc::writer::StreamWriter;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_types::{Digest, SourceName};

const MAGIC: &[u8; 4] = b"TMFE";
const VERSION: u32 = 1;
const DIGEST_BYTES: usize = 64;

#[derive(Serialize, Deserialize)]
struct Header {
    version: u32,
    plan: Digest,
    horizon: Option<i64>,
    sources: BTreeMap<SourceName, Progress>,
    /// Lengths of the sections: entity versions, entity rows, then one per group.
    sections: Vec<usize>,
}

impl Engine {
    /// The whole state as bytes; equal states give equal bytes.
    ///
    /// # Errors
    /// Only when Arrow IPC cannot be written.
    pub fn checkpoint(&self) -> Result<Vec<u8>, FeatureError> {
        let (versions, rows) = entity_batches(&self.entities)?;
        let mut sections = vec![ipc(&versions)?, ipc(&rows)?];
        for (group, plan) in self.groups.iter().zip(&self.plan.groups) {
            sections.push(ipc(&group_batch(group, plan)?)?);
        }
        let header = Header {
            version: VERSION,
            plan: self.plan.digest.clone(),
            horizon: self.horizon,
            sources: self.progress.clone(),
            sections: sections.iter().map(Vec::len).collect(),
        };
        let header = serde_json::to_vec(&header).map_err(|e| FeatureError::Damaged(e.to_string()))?;
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&(header.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&header);
        for section in sections {
            bytes.extend_from_slice(&section);
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_str().as_bytes());
        Ok(bytes)
    }

    /// An engine with the state of a checkpoint: it answers as the one that wrote it, bit for bit.
    ///
    /// # Errors
    /// Damaged bytes, or a checkpoint of another plan.
    pub fn restore(plan: Arc<Plan>, bytes: &[u8]) -> Result<Self, FeatureError> {
        let (header, mut body) = open(bytes)?;
        if header.version != VERSION {
            return Err(damaged(&format!("format version {} is not {VERSION}", header.version)));
        }
        if header.plan != plan.digest {
            return Err(FeatureError::OtherPlan { found: header.plan, expected: plan.digest.clone() });
        }
        let mut batches = Vec::with_capacity(header.sections.len());
        for length in header.sections {
            let (section, rest) = body.split_at_checked(length).ok_or_else(|| damaged("a section is cut off"))?;
            batches.push(read_ipc(section)?);
            body = rest;
        }
        let [versions, rows, groups @ ..] = batches.as_slice() else { return Err(damaged("sections are missing")) };
        if groups.len() != plan.groups.len() {
            return Err(damaged("sections do not match the plan"));
        }
        let mut engine = Self::new(Arc::clone(&plan));
        engine.horizon = header.horizon;
        engine.progress.extend(header.sources);
        engine.entities = entities(&plan, versions, rows)?;
        for ((group, group_plan), batch) in engine.groups.iter_mut().zip(&plan.groups).zip(groups) {
            *group = read_group(group_plan, batch, &mut engine.texts)?;
        }
        Ok(engine)
    }
}

fn damaged(what: &str) -> FeatureError {
    FeatureError::Damaged(what.to_owned())
}

fn open(bytes: &[u8]) -> Result<(Header, &[u8]), FeatureError> {
    let content = bytes.len().checked_sub(DIGEST_BYTES).ok_or_else(|| damaged("too short"))?;
    let (content, digest) = bytes.split_at(content);
    if Digest::of(content).as_str().as_bytes() != digest {
        return Err(damaged("its digest is wrong"));
    }
    let content = content.strip_prefix(MAGIC).ok_or_else(|| damaged("it does not start with TMFE"))?;
    let (length, content) = content.split_first_chunk::<8>().ok_or_else(|| damaged("too short"))?;
    let length = usize::try_from(u64::from_le_bytes(*length)).map_err(|e| damaged(&e.to_string()))?;
    let (header, body) = content.split_at_checked(length).ok_or_else(|| damaged("its header is cut off"))?;
    let header = serde_json::from_slice(header).map_err(|e| damaged(&e.to_string()))?;
    Ok((header, body))
}

fn ipc(batch: &RecordBatch) -> Result<Vec<u8>, FeatureError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    Ok(writer.into_inner()?)
}

fn read_ipc(bytes: &[u8]) -> Result<RecordBatch, FeatureError> {
    let mut reader = StreamReader::try_new(bytes, None)?;
    reader.next().ok_or_else(|| damaged("a section is empty"))?.map_err(FeatureError::from)
}

fn batch(columns: Vec<(String, ArrayRef)>, rows: usize) -> Result<RecordBatch, FeatureError> {
    let fields: Vec<_> =
        columns.iter().map(|(name, a)| arrow::datatypes::Field::new(name, a.data_type().clone(), true)).collect();
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    Ok(RecordBatch::try_new_with_options(schema, columns.into_iter().map(|(_, a)| a).collect(), &options)?)
}

/// Entries of a map in key order, so that equal states give equal bytes.
fn sorted<V>(map: &KeyMap<V>) -> Vec<(&[u8], &V)> {
    let mut entries: Vec<_> = map.iter().map(|(key, value)| (key.as_ref(), value)).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}

fn entity_batches(entities: &Entities) -> Result<(RecordBatch, RecordBatch), FeatureError> {
    let entries = sorted(&entities.versions);
    let flat: Vec<(&[u8], Version)> =
        entries.into_iter().flat_map(|(key, versions)| versions.iter().map(move |v| (key, *v))).collect();
    let ids: Vec<u64> = flat.iter().map(|(_, v)| v.id).collect();
    let numbers = |get: fn(&Version) -> i64| -> ArrayRef {
        Arc::new(flat.iter().map(|(_, v)| Some(get(v))).collect::<Int64Array>())
    };
    let columns: Vec<(String, ArrayRef)> = vec![
        ("key".into(), Arc::new(LargeBinaryArray::from_iter_values(flat.iter().map(|(key, _)| key)))),
        ("known".into(), numbers(|v| v.known)),
        ("seq".into(), numbers(|v| v.seq)),
        ("row".into(), numbers(|v| i64::from(v.row))),
        ("until".into(), numbers(|v| v.until)),
    ];
    Ok((batch(columns, flat.len())?, entities.rows(&ids)?))
}

fn entities(plan: &Plan, versions: &RecordBatch, rows: &RecordBatch) -> Result<Entities, FeatureError> {
    if versions.num_rows() != rows.num_rows() {
        return Err(damaged("entity rows and their versions differ in number"));
    }
    let mut entities = Entities::new(plan.entity_schema.clone());
    let start = entities.append(crate::engine::conform(&plan.entity_schema, rows)?)?;
    let keys = typed(versions, "key", &DataType::LargeBinary)?;
    let (known, seq) = (typed(versions, "known", &DataType::Int64)?, typed(versions, "seq", &DataType::Int64)?);
    let (row, until) = (typed(versions, "row", &DataType::Int32)?, typed(versions, "until", &DataType::Int64)?);
    for i in 0..versions.num_rows() {
        let version = Version {
            known: known.as_primitive::<Int64Type>().value(i),
            seq: seq.as_primitive::<Int64Type>().value(i),
            row: row.as_primitive::<Int32Type>().value(i),
            until: until.as_primitive::<Int64Type>().value(i),
            id: start + i as u64,
        };
        entities.insert(keys.as_binary::<i64>().value(i), version);
    }
    Ok(entities)
}

fn group_batch(group: &Group, plan: &GroupPlan) -> Result<RecordBatch, FeatureError> {
    let entries = sorted(&group.series);
    let rows = entries.iter().map(|(_, s)| s.len()).sum();
    let keys = entries.iter().flat_map(|(key, s)| std::iter::repeat_n(*key, s.len()));
    let numbers = |get: fn(&Series) -> &[i64]| -> ArrayRef {
        Arc::new(entries.iter().flat_map(|(_, s)| get(s)).map(|v| Some(*v)).collect::<Int64Array>())
    };
    let mut columns: Vec<(String, ArrayRef)> = vec![
        ("key".into(), Arc::new(keys.map(Some).collect::<LargeBinaryArray>())),
        ("on".into(), numbers(|s| &s.on)),
        ("known".into(), numbers(|s| s.known())),
        ("seq".into(), numbers(|s| &s.seq)),
        ("row".into(), Arc::new(entries.iter().flat_map(|(_, s)| &s.row).map(|v| Some(*v)).collect::<Int32Array>())),
    ];
    for (index, column) in plan.columns.iter().enumerate() {
        let stored = entries.iter().map(|(_, s)| &s.columns[index]);
        let array: ArrayRef = if column.kind == ValueKind::Text {
            let texts = stored.flat_map(|c| match c {
                Values::Texts(texts) => texts.as_slice(),
                Values::Numbers(_) => &[],
            });
            Arc::new(texts.map(Option::as_deref).collect::<LargeStringArray>())
        } else {
            // NaN stands for null here too: the bits are kept.
            let numbers = stored.flat_map(|c| match c {
                Values::Numbers(numbers) => numbers.as_slice(),
                Values::Texts(_) => &[],
            });
            Arc::new(Float64Array::from_iter_values(numbers.copied()))
        };
        columns.push((format!("value{index}"), array));
    }
    batch(columns, rows)
}

fn read_group(plan: &GroupPlan, batch: &RecordBatch, texts: &mut Texts) -> Result<Group, FeatureError> {
    let keys = typed(batch, "key", &DataType::LargeBinary)?;
    let keys = keys.as_binary::<i64>();
    let (on, known) = (typed(batch, "on", &DataType::Int64)?, typed(batch, "known", &DataType::Int64)?);
    let (seq, row) = (typed(batch, "seq", &DataType::Int64)?, typed(batch, "row", &DataType::Int32)?);
    let mut columns = Vec::with_capacity(plan.columns.len());
    for (index, column) in plan.columns.iter().enumerate() {
        let name = format!("value{index}");
        columns.push(if column.kind == ValueKind::Text {
            texts.values(&typed(batch, &name, &DataType::LargeUtf8)?, column.kind)?
        } else {
            let array = typed(batch, &name, &DataType::Float64)?;
            Values::Numbers(array.as_primitive::<Float64Type>().values().to_vec())
        });
    }
    let mut group = Group::default();
    for i in 0..batch.num_rows() {
        let place = Place {
            on: on.as_primitive::<Int64Type>().value(i),
            known: known.as_primitive::<Int64Type>().value(i),
            seq: seq.as_primitive::<Int64Type>().value(i),
            row: row.as_primitive::<Int32Type>().value(i),
        };
        let kinds = || plan.columns.iter().map(|c| c.kind);
        let series = match group.series.get_mut(keys.value(i)) {
            Some(series) => series,
            None => group.series.entry(keys.value(i).into()).or_insert_with(|| Series::new(kinds(), plan.on.is_none())),
        };
        series.insert(place, &columns, i);
    }
    Ok(group)
}

fn typed(batch: &RecordBatch, name: &str, data_type: &DataType) -> Result<ArrayRef, FeatureError> {
    let array = column(batch, name).map_err(|_| damaged(&format!("column {name} is missing")))?;
    Ok(cast(array, data_type)?)
}
