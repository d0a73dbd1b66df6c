//! What the values of one column look like.

use crate::text::InstantForm;
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use tidemill_spec::ColumnType;
use tidemill_types::Millis;
use xxhash_rust::xxh3::xxh3_128;

/// Texts that mean "absent" where the rest of a column is no text.
const ABSENT: [&str; 10] = ["", "NA", "N/A", "n/a", "NULL", "null", "None", "NaN", "nan", "?"];

/// Forms of instants, tried in this order.
const FORMS: [&str; 16] = [
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%d/%m/%Y",
];

/// Values seen in a column.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) rows: u64,
    /// Values that are JSON null or not there.
    nulls: u64,
    booleans: u64,
    integers: u64,
    floats: u64,
    texts: u64,
    /// Texts with how often, up to a limit that a sample stays below.
    words: BTreeMap<String, u64>,
    least: i64,
    most: i64,
    hashes: HashSet<u128>,
    /// Arrays and objects.
    nested: u64,
}

/// What a column is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) kind: ColumnType,
    pub(super) nulls: u64,
    pub(super) distinct: u64,
    /// How its instants are written, when not RFC 3339.
    pub(super) form: Option<String>,
    /// Texts that mean "absent".
    pub(super) absent: Vec<String>,
    pub(super) remark: Option<String>,
}

impl Seen {
    pub(super) fn add(&mut self, value: &Value) {
        self.rows += 1;
        if !value.is_null() {
            self.hashes.insert(xxh3_128(value.to_string().as_bytes()));
        }
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => match number.as_i64() {
                Some(whole) => {
                    self.integers += 1;
                    (self.least, self.most) = (self.least.min(whole), self.most.max(whole));
                }
                None => self.floats += 1,
            },
            Value::String(text) => {
                self.texts += 1;
                *self.words.entry(text.clone()).or_default() += 1;
            }
            Value::Array(_) | Value::Object(_) => self.nested += 1,
        }
    }

    /// Rows that did not have the column.
    pub(super) fn absent_in(&mut self, rows: u64) {
        self.rows += rows;
        self.nulls += rows;
    }

    /// What the column is; `known` is the type that the file itself declares.
    pub(super) fn verdict(&self, name: &str, known: Option<ColumnType>) -> Verdict {
        let mut verdict = Verdict {
            kind: ColumnType::String,
            nulls: self.nulls,
            distinct: self.hashes.len() as u64,
            form: None,
            absent: Vec::new(),
            remark: None,
        };
        if let Some(known) = known {
            verdict.kind = known;
            return verdict;
        }
        let plain = self.rows - self.nulls;
        if self.nested > 0 {
            verdict.remark = Some("arrays or objects are no values of a column: flatten them".to_owned());
        } else if plain == 0 {
            verdict.remark = Some("no value in the sample; taken for text".to_owned());
        } else if self.booleans == plain {
            verdict.kind = ColumnType::Boolean;
        } else if self.integers == plain {
            self.judge_integers(name, &mut verdict);
        } else if self.integers + self.floats == plain {
            verdict.kind = ColumnType::Float64;
        } else if self.texts == plain {
            self.judge_texts(name, &mut verdict);
        } else {
            verdict.remark = Some("values of several types; taken for text".to_owned());
        }
        verdict
    }

    fn judge_integers(&self, name: &str, verdict: &mut Verdict) {
        verdict.kind = ColumnType::Int64;
        if !names_time(name) {
            return;
        }
        // 2000 to 2100.
        let form = if self.least >= 0 && (946_684_800..4_102_444_800).contains(&self.most) {
            "epoch_s"
        } else if (946_684_800_000..4_102_444_800_000).contains(&self.most) {
            "epoch_ms"
        } else {
            return;
        };
        (verdict.kind, verdict.form) = (ColumnType::Timestamp, Some(form.to_owned()));
    }

    fn judge_texts(&self, name: &str, verdict: &mut Verdict) {
        let absent: Vec<&String> = self.words.keys().filter(|word| ABSENT.contains(&word.as_str())).collect();
        let values: Vec<&str> = self.words.keys().map(String::as_str).filter(|word| !ABSENT.contains(word)).collect();
        let found = judge(name, &values);
        let is_text = found.0 == ColumnType::String;
        // In a column of texts only the empty one means nothing.
        let absent = absent.into_iter().filter(|word| !is_text || word.is_empty());
        verdict.absent = absent.cloned().collect();
        let missing: u64 = verdict.absent.iter().filter_map(|word| self.words.get(word)).sum();
        verdict.nulls += missing;
        verdict.distinct -= verdict.absent.len() as u64;
        (verdict.kind, verdict.form, verdict.remark) = found;
    }
}

/// The type of texts, the form of instants and a remark.
fn judge(name: &str, values: &[&str]) -> (ColumnType, Option<String>, Option<String>) {
    let all = |test: fn(&str) -> bool| values.iter().all(|value| test(value.trim()));
    let text = (ColumnType::String, None, None);
    if values.is_empty() {
        return (ColumnType::String, None, Some("no value in the sample; taken for text".to_owned()));
    }
    if all(|value| matches!(value.to_ascii_lowercase().as_str(), "true" | "false")) {
        return (ColumnType::Boolean, None, None);
    }
    if all(|value| value.parse::<i64>().is_ok()) {
        // 007 is a name, not a number.
        if values.iter().any(|value| leads_with_zero(value)) {
            return (ColumnType::String, None, Some("numbers with leading zeros; taken for text".to_owned()));
        }
        if all(|value| value.len() == 8) && names_time(name) && InstantForm::of("%Y%m%d").reads(values) {
            return (ColumnType::Timestamp, Some("%Y%m%d".to_owned()), None);
        }
        let mut seen = Seen { rows: values.len() as u64, integers: values.len() as u64, ..Seen::default() };
        let numbers: Vec<i64> = values.iter().filter_map(|value| value.trim().parse().ok()).collect();
        seen.least = numbers.iter().copied().min().unwrap_or_default();
        seen.most = numbers.iter().copied().max().unwrap_or_default();
        let verdict = seen.verdict(name, None);
        return (verdict.kind, verdict.form, None);
    }
    if all(|value| value.parse::<f64>().is_ok_and(f64::is_finite)) {
        return (ColumnType::Float64, None, None);
    }
    if all(|value| Millis::parse(value).is_some()) {
        return (ColumnType::Timestamp, None, None);
    }
    let fitting: Vec<&str> = FORMS.into_iter().filter(|form| InstantForm::of(form).reads(values)).collect();
    let Some(first) = fitting.first() else { return text };
    let swapped =
        fitting.iter().any(|form| form.starts_with("%m/%d")) && fitting.iter().any(|form| form.starts_with("%d/%m"));
    let remark = swapped.then(|| "month/day and day/month both fit: check".to_owned());
    (ColumnType::Timestamp, Some((*first).to_owned()), remark)
}

impl InstantForm {
    fn reads(&self, values: &[&str]) -> bool {
        values.iter().all(|value| self.rfc3339(value).is_some())
    }
}

fn leads_with_zero(value: &str) -> bool {
    let digits = value.trim().trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0')
}

/// Whether the name of a column says that it holds instants.
fn names_time(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let words = ["time", "date", "timestamp", "ts", "at", "day", "epoch", "when"];
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| words.contains(&part)) || lower.ends_with("time")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    fn verdict(name: &str, values: &[&str]) -> Verdict {
        let mut seen = Seen::default();
        for value in values {
            seen.add(&json!(value));
        }
        seen.verdict(name, None)
    }

    #[test]
    fn types_follow_from_all_values() {
        use ColumnType::{Boolean, Float64, Int64, String, Timestamp};
        let kind = |values: &[&str]| verdict("x", values).kind;
        assert_eq!(kind(&["1", "-20", ""]), Int64);
        assert_eq!(kind(&["1", "2.5", "1e3"]), Float64);
        assert_eq!(kind(&["True", "false"]), Boolean);
        assert_eq!(kind(&["007", "12"]), String);
        assert_eq!(kind(&["a", "1"]), String);
        assert_eq!(kind(&["2024-01-01T00:00:00Z", "2024-01-01T02:00:00+02:00"]), Timestamp);
        let json = |values: &[Value]| {
            let mut seen = Seen::default();
            values.iter().for_each(|value| seen.add(value));
            seen.verdict("x", None).kind
        };
        assert_eq!([json(&[json!(1), json!(2.5)]), json(&[json!(true), json!(null)])], [Float64, Boolean]);
    }

    #[test]
    fn words_for_absent_are_found_only_where_they_are_foreign() {
        let numbers = verdict("x", &["1", "NA", "", "3"]);
        assert_eq!((numbers.kind, numbers.nulls, numbers.distinct), (ColumnType::Int64, 2, 2));
        assert_eq!(numbers.absent, ["", "NA"]);
        let countries = verdict("country", &["NA", "DE", ""]);
        assert_eq!((countries.kind, countries.absent), (ColumnType::String, vec![String::new()]));
    }

    #[test]
    fn instants_are_found_with_their_form() {
        let form = |values: &[&str]| verdict("t", values).form;
        assert_eq!(form(&["2024-01-31 10:00:00", "2024-02-01 00:00:00.5"]).as_deref(), Some("%Y-%m-%d %H:%M:%S%.f"));
        assert_eq!(form(&["31.01.2024 10:00"]).as_deref(), Some("%d.%m.%Y %H:%M"));
        assert_eq!(form(&["31/01/2024"]).as_deref(), Some("%d/%m/%Y"));
        let unclear = verdict("t", &["01/02/2024"]);
        assert!(unclear.form.as_deref() == Some("%m/%d/%Y") && unclear.remark.is_some());
        assert_eq!(verdict("created_at", &["1704067200"]).form.as_deref(), Some("epoch_s"));
        assert_eq!(verdict("amount", &["1704067200"]).kind, ColumnType::Int64);
        assert_eq!(verdict("date", &["20240131"]).form.as_deref(), Some("%Y%m%d"));
        assert_eq!(form(&["2024-01-01 02:00:00+02"]).as_deref(), Some("%Y-%m-%d %H:%M:%S%.f%#z"));
    }
}
