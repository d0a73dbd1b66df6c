//! Addresses of devices.

use crate::value::Value;
use std::net::IpAddr;

/// Whether a value is an internet address, and whether it may be one: four small numbers are a version as well.
pub(crate) fn ip(value: &Value<'_>) -> (bool, bool) {
    match value.text.parse() {
        Ok(IpAddr::V4(address)) => (address.octets().into_iter().any(|part| part > 31), true),
        Ok(IpAddr::V6(_)) => (value.text.len() > 4, true),
        Err(_) => (false, false),
    }
}

/// A hardware address: six pairs with colons or hyphens, or three groups of four with dots.
pub(crate) fn is_mac(value: &Value<'_>) -> bool {
    let groups = |separator: char, count: usize, length: usize| {
        let mut parts = 0;
        for part in value.text.split(separator) {
            parts += 1;
            if part.len() != length || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return false;
            }
        }
        parts == count
    };
    groups(':', 6, 2) || groups('-', 6, 2) || groups('.', 3, 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_versions() {
        let both = |text: &str| Value::new(text).map(|value| ip(&value));
        assert_eq!(both("203.0.113.7"), Some((true, true)));
        assert_eq!(both("1.2.3.4"), Some((false, true)));
        assert_eq!(both("2001:db8::1"), Some((true, true)));
        assert_eq!(both("1.2.3"), Some((false, false)));
        let mac = |text: &str| Value::new(text).is_some_and(|value| is_mac(&value));
        assert!(mac("00:1a:2B:3c:4d:5e") && mac("00-1A-2B-3C-4D-5E") && mac("001a.2b3c.4d5e"));
        assert!(!mac("00:1a:2b:3c:4d") && !mac("12:30:45") && !mac("001a2b3c4d5e"));
    }
}
