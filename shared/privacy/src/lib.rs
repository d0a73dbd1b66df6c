#![doc = include_str!("../README.md")]

mod card;
mod checksum;
mod class;
mod contact;
mod dates;
mod error;
mod evidence;
mod geo;
mod ids;
mod mask;
mod names;
mod network;
mod places;
mod rows;
mod sample;
mod score;
mod sensitive;
mod text;
mod value;
mod verdict;
mod words;

pub use class::{Declaration, PiiClass};
pub use error::{PrivacyError, Unclassified};
pub use ids::{IdKind, kinds as id_kinds};
pub use mask::{HIDDEN, Masks, Sensitive, mask, numbered};
pub use rows::{LOOKED_AT, rows_of};
pub use score::THRESHOLD;
pub use sensitive::{Attribute, attribute};
pub use value::{Findings, MAX_TEXT, MAX_VALUE, examine};
pub use verdict::{ColumnView, MOST_VALUES, Verdict, classify};
