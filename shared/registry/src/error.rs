//! What can go wrong with bundles, keys and the registry.

use std::path::PathBuf;
use tidemill_types::{Classified, Code, Digest, ErrorKind};

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a bundle, a key or the registry.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The object store failed.
    #[error(transparent)]
    Storage(#[from] tidemill_storage::Error),
    /// The bus failed.
    #[error(transparent)]
    Bus(#[from] tidemill_bus::Error),
    /// The store has no bundle of this digest.
    #[error("there is no model bundle {0}")]
    NoBundle(Digest),
    /// The manifest's bytes are not those the digest was taken from.
    #[error("the manifest of model {expected} hashes to {found}")]
    ManifestDigest {
        /// Digest asked for.
        expected: Digest,
        /// Digest of the bytes found.
        found: Digest,
    },
    /// No trusted key made the signature.
    #[error("model {0} is not signed by a trusted key")]
    Untrusted(Digest),
    /// The signature file is no signature.
    #[error("the signature of model {0} is malformed")]
    Signature(Digest),
    /// A file is absent or has other bytes than the manifest says.
    #[error("file \"{file}\" of model {model}: {reason}")]
    File {
        /// Digest of the model.
        model: Digest,
        /// Name of the file.
        file: String,
        /// What differs.
        reason: String,
    },
    /// A signed manifest that this version cannot read.
    #[error("the manifest of a model cannot be read: {0}")]
    Manifest(String),
    /// A file name that is not a plain relative path.
    #[error("\"{0}\" cannot be the name of a bundle file")]
    FileName(String),
    /// Two files of one name.
    #[error("the bundle already has a file \"{0}\"")]
    DuplicateFile(String),
    /// A key file cannot be read or written.
    #[error("key file {path}: {reason}", path = path.display())]
    KeyFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Others can read the private key.
    #[error("key file {path} is readable by others (mode {mode:o}): run chmod 600 on it, or remove it to make a new key", path = path.display())]
    KeyExposed {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A registry entry that cannot be read.
    #[error("registry entry {key} is damaged: {reason}")]
    Entry {
        /// Key in the bucket.
        key: String,
        /// What the reader said.
        reason: String,
    },
    /// An alias name that cannot be part of a key.
    #[error("alias \"{0}\" must be 1 to 48 characters of a-z, 0-9, '-' and '_', starting with a letter")]
    AliasName(String),
    /// No version of the project has this digest.
    #[error("model {digest} is no version of project {project}")]
    UnknownVersion {
        /// Project.
        project: String,
        /// Digest of the model.
        digest: Digest,
    },
    /// The alias does not exist.
    #[error("project {project} has no alias \"{alias}\"")]
    UnknownAlias {
        /// Project.
        project: String,
        /// Alias.
        alias: String,
    },
    /// The alias does not point where the caller believes.
    #[error("alias \"{alias}\" points to {found}, not to {expected}")]
    AliasMoved {
        /// Alias.
        alias: String,
        /// What the caller believes.
        expected: String,
        /// Where it points.
        found: String,
    },
    /// The alias never pointed elsewhere.
    #[error("alias \"{alias}\" of project {project} has nothing to roll back to")]
    NoPrevious {
        /// Project.
        project: String,
        /// Alias.
        alias: String,
    },
}

impl Classified for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Storage(inner) => inner.kind(),
            Self::Bus(inner) => inner.kind(),
            Self::NoBundle(_) | Self::UnknownVersion { .. } | Self::UnknownAlias { .. } => ErrorKind::NotFound,
            Self::ManifestDigest { .. } | Self::Signature(_) | Self::File { .. } | Self::Entry { .. } => {
                ErrorKind::Corrupt
            }
            Self::Manifest(_) => ErrorKind::Corrupt,
            Self::Untrusted(_) | Self::KeyExposed { .. } => ErrorKind::Denied,
            Self::FileName(_) | Self::DuplicateFile(_) | Self::AliasName(_) => ErrorKind::Invalid,
            Self::KeyFile { .. } => ErrorKind::Unavailable,
            Self::AliasMoved { .. } | Self::NoPrevious { .. } => ErrorKind::Conflict,
        }
    }

    fn code(&self) -> Code {
        Code(match self {
            Self::Storage(inner) => return inner.code(),
            Self::Bus(inner) => return inner.code(),
            Self::NoBundle(_) => 1101,
            Self::ManifestDigest { .. } => 1102,
            Self::Untrusted(_) => 1103,
            Self::Signature(_) => 1104,
            Self::File { .. } => 1105,
            Self::Manifest(_) => 1106,
            Self::FileName(_) => 1107,
            Self::DuplicateFile(_) => 1108,
            Self::KeyFile { .. } => 1109,
            Self::KeyExposed { .. } => 1110,
            Self::Entry { .. } => 1111,
            Self::AliasName(_) => 1112,
            Self::UnknownVersion { .. } => 1113,
            Self::UnknownAlias { .. } => 1114,
            Self::AliasMoved { .. } => 1115,
            Self::NoPrevious { .. } => 1116,
        })
    }

    /// A key file that cannot be read does not mend itself.
    fn is_transient(&self) -> bool {
        match self {
            Self::Storage(inner) => inner.is_transient(),
            Self::Bus(inner) => inner.is_transient(),
            _ => false,
        }
    }
}
