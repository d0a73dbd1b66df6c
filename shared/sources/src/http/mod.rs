//! Pages of an HTTP interface, asked for again and again; rows that were in the last poll already are not events again.
//!
//! A poll reads all pages. A page that says that it is unchanged, or whose body is the same, brings nothing; of the
//! others the rows that no page of the last poll had are published. So an interface that repeats itself adds nothing,
//! and one that corrects a row adds the correction, known from now on.

mod client;
mod guard;
mod robots;
mod rows;
mod snapshot;

pub(crate) use client::{Answer, Fetcher, Known};
pub(crate) use guard::shown;

use crate::error::{Error, Result};
use crate::ledger::Ledger;
use crate::message::Envelope;
use crate::puller::{Batches, Puller};
use crate::seen::{self, Numbers, Seen};
use crate::text::{Rules, pack};
use reqwest::Url;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};
use std::time::Instant;
use tidemill_spec::{HttpOrigin, Paging};
use tidemill_types::Digest;
use tokio_util::sync::CancellationToken;

const KIND: &str = "http";

/// What the last whole poll found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// Whole polls so far.
    polls: u64,
    pages: BTreeMap<String, PageState>,
}

/// One page of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct PageState {
    etag: Option<String>,
    last_modified: Option<String>,
    digest: String,
    /// Address of the page after it.
    next: Option<String>,
    rows: u64,
    seen: Seen,
}

/// Polls until `stop`. An error ends this run; the next one begins with what the stream says.
pub(crate) async fn run(
    puller: &Puller,
    origin: &HttpOrigin,
    stop: &CancellationToken,
    failures: &mut u32,
) -> Result<()> {
    let (ledger, noted) = Ledger::open(&puller.bus, &puller.project, &puller.source, KIND).await?;
    let state = match noted {
        None => State::default(),
        Some(value) => serde_json::from_value(value)
            .map_err(|e| Error::Position { key: format!("pull.{KIND}.{}", puller.source), reason: e.to_string() })?,
    };
    let fetcher = Fetcher::new(origin)?;
    let rules = Rules::new(&puller.declared, &origin.text);
    let mut known = Seen::default();
    for page in state.pages.values() {
        known.absorb(page.seen.clone());
    }
    let mut run = Run { puller, origin, rules, ledger, fetcher, state, known };
    run.recover().await?;
    loop {
        let began = Instant::now();
        // Whatever a poll was doing when it is dropped, the stream says how far it got.
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            polled = run.poll() => match polled {
                Ok(()) => {}
                Err(Error::Fault(fault)) => {
                    let digest = Digest::of(&fault.sample).to_string();
                    puller.refuse(KIND, &digest, &fault).await?;
                }
                Err(error) => return Err(error),
            },
        }
        if !puller.looked(began, origin.every, failures, stop).await {
            return Ok(());
        }
    }
}

struct Run<'a> {
    puller: &'a Puller,
    origin: &'a HttpOrigin,
    rules: Rules,
    ledger: Ledger,
    fetcher: Fetcher,
    state: State,
    /// Rows of the last whole poll, and those published since.
    known: Seen,
}

impl Run<'_> {
    /// Rows that were published after the noted poll are known as well.
    async fn recover(&mut self) -> Result<()> {
        let mut published = Seen::default();
        let known = &self.known;
        self.ledger
            .catch_up(|message, _| {
                for line in message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    published.note_next(line, known);
                }
            })
            .await?;
        self.known.absorb(published);
        Ok(())
    }

    async fn poll(&mut self) -> Result<()> {
        let mut next = Some(Url::parse(&self.origin.url).map_err(|e| Error::settings("from.http.url", e.to_string()))?);
        let mut number = match &self.origin.paging {
            Paging::Page { first, .. } => *first,
            _ => 0,
        };
        let mut new = State { polls: self.state.polls + 1, pages: BTreeMap::new() };
        let (mut visited, mut numbers, mut held) = (HashSet::new(), Numbers::default(), 0);
        while let Some(mut url) = next.take() {
            if let Paging::Page { param, .. } = &self.origin.paging {
                set_parameter(&mut url, param, &number.to_string());
            }
            let endless = |reason: String| Error::Endless { url: shown(&url), reason };
            if !visited.insert(url.to_string()) {
                return Err(endless("the pages lead in a circle".to_owned()));
            }
            if visited.len() > usize::try_from(self.origin.max_pages).unwrap_or(usize::MAX) {
                return Err(endless(format!("more than {} pages; see from.http.max_pages", self.origin.max_pages)));
            }
            let page = self.page(&url, new.polls, &mut numbers).await?;
            held += page.seen.len();
            if held > seen::MOST {
                return Err(Error::Overlap { place: self.origin.url.clone(), limit: seen::MOST });
            }
            let follow = page.next.as_deref().and_then(|next| Url::parse(next).ok());
            next = match &self.origin.paging {
                Paging::None => None,
                Paging::Link | Paging::Cursor { .. } => follow,
                Paging::Page { .. } if page.rows == 0 => None,
                Paging::Page { .. } => {
                    number += 1;
                    Some(url.clone())
                }
            };
            new.pages.insert(url.to_string(), page);
        }
        let digests = |state: &State| {
            state.pages.iter().map(|(url, page)| (url.clone(), page.digest.clone())).collect::<Vec<_>>()
        };
        let is_same = digests(&self.state) == digests(&new);
        self.state = new;
        self.known = Seen::default();
        for page in self.state.pages.values() {
            self.known.absorb(page.seen.clone());
        }
        // A poll that found nothing is not worth a note.
        if is_same { Ok(()) } else { self.ledger.note(&self.state).await }
    }

    /// Fetches one page and publishes what is new in it.
    async fn page(&mut self, url: &Url, poll: u64, numbers: &mut Numbers) -> Result<PageState> {
        let before = self.state.pages.get(url.as_str()).cloned();
        let known = before.as_ref().map_or_else(Known::default, |page| Known {
            etag: page.etag.clone(),
            last_modified: page.last_modified.clone(),
        });
        let page = match (self.fetcher.fetch(url, &known).await?, before) {
            (Answer::Unchanged, Some(before)) => return Ok(before),
            (Answer::Unchanged, None) => {
                let detail = " though nothing was known of it".to_owned();
                return Err(Error::Status { url: shown(url), status: 304, detail });
            }
            (Answer::Body(page), before) => {
                let digest = Digest::of(&page.body);
                if let Some(before) = before.filter(|before| before.digest == digest.as_str()) {
                    let (etag, last_modified) = (page.known.etag, page.known.last_modified);
                    return Ok(PageState { etag, last_modified, ..before });
                }
                page
            }
        };
        let digest = snapshot::keep(self.puller, url, &page, self.origin.license.as_deref()).await?;
        let held = rows::read(&page.body, self.origin, &self.rules).map_err(|fault| fault.of(&shown(url)))?;
        let (mut seen, mut fresh) = (Seen::default(), Vec::new());
        let rows = held.lines.len() as u64;
        for (at, line) in (0..).zip(held.lines) {
            let number = numbers.next(&line);
            seen.note(&line, number);
            if !self.known.has(&line, number) {
                fresh.push((at, line));
            }
        }
        let envelope = Envelope {
            project: self.puller.project.clone(),
            source: self.puller.source.clone(),
            kind: KIND,
            object: shown(url),
            revision: poll,
            digest: digest.to_string(),
        };
        let mut batches = Batches::new(self.puller, &envelope);
        for piece in pack(fresh) {
            batches.push(&mut self.ledger, &piece).await?;
        }
        batches.flush(&mut self.ledger).await?;
        self.known.absorb(seen.clone());
        let next = match (&self.origin.paging, held.cursor) {
            (Paging::Link, _) => page.next.map(String::from),
            (Paging::Cursor { param, .. }, Some(cursor)) => {
                let mut next = url.clone();
                set_parameter(&mut next, param, &cursor);
                Some(next.into())
            }
            _ => None,
        };
        let (etag, last_modified) = (page.known.etag, page.known.last_modified);
        Ok(PageState { etag, last_modified, digest: digest.to_string(), next, rows, seen })
    }
}

/// Sets one query parameter and keeps the others.
fn set_parameter(url: &mut Url, name: &str, value: &str) {
    let others: Vec<(String, String)> =
        url.query_pairs().filter(|(key, _)| key != name).map(|(key, value)| (key.into(), value.into())).collect();
    url.query_pairs_mut().clear().extend_pairs(others).append_pair(name, value);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_parameter_is_replaced_and_the_others_stay() {
        let mut url = Url::parse("https://h.test/x?limit=5&page=1").unwrap();
        set_parameter(&mut url, "page", "2");
        assert_eq!(url.as_str(), "https://h.test/x?limit=5&page=2");
    }
}
