//! How many rows the commits have on which rules will be tried.

use crate::cli::target::Target;
use crate::error::Result;
use tidemill_contracts::paths;
use tidemill_dataset::{REPLACE, Table};
use tidemill_types::SourceName;

/// Rows of a commit when nobody says: as many as a busy source brings in a few seconds.
const USUAL: usize = 1_000;
/// Commits from which on their sizes tell of those to come.
const FEWEST: usize = 4;
/// Versions whose sizes are looked up.
const VERSIONS: u64 = 1_000;

/// Rows of the commits of a file, of which only its own rows are known: at most a block.
pub(super) fn of_file(rows: usize, blocks: usize) -> Vec<usize> {
    vec![USUAL.min(rows / blocks.max(1)).max(1)]
}

/// Rows of the newest commits of a source, the oldest first; upkeep adds none. Of fewer than four commits, which may have
/// loaded history, nothing is concluded.
///
/// # Errors
/// The store fails.
pub(super) async fn of_source(
    target: &Target,
    name: &SourceName,
    (rows, blocks): (usize, usize),
) -> Result<Vec<usize>> {
    let project = target.project().await?;
    let raw = paths::raw_table(&project, name);
    let table = Table::open(&target.storage()?, &paths::clean_table(&project, name)).await?;
    let mut versions = table.history(VERSIONS).await?;
    versions.reverse();
    let commits = versions.iter().filter(|version| version.txns.contains_key(&raw) && version.operation != REPLACE);
    let sizes: Vec<usize> =
        commits.filter_map(|version| usize::try_from(version.rows()).ok()).filter(|rows| *rows > 0).collect();
    Ok(if sizes.len() < FEWEST { of_file(rows, blocks) } else { sizes })
}
