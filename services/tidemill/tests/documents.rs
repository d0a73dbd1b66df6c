//! The documents keep what they say: the guide and the examples run as written, references are those of the code.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![expect(unreachable_pub, reason = "the test tiers export these from their library, and an example is a program")]

#[path = "documents/api.rs"]
mod api;
#[path = "documents/contracts.rs"]
mod contracts;
#[path = "documents/demo.rs"]
mod demo;
#[path = "documents/guide.rs"]
mod guide;
#[path = "documents/markdown.rs"]
mod markdown;
#[path = "../examples/publish.rs"]
mod publish;
#[path = "../../../tests/src/python.rs"]
mod python;
