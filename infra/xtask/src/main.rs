//! `cargo xtask check` and `cargo xtask bench`.

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(name = "xtask", about = "Checks and benchmarks of this repository")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Format, lints, layers, doubled libraries, licences and advisories: run it before every commit.
    Check,
    /// Run benchmarks by name, or all of them.
    Bench {
        /// Names as `--list` shows them; none runs all.
        names: Vec<String>,
        /// Show the benchmarks and end.
        #[arg(long)]
        list: bool,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let clean = match Arguments::parse().task {
        Task::Check => xtask::check::run()?,
        Task::Bench { list: true, .. } => xtask::bench::list()?,
        Task::Bench { names, list: false } => xtask::bench::run(&names)?,
    };
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
