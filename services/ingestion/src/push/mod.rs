//! Events over HTTP, for those who have no client of the bus. An answer of 202 means that the bus has the events on disk.

mod door;
mod event;
mod refusal;

use crate::Deps;
use crate::error::IngestionError;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::post;
use event::Event;
use refusal::PushError;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_bus::{BatchPublisher, Outgoing};
use tidemill_conform::{Conform, MessageIn, Reject};
use tidemill_contracts::subjects;
use tidemill_telemetry::names;
use tidemill_types::{Classified as _, Millis, SourceName};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Largest body; the bus takes no larger message.
const BODY_BYTES: usize = 8 << 20;
/// Most events of one request.
const EVENTS: usize = 1_000;
/// Refused rows that an answer names.
const NAMED: usize = 20;

/// What requests share.
struct Push {
    deps: Arc<Deps>,
    conforms: BTreeMap<SourceName, Arc<Conform>>,
    /// Each request in hand holds one: its body and rows are in memory.
    places: Arc<Semaphore>,
}

/// Answers until `stop`; requests that are under way are finished.
pub(crate) async fn serve(
    deps: Arc<Deps>,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let mut conforms = BTreeMap::new();
    for (name, source) in &deps.spec.sources {
        conforms.insert(name.clone(), Arc::new(Conform::new(&source.conform_schema())?));
    }
    let places = Arc::new(Semaphore::new(deps.options.push_requests));
    let push = Arc::new(Push { deps, conforms, places });
    let routes = Router::new()
        .route("/v1/events/{source}", post(take))
        .fallback(|| async { Response::from(PushError::Route) })
        .with_state(push);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    served.map_err(|e| IngestionError::Task(e.to_string()))
}

async fn take(
    State(push): State<Arc<Push>>,
    Path(source): Path<String>,
    request: Request,
) -> Result<Response, PushError> {
    let taken = push.take(&source, request).await;
    let code = match &taken {
        Ok(_) => "202".to_owned(),
        Err(error) => error.code().to_string(),
    };
    // Names from outside are no labels.
    let known = push.conforms.keys().find(|name| name.as_str() == source).map_or("", SourceName::as_str);
    push.deps.metrics.counter(names::INGESTION_PUSHES).add(&[("source", known), ("code", &code)], 1);
    taken
}

impl Push {
    async fn take(self: &Arc<Self>, source: &str, request: Request) -> Result<Response, PushError> {
        let options = &self.deps.options;
        let (head, body) = request.into_parts();
        door::admit(options, &head.headers)?;
        let unknown = || PushError::Source(source.chars().take(48).collect());
        let name: SourceName = source.parse().map_err(|_| unknown())?;
        let conform = self.conforms.get(&name).cloned().ok_or_else(unknown)?;
        let busy = |_| PushError::Busy { limit: options.push_requests };
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(busy)?;
        let body = self.body(body).await?;
        let (push, subject) = (Arc::clone(self), subjects::events(&self.deps.spec.project, &name));
        let parent = tidemill_telemetry::current_traceparent();
        // The place goes along: a sender who hangs up does not stop the reading.
        let read = tokio::task::spawn_blocking(move || (push.read(&head.headers, body, &name, &conform), name, place));
        let (read, name, _place) = read.await.map_err(|e| PushError::Task(e.to_string()))?;
        let (events, seen) = read?;
        let messages = events.iter().map(|event| event.message(&subject, parent.as_deref()));
        let messages = messages.collect::<Result<Vec<Outgoing>, PushError>>()?;
        let ack = BatchPublisher::new(&self.deps.bus).publish(&messages).await?;
        let told = json!({
            "source": name,
            "events": events.len(),
            "rows": seen.rows,
            "refused_rows": seen.refused,
            "refused": seen.named,
            "known_already": ack.duplicates,
            "ids": events.iter().map(|event| event.head.id.as_str()).collect::<Vec<_>>(),
            "last_sequence": ack.last_sequence(),
        });
        Ok((StatusCode::ACCEPTED, Json(told)).into_response())
    }

    /// A whole body of at most [`BODY_BYTES`], in time.
    async fn body(&self, body: Body) -> Result<Bytes, PushError> {
        let limit = self.deps.options.push_body_time;
        let read = tokio::time::timeout(limit, axum::body::to_bytes(body, BODY_BYTES)).await;
        let unread = |e: axum::Error| PushError::Body { limit: BODY_BYTES, reason: e.to_string() };
        read.map_err(|_| PushError::Slow(limit))?.map_err(unread)
    }

    /// The events of a request and what the intake will make of them. Takes as long as their rows need.
    fn read(
        &self,
        headers: &HeaderMap,
        body: Bytes,
        source: &SourceName,
        conform: &Conform,
    ) -> Result<(Vec<Event>, Look), PushError> {
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(PushError::Media("a compressed body is not taken: send it as it is".to_owned()));
        }
        let events = event::of(headers, body, &self.deps.spec.project, source)?;
        if events.len() > EVENTS {
            return Err(PushError::Event(format!("{} events; at most {EVENTS} at once", events.len())));
        }
        let seen = look(conform, &events)?;
        Ok((events, seen))
    }
}

/// What the intake will make of the events.
#[derive(Debug, Default)]
struct Look {
    rows: usize,
    refused: usize,
    named: Vec<Value>,
}

/// Reads the events as the intake will. A request without a single row that fits is refused with the reason of its
/// first row; of any other, rows that do not fit become dead letters, and the answer names them.
fn look(conform: &Conform, events: &[Event]) -> Result<Look, PushError> {
    let mut look = Look::default();
    let mut first: Option<Reject> = None;
    for (number, event) in events.iter().enumerate() {
        let message = MessageIn {
            seq: 1,
            content_type: &event.head.content_type,
            event_id: &event.head.id,
            arrived_at: Millis(0),
            body: &event.body,
        };
        let conformed = conform.message(&message);
        look.rows += conformed.batch.map_or(0, |batch| batch.num_rows());
        look.refused += conformed.rejects.len();
        for reject in conformed.rejects {
            if look.named.len() < NAMED {
                look.named.push(json!({
                    "event": number,
                    "row": reject.row,
                    "code": reject.code.to_string(),
                    "reason": reject.reason,
                    "position": reject.position,
                }));
            }
            first.get_or_insert(reject);
        }
    }
    match first {
        Some(reject) if look.rows == 0 => Err(PushError::Rows(reject)),
        _ => Ok(look),
    }
}
