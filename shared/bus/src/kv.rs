//! Key-value buckets: pointers that move by compare-and-set.

use crate::connection::{Bus, describe};
use crate::error::{Error, Result};
use async_nats::jetstream::context::{CreateKeyValueErrorKind, KeyValueErrorKind};
use async_nats::jetstream::kv::{
    Config, CreateErrorKind, Entry, EntryErrorKind, Operation, PutErrorKind, Store, UpdateErrorKind,
};
use async_nats::jetstream::stream::StorageType;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use std::time::Duration;
use tidemill_types::Millis;

/// What a bucket should be.
#[derive(Clone, Debug)]
pub struct KvSpec {
    /// Name: letters, digits, `_` and `-`.
    pub bucket: String,
    /// Shown in listings.
    pub description: String,
    /// Values kept per key, 1 to 64.
    pub history: u8,
    /// Age at which entries vanish; `None` keeps them.
    pub max_age: Option<Duration>,
}

impl KvSpec {
    /// A bucket that keeps the last value of each key for ever.
    #[must_use]
    pub fn new(bucket: impl Into<String>) -> Self {
        Self { bucket: bucket.into(), description: String::new(), history: 1, max_age: None }
    }
}

/// The value of a key at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KvEntry {
    /// Key.
    pub key: String,
    /// Value; `None` when the key was deleted.
    pub value: Option<Bytes>,
    /// Revision, growing over the whole bucket; what [`Kv::update`] expects.
    pub revision: u64,
    /// When it was written.
    pub created: Millis,
}

impl From<Entry> for KvEntry {
    fn from(entry: Entry) -> Self {
        let millis = entry.created.unix_timestamp_nanos().div_euclid(1_000_000);
        Self {
            value: (entry.operation == Operation::Put).then_some(entry.value),
            key: entry.key,
            revision: entry.revision,
            created: Millis(i64::try_from(millis).unwrap_or(i64::MAX)),
        }
    }
}

/// A bucket; cheap to clone.
#[derive(Clone, Debug)]
pub struct Kv {
    bus: Bus,
    store: Store,
}

impl Kv {
    /// Opens the bucket, making it when it is missing.
    ///
    /// # Errors
    /// `TM0612` for a name that no bucket can have; `TM0603` for a bucket that is kept in memory.
    pub async fn open(bus: &Bus, spec: &KvSpec) -> Result<Self> {
        bus.require_version()?;
        let refused = |reason: String| Error::Refused { what: format!("bucket {}", spec.bucket), reason };
        let found = bus.js.get_key_value(&spec.bucket).await;
        let store = match found {
            Ok(store) => store,
            Err(error) if error.kind() == KeyValueErrorKind::InvalidStoreName => {
                return Err(Error::Malformed(format!("{:?} cannot be the name of a bucket", spec.bucket)));
            }
            Err(_) => {
                let config = Config {
                    bucket: spec.bucket.clone(),
                    description: spec.description.clone(),
                    history: i64::from(spec.history.clamp(1, 64)),
                    max_age: spec.max_age.unwrap_or_default(),
                    storage: StorageType::File,
                    ..Config::default()
                };
                bus.js.create_key_value(config).await.map_err(|error| match error.kind() {
                    CreateKeyValueErrorKind::TimedOut => Error::TimedOut(format!("bucket {}", spec.bucket)),
                    _ => refused(describe(&error)),
                })?
            }
        };
        if store.stream.cached_info().config.storage != StorageType::File {
            let reason = "it is kept in memory and lost at the next restart".to_owned();
            return Err(Error::Unsafe { name: format!("bucket {}", spec.bucket), reason });
        }
        Ok(Self { bus: bus.clone(), store })
    }

    /// Name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.store.name
    }

    /// The entry of a key, `None` when it was never written or is deleted.
    ///
    /// # Errors
    /// `TM0612` for a malformed key, `TM0608` when the server does not answer.
    pub async fn get(&self, key: &str) -> Result<Option<KvEntry>> {
        match self.store.entry(key).await {
            Ok(entry) => Ok(entry.map(KvEntry::from).filter(|entry| entry.value.is_some())),
            Err(error) => Err(match error.kind() {
                EntryErrorKind::InvalidKey => malformed(key),
                EntryErrorKind::TimedOut => Error::TimedOut(self.name(key)),
                EntryErrorKind::Other => self.refused(key, &error),
            }),
        }
    }

    /// Writes a value whatever was there; returns its revision.
    ///
    /// # Errors
    /// `TM0612` for a malformed key, `TM0607` when the outcome is unknown.
    pub async fn put(&self, key: &str, value: impl Into<Bytes> + Send) -> Result<u64> {
        let work = async {
            self.store.put(key, value.into()).await.map_err(|error| match error.kind() {
                PutErrorKind::InvalidKey => malformed(key),
                PutErrorKind::Publish => self.refused(key, &error),
                PutErrorKind::Ack => Error::Unknown { subject: self.name(key) },
            })
        };
        self.bus.unless_denied(&self.subject(key), work).await
    }

    /// Writes a key that does not exist; returns its revision.
    ///
    /// # Errors
    /// `TM0605` when it exists.
    pub async fn create(&self, key: &str, value: impl Into<Bytes> + Send) -> Result<u64> {
        let work = async {
            self.store.create(key, value.into()).await.map_err(|error| match error.kind() {
                CreateErrorKind::AlreadyExists => Error::Conflict { key: self.name(key) },
                CreateErrorKind::InvalidKey => malformed(key),
                CreateErrorKind::Ack => Error::Unknown { subject: self.name(key) },
                _ => self.refused(key, &error),
            })
        };
        self.bus.unless_denied(&self.subject(key), work).await
    }

    /// Writes a value if the key still has `revision` (0: if it does not exist); returns the new revision.
    ///
    /// # Errors
    /// `TM0605` when it has another revision.
    pub async fn update(&self, key: &str, value: impl Into<Bytes> + Send, revision: u64) -> Result<u64> {
        let work = async {
            self.store.update(key, value.into(), revision).await.map_err(|error| match error.kind() {
                UpdateErrorKind::WrongLastRevision => Error::Conflict { key: self.name(key) },
                UpdateErrorKind::InvalidKey => malformed(key),
                UpdateErrorKind::TimedOut => Error::Unknown { subject: self.name(key) },
                UpdateErrorKind::Other => self.refused(key, &error),
            })
        };
        self.bus.unless_denied(&self.subject(key), work).await
    }

    /// Deletes a key; watchers see an entry without a value.
    ///
    /// # Errors
    /// As [`Kv::put`].
    pub async fn delete(&self, key: &str) -> Result<()> {
        let work = async { self.store.delete(key).await.map_err(|error| self.refused(key, &error)) };
        self.bus.unless_denied(&self.subject(key), work).await
    }

    /// All keys that have a value, sorted.
    ///
    /// # Errors
    /// `TM0613` when the server does not deliver them.
    pub async fn keys(&self) -> Result<Vec<String>> {
        let keys = self.store.keys().await.map_err(|error| self.refused("*", &error))?;
        let mut keys: Vec<String> = keys.try_collect().await.map_err(|error| self.refused("*", &error))?;
        keys.sort();
        keys.dedup();
        Ok(keys)
    }

    /// The current values of a key (wildcards allowed) or, with `None`, of all keys, then every change. The same
    /// revision may come twice after a reconnect; an older one never follows a newer one of its key.
    ///
    /// # Errors
    /// `TM0613` when the server refuses.
    pub async fn watch(&self, key: Option<&str>) -> Result<impl Stream<Item = Result<KvEntry>> + Send + Unpin + use<>> {
        let pattern = key.unwrap_or(">");
        let watch = self.store.watch_with_history(pattern).await.map_err(|error| self.refused(pattern, &error))?;
        let bucket = self.store.name.clone();
        Ok(Box::pin(watch.map(move |entry| {
            entry
                .map(KvEntry::from)
                .map_err(|error| Error::Refused { what: format!("watching bucket {bucket}"), reason: describe(&error) })
        })))
    }

    fn name(&self, key: &str) -> String {
        format!("{}/{key}", self.store.name)
    }

    /// Subject of a key, as a refusal names it.
    fn subject(&self, key: &str) -> String {
        format!("$KV.{}.{key}", self.store.name)
    }

    fn refused(&self, key: &str, error: &dyn std::error::Error) -> Error {
        Error::Refused { what: self.name(key), reason: describe(error) }
    }
}

fn malformed(key: &str) -> Error {
    Error::Malformed(format!("{key:?} cannot be a key: letters, digits and -/_=. only, no dot at either end"))
}
