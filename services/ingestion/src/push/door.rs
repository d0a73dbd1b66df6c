//! Who may send: whoever shows the token; without one every program that reaches the address, but no page in a browser.
//!
//! A page of any site can make a browser send a request to this machine, so reaching the address says nothing there.
//! Browsers name the page's origin in every POST; a page that reaches us under a name of its own (DNS rebinding) shows
//! that name as the host.

use super::refusal::PushError;
use crate::config::Options;
use axum::http::{HeaderMap, header};
use tidemill_runtime::{host_name, is_own_host};
use tidemill_types::Digest;

/// Characters of a foreign name that are told.
const SHOWN: usize = 80;

/// Lets a request in or says why not.
pub(super) fn admit(options: &Options, headers: &HeaderMap) -> Result<(), PushError> {
    let text = |name| headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let short = |text: &str| text.chars().take(SHOWN).collect::<String>();
    if let Some(token) = &options.push_token {
        let shown = text(header::AUTHORIZATION);
        // Digests are compared, so that the time of a comparison tells nothing of the token.
        let shown = shown.as_deref().and_then(|text| text.strip_prefix("Bearer "));
        let shown = shown.map(|text| Digest::of(text.as_bytes()));
        return if shown.as_ref() == Some(token) { Ok(()) } else { Err(PushError::Token) };
    }
    if let Some(origin) = text(header::ORIGIN) {
        return Err(PushError::Page(short(&origin)));
    }
    let host = text(header::HOST).unwrap_or_default();
    let is_named = |name: &String| !name.is_empty() && name.eq_ignore_ascii_case(host_name(&host));
    if is_own_host(&host) || options.push_names.iter().any(is_named) {
        return Ok(());
    }
    Err(PushError::Host(short(&host)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_types::Classified as _;

    fn asked(options: &Options, headers: &[(&str, &str)]) -> Result<(), String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(name.parse::<axum::http::HeaderName>().unwrap(), value.parse().unwrap());
        }
        admit(options, &map).map_err(|e| format!("{} {e}", e.code()))
    }

    #[test]
    fn without_a_token_programs_are_let_in_and_pages_are_not() {
        let options = Options { push_names: vec!["events.internal".to_owned(), String::new()], ..Options::default() };
        for host in ["127.0.0.1:8010", "localhost:8010", "[::1]:8010", "Events.internal:8010", "10.0.0.5"] {
            assert_eq!(asked(&options, &[("host", host)]), Ok(()), "{host}");
            for origin in ["https://evil.example", "null", "http://127.0.0.1:8010"] {
                let refused = asked(&options, &[("host", host), ("origin", origin)]).unwrap_err();
                assert!(refused.starts_with("TM1756") && refused.contains("ingestion.http_token_file"), "{refused}");
            }
        }
        for host in ["rebound.example:8010", "", ":8010"] {
            let refused = asked(&options, &[("host", host)]).unwrap_err();
            assert!(refused.starts_with("TM1756") && refused.contains("ingestion.http_names"), "{refused}");
        }
        assert!(asked(&options, &[]).is_err());
    }

    #[test]
    fn with_a_token_the_token_decides() {
        let options = Options { push_token: Some(Digest::of(b"t0ken")), ..Options::default() };
        let page = [("host", "events.example"), ("origin", "https://shop.example"), ("authorization", "Bearer t0ken")];
        assert_eq!(asked(&options, &page), Ok(()));
        for shown in ["Bearer other", "t0ken", "bearer t0ken", ""] {
            assert!(asked(&options, &[("host", "127.0.0.1"), ("authorization", shown)]).is_err(), "{shown}");
        }
        assert!(asked(&options, &[("host", "127.0.0.1")]).is_err());
    }
}
