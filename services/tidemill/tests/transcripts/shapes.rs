//! The shape of a JSON answer: every field with its types, compared with the one that programs were written against.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test -p tidemill --test transcripts` writes the files in `tests/snapshots` anew.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

/// Field → types.
pub(crate) type Shape = BTreeMap<String, BTreeSet<&'static str>>;

/// Objects whose keys are data: names of sources, features, metrics and the like.
const MAPS: [&str; 17] = [
    "by_source",
    "roles",
    "headers",
    "event[]",
    "sample[]",
    "params",
    "table_versions",
    "txns",
    "metadata",
    "seconds",
    "validation",
    "metrics",
    "models",
    "values",
    "unmet",
    "slices",
    "quality",
];

pub(crate) fn shape(value: &Value) -> Shape {
    let mut found = Shape::new();
    walk("", value, &mut found);
    found
}

fn walk(path: &str, value: &Value, found: &mut Shape) {
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "text",
        Value::Array(items) => {
            for item in items {
                walk(&format!("{path}[]"), item, found);
            }
            "list"
        }
        Value::Object(fields) => {
            let last = path.rsplit('.').next().unwrap_or(path);
            for (name, field) in fields {
                let name = if MAPS.contains(&last) { "*" } else { name };
                let inner = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                walk(&inner, field, found);
            }
            "object"
        }
    };
    if !path.is_empty() {
        found.entry(path.to_owned()).or_default().insert(kind);
    }
}

fn render(shape: &Shape) -> String {
    let types = |types: &BTreeSet<&str>| types.iter().copied().collect::<Vec<_>>().join("|");
    shape.iter().map(|(path, found)| format!("{path}: {}\n", types(found))).collect()
}

fn parse(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let line = |line: &str| {
        let (path, types) = line.rsplit_once(": ").unwrap();
        (path.to_owned(), types.split('|').map(str::to_owned).collect())
    };
    text.lines().map(line).collect()
}

/// What differs from the stored shape, or nothing. A field that was null may be null again, and the other way round.
pub(crate) fn differences(name: &str, answer: &Value) -> Vec<String> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/snapshots/{name}.txt"));
    let found = shape(answer);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(&path, render(&found)).unwrap();
    }
    let stored = std::fs::read_to_string(&path).unwrap_or_default();
    compare(&parse(&stored), &parse(&render(&found)))
}

fn compare(stored: &BTreeMap<String, BTreeSet<String>>, found: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut different = Vec::new();
    let null = |types: &BTreeSet<String>| types.iter().all(|kind| kind == "null");
    for (path, types) in stored {
        match found.get(path) {
            None if is_bare(found, path) => {}
            None => different.push(format!("{path} is gone")),
            Some(now) if null(now) || null(types) || now.iter().all(|kind| kind == "null" || types.contains(kind)) => {}
            Some(now) => different.push(format!("{path} was {types:?} and is {now:?}")),
        }
    }
    let new = found.keys().filter(|path| !stored.contains_key(*path) && !is_bare(stored, path));
    different.extend(new.map(|path| format!("{path} is new")));
    different
}

/// Whether a path lies below something that is null or an empty list there, so that its absence says nothing.
fn is_bare(shape: &BTreeMap<String, BTreeSet<String>>, path: &str) -> bool {
    let mut parents = path.match_indices(['.', '[']).map(|(at, _)| &path[..at]);
    parents.any(|parent| match shape.get(parent) {
        Some(types) if types.contains("list") => !shape.contains_key(&format!("{parent}[]")),
        Some(types) => types.iter().all(|kind| kind == "null"),
        None => false,
    })
}

#[test]
fn a_field_that_vanishes_appears_or_changes_its_type_is_named() {
    let of = |value: Value| parse(&render(&shape(&value)));
    let stored = of(serde_json::json!({"a": 1, "b": {"c": null}, "roles": {"x": "ok"}, "l": [{"k": 1}]}));
    let same = of(serde_json::json!({"a": null, "b": {"c": "t"}, "roles": {"y": "ok", "z": "ok"}, "l": []}));
    assert_eq!(compare(&stored, &same), Vec::<String>::new());
    let other = of(serde_json::json!({"a": "1", "b": {}, "roles": {"y": "ok"}, "l": [{"k": 1, "n": 2}]}));
    let different = compare(&stored, &other);
    assert_eq!(different.len(), 3, "{different:?}");
}
