//! The latest finished traces of this process, in memory, so that they can be looked at without a trace backend.
//!
//! Everything is bounded: traces, spans of a trace, attributes and links of a span, characters of a value; what the
//! bounds have cost is counted. When there is no room, the oldest trace of the most frequent root makes room, so that
//! a thousand predictions do not push out the one training cycle. A trace that comes back after a pause (a prediction
//! whose outcome joins hours later) grows, as long as it is still here.

mod processor;
mod view;

pub(crate) use processor::Keeper;
pub use view::{
    MAX_ATTRIBUTES, MAX_VALUE_CHARS, RecentDropped, RecentLink, RecentPage, RecentQuery, RecentSpan, RecentSummary,
    RecentTrace,
};

use parking_lot::Mutex;
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// Most traces that are kept, unless said otherwise.
pub const MAX_TRACES: usize = 500;
/// Most spans of a trace that are kept, unless said otherwise.
pub const MAX_SPANS: usize = 200;

/// The latest finished traces of this process. Clones share them.
#[derive(Clone)]
pub struct Recent(Arc<Mutex<Store>>);

impl Default for Recent {
    fn default() -> Self {
        Self::new(MAX_TRACES, MAX_SPANS)
    }
}

impl fmt::Debug for Recent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recent").field("traces", &self.0.lock().traces.len()).finish()
    }
}

struct Store {
    max_traces: usize,
    max_spans: usize,
    traces: HashMap<String, Kept>,
    // Traces by the name of their root, the oldest first.
    by_root: BTreeMap<String, VecDeque<String>>,
    // Spans that have started and not ended here, per trace.
    open: HashMap<String, usize>,
    arrived: u64,
    dropped: RecentDropped,
}

struct Kept {
    arrived: u64,
    root: String,
    service: String,
    spans: Vec<RecentSpan>,
    dropped_spans: u64,
    first_micros: i64,
    last_micros: i64,
    error: bool,
    services: BTreeSet<String>,
}

impl Recent {
    /// Keeps nothing yet, and at most so many traces and spans of each.
    #[must_use]
    pub fn new(max_traces: usize, max_spans: usize) -> Self {
        Self(Arc::new(Mutex::new(Store {
            max_traces: max_traces.max(1),
            max_spans: max_spans.max(1),
            traces: HashMap::new(),
            by_root: BTreeMap::new(),
            open: HashMap::new(),
            arrived: 0,
            dropped: RecentDropped::default(),
        })))
    }

    /// Takes a span that has ended. The pipeline that [`crate::init`] sets up does this for every recorded span.
    pub fn record(&self, span: RecentSpan) {
        self.0.lock().record(span);
    }

    /// Notes that a span has started: its trace is listed when none is open any more.
    pub(crate) fn opened(&self, trace_id: String) {
        *self.0.lock().open.entry(trace_id).or_default() += 1;
    }

    /// Takes a span whose start was noted.
    pub(crate) fn closed(&self, span: RecentSpan) {
        let mut store = self.0.lock();
        if let Some(open) = store.open.get_mut(&span.trace_id) {
            *open -= 1;
            if *open == 0 {
                store.open.remove(&span.trace_id);
            }
        }
        store.record(span);
    }

    /// The finished traces that match, the newest first.
    #[must_use]
    pub fn list(&self, query: &RecentQuery) -> RecentPage {
        let store = self.0.lock();
        let wanted = query.root.as_deref().map(str::to_lowercase);
        let finished = || store.traces.iter().filter(|(id, _)| !store.open.contains_key(*id));
        let mut found: Vec<(&String, &Kept)> = finished()
            .filter(|(_, kept)| !query.errors_only || kept.error)
            .filter(|(_, kept)| kept.duration_micros() >= query.min_duration_micros)
            .filter(|(_, kept)| wanted.as_ref().is_none_or(|text| kept.root.to_lowercase().contains(text)))
            .collect();
        found.sort_unstable_by_key(|(_, kept)| std::cmp::Reverse((kept.first_micros, kept.arrived)));
        let mut roots = BTreeMap::new();
        for (_, kept) in finished() {
            *roots.entry(kept.root.clone()).or_default() += 1;
        }
        let page = found.iter().skip(query.skip).take(query.limit);
        RecentPage {
            traces: page.map(|(id, kept)| kept.summary(id)).collect(),
            found: found.len(),
            kept: store.traces.len(),
            roots,
            dropped: store.dropped,
        }
    }

    /// A trace by its id, finished or not; `None` when it is not kept, or not any more.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Option<RecentTrace> {
        let store = self.0.lock();
        let kept = store.traces.get(trace_id)?;
        let mut tree = kept.spans.clone();
        tree.sort_by_key(|span| (span.start_micros, std::cmp::Reverse(span.duration_micros)));
        Some(RecentTrace { summary: kept.summary(trace_id), tree })
    }
}

impl Store {
    fn record(&mut self, span: RecentSpan) {
        self.dropped.parts += u64::from(span.dropped);
        if !self.traces.contains_key(&span.trace_id) {
            self.make_room();
            self.arrived += 1;
            self.by_root.entry(span.name.clone()).or_default().push_back(span.trace_id.clone());
            self.traces.insert(span.trace_id.clone(), Kept::new(self.arrived, &span));
        }
        let Some(kept) = self.traces.get_mut(&span.trace_id) else { return };
        kept.see(&span);
        // Children end before their parent: the root has a name only when it comes itself.
        if span.parent_id.is_none() && kept.root != span.name {
            let old = std::mem::replace(&mut kept.root, span.name.clone());
            kept.service.clone_from(&span.service);
            rename(&mut self.by_root, &old, &span);
        }
        if kept.spans.len() < self.max_spans {
            kept.spans.push(span);
            return;
        }
        self.dropped.spans += 1;
        kept.dropped_spans += 1;
        // What holds the others together is worth more than the latest of many children.
        if span.parent_id.is_none() || span.parent_remote {
            kept.spans.pop();
            kept.spans.push(span);
        }
    }

    fn make_room(&mut self) {
        while self.traces.len() >= self.max_traces {
            // Of equally frequent roots, the one whose first trace is the oldest.
            let age = |ids: &VecDeque<String>| ids.front().and_then(|id| self.traces.get(id)).map(|kept| kept.arrived);
            let fullest = self.by_root.iter().max_by_key(|(_, ids)| (ids.len(), std::cmp::Reverse(age(ids))));
            let Some(root) = fullest.map(|(root, _)| root.clone()) else { return };
            if let Some(oldest) = self.by_root.get_mut(&root).and_then(VecDeque::pop_front) {
                self.traces.remove(&oldest);
                self.dropped.traces += 1;
            }
            if self.by_root.get(&root).is_some_and(VecDeque::is_empty) {
                self.by_root.remove(&root);
            }
        }
    }
}

fn rename(by_root: &mut BTreeMap<String, VecDeque<String>>, old: &str, span: &RecentSpan) {
    if let Some(ids) = by_root.get_mut(old) {
        ids.retain(|id| *id != span.trace_id);
        if ids.is_empty() {
            by_root.remove(old);
        }
    }
    by_root.entry(span.name.clone()).or_default().push_back(span.trace_id.clone());
}

impl Kept {
    fn new(arrived: u64, first: &RecentSpan) -> Self {
        Self {
            arrived,
            root: first.name.clone(),
            service: first.service.clone(),
            spans: Vec::new(),
            dropped_spans: 0,
            first_micros: first.start_micros,
            last_micros: first.end_micros(),
            error: false,
            services: BTreeSet::new(),
        }
    }

    fn see(&mut self, span: &RecentSpan) {
        self.first_micros = self.first_micros.min(span.start_micros);
        self.last_micros = self.last_micros.max(span.end_micros());
        self.error |= span.error;
        if !self.services.contains(&span.service) {
            self.services.insert(span.service.clone());
        }
    }

    fn duration_micros(&self) -> u64 {
        u64::try_from(self.last_micros.saturating_sub(self.first_micros)).unwrap_or_default()
    }

    fn summary(&self, trace_id: &str) -> RecentSummary {
        RecentSummary {
            trace_id: trace_id.to_owned(),
            root: self.root.clone(),
            service: self.service.clone(),
            start_micros: self.first_micros,
            duration_micros: self.duration_micros(),
            spans: self.spans.len(),
            dropped_spans: self.dropped_spans,
            error: self.error,
            services: self.services.iter().cloned().collect(),
        }
    }
}

#[cfg(test)]
mod tests;
