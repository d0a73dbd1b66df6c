//! Commands about data, against a real bus, a folder and a running ingestion: dead letters, versions, upkeep.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod letters;
mod place;
mod versions;
