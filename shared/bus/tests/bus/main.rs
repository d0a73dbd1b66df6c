//! The bus against a real nats-server: what is promised, under crashes too.
#![allow(clippy::unwrap_used, reason = "tests")]

mod batch;
mod connection;
mod kv;
mod reader;
mod server;
mod throughput;
mod work;
