//! The file by which commands find a running instance: `<data_dir>/run.json`.

use crate::error::{Error, Result};
use crate::process::Endpoints;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What an instance says about itself while it runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct RunFile {
    /// Process id.
    pub(crate) pid: u32,
    /// Process id of its nats-server, when it started one.
    pub(crate) nats_pid: Option<u32>,
    /// Address of the bus.
    pub(crate) bus_url: String,
    /// URL of the object store.
    pub(crate) store_url: String,
    /// Where the services answer.
    pub(crate) endpoints: Endpoints,
    /// The project.
    pub(crate) project: String,
    /// When it was ready, RFC 3339.
    pub(crate) started: String,
}

impl RunFile {
    /// Where the file of a data folder lies.
    pub(crate) fn path(data_dir: &Path) -> PathBuf {
        data_dir.join("run.json")
    }

    /// The instance of a data folder; `None` when none runs there.
    pub(crate) fn find(data_dir: &Path) -> Result<Option<Self>> {
        let path = Self::path(data_dir);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::file("read", path)(e)),
        };
        let file: Self = serde_json::from_slice(&text).map_err(|e| Error::File {
            action: "understand",
            path,
            reason: e.to_string(),
        })?;
        Ok(Some(file).filter(Self::is_alive))
    }

    /// Whether the process that wrote the file still runs. A file left behind by a crash does not count.
    pub(crate) fn is_alive(&self) -> bool {
        let process = Path::new("/proc").join(self.pid.to_string());
        if !Path::new("/proc/self").exists() {
            return true;
        }
        let name = std::fs::read_to_string(process.join("comm")).unwrap_or_default();
        let state = std::fs::read_to_string(process.join("status")).unwrap_or_default();
        name.trim_end() == "tidemill" && !state.contains("State:\tZ")
    }

    /// Writes the file, complete or not at all.
    pub(crate) fn write(&self, data_dir: &Path) -> Result<PathBuf> {
        let path = Self::path(data_dir);
        let draft = path.with_extension("json.new");
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::other)?;
        std::fs::write(&draft, text).map_err(Error::file("write", &draft))?;
        std::fs::rename(&draft, &path).map_err(Error::file("write", &path))?;
        Ok(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_left_behind_by_a_crash_is_no_instance() {
        let dir = tempfile::tempdir().unwrap();
        assert!(RunFile::find(dir.path()).unwrap().is_none());
        let file = RunFile {
            pid: u32::MAX,
            nats_pid: None,
            bus_url: "nats://127.0.0.1:1".into(),
            store_url: "file:///x".into(),
            endpoints: Endpoints::default(),
            project: "flights".into(),
            started: String::new(),
        };
        file.write(dir.path()).unwrap();
        assert!(RunFile::find(dir.path()).unwrap().is_none());
    }
}
