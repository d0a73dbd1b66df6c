//! Several crates together on real servers: streams into tables, hostile input, object stores, cleaning, validation,
//! silent and halted sources, online features beside validation, telemetry, lineage told to others.

mod cleaning;
mod halts;
mod hostile;
mod ingestion;
mod lineage;
mod losses;
mod online;
mod privacy;
mod s3;
mod silence;
mod sources;
mod telemetry;
mod validation;
mod versions;
