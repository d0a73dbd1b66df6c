//! Transforms fitted on training rows only and applied everywhere.
//!
//! Only [`Split`] can make [`TrainRows`], only `TrainRows` can make a [`FitView`], and every `fit` takes a
//! `FitView`: a transform that has seen a validation row does not compile. The fitted transforms are data
//! (serde), applied by column name to any Arrow batch.
//!
//! ```
//! use tidemill_transform::{FitView, Split};
//! fn fit(split: &Split, batch: &arrow::record_batch::RecordBatch, labels: &[bool]) {
//!     let _ = FitView::new(batch, labels, split.train());
//! }
//! ```
//!
//! ```compile_fail,E0308
//! // Validation rows cannot be fitted on.
//! use tidemill_transform::{FitView, Split};
//! fn leak(split: &Split, batch: &arrow::record_batch::RecordBatch, labels: &[bool]) {
//!     let _ = FitView::new(batch, labels, split.valid());
//! }
//! ```
//!
//! ```compile_fail,E0451
//! // Row numbers of one's own are no training rows.
//! let rows = tidemill_transform::TrainRows { indices: vec![0, 1, 2], of: 3 };
//! ```

mod column;
mod error;
mod linear_matrix;
mod matrix;
mod one_hot;
mod split;
mod target_encoding;
mod tree_matrix;
mod view;

pub use column::{Column, FeatureKind, FeatureSpec, features_of, known_as, read_column};
pub use error::{Error, Result};
pub use linear_matrix::{LinearMatrix, LinearOptions};
pub use matrix::{Matrix, MatrixF32, MatrixF64};
pub use split::{Split, SplitSpec, TrainRows, ValidRows};
pub use tree_matrix::{CategoryEncoding, TreeMatrix};
pub use view::{FitView, HeldOutView};
