//! Wire contracts: generated protobuf, subjects, headers.
//!
//! Contracts only grow: no renumbering, no reuse, no change of meaning.

pub mod access;
pub mod commits;
pub mod groups;
pub mod headers;
pub mod letters;
pub mod paths;
pub mod prediction_log;
pub mod subjects;
pub mod training_set;

/// Encoded `FileDescriptorSet` of every service, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! generated {
    ($(#[$doc:meta])* $name:ident, $package:literal) => {
        $(#[$doc])*
        #[allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::allow_attributes_without_reason, missing_docs, reason = "generated; documented in proto/")]
        pub mod $name {
            tonic::include_proto!($package);
        }
    };
}

generated!(
    /// Open Inference Protocol v2.
    inference,
    "inference"
);
generated!(
    /// Notices between services.
    events,
    "tidemill.events.v1"
);
generated!(
    /// The feature service.
    feature,
    "tidemill.feature.v1"
);
generated!(
    /// The training service.
    training,
    "tidemill.training.v1"
);
generated!(
    /// The evaluation service.
    evaluation,
    "tidemill.evaluation.v1"
);
generated!(
    /// The monitoring service.
    monitoring,
    "tidemill.monitoring.v1"
);
