//! Laying settings over one another, checking each key against the defaults.

use super::{Config, FILE_VARIABLE};
use crate::error::Error;
use std::collections::BTreeMap;
use toml::{Table, Value};

/// Where environment variables come from.
pub trait Environment {
    /// All variables, in any order.
    fn variables(&self) -> Vec<(String, String)>;
}

/// The variables of this process.
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    fn variables(&self) -> Vec<(String, String)> {
        let text = |value: std::ffi::OsString| value.to_string_lossy().into_owned();
        std::env::vars_os().map(|(name, value)| (text(name), text(value))).collect()
    }
}

impl Environment for BTreeMap<String, String> {
    fn variables(&self) -> Vec<(String, String)> {
        self.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
    }
}

const PREFIX: &str = "TIDEMILL_";

pub(super) fn assemble(
    defaults: &str,
    file: &str,
    file_text: &str,
    variables: &[(String, String)],
    settings: &[(String, String)],
) -> Result<Config, Error> {
    let mut all = parse("the defaults", defaults)?;
    let known = paths(&all);
    // Which layer set a value last, for errors found when the whole is read.
    let mut origins: BTreeMap<String, String> = BTreeMap::new();
    overlay(&mut all, parse(file, file_text)?, "", file, &known, &mut origins)?;
    for (name, text) in variables {
        let Some(rest) = name.strip_prefix(PREFIX).filter(|_| name != FILE_VARIABLE) else { continue };
        let key = rest.to_lowercase().replace("__", ".");
        set(&mut all, &key, text, name, &known)?;
        origins.insert(key, name.clone());
    }
    for (key, text) in settings {
        set(&mut all, key, text, "command line", &known)?;
        origins.insert(key.clone(), "command line".to_owned());
    }
    let config = read(&all, &origins)?;
    check(&config, &origins)?;
    Ok(config)
}

fn parse(origin: &str, text: &str) -> Result<Table, Error> {
    text.parse().map_err(|e: toml::de::Error| Error::Syntax { origin: origin.to_owned(), reason: e.to_string() })
}

/// Dotted paths of all settings of a table.
fn paths(table: &Table) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in table {
        match value {
            Value::Table(inner) => found.extend(paths(inner).into_iter().map(|path| format!("{key}.{path}"))),
            _ => found.push(key.clone()),
        }
    }
    found
}

fn unknown(origin: &str, key: &str, known: &[String]) -> Error {
    // The whole path first, then its last part: `feature.grcp` and a setting put under the wrong section.
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let near = known.iter().map(|path| (strsim::damerau_levenshtein(path, key), path)).min();
    let near = near.filter(|(distance, _)| *distance <= 3).map(|(_, path)| path.clone());
    let suggestion = near.or_else(|| known.iter().find(|path| last(path) == last(key)).cloned());
    Error::UnknownKey { origin: origin.to_owned(), key: key.to_owned(), suggestion }
}

fn overlay(
    base: &mut Table,
    over: Table,
    prefix: &str,
    origin: &str,
    known: &[String],
    origins: &mut BTreeMap<String, String>,
) -> Result<(), Error> {
    for (key, value) in over {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match (base.get_mut(&key), value) {
            (None, _) => return Err(unknown(origin, &path, known)),
            (Some(Value::Table(inner)), Value::Table(table)) => overlay(inner, table, &path, origin, known, origins)?,
            (Some(Value::Table(_)), _) => return Err(bad(origin, &path, "is a section, not a setting")),
            (Some(_), Value::Table(_)) => return Err(bad(origin, &path, "is a setting, not a section")),
            (Some(slot), value) => {
                *slot = coerce(slot, value).map_err(|reason| bad(origin, &path, &reason))?;
                origins.insert(path, origin.to_owned());
            }
        }
    }
    Ok(())
}

fn bad(origin: &str, key: &str, reason: &str) -> Error {
    Error::BadValue { origin: origin.to_owned(), key: key.to_owned(), reason: reason.to_owned() }
}

/// A value of the type that the default has; whole numbers also stand for fractions.
fn coerce(default: &Value, value: Value) -> Result<Value, String> {
    match (default, value) {
        #[expect(clippy::cast_precision_loss, reason = "settings are small numbers")]
        (Value::Float(_), Value::Integer(whole)) => Ok(Value::Float(whole as f64)),
        (default, value) if default.same_type(&value) => Ok(value),
        (default, value) => Err(format!("expected type {}, found {}", default.type_str(), value.type_str())),
    }
}

fn set(all: &mut Table, key: &str, text: &str, origin: &str, known: &[String]) -> Result<(), Error> {
    if !known.iter().any(|path| path == key) {
        return Err(unknown(origin, key, known));
    }
    let (sections, name) = key.rsplit_once('.').unwrap_or(("", key));
    let mut table = all;
    for section in sections.split('.').filter(|section| !section.is_empty()) {
        let Some(Value::Table(inner)) = table.get_mut(section) else { return Err(unknown(origin, key, known)) };
        table = inner;
    }
    let Some(slot) = table.get_mut(name) else { return Err(unknown(origin, key, known)) };
    let parsed = match slot {
        Value::String(_) => Some(Value::String(text.to_owned())),
        Value::Integer(_) => text.trim().parse().ok().map(Value::Integer),
        Value::Float(_) => text.trim().parse().ok().map(Value::Float),
        Value::Boolean(_) => text.trim().parse().ok().map(Value::Boolean),
        _ => None,
    };
    *slot = parsed.ok_or_else(|| bad(origin, key, &format!("\"{text}\" is not of type {}", slot.type_str())))?;
    Ok(())
}

/// Reads the whole; on failure finds the setting at fault by reading the defaults with one setting changed at a time.
fn read(all: &Table, origins: &BTreeMap<String, String>) -> Result<Config, Error> {
    let error = match Config::deserialize_table(all) {
        Ok(config) => return Ok(config),
        Err(error) => error,
    };
    let defaults = parse("the defaults", super::DEFAULTS)?;
    for (key, origin) in origins {
        let mut probe = defaults.clone();
        copy(&mut probe, all, key);
        if let Err(reason) = Config::deserialize_table(&probe) {
            return Err(bad(origin, key, &reason));
        }
    }
    Err(bad("the defaults", "", &error))
}

fn copy(to: &mut Table, from: &Table, key: &str) {
    match key.split_once('.') {
        Some((section, rest)) => {
            if let (Some(Value::Table(to)), Some(Value::Table(from))) = (to.get_mut(section), from.get(section)) {
                copy(to, from, rest);
            }
        }
        None => {
            if let Some(value) = from.get(key) {
                to.insert(key.to_owned(), value.clone());
            }
        }
    }
}

fn check(config: &Config, origins: &BTreeMap<String, String>) -> Result<(), Error> {
    let origin = |key: &str| origins.get(key).map_or("the defaults", String::as_str).to_owned();
    let fault = |key: &str, reason: &str| Err(bad(&origin(key), key, reason));
    if !(0.0..=1.0).contains(&config.telemetry.sample_ratio) {
        return fault("telemetry.sample_ratio", "must be between 0.0 and 1.0");
    }
    for (key, empty) in [
        ("bus.dead_letters", config.bus.dead_letters.0 == 0),
        ("ingestion.commit_bytes", config.ingestion.commit_bytes.0 == 0),
        ("serving.request_rows", config.serving.request_rows == 0),
        ("serving.log_buffer_rows", config.serving.log_buffer_rows == 0),
    ] {
        if empty {
            return fault(key, "must be more than 0");
        }
    }
    if config.store.access_key_file.is_some() != config.store.secret_key_file.is_some() {
        return fault("store.access_key_file", "needs store.secret_key_file beside it, and the other way round");
    }
    Ok(())
}

impl Config {
    fn deserialize_table(table: &Table) -> Result<Self, String> {
        table.clone().try_into().map_err(|e: toml::de::Error| e.message().to_owned())
    }
}
