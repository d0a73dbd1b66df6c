//! Headers of every answer, and who may ask: no other site may frame, script or send forms to the console.

use crate::app::App;
use crate::error::{Error, Result};
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use std::hash::{BuildHasher as _, RandomState};
use tidemill_runtime::is_own_host;
use tidemill_types::Digest;

/// Everything comes from here; nothing runs that stands in a page.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the headers to every answer.
pub(crate) async fn headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-opener-policy", HeaderValue::from_static("same-origin"));
    headers.insert("cross-origin-resource-policy", HeaderValue::from_static("same-origin"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

/// A text that nobody outside this process can guess. The standard library seeds its hashers from the system's
/// source of randomness.
pub(crate) fn secret() -> String {
    let words: Vec<u8> = (0_u8..8).flat_map(|at| RandomState::new().hash_one(at).to_le_bytes()).collect();
    Digest::of(&words).to_string()
}

/// A console on loopback answers under names of this machine only: a foreign name that leads here is somebody else's
/// page trying to read ours.
pub(crate) fn check_host(app: &App, headers: &HeaderMap) -> Result<()> {
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    if !app.loopback || is_own_host(host) {
        return Ok(());
    }
    Err(Error::Host(host.chars().take(80).collect()))
}

/// A form is taken only from a page of this console: same origin by the browser's word, and the token of this process.
pub(crate) fn check_form(app: &App, headers: &HeaderMap, token: &str) -> Result<()> {
    check_host(app, headers)?;
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    if let Some(site) = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok())
        && site != "same-origin"
    {
        return Err(Error::Foreign("the browser says that it comes from another site"));
    }
    let host = text(header::HOST).unwrap_or_default();
    // A browser sends the origin with every form; a client without one has no cookies to misuse either.
    if let Some(origin) = text(header::ORIGIN)
        && origin.split_once("://").is_none_or(|(_, from)| from != host)
    {
        return Err(Error::Foreign("its origin is another address"));
    }
    if Digest::of(token.as_bytes()) != Digest::of(app.form_token.as_bytes()) {
        return Err(Error::Foreign("its token is missing or of an earlier start"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_differ() {
        assert_ne!(secret(), secret());
        assert_eq!(secret().len(), 64);
    }
}
