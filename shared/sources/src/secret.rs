//! Secrets from a file or the environment. They are handed on and never shown.

use crate::error::{Error, Result};
use std::fmt;
use tidemill_spec::{S3Origin, Secret};
use tidemill_storage::S3Options;

/// A secret that does not show itself.
#[derive(Clone)]
pub(crate) struct Hidden(String);

impl Hidden {
    /// The secret itself, for whom it is meant.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("redacted")
    }
}

/// Reads a secret; `what` names its key in the project file.
#[expect(clippy::disallowed_methods, reason = "the project file names the variable: no setting of the process could")]
pub(crate) fn read(what: &str, secret: &Secret) -> Result<Hidden> {
    let text = match (&secret.file, &secret.env) {
        (Some(file), _) => from_file(what, file)?,
        (None, Some(name)) => std::env::var(name)
            .map_err(|_| Error::settings(what, format!("the environment variable {name} is not set")))?,
        (None, None) => return Err(Error::settings(what, "names neither file nor env")),
    };
    let text = text.trim().to_owned();
    if text.is_empty() {
        return Err(Error::settings(what, "the secret is empty"));
    }
    Ok(Hidden(text))
}

fn from_file(what: &str, file: &str) -> Result<String> {
    std::fs::read_to_string(file).map_err(|e| Error::settings(what, format!("cannot read {file}: {e}")))
}

/// How the S3 service of an origin is reached.
pub(crate) fn s3(origin: Option<&S3Origin>) -> Result<S3Options> {
    let Some(s3) = origin else { return Ok(S3Options::default()) };
    let key = |what: &str, file: &Option<String>| -> Result<Option<String>> {
        file.as_deref().map(|file| Ok(from_file(what, file)?.trim().to_owned())).transpose()
    };
    Ok(S3Options {
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        access_key_id: key("from.files.s3.access_key_file", &s3.access_key_file)?,
        secret_access_key: key("from.files.s3.secret_key_file", &s3.secret_key_file)?,
        allow_http: s3.endpoint.as_deref().is_some_and(|endpoint| endpoint.starts_with("http://")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn a_secret_is_read_trimmed_and_never_shown() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("password");
        std::fs::write(&file, "hunter2\n").unwrap();
        let named = Secret { file: Some(file.display().to_string()), env: None };
        let hidden = read("from.postgres.password", &named).unwrap();
        assert_eq!(hidden.expose(), "hunter2");
        assert_eq!(format!("{hidden:?}"), "redacted");
        let missing = Secret { file: None, env: Some("TIDEMILL_NO_SUCH_VARIABLE".to_owned()) };
        let text = read("from.http.bearer", &missing).unwrap_err().to_string();
        assert_eq!(text, "from.http.bearer: the environment variable TIDEMILL_NO_SUCH_VARIABLE is not set");
    }
}
