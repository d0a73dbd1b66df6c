//! How a run ended: the books of all tables, once everything that was published has been made something of.

use crate::kills::last_lines;
use anyhow::{Context as _, Result, ensure};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use tidemill_bus::Message;
use tidemill_contracts::{headers, paths};
use tidemill_dataset::Table;
use tidemill_storage::Storage;
use tidemill_testkit::eventually;
use tidemill_tests::audit::{Audit, Findings};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Published, Rig, messages};

/// Longest wait for validation to catch up.
const PATIENCE: Duration = Duration::from_secs(300);

/// The books at the end.
pub(crate) struct End {
    /// The raw table.
    pub(crate) raw: Audit,
    /// What is wrong with it.
    lost: Findings,
    /// Rows that are clean or in quarantine, and what is wrong with them.
    validated: (usize, Findings),
    /// What was refused, and why.
    letters: Vec<String>,
    /// Whether the stream has every sequence once.
    is_whole: bool,
}

impl End {
    /// Waits until everything is in the tables and counts it. What the processes said last stands in `log`.
    pub(crate) async fn of(rig: &Rig, storage: &Storage, log: &Path, published: &Published) -> Result<Self> {
        let books = async {
            let (path, stream) = (rig.raw()?, rig.stream()?);
            caught_up(&rig.bus, storage, &path, &stream, published.last()).await?;
            let raw = Audit::of(storage, &path).await?;
            let validated = validated(storage, rig, raw.rows()).await?;
            anyhow::Ok((raw, validated))
        };
        let (raw, validated) = books.await.with_context(|| last_lines(log))?;
        Ok(Self {
            lost: raw.against(published),
            validated: (validated.rows(), validated.against(published)),
            letters: rig.dead_letters().await?.iter().map(reason).collect(),
            is_whole: published.rows.keys().copied().eq(1..=published.last()),
            raw,
        })
    }

    /// Nothing lost, nothing twice, nothing refused.
    pub(crate) fn must_balance(&self) {
        assert!(self.letters.is_empty(), "dead letters: {:?}", self.letters);
        assert_eq!(self.lost, Findings::default(), "the raw table");
        assert_eq!(self.validated.1, Findings::default(), "clean and quarantine");
        assert!(self.is_whole, "the stream has a gap or a double");
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, after) = &self.validated;
        write!(
            f,
            "raw: {} rows in {} commits, lost {}, doubled {}, foreign {}; clean and quarantine: {rows} rows, lost {}, \
             doubled {}, foreign {}; dead letters {}",
            self.raw.rows(),
            self.raw.versions,
            self.lost.lost,
            self.lost.doubled,
            self.lost.foreign,
            after.lost,
            after.doubled,
            after.foreign,
            self.letters.len(),
        )
    }
}

fn reason(letter: &Message) -> String {
    let header = |name| letter.headers.get(name).unwrap_or_default();
    let (code, seq) = (header(headers::DEAD_CODE), header(headers::DEAD_SEQ));
    format!("{code} of message {seq}: {}", header(headers::DEAD_REASON))
}

/// What validation made of the raw rows, once it has made something of every one.
async fn validated(storage: &Storage, rig: &Rig, rows: usize) -> Result<Audit> {
    let source = messages::source()?;
    let tables = [paths::clean_table(&rig.spec.project, &source), paths::quarantine_table(&rig.spec.project, &source)];
    let held = async || {
        let mut held = 0;
        for path in &tables {
            held += Table::open(storage, path).await?.load().await?.num_rows();
        }
        anyhow::Ok(held)
    };
    // More rows than there were would never be equal to them, so at least as many are waited for.
    let is_done = eventually(PATIENCE, || async { held().await.is_ok_and(|held| held >= rows as u64) }).await;
    ensure!(is_done, "validation made something of {:?} rows of {rows}", held().await);
    let [clean, quarantine] = &tables;
    let mut both = Audit::of(storage, clean).await?;
    both.merge(Audit::of(storage, quarantine).await?);
    Ok(both)
}
