//! Takes one file: copy, hash, check to the end, publish from where the stream ends.

use super::{KIND, Run, Taken, format_of};
use crate::error::{Error, Fault, FaultKind, Result};
use crate::files::Scratch;
use crate::files::read::{self, Named, blocking};
use crate::message::{Envelope, Piece};
use crate::puller::Batches;
use std::sync::Arc;
use tidemill_spec::WhenChanged;
use tidemill_storage::ObjectInfo;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Pieces that wait for the bus.
const WAITING: usize = 4;
/// Batches after which the position of a long file is noted, so that a restart reads little of the stream.
const NOTE_EVERY: u64 = 64;

impl Run<'_> {
    /// Takes what is new of a file. A fault of the file refuses it and lets the others go on.
    pub(super) async fn take(&mut self, file: &ObjectInfo, stop: &CancellationToken) -> Result<()> {
        let before = self.noted(&file.path).await?;
        let same_look = |taken: &Taken| taken.size == file.size && taken.modified == file.modified.0;
        if before.as_ref().is_some_and(|taken| taken.done && same_look(taken)) {
            return Ok(());
        }
        let mut taken =
            Taken { path: file.path.clone(), size: file.size, modified: file.modified.0, ..Taken::default() };
        match self.take_content(file, before, &mut taken, stop).await {
            Ok(()) => Ok(()),
            Err(Error::Fault(fault)) => {
                self.puller.refuse(KIND, &taken.digest, &fault.of(&self.shown(&file.path))).await?;
                taken.done = true;
                self.note(taken).await
            }
            // It was there at the look; whoever removed it did not want it read.
            Err(Error::Storage(tidemill_storage::Error::NotFound(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The file as people know it.
    fn shown(&self, path: &str) -> String {
        format!("{}/{path}", self.place.url())
    }

    async fn take_content(
        &mut self,
        file: &ObjectInfo,
        before: Option<Taken>,
        taken: &mut Taken,
        stop: &CancellationToken,
    ) -> Result<()> {
        let folder = self.puller.scratch.clone();
        // Enough to tell one unreadable content from another.
        taken.digest = format!("{} bytes of {}", file.size, file.modified);
        taken.revision = before.as_ref().map_or(1, |before| before.revision.max(1));
        taken.had_rows = before.as_ref().is_some_and(|before| before.had_rows || before.rows > 0);
        let copied =
            Scratch::copy(&self.place, &file.path, file.size, self.origin.max_bytes, folder.as_deref()).await?;
        let now = self.place.head_listed(&file.path).await?;
        if (now.size, now.modified) != (file.size, file.modified) || copied.size != file.size {
            // Somebody writes; the next looks will see when it is complete.
            return Ok(());
        }
        taken.digest.clone_from(&copied.digest);
        if let Some(before) = before {
            if before.digest == copied.digest {
                (taken.rows, taken.done, taken.revision) = (before.rows, before.done, before.revision);
            } else if taken.had_rows {
                taken.revision = before.revision + 1;
                if self.origin.changed == WhenChanged::Refuse {
                    let reason = "the file has changed after rows of it were taken";
                    let mend = "write new rows to a new file, or set from.files.changed: reread";
                    return Err(Fault::new(FaultKind::Changed, reason, mend).into());
                }
            }
        }
        if taken.done {
            return self.note(taken.clone()).await;
        }
        let format = self.format(&file.path)?;
        let most = self.origin.max_bytes;
        let scratch = blocking(move || copied.unfold(format.compression, most, folder.as_deref())).await??;
        self.publish(Arc::new(scratch), format, taken, stop).await
    }

    fn format(&self, path: &str) -> Result<Named> {
        let named = format_of(path);
        match (self.origin.format, named) {
            (Some(format), _) => {
                let lower = path.to_ascii_lowercase();
                Ok(Named { format, compression: read::compression_of(&lower).1 })
            }
            (None, Some(named)) => Ok(named),
            (None, None) => {
                let mend = "end its name in .csv, .jsonl, .parquet or .arrow, or set from.files.format";
                Err(Fault::new(FaultKind::Format, "the name does not say a format", mend).into())
            }
        }
    }

    async fn publish(
        &mut self,
        scratch: Arc<Scratch>,
        named: Named,
        taken: &mut Taken,
        stop: &CancellationToken,
    ) -> Result<()> {
        let (copy, rules, source) = (Arc::clone(&scratch), self.rules.clone(), self.puller.declared.clone());
        let rows = blocking(move || read::check(&copy, named.format, &rules, &source)).await??;
        let envelope = Envelope {
            project: self.puller.project.clone(),
            source: self.puller.source.clone(),
            kind: KIND,
            object: taken.path.clone(),
            revision: taken.revision,
            digest: taken.digest.clone(),
        };
        let (sender, mut pieces) = mpsc::channel::<Piece>(WAITING);
        let (rules, skip) = (self.rules.clone(), taken.rows);
        let reading = tokio::task::spawn_blocking(move || {
            read::rows(&scratch, named.format, &rules, skip, &mut |piece| sender.blocking_send(piece).is_ok())
        });
        let mut batches = Batches::new(self.puller, &envelope);
        while let Some(piece) = pieces.recv().await {
            let end = piece.first + piece.rows;
            if batches.push(&mut self.ledger, &piece).await? {
                taken.rows = end;
                if batches.stored.is_multiple_of(NOTE_EVERY) {
                    self.note(taken.clone()).await?;
                }
                if stop.is_cancelled() {
                    return Ok(());
                }
            }
        }
        batches.flush(&mut self.ledger).await?;
        reading.await.map_err(|e| Error::Task(e.to_string()))??;
        taken.rows = rows;
        taken.done = true;
        self.note(taken.clone()).await
    }
}
