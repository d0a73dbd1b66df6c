//! Who may depend on whom. The rule is checked on the manifests, so that it holds before anything is built.

use serde::Deserialize;
use std::collections::BTreeSet;

/// The part of `cargo metadata` that layering reads.
#[derive(Debug, Deserialize)]
pub struct Workspace {
    /// Packages of the workspace.
    pub packages: Vec<Package>,
}

/// A package of the workspace.
#[derive(Debug, Deserialize)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// What its manifest asks for.
    pub dependencies: Vec<Dependency>,
}

/// One line of a manifest.
#[derive(Debug, Deserialize)]
pub struct Dependency {
    /// Name of the package.
    pub name: String,
    /// `None` for normal ones, else `dev` or `build`.
    pub kind: Option<String>,
}

const PURE: &[&str] = &[
    "types",
    "spec",
    "expr",
    "stats",
    "quality",
    "conform",
    "features",
    "transform",
    "learn",
    "metrics",
    "plot",
    "lineage",
    "explore",
    "privacy",
];
const CONTRACTS: &[&str] = &["contracts"];
const ADAPTERS: &[&str] = &["bus", "storage", "dataset", "intake", "provenance", "registry", "sources"];
const PROCESS: &[&str] = &["telemetry", "runtime", "servers"];
const TESTKIT: &str = "testkit";
const SERVICES: &[&str] =
    &["ingestion", "validation", "feature", "training", "evaluation", "serving", "monitoring", "console"];
/// The composition root and the tests of the whole: the only ones that see services.
const ROOTS: &[&str] = &["tidemill", "tests"];
/// Stands beside the workspace and depends on none of it.
const XTASK: &str = "xtask";

/// Inside the adapters: who may use which other one.
const BETWEEN_ADAPTERS: &[(&str, &[&str])] = &[
    ("bus", &[]),
    ("storage", &[]),
    ("dataset", &["storage"]),
    ("intake", &["bus", "storage", "dataset"]),
    ("provenance", &["bus", "storage", "dataset", "registry"]),
    ("registry", &["bus", "storage", "dataset"]),
    ("sources", &["bus", "storage", "dataset"]),
];
/// Inside the process layer.
const BETWEEN_PROCESS: &[(&str, &[&str])] = &[("telemetry", &[]), ("runtime", &["telemetry"]), ("servers", &[])];

/// What a pure crate must not see: anything that waits, or reaches outside the process.
const IMPURE: &[&str] = &["tokio", "tonic", "async-nats", "object_store", "deltalake", "reqwest", "axum"];

/// Heavy libraries and the crates that own them. A name ending in `*` stands for all that begin so.
const OWNERS: &[(&str, &[&str])] = &[
    ("async-nats", &["bus"]),
    ("object_store", &["storage", "dataset"]),
    ("deltalake", &["dataset"]),
    ("parquet", &["dataset", "sources", "tests"]),
    ("reqwest", &["sources"]),
    ("tokio-postgres", &["sources"]),
    ("csv", &["sources"]),
    ("hessboost", &["learn"]),
    ("faer", &["learn"]),
    ("mimalloc", &["runtime"]),
    ("opentelemetry*", &["telemetry"]),
    ("tracing-opentelemetry", &["telemetry"]),
    ("prometheus-client", &["telemetry"]),
    ("sqlparser", &["expr"]),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Layer {
    Pure,
    Contracts,
    Adapter,
    Process,
    Testkit,
    Service,
    Root,
    Xtask,
}

fn layer(name: &str) -> Option<Layer> {
    let layers = [
        (PURE, Layer::Pure),
        (CONTRACTS, Layer::Contracts),
        (ADAPTERS, Layer::Adapter),
        (PROCESS, Layer::Process),
        (&[TESTKIT], Layer::Testkit),
        (SERVICES, Layer::Service),
        (ROOTS, Layer::Root),
        (&[XTASK], Layer::Xtask),
    ];
    layers.into_iter().find(|(names, _)| names.contains(&name)).map(|(_, layer)| layer)
}

/// `tidemill-bus` is `bus`; the composition root is `tidemill`.
fn short(package: &str) -> &str {
    package.strip_prefix("tidemill-").unwrap_or(package)
}

/// All offences against the layers, sorted; empty when there are none.
#[must_use]
pub fn offences(workspace: &Workspace) -> Vec<String> {
    let members: BTreeSet<&str> = workspace.packages.iter().map(|package| package.name.as_str()).collect();
    let mut found: BTreeSet<String> = BTreeSet::new();
    for package in &workspace.packages {
        let name = short(&package.name);
        let Some(from) = layer(name) else {
            found.insert(format!("{name} has no layer: give it one in infra/xtask/src/layering.rs"));
            continue;
        };
        for dependency in &package.dependencies {
            let other = dependency.name.as_str();
            let offence = if members.contains(other) {
                layer(short(other)).and_then(|to| between(name, from, short(other), to, dependency.kind.as_deref()))
            } else if dependency.kind.is_none() {
                outside(name, from, other)
            } else {
                None
            };
            found.extend(offence);
        }
    }
    found.into_iter().collect()
}

/// The offence of one member using another, if it is one.
fn between(name: &str, from: Layer, other: &str, to: Layer, kind: Option<&str>) -> Option<String> {
    if to == Layer::Testkit {
        let allowed = kind == Some("dev") || name == "tests";
        return (!allowed).then(|| format!("{name} uses testkit outside tests: make it a dev-dependency"));
    }
    // A test may look further than its crate, but a service never at another service.
    if kind == Some("dev") && to != Layer::Service {
        return None;
    }
    let order = |table: &[(&str, &[&str])]| table.iter().any(|(who, whom)| *who == name && whom.contains(&other));
    let (allowed, rule) = match (from, to) {
        (Layer::Root, Layer::Root) => (name == "tests", "only the tests see the composition root"),
        (Layer::Root, _) => (true, ""),
        (_, Layer::Service) => (false, "only tidemill and tests see services"),
        (Layer::Pure, Layer::Pure) => (true, ""),
        (Layer::Adapter, Layer::Adapter) => (order(BETWEEN_ADAPTERS), "adapters have an order"),
        (Layer::Process, Layer::Process) => (order(BETWEEN_PROCESS), "process crates have an order"),
        (Layer::Xtask, _) => (false, "xtask must build without the workspace"),
        (from, to) => (to < from, "imports go down the layers"),
    };
    (!allowed).then(|| format!("{name} uses {other}: {rule}"))
}

/// The offence of a member using an outside library, if it is one.
fn outside(name: &str, from: Layer, library: &str) -> Option<String> {
    if from == Layer::Pure && IMPURE.contains(&library) {
        return Some(format!("{name} uses {library}: pure crates neither wait nor reach outside"));
    }
    let matches = |pattern: &str| match pattern.strip_suffix('*') {
        Some(start) => library.starts_with(start),
        None => library == pattern,
    };
    let (_, owners) = OWNERS.iter().find(|(pattern, _)| matches(pattern))?;
    (!owners.contains(&name)).then(|| format!("{name} uses {library}: it belongs to {}", owners.join(" and ")))
}
