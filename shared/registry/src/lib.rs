//! Signed model bundles and aliases moved by compare-and-set.
//!
//! A bundle is data, never code: files under `models/<digest>/`, each with its SHA-256 in `manifest.json`, which is
//! signed (ed25519). The digest of a model is the SHA-256 of that manifest. Loading checks the digest, the signature
//! and every hash before anything is parsed. The [`Registry`] numbers the versions of a project and moves aliases
//! such as `champion` by compare-and-set; every move comes back as an [`AliasMove`] for the audit log.

mod alias;
mod bundle;
mod error;
mod key;
mod manifest;
mod registry;
mod version;

pub use alias::{AliasEntry, AliasMove, AliasState, MoveKind, MoveRequest, Previous};
pub use bundle::{Bundle, BundleBytes, BundleWriter, load, manifest, store};
pub use error::{Error, Result};
pub use key::{KeyId, SigningKey, TrustedKeys};
pub use manifest::{DataQuality, FileEntry, Input, InputKind, Lineage, Manifest, ManifestDraft, file};
pub use registry::{BUCKET, Registry};
pub use version::{NewVersion, VersionEntry};
