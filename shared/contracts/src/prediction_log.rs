//! Columns of the prediction log: one row a prediction, followed by one column per feature.
//!
//! Feature names never start with `tm_`, so they cannot collide.

/// Id of the prediction (`Utf8`).
pub const PREDICTION_ID: &str = "tm_prediction_id";
/// Entity key (type of the entity's key column).
pub const KEY: &str = "tm_key";
/// Instant for which the features were read (`Timestamp(ms, UTC)`).
pub const AS_OF: &str = "tm_as_of";
/// Instant of the answer (`Timestamp(ms, UTC)`).
pub const ANSWERED_AT: &str = "tm_answered_at";
/// Digest of the model that answered (`Utf8`).
pub const MODEL: &str = "tm_model";
/// Route that was taken, `champion` for now (`Utf8`).
pub const VARIANT: &str = "tm_variant";
/// Probability (`Float64`).
pub const SCORE: &str = "tm_score";
/// Whether the score reached the model's threshold (`Boolean`).
pub const ALERTED: &str = "tm_alerted";
/// Digest of the model that was asked in the shadow: the first champion (`Utf8`, nullable).
pub const SHADOW_MODEL: &str = "tm_shadow_model";
/// Its probability (`Float64`, nullable).
pub const SHADOW_SCORE: &str = "tm_shadow_score";
/// Status of the feature read: `present`, `unknown_entity`, `outside_lookback` (`Utf8`).
pub const STATUS: &str = "tm_status";
/// Trace id, 32 hexadecimal characters (`Utf8`, nullable).
pub const TRACE_ID: &str = "tm_trace_id";
/// Source whose newest row was the oldest when the features were read (`Utf8`, nullable: no features were read).
pub const OLDEST_INPUT: &str = "tm_oldest_input";
/// Age of that row in seconds (`Float64`, nullable).
pub const OLDEST_INPUT_AGE_S: &str = "tm_oldest_input_age_s";
