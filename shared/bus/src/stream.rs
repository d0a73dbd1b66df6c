//! Streams: made with the settings that lose nothing, or refused.

use crate::connection::Bus;
use crate::error::{Error, Result};
use async_nats::jetstream::stream::{Config, DiscardPolicy, PersistenceMode, RetentionPolicy, StorageType};
use async_nats::jetstream::{ErrorCode, stream::DeleteStatus};
use serde::Deserialize;
use std::time::Duration;

/// When messages leave a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retention {
    /// By age and size only; acknowledgments delete nothing.
    Limits,
    /// When acknowledged: each message is one job.
    WorkQueue,
}

/// What a stream should be.
#[derive(Clone, Debug)]
pub struct StreamSpec {
    /// Name, such as `TM_EVENTS_demo_flights`.
    pub name: String,
    /// Subjects it stores.
    pub subjects: Vec<String>,
    /// When messages leave it.
    pub retention: Retention,
    /// Age at which messages leave it; `None` keeps them.
    pub max_age: Option<Duration>,
    /// Size in bytes at which it refuses more; `None` is bounded by the server's store only.
    pub max_bytes: Option<u64>,
    /// How long message ids are remembered. An optimisation, not the guarantee.
    pub duplicate_window: Duration,
}

impl StreamSpec {
    /// A stream with `Limits` retention, no bounds and two minutes of remembered ids.
    #[must_use]
    pub fn new(name: impl Into<String>, subjects: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.into(),
            subjects: subjects.into_iter().map(Into::into).collect(),
            retention: Retention::Limits,
            max_age: None,
            max_bytes: None,
            duplicate_window: Duration::from_secs(120),
        }
    }

    fn write_into(&self, config: &mut Config) {
        config.name.clone_from(&self.name);
        config.subjects.clone_from(&self.subjects);
        config.retention = match self.retention {
            Retention::Limits => RetentionPolicy::Limits,
            Retention::WorkQueue => RetentionPolicy::WorkQueue,
        };
        config.max_age = self.max_age.unwrap_or_default();
        config.max_bytes = self.max_bytes.map_or(-1, |bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
        config.duplicate_window = self.max_age.map_or(self.duplicate_window, |age| age.min(self.duplicate_window));
        // The default, `old`, drops acknowledged messages without a word when the stream is full.
        config.discard = DiscardPolicy::New;
        config.storage = StorageType::File;
        config.allow_direct = true;
        config.allow_atomic_publish = true;
    }
}

/// Where a stream begins and ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamState {
    /// Sequence of the oldest message; last + 1 when there is none.
    pub first_seq: u64,
    /// Sequence of the newest message ever stored, 0 when there was none.
    pub last_seq: u64,
    /// Messages stored.
    pub messages: u64,
    /// Bytes stored.
    pub bytes: u64,
    /// When the stream was made, RFC 3339 in the server's words: with the name it is the incarnation.
    pub created: String,
}

impl StreamState {
    /// `<stream>@<created>`: another value means that sequences start anew.
    #[must_use]
    pub fn incarnation(&self, stream: &str) -> String {
        format!("{stream}@{}", self.created)
    }
}

/// A stream as somebody sees it who changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamInspection {
    /// Settings that are not those of the specification.
    pub differs: Vec<String>,
    /// The server's clock, RFC 3339, when it says so.
    pub server_time: Option<String>,
    /// Where the stream begins and ends.
    pub state: StreamState,
}

#[derive(Deserialize)]
struct Info {
    created: String,
    config: Config,
    state: State,
    #[serde(default)]
    ts: Option<String>,
}

#[derive(Deserialize)]
struct State {
    messages: u64,
    bytes: u64,
    first_seq: u64,
    last_seq: u64,
}

impl From<Info> for StreamState {
    fn from(info: Info) -> Self {
        let State { messages, bytes, first_seq, last_seq } = info.state;
        Self {
            first_seq: if messages == 0 { last_seq + 1 } else { first_seq },
            last_seq,
            messages,
            bytes,
            created: info.created,
        }
    }
}

impl Bus {
    /// Makes the stream, or brings an existing one to this specification.
    ///
    /// # Errors
    /// `TM0603` for a stream that acknowledges before it stores (`persist_mode: async`), keeps messages in memory or
    /// has another retention; `TM0602` for an old server.
    pub async fn ensure_stream(&self, spec: &StreamSpec) -> Result<StreamState> {
        self.require_version()?;
        if let Some(info) = self.stream_info(&spec.name).await? {
            return self.adjust(spec, info).await;
        }
        let mut config = Config { num_replicas: 1, max_messages: -1, max_consumers: -1, ..Config::default() };
        spec.write_into(&mut config);
        match self.api_raw::<Info>(format!("STREAM.CREATE.{}", spec.name), &config).await? {
            Ok(info) => Ok(info.into()),
            // Somebody else made it a moment ago, with other settings.
            Err(error) if error.error_code() == ErrorCode::STREAM_NAME_EXIST => {
                match self.stream_info(&spec.name).await? {
                    Some(info) => self.adjust(spec, info).await,
                    None => Err(Error::NotFound(format!("stream {}", spec.name))),
                }
            }
            Err(error) => Err(Error::Refused { what: format!("stream {}", spec.name), reason: error.to_string() }),
        }
    }

    async fn adjust(&self, spec: &StreamSpec, info: Info) -> Result<StreamState> {
        let refuse =
            |reason: &str| Err(Error::Unsafe { name: format!("stream {}", spec.name), reason: reason.to_owned() });
        if info.config.persist_mode == Some(PersistenceMode::Async) {
            return refuse("persist_mode is async, so messages are acknowledged before they are on disk");
        }
        if info.config.storage != StorageType::File {
            return refuse("it is kept in memory and lost at the next restart");
        }
        let mut wanted = info.config.clone();
        spec.write_into(&mut wanted);
        if wanted.retention != info.config.retention {
            return refuse("it has another retention, which cannot be changed; remove the stream or use another name");
        }
        if wanted == info.config {
            return Ok(info.into());
        }
        tracing::info!(stream = spec.name, "bringing the stream to its specification");
        let info: Info = self.api(format!("STREAM.UPDATE.{}", spec.name), &wanted).await?;
        Ok(info.into())
    }

    async fn stream_info(&self, name: &str) -> Result<Option<Info>> {
        if name.is_empty() || name.contains(|c: char| c.is_whitespace() || matches!(c, '.' | '*' | '>' | '/' | '\\')) {
            return Err(Error::Malformed(format!("{name:?} cannot be the name of a stream")));
        }
        match self.api_raw::<Info>(format!("STREAM.INFO.{name}"), &()).await? {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(None),
            Err(error) => Err(Error::Refused { what: format!("stream {name}"), reason: error.to_string() }),
        }
    }

    /// Where a stream begins and ends now.
    ///
    /// # Errors
    /// `TM0604` when there is no such stream.
    pub async fn stream_state(&self, name: &str) -> Result<StreamState> {
        self.stream_state_if_any(name).await?.ok_or_else(|| Error::NotFound(format!("stream {name}")))
    }

    /// As [`Bus::stream_state`]; `None` when there is no such stream.
    ///
    /// # Errors
    /// As any request.
    pub async fn stream_state_if_any(&self, name: &str) -> Result<Option<StreamState>> {
        Ok(self.stream_info(name).await?.map(StreamState::from))
    }

    /// A stream beside its specification; `None` when there is none. Changes nothing.
    ///
    /// # Errors
    /// As any request.
    pub async fn inspect_stream(&self, spec: &StreamSpec) -> Result<Option<StreamInspection>> {
        let Some(info) = self.stream_info(&spec.name).await? else { return Ok(None) };
        let mut wanted = info.config.clone();
        spec.write_into(&mut wanted);
        wanted.persist_mode = wanted.persist_mode.filter(|mode| *mode != PersistenceMode::Async);
        let fields = |config: &Config| serde_json::to_value(config).unwrap_or_default();
        let (wanted, found) = (fields(&wanted), fields(&info.config));
        let names = [&wanted, &found].into_iter().filter_map(|side| side.as_object()).flat_map(|side| side.keys());
        let mut differs: Vec<String> = names.filter(|name| wanted.get(*name) != found.get(*name)).cloned().collect();
        differs.sort();
        differs.dedup();
        Ok(Some(StreamInspection { differs, server_time: info.ts.clone(), state: info.into() }))
    }

    /// `<stream>@<created>`: sequences are comparable within one incarnation only.
    ///
    /// # Errors
    /// `TM0604` when there is no such stream.
    pub async fn incarnation(&self, name: &str) -> Result<String> {
        Ok(self.stream_state(name).await?.incarnation(name))
    }

    /// Names of all streams that start with `prefix`, sorted.
    ///
    /// # Errors
    /// As any request.
    pub async fn stream_names(&self, prefix: &str) -> Result<Vec<String>> {
        #[derive(Deserialize)]
        struct Page {
            total: usize,
            streams: Option<Vec<String>>,
        }
        let mut names: Vec<String> = Vec::new();
        loop {
            let request = serde_json::json!({ "offset": names.len() });
            let page: Page = self.api("STREAM.NAMES".to_owned(), &request).await?;
            let streams = page.streams.unwrap_or_default();
            let done = streams.is_empty() || names.len() + streams.len() >= page.total;
            names.extend(streams);
            if done {
                break;
            }
        }
        names.retain(|name| name.starts_with(prefix));
        names.sort();
        Ok(names)
    }

    /// Removes a stream with everything in it; true when there was one.
    ///
    /// # Errors
    /// As any request.
    pub async fn delete_stream(&self, name: &str) -> Result<bool> {
        let answer = self.api_raw::<DeleteStatus>(format!("STREAM.DELETE.{name}"), &serde_json::json!({})).await?;
        match answer {
            Ok(status) => Ok(status.success),
            Err(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND => Ok(false),
            Err(error) => Err(Error::Refused { what: format!("removing stream {name}"), reason: error.to_string() }),
        }
    }

    /// Removes one message, leaving a hole that readers report as a tombstone (erasure on request).
    ///
    /// # Errors
    /// `TM0604` when there is no such message.
    pub async fn delete_message(&self, stream: &str, sequence: u64) -> Result<()> {
        let request = serde_json::json!({ "seq": sequence });
        let _: serde_json::Value = self.api(format!("STREAM.MSG.DELETE.{stream}"), &request).await?;
        Ok(())
    }
}
