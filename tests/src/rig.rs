//! A bus, a store and the services under test in this process.

use crate::audit::Audit;
use crate::messages;
use anyhow::{Context as _, Result, ensure};
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Bus, Message, OrderedReader, StreamSpec};
use tidemill_contracts::{headers, subjects};
use tidemill_dataset::Table;
use tidemill_feature::FeatureServiceError;
use tidemill_ingestion::{IngestionError, Options, raw_table_path};
use tidemill_spec::Spec;
use tidemill_storage::Storage;
use tidemill_telemetry::Metrics;
use tidemill_testkit::{Nats, Store, eventually};
use tidemill_validation::ValidationError;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for a table to hold what was published.
const PATIENCE: Duration = Duration::from_secs(300);

/// A real bus and a local folder, with the streams of the project.
pub struct Rig {
    /// The server.
    pub nats: Nats,
    /// The folder.
    pub store: Store,
    /// A connection of the test itself.
    pub bus: Bus,
    /// The project.
    pub spec: Arc<Spec>,
}

impl Rig {
    /// Starts the servers and makes the streams.
    ///
    /// # Errors
    /// When a server cannot be had.
    pub async fn start() -> Result<Self> {
        Self::over(Nats::start().await?).await
    }

    /// As [`Rig::start`], over a bus that runs already.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn over(nats: Nats) -> Result<Self> {
        Self::of(nats, messages::spec()?).await
    }

    /// As [`Rig::over`], for another project.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn of(nats: Nats, spec: Spec) -> Result<Self> {
        let bus = nats.bus().await?;
        make_streams(&bus, &spec).await?;
        Ok(Self { nats, store: Store::local()?, bus, spec: Arc::new(spec) })
    }

    /// Name of the events stream.
    ///
    /// # Errors
    /// Never.
    pub fn stream(&self) -> Result<String> {
        Ok(subjects::events_stream(&self.spec.project, &messages::source()?))
    }

    /// Path of the raw table.
    ///
    /// # Errors
    /// Never.
    pub fn raw(&self) -> Result<String> {
        Ok(raw_table_path(&self.spec.project, &messages::source()?))
    }

    /// Starts ingestion, committing often.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn ingestion(&self) -> Result<Node> {
        let options = Options { commit_age: Duration::from_millis(100), ..Options::default() };
        self.ingestion_with(self.store.storage(), options).await
    }

    /// Starts ingestion into another store, or with other settings.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn ingestion_with(&self, storage: &Storage, options: Options) -> Result<Node> {
        Ok(Node::start(self.nats.bus().await?, storage, &self.spec, options))
    }

    /// Starts validation of the project.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn validation(&self) -> Result<Validation> {
        self.validation_of(&self.spec, self.store.storage()).await
    }

    /// As [`Rig::validation`], by another form of the project or in another store.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn validation_of(&self, spec: &Arc<Spec>, storage: &Storage) -> Result<Validation> {
        Ok(Validation::start(self.nats.bus().await?, storage, spec))
    }

    /// Starts the feature service by a form of the project; gives also the address of its interface.
    ///
    /// # Errors
    /// When the bus does not answer, or no port is free.
    pub async fn features_of(&self, spec: &Arc<Spec>) -> Result<(Features, String)> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = format!("http://{}", listener.local_addr()?);
        Ok((Features::start(self.nats.bus().await?, self.store.storage(), spec, listener), address))
    }

    /// Waits until the raw table has everything up to a sequence.
    ///
    /// # Errors
    /// When it has not in time.
    pub async fn caught_up(&self, last_seq: i64) -> Result<()> {
        caught_up(&self.bus, self.store.storage(), &self.raw()?, &self.stream()?, last_seq).await
    }

    /// Counts the raw table.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn audit(&self) -> Result<Audit> {
        Audit::of(self.store.storage(), &self.raw()?).await
    }

    /// Every dead letter, oldest first.
    ///
    /// # Errors
    /// When the bus does not answer.
    pub async fn dead_letters(&self) -> Result<Vec<Message>> {
        let count = usize::try_from(self.bus.stream_state(subjects::DEAD_STREAM).await?.messages)?;
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut reader = OrderedReader::open(&self.bus, subjects::DEAD_STREAM, 1).await?;
        let mut letters = Vec::new();
        while letters.len() < count {
            let entries = reader.next_batch(count - letters.len(), usize::MAX, PATIENCE).await?;
            ensure!(!entries.is_empty(), "only {} of {count} dead letters came", letters.len());
            letters.extend(entries.iter().filter_map(|entry| entry.message().cloned()));
        }
        Ok(letters)
    }
}

/// Makes the streams of a project as the composition root does.
///
/// # Errors
/// When the bus refuses.
pub async fn make_streams(bus: &Bus, spec: &Spec) -> Result<()> {
    for source in spec.sources.keys() {
        let name = subjects::events_stream(&spec.project, source);
        bus.ensure_stream(&StreamSpec::new(name, [subjects::events(&spec.project, source)])).await?;
    }
    bus.ensure_stream(&StreamSpec::new(subjects::NOTICES_STREAM, ["tm.notices.>"])).await?;
    let letters = StreamSpec::new(subjects::DEAD_STREAM, ["tm.dead.>"]);
    bus.ensure_stream(&StreamSpec { duplicate_window: Duration::from_secs(3_600), ..letters }).await?;
    Ok(())
}

/// Waits until a table has everything of a stream up to a sequence.
///
/// # Errors
/// When it has not in time.
pub async fn caught_up(bus: &Bus, storage: &Storage, path: &str, stream: &str, last_seq: i64) -> Result<()> {
    let incarnation = bus.incarnation(stream).await?;
    let is_there =
        eventually(PATIENCE, || async { done(storage, path, &incarnation).await.is_ok_and(|done| done >= last_seq) });
    let reached = is_there.await;
    ensure!(reached, "{path} has not reached {last_seq} but {:?}", done(storage, path, &incarnation).await);
    Ok(())
}

async fn done(storage: &Storage, path: &str, incarnation: &str) -> Result<i64> {
    let table = Table::open(storage, path).await?;
    Ok(table.load().await?.done(incarnation).await?.unwrap_or(0))
}

/// A header of a dead letter.
///
/// # Errors
/// When it has none of this name.
pub fn header<'m>(letter: &'m Message, name: &str) -> Result<&'m str> {
    letter.headers.get(name).with_context(|| format!("a dead letter without {name}"))
}

/// Sequence that a dead letter came from.
///
/// # Errors
/// When it does not say.
pub fn origin(letter: &Message) -> Result<i64> {
    Ok(header(letter, headers::DEAD_SEQ)?.parse()?)
}

/// A service, running in this process.
pub struct Running<E> {
    stop: CancellationToken,
    task: JoinHandle<Result<(), E>>,
    /// Its metrics.
    pub metrics: Metrics,
}

/// Ingestion.
pub type Node = Running<IngestionError>;
/// Validation.
pub type Validation = Running<ValidationError>;
/// The feature service.
pub type Features = Running<FeatureServiceError>;

impl Node {
    /// Starts ingestion of a project.
    #[must_use]
    pub fn start(bus: Bus, storage: &Storage, spec: &Arc<Spec>, options: Options) -> Self {
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let deps = tidemill_ingestion::Deps {
            bus,
            storage: storage.clone(),
            spec: Arc::clone(spec),
            options,
            metrics: metrics.clone(),
            http: None,
        };
        Self { task: tokio::spawn(tidemill_ingestion::run(deps, stop.clone())), stop, metrics }
    }
}

impl Validation {
    /// Starts validation of a project.
    #[must_use]
    pub fn start(bus: Bus, storage: &Storage, spec: &Arc<Spec>) -> Self {
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let (storage, spec) = (storage.clone(), Arc::clone(spec));
        let deps = tidemill_validation::Deps { bus, storage, spec, metrics: metrics.clone() };
        Self { task: tokio::spawn(tidemill_validation::run(deps, stop.clone())), stop, metrics }
    }
}

impl Features {
    /// Starts the feature service of a project.
    #[must_use]
    pub fn start(bus: Bus, storage: &Storage, spec: &Arc<Spec>, listener: TcpListener) -> Self {
        let (stop, metrics) = (CancellationToken::new(), Metrics::new());
        let (storage, spec, options) = (storage.clone(), Arc::clone(spec), tidemill_feature::Options::default());
        let deps = tidemill_feature::Deps { bus, storage, spec, options, metrics: metrics.clone(), listener };
        Self { task: tokio::spawn(tidemill_feature::run(deps, stop.clone())), stop, metrics }
    }
}

impl<E: std::error::Error + Send + Sync + 'static> Running<E> {
    /// Stops in good order: what is in hand is committed.
    ///
    /// # Errors
    /// What ended it, if it did not end by being stopped.
    pub async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    /// Drops everything in mid-air, as a crash of the task would.
    pub async fn abort(self) {
        self.task.abort();
        // Cancelled is what was asked for.
        let _ = self.task.await;
    }
}
