//! Live numbers: what is predicted just now, and how fast.
//!
//! Predictions are read from their stream on the bus, latencies from the metrics of this process. Nothing is read
//! while nobody looks; what is kept and read in a second is bounded.

mod latency;
mod scores;

use crate::app::App;
use crate::error::{Error, Result};
use crate::pages::live::view;
use latency::{Buckets, Latency};
use scores::{Scores, Version};
use serde::Serialize;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::subjects;
use tidemill_telemetry::Metrics;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, broadcast};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

/// Pages that are kept up to date at the same time.
const WATCHERS: usize = 64;
/// Seconds on the charts.
pub(crate) const SECONDS: usize = 60;
/// Bytes of the stream that are decoded in a second; the rest is only counted as messages.
const BYTES_A_SECOND: usize = 4 << 20;
/// Newest messages looked at before the first second.
const LOOK_BACK: u64 = 40;
const WITHIN: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_secs(2);

/// The numbers of a second.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Numbers {
    /// Predictions logged in each of the last seconds, the newest last.
    pub(crate) per_second: Vec<u64>,
    /// Latency of requests over these seconds; absent when serving runs in another process or was not asked.
    pub(crate) latency: Option<Latency>,
    /// Median latency in each second, milliseconds.
    pub(crate) latency_ms: Vec<Option<f64>>,
    /// Scores of the newest predictions by model version.
    pub(crate) versions: Vec<Version>,
    /// Predictions behind the scores.
    pub(crate) scored: u64,
    /// Messages that came too fast to be decoded.
    pub(crate) skipped_messages: u64,
}

/// State of the live numbers. Everything in it is bounded.
pub(crate) struct Live {
    metrics: Metrics,
    kept: Mutex<Kept>,
    pages: broadcast::Sender<Arc<str>>,
    slots: Arc<Semaphore>,
    wanted: Notify,
}

#[derive(Default)]
struct Kept {
    began: bool,
    scores: Scores,
    now: u64,
    seconds: VecDeque<Second>,
    before: Option<Buckets>,
    skipped: u64,
    bytes: usize,
    versions: HashMap<String, u64>,
}

struct Second {
    predictions: u64,
    requests: Buckets,
}

/// A page that is kept up to date; gives its place back when it goes.
pub(crate) struct Watcher {
    pages: broadcast::Receiver<Arc<str>>,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    /// The next state of the page; nothing when the process ends.
    pub(crate) async fn next(&mut self) -> Option<Arc<str>> {
        loop {
            match self.pages.recv().await {
                Ok(page) => return Some(page),
                // A slow reader sees the newest state, not every one.
                Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => return None,
            }
        }
    }
}

impl Live {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self {
            metrics: metrics.clone(),
            kept: Mutex::default(),
            pages: broadcast::channel(4).0,
            slots: Arc::new(Semaphore::new(WATCHERS)),
            wanted: Notify::new(),
        }
    }

    /// A place among those who are kept up to date.
    pub(crate) fn watch(&self) -> Result<Watcher> {
        let place = Arc::clone(&self.slots).try_acquire_owned().map_err(|_| Error::Crowded(WATCHERS))?;
        let watcher = Watcher { pages: self.pages.subscribe(), _place: place };
        self.wanted.notify_one();
        Ok(watcher)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn numbers(&self) -> Numbers {
        let kept = self.kept();
        let mut requests = Buckets::default();
        kept.seconds.iter().for_each(|second| requests.add(&second.requests));
        Numbers {
            per_second: kept.seconds.iter().map(|second| second.predictions).collect(),
            latency: Latency::of(&requests),
            latency_ms: kept.seconds.iter().map(|s| s.requests.quantile(0.5).map(|v| v * 1_000.0)).collect(),
            versions: kept.scores.versions(&kept.versions),
            scored: kept.scores.predictions(),
            skipped_messages: kept.skipped,
        }
    }
}

/// The numbers as they are; looks at the newest predictions first when nobody has looked before.
pub(crate) async fn numbers(app: &App) -> Result<Numbers> {
    begin(app).await?;
    name_versions(app).await?;
    Ok(app.live.numbers())
}

fn stream(app: &App) -> String {
    subjects::predictions_stream(&app.spec.project, &app.spec.serve.deployment)
}

/// Reads the newest messages once, so that the first look is not at nothing.
async fn begin(app: &App) -> Result<()> {
    if std::mem::replace(&mut app.live.kept().began, true) {
        return Ok(());
    }
    let stream = stream(app);
    let state = app.bus.stream_state(&stream).await?;
    if state.messages == 0 {
        return Ok(());
    }
    let from = state.last_seq.saturating_add(1).saturating_sub(LOOK_BACK).max(state.first_seq);
    let mut reader = OrderedReader::open(&app.bus, &stream, from).await?;
    let (mut at, deadline) = (from, Instant::now() + WITHIN);
    while at <= state.last_seq && Instant::now() < deadline {
        for entry in reader.next_ready(LOOK_BACK as usize, BYTES_A_SECOND, WITHIN).await? {
            at = entry.seq() + 1;
            if let Entry::Message(message) = entry {
                app.live.kept().scores.take(&message.payload);
            }
        }
    }
    Ok(())
}

/// Numbers of versions, asked for when a digest is new.
async fn name_versions(app: &App) -> Result<()> {
    let unknown = {
        let kept = app.live.kept();
        kept.scores.models().any(|model| !kept.versions.contains_key(model))
    };
    if unknown {
        let versions = app.registry.versions(&app.spec.project).await?;
        let named = versions.into_iter().map(|version| (version.digest.to_string(), version.version)).collect();
        app.live.kept().versions = named;
    }
    Ok(())
}

/// Keeps the pages of all watchers up to date until `stop`.
pub(crate) async fn follow(app: Arc<App>, stop: CancellationToken) {
    loop {
        let wanted = stop.run_until_cancelled(app.live.wanted.notified()).await;
        if wanted.is_none() {
            return;
        }
        let Some(ended) = stop.run_until_cancelled(while_watched(&app)).await else { return };
        if let Err(error) = ended {
            tracing::warn!(%error, "live numbers pause");
            if stop.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
            // Whoever still looks wants them again.
            app.live.wanted.notify_one();
        }
    }
}

async fn while_watched(app: &App) -> Result<()> {
    begin(app).await?;
    let mut tail = app.bus.tail(&stream(app), Vec::new()).await?;
    let mut second = interval(Duration::from_secs(1));
    second.set_missed_tick_behavior(MissedTickBehavior::Delay);
    app.live.kept().before = None;
    while app.live.pages.receiver_count() > 0 {
        tokio::select! {
            _ = second.tick() => {
                name_versions(app).await?;
                app.live.tick();
                // Nobody left is no failure.
                let _ = app.live.pages.send(view(&app.live.numbers()).into_string().into());
            }
            message = tail.next_within(WITHIN) => {
                if let Some(message) = message? {
                    app.live.take(&message.payload);
                }
            }
        }
    }
    Ok(())
}

impl Live {
    fn take(&self, payload: &[u8]) {
        let mut kept = self.kept();
        kept.bytes = kept.bytes.saturating_add(payload.len());
        if kept.bytes > BYTES_A_SECOND {
            kept.skipped += 1;
            return;
        }
        let rows = kept.scores.take(payload);
        kept.now += rows;
    }

    /// Ends a second.
    fn tick(&self) {
        let all = Buckets::of(&self.metrics.render());
        let mut kept = self.kept();
        let requests = kept.before.as_ref().map(|before| all.since(before)).unwrap_or_default();
        kept.before = Some(all);
        let predictions = std::mem::take(&mut kept.now);
        kept.bytes = 0;
        kept.seconds.push_back(Second { predictions, requests });
        if kept.seconds.len() > SECONDS {
            kept.seconds.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn watchers_are_bounded_and_give_their_place_back() {
        let live = Live::new(&Metrics::new());
        let mut watchers: Vec<_> = (0..WATCHERS).map(|_| live.watch().unwrap()).collect();
        assert!(live.watch().is_err());
        watchers.pop();
        assert!(live.watch().is_ok());
    }

    #[test]
    fn what_comes_too_fast_is_counted_not_decoded() {
        let live = Live::new(&Metrics::new());
        live.take(&vec![0; BYTES_A_SECOND]);
        live.take(&[0]);
        assert_eq!(live.numbers().skipped_messages, 1);
        for _ in 0..2 * SECONDS {
            live.tick();
        }
        assert_eq!(live.numbers().per_second.len(), SECONDS);
        live.take(&[0]);
        assert_eq!(live.numbers().skipped_messages, 1, "a new second, a new allowance");
    }
}
