//! Streams as they should be, and servers that refuse.

use crate::server::Server;
use std::time::Duration;
use tidemill_bus::{Bus, BusOptions, Credentials, Error, Headers, Retention, StreamSpec};

#[tokio::test]
async fn ensure_is_idempotent_and_keeps_the_incarnation() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let mut spec = StreamSpec::new("S", ["s.>"]);
    let first = bus.ensure_stream(&spec).await.unwrap();
    assert_eq!((first.first_seq, first.last_seq, first.messages), (1, 0, 0));
    let incarnation = bus.incarnation("S").await.unwrap();
    spec.max_age = Some(Duration::from_secs(3_600));
    bus.ensure_stream(&spec).await.unwrap();
    bus.ensure_stream(&spec).await.unwrap();
    assert_eq!(bus.incarnation("S").await.unwrap(), incarnation);
    assert!(incarnation.starts_with("S@20"), "{incarnation}");

    spec.retention = Retention::WorkQueue;
    let error = bus.ensure_stream(&spec).await.unwrap_err();
    assert!(matches!(error, Error::Unsafe { .. }), "{error}");
    assert!(bus.ping().await.unwrap() < Duration::from_secs(2));
    assert_eq!(bus.stream_names("").await.unwrap(), ["S"]);
    assert!(bus.delete_stream("S").await.unwrap());
    assert!(!bus.delete_stream("S").await.unwrap());
    assert!(matches!(bus.stream_state("S").await.unwrap_err(), Error::NotFound(_)));
}

#[tokio::test]
async fn asynchronous_persistence_is_refused() {
    let server = Server::start().await;
    let bus = server.bus().await;
    let raw = async_nats::connect(server.nats.url()).await.unwrap();
    let config = r#"{"name":"S","subjects":["s"],"retention":"limits","storage":"file","discard":"old","num_replicas":1,
        "max_consumers":-1,"max_msgs":-1,"max_bytes":-1,"max_age":0,"persist_mode":"async"}"#;
    let reply = raw.request("$JS.API.STREAM.CREATE.S", config.into()).await.unwrap();
    assert!(!String::from_utf8_lossy(&reply.payload).contains("\"error\""), "{reply:?}");
    let error = bus.ensure_stream(&StreamSpec::new("S", ["s"])).await.unwrap_err();
    assert!(error.to_string().contains("persist_mode"), "{error}");
}

#[tokio::test]
async fn a_server_that_is_away_is_reported_with_its_address() {
    let mut options = BusOptions::new("nats://127.0.0.1:1", "test");
    options.connect_within = Some(Duration::from_millis(300));
    let error = Bus::connect(options).await.unwrap_err();
    assert!(matches!(&error, Error::Unreachable { url, .. } if url.contains("127.0.0.1:1")), "{error}");
}

#[tokio::test]
async fn refusals_by_permission_are_errors_not_time_outs() {
    let config = r#"
        jetstream { store_dir: "{{STORE_DIR}}", sync_interval: always }
        authorization { users: [
            { user: admin, password: a }
            { user: reader, password: r, permissions: { publish: { deny: ["s.secret"] } } }
        ] }"#;
    let server = Server::start_with(Some(config.to_owned())).await;
    let options = |user: &str, password: &str| BusOptions {
        credentials: Credentials::UserPassword(user.to_owned(), password.to_owned()),
        connect_within: Some(Duration::from_secs(2)),
        ..BusOptions::new(server.nats.url(), "test")
    };
    let admin = Bus::connect(options("admin", "a")).await.unwrap();
    admin.ensure_stream(&StreamSpec::new("S", ["s.>"])).await.unwrap();
    let reader = Bus::connect(options("reader", "r")).await.unwrap();
    reader.publish("s.open", &Headers::new(), "1").await.unwrap();
    let begin = std::time::Instant::now();
    let error = reader.publish("s.secret", &Headers::new(), "1").await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(3), "it waited for the time-out");
    let error = Bus::connect(options("reader", "wrong")).await.unwrap_err();
    assert!(matches!(error, Error::Denied(_)), "{error}");
}
