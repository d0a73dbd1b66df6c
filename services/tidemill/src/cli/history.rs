//! `events replay`: history published in the order in which it became known, going on where it stopped.

use super::output::{Output, next, say};
use super::progress;
use crate::error::{Error, Result};
use crate::replay::{self, Publisher};
use serde_json::json;
use std::path::Path;
use std::time::Duration;
use tidemill_bus::{Bus, OrderedReader};
use tidemill_contracts::{headers, subjects};
use tidemill_spec::Spec;
use tidemill_types::Millis;
use tokio::time::Instant;

/// Messages read at once.
const MESSAGES_AT_ONCE: usize = 500;

/// Publishes the events of a plan that are known by `until`, as fast as `speed` allows.
pub(super) async fn replay(
    bus: &Bus,
    out: Output,
    spec: Spec,
    plan: &Path,
    speed: Option<f64>,
    until: Option<Millis>,
) -> Result<u8> {
    if speed.is_some_and(|speed| !(speed.is_finite() && speed > 0.0)) {
        return Err(Error::Usage("--speed must be above zero".to_owned()));
    }
    let mut histories = replay::load(plan, &spec).await.map_err(Error::Story)?;
    let spans = histories.iter().filter_map(replay::History::span);
    let Some((first, last)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Err(Error::Rows { path: plan.to_owned(), reason: "the plan yields no events".to_owned() });
    };
    let end = until.map_or(last, |until| until.min(last));
    // What an earlier replay published is left out: other slices would carry the same rows under other ids.
    let mut known = Some(Millis::MAX);
    for history in &mut histories {
        let mark = watermark(bus, &subjects::events_stream(&spec.project, &history.source)).await?;
        if let Some(mark) = mark {
            history.take_until(mark);
        }
        known = known.min(mark);
    }
    let begin = known.map_or(first, |known| known.max(first));
    if begin >= end {
        say(&format!("everything until {end} was published before"));
    } else if begin > first {
        say(&format!("going on after {begin}, until which history was published before"));
    }
    let (first, end) = (begin, end.max(begin));
    let began = Instant::now();
    let mut publisher = Publisher::new(bus.clone(), spec.project, histories);
    let bar = progress::bar(u64::try_from((end.0 - first.0).max(1)).unwrap_or(1), "history (ms)");
    // At full speed slices of an hour; at a pace, slices of a tenth of a second of our time.
    #[expect(clippy::cast_possible_truncation, reason = "a slice of history is far below 2^63 ms")]
    let step = speed.map_or(3_600_000, |speed| ((speed * 100.0) as i64).clamp(1, 3_600_000));
    let (mut at, mut rows) = (first, 0);
    loop {
        at = Millis((at.0 + step).min(end.0));
        rows += publisher.publish_until(at).await.map_err(Error::Story)?;
        bar.set_position(u64::try_from(at.0 - first.0).unwrap_or_default());
        if at >= end {
            break;
        }
        if let Some(speed) = speed {
            #[expect(clippy::cast_precision_loss, reason = "a pace in seconds needs no more")]
            let due = Duration::from_secs_f64((at.0 - first.0) as f64 / 1_000.0 / speed);
            tokio::time::sleep_until(began + due).await;
        }
    }
    bar.finish_and_clear();
    out.record(&json!({
        "rows": rows,
        "by_source": publisher.published(),
        "from": first.to_string(),
        "to": end.to_string(),
        "seconds": began.elapsed().as_secs_f64(),
    }))?;
    next("tidemill train; or tidemill status");
    Ok(0)
}

/// Messages at the end of a stream among which the last watermark is looked for.
const LOOK_BACK: u64 = 1_000;

/// The instant until which a replay has published a source; `None` when none has, or long ago.
async fn watermark(bus: &Bus, stream: &str) -> Result<Option<Millis>> {
    let state = bus.stream_state(stream).await?;
    let mut at = state.last_seq.saturating_sub(LOOK_BACK).max(state.first_seq);
    if state.messages == 0 {
        return Ok(None);
    }
    let mut reader = OrderedReader::open(bus, stream, at).await?;
    let mut found = None;
    while at <= state.last_seq {
        for entry in reader.next_ready(MESSAGES_AT_ONCE, 64 << 20, Duration::from_secs(5)).await? {
            at = entry.seq() + 1;
            let mark = entry.message().and_then(|message| message.headers.get(headers::WATERMARK)?.parse().ok());
            found = found.max(mark.map(Millis));
        }
    }
    Ok(found)
}
