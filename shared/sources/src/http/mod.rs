//! Pages of an HTTP interface, asked for again and again; rows that were in the last poll already are not events again.
//!
//! A poll reads all pages. A page that says that it is unchanged, or whose body is the same, brings nothing; of the
//! others the rows that no page of the last poll had are published. So an interface that repeats itself adds nothing,
//! and one that corrects a row adds the correction, known from now on. Equal rows are counted over all pages of a poll,
//! unchanged ones too: of as many as there are now, those beyond as many as there were are new.

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
use crate::seen::{self, Seen};
use crate::text::{Rules, pack};
use client::Page;
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

/// Polls until `stop`. An error ends this run; the next one begins with what the stream says, and with the fetcher, which
/// knows when it asked last and what hosts permit.
pub(crate) async fn run(
    puller: &Puller,
    origin: &HttpOrigin,
    fetcher: &mut Fetcher,
    stop: &CancellationToken,
    failures: &mut u32,
) -> Result<()> {
    let (ledger, noted) = Ledger::open(&puller.bus, &puller.project, &puller.source, KIND).await?;
    let state = match noted {
        None => State::default(),
        Some(value) => serde_json::from_value(value)
            .map_err(|e| Error::Position { key: format!("pull.{KIND}.{}", puller.source), reason: e.to_string() })?,
    };
    let rules = Rules::new(&puller.declared, &origin.text);
    let mut known = Seen::default();
    for page in state.pages.values() {
        known.add_all(&page.seen);
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
    fetcher: &'a mut Fetcher,
    state: State,
    /// Rows of the last whole poll, and those published since.
    known: Seen,
}

impl Run<'_> {
    /// Rows that were published after the noted poll are known as well.
    async fn recover(&mut self) -> Result<()> {
        let known = &mut self.known;
        self.ledger
            .catch_up(|message, _| {
                for line in message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    known.add(line);
                }
            })
            .await
            .map(|_| ())
    }

    async fn poll(&mut self) -> Result<()> {
        let mut next = Some(Url::parse(&self.origin.url).map_err(|e| Error::settings("from.http.url", e.to_string()))?);
        let mut number = match &self.origin.paging {
            Paging::Page { first, .. } => *first,
            _ => 0,
        };
        let mut new = State { polls: self.state.polls + 1, pages: BTreeMap::new() };
        let (mut visited, mut taken) = (HashSet::new(), Seen::default());
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
            let page = self.page(&url, new.polls, &mut taken).await?;
            if taken.len() > seen::MOST {
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
        let found = |state: &State| {
            let page = |(url, page): (&String, &PageState)| (url.clone(), page.digest.clone(), page.next.clone());
            state.pages.iter().map(page).collect::<Vec<_>>()
        };
        let is_same = found(&self.state) == found(&new);
        (self.state, self.known) = (new, taken);
        // A poll that found nothing is not worth a note.
        if is_same { Ok(()) } else { self.ledger.note(&self.state).await }
    }

    /// Fetches one page and publishes what is new in it. Its rows are counted to those that were taken in this poll.
    async fn page(&mut self, url: &Url, poll: u64, taken: &mut Seen) -> Result<PageState> {
        let before = self.state.pages.get(url.as_str()).cloned();
        let known = before.as_ref().map_or_else(Known::default, |page| self.known_of(page));
        let mut answer = self.fetcher.fetch(url, &known).await?;
        if let (Answer::Unchanged { next }, Some(before)) = (&answer, &before) {
            if self.known.covers(taken, &before.seen) {
                taken.add_all(&before.seen);
                let next = next.clone().map(String::from).or_else(|| before.next.clone());
                return Ok(PageState { next, ..before.clone() });
            }
            // A row that it has stands on another page as well by now: only the body says what to publish.
            answer = self.fetcher.fetch(url, &Known::default()).await?;
        }
        let Answer::Body(page) = answer else {
            let detail = " though nothing was known of it".to_owned();
            return Err(Error::Status { url: shown(url), status: 304, detail });
        };
        let digest = Digest::of(&page.body);
        let same = before.filter(|before| before.digest == digest.as_str());
        if let Some(before) = same.clone().filter(|before| self.known.covers(taken, &before.seen)) {
            taken.add_all(&before.seen);
            let next = if self.origin.paging == Paging::Link { page.next.map(String::from) } else { before.next };
            let (etag, last_modified) = (page.known.etag, page.known.last_modified);
            return Ok(PageState { etag, last_modified, next, ..before });
        }
        if same.is_none() {
            snapshot::keep(self.puller, url, &page, self.origin.license.as_deref()).await?;
        }
        let held = rows::read(&page.body, self.origin, &self.rules).map_err(|fault| fault.of(&shown(url)))?;
        let next = self.next_of(url, &page, held.cursor.as_deref());
        let (mut seen, mut fresh) = (Seen::default(), Vec::new());
        let rows = held.lines.len() as u64;
        for (at, line) in (0..).zip(held.lines) {
            seen.add(&line);
            let number = taken.add(&line);
            if number > self.known.count(&line) {
                self.known.raise(&line, number);
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
        let (etag, last_modified) = (page.known.etag, page.known.last_modified);
        Ok(PageState { etag, last_modified, digest: digest.to_string(), next, rows, seen })
    }

    /// What the interface is told that we know of a page. Of one that was the last by its links nothing: a page that
    /// follows need not change it, and an answer of 304 need not carry the link.
    fn known_of(&self, page: &PageState) -> Known {
        if self.origin.paging == Paging::Link && page.next.is_none() {
            return Known::default();
        }
        Known { etag: page.etag.clone(), last_modified: page.last_modified.clone() }
    }

    /// Address of the page after this one.
    fn next_of(&self, url: &Url, page: &Page, cursor: Option<&str>) -> Option<String> {
        match (&self.origin.paging, cursor) {
            (Paging::Link, _) => page.next.clone().map(String::from),
            (Paging::Cursor { param, .. }, Some(cursor)) => {
                let mut next = url.clone();
                set_parameter(&mut next, param, cursor);
                Some(next.into())
            }
            _ => None,
        }
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
