//! Real servers and waiting for conditions, for tests.
//!
//! A dev-dependency only. Every helper starts the real thing: there is no stand-in for the bus or the store.

mod chaos;
#[cfg(unix)]
mod postgres;
mod servers;
mod wait;

pub use chaos::Victim;
#[cfg(unix)]
pub use postgres::Postgres;
pub use servers::{Nats, S3, Store};
pub use wait::eventually;
