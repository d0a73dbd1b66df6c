//! Parameters of learners: named values, closed per learner.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// One parameter value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ParamValue {
    /// Yes or no.
    Flag(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// A choice by name.
    Text(String),
    /// Column names.
    List(Vec<String>),
}

/// Parameters by name.
pub type Params = BTreeMap<String, ParamValue>;

impl fmt::Display for ParamValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v}"),
            Self::Text(v) => write!(f, "\"{v}\""),
            Self::List(v) => write!(f, "[{}]", v.join(", ")),
        }
    }
}

impl From<f64> for ParamValue {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for ParamValue {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for ParamValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

/// Reads parameters, remembers the values used (defaults included) and refuses what nobody asked for.
pub(crate) struct ParamReader<'a> {
    learner: &'static str,
    given: &'a Params,
    known: BTreeSet<&'static str>,
    used: Params,
}

impl<'a> ParamReader<'a> {
    pub(crate) fn new(learner: &'static str, given: &'a Params) -> Self {
        Self { learner, given, known: BTreeSet::new(), used: Params::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a ParamValue> {
        self.known.insert(name);
        self.given.get(name)
    }

    fn keep<T>(&mut self, name: &'static str, value: T, as_param: impl FnOnce(&T) -> ParamValue) -> T {
        self.used.insert(name.to_owned(), as_param(&value));
        value
    }

    /// A finite number that `accepts`; whole numbers count as numbers.
    pub(crate) fn float(
        &mut self,
        name: &'static str,
        default: f64,
        expected: &'static str,
        accepts: impl Fn(f64) -> bool,
    ) -> Result<f64> {
        let value = match self.take(name) {
            None => default,
            Some(ParamValue::Float(value)) => *value,
            Some(ParamValue::Int(value)) => *value as f64,
            Some(other) => return Err(refuse(name, other, expected)),
        };
        if !value.is_finite() || !accepts(value) {
            return Err(refuse(name, &ParamValue::Float(value), expected));
        }
        Ok(self.keep(name, value, |v| ParamValue::Float(*v)))
    }

    /// A whole number in `low..=high`.
    pub(crate) fn int(
        &mut self,
        name: &'static str,
        default: usize,
        (low, high): (usize, usize),
        expected: &'static str,
    ) -> Result<usize> {
        let value = match self.take(name) {
            None => default,
            Some(given @ ParamValue::Int(value)) => {
                usize::try_from(*value).map_err(|_| refuse(name, given, expected))?
            }
            // JSON and YAML writers may print 31 as 31.0.
            Some(ParamValue::Float(value)) if value.fract() == 0.0 && (0.0..9e15).contains(value) => *value as usize,
            Some(other) => return Err(refuse(name, other, expected)),
        };
        if !(low..=high).contains(&value) {
            return Err(refuse(name, &ParamValue::Int(i64::try_from(value).unwrap_or(i64::MAX)), expected));
        }
        Ok(self.keep(name, value, |v| ParamValue::Int(i64::try_from(*v).unwrap_or(i64::MAX))))
    }

    /// One of a few names.
    pub(crate) fn choice(
        &mut self,
        name: &'static str,
        default: &'static str,
        options: &[&'static str],
        expected: &'static str,
    ) -> Result<&'static str> {
        let value = match self.take(name) {
            None => default,
            Some(given @ ParamValue::Text(text)) => {
                options.iter().find(|option| *option == text).copied().ok_or_else(|| refuse(name, given, expected))?
            }
            Some(other) => return Err(refuse(name, other, expected)),
        };
        Ok(self.keep(name, value, |v| ParamValue::from(*v)))
    }

    /// A list of names, without a default.
    pub(crate) fn list(&mut self, name: &'static str, expected: &'static str) -> Result<Vec<String>> {
        let value = match self.take(name) {
            Some(ParamValue::List(list)) if !list.is_empty() => list.clone(),
            Some(ParamValue::Text(one)) => vec![one.clone()],
            Some(other) => return Err(refuse(name, other, expected)),
            None => return Err(Error::Param { name: name.to_owned(), value: "absent".to_owned(), expected }),
        };
        Ok(self.keep(name, value, |v| ParamValue::List(v.clone())))
    }

    /// Every value in force.
    pub(crate) fn finish(self) -> Result<Params> {
        if let Some(name) = self.given.keys().find(|name| !self.known.contains(name.as_str())) {
            let known: Vec<&str> = self.known.iter().copied().collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Error::UnknownParam { learner: self.learner, name: name.clone(), known });
        }
        Ok(self.used)
    }
}

fn refuse(name: &str, value: &ParamValue, expected: &'static str) -> Error {
    Error::Param { name: name.to_owned(), value: value.to_string(), expected }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_or_not_in_range_is_refused() {
        let given: Params = serde_json::from_str(r#"{"c": 2, "depth": 3.0, "flavour": "x"}"#).unwrap();
        let mut reader = ParamReader::new("logistic", &given);
        assert_eq!(reader.float("c", 1.0, "> 0", |v| v > 0.0).unwrap(), 2.0);
        assert_eq!(reader.int("depth", 6, (1, 9), "1 to 9").unwrap(), 3);
        assert_eq!(reader.finish().unwrap_err().to_string(), "logistic has no parameter \"flavour\"; it has: c, depth");
        let mut reader = ParamReader::new("logistic", &given);
        assert!(reader.float("c", 1.0, "< 1", |v| v < 1.0).is_err());
        assert!(reader.choice("flavour", "a", &["a", "b"], "a or b").is_err());
    }
}
