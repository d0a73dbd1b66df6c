//! Rows drawn from clean tables, and what they tell of relations, gaps and groups: worked out beside the pages, once a
//! version, so that no page waits for rows.
//!
//! A draw reads a bounded number of rows and bytes, whatever the size of the table, one source at a time. A table that
//! gets new versions all the time is drawn from again after a rest, so that drawing takes a small share of one core.

use crate::error::{Error, Result};
use crate::tables::Tables;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tidemill_contracts::paths;
use tidemill_dataset::SampleOptions;
use tidemill_explore::{Options, Relations, relations_of};
use tidemill_spec::{Source, Spec};
use tidemill_types::{ProjectName, SourceName, columns};

/// Rows that are drawn.
const ROWS: u64 = 20_000;
/// Which rows.
const SEED: u64 = 0;
/// Shortest rest between two draws of a source, and as how many times the time of a draw.
const REST: (Duration, u32) = (Duration::from_secs(60), 30);

/// What was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Drawn {
    /// Rows.
    pub(crate) rows: u64,
    /// Rows of the table.
    pub(crate) of_rows: u64,
    /// Version of the table.
    pub(crate) version: u64,
    /// Files that rows were drawn from.
    pub(crate) files: usize,
    /// Seed of the draw.
    pub(crate) seed: u64,
    /// Whether all rows were drawn.
    pub(crate) whole: bool,
}

/// A draw with what it tells.
#[derive(Debug)]
pub(crate) struct Sampled {
    pub(crate) drawn: Drawn,
    pub(crate) relations: Relations,
    /// Not drawn again before.
    rest_until: Instant,
}

/// The newest draws of all sources.
pub(crate) struct Samples {
    tables: Arc<Tables>,
    project: ProjectName,
    sources: BTreeMap<SourceName, Known>,
}

struct Known {
    options: Options,
    newest: Mutex<Option<Arc<Sampled>>>,
}

impl Samples {
    /// Nothing is drawn yet.
    #[must_use]
    pub(crate) fn new(spec: &Spec, tables: &Arc<Tables>) -> Self {
        let known = |(name, source): (&SourceName, &Source)| {
            (name.clone(), Known { options: options(source), newest: Mutex::default() })
        };
        Self {
            tables: Arc::clone(tables),
            project: spec.project.clone(),
            sources: spec.sources.iter().map(known).collect(),
        }
    }

    /// The newest draw of a source; nothing before the first one.
    pub(crate) fn of(&self, name: &SourceName) -> Option<Arc<Sampled>> {
        self.sources.get(name)?.newest()
    }

    /// What exploring a source goes by.
    pub(crate) fn options(&self, name: &SourceName) -> Options {
        self.sources.get(name).map(|known| known.options.clone()).unwrap_or_default()
    }

    /// Draws again from the sources that have a new version, one after the other.
    ///
    /// # Errors
    /// The store fails; sources before that are drawn.
    pub(crate) async fn renew(&self) -> Result<()> {
        for (name, known) in &self.sources {
            let newest = known.newest();
            if newest.as_ref().is_some_and(|newest| newest.rest_until > Instant::now()) {
                continue;
            }
            let path = paths::clean_table(&self.project, name);
            let table = match self.tables.open(&path).await {
                Ok(table) => table,
                Err(tidemill_dataset::Error::Absent { .. }) => continue,
                Err(error) => return Err(error.into()),
            };
            let snapshot = table.load().await?;
            if snapshot.num_rows() == 0 || newest.is_some_and(|newest| newest.drawn.version == snapshot.version()) {
                continue;
            }
            let began = Instant::now();
            let schema = snapshot.schema();
            let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
            let senders: Vec<&str> = names.into_iter().filter(|name| !name.starts_with(columns::PREFIX)).collect();
            let sample = table.sample(&snapshot, Some(&senders), &SampleOptions::new(ROWS, SEED)).await?;
            let drawn = Drawn {
                rows: sample.rows,
                of_rows: snapshot.num_rows(),
                version: snapshot.version(),
                files: sample.files_read,
                seed: SEED,
                whole: sample.whole,
            };
            let options = known.options.clone();
            let work = move || relations_of(&sample.batches, sample.whole, &options);
            let failed = |reason: String| Error::Stored { path: path.clone(), reason };
            let relations = tokio::task::spawn_blocking(work).await.map_err(|e| failed(e.to_string()))?;
            let relations = relations.map_err(|e| failed(e.to_string()))?;
            let rest = REST.0.max(began.elapsed() * REST.1);
            known.put(Sampled { drawn, relations, rest_until: Instant::now() + rest });
        }
        Ok(())
    }
}

impl Known {
    fn newest(&self) -> Option<Arc<Sampled>> {
        self.newest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, sampled: Sampled) {
        *self.newest.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(sampled));
    }
}

/// What the project says that matters here: personal columns, and the time column.
fn options(source: &Source) -> Options {
    Options { seed: SEED, declared: source.declarations(), time: Some(source.event_time.clone()), ..Options::default() }
}
