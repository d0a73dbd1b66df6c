//! Sources that fall silent: an alert without any event, once, and its end with the next one. Sources that are refused:
//! the same, as another role tells it.

use anyhow::{Context as _, Result, ensure};
use prost::Message as _;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tidemill_bus::{Entry, OrderedReader};
use tidemill_contracts::events::{Notice, notice::Fact};
use tidemill_contracts::monitoring::StatusRequest;
use tidemill_contracts::monitoring::monitoring_service_client::MonitoringServiceClient;
use tidemill_contracts::subjects;
use tidemill_monitoring::{MonitoringError, Options};
use tidemill_registry::{Registry, TrustedKeys};
use tidemill_spec::Spec;
use tidemill_telemetry::Metrics;
use tidemill_testkit::eventually;
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::rig::make_streams;
use tidemill_tests::{Published, Rig};
use tidemill_types::SourceName;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Longest wait for what should come.
const SOON: Duration = Duration::from_secs(60);
/// What both sources promise, in seconds.
const PROMISE_S: f64 = 3.0;

/// Monitoring in this process.
struct Monitoring {
    url: String,
    metrics: Metrics,
    stop: CancellationToken,
    task: JoinHandle<Result<(), MonitoringError>>,
}

impl Monitoring {
    async fn start(rig: &Rig) -> Result<Self> {
        let (bus, listener) = (rig.nats.bus().await?, TcpListener::bind("127.0.0.1:0").await?);
        let (url, metrics) = (format!("http://{}", listener.local_addr()?), Metrics::new());
        let stop = CancellationToken::new();
        let deps = tidemill_monitoring::Deps {
            registry: Registry::open(&bus).await?,
            bus,
            storage: rig.store.storage().clone(),
            trusted: TrustedKeys::default(),
            spec: Arc::clone(&rig.spec),
            options: Options::default(),
            metrics: metrics.clone(),
            listener,
        };
        Ok(Self { url, metrics, task: tokio::spawn(tidemill_monitoring::run(deps, stop.clone())), stop })
    }

    async fn stop(self) -> Result<()> {
        self.stop.cancel();
        Ok(self.task.await??)
    }

    /// A gauge of a source, as Prometheus sees it.
    fn gauge(&self, name: &str, source: &str) -> Option<f64> {
        let wanted = format!("tidemill_monitoring_{name}{{source=\"{source}\"}} ");
        self.metrics.render().lines().find_map(|line| line.strip_prefix(&wanted)?.parse().ok())
    }

    /// Waits until nothing has come from the source for so long.
    async fn silent_for(&self, seconds: f64) -> Result<()> {
        let is_silent = || async { self.gauge("source_lag_seconds", "readings").is_some_and(|lag| lag > seconds) };
        ensure!(eventually(SOON, is_silent).await, "the source is not silent: {}", self.metrics.render());
        Ok(())
    }

    /// The board of alerts.
    async fn alerts(&self) -> Result<Vec<Value>> {
        let request = StatusRequest { project: "meters".to_owned() };
        let answer = MonitoringServiceClient::connect(self.url.clone()).await?.status(request).await?;
        Ok(answer.into_inner().alerts_json.iter().map(|text| serde_json::from_str(text)).collect::<Result<_, _>>()?)
    }
}

/// Facts about alerts, oldest first, up to the first of an alert that is over.
async fn told(rig: &Rig) -> Result<Vec<Fact>> {
    let mut reader = OrderedReader::open(&rig.bus, subjects::NOTICES_STREAM, 1).await?;
    let mut facts = Vec::new();
    loop {
        let entries = reader.next_ready(100, 1 << 20, SOON).await?;
        ensure!(!entries.is_empty(), "nobody said that it is over, but {facts:?}");
        for message in entries.iter().filter_map(Entry::message) {
            match Notice::decode(message.payload.clone())?.fact {
                Some(fact @ Fact::AlertRaised(_)) => facts.push(fact),
                Some(fact @ Fact::AlertResolved(_)) => {
                    facts.push(fact);
                    return Ok(facts);
                }
                _ => {}
            }
        }
    }
}

/// Two sources that make the same promise; one says of its rows that they were known years ago.
fn spec() -> Result<Spec> {
    let promise = format!("event_time: at\n    fresh_within: {PROMISE_S}s\n    columns:");
    let columns = "\n      n: {type: int64}\n      at: {type: timestamp}\n      meter: {type: string}\n      \
                   value: {type: float64, nullable: true}\n";
    let history = format!("\n  history:\n    key: [n]\n    known_at: at\n    {promise}{columns}\nquality:");
    let text = include_str!("../data/meters.yaml").replacen("event_time: at\n    columns:", &promise, 1);
    Spec::parse(&text.replacen("\nquality:", &history, 1)).context("two sources with a promise")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_is_one_alert_without_any_event_across_a_restart_and_over_with_the_next() -> Result<()> {
    let mut rig = Rig::start().await?;
    rig.spec = Arc::new(spec()?);
    make_streams(&rig.bus, &rig.spec).await?;
    let (ingestion, validation) = (rig.ingestion().await?, rig.validation().await?);
    let monitoring = Monitoring::start(&rig).await?;
    let history: SourceName = "history".parse().map_err(|e| anyhow::anyhow!("{e:?}"))?;
    let replayed = Messages::of(&history)?.readings(Form::Array, 0..5)?;
    Published::default().publish(&rig.bus, &[(replayed, 5)]).await?;
    let messages = Messages::new()?;
    Published::default().publish(&rig.bus, &[(messages.readings(Form::Array, 0..5)?, 5)]).await?;

    // Nothing comes any more; many looks see the same silence, and another process sees it too.
    monitoring.silent_for(2.0 * PROMISE_S).await?;
    assert_eq!(monitoring.gauge("stale_sources", "readings"), Some(1.0));
    assert_eq!(monitoring.gauge("stale_sources", "history"), Some(0.0), "what is replayed is judged by no clock");
    monitoring.stop().await?;
    let monitoring = Monitoring::start(&rig).await?;
    monitoring.silent_for(3.0 * PROMISE_S).await?;

    Published::default().publish(&rig.bus, &[(messages.readings(Form::Array, 5..6)?, 1)]).await?;
    let facts = told(&rig).await?;
    let [Fact::AlertRaised(raised), Fact::AlertResolved(resolved)] = facts.as_slice() else {
        anyhow::bail!("not one alert and its end: {facts:?}");
    };
    assert_eq!((raised.rule.as_str(), raised.severity.as_str()), ("stale.readings", "page"));
    assert!(raised.text.contains("promised within 3 s"), "{}", raised.text);
    assert_eq!(resolved.rule, raised.rule);
    assert!(resolved.raised_at_ms < resolved.resolved_at_ms);
    let is_over = |alert: &Value| alert["raised_at"] == resolved.raised_at_ms && alert["resolved_at"].is_i64();
    let stands = || async { monitoring.alerts().await.is_ok_and(|alerts| alerts.first().is_some_and(is_over)) };
    assert!(eventually(SOON, stands).await, "{:?}", monitoring.alerts().await);
    for running in [ingestion.stop().await, validation.stop().await, monitoring.stop().await] {
        running?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_events_are_one_alert_where_all_are_shown_across_restarts_and_over_when_few_are_refused() -> Result<()>
{
    let rig = Rig::start().await?;
    let options = tidemill_ingestion::Options {
        commit_age: Duration::from_millis(50),
        dead_window: 20,
        ..tidemill_ingestion::Options::default()
    };
    let ingestion = rig.ingestion_with(rig.store.storage(), options.clone()).await?;
    let monitoring = Monitoring::start(&rig).await?;
    let messages = Messages::new()?;
    let bad = |n: i32| messages.event("application/json", &format!("bad-{n}"), br#"{"n":"x"}"#.to_vec());
    let refused = (0..12).map(|n| Ok((bad(n)?, 0))).collect::<Result<Vec<_>>>()?;
    let mut published = Published::default();
    rig.caught_up(published.publish(&rig.bus, &refused).await?).await?;
    let one = async |monitoring: &Monitoring, is_over: bool| -> bool {
        let Ok(alerts) = monitoring.alerts().await else { return false };
        let [alert] = alerts.as_slice() else { return false };
        (&alert["rule"], &alert["source"]) == (&"dead_letters".into(), &"readings".into())
            && alert["elsewhere"] == true
            && alert["resolved_at"].is_i64() == is_over
    };
    let stands = eventually(SOON, || async { one(&monitoring, false).await });
    ensure!(stands.await, "it is not shown: {:?}", monitoring.alerts().await);

    ingestion.stop().await?;
    monitoring.stop().await?;
    let ingestion = rig.ingestion_with(rig.store.storage(), options).await?;
    let monitoring = Monitoring::start(&rig).await?;
    let stands = eventually(SOON, || async { one(&monitoring, false).await });
    ensure!(stands.await, "it is forgotten: {:?}", monitoring.alerts().await);
    let good = (messages.readings(Form::Array, 0..400)?, 400);
    rig.caught_up(published.publish(&rig.bus, &[good]).await?).await?;
    let over = eventually(SOON, || async { one(&monitoring, true).await });
    ensure!(over.await, "it is not over: {:?}", monitoring.alerts().await);
    for running in [ingestion.stop().await, monitoring.stop().await] {
        running?;
    }
    Ok(())
}
