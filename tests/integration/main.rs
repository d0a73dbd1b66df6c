//! Several crates together on real servers: streams into tables, hostile input, object stores, validation, telemetry.

mod hostile;
mod ingestion;
mod losses;
mod s3;
mod telemetry;
mod validation;
