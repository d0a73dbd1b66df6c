//! A bundle is loaded only when everything about it is as it was signed.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use tidemill_registry::{
    BundleBytes, BundleWriter, Error, Input, InputKind, Lineage, ManifestDraft, SigningKey, TrustedKeys, file, load,
    store,
};
use tidemill_storage::{S3Options, Storage};
use tidemill_types::{Digest, Millis};

fn draft() -> ManifestDraft {
    ManifestDraft {
        project: "flights".parse().unwrap(),
        run: "run-1".parse().unwrap(),
        created_at: Millis(1_372_636_800_000),
        task: "binary".to_owned(),
        learner: "boosted".to_owned(),
        inputs: vec![Input { name: "dep_delay".to_owned(), kind: InputKind::Number }],
        target: "disrupted".to_owned(),
        params: serde_json::json!({"rounds": 100}),
        seeds: BTreeMap::from([("fit".to_owned(), 7)]),
        metrics: BTreeMap::from([("valid_auc".to_owned(), 0.7725)]),
        threshold: Some(0.41),
        budget: Some(0.1),
        quality: BTreeMap::new(),
        spec_digest: Digest::of(b"spec"),
        code: "0.1.0".to_owned(),
        data_digest: Digest::of(b"data"),
        lineage: vec![Lineage { kind: "table".to_owned(), name: "clean/x".to_owned(), version: Some(3), digest: None }],
    }
}

fn bundle(key: &SigningKey) -> BundleBytes {
    let model = vec![("model.json".to_owned(), b"{}".to_vec()), ("trees.hbm".to_owned(), vec![0, 1, 255])];
    let writer = BundleWriter::new(draft()).model(model).unwrap();
    writer.file(file::EXPECTED, &b"[0.25]"[..]).unwrap().sign(key).unwrap()
}

struct Place {
    storage: Storage,
    folder: tempfile::TempDir,
    key: SigningKey,
    trusted: TrustedKeys,
    bundle: BundleBytes,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}", folder.path().display());
        let storage = Storage::open(&url, &S3Options::default()).unwrap();
        let key = SigningKey::generate().unwrap();
        let trusted = TrustedKeys::default().with(&key.id()).unwrap();
        let bundle = bundle(&key);
        store(&storage, &bundle).await.unwrap();
        Self { storage, folder, key, trusted, bundle }
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(format!("models/{}/{name}", self.bundle.digest))
    }

    async fn load(&self) -> tidemill_registry::Result<tidemill_registry::Bundle> {
        load(&self.storage, &self.bundle.digest, &self.trusted).await
    }
}

#[tokio::test]
async fn what_was_stored_is_what_is_loaded() {
    let place = Place::new().await;
    let loaded = place.load().await.unwrap();
    assert_eq!(loaded.manifest.about, draft());
    assert_eq!(loaded.signed_by, place.key.id());
    assert_eq!(loaded.model_files()[1], ("trees.hbm".to_owned(), vec![0, 1, 255]));
    assert_eq!(loaded.require(file::EXPECTED).unwrap().as_ref(), b"[0.25]");
    assert!(matches!(loaded.require(file::CARD), Err(Error::File { .. })));
    // The same content gives the same digest, and storing it again changes nothing.
    let again = bundle(&place.key);
    assert_eq!(again.digest, place.bundle.digest);
    store(&place.storage, &again).await.unwrap();
    place.load().await.unwrap();
}

#[tokio::test]
async fn a_single_flipped_bit_anywhere_is_refused() {
    let place = Place::new().await;
    for (name, content) in &place.bundle.files {
        for at in 0..content.len() {
            let mut damaged = content.to_vec();
            damaged[at] ^= 1;
            std::fs::write(place.path(name), damaged).unwrap();
            let error = place.load().await.unwrap_err();
            let expected = match name.as_str() {
                file::MANIFEST => matches!(error, Error::ManifestDigest { .. }),
                file::SIGNATURE => matches!(error, Error::Untrusted(_) | Error::Signature(_)),
                _ => matches!(error, Error::File { .. }),
            };
            assert!(expected, "{name} byte {at}: {error}");
        }
        std::fs::write(place.path(name), content).unwrap();
    }
    place.load().await.unwrap();
}

#[tokio::test]
async fn missing_files_foreign_keys_and_unknown_digests_are_refused() {
    let place = Place::new().await;
    let stranger = TrustedKeys::default().with(&SigningKey::generate().unwrap().id()).unwrap();
    for trusted in [stranger, TrustedKeys::default()] {
        assert!(matches!(load(&place.storage, &place.bundle.digest, &trusted).await, Err(Error::Untrusted(_))));
    }
    let unknown = Digest::of(b"nothing");
    assert!(matches!(load(&place.storage, &unknown, &place.trusted).await, Err(Error::NoBundle(_))));
    std::fs::remove_file(place.path("model/trees.hbm")).unwrap();
    assert!(place.load().await.unwrap_err().to_string().contains("it is missing"));
    std::fs::remove_file(place.path(file::SIGNATURE)).unwrap();
    assert!(matches!(place.load().await, Err(Error::Signature(_))));
}

/// A bundle of an honest maker under another digest: the signature is good, the digest is not its own.
#[tokio::test]
async fn a_signed_bundle_cannot_stand_in_for_another() {
    let place = Place::new().await;
    let other = BundleWriter::new(ManifestDraft { learner: "majority".to_owned(), ..draft() });
    let other = other.sign(&place.key).unwrap();
    for (name, content) in &other.files {
        std::fs::write(place.path(name), content).unwrap();
    }
    assert!(matches!(place.load().await, Err(Error::ManifestDigest { .. })));
}

#[test]
fn bad_names_and_metrics_are_refused_when_writing() {
    let writer = BundleWriter::new(draft());
    assert!(matches!(writer.clone().file("../x", ""), Err(Error::FileName(_))));
    let twice = writer.clone().file("a", "").unwrap().file("a", "");
    assert!(matches!(twice, Err(Error::DuplicateFile(_))));
    let mut about = draft();
    about.metrics.insert("auc".to_owned(), f64::NAN);
    assert!(matches!(BundleWriter::new(about).sign(&SigningKey::generate().unwrap()), Err(Error::Manifest(_))));
}
