//! A stream that was deleted and made anew: seen, and accepted by a command.

use crate::place::{Place, meters, reading};

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_was_made_anew_is_read_once_a_person_accepts_it() {
    let place = Place::start(&meters("")).await;
    place.publish(&[("a", reading(1, 1.0))]).await;
    assert!(place.bus.delete_stream("TM_EVENTS_meters_readings").await.unwrap());
    let listed = place.json("source ls");
    assert!(listed[0]["messages_behind"].is_null() && listed[0]["rows"] == 1, "{listed:#}");
    let absent = place.run("source accept-stream readings");
    assert_eq!(absent.status.code(), Some(1), "there is nothing to accept");

    place.json("project apply project.yaml");
    let unknown = place.run("source accept-stream readinks");
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("tidemill source ls"));
    let accepted = place.json("source accept-stream readings");
    assert!(accepted["accepted"].as_str().unwrap().starts_with("TM_EVENTS_meters_readings@"), "{accepted}");
    place.publish(&[("b", reading(2, 1.0)), ("a", reading(1, 1.0))]).await;
    assert_eq!(place.numbers().await, [1, 2], "ids are known beyond the stream");
    place.end().await;
}
