//! Delta tables and Parquet files.
//!
//! The only crate that reads and writes table data. A table is filled by one owner, batch by batch, each commit
//! noting up to which sequence the rows reach; it is followed version by version, scanned, compared, tagged, compacted,
//! vacuumed, and read unchanged by any other Delta reader. What the rows mean is the business of the services.

mod codec;
mod compact;
mod content;
mod delta;
pub mod diff;
mod error;
mod expire;
mod fetch;
mod file;
mod find;
mod follow;
mod local;
mod log;
mod plain;
mod plausible;
mod rearrange;
mod restore;
mod rewrite;
mod sample;
mod scan;
mod schema;
mod snapshot;
mod table;
mod tag;
mod tail;
mod travel;
mod vacuum;

pub use compact::{Compacted, Effort, Upkeep};
pub use content::{ContentHash, ContentHasher};
pub use error::{CommitError, Error};
pub use expire::{DELETE, Expired, Expiry};
pub use file::DataFile;
pub use find::Condition;
pub use follow::VersionAdds;
pub use local::{LocalParquet, texts_as};
pub use plain::{ParquetFile, read_parquet, write_parquet};
pub use plausible::{Implausible, plausible};
pub use restore::{CLONE, RESTORE, Restored};
pub use rewrite::{REPLACE, Rewriting};
pub use sample::{Sample, SampleOptions};
pub use scan::{Between, Scan};
pub use snapshot::Snapshot;
pub use table::{Committed, Encoded, Table};
pub use tag::{Processing, Tag, TagDropped, TagQuality, TaggedTable, Tags};
pub use tail::Damage;
pub use vacuum::{Keep, VacuumPlan, Vacuumed};
