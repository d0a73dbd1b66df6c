//! A folder as an object store.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use tidemill_storage::{Error, S3Options, Storage};

fn open(folder: &tempfile::TempDir) -> Storage {
    Storage::open(&format!("file://{}", folder.path().display()), &S3Options::default()).unwrap()
}

#[tokio::test]
async fn objects_are_written_read_listed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let storage = open(&folder);
    storage.put("b/2.bin", "two").await.unwrap();
    storage.put("b/1.bin", "first").await.unwrap();
    storage.put("b/1.bin", "one").await.unwrap();
    storage.put("c.bin", "c").await.unwrap();
    assert_eq!(storage.get("b/1.bin").await.unwrap().as_ref(), b"one");
    let listed: Vec<_> = storage.list("b").await.unwrap().into_iter().map(|o| (o.path, o.size)).collect();
    assert_eq!(listed, [("b/1.bin".to_owned(), 3), ("b/2.bin".to_owned(), 3)]);
    assert_eq!(storage.list("").await.unwrap().len(), 3);
    storage.delete("b/1.bin").await.unwrap();
    storage.delete("b/1.bin").await.unwrap();
    assert!(!storage.exists("b/1.bin").await.unwrap());
    assert!(matches!(storage.get("b/1.bin").await, Err(Error::NotFound(_))));
    assert!(matches!(storage.get("../x").await, Err(Error::Path(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_writers_of_one_absent_object_exactly_one_wins() {
    let folder = tempfile::tempdir().unwrap();
    let storage = Arc::new(open(&folder));
    let writers: Vec<_> = (0..16)
        .map(|n| {
            let storage = Arc::clone(&storage);
            tokio::spawn(async move { storage.put_if_absent("log/0.json", format!("writer {n}")).await.unwrap() })
        })
        .collect();
    let mut winners = Vec::new();
    for (n, writer) in writers.into_iter().enumerate() {
        if writer.await.unwrap() {
            winners.push(n);
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(storage.get("log/0.json").await.unwrap(), format!("writer {}", winners.first().unwrap()));
    assert_eq!(std::fs::read_dir(folder.path().join("log")).unwrap().count(), 1);
}

#[test]
fn urls_that_cannot_work_are_refused_and_secrets_are_not_printed() {
    for url in ["", "http://x", "file://relative", "memory:///"] {
        assert!(Storage::open(url, &S3Options::default()).is_err(), "{url}");
    }
    let options = S3Options { secret_access_key: Some("hush".to_owned()), ..S3Options::default() };
    assert!(Storage::open("s3://bucket/prefix", &options).is_err());
    assert!(!format!("{options:?}").contains("hush"));
}
