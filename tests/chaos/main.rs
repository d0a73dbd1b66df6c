//! Faults on purpose.

mod disk;
mod end;
mod kills;
mod outage;
mod power;
mod protocol;
