//! The settings as types. Meaning and defaults stand in `infra/config/tidemill.default.toml`.

use super::quantity::{Interval, Size};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tidemill_telemetry::{JsonLogs, TelemetryOptions};

macro_rules! settings {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[serde(deny_unknown_fields)]
            pub struct $name {
                $($(#[$field_doc])* pub $field: $type,)*
            }
        )*
    };
}

settings! {
    /// All settings of a process.
    Config {
        /// The project that the roles of this process work for; empty when not set.
        project: String,
        /// Folder of caches and spools.
        data_dir: PathBuf,
        /// The bus.
        bus: Bus,
        /// The object store.
        store: Store,
        /// Keys of bundles.
        keys: Keys,
        /// Where other roles answer.
        peers: Peers,
        /// Logs and traces.
        telemetry: TelemetrySettings,
        /// Lineage for others.
        lineage: Lineage,
        /// Health and metrics.
        admin: Admin,
        /// Ending.
        drain: Drain,
        /// The ingestion role.
        ingestion: Ingestion,
        /// The validation role.
        validation: Validation,
        /// The feature role.
        feature: Feature,
        /// The training role.
        training: Training,
        /// The evaluation role.
        evaluation: Evaluation,
        /// The serving role.
        serving: Serving,
        /// The monitoring role.
        monitoring: Monitoring,
        /// The console role.
        console: Console,
    }

    /// The bus.
    Bus {
        /// Address of NATS.
        url: String,
        /// File with the nkey seed.
        #[serde(with = "optional_path")]
        nkey_file: Option<PathBuf>,
        /// File with certificate authorities of the server; demands TLS.
        #[serde(with = "optional_path")]
        ca_file: Option<PathBuf>,
        /// Most bytes of dead letters, of all projects of the bus together.
        dead_letters: Size,
    }

    /// The object store.
    Store {
        /// `file:///path`, `s3://bucket/prefix`, or empty; see [`Config::store_url`].
        url: String,
        /// Address of an S3 service.
        #[serde(with = "optional_text")]
        endpoint: Option<String>,
        /// Region of an S3 service.
        region: String,
        /// File with the access key.
        #[serde(with = "optional_path")]
        access_key_file: Option<PathBuf>,
        /// File with the secret key.
        #[serde(with = "optional_path")]
        secret_key_file: Option<PathBuf>,
        /// How often small files of raw and clean tables are joined; zero: never.
        compact_every: Interval,
        /// Size of a file that needs no joining.
        compact_file_size: Size,
    }

    /// Keys of bundles.
    Keys {
        /// File of the private key; made in the data folder when not set.
        #[serde(with = "optional_path")]
        signing_file: Option<PathBuf>,
        /// File of the public keys whose bundles are loaded.
        #[serde(with = "optional_path")]
        trusted_file: Option<PathBuf>,
    }

    /// Where roles of other processes answer, as URLs; empty for the address at which the role listens.
    Peers {
        /// gRPC of the feature role.
        feature: String,
        /// gRPC of the training role.
        training: String,
        /// gRPC of the evaluation role.
        evaluation: String,
        /// gRPC of the serving role.
        serving: String,
        /// HTTP of the serving role.
        serving_http: String,
        /// gRPC of the monitoring role.
        monitoring: String,
        /// Pages of the console.
        console: String,
    }

    /// Logs and traces.
    TelemetrySettings {
        /// OTLP over gRPC.
        #[serde(with = "optional_text")]
        otlp_endpoint: Option<String>,
        /// Log and trace filter.
        log: String,
        /// Whether logs are JSON.
        json_logs: JsonLogs,
        /// Share of new traces that is recorded.
        sample_ratio: f64,
    }

    /// Health and metrics.
    Admin {
        /// Address of `/livez`, `/readyz` and `/metrics`.
        bind: String,
        /// Address of `grpc.health.v1`; none when not set.
        #[serde(with = "optional_text")]
        grpc: Option<String>,
    }

    /// Ending.
    Drain {
        /// Time for running work to finish.
        limit: Interval,
    }

    /// The ingestion role.
    Ingestion {
        /// A commit happens at this much data,
        commit_bytes: Size,
        /// or at this age.
        commit_age: Interval,
        /// Messages of a source whose event ids are remembered.
        dedupe_messages: u64,
        /// Address at which events are taken over HTTP; none when not set.
        #[serde(with = "optional_text")]
        http: Option<String>,
        /// File with the token that senders over HTTP must show.
        #[serde(with = "optional_path")]
        http_token_file: Option<PathBuf>,
        /// Names, separated by commas, under which senders without a token reach the address.
        http_names: String,
        /// Requests over HTTP that are taken at once.
        http_requests: u64,
        /// Longest time in which the body of one must arrive.
        http_body_time: Interval,
        /// Share of refused rows from which on an alert is raised; zero: never.
        dead_share: f64,
        /// Newest rows of a source among which they are counted.
        dead_window: u64,
    }

    /// The validation role.
    Validation {
        /// Address at which partners read what is shared; none when not set.
        #[serde(with = "optional_text")]
        flight: Option<String>,
        /// File with partners and the digests of their tokens.
        #[serde(with = "optional_path")]
        tokens_file: Option<PathBuf>,
        /// File of the private key that signs manifests; made in the data folder when not set.
        #[serde(with = "optional_path")]
        manifest_key_file: Option<PathBuf>,
    }

    /// The feature role.
    Feature {
        /// Address of the gRPC interface.
        grpc: String,
        /// How often online state is written down.
        checkpoint_age: Interval,
    }

    /// The training role.
    Training {
        /// Address of the gRPC interface.
        grpc: String,
        /// A trial that runs longer is given to another worker.
        trial_limit: Interval,
    }

    /// The evaluation role.
    Evaluation {
        /// Address of the gRPC interface.
        grpc: String,
    }

    /// The serving role.
    Serving {
        /// Address of the gRPC interface.
        grpc: String,
        /// Address of the REST interface.
        http: String,
        /// Most rows of one request.
        request_rows: u64,
        /// Predictions kept in memory for the log.
        log_buffer_rows: u64,
    }

    /// Lineage for others.
    Lineage {
        /// Address of a server that speaks OpenLineage; empty tells none.
        url: String,
    }

    /// The console role.
    Console {
        /// Address of the pages.
        http: String,
        /// Address of Jaeger's pages, linked when not empty.
        traces_url: String,
    }

    /// The monitoring role.
    Monitoring {
        /// Address of the gRPC interface.
        grpc: String,
        /// How often results are written down.
        commit_age: Interval,
    }
}

impl Config {
    /// What telemetry needs, under the name of the process.
    #[must_use]
    pub fn telemetry_options(&self, service: &str) -> TelemetryOptions {
        TelemetryOptions {
            service: service.to_owned(),
            otlp_endpoint: self.telemetry.otlp_endpoint.clone(),
            log: self.telemetry.log.clone(),
            json_logs: self.telemetry.json_logs,
            sample_ratio: self.telemetry.sample_ratio,
            roles: Vec::new(),
        }
    }
}

/// TOML has no null: an empty text stands for "not set".
mod optional_text {
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(value.as_deref().unwrap_or(""))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
        let text = String::deserialize(deserializer)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    }
}

/// As `optional_text`, for paths.
mod optional_path {
    use serde::{Deserializer, Serializer};
    use std::path::PathBuf;

    pub(super) fn serialize<S: Serializer>(value: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&value.as_deref().map(|path| path.display().to_string()).unwrap_or_default())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
        Ok(super::optional_text::deserialize(deserializer)?.map(PathBuf::from))
    }
}
