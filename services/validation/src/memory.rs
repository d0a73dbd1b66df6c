//! What rules remember, read again from the tables at every start: nothing of it is stored by itself.
//!
//! Rows of the own clean table fill the memory of `unique`, `determines`, `increasing` and `seasonal`; the log of that
//! table tells the sizes of earlier commits; clean tables of other sources fill that of `refers`, as far as they were
//! committed when a commit of this source is judged. So a process that dies in the middle judges the same rows alike.

use crate::Deps;
use crate::error::ValidationError;
use crate::store::clean_table_path;
use arrow::array::RecordBatch;
use tidemill_dataset::{REPLACE, Snapshot, Table, VersionAdds};
use tidemill_quality::{CommitMemory, Memory, Rules};

/// Memory of one source's rules.
pub(crate) struct Remembered {
    /// Rows of the source.
    pub(crate) rows: Memory,
    /// Its commits, and other sources.
    pub(crate) commits: CommitMemory,
    others: Vec<Other>,
}

/// The clean table of another source.
struct Other {
    source: String,
    columns: Vec<String>,
    table: Table,
    /// Newest version that was read.
    seen: Option<u64>,
}

impl Remembered {
    /// Reads everything again.
    pub(crate) async fn read(deps: &Deps, rules: &Rules, clean: &Table, app_id: &str) -> Result<Self, ValidationError> {
        let mut memory = Self {
            rows: Memory::new(rules, Memory::CAPACITY),
            commits: CommitMemory::new(rules),
            others: others(deps, rules).await?,
        };
        let snapshot = clean.load().await?;
        memory.read_rows(rules, clean, &snapshot).await?;
        memory.read_sizes(rules, clean, app_id).await?;
        Ok(memory)
    }

    async fn read_rows(&mut self, rules: &Rules, clean: &Table, snapshot: &Snapshot) -> Result<(), ValidationError> {
        let (own, seasonal) = (rules.remembered_columns(), rules.seasonal_columns());
        let mut columns: Vec<&str> = own.iter().chain(&seasonal).copied().collect();
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            return Ok(());
        }
        let mut scan = clean.scan(snapshot, Some(&columns), None);
        while let Some(batch) = scan.next().await? {
            self.rows.remember(rules, &batch)?;
            self.commits.remember(rules, &batch)?;
        }
        Ok(())
    }

    /// Sizes of the commits of validation itself; compaction adds no rows.
    async fn read_sizes(&mut self, rules: &Rules, clean: &Table, app_id: &str) -> Result<(), ValidationError> {
        let wanted = rules.trailing_commits();
        if wanted == 0 {
            return Ok(());
        }
        // Twice as many versions, for some are upkeep and some held back all their rows.
        let mut versions = clean.history(2 * wanted as u64).await?;
        versions.sort_by_key(|version| version.version);
        let is_commit = |version: &&VersionAdds| version.txns.contains_key(app_id) && version.operation != REPLACE;
        for version in versions.iter().filter(is_commit) {
            self.count(version.rows());
        }
        Ok(())
    }

    fn count(&mut self, rows: u64) {
        // A commit whose rows were all held back says nothing about the usual size.
        if rows > 0 {
            self.commits.count(rows);
        }
    }

    /// Reads what other sources have committed since.
    pub(crate) async fn catch_up_with_others(&mut self, rules: &Rules) -> Result<(), ValidationError> {
        for other in &mut self.others {
            let snapshot = other.table.load().await?;
            snapshot.unbroken_since(0)?;
            let newest = snapshot.version();
            let columns: Vec<&str> = other.columns.iter().map(String::as_str).collect();
            let Some(seen) = other.seen.replace(newest) else {
                let mut scan = other.table.scan(&snapshot, Some(&columns), None);
                while let Some(batch) = scan.next().await? {
                    self.commits.refer(rules, &other.source, &batch)?;
                }
                continue;
            };
            if seen == newest {
                continue;
            }
            let added = other.table.added_between(seen, newest).await?;
            let files: Vec<_> = added.into_iter().flat_map(|version| version.files).collect();
            for batch in other.table.read_files(&files, Some(&columns)).await? {
                self.commits.refer(rules, &other.source, &batch)?;
            }
        }
        Ok(())
    }

    /// Remembers what a commit added, after it was stored.
    pub(crate) fn accept(&mut self, rules: &Rules, accepted: &RecordBatch) -> Result<(), ValidationError> {
        self.count(accepted.num_rows() as u64);
        Ok(self.commits.remember(rules, accepted)?)
    }
}

async fn others(deps: &Deps, rules: &Rules) -> Result<Vec<Other>, ValidationError> {
    let mut others: Vec<Other> = Vec::new();
    for (source, column) in rules.references() {
        if let Some(known) = others.iter_mut().find(|other| other.source == source) {
            known.columns.push(column.to_owned());
            continue;
        }
        let declared = deps.spec.sources.iter().find(|(name, _)| name.as_str() == source);
        let (name, declared) = declared.ok_or_else(|| ValidationError::NoSource(source.to_owned()))?;
        let path = clean_table_path(&deps.spec.project, name);
        let table = Table::open_or_create(&deps.storage, &path, &declared.table_schema()).await?;
        others.push(Other { source: source.to_owned(), columns: vec![column.to_owned()], table, seen: None });
    }
    Ok(others)
}
