//! Columns of a training set: one row an entity at its instant, then the features, then audit columns.

/// Entity key (type of the entity's key column).
pub const KEY: &str = "tm_key";
/// Instant of the prediction (`Timestamp(ms, UTC)`).
pub const AS_OF: &str = "tm_as_of";
/// The label (`Boolean`, null while the outcome is not known).
pub const LABEL: &str = "tm_label";
/// When the outcome became known (`Timestamp(ms, UTC)`, nullable).
pub const LABEL_KNOWN_AT: &str = "tm_label_known_at";
/// Whether `train.exclude` leaves the row out (`Boolean`).
pub const EXCLUDED: &str = "tm_excluded";
/// Prefix of the entity row's own columns, for leak checks; never features.
pub const ENTITY_PREFIX: &str = "entity.";
/// Prefix of the outcome row's columns, for leak checks; never features.
pub const OUTCOME_PREFIX: &str = "outcome.";
