//! Events over HTTP, for those who have no client of the bus. An answer of 202 means that the bus has the events on disk.

mod event;
mod refusal;

use crate::Deps;
use crate::error::IngestionError;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
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
use tidemill_types::{Classified as _, Digest, Millis, SourceName};
use tokio::net::TcpListener;
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
    conforms: BTreeMap<SourceName, Conform>,
}

/// Answers until `stop`; requests that are under way are finished.
pub(crate) async fn serve(
    deps: Arc<Deps>,
    listener: TcpListener,
    stop: CancellationToken,
) -> Result<(), IngestionError> {
    let mut conforms = BTreeMap::new();
    for (name, source) in &deps.spec.sources {
        conforms.insert(name.clone(), Conform::new(&source.conform_schema())?);
    }
    let push = Arc::new(Push { deps, conforms });
    let routes = Router::new()
        .route("/v1/events/{source}", post(take))
        .fallback(|| async { Response::from(PushError::Route) })
        .layer(DefaultBodyLimit::max(BODY_BYTES))
        .with_state(push);
    let served = axum::serve(listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await;
    served.map_err(|e| IngestionError::Task(e.to_string()))
}

async fn take(
    State(push): State<Arc<Push>>,
    Path(source): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, PushError> {
    let taken = push.take(&source, &headers, body).await;
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
    async fn take(
        &self,
        source: &str,
        headers: &HeaderMap,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<Response, PushError> {
        self.admit(headers)?;
        let unknown = || PushError::Source(source.chars().take(48).collect());
        let name: SourceName = source.parse().map_err(|_| unknown())?;
        let conform = self.conforms.get(&name).ok_or_else(unknown)?;
        let body = body.map_err(|rejection| PushError::Body { limit: BODY_BYTES, reason: rejection.body_text() })?;
        if headers.contains_key(header::CONTENT_ENCODING) {
            return Err(PushError::Media("a compressed body is not taken: send it as it is".to_owned()));
        }
        let events = event::of(headers, body, &self.deps.spec.project, &name)?;
        if events.len() > EVENTS {
            return Err(PushError::Event(format!("{} events; at most {EVENTS} at once", events.len())));
        }
        let seen = look(conform, &events)?;
        let subject = subjects::events(&self.deps.spec.project, &name);
        let parent = tidemill_telemetry::current_traceparent();
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

    fn admit(&self, headers: &HeaderMap) -> Result<(), PushError> {
        // Digests are compared, so that the time of a comparison tells nothing of the token.
        let Some(token) = &self.deps.options.push_token else { return Ok(()) };
        let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let shown = shown.and_then(|text| text.strip_prefix("Bearer ")).map(|text| Digest::of(text.as_bytes()));
        if shown.as_ref() == Some(token) { Ok(()) } else { Err(PushError::Token) }
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
