//! *Live*: predictions per second, latency and scores by version, kept up to date over server-sent events.

use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{self, State, Tile};
use crate::live::{self, Numbers, SECONDS, Watcher};
use crate::page::{self, NoQuery, Page};
use crate::security;
use axum::extract::State as Shared;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse as _, Response};
use futures::stream;
use maud::{Markup, html};
use serde::Serialize;
use std::convert::Infallible;
use std::sync::Arc;
use tidemill_plot::{Labels, Line, histogram, line_chart};

/// Live numbers at the time of loading.
#[derive(Serialize)]
pub(super) struct Live {
    #[serde(flatten)]
    numbers: Numbers,
}

impl Page for Live {
    type Query = NoQuery;

    async fn load(app: &App, _: NoQuery) -> Result<Self> {
        Ok(Self { numbers: live::numbers(app).await? })
    }

    fn view(&self) -> Markup {
        html! {
            div.toolbar {
                span #live-state role="status" { (layout::badge(State::Idle, "as of loading")) }
                button #live-pause type="button" hidden { "Pause" }
            }
            noscript { p.muted { "Without a script this page shows the numbers at the time of loading." } }
            div #live data-events="/live/events" { (view(&self.numbers)) }
        }
    }
}

/// The numbers, as they are drawn every second.
pub(crate) fn view(numbers: &Numbers) -> Markup {
    html! {
        (layout::tiles(&tiles(numbers)))
        (layout::columns(&[
            layout::panel("Predictions per second", "as they reach the log", &rate(numbers)),
            layout::panel("Latency", "median of the requests of each second", &latency(numbers)),
        ]))
        (layout::panel("Scores by version", &format!("the newest {} predictions", format::count(numbers.scored)), &scores(numbers)))
        @if numbers.skipped_messages > 0 {
            p.muted { (format::count(numbers.skipped_messages)) " messages came too fast to be looked at." }
        }
    }
}

fn tiles(numbers: &Numbers) -> Vec<Tile> {
    let now = numbers.per_second.last().copied();
    let minute: u64 = numbers.per_second.iter().sum();
    let ms =
        |value: Option<f64>| format::or_dash(value, |value| format::fixed(value, if value < 10.0 { 1 } else { 0 }));
    let latency = numbers.latency.as_ref();
    let requests = latency
        .map_or_else(|| "no request measured here".to_owned(), |l| format!("{} requests", format::count(l.requests)));
    let slow = |label: &str, value: Option<f64>, note: String| Tile {
        label: label.to_owned(),
        value: ms(value),
        unit: "ms".to_owned(),
        note,
        ..Tile::default()
    };
    vec![
        Tile {
            label: "Predictions".to_owned(),
            value: format::or_dash(now, format::count),
            unit: "per second".to_owned(),
            note: format!("{} in the last minute", format::count(minute)),
            ..Tile::default()
        },
        slow("Latency, median", latency.map(|l| l.p50_ms), requests),
        slow("Latency, 95 %", latency.map(|l| l.p95_ms), "of the last minute".to_owned()),
        slow("Latency, 99 %", latency.map(|l| l.p99_ms), "of the last minute".to_owned()),
    ]
}

/// Seconds before now, for a series whose newest value is last.
#[expect(clippy::cast_precision_loss, reason = "at most a minute")]
fn ago(len: usize) -> impl Iterator<Item = f64> {
    (0..len).map(move |at| at as f64 + 1.0 - len as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts become heights")]
fn rate(numbers: &Numbers) -> Markup {
    if numbers.per_second.is_empty() {
        return layout::empty("Seconds are counted while this page is open.", "tidemill predict --key KEY");
    }
    let points = ago(numbers.per_second.len()).zip(numbers.per_second.iter().map(|count| *count as f64)).collect();
    let x = format!("seconds before now, at most {SECONDS}");
    let labels = Labels { title: "Predictions per second", x: &x, y: "predictions" };
    line_chart(labels, &[Line { name: "predictions", points }], None)
}

fn latency(numbers: &Numbers) -> Markup {
    if numbers.latency_ms.iter().all(Option::is_none) {
        let what = "No request was answered in this process while the page was open.";
        return layout::empty(what, "tidemill predict --key KEY");
    }
    let values = numbers.latency_ms.iter().map(|value| value.unwrap_or(f64::NAN));
    let points = ago(numbers.latency_ms.len()).zip(values).collect();
    let labels = Labels { title: "Median latency", x: "seconds before now", y: "ms" };
    line_chart(labels, &[Line { name: "median", points }], None)
}

#[expect(clippy::cast_precision_loss, reason = "a few bins")]
fn scores(numbers: &Numbers) -> Markup {
    if numbers.versions.is_empty() {
        return layout::empty("No prediction was logged yet.", "tidemill predict --key KEY");
    }
    let charts = numbers.versions.iter().map(|version| {
        let name = version.version.map_or_else(|| version.model.chars().take(12).collect(), |v| format!("version {v}"));
        let title = format!("{name}, {} predictions", format::count(version.predictions));
        let bins = version.counts.len();
        let edges: Vec<f64> = (0..=bins).map(|at| at as f64 / bins as f64).collect();
        html! {
            h3 { (title) }
            (histogram(Labels { title: &title, x: "score", y: "predictions" }, &edges, &version.counts))
        }
    });
    html! { div.columns { @for chart in charts { div { (chart) } } } }
}

/// The stream of states of the page.
pub(super) async fn events(Shared(app): Shared<Arc<App>>, headers: HeaderMap) -> Response {
    let watcher = security::check_host(&app, &headers).and_then(|()| app.live.watch());
    let watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => return page::refusal(&app, &headers, true, &error),
    };
    let next = |(mut watcher, app): (Watcher, Arc<App>)| async move {
        // Open streams would keep the process from ending.
        let page = app.stop.run_until_cancelled(watcher.next()).await.flatten()?;
        Some((Ok::<_, Infallible>(Event::default().data(&*page)), (watcher, app)))
    };
    Sse::new(stream::unfold((watcher, app), next)).keep_alive(KeepAlive::default()).into_response()
}
