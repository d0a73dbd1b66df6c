//! Time travel: which version was current at an instant, and from which version on an instant is complete.
//!
//! Two clocks, never mixed. The *commit instant* is when a version was written, by the clock of its writer. The
//! *knowledge instant* belongs to the rows: what was known by then is a filter on a column, not a version; the first
//! version whose watermark reaches the instant holds all of it.

use crate::error::Error;
use crate::table::Table;
use tidemill_types::Millis;

/// Key of the watermark in a commit's metadata, milliseconds, as intake and validation write it.
const WATERMARK_KEY: &str = "tidemill.watermark";

impl Table {
    /// The version that was current at a commit instant, `None` when the table is younger.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn version_at(&self, instant: Millis) -> Result<Option<u64>, Error> {
        let newest = self.load().await?.version();
        // Versions are committed one after the other, so their instants grow, but for a clock that was set back.
        let (mut low, mut high) = (0, newest + 1);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.committed_at(middle).await? {
                Some(at) if at > instant => high = middle,
                // An entry that was cleaned away behind a checkpoint is older than those that are left.
                _ => low = middle + 1,
            }
        }
        Ok(low.checked_sub(1))
    }

    async fn committed_at(&self, version: u64) -> Result<Option<Millis>, Error> {
        match self.version_adds(version).await {
            Ok(adds) => Ok(Some(adds.committed_at)),
            Err(Error::Absent { .. }) => Ok(None),
            Err(other) => Err(other),
        }
    }

    /// The first version whose producers promised to be complete up to a knowledge instant; `None` when none did.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn complete_at(&self, instant: Millis) -> Result<Option<u64>, Error> {
        let newest = self.load().await?.version();
        let mut found = None;
        for version in (0..=newest).rev() {
            let adds = match self.version_adds(version).await {
                Ok(adds) => adds,
                Err(Error::Absent { .. }) => break,
                Err(other) => return Err(other),
            };
            match adds.metadata.get(WATERMARK_KEY).and_then(|text| text.parse::<i64>().ok()) {
                Some(mark) if mark >= instant.0 => found = Some(version),
                // Watermarks never fall, so nothing older reaches it.
                Some(_) => break,
                None => {}
            }
        }
        Ok(found)
    }
}
