//! Facts about this process that are read when metrics are asked for.

/// Resident memory of this process in bytes; `None` where the system does not tell.
pub(crate) fn resident_bytes() -> Option<f64> {
    parse_resident(&std::fs::read_to_string("/proc/self/status").ok()?)
}

/// Reads `VmRSS` (kibibytes) of proc(5) `status`.
fn parse_resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_memory_is_read_in_bytes() {
        assert_eq!(parse_resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!(parse_resident("Name:\tx\n"), None);
    }
}
