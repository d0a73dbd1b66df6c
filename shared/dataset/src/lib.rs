//! Delta tables and Parquet files.
//!
//! The only crate that reads and writes table data. A table is filled by one owner, batch by batch, each commit
//! noting up to which sequence the rows reach; it is followed version by version, scanned, compacted, and read
//! unchanged by any other Delta reader. What the rows mean is the business of the services.

mod codec;
mod compact;
mod delta;
mod error;
mod file;
mod follow;
mod log;
mod plain;
mod scan;
mod schema;
mod snapshot;
mod table;

pub use compact::Compacted;
pub use error::{CommitError, Error};
pub use file::DataFile;
pub use follow::VersionAdds;
pub use plain::{read_parquet, write_parquet};
pub use scan::{Between, Scan};
pub use snapshot::Snapshot;
pub use table::{Committed, Table};
