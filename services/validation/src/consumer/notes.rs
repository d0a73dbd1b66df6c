//! What the clean table notes without rows: how far it reaches, and that the source is held.

use super::Follower;
use crate::error::ValidationError;
use std::collections::BTreeMap;
use tidemill_contracts::commits;
use tidemill_dataset::Snapshot;

/// Newest versions of the clean table that are searched for the last word on a hold.
const LOOKED_AT: u64 = 16;

impl Follower<'_> {
    /// Notes what the clean table covers, without rows.
    pub(super) async fn note(&self, clean: Snapshot, notes: &[(&str, i64)]) -> Result<(), ValidationError> {
        let mut metadata = BTreeMap::new();
        self.decided.note(&mut metadata);
        let result = self.clean.commit_noting(clean, &[], notes, metadata).await;
        result.map(|_| ()).map_err(|e| ValidationError::of_commit(e, self.clean.path()))
    }

    /// Notes that the source is held for the classification of these columns, for those who read the stream themselves.
    /// A process that begins again and decides alike has nothing to add.
    pub(super) async fn note_hold(&self, clean: Snapshot, columns: &[String]) -> Result<(), ValidationError> {
        let told = serde_json::to_string(columns).unwrap_or_default();
        let newest = self.clean.history(LOOKED_AT).await?;
        if newest.iter().find_map(|v| commits::held(&v.metadata, &v.txns)).flatten() == Some(told.as_str()) {
            return Ok(());
        }
        let mut metadata = BTreeMap::from([(commits::HELD.to_owned(), told)]);
        self.decided.note(&mut metadata);
        let result = self.clean.commit_noting(clean, &[], &[], metadata).await;
        result.map(|_| ()).map_err(|e| ValidationError::of_commit(e, self.clean.path()))
    }
}
