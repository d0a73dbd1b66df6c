//! Faults on purpose.

mod bombs;
mod disk;
mod end;
mod kills;
mod outage;
mod power;
mod protocol;
