//! The layers hold, and the rule notices when they do not.
#![allow(clippy::unwrap_used, reason = "tests")]

use xtask::layering::{Dependency, Package, Workspace, offences};

/// `("bus", "tokio async-nats")`; `dev:` before a name makes it a dev-dependency.
fn workspace(packages: &[(&str, &str)]) -> Workspace {
    let dependency = |text: &str| match text.strip_prefix("dev:") {
        Some(name) => Dependency { name: name.to_owned(), kind: Some("dev".to_owned()) },
        None => Dependency { name: text.to_owned(), kind: None },
    };
    let package = |(name, used): &(&str, &str)| Package {
        name: (*name).to_owned(),
        dependencies: used.split_whitespace().map(dependency).collect(),
    };
    Workspace { packages: packages.iter().map(package).collect() }
}

#[test]
fn this_repository_keeps_its_layers() {
    assert_eq!(xtask::check::layering().unwrap(), Vec::<String>::new());
}

#[test]
fn this_repository_links_each_shared_library_once() {
    assert_eq!(xtask::check::duplicates().unwrap(), Vec::<String>::new());
}

#[test]
fn going_down_is_allowed() {
    let good = workspace(&[
        ("tidemill-types", "serde"),
        ("tidemill-contracts", "tidemill-types tonic"),
        ("tidemill-storage", "object_store tokio"),
        ("tidemill-dataset", "tidemill-storage deltalake parquet object_store dev:tidemill-testkit"),
        ("tidemill-telemetry", "opentelemetry opentelemetry_sdk opentelemetry-otlp tidemill-types"),
        ("tidemill-runtime", "tidemill-telemetry axum"),
        ("tidemill-testkit", "tidemill-dataset tidemill-runtime"),
        ("tidemill-serving", "tidemill-dataset tidemill-runtime"),
        ("tidemill", "tidemill-serving tidemill-runtime tidemill-types"),
        ("tidemill-tests", "tidemill-serving tidemill-testkit"),
        ("xtask", "clap"),
    ]);
    assert_eq!(offences(&good), Vec::<String>::new());
}

#[test]
fn every_offence_is_named() {
    let cases = [
        (workspace(&[("tidemill-types", "tidemill-bus"), ("tidemill-bus", "")]), "types uses bus"),
        (workspace(&[("tidemill-stats", "tokio")]), "stats uses tokio: pure"),
        (workspace(&[("tidemill-bus", "tidemill-runtime"), ("tidemill-runtime", "")]), "bus uses runtime"),
        (workspace(&[("tidemill-storage", "tidemill-dataset"), ("tidemill-dataset", "")]), "adapters have an order"),
        (workspace(&[("tidemill-bus", "tidemill-storage"), ("tidemill-storage", "")]), "adapters have an order"),
        (workspace(&[("tidemill-serving", "tidemill-feature"), ("tidemill-feature", "")]), "only tidemill and tests"),
        (workspace(&[("tidemill-serving", "dev:tidemill-feature"), ("tidemill-feature", "")]), "only tidemill and"),
        (workspace(&[("tidemill-bus", "tidemill-testkit"), ("tidemill-testkit", "")]), "dev-dependency"),
        (workspace(&[("tidemill-serving", "async-nats")]), "serving uses async-nats: it belongs to bus"),
        (workspace(&[("tidemill-serving", "opentelemetry_sdk")]), "belongs to telemetry"),
        (workspace(&[("tidemill-newcomer", "")]), "newcomer has no layer"),
        (workspace(&[("xtask", "tidemill-types"), ("tidemill-types", "")]), "without the workspace"),
    ];
    for (workspace, expected) in cases {
        let found = offences(&workspace);
        assert!(found.iter().any(|text| text.contains(expected)), "{expected}: {found:?}");
    }
}
