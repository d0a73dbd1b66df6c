//! Raw bodies as they came, kept beside the tables: what was known when, and under which terms.

use super::client::Page;
use super::guard::shown;
use crate::error::Result;
use crate::message::now;
use crate::puller::Puller;
use crate::snapshots::{Kept, Snapshots};
use reqwest::Url;
use tidemill_types::Digest;

/// Words in the names of query parameters whose values are not written down.
const SECRETS: [&str; 6] = ["key", "token", "secret", "sig", "password", "auth"];

/// Keeps a body under its digest and notes where and when it was got; durable when it returns.
pub(super) async fn keep(puller: &Puller, url: &Url, page: &Page, license: Option<&str>) -> Result<Digest> {
    let digest = Digest::of(&page.body);
    let kept = Kept {
        url: noted(url),
        fetched_at: now(),
        status: page.status,
        etag: page.known.etag.clone(),
        last_modified: page.known.last_modified.clone(),
        content_type: page.content_type.clone(),
        bytes: page.body.len() as u64,
        sha256: digest.clone(),
        license: license.map(str::to_owned),
    };
    Snapshots::of(&puller.storage, &puller.project, &puller.source).keep(&kept, &page.body).await?;
    Ok(digest)
}

/// The address with its query, without what may be a secret.
fn noted(url: &Url) -> String {
    let pairs: Vec<String> = url
        .query_pairs()
        .map(|(name, value)| {
            let lower = name.to_ascii_lowercase();
            let hidden = SECRETS.iter().any(|word| lower.contains(word));
            format!("{name}={}", if hidden { "redacted" } else { &value })
        })
        .collect();
    if pairs.is_empty() { shown(url) } else { format!("{}?{}", shown(url), pairs.join("&")) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn secrets_in_a_query_are_not_written_down() {
        let url = Url::parse("https://u:p@h.test:8443/x?page=2&api_key=abc&city=Bern").unwrap();
        assert_eq!(noted(&url), "https://h.test:8443/x?page=2&api_key=redacted&city=Bern");
    }
}
