//! One page, fetched with patience: rate limit, retries with full jitter, `Retry-After`, redirects one by one, and caps
//! on time and size, also of what a compressed body unfolds to.

use super::guard::{Guard, GuardedResolver, shown};
use super::robots::Robots;
use crate::error::{Error, Fault, FaultKind, Result};
use crate::puller::fraction;
use crate::secret::{self, Hidden};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use reqwest::header::{self, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Response, StatusCode, Url, redirect};
use std::collections::HashMap;
use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;
use tidemill_spec::{HttpOrigin, RobotsPolicy};
use tidemill_types::Pauses;
use tokio::time::Instant;

/// Pauses between attempts that we choose ourselves.
const PAUSES: Pauses = Pauses::new(Duration::from_millis(500), Duration::from_secs(60));
/// A server that asks for a longer pause is not waited for here: whoever polls is told.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(900);
/// What a host permits is asked again after this long.
const ROBOTS_FOR: Duration = Duration::from_secs(24 * 3_600);
/// Hops of one request.
const REDIRECTS: usize = 5;
/// Bytes of an error's body that are told.
const DETAIL: usize = 200;

/// What is known of a page from an earlier poll.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    pub(crate) etag: Option<String>,
    pub(crate) last_modified: Option<String>,
}

/// What a page answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// As it was (304).
    Unchanged {
        /// As in [`Page`], when the answer says it.
        next: Option<Url>,
    },
    /// A body.
    Body(Page),
}

/// A body with what its headers say.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    pub(crate) body: Bytes,
    pub(crate) status: u16,
    pub(crate) known: Known,
    pub(crate) content_type: Option<String>,
    /// Target of `Link: …; rel="next"`, absolute.
    pub(crate) next: Option<Url>,
}

/// Asks one interface.
pub(crate) struct Fetcher {
    client: Client,
    guard: Guard,
    headers: HeaderMap,
    bearer: Option<Hidden>,
    home: Url,
    attempts: u32,
    max_bytes: u64,
    timeout: Duration,
    between: Duration,
    next_at: Instant,
    /// What hosts permit, by scheme, name and port, and when they said so; nothing where nobody asks them.
    robots: Option<HashMap<String, (Robots, Instant)>>,
    /// Requests that were repeated.
    pub(crate) retries: u64,
}

impl Fetcher {
    /// A fetcher for an origin, without its token: [`Self::read_bearer`] follows.
    pub(crate) fn new(origin: &HttpOrigin) -> Result<Self> {
        Self::guarded(origin, Guard::new(&origin.allow))
    }

    /// The same behind another guard.
    pub(super) fn guarded(origin: &HttpOrigin, guard: Guard) -> Result<Self> {
        let bad = |what: &str, reason: String| Error::settings(format!("from.http.{what}"), reason);
        let home = Url::parse(&origin.url).map_err(|e| bad("url", e.to_string()))?;
        let timeout = Duration::from_millis(u64::try_from(origin.timeout.millis()).unwrap_or(30_000));
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            // A proxy would connect for us, past the guard.
            .no_proxy()
            .dns_resolver(Arc::new(GuardedResolver(guard.clone())))
            .connect_timeout(timeout)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| bad("url", e.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &origin.headers {
            let name: HeaderName = name.parse().map_err(|_| bad("headers", format!("\"{name}\" is no header name")))?;
            let value = value.parse().map_err(|_| bad("headers", format!("the value of {name} is no header value")))?;
            headers.insert(name, value);
        }
        Ok(Self {
            client,
            guard,
            headers,
            bearer: None,
            home,
            attempts: origin.attempts,
            max_bytes: origin.max_bytes,
            timeout,
            between: Duration::from_secs_f64(1.0 / origin.per_second.max(0.001)),
            next_at: Instant::now(),
            robots: (origin.robots == RobotsPolicy::Honour).then(HashMap::new),
            retries: 0,
        })
    }

    /// Reads the token, which may have been replaced since it was read last.
    pub(crate) fn read_bearer(&mut self, origin: &HttpOrigin) -> Result<()> {
        self.bearer = origin.bearer.as_ref().map(|bearer| secret::read("from.http.bearer", bearer)).transpose()?;
        Ok(())
    }

    /// Fetches a page, with as many attempts as the origin allows.
    pub(crate) async fn fetch(&mut self, url: &Url, known: &Known) -> Result<Answer> {
        let mut attempt = 0;
        loop {
            attempt += 1;
            let error = match self.attempt(url, known).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let Error::Away { wait, .. } = &error else { return Err(error) };
            let pause = wait.unwrap_or_else(|| jitter(attempt));
            if attempt >= self.attempts || pause > LONGEST_RETRY_AFTER {
                return Err(error);
            }
            self.retries += 1;
            tracing::debug!(%error, attempt, ?pause, "asking again");
            tokio::time::sleep(pause).await;
        }
    }

    async fn attempt(&mut self, url: &Url, known: &Known) -> Result<Answer> {
        let mut url = url.clone();
        for _ in 0..=REDIRECTS {
            self.guard.check(&url).await?;
            self.permitted(&url).await?;
            let response = self.ask(&url, known).await?;
            match redirect(&url, &response)? {
                None => return self.answer(&url, response).await,
                Some(to) => url = to,
            }
        }
        Err(Error::Endless { url: shown(&url), reason: format!("more than {REDIRECTS} redirects") })
    }

    /// Refuses what the host does not permit us to ask for.
    async fn permitted(&mut self, url: &Url) -> Result<()> {
        let host = url.origin().ascii_serialization();
        let Some(hosts) = &self.robots else { return Ok(()) };
        if hosts.get(&host).is_none_or(|(_, since)| since.elapsed() > ROBOTS_FOR) {
            let said = self.ask_robots(url).await?;
            if let Some(hosts) = &mut self.robots {
                hosts.insert(host.clone(), (said, Instant::now()));
            }
        }
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        let path = format!("{}{query}", url.path());
        match self.robots.as_ref().and_then(|hosts| hosts.get(&host)) {
            Some((robots, _)) if !robots.permit(&path) => Err(Error::Robots { url: shown(url) }),
            _ => Ok(()),
        }
    }

    /// What a host permits. A host without the file permits everything; one that fails to say is asked again later.
    async fn ask_robots(&mut self, url: &Url) -> Result<Robots> {
        let Ok(mut at) = url.join("/robots.txt") else { return Ok(Robots::default()) };
        for _ in 0..=REDIRECTS {
            self.guard.check(&at).await?;
            let response = self.ask(&at, &Known::default()).await?;
            if let Some(to) = redirect(&at, &response)? {
                at = to;
                continue;
            }
            let status = response.status();
            if status.is_client_error() && !passes(status) {
                break;
            }
            return match self.answer(&at, response).await? {
                Answer::Body(page) => Ok(Robots::parse(&page.body)),
                Answer::Unchanged { .. } => Ok(Robots::default()),
            };
        }
        Ok(Robots::default())
    }

    async fn ask(&mut self, url: &Url, known: &Known) -> Result<Response> {
        tokio::time::sleep_until(self.next_at).await;
        self.next_at = Instant::now() + self.between;
        let request = self.client.get(url.clone()).timeout(self.timeout);
        let mut request = request.header(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip, identity"));
        // Headers and token are for whom they were made, not for wherever a redirect or the next page leads.
        if url.origin() == self.home.origin() {
            request = request.headers(self.headers.clone());
            if let Some(bearer) = &self.bearer {
                request = request.bearer_auth(bearer.expose());
            }
        }
        if let Some(etag) = &known.etag {
            request = request.header(header::IF_NONE_MATCH, etag);
        } else if let Some(modified) = &known.last_modified {
            request = request.header(header::IF_MODIFIED_SINCE, modified);
        }
        request.send().await.map_err(|e| away(url, &e))
    }

    async fn answer(&self, url: &Url, response: Response) -> Result<Answer> {
        let status = response.status();
        let links = response.headers().get_all(header::LINK).iter().filter_map(|value| value.to_str().ok());
        let next = links.into_iter().find_map(next_link).and_then(|to| url.join(&to).ok());
        if status == StatusCode::NOT_MODIFIED {
            return Ok(Answer::Unchanged { next });
        }
        if !status.is_success() {
            return Err(self.failure(url, response).await);
        }
        let text =
            |name: HeaderName| response.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let known = Known { etag: text(header::ETAG), last_modified: text(header::LAST_MODIFIED) };
        let (content_type, encoding) = (text(header::CONTENT_TYPE), text(header::CONTENT_ENCODING));
        let body = self.body(url, response).await?;
        let body = match encoding.as_deref().map(str::trim) {
            None | Some("" | "identity") => body,
            Some("gzip" | "x-gzip") => self.unfolded(url, &body)?,
            Some(other) => {
                let reason = format!("the body is encoded by {other}, which was not asked for");
                return Err(fault(url, Fault::new(FaultKind::Format, reason, "let the interface answer plainly")));
            }
        };
        Ok(Answer::Body(Page { body, status: status.as_u16(), known, content_type, next }))
    }

    /// A body of at most the allowed size, however long it says it is.
    async fn body(&self, url: &Url, mut response: Response) -> Result<Bytes> {
        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|e| away(url, &e))?;
            let Some(chunk) = chunk else { return Ok(body.into()) };
            if (body.len() + chunk.len()) as u64 > self.max_bytes {
                return Err(self.too_large(url));
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn unfolded(&self, url: &Url, body: &[u8]) -> Result<Bytes> {
        let mut plain = Vec::new();
        let decoder = flate2::read::MultiGzDecoder::new(body);
        let read = decoder.take(self.max_bytes + 1).read_to_end(&mut plain);
        read.map_err(|e| {
            let reason = format!("the compressed body is damaged: {e}");
            fault(url, Fault::new(FaultKind::Damaged, reason, "see the interface"))
        })?;
        if plain.len() as u64 > self.max_bytes {
            return Err(self.too_large(url));
        }
        Ok(plain.into())
    }

    fn too_large(&self, url: &Url) -> Error {
        let reason = format!("a body of more than {} bytes", self.max_bytes);
        fault(url, Fault::new(FaultKind::TooLarge, reason, "ask for smaller pages, or raise from.http.max_bytes"))
    }

    async fn failure(&self, url: &Url, mut response: Response) -> Error {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
        let wait = retry_after.and_then(|text| wait(text, Utc::now()));
        let told = response.chunk().await.ok().flatten().unwrap_or_default();
        let told: String = String::from_utf8_lossy(&told).chars().filter(|c| !c.is_control()).take(DETAIL).collect();
        if passes(status) {
            return Error::Away { url: shown(url), reason: format!("it answers {status} {told}"), wait };
        }
        let detail = if told.is_empty() { String::new() } else { format!(": {told}") };
        Error::Status { url: shown(url), status: status.as_u16(), detail }
    }
}

/// Where an answer leads, if it leads anywhere.
fn redirect(url: &Url, response: &Response) -> Result<Option<Url>> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let to = response.headers().get(header::LOCATION).and_then(|to| to.to_str().ok());
    let to = to.and_then(|to| url.join(to).ok());
    let endless = |reason: &str| Error::Endless { url: shown(url), reason: reason.to_owned() };
    let to = to.ok_or_else(|| endless("a redirect without a usable Location"))?;
    if url.scheme() == "https" && to.scheme() == "http" {
        return Err(endless("a redirect from https to http"));
    }
    Ok(Some(to))
}

/// Whether a status may be another one later.
fn passes(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

fn fault(url: &Url, fault: Fault) -> Error {
    Error::Fault(fault.of(&shown(url)))
}

fn away(url: &Url, error: &reqwest::Error) -> Error {
    // The library's text holds the whole URL; its causes do not.
    let mut cause: Option<&dyn std::error::Error> = std::error::Error::source(error);
    let mut reason = if error.is_timeout() { "no answer in time".to_owned() } else { "no answer".to_owned() };
    while let Some(inner) = cause {
        reason = format!("{reason}: {inner}");
        cause = inner.source();
    }
    Error::Away { url: shown(url), reason, wait: None }
}

/// Anything up to the doubled pause.
fn jitter(attempt: u32) -> Duration {
    PAUSES.at(u64::from(attempt), fraction())
}

/// `Retry-After`: seconds, or an instant.
fn wait(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = DateTime::parse_from_rfc2822(text.trim()).ok()?;
    Some((at.to_utc() - now).to_std().unwrap_or_default())
}

/// Target of the first link with `rel="next"` (RFC 8288).
fn next_link(value: &str) -> Option<String> {
    let mut rest = value;
    while let Some(start) = rest.find('<') {
        let after = rest.get(start + 1..)?;
        let (target, tail) = after.split_once('>')?;
        let parameters = tail.split('<').next().unwrap_or_default();
        let is_next = parameters.split([';', ',']).filter_map(|part| part.split_once('=')).any(|(name, value)| {
            let value = value.trim().trim_matches('"');
            name.trim().eq_ignore_ascii_case("rel")
                && value.split_whitespace().any(|rel| rel.eq_ignore_ascii_case("next"))
        });
        if is_next {
            return Some(target.to_owned());
        }
        rest = tail;
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn the_next_page_is_found_among_links() {
        let header = r#"<https://h.test/?page=1>; rel="prev", <https://h.test/?page=3>; title="x"; rel="last next""#;
        assert_eq!(next_link(header).as_deref(), Some("https://h.test/?page=3"));
        assert_eq!(next_link("<a>; rel=next").as_deref(), Some("a"));
        assert_eq!(next_link(r#"<a>; rel="last""#), None);
        assert_eq!(next_link("nonsense"), None);
    }

    #[test]
    fn retry_after_is_seconds_or_an_instant() {
        let now = DateTime::parse_from_rfc3339("2024-01-01T00:00:00Z").unwrap().to_utc();
        assert_eq!(wait("7", now), Some(Duration::from_secs(7)));
        assert_eq!(wait("Mon, 01 Jan 2024 00:01:30 GMT", now), Some(Duration::from_secs(90)));
        assert_eq!(wait("Sun, 31 Dec 2023 00:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(wait("soon", now), None);
    }

    #[test]
    fn pauses_stay_below_their_limit() {
        assert!((1..30).all(|attempt| jitter(attempt) <= PAUSES.longest));
    }
}
