//! Faults on purpose.

mod disk;
mod kills;
mod outage;
mod power;
mod protocol;
