//! Buckets: compare-and-set, and watching.

use crate::server::Server;
use futures::StreamExt;
use std::time::Duration;
use tidemill_bus::{Error, Kv, KvSpec};
use tidemill_types::{Classified, ErrorKind};

#[tokio::test]
async fn compare_and_set_has_one_winner() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let kv = Kv::open(&bus, &KvSpec::new("registry")).await.unwrap();
    assert_eq!(kv.get("demo/champion").await.unwrap(), None);
    let first = kv.create("demo/champion", "1").await.unwrap();
    assert!(matches!(kv.create("demo/champion", "2").await.unwrap_err(), Error::Conflict { .. }));
    let second = kv.update("demo/champion", "2", first).await.unwrap();
    let error = kv.update("demo/champion", "3", first).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error}");
    let entry = kv.get("demo/champion").await.unwrap().unwrap();
    assert_eq!((entry.value.as_deref(), entry.revision), (Some(b"2".as_slice()), second));

    let racers = (0..8).map(|n| {
        let kv = kv.clone();
        tokio::spawn(async move { kv.update("demo/champion", format!("r{n}"), second).await.is_ok() })
    });
    let won = futures::future::join_all(racers).await.into_iter().filter(|won| *won.as_ref().unwrap()).count();
    assert_eq!(won, 1);

    kv.put("other", "x").await.unwrap();
    assert_eq!(kv.keys().await.unwrap(), ["demo/champion", "other"]);
    kv.delete("other").await.unwrap();
    assert_eq!(kv.get("other").await.unwrap(), None);
    kv.create("other", "again").await.unwrap();
    assert!(matches!(kv.put("no spaces", "x").await.unwrap_err(), Error::Malformed(_)));
    // Opening again finds the same bucket.
    assert!(Kv::open(&bus, &KvSpec::new("registry")).await.unwrap().get("other").await.unwrap().is_some());
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_and_survives_a_crash() {
    let mut server = Server::start().await;
    let bus = server.bus().await;
    let kv = Kv::open(&bus, &KvSpec::new("heads")).await.unwrap();
    kv.put("a", "1").await.unwrap();
    kv.put("a", "2").await.unwrap();
    kv.put("b", "1").await.unwrap();
    let mut watch = kv.watch(None).await.unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 {
        let entry = watch.next().await.unwrap().unwrap();
        seen.push((entry.key, entry.value.unwrap()));
    }
    assert_eq!(seen, [("a".to_owned(), "2".into()), ("b".to_owned(), "1".into())]);
    kv.delete("a").await.unwrap();
    let entry = watch.next().await.unwrap().unwrap();
    assert_eq!((entry.key.as_str(), entry.value), ("a", None));

    server.nats.kill().await.unwrap();
    server.nats.restart().await.unwrap();
    while kv.put("c", "after").await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let next = async {
        loop {
            if let Some(Ok(entry)) = watch.next().await
                && entry.key == "c"
            {
                return entry.value;
            }
        }
    };
    let value = tokio::time::timeout(Duration::from_secs(60), next).await.unwrap();
    assert_eq!(value.as_deref(), Some(b"after".as_slice()));
}
