//! What every page may read, and nothing that writes: the store, heads of the bus, the registry, other services.
//!
//! Answers of other services are JSON by contract; the console knows their fields, not their types. What several
//! pages ask for in a row is remembered for a second.

use crate::commits::Commits;
use crate::error::{Error, Result};
use crate::live::Live;
use crate::profiles::Profiles;
use crate::samples::Samples;
use crate::services::Services;
use crate::tables::Tables;
use serde::Serialize;
use serde_json::Value;
use std::any::Any;
use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidemill_bus::Bus;
use tidemill_registry::Registry;
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::{Metrics, Recent};
use tokio_util::sync::CancellationToken;

/// How long an answer of another service is shown without asking again.
const FRESH_FOR: Duration = Duration::from_secs(1);
/// Answers that are remembered at most.
const MOST_ANSWERS: usize = 64;

/// What pages read from.
pub struct App {
    /// The project in force.
    pub spec: Arc<Spec>,
    /// The bus.
    pub bus: Bus,
    /// The object store.
    pub storage: Storage,
    /// Versions and aliases.
    pub registry: Registry,
    /// Metrics of this process.
    pub metrics: Metrics,
    /// The other services; nothing is connected before it is asked for.
    pub services: Services,
    /// The latest traces of this process.
    pub recent: Recent,
    /// Address of Jaeger's pages, or empty.
    pub traces_url: String,
    /// Every source, from heads and profiles.
    pub(crate) profiles: Profiles,
    /// Reports of many commits of one source, as they are asked for.
    pub(crate) commits: Commits,
    /// Rows drawn from every source, and what they tell.
    pub(crate) samples: Samples,
    /// Tables of rows that pages read from.
    pub(crate) tables: Arc<Tables>,
    /// What came from what, as every run told it.
    pub(crate) lineage: tidemill_provenance::Kept,
    /// Cancelled when the process ends.
    pub(crate) stop: CancellationToken,
    /// What the pages of live numbers show.
    pub(crate) live: Live,
    /// Put into every form, and wanted back.
    pub(crate) form_token: String,
    /// Whether only this machine can reach the console.
    pub(crate) loopback: bool,
    pub(crate) answers: Answers,
    /// What was worked out from objects that never change, by their name.
    pub(crate) lasting: Mutex<HashMap<String, Arc<Value>>>,
}

impl App {
    /// Name of the project.
    #[must_use]
    pub fn project(&self) -> &str {
        self.spec.project.as_str()
    }

    /// A JSON object of the store; `None` when it does not exist.
    ///
    /// # Errors
    /// The store does not answer, or the object is no JSON.
    pub async fn stored(&self, path: &str) -> Result<Option<Value>> {
        match self.storage.get(path).await {
            Ok(bytes) => {
                let damaged = |e: serde_json::Error| Error::Stored { path: path.to_owned(), reason: e.to_string() };
                Ok(Some(serde_json::from_slice(&bytes).map_err(damaged)?))
            }
            Err(tidemill_storage::Error::NotFound(_)) => Ok(None),
            Err(other) => Err(other.into()),
        }
    }

    /// The answer known under `key`, when it is fresh; otherwise that of `ask`.
    ///
    /// # Errors
    /// Those of `ask`; they are not remembered.
    pub async fn remembered<T, F>(&self, key: &str, ask: F) -> Result<Arc<T>>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T>> + Send,
    {
        if let Some(known) = self.answers.fresh(key) {
            return Ok(known);
        }
        let answer = Arc::new(ask.await?);
        self.answers.put(key, Arc::clone(&answer) as Remembered);
        Ok(answer)
    }
}

impl App {
    /// What `make` gives, worked out once: for what follows from an object that never changes under its name.
    ///
    /// # Errors
    /// Those of `make`; they are not remembered.
    pub async fn lasting<F>(&self, key: &str, make: F) -> Result<Arc<Value>>
    where
        F: Future<Output = Result<Value>> + Send,
    {
        let held = || self.lasting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = held().get(key).map(Arc::clone) {
            return Ok(known);
        }
        let made = Arc::new(make.await?);
        let mut held = held();
        if held.len() >= MOST_ANSWERS {
            held.clear();
        }
        held.insert(key.to_owned(), Arc::clone(&made));
        Ok(made)
    }
}

/// A part of a page that may be missing while the rest is shown.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part<T> {
    /// It is there.
    Here(T),
    /// It is not, and why.
    Absent(String),
}

impl<T> Part<T> {
    /// What there is.
    pub fn value(&self) -> Option<&T> {
        match self {
            Self::Here(value) => Some(value),
            Self::Absent(_) => None,
        }
    }

    /// Why there is nothing.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Here(_) => None,
            Self::Absent(why) => Some(why),
        }
    }
}

impl<T> From<Result<T>> for Part<T> {
    fn from(result: Result<T>) -> Self {
        match result {
            Ok(value) => Self::Here(value),
            Err(error) => Self::Absent(tidemill_runtime::errors::chain(&error)),
        }
    }
}

/// Answers of other services, for a second.
#[derive(Debug, Default)]
pub(crate) struct Answers(Mutex<HashMap<String, (Instant, Remembered)>>);

type Remembered = Arc<dyn Any + Send + Sync>;

impl Answers {
    fn fresh<T: Send + Sync + 'static>(&self, key: &str) -> Option<Arc<T>> {
        let answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        answers
            .get(key)
            .filter(|(at, _)| at.elapsed() < FRESH_FOR)
            .and_then(|(_, value)| Arc::clone(value).downcast().ok())
    }

    fn put(&self, key: &str, value: Remembered) {
        let mut answers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answers.len() >= MOST_ANSWERS {
            answers.retain(|_, (at, _)| at.elapsed() < FRESH_FOR);
        }
        if answers.len() < MOST_ANSWERS {
            answers.insert(key.to_owned(), (Instant::now(), value));
        }
    }

    /// After a decision, the next page shows its effect.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_bounded_and_forgotten() {
        let answers = Answers::default();
        for i in 0..2 * MOST_ANSWERS {
            answers.put(&i.to_string(), Arc::new(i));
        }
        assert_eq!(answers.fresh::<usize>("0").as_deref(), Some(&0));
        assert!(answers.fresh::<String>("0").is_none(), "under another type it is not known");
        assert!(answers.fresh::<usize>(&(2 * MOST_ANSWERS - 1).to_string()).is_none(), "no more than the bound");
        answers.forget();
        assert!(answers.fresh::<usize>("0").is_none());
    }
}
