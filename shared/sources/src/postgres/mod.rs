//! A table of PostgreSQL: whole at first, then what changed, by a cursor column that never falls.
//!
//! A poll reads, in one read-only snapshot of the database and in the order of cursor and key, the rows from the lower
//! end of the overlap to the newest cursor. Rows of the overlap that were read before are known by key and cursor and
//! are left out; what remains are new rows, changed rows and those of transactions that committed late. A transaction
//! that commits later than the overlap is long is missed: the overlap must exceed the longest transaction that
//! writes the table. A row that is changed without its cursor is not seen, by the meaning of a cursor.

mod sql;
mod tls;

use crate::error::{Error, Fault, FaultKind, Result};
use crate::ledger::Ledger;
use crate::message::{Envelope, ROW_BYTES};
use crate::puller::{Batches, Puller};
use crate::secret;
use crate::seen::{self, Seen};
use crate::text::pack;
use serde::{Deserialize, Serialize};
use sql::Table;
use std::time::Instant;
use tidemill_spec::PostgresOrigin;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};
use tokio_util::sync::CancellationToken;

const KIND: &str = "postgres";
/// Rows fetched from the server at once.
const FETCH: usize = 2_000;
/// Fetches after which a long poll is noted, so that a restart reads little again.
const NOTE_EVERY: u64 = 50;

/// How far the table is read.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct State {
    /// Lower end of the next poll; absent before the first whole one.
    low: Option<String>,
    /// Rows at or above `low` that are known.
    seen: Seen,
    /// Rows published so far.
    rows: u64,
    /// Whole polls so far.
    polls: u64,
    /// The poll that was under way.
    #[serde(default)]
    open: Option<Open>,
}

/// A poll that is not at its end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Open {
    /// Newest cursor when it began.
    high: String,
    /// Lower end of the poll after it.
    next_low: String,
    /// Cursor and keys of the last row that was read.
    after: Option<Vec<String>>,
    /// Rows at or above `next_low` that it has read.
    fresh: Seen,
    /// Rows that an interrupted attempt published and this one may read again.
    #[serde(default)]
    carried: Seen,
}

/// Polls until `stop`. An error ends this run; the next one begins with what the stream says.
pub(crate) async fn run(
    puller: &Puller,
    origin: &PostgresOrigin,
    stop: &CancellationToken,
    failures: &mut u32,
) -> Result<()> {
    let (ledger, noted) = Ledger::open(&puller.bus, &puller.project, &puller.source, KIND).await?;
    let state: State = match noted {
        None => State::default(),
        Some(value) => serde_json::from_value(value)
            .map_err(|e| Error::Position { key: format!("pull.{KIND}.{}", puller.source), reason: e.to_string() })?,
    };
    let place = format!("{}:{}/{}", origin.host, origin.port, origin.database);
    let password = origin.password.as_ref().map(|p| secret::read("from.postgres.password", p)).transpose()?;
    let client = tls::connect(origin, &place, password.as_ref()).await?;
    let mut run = Run { puller, origin, ledger, state, published: Seen::default(), place, told_nulls: false };
    run.recover().await?;
    let table = run.describe(&client).await?;
    loop {
        let began = Instant::now();
        // Whatever a poll was doing when it is dropped, the stream says how far it got.
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            polled = run.poll(&client, &table) => polled?,
        }
        if !puller.looked(began, origin.every, failures, stop).await {
            return Ok(());
        }
    }
}

struct Run<'a> {
    puller: &'a Puller,
    origin: &'a PostgresOrigin,
    ledger: Ledger,
    state: State,
    /// Rows that were published after the note and may be read again.
    published: Seen,
    place: String,
    /// Whether somebody was told that there are rows without a cursor.
    told_nulls: bool,
}

impl Run<'_> {
    async fn recover(&mut self) -> Result<()> {
        if let Some(open) = &mut self.state.open {
            self.published.absorb(std::mem::take(&mut open.carried));
        }
        let (published, rows) = (&mut self.published, &mut self.state.rows);
        let identity = sql::Identity::new(&self.puller.declared, &self.origin.cursor);
        self.ledger
            .catch_up(|message, stamp| {
                *rows = (*rows).max(stamp.first + stamp.rows);
                for line in message.payload.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    published.note(&identity.of(line));
                }
            })
            .await
            .map(|_| ())
    }

    async fn query(&self, client: &Client, text: &str) -> Result<Vec<SimpleQueryRow>> {
        let answered = client.simple_query(text).await.map_err(|e| self.failed(&e))?;
        Ok(answered
            .into_iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect())
    }

    /// What the server says against a query stays; a connection that broke may be made anew.
    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        match error.as_db_error() {
            // Classes 53, 55, 57 and 40 are shortage, locks, shutdown and conflict.
            Some(told) if !["53", "55", "57", "40"].iter().any(|class| told.code().code().starts_with(class)) => {
                let reason = format!("{} ({})", told.message(), told.code().code());
                Error::Query { place: format!("{}/{}", self.place, self.origin.table), reason }
            }
            Some(told) => Error::Database { place: self.place.clone(), reason: told.message().to_owned() },
            None => Error::Database { place: self.place.clone(), reason: tls::chain(error) },
        }
    }

    async fn describe(&self, client: &Client) -> Result<Table> {
        self.query(client, sql::SESSION).await?;
        let rows = self.query(client, &sql::columns_of(&self.origin.table)).await?;
        let found = rows.iter().filter_map(|row| Some((row.get(0)?.to_owned(), row.get(1)?.to_owned())));
        Table::new(self.origin, &self.puller.declared, &found.collect())
            .map_err(|reason| Error::Query { place: format!("{}/{}", self.place, self.origin.table), reason })
    }

    async fn poll(&mut self, client: &Client, table: &Table) -> Result<()> {
        self.query(client, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
        let polled = self.poll_inside(client, table).await;
        // Nothing was written, so there is nothing that either end could lose.
        let ended = self.query(client, "ROLLBACK").await;
        polled?;
        ended.map(|_| ())
    }

    async fn poll_inside(&mut self, client: &Client, table: &Table) -> Result<()> {
        let mut open = match self.state.open.take() {
            Some(open) => open,
            None => {
                let ends = self.query(client, &table.ends()).await?;
                let end = |at| ends.first().and_then(|row| row.get(at)).map(str::to_owned);
                // An empty table has no newest cursor.
                let (Some(high), Some(next_low)) = (end(0), end(1)) else { return Ok(()) };
                if end(2).as_deref() == Some("t") && !std::mem::replace(&mut self.told_nulls, true) {
                    self.tell_nulls().await?;
                }
                Open { high, next_low, ..Open::default() }
            }
        };
        let select = table.select(self.state.low.as_deref(), &open.high, &open.next_low, open.after.as_deref());
        self.query(client, &format!("DECLARE tidemill NO SCROLL CURSOR FOR {select}")).await?;
        let identity = sql::Identity::new(&self.puller.declared, &self.origin.cursor);
        let envelope = Envelope {
            project: self.puller.project.clone(),
            source: self.puller.source.clone(),
            kind: KIND,
            object: format!("{}/{}", self.place, self.origin.table),
            revision: self.state.polls + 1,
            digest: format!("cursor..{}", open.high),
        };
        let mut fetches = 0_u64;
        loop {
            let rows = self.query(client, &format!("FETCH {FETCH} FROM tidemill")).await?;
            let Some(last) = rows.last() else { break };
            let after = table.position(last);
            let mut fresh = Vec::new();
            for row in &rows {
                let line = row.get(0).unwrap_or_default().as_bytes();
                let name = identity.of(line);
                if row.get(1) == Some("t") {
                    open.fresh.note(&name);
                }
                if !self.state.seen.has(&name) && !self.published.has(&name) {
                    fresh.push((self.state.rows, self.fitting(line)?.to_vec()));
                    self.state.rows += 1;
                }
            }
            if open.fresh.len() > seen::MOST {
                return Err(Error::Overlap { place: envelope.object.clone(), limit: seen::MOST });
            }
            let mut batches = Batches::new(self.puller, &envelope);
            for piece in pack(fresh) {
                batches.push(&mut self.ledger, &piece).await?;
            }
            batches.flush(&mut self.ledger).await?;
            open.after = Some(after);
            fetches += 1;
            // Without the note, a restart reads more of the stream again.
            let fits = seen::fit_one_note(&[&self.state.seen, &open.fresh, &self.published]);
            if fetches.is_multiple_of(NOTE_EVERY) && fits {
                open.carried = self.published.clone();
                let state = State { open: Some(open.clone()), ..self.state.clone() };
                self.ledger.note(&state).await?;
            }
        }
        let Open { next_low, fresh, .. } = open;
        self.published = Seen::default();
        // A poll that found nothing is not worth a note.
        if self.state.low.as_ref() == Some(&next_low) && self.state.seen == fresh {
            return Ok(());
        }
        self.state =
            State { low: Some(next_low), seen: fresh, rows: self.state.rows, polls: self.state.polls + 1, open: None };
        self.ledger.note(&self.state).await
    }

    /// Rows that no poll can find are not passed over in silence.
    async fn tell_nulls(&self) -> Result<()> {
        let reason = format!("rows whose cursor {} is null or infinite are not read", self.origin.cursor);
        let fault = Fault::new(FaultKind::Schema, reason, "give them a cursor, or choose another column");
        let table = format!("{}/{}", self.place, self.origin.table);
        self.puller.refuse(KIND, "null cursors", &fault.of(&table)).await
    }

    /// A row that a message can hold.
    fn fitting<'r>(&self, line: &'r [u8]) -> Result<&'r [u8]> {
        if line.len() <= ROW_BYTES {
            return Ok(line);
        }
        let reason = format!("a row of {} bytes; the limit is {ROW_BYTES}", line.len());
        Err(Error::Query { place: format!("{}/{}", self.place, self.origin.table), reason })
    }
}
