//! One source that is fetched: runs its origin until stopped, and tells what happens.

use crate::error::{Error, Fault, Result};
use crate::ledger::Ledger;
use crate::message::{Envelope, Piece};
use crate::{files, http, letter, postgres};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_bus::{Bus, Outgoing};
use tidemill_spec::{HttpOrigin, Origin, Source, Span};
use tidemill_storage::Storage;
use tidemill_types::{Classified as _, Pauses, ProjectName, SourceName};
use tokio_util::sync::CancellationToken;

/// Pauses after failures that may pass.
const PAUSES: Pauses = Pauses::new(Duration::from_secs(1), Duration::from_secs(30));
/// Longest rest that an interface can ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3_600);
/// Bytes that are published at once.
const BATCH_BYTES: usize = 4 << 20;
/// Messages that are published at once.
const BATCH_MESSAGES: usize = 200;

/// What a puller tells whoever runs it.
#[derive(Clone, Debug)]
pub enum Told {
    /// Rows stand on the stream.
    Published {
        /// How many.
        rows: u64,
        /// In how many messages.
        messages: u64,
    },
    /// An object was refused as a whole; its dead letter is stored.
    Refused(Refusal),
    /// A look or poll ended well.
    Looked {
        /// How long it took.
        took: Duration,
    },
    /// A look or poll failed and will be repeated.
    Failed {
        /// `TMnnnn`.
        code: String,
        /// Why, in one line.
        reason: String,
        /// Whether it is the first failure after a success.
        is_new: bool,
    },
}

/// An object that was refused.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// `TMnnnn`.
    pub code: String,
    /// Object, place, reason and mend, in one line.
    pub text: String,
}

/// Who is told.
pub type Tell = Arc<dyn Fn(Told) + Send + Sync>;

/// Fetches one source.
#[derive(Clone)]
pub struct Puller {
    /// The bus.
    pub bus: Bus,
    /// The store of the instance, for raw snapshots.
    pub storage: Storage,
    /// The project.
    pub project: ProjectName,
    /// Name of the source.
    pub source: SourceName,
    /// The source as declared, with its origin.
    pub declared: Source,
    /// Folder for copies of files while they are read; `None` takes the system's.
    pub scratch: Option<PathBuf>,
    /// Who is told what happens.
    pub tell: Tell,
}

impl std::fmt::Debug for Puller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Puller").field("project", &self.project).field("source", &self.source).finish_non_exhaustive()
    }
}

impl Puller {
    /// Fetches until `stop`; failures are told and what failed is repeated. A source without an origin has nothing
    /// to do.
    ///
    /// # Errors
    /// What no repetition mends: settings, secrets, a server that is too old.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let Some(origin) = self.declared.from.clone() else {
            stop.cancelled().await;
            return Ok(());
        };
        let mut failures = 0_u32;
        let mut fetcher = None;
        loop {
            let made = match &origin {
                Origin::Files(files) => files::run(&self, files, &stop, &mut failures).await,
                Origin::Http(http) => self.run_http(http, &mut fetcher, &stop, &mut failures).await,
                Origin::Postgres(postgres) => postgres::run(&self, postgres, &stop, &mut failures).await,
            };
            let error = match made {
                Ok(()) => return Ok(()),
                Err(_) if stop.is_cancelled() => return Ok(()),
                Err(error) => error,
            };
            if fatal(&error) {
                return Err(error);
            }
            // Another process being faster is no failure: it does the work.
            if !matches!(error, Error::Moved { .. }) {
                tracing::warn!(source = %self.source, %error, "fetching pauses and begins again");
                let (code, reason) = (error.code().to_string(), error.to_string());
                (self.tell)(Told::Failed { code, reason, is_new: failures == 0 });
            }
            failures = failures.saturating_add(1);
            let pause = PAUSES.at(u64::from(failures), fraction());
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(rest(&error, duration(every(&origin)), pause)) => {}
            }
        }
    }

    /// Runs with the fetcher of the run before, if there was one.
    async fn run_http(
        &self,
        origin: &HttpOrigin,
        fetcher: &mut Option<http::Fetcher>,
        stop: &CancellationToken,
        failures: &mut u32,
    ) -> Result<()> {
        let fetcher = match fetcher {
            Some(fetcher) => fetcher,
            None => fetcher.insert(http::Fetcher::new(origin)?),
        };
        fetcher.read_bearer(origin)?;
        http::run(self, origin, fetcher, stop, failures).await
    }

    /// Ends a look that began at `began`: it is told, and the next one waited for. Gives whether there is a next one.
    pub(crate) async fn looked(
        &self,
        began: Instant,
        every: Span,
        failures: &mut u32,
        stop: &CancellationToken,
    ) -> bool {
        *failures = 0;
        (self.tell)(Told::Looked { took: began.elapsed() });
        tokio::select! {
            () = stop.cancelled() => false,
            () = tokio::time::sleep(duration(every)) => true,
        }
    }

    /// Refuses an object: letter first, then whoever listens.
    pub(crate) async fn refuse(&self, kind: &str, digest: &str, fault: &Fault) -> Result<()> {
        letter::bury(&self.bus, &self.project, &self.source, kind, digest, fault).await?;
        let code = fault.code().to_string();
        tracing::warn!(source = %self.source, code, "refused: {fault}");
        (self.tell)(Told::Refused(Refusal { code, text: fault.to_string() }));
        Ok(())
    }
}

/// What waiting does not mend. Everything else, a refused query too, may be mended at the origin meanwhile.
fn fatal(error: &Error) -> bool {
    use tidemill_bus::Error as Bus;
    matches!(
        error,
        Error::Settings { .. }
            | Error::Conform(_)
            | Error::Position { .. }
            | Error::Bus(Bus::Denied(_) | Bus::ServerTooOld { .. } | Bus::Unsafe { .. })
    )
}

/// How long a source rests after a failure: as long as its interface asks for, until the next look after a refusal,
/// which a moment later would be the same, and else for the pause, which grows.
fn rest(error: &Error, every: Duration, pause: Duration) -> Duration {
    match error {
        Error::Away { wait: Some(wait), .. } => pause.max(LONGEST_WAIT.min(*wait)),
        Error::Address { .. }
        | Error::Robots { .. }
        | Error::Status { .. }
        | Error::Endless { .. }
        | Error::Query { .. }
        | Error::Overlap { .. } => pause.max(every),
        _ => pause,
    }
}

fn every(origin: &Origin) -> Span {
    match origin {
        Origin::Files(files) => files.every,
        Origin::Http(http) => http.every,
        Origin::Postgres(postgres) => postgres.every,
    }
}

fn duration(span: Span) -> Duration {
    Duration::from_millis(u64::try_from(span.millis()).unwrap_or(1_000))
}

/// A random number from 0 to 1.
pub(crate) fn fraction() -> f64 {
    // A fresh hasher is seeded at random, which is all that jitter needs.
    let draw = RandomState::new().build_hasher().finish() % 1_024;
    f64::from(u32::try_from(draw).unwrap_or_default()) / 1_024.0
}

/// Gathers pieces into atomic batches.
pub(crate) struct Batches<'a> {
    puller: &'a Puller,
    envelope: &'a Envelope,
    messages: Vec<Outgoing>,
    bytes: usize,
    rows: u64,
    /// Batches stored so far.
    pub(crate) stored: u64,
}

impl<'a> Batches<'a> {
    pub(crate) fn new(puller: &'a Puller, envelope: &'a Envelope) -> Self {
        Self { puller, envelope, messages: Vec::new(), bytes: 0, rows: 0, stored: 0 }
    }

    /// Takes a piece; true when a batch was stored with it.
    pub(crate) async fn push(&mut self, ledger: &mut Ledger, piece: &Piece) -> Result<bool> {
        self.bytes += piece.body.len();
        self.rows += piece.rows;
        self.messages.push(self.envelope.message(piece)?);
        if self.bytes < BATCH_BYTES && self.messages.len() < BATCH_MESSAGES {
            return Ok(false);
        }
        self.flush(ledger).await?;
        Ok(true)
    }

    /// Stores what was gathered.
    pub(crate) async fn flush(&mut self, ledger: &mut Ledger) -> Result<()> {
        if self.messages.is_empty() {
            return Ok(());
        }
        ledger.publish(&self.messages).await?;
        (self.puller.tell)(Told::Published { rows: self.rows, messages: self.messages.len() as u64 });
        self.messages.clear();
        (self.bytes, self.rows) = (0, 0);
        self.stored += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_rests_until_the_next_look_and_a_wish_of_the_interface_is_kept() {
        let (day, pause) = (Duration::from_secs(86_400), Duration::from_secs(7));
        let url = || "https://h.test/x".to_owned();
        let away = |seconds: Option<u64>| {
            let wait = seconds.map(Duration::from_secs);
            rest(&Error::Away { url: url(), reason: String::new(), wait }, day, pause)
        };
        assert_eq!(away(None), pause);
        assert_eq!(away(Some(3_600)), Duration::from_secs(3_600));
        assert_eq!(away(Some(1)), pause, "a pause that has grown is not cut short");
        assert_eq!(away(Some(u64::MAX)), LONGEST_WAIT);
        let gone = Error::Status { url: url(), status: 404, detail: String::new() };
        assert_eq!(rest(&gone, day, pause), day);
        assert_eq!(
            rest(&gone, Duration::from_millis(1), pause),
            pause,
            "nor does a refusal come faster than a failure"
        );
        let overlap = Error::Overlap { place: String::new(), limit: 1 };
        assert_eq!(rest(&overlap, day, pause), day);
        assert_eq!(rest(&Error::Database { place: String::new(), reason: String::new() }, day, pause), pause);
    }

    #[test]
    fn pauses_differ_over_the_whole_interval() {
        let pauses: Vec<Duration> = (0..200).map(|_| PAUSES.at(9, fraction())).collect();
        assert!(pauses.iter().all(|pause| *pause <= PAUSES.longest));
        // That none of 200 lies in the first tenth has a chance below 10^-9, in the upper half of 2^-200.
        assert!(pauses.iter().any(|pause| *pause < PAUSES.longest / 10), "{pauses:?}");
        assert!(pauses.iter().any(|pause| *pause > PAUSES.longest / 2), "{pauses:?}");
    }
}
