//! The one command before every commit.

use crate::duplicates::{Resolved, doubled};
use crate::features::missing;
use crate::layering::{Workspace, offences};
use anyhow::{Context as _, Result, ensure};
use serde::de::DeserializeOwned;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_path_buf()
}

/// A `cargo` command in the root of the repository, by the same toolchain that runs this.
#[must_use]
pub fn cargo(arguments: &[&str]) -> Command {
    let mut command = Command::new(option_env!("CARGO").unwrap_or("cargo"));
    command.args(arguments).current_dir(root());
    // `cargo run` tells this program which package it is. Build scripts that ask for it would run again for that, and
    // with them everything that depends on theirs.
    let about_this_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_this_package)) {
        command.env_remove(name);
    }
    command
}

/// One line to the person at the terminal.
///
/// # Errors
/// Standard error cannot be written.
pub fn say(line: &str) -> Result<()> {
    writeln!(std::io::stderr(), "{line}").context("writing to standard error")
}

fn metadata<T: DeserializeOwned>(arguments: &[&str]) -> Result<T> {
    let output = cargo(&["metadata", "--format-version", "1", "--locked"])
        .args(arguments)
        .stderr(Stdio::inherit())
        .output()
        .context("running cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata failed: {}", output.status);
    serde_json::from_slice(&output.stdout).context("reading the output of cargo metadata")
}

/// Offences against the layers of this repository.
///
/// # Errors
/// `cargo metadata` fails.
pub fn layering() -> Result<Vec<String>> {
    Ok(offences(&metadata::<Workspace>(&["--no-deps"])?))
}

/// Libraries that this repository resolves more than once though they must be one.
///
/// # Errors
/// `cargo metadata` fails.
pub fn duplicates() -> Result<Vec<String>> {
    Ok(doubled(&metadata::<Resolved>(&[])?))
}

/// Features by which the build of the program differs from that of the tests.
///
/// # Errors
/// `cargo tree` fails.
pub fn differing_features() -> Result<Vec<String>> {
    let tree = |which: &[&str]| -> Result<String> {
        let output = cargo(&["tree", "--locked", "--prefix", "none", "--format", "{p} {f}"])
            .args(which)
            .stderr(Stdio::inherit())
            .output()
            .context("running cargo tree")?;
        ensure!(output.status.success(), "cargo tree failed: {}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let program = tree(&["--package", "tidemill", "--edges", "normal,build"])?;
    Ok(missing(&program, &tree(&["--workspace", "--edges", "normal,build,dev"])?))
}

fn command_passes(arguments: &[&str]) -> Result<bool> {
    let status = cargo(arguments).status().with_context(|| format!("running cargo {}", arguments.join(" ")))?;
    Ok(status.success())
}

fn nothing_found(found: &[String]) -> Result<bool> {
    for line in found {
        say(&format!("  {line}"))?;
    }
    Ok(found.is_empty())
}

fn deny() -> Result<bool> {
    let installed = cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !installed.is_ok_and(|status| status.success()) {
        say("  skipped: cargo-deny is not installed (cargo install --locked cargo-deny)")?;
        return Ok(true);
    }
    command_passes(&["deny", "check"])
}

/// Runs every check, also after one failed; true when all passed.
///
/// # Errors
/// A check cannot be run at all.
pub fn run() -> Result<bool> {
    type Check = (&'static str, fn() -> Result<bool>);
    let checks: [Check; 6] = [
        ("layers", || nothing_found(&layering()?)),
        ("doubled libraries", || nothing_found(&duplicates()?)),
        ("one build for program and tests", || nothing_found(&differing_features()?)),
        ("format", || command_passes(&["fmt", "--all", "--check"])),
        ("licences and advisories", deny),
        ("lints", || command_passes(&["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"])),
    ];
    let mut failed = Vec::new();
    for (name, check) in checks {
        say(&format!("check: {name}"))?;
        if !check()? {
            failed.push(name);
        }
    }
    match failed.as_slice() {
        [] => say("all checks passed")?,
        names => say(&format!("failed: {}", names.join(", ")))?,
    }
    Ok(failed.is_empty())
}
