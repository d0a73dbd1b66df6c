//! Lets go of what no read can see any more, and writes checkpoints.

use super::state::{Marks, State};
use crate::Options;
use crate::error::FeatureServiceError;
use crate::store::{Checkpoint, Checkpoints};
use parking_lot::RwLock;
use std::sync::Arc;
use std::time::Instant;
use tidemill_types::Millis;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Evicts what no read can see any more, and writes checkpoints.
pub(super) struct Keeper {
    pub(super) state: Arc<RwLock<State>>,
    pub(super) checkpoints: Checkpoints,
    pub(super) options: Options,
    pub(super) marks: watch::Receiver<Marks>,
}

/// Knowledge time between two evictions.
const EVICT_STEP: i64 = 6 * 3_600_000;

impl Keeper {
    pub(super) async fn run(
        self,
        stop: CancellationToken,
        mut woken: mpsc::Receiver<()>,
    ) -> Result<(), FeatureServiceError> {
        let mut evicted = self.state.read().engine.horizon().map_or(i64::MIN, |horizon| horizon.0);
        let mut written = Instant::now();
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                more = woken.recv() => if more.is_none() { break },
            }
            let complete = self.marks.borrow().values().map(|mark| mark.watermark).min().flatten();
            if let Some(Millis(complete)) = complete
                && complete.saturating_sub(evicted) >= EVICT_STEP
            {
                let mut state = self.state.write();
                let horizon = complete.min(state.undecided_from().unwrap_or(complete));
                if horizon.saturating_sub(evicted) >= EVICT_STEP {
                    evicted = horizon;
                    state.engine.evict(Millis(horizon))?;
                }
            }
            if written.elapsed() >= self.options.checkpoint_every {
                written = Instant::now();
                self.checkpoint().await;
            }
        }
        self.checkpoint().await;
        Ok(())
    }

    /// A checkpoint that fails costs only a longer restart.
    async fn checkpoint(&self) {
        let state = Arc::clone(&self.state);
        let taken = tokio::task::spawn_blocking(move || {
            let state = state.read();
            let engine = state.engine.checkpoint()?;
            let plan_digest = state.engine.plan().digest().to_string();
            let positions = state.sources.iter().map(|(source, at)| (source.clone(), at.settled.clone())).collect();
            Ok::<_, tidemill_features::FeatureError>(Checkpoint { plan_digest, positions, engine })
        });
        let result = match taken.await {
            Ok(Ok(checkpoint)) => self.checkpoints.write(&checkpoint).await,
            Ok(Err(error)) => Err(error.into()),
            Err(error) => Err(FeatureServiceError::Request(error.to_string())),
        };
        if let Err(error) = result {
            warn!(%error, "checkpoint of the online state was not written");
        }
    }
}

impl State {
    /// Up to where eviction may go so that every row on which validation has not decided can be taken back: what such a
    /// row replaces for reads must stay. `None` when there is no such row.
    fn undecided_from(&self) -> Option<i64> {
        let oldest = self.sources.values().filter_map(|standing| standing.ahead.oldest()).min()?;
        Some(oldest.0.saturating_sub(1).saturating_add(self.engine.plan().lookback_millis()))
    }
}
