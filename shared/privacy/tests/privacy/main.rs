//! Verdicts against published numbers, real tables and generated ones.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stdout, reason = "tests")]

mod generated;
mod numbers;
mod real;
mod table;
