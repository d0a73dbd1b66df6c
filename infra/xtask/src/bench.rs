//! Benchmarks by name. They are ignored tests of the target `load`, so that they share its servers and its build.

use crate::check::{cargo, say};
use anyhow::{Context as _, Result, ensure};
use std::process::{Command, Stdio};

fn load(arguments: &[&str]) -> Command {
    // The whole workspace is named, so that no library is built again with fewer features.
    let mut command = cargo(&["test", "--workspace", "--locked", "--test", "load"]);
    command.args(arguments);
    command
}

/// The names that the target offers.
///
/// # Errors
/// The target cannot be built or asked.
pub fn names() -> Result<Vec<String>> {
    let output = load(&["--", "--ignored", "--list", "--format", "terse"])
        .stderr(Stdio::inherit())
        .output()
        .context("asking for the benchmarks")?;
    ensure!(output.status.success(), "the benchmarks cannot be listed: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.lines().filter_map(|line| line.strip_suffix(": test")).map(str::to_owned).collect())
}

/// Shows the names.
///
/// # Errors
/// As [`names`].
pub fn list() -> Result<bool> {
    for name in names()? {
        say(&name)?;
    }
    Ok(true)
}

/// Runs benchmarks one after another, so that they do not disturb each other; true when all passed.
///
/// # Errors
/// A name that does not exist, or as [`names`].
pub fn run(wanted: &[String]) -> Result<bool> {
    let offered = names()?;
    for name in wanted {
        ensure!(offered.contains(name), "no benchmark \"{name}\"; there are: {}", offered.join(", "));
    }
    let chosen = if wanted.is_empty() { &offered } else { wanted };
    let mut failed = Vec::new();
    for name in chosen {
        say(&format!("bench: {name}"))?;
        let status = load(&["--", "--ignored", "--exact", "--nocapture", name]).status();
        if !status.with_context(|| format!("running {name}"))?.success() {
            failed.push(name.as_str());
        }
    }
    if !failed.is_empty() {
        say(&format!("failed: {}", failed.join(", ")))?;
    }
    Ok(failed.is_empty())
}
