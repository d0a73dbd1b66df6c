//! Facts about this process that are read when metrics are asked for.

/// What the system says about this process.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Facts {
    /// Resident memory.
    pub(crate) resident_bytes: f64,
    /// Threads.
    pub(crate) threads: f64,
    /// Open file descriptors.
    pub(crate) open_files: f64,
    /// Processor time in user and system mode.
    pub(crate) cpu_seconds: f64,
}

/// Clock ticks in a second as proc(5) counts them; fixed in the interface of Linux on every machine we run on.
const TICKS: f64 = 100.0;

/// `None` where the system does not tell.
pub(crate) fn facts() -> Option<Facts> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    let open_files = u32::try_from(std::fs::read_dir("/proc/self/fd").ok()?.count()).ok()?;
    Some(Facts {
        resident_bytes: number(&status, "VmRSS:")? * 1024.0,
        threads: number(&status, "Threads:")?,
        open_files: f64::from(open_files),
        cpu_seconds: cpu_seconds(&stat)?,
    })
}

/// A number of proc(5) `status`; memory is in kibibytes.
fn number(status: &str, key: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().trim_end_matches("kB").trim().parse().ok()
}

/// `utime` and `stime` of proc(5) `stat`; the name of the program before them may hold anything but ends the only `)`
/// that counts, the last one.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after) = stat.rsplit_once(')')?;
    let mut ticks = after.split_whitespace().skip(11).map(str::parse::<f64>);
    Some((ticks.next()?.ok()? + ticks.next()?.ok()?) / TICKS)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn memory_is_read_in_bytes_and_time_in_seconds() {
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nThreads:\t7\n";
        assert_eq!(number(status, "VmRSS:"), Some(2048.0));
        assert_eq!(number(status, "Threads:"), Some(7.0));
        assert_eq!(number("Name:\tx\n", "VmRSS:"), None);
        let stat = "12 (a) b) S 1 12 12 0 -1 4194304 100 0 0 0 250 50 0 0 20 0 7 0 100 1000 2000";
        assert_eq!(cpu_seconds(stat), Some(3.0));
    }

    #[test]
    fn this_process_uses_memory_and_files() {
        let facts = facts().unwrap();
        assert!(facts.resident_bytes > 100_000.0 && facts.threads >= 1.0 && facts.open_files >= 3.0, "{facts:?}");
    }
}
