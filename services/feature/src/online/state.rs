//! What consumers, settlers and readers share: the engine, and how far each source has come in it.

use super::ahead::Ahead;
use crate::store::Position;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_features::Engine;
use tidemill_quality::Memory;
use tidemill_types::{Millis, SourceName};
use tokio::sync::watch;

/// The engine with its sources.
pub(super) struct State {
    pub(super) engine: Engine,
    pub(super) sources: BTreeMap<SourceName, Standing>,
}

/// How far one source has come.
pub(super) struct Standing {
    /// As far as its clean table covers it: this part is for good, and all of it that a checkpoint counts on.
    pub(super) settled: Position,
    /// What was taken in behind that.
    pub(super) ahead: Ahead,
    /// Last sequence taken in.
    pub(super) seq: u64,
    /// Instant up to which the source is complete here, if its producer says so.
    pub(super) watermark: Option<Millis>,
    /// What rules remember of the rows taken in.
    pub(super) memory: Memory,
    /// Counts how often the source was set back: whoever reads for an earlier turn has read in vain.
    pub(super) turn: u64,
    /// Whether rows are taken in from the stream: not while validation has decided on none of them, or holds the source.
    pub(super) flows: bool,
    /// Whether there is more than was taken in, for another reason than that it came a moment ago.
    pub(super) waits: bool,
    /// The source waits until it has come as far as it once was.
    pub(super) regain: u64,
}

impl Standing {
    pub(super) fn new(settled: Position, memory: Memory) -> Self {
        let (seq, watermark) = (settled.seq, settled.watermark);
        let ahead = Ahead::default();
        Self { settled, ahead, seq, watermark, memory, turn: 0, flows: false, waits: false, regain: 0 }
    }

    pub(super) fn mark(&self) -> Mark {
        Mark { watermark: self.watermark, waits: self.waits }
    }
}

/// How complete a source is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Instant up to which it is complete, if its producer says so.
    pub(crate) watermark: Option<Millis>,
    /// Whether rows of it are known to be missing.
    pub(crate) waits: bool,
}

impl Mark {
    /// Whether everything known by an instant was taken in. A source whose producer sends no watermarks is complete up to
    /// now, by definition of arrival time.
    pub(crate) fn reaches(&self, instant: Millis) -> bool {
        !self.waits && self.watermark.is_none_or(|watermark| watermark >= instant)
    }
}

/// How complete each source is.
pub(crate) type Marks = BTreeMap<SourceName, Mark>;

/// The state, and how readers hear of its progress.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) state: Arc<RwLock<State>>,
    pub(super) marks: Arc<watch::Sender<Marks>>,
}

impl Shared {
    /// Changes the standing of a source together with the engine, and tells readers when that changed its mark.
    /// `None` when there is no such source.
    pub(super) fn change<T>(
        &self,
        source: &SourceName,
        change: impl FnOnce(&mut Engine, &mut Standing) -> T,
    ) -> Option<T> {
        let (changed, mark) = {
            let mut state = self.state.write();
            let State { engine, sources } = &mut *state;
            let standing = sources.get_mut(source)?;
            (change(engine, standing), standing.mark())
        };
        self.marks.send_if_modified(|marks| marks.insert(source.clone(), mark) != Some(mark));
        Some(changed)
    }
}
