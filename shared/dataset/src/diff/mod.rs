//! How two versions differ: columns, rows, and the distribution of every column.
//!
//! Where the right side is a later version of the same table, the rows that were added are compared with those that
//! were there: two separate samples, as tests want them. Otherwise all rows of one side are compared with all of the
//! other. Distributions come from the profiles that validation stored with each commit, when these cover every row in
//! question; otherwise the files are read.

mod columns;
mod profiles;

pub use columns::{ColumnDiff, ColumnFacts, compare};

use crate::error::Error;
use crate::snapshot::Snapshot;
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_stats::TableProfile;
use tidemill_types::Millis;

/// One side of a comparison.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// The table.
    pub table: &'a Table,
    /// The version.
    pub snapshot: &'a Snapshot,
}

/// Which rows were compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compared {
    /// The rows of the left version with those that were added until the right one.
    AddedRows,
    /// All rows of one side with all of the other.
    WholeTables,
}

/// Where the distributions came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Profiles that validation stored with its commits.
    StoredProfiles,
    /// The rows, read for this comparison.
    Rows,
}

/// A version in short.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VersionFacts {
    /// Path of the table.
    pub table: String,
    /// The version.
    pub version: u64,
    /// When it was committed, by the writer's clock.
    pub committed_at: Option<Millis>,
    /// Its rows.
    pub rows: u64,
    /// Size of its files.
    pub bytes: u64,
    /// Number of its files.
    pub files: usize,
}

/// A column that is not the same on both sides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaChange {
    /// Its name.
    pub column: String,
    /// Its type on the left, with `?` when it may be null; none when it is not there.
    pub left: Option<String>,
    /// Its type on the right.
    pub right: Option<String>,
}

/// How two versions differ.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TableDiff {
    /// The left version.
    pub left: VersionFacts,
    /// The right version.
    pub right: VersionFacts,
    /// Rows that the right has more than the left; negative when it has fewer.
    pub rows_more: i64,
    /// Columns that are not the same.
    pub schema: Vec<SchemaChange>,
    /// Which rows the distributions are of.
    pub compared: Compared,
    /// Where the distributions came from.
    pub origin: Origin,
    /// Rows behind the left distributions.
    pub left_rows: u64,
    /// Rows behind the right distributions.
    pub right_rows: u64,
    /// Every declared column that both sides have.
    pub columns: Vec<ColumnDiff>,
}

impl TableDiff {
    /// Columns whose distributions differ by more than chance.
    pub fn differing(&self) -> impl Iterator<Item = &ColumnDiff> {
        self.columns.iter().filter(|column| column.differs)
    }

    /// Masks some columns: their values are shown as `shown` says, which is given the column and the value, and numbers
    /// that are values, or that one value can be told from, are left out.
    pub fn mask(&mut self, is_masked: impl Fn(&str) -> bool, shown: impl Fn(&str, &str) -> String) {
        for column in self.columns.iter_mut().filter(|column| is_masked(&column.name)) {
            for value in &mut column.new_values {
                *value = shown(&column.name, value);
            }
            column.left = column.left.without_values();
            column.right = column.right.without_values();
        }
    }
}

/// Compares two versions.
///
/// # Errors
/// When the store fails or a file is damaged.
pub async fn diff(left: Side<'_>, right: Side<'_>) -> Result<TableDiff, Error> {
    let unread = || Error::Encode("rows were to be read, and were not".to_owned());
    diff_within(left, right, u64::MAX).await?.ok_or_else(unread)
}

/// Compares two versions, reading at most so many rows on either side; `None` when stored profiles do not cover them
/// and more would have to be read.
///
/// # Errors
/// As [`diff`].
pub async fn diff_within(left: Side<'_>, right: Side<'_>, most_rows: u64) -> Result<Option<TableDiff>, Error> {
    let extends = left.table.path() == right.table.path() && left.snapshot.version() <= right.snapshot.version();
    let added = async {
        match extends {
            true => Sample::of_added(right.table, left.snapshot, right.snapshot, most_rows).await,
            false => Ok(Added::Gone),
        }
    };
    let (added, ours) = futures::try_join!(added, Sample::of(left, most_rows))?;
    let (compared, theirs) = match added {
        Added::Here(added) => (Compared::AddedRows, Some(added)),
        Added::TooMany => return Ok(None),
        Added::Gone => (Compared::WholeTables, Sample::of(right, most_rows).await?),
    };
    let (Some(ours), Some(theirs)) = (ours, theirs) else { return Ok(None) };
    let stored = [&ours, &theirs].iter().all(|sample| sample.origin == Origin::StoredProfiles);
    Ok(Some(TableDiff {
        rows_more: signed(right.snapshot.num_rows()) - signed(left.snapshot.num_rows()),
        left: facts(left).await?,
        right: facts(right).await?,
        schema: schema_changes(left.snapshot, right.snapshot),
        compared,
        origin: if stored { Origin::StoredProfiles } else { Origin::Rows },
        left_rows: ours.profile.rows,
        right_rows: theirs.profile.rows,
        columns: compare(&ours.profile, &theirs.profile)?,
    }))
}

fn signed(rows: u64) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

async fn facts(side: Side<'_>) -> Result<VersionFacts, Error> {
    let snapshot = side.snapshot;
    Ok(VersionFacts {
        table: side.table.path().to_owned(),
        version: snapshot.version(),
        committed_at: side.table.version_adds(snapshot.version()).await.ok().map(|adds| adds.committed_at),
        rows: snapshot.num_rows(),
        bytes: snapshot.num_bytes(),
        files: snapshot.files().count(),
    })
}

/// Columns that one side lacks, or that have another type or nullability.
fn schema_changes(left: &Snapshot, right: &Snapshot) -> Vec<SchemaChange> {
    let described = |snapshot: &Snapshot| -> BTreeMap<String, String> {
        let schema = snapshot.schema();
        let fields = schema.fields().iter();
        fields
            .map(|f| (f.name().clone(), format!("{}{}", f.data_type(), if f.is_nullable() { "?" } else { "" })))
            .collect()
    };
    let (left, right) = (described(left), described(right));
    let names: std::collections::BTreeSet<&String> = left.keys().chain(right.keys()).collect();
    let changed = names.into_iter().filter(|name| left.get(*name) != right.get(*name));
    changed
        .map(|name| SchemaChange {
            column: name.clone(),
            left: left.get(name).cloned(),
            right: right.get(name).cloned(),
        })
        .collect()
}

/// The distributions of some rows.
struct Sample {
    profile: TableProfile,
    origin: Origin,
}

/// The rows that came between two versions.
enum Added {
    Here(Sample),
    /// More than may be read.
    TooMany,
    /// Rows went away meanwhile, or their files are gone.
    Gone,
}

impl Sample {
    /// All rows of a version; `None` when they are too many to be read.
    async fn of(side: Side<'_>, most_rows: u64) -> Result<Option<Self>, Error> {
        if let Some(profile) = profiles::stored(side.table, 0, side.snapshot.version()).await?
            && profile.rows == side.snapshot.num_rows()
        {
            return Ok(Some(Self { profile, origin: Origin::StoredProfiles }));
        }
        if side.snapshot.num_rows() > most_rows {
            return Ok(None);
        }
        let files: Vec<_> = side.snapshot.files().cloned().collect();
        Ok(Some(Self { profile: profiles::read(side.table, &files).await?, origin: Origin::Rows }))
    }

    /// The rows that came between two versions.
    async fn of_added(table: &Table, left: &Snapshot, right: &Snapshot, most_rows: u64) -> Result<Added, Error> {
        let (from, to) = (left.version(), right.version());
        let versions = match table.added_between(from, to).await {
            Ok(versions) => versions,
            Err(Error::Absent { .. } | Error::Rewritten { .. }) => return Ok(Added::Gone),
            Err(other) => return Err(other),
        };
        let rows: u64 = versions.iter().map(crate::VersionAdds::rows).sum();
        if left.num_rows() + rows != right.num_rows() {
            return Ok(Added::Gone);
        }
        if let Some(profile) = profiles::stored(table, from, to).await?
            && profile.rows == rows
        {
            return Ok(Added::Here(Self { profile, origin: Origin::StoredProfiles }));
        }
        if rows > most_rows {
            return Ok(Added::TooMany);
        }
        let files: Vec<_> = versions.into_iter().flat_map(|version| version.files).collect();
        match profiles::read(table, &files).await {
            Ok(profile) => Ok(Added::Here(Self { profile, origin: Origin::Rows })),
            // Joined into other files, and vacuumed.
            Err(Error::Storage(tidemill_storage::Error::NotFound(_))) => Ok(Added::Gone),
            Err(other) => Err(other),
        }
    }
}
