//! The composition root: a table of roles, and the command line. What the roles do is the business of their crates.

mod cli;
mod demo;
mod error;
mod instance;
mod process;
mod projects;
mod ready;
mod replay;
mod roles;
mod streams;
mod up;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
