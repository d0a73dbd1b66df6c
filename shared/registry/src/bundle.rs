//! Writing, storing, loading and verifying bundles.

use crate::error::{Error, Result};
use crate::key::{KeyId, SigningKey, TrustedKeys, parse_signature};
use crate::manifest::{FileEntry, Manifest, ManifestDraft, check_name, file};
use bytes::Bytes;
use std::collections::BTreeMap;
use tidemill_storage::Storage;
use tidemill_types::Digest;

/// Largest manifest that is read; real ones are a few kilobytes.
const MAX_MANIFEST: u64 = 4 << 20;
/// Largest signature file that is read.
const MAX_SIGNATURE: u64 = 256;

/// Collects the files of a bundle.
#[derive(Clone, Debug)]
pub struct BundleWriter {
    about: ManifestDraft,
    files: BTreeMap<String, Bytes>,
}

impl BundleWriter {
    /// Starts a bundle.
    #[must_use]
    pub fn new(about: ManifestDraft) -> Self {
        Self { about, files: BTreeMap::new() }
    }

    /// Adds a file.
    ///
    /// # Errors
    /// [`Error::FileName`], [`Error::DuplicateFile`].
    pub fn file(mut self, name: &str, content: impl Into<Bytes>) -> Result<Self> {
        check_name(name)?;
        match self.files.insert(name.to_owned(), content.into()) {
            Some(_) => Err(Error::DuplicateFile(name.to_owned())),
            None => Ok(self),
        }
    }

    /// Adds the files of a saved model below `model/`.
    ///
    /// # Errors
    /// As [`Self::file`].
    pub fn model(self, files: Vec<(String, Vec<u8>)>) -> Result<Self> {
        let add =
            |writer: Self, (name, content): (String, Vec<u8>)| writer.file(&format!("{}/{name}", file::MODEL), content);
        files.into_iter().try_fold(self, add)
    }

    /// Writes the manifest and signs it.
    ///
    /// # Errors
    /// [`Error::Manifest`] when it cannot be written, for instance because a metric is not finite.
    pub fn sign(self, key: &SigningKey) -> Result<BundleBytes> {
        if let Some((name, value)) = self.about.metrics.iter().find(|(_, value)| !value.is_finite()) {
            return Err(Error::Manifest(format!("metric {name} is {value}")));
        }
        let entry = |content: &Bytes| FileEntry { sha256: Digest::of(content), bytes: content.len() as u64 };
        let entries = self.files.iter().map(|(name, content)| (name.clone(), entry(content))).collect();
        let manifest = Manifest::new(self.about, entries).to_bytes()?;
        let signature = key.sign(&manifest);
        // The manifest last: a bundle that has one is complete.
        let mut files: Vec<(String, Bytes)> = self.files.into_iter().collect();
        files.push((file::SIGNATURE.to_owned(), signature.into()));
        let digest = Digest::of(&manifest);
        files.push((file::MANIFEST.to_owned(), manifest.into()));
        Ok(BundleBytes { digest, files })
    }
}

/// A signed bundle, ready to be stored.
#[derive(Clone, Debug)]
pub struct BundleBytes {
    /// Digest of the model: the SHA-256 of the manifest.
    pub digest: Digest,
    /// Names and contents; the manifest is last.
    pub files: Vec<(String, Bytes)>,
}

/// A verified bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// Digest of the model.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// The trusted key that signed it.
    pub signed_by: KeyId,
    files: BTreeMap<String, Bytes>,
}

impl Bundle {
    /// Content of a file.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<&Bytes> {
        self.files.get(name)
    }

    /// Content of a file that must be there.
    ///
    /// # Errors
    /// [`Error::File`] when the bundle has none of that name.
    pub fn require(&self, name: &str) -> Result<&Bytes> {
        self.file(name).ok_or_else(|| damaged(&self.digest, name, "the bundle has none"))
    }

    /// Names of all files but manifest and signature.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }

    /// The files of the model, names as its learner saved them.
    #[must_use]
    pub fn model_files(&self) -> Vec<(String, Vec<u8>)> {
        let below = |(name, content): (&String, &Bytes)| {
            let name = name.strip_prefix(file::MODEL)?.strip_prefix('/')?;
            Some((name.to_owned(), content.to_vec()))
        };
        self.files.iter().filter_map(below).collect()
    }
}

/// Stores a bundle under `models/<digest>/`. Repeating it changes nothing, so it may be repeated after a failure.
///
/// # Errors
/// The store's errors.
pub async fn store(storage: &Storage, bundle: &BundleBytes) -> Result<()> {
    for (name, content) in &bundle.files {
        // The digest fixes the content of the manifest, hence of all files; only the signature could differ, and
        // then by the key, in which case the first one stays.
        storage.put_if_absent(&path(&bundle.digest, name), content.clone()).await?;
    }
    Ok(())
}

/// Loads a bundle: digest of the manifest, then its signature, then size and hash of every file; only then is a file
/// given out. The manifest itself is parsed after its signature is verified.
///
/// # Errors
/// [`Error::NoBundle`], [`Error::ManifestDigest`], [`Error::Signature`], [`Error::Untrusted`], [`Error::Manifest`],
/// [`Error::File`], and the store's errors.
pub async fn load(storage: &Storage, digest: &Digest, trusted: &TrustedKeys) -> Result<Bundle> {
    let manifest = manifest_bytes(storage, digest).await?;
    let signature = match capped(storage, digest, file::SIGNATURE, MAX_SIGNATURE).await {
        Err(Error::Storage(tidemill_storage::Error::NotFound(_))) => return Err(Error::Signature(digest.clone())),
        other => other?,
    };
    let signature = parse_signature(&signature).ok_or_else(|| Error::Signature(digest.clone()))?;
    let signed_by = trusted.signer_of(&manifest, &signature).ok_or_else(|| Error::Untrusted(digest.clone()))?;

    let manifest = Manifest::from_bytes(&manifest)?;
    let mut files = BTreeMap::new();
    for (name, entry) in &manifest.files {
        files.insert(name.clone(), verified(storage, digest, name, entry).await?);
    }
    Ok(Bundle { digest: digest.clone(), manifest, signed_by, files })
}

/// The manifest of a model, checked by its digest, which is its name; whose it is nobody looks at. For those who want to
/// know what a model was made from, and do not run it.
///
/// # Errors
/// [`Error::NoBundle`], [`Error::ManifestDigest`], [`Error::Manifest`], and the store's errors.
pub async fn manifest(storage: &Storage, digest: &Digest) -> Result<Manifest> {
    Manifest::from_bytes(&manifest_bytes(storage, digest).await?)
}

async fn manifest_bytes(storage: &Storage, digest: &Digest) -> Result<Bytes> {
    let manifest = match capped(storage, digest, file::MANIFEST, MAX_MANIFEST).await {
        Err(Error::Storage(tidemill_storage::Error::NotFound(_))) => return Err(Error::NoBundle(digest.clone())),
        other => other?,
    };
    let found = Digest::of(&manifest);
    if found != *digest {
        return Err(Error::ManifestDigest { expected: digest.clone(), found });
    }
    Ok(manifest)
}

async fn verified(storage: &Storage, digest: &Digest, name: &str, entry: &FileEntry) -> Result<Bytes> {
    let missing = |error| match error {
        tidemill_storage::Error::NotFound(_) => damaged(digest, name, "it is missing"),
        other => other.into(),
    };
    let path = path(digest, name);
    // The size first, so that a file that was swapped for a huge one is not read into memory.
    let size = storage.head(&path).await.map_err(missing)?.size;
    if size != entry.bytes {
        return Err(damaged(digest, name, &format!("{size} bytes, the manifest says {}", entry.bytes)));
    }
    let content = storage.get(&path).await.map_err(missing)?;
    if Digest::of(&content) != entry.sha256 {
        return Err(damaged(digest, name, "its SHA-256 differs from the manifest's"));
    }
    Ok(content)
}

async fn capped(storage: &Storage, digest: &Digest, name: &str, cap: u64) -> Result<Bytes> {
    let path = path(digest, name);
    let size = storage.head(&path).await?.size;
    if size > cap {
        return Err(damaged(digest, name, &format!("{size} bytes, at most {cap} are read")));
    }
    Ok(storage.get(&path).await?)
}

fn path(digest: &Digest, name: &str) -> String {
    format!("models/{digest}/{name}")
}

fn damaged(model: &Digest, file: &str, reason: &str) -> Error {
    Error::File { model: model.clone(), file: file.to_owned(), reason: reason.to_owned() }
}
