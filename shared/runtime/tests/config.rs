//! Layers of settings.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;
use tidemill_runtime::config::{Interval, Size};
use tidemill_runtime::{Config, Error};

fn environment(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(file: &str, pairs: &[(&str, &str)]) -> Result<Config, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidemill.toml");
    std::fs::write(&path, file).unwrap();
    Config::load(Some(&path), &environment(pairs))
}

#[test]
fn defaults_alone_are_a_whole_configuration() {
    let config = Config::load(None, &environment(&[])).unwrap();
    assert_eq!(config.bus.url, "nats://127.0.0.1:4222");
    assert_eq!(config.ingestion.commit_bytes, Size(64_000_000));
    assert_eq!(config.store.endpoint, None);
    assert!(config.store_url().starts_with("file:///"));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_defaults() {
    let file = "[bus]\nurl = \"nats://file:1\"\n[ingestion]\ncommit_age = \"2s\"\n[serving]\nlog_buffer_rows = 3";
    let config = load(file, &[("TIDEMILL_BUS__URL", "nats://env:2"), ("HOME", "/x")]).unwrap();
    assert_eq!(config.bus.url, "nats://env:2");
    assert_eq!(config.ingestion.commit_age, Interval(Duration::from_secs(2)));
    assert_eq!(config.serving.log_buffer_rows, 3);
    let config = load("", &[("TIDEMILL_SERVING__REQUEST_ROWS", "7"), ("TIDEMILL_DATA_DIR", "/d")]).unwrap();
    assert_eq!(config.serving.request_rows, 7);
    assert_eq!(config.store_url(), "file:///d/store");
}

#[test]
fn the_command_line_wins_over_all() {
    let settings = [("bus.url".to_owned(), "nats://cli:3".to_owned())];
    let variables = environment(&[("TIDEMILL_BUS__URL", "nats://env:2")]);
    assert_eq!(Config::load_with(None, &variables, &settings).unwrap().bus.url, "nats://cli:3");
}

#[test]
fn unknown_settings_are_errors_that_name_the_nearest() {
    let near = |error: Error| match error {
        Error::UnknownKey { suggestion, .. } => suggestion,
        other => panic!("{other}"),
    };
    assert_eq!(near(load("[bus]\nurll = \"x\"", &[]).unwrap_err()).as_deref(), Some("bus.url"));
    assert_eq!(near(load("[bus]\ncommit_age = \"1s\"", &[]).unwrap_err()).as_deref(), Some("ingestion.commit_age"));
    let error = load("", &[("TIDEMILL_SERVING__GRCP", "x")]).unwrap_err();
    assert!(error.to_string().contains("TIDEMILL_SERVING__GRCP"), "{error}");
    assert_eq!(near(error).as_deref(), Some("serving.grpc"));
}

#[test]
fn a_wrong_value_is_reported_with_its_setting_and_origin() {
    let message = |result: Result<Config, Error>| result.unwrap_err().to_string();
    let text = message(load("[ingestion]\ncommit_age = \"soon\"", &[]));
    assert!(
        text.contains("ingestion.commit_age") && text.contains("tidemill.toml") && text.contains("200ms"),
        "{text}"
    );
    let text = message(load("", &[("TIDEMILL_SERVING__LOG_BUFFER_ROWS", "many")]));
    assert!(text.contains("serving.log_buffer_rows") && text.contains("TIDEMILL_SERVING__LOG_BUFFER_ROWS"), "{text}");
    assert!(message(load("[serving]\nlog_buffer_rows = \"2\"", &[])).contains("expected type integer"));
    assert!(message(load("bus = 3", &[])).contains("section"));
    assert!(message(load("[telemetry]\nsample_ratio = 2", &[])).contains("between 0.0 and 1.0"));
    assert!(message(load("[store]\naccess_key_file = \"/k\"", &[])).contains("secret_key_file"));
    assert!(message(load("[bus", &[])).contains("TOML"));
}

#[test]
fn the_rendered_configuration_reads_back_equal() {
    let config = load("[telemetry]\nsample_ratio = 1", &[("TIDEMILL_BUS__NKEY_FILE", "/run/seed")]).unwrap();
    assert_eq!(load(&config.render(), &[]).unwrap(), config);
    assert!(config.render().contains("/run/seed"));
}
