//! Commands about data, against a real bus, a folder and a running ingestion: decisions, dead letters,
//! known faults of real files, streams made anew, versions, upkeep.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod cleaning;
#[expect(unreachable_pub, dead_code, reason = "the test of the console needs more of it")]
#[path = "../console/http.rs"]
mod http;
mod known_faults;
mod letters;
mod masks;
#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../../tests/src/pages.rs"]
mod pages;
mod personal;
mod place;
mod profiles;
#[expect(unreachable_pub, reason = "the test tiers export it from their library")]
#[path = "../../../../tests/src/python.rs"]
mod python;
mod restore;
mod snapshots;
mod streams;
mod versions;
