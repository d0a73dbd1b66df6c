//! The metrics of a process and their text form.
//!
//! A metric is reached by a constant of [`crate::names`], so that none can exist outside the list or under the wrong
//! type. Asking twice for one name gives the same family. Nothing is shown before it has a sample.

use crate::names::{
    CounterName, GaugeName, HistogramName, Metric, PROCESS_CPU_SECONDS, PROCESS_OPEN_FILES, PROCESS_RESIDENT_BYTES,
    PROCESS_THREADS, PROCESS_UPTIME_SECONDS,
};
use crate::process::{Facts, facts};
use parking_lot::Mutex;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use prometheus_client::registry::Registry;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Instant;

/// Label names and values, in a fixed order per metric.
pub type Labels = Vec<(&'static str, String)>;
type FloatGauge = Gauge<f64, AtomicU64>;

/// Media type of [`Metrics::render`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A counter for each set of labels.
#[derive(Clone, Debug)]
pub struct Counters(Family<Labels, Counter>);

/// A gauge for each set of labels.
#[derive(Clone, Debug)]
pub struct Gauges(Family<Labels, FloatGauge>);

/// A histogram for each set of labels.
#[derive(Clone, Debug)]
pub struct Histograms(Family<Labels, Histogram, fn() -> Histogram>);
type Seconds = Counter<f64, AtomicU64>;

fn labels(pairs: &[(&'static str, &str)]) -> Labels {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

impl Counters {
    /// The counter of one set of labels: keep it where it is used often.
    #[must_use]
    pub fn with(&self, pairs: &[(&'static str, &str)]) -> Counter {
        self.0.get_or_create_owned(&labels(pairs))
    }

    /// Adds to the counter of one set of labels.
    pub fn add(&self, pairs: &[(&'static str, &str)], count: u64) {
        self.with(pairs).inc_by(count);
    }
}

impl Gauges {
    /// The gauge of one set of labels.
    #[must_use]
    pub fn with(&self, pairs: &[(&'static str, &str)]) -> Gauge<f64, AtomicU64> {
        self.0.get_or_create_owned(&labels(pairs))
    }

    /// Sets the gauge of one set of labels.
    pub fn set(&self, pairs: &[(&'static str, &str)], value: f64) {
        self.with(pairs).set(value);
    }
}

impl Histograms {
    /// The histogram of one set of labels: keep it where it is used often.
    #[must_use]
    pub fn with(&self, pairs: &[(&'static str, &str)]) -> Histogram {
        self.0.get_or_create_owned(&labels(pairs))
    }

    /// Observes one value, in the unit of the metric.
    pub fn observe(&self, pairs: &[(&'static str, &str)], value: f64) {
        self.with(pairs).observe(value);
    }
}

// 0.25 ms to 2,097 s, doubling: wide enough for a read and for a training run.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.000_25, 2.0, 24))
}

// 0.05 to 0.95 and the rest, in equal steps.
fn probability() -> Histogram {
    Histogram::new(linear_buckets(0.05, 0.05, 19))
}

/// The encoder appends `_total` to the name of a counter.
fn stem(name: &'static str) -> &'static str {
    name.strip_suffix("_total").unwrap_or(name)
}

enum Registered {
    Counter(Counters),
    Gauge(Gauges),
    Histogram(Histograms),
}

struct State {
    registry: Registry,
    registered: BTreeMap<&'static str, Registered>,
    cpu: Seconds,
}

/// All metrics of a process. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    state: Arc<Mutex<State>>,
    started: Instant,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.state.lock().registered.keys()).finish()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// No metric but those of the process itself.
    #[must_use]
    pub fn new() -> Self {
        let (mut registry, cpu) = (Registry::default(), Seconds::default());
        registry.register(stem(PROCESS_CPU_SECONDS.0.name), PROCESS_CPU_SECONDS.0.help, cpu.clone());
        let state = State { registry, registered: BTreeMap::new(), cpu };
        Self { state: Arc::new(Mutex::new(state)), started: Instant::now() }
    }

    /// The counters of one name.
    #[must_use]
    pub fn counter(&self, name: CounterName) -> Counters {
        let mut state = self.state.lock();
        if let Some(Registered::Counter(known)) = state.registered.get(name.0.name) {
            return known.clone();
        }
        let new = Counters(Family::default());
        state.registry.register(stem(name.0.name), name.0.help, new.0.clone());
        state.registered.insert(name.0.name, Registered::Counter(new.clone()));
        new
    }

    /// The gauges of one name.
    #[must_use]
    pub fn gauge(&self, name: GaugeName) -> Gauges {
        let mut state = self.state.lock();
        if let Some(Registered::Gauge(known)) = state.registered.get(name.0.name) {
            return known.clone();
        }
        let new = Gauges(Family::default());
        state.registry.register(name.0.name, name.0.help, new.0.clone());
        state.registered.insert(name.0.name, Registered::Gauge(new.clone()));
        new
    }

    /// The histograms of one name.
    #[must_use]
    pub fn histogram(&self, name: HistogramName) -> Histograms {
        let mut state = self.state.lock();
        if let Some(Registered::Histogram(known)) = state.registered.get(name.0.name) {
            return known.clone();
        }
        let buckets = if name.0.unit == "probability" { probability } else { seconds };
        let new = Histograms(Family::new_with_constructor(buckets as fn() -> Histogram));
        state.registry.register(name.0.name, name.0.help, new.0.clone());
        state.registered.insert(name.0.name, Registered::Histogram(new.clone()));
        new
    }

    /// The OpenMetrics text of all metrics, ending with `# EOF`.
    #[must_use]
    pub fn render(&self) -> String {
        self.gauge(PROCESS_UPTIME_SECONDS).set(&[], self.started.elapsed().as_secs_f64());
        if let Some(Facts { resident_bytes, threads, open_files, cpu_seconds }) = facts() {
            self.gauge(PROCESS_RESIDENT_BYTES).set(&[], resident_bytes);
            self.gauge(PROCESS_THREADS).set(&[], threads);
            self.gauge(PROCESS_OPEN_FILES).set(&[], open_files);
            let cpu = self.state.lock().cpu.clone();
            cpu.inc_by((cpu_seconds - cpu.get()).max(0.0));
        }
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.state.lock().registry) {
            Ok(()) => text,
            // Writing to a string cannot fail; a comment keeps the text valid if a label ever does.
            Err(_) => "# metrics could not be written\n# EOF\n".to_owned(),
        }
    }
}

/// The list as a Markdown table, for the manual.
#[must_use]
pub fn describe(list: &[Metric]) -> String {
    let mut text = String::from("| metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n");
    for metric in list {
        let kind = format!("{:?}", metric.kind).to_lowercase();
        text.push_str(&format!(
            "| `{}` | {kind} | {} | {} | {} |\n",
            metric.name,
            metric.unit,
            metric.labels.join(", "),
            metric.help
        ));
    }
    text
}
