//! What one should know about a table before using it.
//!
//! [`scan`](crate::scan::scan) reads a table once, by column and group of rows on several threads, into mergeable
//! profiles, a bounded sample and exact counts of repeats. [`explore`] turns them into an [`Exploration`]: facts by
//! column, relations, missing values, tests, warnings. Of a table, [`explore_profile`] makes the same of merged profiles
//! and of [`relations_of`] some drawn rows. [`report`] writes it as one self-contained page. Pure and deterministic for a seed, whatever the number of threads; who reads the files hands in arrays.

pub mod association;
pub mod compare;
pub mod density;
pub mod distance;
pub mod error;
pub mod exploration;
pub mod facts;
pub mod formats;
pub mod merged;
pub mod missing;
pub mod near;
pub mod outliers;
pub mod over_time;
pub mod ranged;
pub mod relations;
pub mod report;
pub mod scan;
pub mod seasons;
pub mod spans;
pub mod table;
pub mod warnings;

pub use error::{Error, Result};
// Where every row passes, the code stands with the sketches.
pub use exploration::{Exploration, Options, explore, explore_profile};
pub use facts::ColumnFacts;
pub use merged::Merged;
pub use ranged::{Range, Ranged};
pub use relations::{Relations, relations_of};
pub use scan::{ScanOptions, Scanned, Shape, Stream, scan};
pub use spans::Spans;
pub use tidemill_stats::{repeats, sample, times};
pub use warnings::{Level, Warning};
