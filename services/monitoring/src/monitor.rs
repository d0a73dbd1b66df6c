//! The loop: follow predictions and outcomes, close windows, raise alerts, ask for retraining.
//!
//! Windows end by the watermark of the outcomes, never by a clock; only sources that fall silent are seen by one. The two tables are the truth: after a restart the
//! open time is read from them again, and stored reports, alerts and orders say what was already concluded.

use crate::Role;
use crate::board::{Board, RowCounts};
use crate::domain::alerts::Alert;
use crate::domain::calendar::CalendarWindow;
use crate::domain::join::{Join, Taken};
use crate::domain::performance::KpiValue;
use crate::domain::silence::Silences;
use crate::domain::trigger::{RetrainOrder, Trigger};
use crate::domain::watermark::Marks;
use crate::error::MonitoringError;
use crate::follow::{Followed, Said};
use crate::models::Models;
use crate::rows::{OutcomeReader, PREDICTION_COLUMNS, predictions};
use crate::store::{Store, clean_table_path};
use crate::{publish, silence, windows};
use arrow::array::RecordBatch;
use prost::Message as _;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidemill_bus::Tail;
use tidemill_contracts::events::Notice;
use tidemill_contracts::{prediction_log, subjects};
use tidemill_dataset::Table;
use tidemill_telemetry::names;
use tidemill_types::{Classified, Millis, SourceName, columns};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::field::Empty;
use tracing::{info, info_span, warn};

/// Longest wait for a notice before the tables are looked at anyway.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Wait before the monitor is started again after a passing failure.
const PAUSE: Duration = Duration::from_millis(500);

/// Everything the monitor holds.
pub(crate) struct Monitor {
    pub(crate) deps: Arc<Role>,
    pub(crate) board: Board,
    pub(crate) store: Store,
    pub(crate) models: Models,
    pub(crate) kpi: KpiValue,
    pub(crate) trigger: Trigger,
    pub(crate) join: Join,
    pub(crate) predictions: Followed,
    pub(crate) silences: Silences,
    marks: Marks,
    outcomes: Followed,
    reader: OutcomeReader,
    /// The other sources, only for how far they are complete.
    others: BTreeMap<SourceName, Followed>,
    joined: u64,
    /// What all roles tell of alerts, from the first notice that is kept. Never locked: only so that a monitor can be lent.
    notices: Mutex<Tail>,
}

/// Runs until `stop`; passing failures begin again from the tables.
pub(crate) async fn run(
    deps: Arc<Role>,
    log: Table,
    board: Board,
    committed: Arc<Notify>,
    stop: CancellationToken,
) -> Result<(), MonitoringError> {
    loop {
        match follow(&deps, &log, &board, &committed, &stop).await {
            Err(error) if error.is_transient() && !stop.is_cancelled() => {
                warn!(%error, "monitoring pauses and begins again from the tables");
                tokio::time::sleep(PAUSE).await;
            }
            ended => return ended,
        }
    }
}

async fn follow(
    deps: &Arc<Role>,
    log: &Table,
    board: &Board,
    committed: &Notify,
    stop: &CancellationToken,
) -> Result<(), MonitoringError> {
    let subject = subjects::notice(&deps.spec.project, "clean", "committed");
    let mut wake = deps.bus.tail(subjects::NOTICES_STREAM, vec![subject]).await?;
    let mut monitor = Monitor::open(Arc::clone(deps), log.clone(), board.clone()).await?;
    while !stop.is_cancelled() {
        monitor.step().await?;
        tokio::select! {
            woken = wake.next_within(LOOK_EVERY) => { woken?; }
            () = committed.notified() => {}
            () = stop.cancelled() => {}
        }
    }
    monitor.step().await
}

impl Monitor {
    async fn open(deps: Arc<Role>, log: Table, board: Board) -> Result<Self, MonitoringError> {
        let spec = &deps.spec;
        let (project, label) = (&spec.project, &spec.features.label);
        let store = Store::new(&deps.storage, project, &spec.serve.deployment);
        let missing = || MonitoringError::NoSource(label.source.to_string());
        let declared = spec.sources.get(&label.source).ok_or_else(missing)?;
        let reader = OutcomeReader::new(label, declared)?;
        let mut followed = BTreeMap::new();
        for (source, declared) in &spec.sources {
            let path = clean_table_path(project, source);
            let table = Table::open_or_create(&deps.storage, &path, &declared.table_schema()).await?;
            followed.insert(source.clone(), Followed::open(table).await?);
        }
        let told = ["raised", "resolved"].map(|what| subjects::notice(project, "alert", what));
        let notices = deps.bus.tail_from_first(subjects::NOTICES_STREAM, told.to_vec()).await?;
        let outcomes = followed.remove(&label.source).ok_or_else(missing)?;
        board.reset(store.reports().await?, store.alerts().await?).await;
        let silences = Silences::new(&spec.sources, &board.alerts().await);
        let mut monitor = Self {
            silences,
            marks: Marks::of(spec.sources.keys().cloned()),
            models: Models::new(project, deps.registry.clone(), &deps.storage, deps.trusted.clone()),
            kpi: KpiValue::new(&spec.kpi)?,
            trigger: Trigger::new(&spec.retrain, store.orders().await?)?,
            join: Join::new(&spec.monitor.windows),
            predictions: Followed::open(log).await?,
            outcomes,
            reader,
            others: followed,
            joined: 0,
            notices: Mutex::new(notices),
            store,
            board,
            deps: Arc::clone(&deps),
        };
        monitor.rebuild().await?;
        Ok(monitor)
    }

    /// Takes in what the tables hold of the time that is not closed.
    async fn rebuild(&mut self) -> Result<(), MonitoringError> {
        for report in self.board.reports().await.iter().filter(|report| report.closed) {
            self.join.close(report.window.kind, report.end);
        }
        let horizon = self.join.horizon();
        // Joined rows of closed time are counted once: by the kind of window that reaches exactly to the horizon.
        let reports = self.board.reports().await;
        let counting = reports.iter().find(|r| r.closed && r.end == horizon).map(|r| r.window.kind);
        let closed = reports.iter().filter(|r| r.closed && Some(r.window.kind) == counting);
        self.joined = closed.map(|r| r.outcomes).sum();

        let label = &self.deps.spec.features.label.source;
        for (source, followed) in self.others.iter().chain([(label, &self.outcomes)]) {
            let said = followed.said().await?;
            self.marks.advance(source, said.watermark, said.newest);
            silence::remember(&mut self.silences, source, followed).await;
        }
        let rows = self.outcomes.rows_since(&self.reader.columns(), columns::KNOWN_AT, horizon).await?;
        self.take_outcomes(&rows)?;
        let rows = self.predictions.rows_since(&PREDICTION_COLUMNS, prediction_log::AS_OF, horizon).await?;
        self.take_predictions(&rows)?;
        info!(entities = self.join.entities(), %horizon, "monitoring goes on from the tables");
        Ok(())
    }

    /// Takes in everything new, then concludes what can be concluded.
    pub(crate) async fn step(&mut self) -> Result<(), MonitoringError> {
        let label = self.deps.spec.features.label.source.clone();
        while let Some(news) = self.outcomes.next(Some(&self.reader.columns())).await? {
            let span = info_span!("outcomes join", otel.kind = "consumer", joined = Empty);
            tidemill_telemetry::follow(&span, &news.traceparents, || {
                info_span!("tm.notices.{project}.clean.committed receive", otel.kind = "consumer")
            });
            let before = self.joined;
            span.in_scope(|| self.take_outcomes(&news.batches))?;
            span.record("joined", self.joined - before);
            self.note(&label, news.said);
        }
        for (source, followed) in &mut self.others {
            while let Some(news) = followed.next(None).await? {
                self.marks.advance(source, news.said.watermark, news.said.newest);
                silence::heard(&mut self.silences, source, news.said);
            }
        }
        // Predictions are read last, so that a window is not closed without those that are there.
        while let Some(news) = self.predictions.next(Some(&PREDICTION_COLUMNS)).await? {
            let span = info_span!("predictions join", joined = Empty);
            tidemill_telemetry::follow(&span, &news.traceparents, || info_span!("predictions receive"));
            let before = self.joined;
            span.in_scope(|| self.take_predictions(&news.batches))?;
            span.record("joined", self.joined - before);
        }
        let counts = RowCounts {
            predictions: self.predictions.snapshot.num_rows(),
            outcomes: self.outcomes.snapshot.num_rows(),
            joined: self.joined,
        };
        self.board.put_counts(counts).await;
        if let Some(watermark) = self.marks.instant(&label) {
            let complete = self.predictions_complete_until().await?;
            windows::conclude(self, watermark, complete).await?;
        }
        silence::watch(self).await?;
        self.hear().await?;
        self.follow_calendar().await
    }

    /// Takes in what other roles told of alerts since the last look.
    async fn hear(&mut self) -> Result<(), MonitoringError> {
        let notices = self.notices.get_mut().unwrap_or_else(PoisonError::into_inner);
        while let Some(message) = notices.next_within(Duration::ZERO).await? {
            if publish::is_own(&self.deps, &message) {
                continue;
            }
            // What a newer version tells in another form is left.
            let Ok(Notice { fact: Some(fact), .. }) = Notice::decode(message.payload) else { continue };
            self.board.hear(&fact, message.published_at).await;
        }
        Ok(())
    }

    fn note(&mut self, source: &SourceName, said: Said) {
        self.marks.advance(source, said.watermark, said.newest);
        silence::heard(&mut self.silences, source, said);
    }

    fn take_outcomes(&mut self, batches: &[RecordBatch]) -> Result<(), MonitoringError> {
        for batch in batches {
            for (key, outcome) in self.reader.outcomes(batch)? {
                let taken = self.join.outcome(&key, outcome);
                self.count(taken);
            }
        }
        Ok(())
    }

    fn take_predictions(&mut self, batches: &[RecordBatch]) -> Result<(), MonitoringError> {
        for batch in batches {
            for (key, prediction) in predictions(batch)? {
                let taken = self.join.prediction(&key, prediction);
                self.count(taken);
            }
        }
        Ok(())
    }

    fn count(&mut self, taken: Taken) {
        if let Taken::Joined(count) = taken {
            self.joined += count;
            let deployment = self.deps.spec.serve.deployment.as_str();
            self.deps.metrics.counter(names::MONITORING_OUTCOMES_JOINED).add(&[("deployment", deployment)], count);
        }
    }

    /// Instant up to which logged predictions are in the table: unbounded when nothing waits in the stream.
    async fn predictions_complete_until(&self) -> Result<Millis, MonitoringError> {
        let stream = subjects::predictions_stream(&self.deps.spec.project, &self.deps.spec.serve.deployment);
        let Some(state) = self.deps.bus.stream_state_if_any(&stream).await? else { return Ok(Millis::MAX) };
        let done = self.predictions.snapshot.done(&state.incarnation(&stream)).await?.unwrap_or(0);
        let drained = u64::try_from(done).unwrap_or(0) >= state.last_seq;
        Ok(if drained { Millis::MAX } else { self.join.newest_prediction().unwrap_or(Millis::MIN) })
    }

    /// Asks for the retrainings whose instant all sources have passed, once there is a champion to follow.
    async fn follow_calendar(&mut self) -> Result<(), MonitoringError> {
        let Some(watermark) = self.marks.all() else { return Ok(()) };
        let Some(trained) = self.models.champion().await? else { return Ok(()) };
        for order in self.trigger.due(watermark, trained) {
            self.give(order).await?;
        }
        Ok(())
    }

    /// Publishes an order, then notes it: a crash between the two publishes it again under the same id and cycle.
    pub(crate) async fn give(&mut self, order: RetrainOrder) -> Result<(), MonitoringError> {
        if !self.store.has_order(&order).await? {
            publish::order(&self.deps, &order).await?;
            let deployment = self.deps.spec.serve.deployment.as_str();
            self.deps.metrics.counter(names::MONITORING_RETRAINS).add(&[("deployment", deployment)], 1);
            self.store.put_order(&order).await?;
            info!(reason = order.reason, as_of = %order.as_of, cycle = %order.cycle_id, "retraining requested");
        }
        self.trigger.given(order);
        Ok(())
    }

    /// Tells of an alert, then notes it, once.
    pub(crate) async fn raise(&self, alert: Alert) -> Result<(), MonitoringError> {
        if self.store.has_alert(&alert).await? {
            return Ok(());
        }
        publish::alert(&self.deps, &alert).await?;
        if self.store.put_alert(&alert).await? {
            self.deps.metrics.counter(names::MONITORING_ALERTS).add(&[("monitor", alert.rule.as_str())], 1);
            self.board.put_alert(alert).await;
        }
        Ok(())
    }

    /// How long outcomes of a window may take, in milliseconds.
    pub(crate) fn matures_within(&self) -> i64 {
        self.deps.spec.features.label.matures_within.millis()
    }

    /// Windows in the order in which they end, so that conclusions come in the order of event time.
    pub(crate) fn open_windows(&self) -> Vec<CalendarWindow> {
        let mut open: Vec<_> = self.join.windows().collect();
        open.sort_by_key(|window| (window.end(), window.kind));
        open
    }
}
