//! JSON to an interface over HTTP, one body at a time: for what others want to be told.

use crate::error::{Error, Result};
use bytes::Bytes;
use reqwest::{Client, StatusCode, Url, header, redirect};
use std::time::Duration;

/// Bytes of an answer that are told.
const DETAIL: usize = 200;

/// Posts bodies to one address. The address comes from the settings of the process, so it may lie anywhere.
#[derive(Debug)]
pub struct Poster {
    client: Client,
    url: Url,
}

/// What became of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It was taken (2xx).
    Taken,
    /// It was refused, and would be again: status, and the beginning of the answer.
    Refused(u16, String),
    /// It was not taken now; another attempt may succeed. Also where address or access are wrong, which people mend.
    Later(String),
}

impl Poster {
    /// For `path` below a base address; an answer must come within `timeout`.
    ///
    /// # Errors
    /// When the address, which stands in `setting`, is none of HTTP.
    pub fn new(setting: &str, base: &str, path: &str, timeout: Duration) -> Result<Self> {
        let bad = |reason: String| Error::settings(setting, reason);
        let url = Url::parse(&format!("{}{path}", base.trim_end_matches('/'))).map_err(|e| bad(e.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(bad(format!("\"{}\" is neither http nor https", url.scheme())));
        }
        let client = Client::builder()
            .redirect(redirect::Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent(concat!("tidemill/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| bad(e.to_string()))?;
        Ok(Self { client, url })
    }

    /// Posts a body, once.
    pub async fn post(&self, body: Bytes) -> Posted {
        let request = self.client.post(self.url.clone()).header(header::CONTENT_TYPE, "application/json").body(body);
        let mut answer = match request.send().await {
            Ok(answer) => answer,
            // The address may hold a password.
            Err(error) => return Posted::Later(error.without_url().to_string()),
        };
        let status = answer.status();
        if status.is_success() {
            return Posted::Taken;
        }
        let detail = answer.chunk().await.ok().flatten().unwrap_or_default();
        let detail = String::from_utf8_lossy(detail.get(..DETAIL).unwrap_or(&detail)).into_owned();
        if status.is_client_error() && !may_pass(status) {
            return Posted::Refused(status.as_u16(), detail);
        }
        Posted::Later(format!("{status}: {detail}"))
    }
}

/// Whether a refusal is about the address, the access or the moment, and not about the body.
fn may_pass(status: StatusCode) -> bool {
    matches!(status.as_u16(), 401 | 403 | 404 | 405 | 407 | 408 | 425 | 429)
}
