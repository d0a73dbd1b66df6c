//! Signing keys and the public keys that are trusted.
//!
//! A key file holds the 32 secret bytes in hexadecimal, readable by its owner only. Its public key stands beside it
//! in `<file>.pub`, in the form of a line of a trust file: `ed25519 <64 hexadecimal characters> [comment]`.

use crate::error::{Error, Result};
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use rand::TryRng;
use rand::rngs::SysRng;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

const SCHEME: &str = "ed25519";

/// A public key in hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// All 64 characters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A private key. Never printed.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.id()).finish()
    }
}

impl SigningKey {
    /// A new key from the operating system's random source.
    ///
    /// # Errors
    /// [`Error::KeyFile`] when that source fails.
    pub fn generate() -> Result<Self> {
        let mut secret = [0; 32];
        SysRng.try_fill_bytes(&mut secret).map_err(|e| file_error(Path::new("(new)"), e))?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// The key of a file; made, with mode 0600 and its public key beside it, when the file does not exist. Of
    /// several processes that start at once, all get the same key.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyExposed`].
    pub fn load_or_create(path: &Path) -> Result<Self> {
        if !path.exists() {
            Self::generate()?.write_new(path)?;
        }
        let key = Self::load(path)?;
        let public = public_path(path);
        if !public.exists() {
            fs::write(&public, format!("{SCHEME} {}\n", key.id())).map_err(|e| file_error(&public, e))?;
        }
        Ok(key)
    }

    /// The key of a file that exists.
    ///
    /// # Errors
    /// [`Error::KeyFile`], [`Error::KeyExposed`].
    pub fn load(path: &Path) -> Result<Self> {
        refuse_if_exposed(path)?;
        let text = fs::read_to_string(path).map_err(|e| file_error(path, e))?;
        let secret = decode_32(text.trim()).ok_or_else(|| file_error(path, "not 64 hexadecimal characters"))?;
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&secret)))
    }

    /// Writes under another name first, then links it in place: the file is never seen half written, and an
    /// existing one is never replaced.
    fn write_new(&self, path: &Path) -> Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| file_error(folder, e))?;
        let draft = folder.join(format!(".key-{}-{}", std::process::id(), &self.id().0[..16]));
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let written = options.open(&draft).and_then(|mut file| {
            file.write_all(hex::encode(self.0.to_bytes()).as_bytes())?;
            file.sync_all()
        });
        let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
            Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            other => other,
        });
        let removed = fs::remove_file(&draft);
        linked.and(removed).map_err(|e| file_error(path, e))
    }

    /// The public key.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId(hex::encode(self.0.verifying_key().to_bytes()))
    }

    /// The signature, in hexadecimal, of some bytes that are no bundle. `what` keeps signatures of one kind from standing
    /// for another.
    #[must_use]
    pub fn seal(&self, what: &str, bytes: &[u8]) -> String {
        self.sign(&sealed(what, bytes))
    }

    /// The signature of some bytes, in hexadecimal.
    pub(crate) fn sign(&self, bytes: &[u8]) -> String {
        hex::encode(self.0.sign(bytes).to_bytes())
    }
}

/// Public keys whose bundles may be loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedKeys(Vec<VerifyingKey>);

impl TrustedKeys {
    /// Trusts one key.
    ///
    /// # Errors
    /// [`Error::KeyFile`] when it is no point of the curve.
    pub fn with(mut self, key: &KeyId) -> Result<Self> {
        let parsed = parse_public(&key.0).ok_or_else(|| file_error(Path::new("(given)"), "not a public key"))?;
        if !self.0.contains(&parsed) {
            self.0.push(parsed);
        }
        Ok(self)
    }

    /// The keys of a trust file: one per line, empty lines and lines that start with `#` are skipped.
    ///
    /// # Errors
    /// [`Error::KeyFile`] naming the line.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path).map_err(|e| file_error(path, e))?;
        let mut keys = Self::default();
        for (at, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut words = line.split_whitespace();
            let key = (words.next() == Some(SCHEME)).then(|| words.next()).flatten().and_then(parse_public);
            keys.0.push(key.ok_or_else(|| file_error(path, format!("line {}: expected {SCHEME} <key>", at + 1)))?);
        }
        Ok(keys)
    }

    /// True without keys: nothing can be loaded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The trusted key whose [`SigningKey::seal`] this is; `None` for anything else.
    #[must_use]
    pub fn sealed_by(&self, what: &str, bytes: &[u8], seal: &str) -> Option<KeyId> {
        self.signer_of(&sealed(what, bytes), &parse_signature(seal.as_bytes())?)
    }

    /// The trusted key that signed the bytes. Strict verification: no malleable signatures, no weak keys.
    pub(crate) fn signer_of(&self, bytes: &[u8], signature: &Signature) -> Option<KeyId> {
        let signer = self.0.iter().find(|key| key.verify_strict(bytes, signature).is_ok())?;
        Some(KeyId(hex::encode(signer.to_bytes())))
    }
}

/// What is signed of bytes that are no bundle. A manifest of a bundle is JSON, so it never begins like this.
fn sealed(what: &str, bytes: &[u8]) -> Vec<u8> {
    [b"tidemill ", what.as_bytes(), b"\n", bytes].concat()
}

/// Reads a signature in hexadecimal.
pub(crate) fn parse_signature(text: &[u8]) -> Option<Signature> {
    let bytes: [u8; 64] = hex::decode(text.trim_ascii()).ok()?.try_into().ok()?;
    Some(Signature::from_bytes(&bytes))
}

fn parse_public(text: &str) -> Option<VerifyingKey> {
    VerifyingKey::from_bytes(&decode_32(text)?).ok()
}

fn decode_32(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

fn public_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".pub");
    PathBuf::from(name)
}

#[cfg(unix)]
fn refuse_if_exposed(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).map_err(|e| file_error(path, e))?.permissions().mode() & 0o777;
    if mode & 0o077 == 0 { Ok(()) } else { Err(Error::KeyExposed { path: path.to_owned(), mode }) }
}

#[cfg(not(unix))]
fn refuse_if_exposed(_: &Path) -> Result<()> {
    Ok(())
}

fn file_error(path: &Path, reason: impl fmt::Display) -> Error {
    Error::KeyFile { path: path.to_owned(), reason: reason.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_use_makes_a_key_that_only_its_owner_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/signing.key");
        let first = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(SigningKey::load_or_create(&path).unwrap().id(), first.id());
        let trusted = TrustedKeys::load(&public_path(&path)).unwrap();
        let signature = parse_signature(first.sign(b"abc").as_bytes()).unwrap();
        assert_eq!(trusted.signer_of(b"abc", &signature), Some(first.id()));
        assert_eq!(trusted.signer_of(b"abd", &signature), None);
        assert!(!format!("{first:?}").contains(&hex::encode(first.0.to_bytes())));
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 2);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            assert!(matches!(SigningKey::load(&path), Err(Error::KeyExposed { mode: 0o640, .. })));
        }
    }

    #[test]
    fn processes_that_start_together_agree_on_the_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("signing.key");
        let ids: Vec<KeyId> = std::thread::scope(|scope| {
            let start = || scope.spawn(|| SigningKey::load_or_create(&path).unwrap().id());
            let running: Vec<_> = (0..8).map(|_| start()).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn a_trust_file_names_its_bad_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trusted");
        let key = SigningKey::generate().unwrap().id();
        fs::write(&path, format!("# team\n\ned25519 {key} ops\n")).unwrap();
        let trusted = TrustedKeys::load(&path).unwrap();
        assert_eq!(trusted, TrustedKeys::default().with(&key).unwrap().with(&key).unwrap());
        fs::write(&path, "# team\nrsa abc\n").unwrap();
        assert!(TrustedKeys::load(&path).unwrap_err().to_string().contains("line 2"));
    }
}
