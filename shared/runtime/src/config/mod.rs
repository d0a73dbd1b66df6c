//! The configuration of a process: one file of defaults, then a file, then `TIDEMILL_*`.
//!
//! The file of defaults is also the list of all settings: what it lacks does not exist.

mod layers;
mod model;
mod quantity;

use crate::error::Error;
pub use layers::{Environment, ProcessEnvironment};
pub use model::{
    Admin, Bus, Config, Drain, Evaluation, Feature, Ingestion, Keys, Monitoring, Peers, Serving, Store,
    TelemetrySettings, Training, Validation,
};
pub use quantity::{Interval, Size};
use std::path::{Path, PathBuf};

/// Text of the file of defaults, with its comments.
pub const DEFAULTS: &str = include_str!("../../../../infra/config/tidemill.default.toml");

/// Names the configuration file when the command line does not.
pub const FILE_VARIABLE: &str = "TIDEMILL_CONFIG";

impl Config {
    /// Loads defaults, then `file` (or the one that `TIDEMILL_CONFIG` names), then the environment.
    ///
    /// # Errors
    /// An unreadable file, an unknown setting (with the nearest that exists), a value of the wrong form.
    pub fn load(file: Option<&Path>, environment: &impl Environment) -> Result<Self, Error> {
        Self::load_with(file, environment, &[])
    }

    /// Like [`Config::load`], then settings from the command line as pairs of path and text (`bus.url`).
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(
        file: Option<&Path>,
        environment: &impl Environment,
        settings: &[(String, String)],
    ) -> Result<Self, Error> {
        let variables = environment.variables();
        let named = variables.iter().find(|(name, value)| name == FILE_VARIABLE && !value.is_empty());
        let path = file.map(Path::to_path_buf).or_else(|| named.map(|(_, value)| PathBuf::from(value)));
        let text = match &path {
            Some(path) => std::fs::read_to_string(path).map_err(|source| Error::File { path: path.clone(), source })?,
            None => String::new(),
        };
        let origin = path.map_or_else(|| "no file".to_owned(), |path| path.display().to_string());
        layers::assemble(DEFAULTS, &origin, &text, &variables, settings)
    }

    /// The effective settings as TOML. It holds no secret: those are paths of files.
    #[must_use]
    pub fn render(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_else(|error| format!("# cannot be shown: {error}\n"))
    }

    /// URL of the store: the one set, else a folder inside `data_dir`.
    #[must_use]
    pub fn store_url(&self) -> String {
        if !self.store.url.is_empty() {
            return self.store.url.clone();
        }
        let folder = self.data_dir.join("store");
        let folder = std::path::absolute(&folder).unwrap_or(folder);
        format!("file://{}", folder.display())
    }
}
