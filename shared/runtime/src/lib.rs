//! Configuration, supervised tasks, truthful readiness, drain, and the outside look of errors.
//!
//! A process of Tidemill loads a [`Config`], sets up telemetry, spawns everything it does on a [`Supervisor`], says
//! in [`Readiness`] what it still waits for, and ends in [`drain`].

mod admin;
mod allocator;
mod backoff;
pub mod config;
mod drain;
mod error;
pub mod errors;
mod grpc;
mod host;
mod lineage;
mod listen;
mod readiness;
mod supervise;
mod told;

pub use admin::serve_admin;
pub use backoff::{Backoff, retry};
pub use config::{Config, Environment, FILE_VARIABLE, ProcessEnvironment};
pub use drain::{Drained, Signals, block_on, drain};
pub use error::Error;
pub use errors::{Problem, exit_code, to_problem, to_status};
pub use grpc::{LIVE, grpc_server, grpc_span};
pub use host::{host_name, is_own_host};
pub use lineage::{tell_lineage, tell_step};
pub use listen::bind;
pub use readiness::{Condition, Readiness};
pub use supervise::{Failure, Supervisor};
pub use tokio_util::sync::CancellationToken;
pub use told::Teller;
