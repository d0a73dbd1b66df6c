//! `source`: what sources there are and where they come from, and the schema of a file or an address.

mod snapshots;

use super::output::{Output, next, say};
use super::target::Target;
use crate::error::{Error, Result};
use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};
use std::path::PathBuf;
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_runtime::Config;
use tidemill_sources::{InferOptions, SAMPLE_ROWS, infer};
use tidemill_spec::{RowFormat, S3Origin};
use tidemill_types::SourceName;

const INFER_EXAMPLES: &str = "\
Examples:
  tidemill source infer weather.csv
  tidemill source infer s3://inbox/2024/orders.parquet --name orders --set store.endpoint=https://s3.example.test
  tidemill source infer https://data.example.test/stations.json --rows-at /data/items -o json
A bucket is reached by the settings below store: endpoint, region, access_key_file and secret_key_file.
The block goes under `sources:` of a project file; look at the remarks behind # before it does.";

const LS_EXAMPLES: &str = "\
Examples:
  tidemill source ls
  tidemill source ls -o json";

const ACCEPT_EXAMPLES: &str = "\
Examples:
  tidemill source accept-stream weather
A source whose stream was deleted and made anew is halted (TM0406): what of the stream before was not read is lost.
This command says that it is meant. The deployment of the project names the stream of its prediction log.";

/// `tidemill source …`.
#[derive(Debug, Subcommand)]
pub(super) enum SourceCommand {
    /// List the sources of the project: origin, rows, lag.
    #[command(after_help = LS_EXAMPLES)]
    Ls,
    /// Look at the first rows of a file or an address and print the block that reads it; needs nothing that runs.
    #[command(after_help = INFER_EXAMPLES)]
    Infer(InferArgs),
    /// Say that a stream which was made anew is meant to be read in place of the one before.
    #[command(after_help = ACCEPT_EXAMPLES)]
    AcceptStream {
        /// The source, or the deployment.
        #[arg(value_name = "SOURCE")]
        name: String,
    },
    /// What HTTP sources answered, and when: the bodies as they came.
    #[command(subcommand)]
    Snapshots(snapshots::SnapshotsCommand),
}

/// What to look at.
#[derive(Debug, Args)]
pub(super) struct InferArgs {
    /// A path, s3://bucket/object, or http(s)://address.
    #[arg(value_name = "FILE|URL")]
    place: String,
    /// Format, when the name does not say it.
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<FormatName>,
    /// Name of the source; without it, made of the name of the file.
    #[arg(long, value_name = "SOURCE")]
    name: Option<SourceName>,
    /// Rows to look at.
    #[arg(long, default_value_t = SAMPLE_ROWS, value_name = "N")]
    rows: usize,
    /// JSON pointer to the array of rows in the answer of an address; without it, the longest array of objects.
    #[arg(long, value_name = "POINTER")]
    rows_at: Option<String>,
    /// An address or network inside that may be asked, such as 127.0.0.1; repeatable.
    #[arg(long, value_name = "NETWORK")]
    allow: Vec<String>,
}

/// Formats by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FormatName {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// An array of JSON objects.
    Json,
    /// Parquet.
    Parquet,
    /// Arrow IPC.
    Arrow,
}

impl From<FormatName> for RowFormat {
    fn from(name: FormatName) -> Self {
        match name {
            FormatName::Csv => Self::Csv,
            FormatName::Jsonl => Self::Jsonl,
            FormatName::Json => Self::Json,
            FormatName::Parquet => Self::Parquet,
            FormatName::Arrow => Self::Arrow,
        }
    }
}

/// Looks at a file or an address.
pub(super) async fn look(out: Output, args: InferArgs, config: &Config) -> Result<u8> {
    crate::process::install_crypto();
    let s3 = if args.place.starts_with("s3://") { Some(bucket(config)?) } else { None };
    let options = InferOptions {
        place: args.place,
        format: args.format.map(RowFormat::from),
        name: args.name.map(String::from),
        rows: Some(args.rows),
        rows_at: args.rows_at,
        s3,
        allow: args.allow,
    };
    let inferred = infer(&options).await?;
    if out.is_table() {
        out.text("spec", &inferred.yaml())?;
        let seen = if inferred.whole { "all" } else { "the first" };
        say(&format!("looked at {seen} {} rows", inferred.rows));
        next("put the block into a project file, then: tidemill project validate FILE");
        return Ok(0);
    }
    let mut record = serde_json::to_value(&inferred).map_err(std::io::Error::other)?;
    if let Some(fields) = record.as_object_mut() {
        fields.insert("spec".to_owned(), inferred.yaml().into());
    }
    out.record(&record)?;
    Ok(0)
}

/// How the configured store is reached, which is how other buckets are reached too.
fn bucket(config: &Config) -> Result<S3Origin> {
    let store = &config.store;
    // Ingestion may run elsewhere than this command.
    let full = |file: &PathBuf| std::path::absolute(file).map(|path| path.display().to_string());
    Ok(S3Origin {
        endpoint: store.endpoint.clone(),
        region: Some(store.region.clone()),
        access_key_file: store.access_key_file.as_ref().map(full).transpose()?,
        secret_key_file: store.secret_key_file.as_ref().map(full).transpose()?,
    })
}

/// Runs a command that needs an instance.
pub(super) async fn run(target: &Target, out: Output, command: SourceCommand) -> Result<u8> {
    match command {
        SourceCommand::Infer(args) => look(out, args, &target.config).await,
        SourceCommand::Ls => list(target, out).await,
        SourceCommand::AcceptStream { name } => accept(target, out, &name).await,
        SourceCommand::Snapshots(command) => snapshots::run(target, out, command).await,
    }
}

async fn accept(target: &Target, out: Output, name: &str) -> Result<u8> {
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let stream = match spec.sources.keys().find(|source| source.as_str() == name) {
        Some(source) => subjects::events_stream(&spec.project, source),
        None if spec.serve.deployment.as_str() == name => {
            subjects::predictions_stream(&spec.project, &spec.serve.deployment)
        }
        None => return Err(Error::NotFound { what: "source", name: name.to_owned(), list: "tidemill source ls" }),
    };
    let incarnation = tidemill_intake::accept_stream(&bus, &stream).await?;
    out.record(&json!({"source": name, "accepted": incarnation}))?;
    next("the source goes on within 10 s; publish again what is missing: ids that its table holds are dropped");
    Ok(0)
}

async fn list(target: &Target, out: Output) -> Result<u8> {
    let bus = target.bus().await?;
    let spec = target.spec(&bus).await?;
    let storage = target.storage()?;
    let mut rows: Vec<Value> = Vec::new();
    for (name, source) in &spec.sources {
        let stream = subjects::events_stream(&spec.project, name);
        let state = bus.stream_state_if_any(&stream).await?;
        let path = tidemill_ingestion::raw_table_path(&spec.project, name);
        // A table is made by whoever first reads it.
        let (stored, done) = match Table::open(&storage, &path).await {
            Ok(table) => {
                let snapshot = table.load().await?;
                let incarnation = state.as_ref().map(|state| state.incarnation(&stream)).unwrap_or_default();
                (snapshot.num_rows(), snapshot.done(&incarnation).await?.unwrap_or(0))
            }
            Err(_) => (0, 0),
        };
        let last = state.map(|state| i64::try_from(state.last_seq).unwrap_or(i64::MAX));
        rows.push(json!({
            "source": name,
            "from": source.from.as_ref().map_or("bus", |from| from.kind()),
            "place": source.from.as_ref().map_or_else(|| subjects::events(&spec.project, name), |from| from.place()),
            "key": source.key.join(","),
            "columns": source.columns.len(),
            "rows": stored,
            // Null: its stream is not there.
            "messages_behind": last.map(|last| (last - done).max(0)),
        }));
    }
    out.rows(&["source", "from", "place", "key", "columns", "rows", "messages_behind"], &rows)?;
    next("tidemill source infer FILE prints a block for another one; tidemill dead ls shows what was refused");
    Ok(0)
}
