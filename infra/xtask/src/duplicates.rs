//! Libraries that must be linked once: two of them in one program do not understand each other's types.

use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// The part of `cargo metadata` with all packages that this check reads.
#[derive(Debug, Deserialize)]
pub struct Resolved {
    /// All packages of the lock file.
    pub packages: Vec<Versioned>,
}

/// A package with its version.
#[derive(Debug, Deserialize)]
pub struct Versioned {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A name and, for families, everything that begins with it and a dash or underscore.
const ONCE: &[&str] = &["arrow", "parquet", "object_store", "datafusion", "tonic", "prost", "opentelemetry"];

/// Libraries of [`ONCE`] that are resolved in more than one version, with the versions.
#[must_use]
pub fn doubled(resolved: &Resolved) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in &resolved.packages {
        if ONCE.iter().any(|name| belongs(&package.name, name)) {
            versions.entry(&package.name).or_default().insert(&package.version);
        }
    }
    let twice = versions.into_iter().filter(|(_, versions)| versions.len() > 1);
    twice.map(|(name, versions)| format!("{name} {}", versions.into_iter().collect::<Vec<_>>().join(" and "))).collect()
}

fn belongs(package: &str, family: &str) -> bool {
    package.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '_']))
}
