//! Message headers: names and values as text, checked when set.

use crate::error::{Error, Result};
use async_nats::{HeaderMap, HeaderName, HeaderValue};

/// Headers of one message; names are case-sensitive.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// No headers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Headers from pairs.
    ///
    /// # Errors
    /// `TM0612` when a name or value is not allowed in a header.
    pub fn from_pairs<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Result<Self> {
        let mut headers = Self::new();
        for (name, value) in pairs {
            headers.set(name.as_ref(), value.as_ref())?;
        }
        Ok(headers)
    }

    /// Sets a header, replacing what it was.
    ///
    /// # Errors
    /// `TM0612` for an empty or non-ASCII name, or a value with a line break.
    pub fn set(&mut self, name: &str, value: &str) -> Result<()> {
        let malformed = |reason: &dyn std::fmt::Display| Error::Malformed(format!("header {name:?}: {reason}"));
        if name.is_empty() {
            return Err(malformed(&"the name is empty"));
        }
        let key: HeaderName = name.parse().map_err(|error| malformed(&error))?;
        let value: HeaderValue = value.parse().map_err(|error| malformed(&error))?;
        self.0.insert(key, value);
        Ok(())
    }

    /// As [`Headers::set`], for chaining.
    ///
    /// # Errors
    /// As [`Headers::set`].
    pub fn with(mut self, name: &str, value: &str) -> Result<Self> {
        self.set(name, value)?;
        Ok(self)
    }

    /// The value of a header.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        // The library's look-up by text panics on names that no header can have.
        let name: HeaderName = name.parse().ok()?;
        self.0.get(name).map(HeaderValue::as_str)
    }

    /// All headers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().flat_map(|(name, values)| values.iter().map(move |value| (name.as_ref(), value.as_str())))
    }

    /// True when there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn map(&self) -> &HeaderMap {
        &self.0
    }

    pub(crate) fn from_map(map: Option<HeaderMap>) -> Self {
        Self(map.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_checked_not_trusted() {
        let headers = Headers::new().with("ce-id", "7").unwrap();
        assert_eq!(headers.get("ce-id"), Some("7"));
        assert_eq!(headers.get("no such: name"), None);
        assert!(Headers::new().with("bad:name", "x").is_err());
        assert!(Headers::new().with("name", "a\r\nb").is_err());
        assert_eq!(Headers::from_pairs([("a", "1"), ("b", "2")]).unwrap().iter().count(), 2);
    }
}
