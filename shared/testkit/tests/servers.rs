//! The helpers start what they say.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;
use tidemill_bus::{Headers, StreamSpec};
use tidemill_testkit::{Nats, S3, Store, eventually};

#[tokio::test]
async fn a_bus_keeps_what_it_acknowledged_through_a_crash() {
    let mut nats = Nats::start().await.unwrap();
    let bus = nats.bus().await.unwrap();
    bus.ensure_stream(&StreamSpec::new("S", ["s"])).await.unwrap();
    bus.publish("s", &Headers::new(), "1").await.unwrap();
    nats.crash().await.unwrap();
    let is_back = eventually(Duration::from_secs(10), || async {
        bus.stream_state("S").await.is_ok_and(|state| state.messages == 1)
    });
    assert!(is_back.await);
}

#[tokio::test]
async fn both_stores_keep_objects_and_create_once() {
    let local = Store::local().unwrap();
    let s3 = S3::start().await.unwrap();
    for storage in [local.storage().clone(), s3.storage().unwrap()] {
        storage.put("a/b", "content").await.unwrap();
        assert_eq!(storage.get("a/b").await.unwrap(), "content");
        assert!(storage.put_if_absent("once", "1").await.unwrap());
        assert!(!storage.put_if_absent("once", "2").await.unwrap());
        assert_eq!(storage.list("").await.unwrap().len(), 2);
    }
}
