//! The story: January as bootstrap, then a year live, one month after the other.

use crate::demo::calendar::month_start;
use crate::demo::client::Clients;
use crate::demo::memory::peak_bytes;
use crate::demo::parity;
use crate::demo::report::{Month, PredictionCounts, Promotion, SourceCounts, Summary, say};
use crate::replay::{self, Publisher};
use crate::up::Running;
use anyhow::{Context, Result, bail};
use arrow::array::AsArray;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, TimestampMillisecondType};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use prost::Message as _;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_bus::Tail;
use tidemill_contracts::events::{CandidateEvaluated, Notice, notice};
use tidemill_contracts::subjects;
use tidemill_dataset::Table;
use tidemill_expr::Compiled;
use tidemill_telemetry::names;
use tidemill_types::{Millis, columns};

/// Event time published before predictions are asked for it; far inside the features' look-back.
const SLICE: i64 = 12 * 3_600_000;
/// Predictions in one request.
const ROWS_PER_REQUEST: usize = 1_000;
/// Longest wait for one turn of the loop.
const CYCLE_PATIENCE: Duration = Duration::from_secs(600);
/// Longest wait for the last outcomes and reports.
const SETTLE_PATIENCE: Duration = Duration::from_secs(120);
/// Event time after the last month in which its outcomes arrive and mature.
const AFTERMATH: i64 = 10 * 86_400_000;

/// Departures in the order of their predictions.
struct Departures {
    keys: Vec<i64>,
    as_of: Vec<Millis>,
    next: usize,
}

/// Tells the story up to the end of `last_month`.
pub(super) async fn tell(running: &Running, plan: &Path, data_dir: &Path, last_month: u32) -> Result<Summary> {
    let began = Instant::now();
    let bar = ProgressBar::new(u64::from(last_month));
    if std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        bar.set_style(ProgressStyle::with_template("{elapsed_precise} {bar:30} {pos}/{len} months  {msg}")?);
    } else {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let mut clients = Clients::connect(&running.endpoints, &running.spec).await?;
    let histories = replay::load(plan, &running.spec).await?;
    let mut departures = Departures::of(&histories, running)?;
    let mut publisher = Publisher::new(running.bus.clone(), running.spec.project.clone(), histories);
    let evaluated = subjects::notice(&running.spec.project, "candidate", "evaluated");
    let mut verdicts = running.bus.tail(subjects::NOTICES_STREAM, vec![evaluated]).await?;
    let mut summary = Summary::default();

    say("January is replayed as history …");
    let live = month_start(2);
    publisher.publish_until(live).await?;
    clients.train(live, "bootstrap").await?;
    let first = wait_for_verdict(&mut verdicts, live, running).await?;
    if !first.promoted {
        bail!("the first model did not pass its gates: {}", first.failed_gates.join("; "));
    }
    clients.wait_for_model(&first.model).await?;
    say(&format!("first champion {} after {:.0} s", short(&first.model), began.elapsed().as_secs_f64()));
    summary.promotions.push(first);
    bar.set_position(1);

    departures.skip_until(live);
    for month in 2..=last_month {
        let end = month_start(month + 1);
        let mut at = month_start(month);
        while at < end {
            at = Millis((at.0 + SLICE).min(end.0));
            publisher.publish_until(at).await?;
            departures.predict_until(at, &mut clients, &mut summary.predictions).await?;
        }
        bar.set_position(u64::from(month));
        say(&format!("{} is over after {:.0} s", month_name(month), began.elapsed().as_secs_f64()));
        if month < last_month {
            // A year would wait for the retrained model; so does the replay.
            let verdict = wait_for_verdict(&mut verdicts, end, running).await?;
            say(&format!(
                "  retrained: {} {}",
                short(&verdict.model),
                if verdict.promoted {
                    "is the new champion".into()
                } else {
                    format!("is not promoted: {}", verdict.failed_gates.join("; "))
                }
            ));
            if verdict.promoted {
                clients.wait_for_model(&verdict.model).await?;
            }
            summary.promotions.push(verdict);
        }
    }
    let end = month_start(last_month + 1);
    publisher.publish_until(Millis(end.0 + AFTERMATH)).await?;
    settle(running, &mut clients, &publisher, &mut summary, last_month).await?;
    let whole = clients.training_set(end, Millis(end.0 + AFTERMATH), "whole").await?;
    summary.parity = parity::compare(running, data_dir, live, end).await?;
    summary.parity.rows_retracted = clients.retracted().await?;
    if last_month == 12 {
        summary.fixed = fixed_protocol(running, &whole).await?;
    }
    summary.leaks = leaks(running).await;
    summary.seconds = began.elapsed().as_secs_f64();
    summary.peak_rss_bytes = peak_bytes(std::process::id()) + running.nats_pid.map_or(0, peak_bytes);
    bar.finish_and_clear();
    Ok(summary)
}

impl Departures {
    fn of(histories: &[replay::History], running: &Running) -> Result<Self> {
        let features = &running.spec.features;
        let entities = histories.iter().find(|h| h.source == features.entity.source);
        let rows = entities.context("the replay has no entities")?.rows();
        let as_of = Compiled::new(&features.as_of, &rows.schema())?.evaluate(rows)?;
        let as_of = as_of.as_primitive::<TimestampMillisecondType>().values().to_vec();
        let keys = rows.column_by_name(&features.entity.key).context("entities lack their key")?;
        let keys = cast(keys, &DataType::Int64)?.as_primitive::<Int64Type>().values().to_vec();
        let mut order: Vec<usize> = (0..keys.len()).collect();
        order.sort_by_key(|i| (as_of[*i], keys[*i]));
        Ok(Self {
            keys: order.iter().map(|i| keys[*i]).collect(),
            as_of: order.iter().map(|i| Millis(as_of[*i])).collect(),
            next: 0,
        })
    }

    /// Leaves out those whose prediction falls before `instant`.
    fn skip_until(&mut self, instant: Millis) {
        self.next = self.as_of.partition_point(|t| *t < instant);
    }

    async fn predict_until(
        &mut self,
        until: Millis,
        clients: &mut Clients,
        counts: &mut PredictionCounts,
    ) -> Result<()> {
        let end = self.as_of.partition_point(|t| *t < until);
        while self.next < end {
            let stop = (self.next + ROWS_PER_REQUEST).min(end);
            let (keys, as_of) = (&self.keys[self.next..stop], &self.as_of[self.next..stop]);
            counts.requested += keys.len() as u64;
            counts.answered += clients.predict(keys, as_of).await? as u64;
            self.next = stop;
        }
        Ok(())
    }
}

/// The verdict of the cycle with this instant.
async fn wait_for_verdict(verdicts: &mut Tail, as_of: Millis, running: &Running) -> Result<Promotion> {
    let deadline = Instant::now() + CYCLE_PATIENCE;
    while Instant::now() < deadline {
        if let Some(cause) = running.failure() {
            bail!("{cause}");
        }
        let Some(message) = verdicts.next_within(Duration::from_millis(500)).await? else {
            continue;
        };
        let notice = Notice::decode(message.payload.as_ref())?;
        if let Some(notice::Fact::CandidateEvaluated(fact)) = notice.fact
            && fact.as_of_ms == as_of.0
        {
            let CandidateEvaluated { model_digest, promoted, failed_gates, .. } = fact;
            return Ok(Promotion { cycle: notice.cycle_id, model: model_digest, promoted, failed_gates });
        }
    }
    bail!("the cycle of {as_of} gave no verdict within {} s", CYCLE_PATIENCE.as_secs())
}

/// Waits until everything published is stored, logged, joined and reported, and counts it.
async fn settle(
    running: &Running,
    clients: &mut Clients,
    publisher: &Publisher,
    summary: &mut Summary,
    last_month: u32,
) -> Result<()> {
    let deadline = Instant::now() + SETTLE_PATIENCE;
    let published: u64 = publisher.published().values().sum();
    loop {
        summary.events = count_events(running, publisher.published()).await?;
        let status = clients.monitor().await?;
        summary.predictions.logged = status.predictions;
        summary.outcomes_joined = status.joined;
        let months = clients.months().await?;
        let stored: u64 = summary.events.values().map(|s| s.rows + s.dead + s.duplicates).sum();
        let logged =
            status.predictions >= summary.predictions.answered && status.joined >= summary.predictions.answered;
        let complete = stored >= published && logged && months.len() as u32 + 1 >= last_month;
        if complete || Instant::now() >= deadline {
            summary.months = months_of(&months, &summary.promotions);
            return count_doubled(running, &mut summary.events).await;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn count_events(
    running: &Running,
    published: &BTreeMap<tidemill_types::SourceName, u64>,
) -> Result<BTreeMap<String, SourceCounts>> {
    let mut events = BTreeMap::new();
    for (source, published) in published {
        let table = Table::open(&running.storage, &format!("raw/{}/{source}", running.spec.project)).await?;
        let rows = table.load().await?.num_rows();
        let labels = [("source", source.as_str())];
        let dead = running.metrics.counter(names::INGESTION_DEAD_LETTERS).with(&labels).get();
        let duplicates = running.metrics.counter(names::INGESTION_DUPLICATES).with(&labels).get();
        let lost = i64::try_from(*published)? - i64::try_from(rows + dead + duplicates)?;
        events.insert(
            source.to_string(),
            SourceCounts { published: *published, rows, dead, duplicates, lost, doubled: 0 },
        );
    }
    Ok(events)
}

/// Counts rows whose place in the stream occurs more than once.
async fn count_doubled(running: &Running, events: &mut BTreeMap<String, SourceCounts>) -> Result<()> {
    for (source, counts) in events {
        let table = Table::open(&running.storage, &format!("raw/{}/{source}", running.spec.project)).await?;
        let snapshot = table.load().await?;
        let mut scan = table.scan(&snapshot, Some(&[columns::SEQ, columns::ROW]), None);
        let mut seen: HashSet<(i64, i64)> = HashSet::new();
        while let Some(batch) = scan.next().await? {
            let seq = cast(batch.column(0), &DataType::Int64)?;
            let row = cast(batch.column(1), &DataType::Int64)?;
            let places = seq.as_primitive::<Int64Type>().values().iter().zip(row.as_primitive::<Int64Type>().values());
            counts.doubled += places.filter(|(s, r)| !seen.insert((**s, **r))).count() as u64;
        }
    }
    Ok(())
}

fn months_of(reports: &[serde_json::Value], promotions: &[Promotion]) -> Vec<Month> {
    let number = |report: &serde_json::Value, path: &str| report.pointer(path).and_then(serde_json::Value::as_f64);
    let month = |report: &serde_json::Value| {
        let start = report.pointer("/start_date").and_then(serde_json::Value::as_str).unwrap_or_default();
        let name: String = start.chars().take(7).collect();
        let outcomes = number(report, "/outcomes").unwrap_or_default();
        let drifted =
            report.pointer("/drift/actionable").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        let tag = name.replace('-', "");
        Month {
            flights: number(report, "/predictions").unwrap_or_default() as u64,
            disrupted: number(report, "/positives").unwrap_or_default() / outcomes.max(1.0),
            auc_january: number(report, "/performance/shadow/roc_auc/value"),
            auc_champion: number(report, "/performance/champion/roc_auc/value"),
            precision_at_budget: number(report, "/performance/champion/precision_at_budget/value"),
            kpi: number(report, "/kpi/value"),
            drifted_features: drifted.iter().filter_map(|d| d.as_str().map(str::to_owned)).collect(),
            promoted: promotions.iter().any(|p| p.promoted && p.cycle.contains(&tag)),
            month: name,
        }
    };
    reports.iter().map(month).collect()
}

/// Trains on the first half of the year and tests on the second, as the reference does.
async fn fixed_protocol(running: &Running, training_set: &str) -> Result<serde_json::Value> {
    let split = month_start(7);
    let report =
        tidemill_training::static_protocol(&running.storage, &running.spec, training_set, split, split).await?;
    let mut values = serde_json::to_value(&report.model)?;
    if let Some(values) = values.as_object_mut() {
        values.insert("baselines".to_owned(), serde_json::to_value(&report.baselines)?);
        values.insert("train_rows".to_owned(), report.train_rows.into());
        values.insert("rows".to_owned(), report.rows.into());
    }
    Ok(values)
}

/// What the leak checks of the first cycle named.
async fn leaks(running: &Running) -> serde_json::Value {
    let prefix = format!("runs/{}", running.spec.project);
    let Ok(mut objects) = running.storage.list(&prefix).await else {
        return serde_json::Value::Null;
    };
    objects.retain(|o| o.path.ends_with(".json") && o.path.matches('/').count() == 2);
    objects.sort_by(|a, b| a.path.cmp(&b.path));
    let Some(first) = objects.first() else {
        return serde_json::Value::Null;
    };
    let run = running.storage.get(&first.path).await.unwrap_or_default();
    let run: serde_json::Value = serde_json::from_slice(&run).unwrap_or_default();
    run.get("leaks").cloned().unwrap_or_default()
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn month_name(month: u32) -> &'static str {
    const NAMES: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    NAMES.get(month as usize - 1).copied().unwrap_or("the month")
}
