//! The connection: made with patience, watched for refusals, counted at each reconnect.

use crate::error::{Error, Result};
use crate::identity::Nkey;
use async_nats::jetstream::{self, response::Response};
use async_nats::{Client, ConnectErrorKind, ConnectOptions, Event, RequestErrorKind, ServerError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::future::Future;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Oldest nats-server that is accepted.
pub const MINIMUM_SERVER: &str = "2.12.3";
const MINIMUM: (i64, i64, i64) = (2, 12, 3);

const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(4);

/// Who we are to the server. Never printed.
#[derive(Clone, Default)]
pub enum Credentials {
    /// A server that asks nobody.
    #[default]
    Anonymous,
    /// Seed of an nkey (`SU…`).
    NkeySeed(String),
    /// User and password.
    UserPassword(String, String),
    /// A token.
    Token(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Anonymous => "Anonymous",
            Self::NkeySeed(_) => "NkeySeed(…)",
            Self::UserPassword(..) => "UserPassword(…)",
            Self::Token(_) => "Token(…)",
        })
    }
}

/// How to reach the bus.
#[derive(Clone, Debug)]
pub struct BusOptions {
    /// Server URL, or several separated by commas.
    pub url: String,
    /// Name shown in the server's connection list, such as `tidemill-ingestion`.
    pub name: String,
    /// Who we are.
    pub credentials: Credentials,
    /// Certificate authorities in addition to the system's.
    pub root_certificates: Option<PathBuf>,
    /// How long to try at first; `None` tries forever.
    pub connect_within: Option<Duration>,
    /// How long one request may take.
    pub request_timeout: Duration,
}

impl BusOptions {
    /// Anonymous, 30 s of patience at the start, 10 s per request.
    #[must_use]
    pub fn new(url: impl Into<String>, name: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            name: name.into(),
            credentials: Credentials::Anonymous,
            root_certificates: None,
            connect_within: Some(Duration::from_secs(30)),
            request_timeout: Duration::from_secs(10),
        }
    }
}

/// What the connection's events have told.
#[derive(Debug)]
struct Health {
    /// Number of times a connection was made.
    connects: AtomicU64,
    /// Last refusal by permission, which the client would otherwise see as a time-out.
    refusal: watch::Sender<Option<String>>,
}

/// A connection to the bus; cheap to clone.
#[derive(Clone)]
pub struct Bus {
    pub(crate) client: Client,
    pub(crate) js: jetstream::Context,
    health: Arc<Health>,
    options: Arc<BusOptions>,
}

impl fmt::Debug for Bus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bus").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Bus {
    /// Connects, trying again with growing, jittered pauses; reconnects by itself from then on.
    ///
    /// # Errors
    /// `TM0600` when the server was not reached in time, `TM0601` when it refuses us, `TM0602` when it is too old.
    pub async fn connect(options: BusOptions) -> Result<Self> {
        let (refusal, _) = watch::channel(None);
        let health = Arc::new(Health { connects: AtomicU64::new(0), refusal });
        let deadline = options.connect_within.map(|patience| Instant::now() + patience);
        let inbox = match &options.credentials {
            Credentials::NkeySeed(seed) => Some(Nkey::from_seed(seed)?.inbox()),
            _ => None,
        };
        let mut attempt = 0;
        let client = loop {
            let error = match client_options(&options, inbox.as_deref(), &health).connect(options.url.as_str()).await {
                Ok(client) => break client,
                Err(error) => error,
            };
            match error.kind() {
                ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
                    return Err(Error::Denied(error.to_string()));
                }
                ConnectErrorKind::ServerParse => {
                    return Err(Error::Malformed(format!("bus URL {:?}: {error}", options.url)));
                }
                _ => {}
            }
            let pause = backoff(attempt);
            if deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
                return Err(Error::Unreachable { url: options.url, reason: error.to_string() });
            }
            if attempt % 8 == 3 {
                tracing::warn!(url = options.url, "waiting for the bus: {error}");
            }
            attempt += 1;
            tokio::time::sleep(pause).await;
        };
        let js = jetstream::context::ContextBuilder::new()
            .timeout(options.request_timeout)
            .ack_timeout(options.request_timeout)
            .build(client.clone());
        let bus = Self { client, js, health, options: Arc::new(options) };
        bus.require_version()?;
        Ok(bus)
    }

    /// Round trip to the server.
    ///
    /// # Errors
    /// `TM0600` when it does not come back in time.
    pub async fn ping(&self) -> Result<Duration> {
        let begin = Instant::now();
        let unreachable = |reason: String| Error::Unreachable { url: self.options.url.clone(), reason };
        if !self.is_connected() {
            return Err(unreachable("disconnected".to_owned()));
        }
        tokio::time::timeout(self.options.request_timeout, self.client.flush())
            .await
            .map_err(|_| unreachable("no answer in time".to_owned()))?
            .map_err(|error| unreachable(error.to_string()))?;
        // A flush only empties our buffer; asking for our own limits crosses the wire and back.
        let _: serde_json::Value = self.api("INFO".to_owned(), &()).await?;
        Ok(begin.elapsed())
    }

    /// True while there is a connection.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.client.connection_state() == async_nats::connection::State::Connected
    }

    /// Number of connections made so far; a change means that ephemeral things on the server may be gone.
    #[must_use]
    pub fn connects(&self) -> u64 {
        self.health.connects.load(Ordering::Acquire)
    }

    /// Version of the server.
    #[must_use]
    pub fn server_version(&self) -> String {
        self.client.server_info().version
    }

    /// Largest payload the server accepts, in bytes.
    #[must_use]
    pub fn max_payload(&self) -> usize {
        self.client.max_payload()
    }

    /// Flushes what is buffered and closes the connection in good order.
    pub async fn close(self) {
        if let Err(error) = self.client.drain().await {
            tracing::debug!("the bus was closed already: {error}");
        }
    }

    /// Refuses a server that is too old.
    pub(crate) fn require_version(&self) -> Result<()> {
        let (major, minor, patch) = MINIMUM;
        if self.client.is_server_compatible(major, minor, patch) {
            return Ok(());
        }
        Err(Error::ServerTooOld { found: self.server_version(), wanted: MINIMUM_SERVER })
    }

    /// Patience for one request.
    pub(crate) fn request_timeout(&self) -> Duration {
        self.options.request_timeout
    }

    /// A request to the JetStream API; the server's error is returned as it is.
    pub(crate) async fn api_raw<T: DeserializeOwned>(
        &self,
        subject: String,
        payload: &(impl Serialize + Sync),
    ) -> Result<std::result::Result<T, jetstream::Error>> {
        let request = async {
            use jetstream::context::RequestErrorKind as Kind;
            match self.js.request::<_, _, Response<T>>(subject.clone(), payload).await {
                Ok(Response::Ok(answer)) => Ok(Ok(answer)),
                Ok(Response::Err { error }) => Ok(Err(error)),
                Err(error) => Err(match error.kind() {
                    Kind::TimedOut => Error::TimedOut(subject.clone()),
                    Kind::NoResponders => {
                        Error::Unreachable { url: self.options.url.clone(), reason: "JetStream is not up".to_owned() }
                    }
                    _ => Error::Refused { what: subject.clone(), reason: describe(&error) },
                }),
            }
        };
        self.unless_denied(&subject, request).await
    }

    /// As [`Bus::api_raw`], with the server's error made one of ours.
    pub(crate) async fn api<T: DeserializeOwned>(
        &self,
        subject: String,
        payload: &(impl Serialize + Sync),
    ) -> Result<T> {
        let what = subject.clone();
        self.api_raw(subject, payload).await?.map_err(|error| refused(&what, &error))
    }

    /// A request to a subject of ours, with headers.
    pub(crate) async fn request(
        &self,
        subject: &str,
        headers: async_nats::HeaderMap,
        payload: bytes::Bytes,
    ) -> Result<async_nats::Message> {
        let bytes = payload.len();
        let request = async {
            self.client.request_with_headers(subject.to_owned(), headers, payload).await.map_err(|error| {
                match error.kind() {
                    RequestErrorKind::TimedOut | RequestErrorKind::Other => {
                        Error::Unknown { subject: subject.to_owned() }
                    }
                    RequestErrorKind::NoResponders => Error::NotFound(format!("a stream for {subject}")),
                    RequestErrorKind::InvalidSubject => Error::Malformed(format!("subject {subject:?}: {error}")),
                    RequestErrorKind::MaxPayloadExceeded => self.too_large(subject, bytes),
                }
            })
        };
        self.unless_denied(subject, request).await
    }

    pub(crate) fn too_large(&self, subject: &str, bytes: usize) -> Error {
        Error::TooLarge { subject: subject.to_owned(), bytes, limit: self.max_payload() }
    }

    /// Ends early when the server says that `subject` is not permitted, which it says beside the request.
    pub(crate) async fn unless_denied<T>(&self, subject: &str, work: impl Future<Output = Result<T>>) -> Result<T> {
        let mut refusals = self.health.refusal.subscribe();
        refusals.mark_unchanged();
        let denied = async {
            loop {
                if refusals.changed().await.is_err() {
                    return std::future::pending().await;
                }
                if let Some(text) = refusals.borrow_and_update().clone().filter(|text| text.contains(subject)) {
                    return text;
                }
            }
        };
        tokio::select! {
            result = work => result,
            text = denied => Err(Error::Denied(text)),
        }
    }
}

/// The server's error as one of ours.
pub(crate) fn refused(what: &str, error: &jetstream::Error) -> Error {
    use jetstream::ErrorCode;
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND | ErrorCode::CONSUMER_NOT_FOUND | ErrorCode::NO_MESSAGE_FOUND => {
            Error::NotFound(what.to_owned())
        }
        ErrorCode::STREAM_WRONG_LAST_SEQUENCE => Error::Conflict { key: what.to_owned() },
        // 10077: a limit of the stream under `discard: new`; 10047: out of storage.
        ErrorCode::STREAM_STORE_FAILED | ErrorCode(10047) => Error::Full(format!("{what}: {error}")),
        _ => Error::Refused { what: what.to_owned(), reason: error.to_string() },
    }
}

/// An error with its causes.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

/// Pause before attempt `n`: doubling, capped, between half and the whole of it.
pub(crate) fn backoff(attempt: usize) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(1 << attempt.min(10)).min(LONGEST_PAUSE);
    doubled / 2 + (doubled / 2).mul_f64(fraction())
}

/// A random number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    // A fresh hasher is seeded at random, which is all that jitter needs.
    let draw = RandomState::new().build_hasher().finish() % 1024;
    f64::from(u32::try_from(draw).unwrap_or_default()) / 1024.0
}

fn client_options(options: &BusOptions, inbox: Option<&str>, health: &Arc<Health>) -> ConnectOptions {
    let health = Arc::clone(health);
    let mut client = ConnectOptions::new()
        .name(&options.name)
        .request_timeout(Some(options.request_timeout))
        .ping_interval(Duration::from_secs(10))
        .read_buffer_capacity(u16::MAX)
        .reconnect_delay_callback(backoff)
        .event_callback(move |event| {
            let health = Arc::clone(&health);
            async move { health.note(event) }
        });
    if let Some(path) = &options.root_certificates {
        client = client.add_root_certificates(path.clone()).require_tls(true);
    }
    if let Some(inbox) = inbox {
        client = client.custom_inbox_prefix(inbox);
    }
    match options.credentials.clone() {
        Credentials::Anonymous => client,
        Credentials::NkeySeed(seed) => client.nkey(seed),
        Credentials::UserPassword(user, password) => client.user_and_password(user, password),
        Credentials::Token(token) => client.token(token),
    }
}

impl Health {
    fn note(&self, event: Event) {
        match event {
            Event::Connected => {
                let count = self.connects.fetch_add(1, Ordering::AcqRel) + 1;
                tracing::info!(count, "connected to the bus");
            }
            Event::Disconnected => tracing::warn!("disconnected from the bus, reconnecting"),
            Event::ServerError(ServerError::AuthorizationViolation) => {
                self.refuse("authorization violation".to_owned())
            }
            Event::ServerError(ServerError::Other(text))
                if text.to_ascii_lowercase().contains("permissions violation") =>
            {
                self.refuse(text);
            }
            other => tracing::warn!("bus event: {other}"),
        }
    }

    fn refuse(&self, text: String) {
        tracing::error!("the bus denies: {text}");
        self.refusal.send_replace(Some(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_stay_bounded() {
        assert!(backoff(0) <= FIRST_PAUSE && backoff(0) >= FIRST_PAUSE / 2);
        assert!(backoff(60) <= LONGEST_PAUSE && backoff(60) >= LONGEST_PAUSE / 2);
    }

    #[test]
    fn credentials_are_not_printed() {
        assert_eq!(format!("{:?}", Credentials::Token("s3cret".to_owned())), "Token(…)");
    }
}
