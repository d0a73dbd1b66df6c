//! The files a model is saved as.

use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Names and contents of a saved model's files.
pub type ModelFiles = Vec<(String, Vec<u8>)>;

pub(crate) fn find<'a>(files: &'a [(String, Vec<u8>)], file: &'static str) -> Result<&'a [u8]> {
    let found = files.iter().find(|(name, _)| name == file);
    found.map(|(_, bytes)| bytes.as_slice()).ok_or(Error::MissingFile { file })
}

pub(crate) fn read_json<T: DeserializeOwned>(files: &[(String, Vec<u8>)], file: &'static str) -> Result<T> {
    serde_json::from_slice(find(files, file)?).map_err(|e| damaged(file, e))
}

pub(crate) fn json_file<T: Serialize>(file: &'static str, value: &T) -> Result<(String, Vec<u8>)> {
    Ok((file.to_owned(), serde_json::to_vec_pretty(value).map_err(|e| damaged(file, e))?))
}

pub(crate) fn damaged(file: &'static str, reason: impl std::fmt::Display) -> Error {
    Error::DamagedFile { file, reason: reason.to_string() }
}
