//! Installing the subscriber, and flushing it at the end.

use crate::error::Error;
use crate::export::{ByRole, resource};
use crate::json::JsonLine;
use crate::metrics::Metrics;
use crate::recent::{Keeper, Recent};
use crate::role::Roles;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider};
use std::io::IsTerminal as _;
use std::time::Duration;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// Whether logs are JSON.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum JsonLogs {
    /// JSON unless standard error is a terminal.
    #[default]
    Auto,
    /// Always JSON.
    On,
    /// Always text.
    Off,
}

/// What [`init`] sets up.
#[derive(Clone, Debug)]
pub struct TelemetryOptions {
    /// Name of this process in traces, for example `tidemill-serving`.
    pub service: String,
    /// OTLP over gRPC, for example `http://127.0.0.1:4317`; `None` sends nothing.
    pub otlp_endpoint: Option<String>,
    /// What is logged and traced, for example `info,tidemill_bus=debug`.
    pub log: String,
    /// Whether logs are JSON.
    pub json_logs: JsonLogs,
    /// Share of new traces that is recorded, 0 to 1; a trace begun elsewhere follows the decision made there.
    pub sample_ratio: f64,
    /// Roles that this process may play; their spans carry `tidemill-<role>` as the name of the service.
    pub roles: Vec<&'static str>,
}

impl TelemetryOptions {
    /// Logs of level info on standard error, no export, every trace recorded.
    #[must_use]
    pub fn new(service: impl Into<String>) -> Self {
        let log = "info".to_owned();
        Self {
            service: service.into(),
            otlp_endpoint: None,
            log,
            json_logs: JsonLogs::Auto,
            sample_ratio: 1.0,
            roles: Vec::new(),
        }
    }
}

/// Telemetry of a process while it runs. Call [`Telemetry::shutdown`] at the end, or the last spans may be lost.
#[derive(Debug)]
pub struct Telemetry {
    provider: SdkTracerProvider,
    metrics: Metrics,
    recent: Recent,
}

const FLUSH_LIMIT: Duration = Duration::from_secs(5);
/// Spans that wait to be sent; a replay of a year makes thousands in a second.
const QUEUE: usize = 65_536;
/// Longest wait before spans are sent.
const SEND_EVERY: Duration = Duration::from_secs(1);

/// Sets up logs, traces and metrics for the whole process, once.
///
/// # Errors
/// An unreadable filter or endpoint, an endpoint outside a tokio runtime, or a second call.
pub fn init(options: &TelemetryOptions) -> Result<Telemetry, Error> {
    let filter = EnvFilter::try_new(&options.log)
        .map_err(|e| Error::Filter { filter: options.log.clone(), reason: e.to_string() })?;
    let recent = Recent::default();
    let provider = provider(options, recent.clone())?;
    let spans = tracing_opentelemetry::layer()
        .with_tracer(provider.tracer("tidemill"))
        .with_location(false)
        .with_threads(false)
        .with_tracked_inactivity(false);
    let terminal = std::io::stderr().is_terminal();
    let json = match options.json_logs {
        JsonLogs::Auto => !terminal,
        JsonLogs::On => true,
        JsonLogs::Off => false,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = if json {
        lines.event_format(JsonLine).with_filter(filter).boxed()
    } else {
        lines.with_ansi(terminal).with_target(false).compact().with_filter(filter).boxed()
    };
    // Quiet logs must not cost the trace ids: spans exist whatever the logs show.
    // The span layer comes first, so that the ids of a span exist when its lines are written.
    // Spans of libraries stay out: their names and fields are not ours to promise.
    let ours = filter_fn(|meta| *meta.level() <= Level::INFO && meta.target().starts_with("tidemill"));
    tracing_subscriber::registry().with(spans.with_filter(ours)).with(lines).try_init().map_err(|_| Error::Twice)?;
    Ok(Telemetry { provider, metrics: Metrics::new(), recent })
}

fn provider(options: &TelemetryOptions, recent: Recent) -> Result<SdkTracerProvider, Error> {
    let root: Sampler =
        if options.sample_ratio >= 1.0 { Sampler::AlwaysOn } else { Sampler::TraceIdRatioBased(options.sample_ratio) };
    let roles = Roles { process: options.service.clone(), known: options.roles.clone() };
    let builder = SdkTracerProvider::builder()
        .with_sampler(Sampler::ParentBased(Box::new(root)))
        .with_resource(resource(&options.service))
        .with_span_processor(Keeper { recent, roles: roles.clone() });
    let Some(endpoint) = &options.otlp_endpoint else { return Ok(builder.build()) };
    if tokio::runtime::Handle::try_current().is_err() {
        return Err(Error::NoRuntime);
    }
    let exporter =
        ByRole::new(endpoint, roles).map_err(|reason| Error::Exporter { endpoint: endpoint.clone(), reason })?;
    let limits = BatchConfigBuilder::default().with_max_queue_size(QUEUE).with_scheduled_delay(SEND_EVERY).build();
    Ok(builder.with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(limits).build()).build())
}

impl Telemetry {
    /// The metrics of the process.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        self.metrics.clone()
    }

    /// The latest traces of the process.
    #[must_use]
    pub fn recent(&self) -> Recent {
        self.recent.clone()
    }

    /// Sends what is still buffered, for at most five seconds. A backend that cannot be reached is logged, not an error.
    pub async fn shutdown(self) {
        let provider = self.provider;
        // Flushing blocks: on a runtime with one worker it would wait for itself.
        let flushed = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(FLUSH_LIMIT)).await;
        match flushed {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::info!(%error, "the last spans could not be sent"),
            Err(error) => tracing::info!(%error, "flushing spans was interrupted"),
        }
    }
}
