//! Questions about lineage over a year of flights: predictions, events and what every run told of itself.
//!
//! Beside each time stands that of reading the same columns of the same files once with the Parquet library, from memory
//! that was warmed before: what no answer that reads them whole can beat.

use anyhow::{Context as _, Result, ensure};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_contracts::{paths, prediction_log as log};
use tidemill_dataset::{Effort, Table};
use tidemill_lineage::{Change, Place, Step, columns, names, record};
use tidemill_provenance as provenance;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_testkit::Store;
use tidemill_types::{Digest, Millis, columns as system};

const FLIGHTS: i64 = 300_000;
/// Commits of each table over the year, joined as the roles do.
const COMMITS: i64 = 100;
/// Commits of each source that were told.
const TOLD: u64 = 500;
const MODELS: u64 = 12;
const BEGIN: i64 = 1_356_998_400_000;
const YEAR: i64 = 365 * 86_400_000;
/// Size of a file that compaction aims at, as the settings do.
const FILE: u64 = 128 << 20;
/// Questions behind a median.
const ASKED: usize = 15;

fn flights() -> Result<Spec> {
    Ok(Spec::parse(include_str!("../../infra/examples/flights/project.yaml"))?)
}

/// Event time of a row, in the order of the rows.
fn at(row: i64, of: i64) -> i64 {
    BEGIN + YEAR / of * row
}

fn id(row: i64) -> String {
    let at = at(row, FLIGHTS);
    format!("{:08x}-{:04x}-7000-8000-{row:012x}", at >> 16, at & 0xffff)
}

/// Rows of a table with columns of all types, which repeat as keys of flights do.
fn rows(schema: &SchemaRef, from: i64, to: i64, of: i64) -> Result<RecordBatch> {
    let rows = || from..to;
    let instants = |ahead: i64| -> ArrayRef {
        Arc::new(
            TimestampMillisecondArray::from_iter_values(rows().map(|row| at(row, of) + ahead)).with_timezone("UTC"),
        )
    };
    let number = |of: fn(i64) -> i64| -> ArrayRef { Arc::new(Int64Array::from_iter_values(rows().map(of))) };
    let text = |of: fn(i64) -> String| -> ArrayRef { Arc::new(StringArray::from_iter_values(rows().map(of))) };
    let column = |field: &Arc<Field>| -> Result<ArrayRef> {
        let made = match (field.name().as_str(), field.data_type()) {
            (system::EVENT_ID, _) => text(|row| format!("e-{row}")),
            (log::PREDICTION_ID, _) => text(id),
            (log::MODEL, _) => text(|row| model(row.unsigned_abs() * MODELS / FLIGHTS.unsigned_abs()).to_string()),
            ("origin", _) => text(|row| ["EWR", "JFK", "LGA"][row.unsigned_abs() as usize % 3].to_owned()),
            (system::ROW, _) => number(|_| 0),
            (system::SEQ | log::KEY | "flight_id", _) => number(|row| row),
            (system::KNOWN_AT, _) => instants(60_000),
            (log::AS_OF, _) => instants(120_000),
            (_, DataType::Timestamp(..)) => instants(0),
            (_, DataType::Utf8) => text(|row| format!("N{}", row * 7 % 4_000)),
            _ => number(|row| row * 31 % 997),
        };
        Ok(cast(&made, field.data_type())?)
    };
    let columns = schema.fields().iter().map(column).collect::<Result<Vec<_>>>()?;
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}

fn model(number: u64) -> Digest {
    Digest::of(format!("model {number}").as_bytes())
}

async fn fill(storage: &Storage, path: &str, schema: &SchemaRef, count: i64) -> Result<()> {
    let table = Table::open_or_create(storage, path, schema).await?;
    let part = count / COMMITS;
    for commit in 0..COMMITS {
        let batch = rows(schema, commit * part, (commit + 1) * part, count)?;
        table.commit(table.load().await?, &[batch], "load", commit + 1, BTreeMap::new()).await?;
    }
    table.compact(FILE, Effort::Everything).await?;
    Ok(())
}

/// What the runs of a year tell.
fn events(spec: &Spec) -> Result<Vec<Vec<u8>>> {
    let project = &spec.project;
    let mut steps = Vec::new();
    for source in spec.sources.keys() {
        let schema = spec.sources[source].table_schema();
        for version in 1..=TOLD {
            let (raw, clean) = (paths::raw_table(project, source), paths::clean_table(project, source));
            let last = i64::try_from(version * 500)?;
            let at = BEGIN + YEAR / i64::try_from(TOLD)? * i64::try_from(version)?;
            let read = Place::new(names::events(project, source)).between(Some(last - 499), Some(last));
            let made = Place::new(raw.as_str()).at(version).with_rows(500).with_schema(Arc::clone(&schema));
            let made = made.with_columns(columns::raw(spec, source));
            let step = Step::new(project, names::ingestion(source), &format!("{raw}@{version}"));
            steps.push((at, step.reads(read).writes(made)));
            let made = Place::new(clean.as_str()).at(version).with_rows(500).with_schema(Arc::clone(&schema));
            let made = made.with_columns(columns::cleaned(spec, source));
            let step = Step::new(project, names::validation(source), &format!("{clean}@{version}"));
            steps.push((at + 1, step.reads(Place::new(raw).at(version)).writes(made)));
        }
    }
    let features: Vec<String> = spec.features.define.keys().cloned().collect();
    let deployment = &spec.serve.deployment;
    for number in 0..MODELS {
        let at = BEGIN + YEAR / i64::try_from(MODELS)? * i64::try_from(number)? + 1_000;
        let set = format!("features/{}/training/c-{number}.parquet", spec.features.set);
        let mut step = Step::new(project, names::feature(&spec.features.set), &set);
        for source in spec.sources.keys() {
            step = step.reads(Place::new(paths::clean_table(project, source)).at(TOLD / MODELS * number + 1));
        }
        steps.push((at, step.writes(Place::new(set.as_str()).with_columns(columns::features(spec)))));
        let digest = model(number);
        let made = Place::new(names::model(&digest)).changed(Change::Create);
        let made = made.with_columns(columns::score(spec, &set, "trees", &features));
        let step = Step::new(project, names::TRAINING, &set).reads(Place::new(set));
        steps.push((at + 1, step.writes(made)));
        let step = Step::new(project, names::serving(deployment), digest.as_str());
        let step = step.reads(Place::new(names::model(&digest)));
        steps.push((at + 2, step.writes(names::deployed(deployment, Millis(at + 2)))));
    }
    let log = paths::predictions_table(project, deployment);
    for version in 1..=TOLD {
        let number = (version - 1) * MODELS / TOLD;
        let since = BEGIN + YEAR / i64::try_from(MODELS)? * i64::try_from(number)? + 1_002;
        let at = BEGIN + YEAR / i64::try_from(TOLD)? * i64::try_from(version)?;
        let answered = names::model(&model(number));
        let own = [log::KEY, log::AS_OF, log::SCORE];
        let made = Place::new(log.as_str()).at(version).with_rows(600);
        let made = made.with_columns(columns::predictions(spec, own, std::iter::once(answered.as_str())));
        let step = Step::new(project, names::predictions(deployment), &format!("{log}@{version}"));
        steps.push((at, step.reads(names::deployed(deployment, Millis(since))).writes(made)));
    }
    steps.sort_by_key(|(at, _)| *at);
    let told = steps.iter().flat_map(|(at, step)| [step.start(Millis(at - 1)), step.complete(Millis(*at))]);
    Ok(told.map(|event| serde_json::to_vec(&event)).collect::<Result<_, _>>()?)
}

async fn tell(storage: &Storage, spec: &Spec) -> Result<usize> {
    let table = Table::open_or_create(storage, &record::table(&spec.project), &record::schema()).await?;
    let events = events(spec)?;
    let mut recorder = record::Recorder::default();
    let mut seq = 0;
    for part in events.chunks(events.len() / usize::try_from(COMMITS)? + 1) {
        let numbered: Vec<(i64, &[u8])> = (seq + 1..).zip(part.iter().map(Vec::as_slice)).collect();
        seq += i64::try_from(part.len())?;
        let (rows, refused) = recorder.rows(&numbered)?;
        ensure!(refused == 0, "{refused} events were refused");
        table.commit(table.load().await?, &[rows], "load", seq, BTreeMap::new()).await?;
    }
    table.compact(FILE, Effort::Everything).await?;
    Ok(events.len())
}

/// The log as monitoring keeps it, with every feature.
fn log_schema(spec: &Spec) -> SchemaRef {
    let mut fields = vec![
        Field::new(log::PREDICTION_ID, DataType::Utf8, true),
        Field::new(log::KEY, DataType::Int64, true),
        Field::new(log::AS_OF, Millis::arrow_type(), true),
        Field::new(log::ANSWERED_AT, Millis::arrow_type(), true),
        Field::new(log::MODEL, DataType::Utf8, true),
        Field::new(log::SCORE, DataType::Float64, true),
    ];
    fields.extend(spec.features.define.keys().map(|name| Field::new(name, DataType::Float64, true)));
    Arc::new(Schema::new(fields))
}

/// Time to read columns of all files of a table once, with the Parquet library alone.
async fn once(store: &Store, table: &str, columns: &[&str]) -> Result<Duration> {
    let snapshot = Table::open(store.storage(), table).await?.known().await;
    let files: Vec<_> = snapshot.files().map(|file| store.dir().join(table).join(&file.path)).collect();
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let began = Instant::now();
        for file in &files {
            let builder = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(file)?)?;
            let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
            for batch in builder.with_projection(mask).build()? {
                std::hint::black_box(batch?);
            }
        }
        best = best.min(began.elapsed());
    }
    Ok(best)
}

/// Median time of a question.
async fn asked<T, F: Future<Output = Result<T>>>(ask: impl Fn(usize) -> F) -> Result<Duration> {
    let mut took = Vec::with_capacity(ASKED);
    for time in 0..ASKED {
        let began = Instant::now();
        std::hint::black_box(ask(time).await?);
        took.push(began.elapsed());
    }
    took.sort_unstable();
    Ok(took[ASKED / 2])
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a benchmark"]
async fn lineage() -> Result<()> {
    let (spec, store) = (flights()?, Store::local()?);
    let (storage, project, deployment) = (store.storage(), &spec.project, &spec.serve.deployment);
    let log_path = paths::predictions_table(project, deployment);
    fill(storage, &log_path, &log_schema(&spec), FLIGHTS).await?;
    for (source, declared) in &spec.sources {
        let count = if source.as_str() == "weather" { 26_000 } else { FLIGHTS };
        fill(storage, &paths::clean_table(project, source), &declared.table_schema(), count).await?;
    }
    let told = tell(storage, &spec).await?;
    println!("{told} events of lineage, {FLIGHTS} predictions, {} rows of sources", 3 * FLIGHTS + 26_000);

    let lineage = record::table(project);
    let newest = Some(TOLD);
    let column = asked(|_| async {
        let found = provenance::columns(storage, project).await?.up(&log_path, log::SCORE, None);
        ensure!(found.len() > 100, "only {} columns", found.len());
        Ok(found)
    });
    let up = asked(|_| async {
        let found = provenance::runs(storage, project).await?.up(&log_path, newest);
        ensure!(found.iter().filter(|hop| hop.node.name.starts_with("model/")).count() == 1, "{found:?}");
        Ok(found)
    });
    let down = asked(|_| async {
        let graph = provenance::runs(storage, project).await?;
        Ok(graph.down("events/flights/weather", Some(1)))
    });
    let kept = provenance::Kept::default();
    kept.now(storage, project).await?;
    let again = asked(|_| async {
        let graphs = kept.now(storage, project).await?;
        Ok((graphs.runs.up(&log_path, newest), graphs.columns.up(&log_path, log::SCORE, None)))
    });
    let prediction = |time: usize| {
        let wanted = id(FLIGHTS / 20 * (i64::try_from(time).unwrap_or(0) + 4) + 7);
        async move { provenance::prediction(storage, project, deployment, &wanted).await?.context("no prediction") }
    };
    let find = asked(prediction);
    let spec = &spec;
    let why = asked(|time| async move {
        let found = prediction(time).await?;
        let as_of = found.as_of.context("no instant")?;
        let why = provenance::why(storage, spec, &found, as_of).await?;
        ensure!(why.entity.is_some() && why.inputs.iter().any(|input| input.rows > 0), "nothing was found");
        Ok(why)
    });
    let of_runs = once(&store, &lineage, &record::GRAPH).await?;
    let mut sources = Duration::ZERO;
    for source in spec.sources.keys() {
        let columns = [system::SEQ, system::ROW, system::EVENT_ID, system::KNOWN_AT, "origin", "flight_id", "tailnum"];
        sources += once(&store, &paths::clean_table(project, source), &columns).await?;
    }
    let log = [log::PREDICTION_ID, log::KEY, log::MODEL, log::SCORE, log::AS_OF, log::ANSWERED_AT];
    let of_log = once(&store, &log_path, &log).await?;
    println!("{:<44} {:>10} {:>22}", "question", "answer ms", "columns once, ms");
    for (question, took, limit) in [
        ("up a column, to events", column.await?, once(&store, &lineage, &record::COLUMNS).await?),
        ("up a version of predictions", up.await?, of_runs),
        ("down the events of a source", down.await?, of_runs),
        ("both once more, as the console asks", again.await?, of_runs),
        ("find a prediction", find.await?, of_log),
        ("why a prediction, down to its events", why.await?, of_log + sources),
    ] {
        println!("{question:<44} {:>10.1} {:>22.1}", took.as_secs_f64() * 1e3, limit.as_secs_f64() * 1e3);
    }
    Ok(())
}
