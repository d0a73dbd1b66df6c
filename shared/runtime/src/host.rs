//! Names under which a machine is reached from itself.

use std::net::IpAddr;

/// Whether a `Host` header names an address or `localhost`, with or without a port. Any other name that leads to a
/// listener on loopback may be somebody else's, whose page then reads or writes here (DNS rebinding).
#[must_use]
pub fn is_own_host(host: &str) -> bool {
    let name = host_name(host);
    name == "localhost" || name.parse::<IpAddr>().is_ok()
}

/// The name in a `Host` header, without port and brackets.
#[must_use]
pub fn host_name(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_are_known_from_foreign_ones() {
        for local in ["127.0.0.1:8080", "localhost:1", "localhost", "[::1]:80", "10.0.0.5:8080"] {
            assert!(is_own_host(local), "{local}");
        }
        for foreign in ["", "evil.example:8080", "127.0.0.1.evil.example", "localhost.evil.example:1"] {
            assert!(!is_own_host(foreign), "{foreign}");
        }
    }
}
