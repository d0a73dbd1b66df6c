//! Dead letters: counted by reason, mended, replayed once and in order, put aside with a reason; an alarm when many.

use crate::place::{Place, meters, reading};
use prost::Message as _;
use serde_json::Value;
use std::process::Output;
use std::time::Duration;
use tidemill_bus::{Headers, OrderedReader};
use tidemill_contracts::events::{Notice, notice::Fact};
use tidemill_contracts::subjects;

/// A reading whose number is no number.
fn refused(n: i64) -> String {
    reading(n, 1.0).replace(&format!("\"n\":{n}"), &format!("\"n\":\"no {n}\""))
}

/// That a command failed, and says this.
fn refuses(output: &Output, text: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && told.contains(text), "{told}");
}

fn states(place: &Place) -> Vec<(u64, String)> {
    let letters = place.json("dead ls");
    let letter = |l: &Value| (l["seq"].as_u64().unwrap(), l["state"].as_str().unwrap().to_owned());
    letters.as_array().unwrap().iter().map(letter).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_are_mended_replayed_once_and_put_aside_with_a_reason() {
    let place = Place::start(&meters("")).await;
    let rows = format!("[{},{},{}]", reading(1, 1.0), refused(2), reading(3, 1.0));
    place.publish(&[("a", refused(0)), ("b", rows), ("c", "{not json".into()), ("d", refused(9))]).await;
    assert_eq!(place.numbers().await, [1, 3]);
    assert_eq!(states(&place), (1..=4).map(|seq| (seq, "open".to_owned())).collect::<Vec<_>>());

    // Reasons that differ in values only are one.
    let summary = place.json("dead summary");
    let of = |row: &Value| (row["letters"].as_u64().unwrap(), row["open"].as_u64().unwrap());
    let counts: Vec<_> = summary.as_array().unwrap().iter().map(of).collect();
    assert_eq!(counts.iter().map(|(letters, _)| letters).sum::<u64>(), 4, "{summary:#}");
    assert!(counts[0].0 >= 2, "{summary:#}");

    // Mended from standard input; the letter itself stays as it was, and says what became of it.
    let before = place.json("dead show 1")["body"].clone();
    let made = place.json_with("dead replay 1 --file -", &reading(0, 1.0));
    assert_eq!((made[0]["event_id"].as_str(), made[0]["mended"].as_bool()), (Some("a"), Some(true)), "its own id");
    place.caught_up().await;
    let shown = place.json("dead show 1");
    assert_eq!((&shown["body"], shown["became"]["by"].as_str()), (&before, Some("ann")));
    assert_eq!(shown["became"]["event_seq"], made[0]["event_seq"]);

    // The refused row of an accepted message, alone, under an id of its own.
    let shown = place.json("dead show 2");
    assert_eq!((shown["body"].as_str(), shown["row"].as_u64()), (Some(&refused(2)[..]), Some(1)), "{shown:#}");
    let made = place.json_with("dead replay 2 --file -", &reading(2, 1.0));
    assert!(made[0]["event_id"].as_str().unwrap().starts_with("dead:TM_EVENTS_meters_readings@"), "{made}");
    place.caught_up().await;
    let mut numbers = place.numbers().await;
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);

    // Again: stored once. Without --again it is not even sent.
    refuses(&place.run_with("dead replay 1 --file -", &reading(0, 1.0)), "TM1540");
    place.json_with("dead replay 1 --file - --again", &reading(0, 1.0));
    place.json_with("dead replay 2 --file - --again", &reading(2, 1.0));
    assert_eq!(place.json("dead replay --source readings --state replayed").as_array().unwrap().len(), 0);
    place.caught_up().await;
    assert_eq!(place.numbers().await.len(), 4, "a letter that is replayed twice lands once");

    // Replayed as it is, it is refused again, and the new letter names the first.
    place.json("dead replay 4");
    place.caught_up().await;
    let letters = place.json("dead ls");
    let again = letters.as_array().unwrap().iter().find(|l| l["replay_of"] == 4).unwrap().clone();
    assert_eq!((again["state"].as_str(), again["event_id"].as_str()), (Some("open"), Some("d")));
    place.json_with(&format!("dead replay {} --file -", again["seq"]), &reading(9, 1.0));
    place.caught_up().await;
    assert!(place.numbers().await.contains(&9), "mended after a refused replay it lands under the same id");

    // What was replayed is not put aside: where its event is would be forgotten. Nor is what others refused.
    let open = place.json("dead show 3")["state"].clone();
    refuses(&place.run("dead discard 3 1 --reason broken"), "TM1540");
    assert_eq!((&open, &place.json("dead show 3")["state"]), (&"open".into(), &open), "all or none");
    assert_eq!(place.json("dead show 1")["became"]["event_seq"].as_u64().map(|seq| seq > 4), Some(true));
    let foreign = place.letter("tm.dead.other.readings", "TM0312", None, "{}".to_owned()).await;
    for command in ["show", "discard --reason broken", "replay"] {
        refuses(&place.run(&format!("dead {command} {foreign}")), "TM1506");
    }

    // Put aside: with a reason, told to the audit log once.
    let asked = place.run("dead discard 3");
    assert_eq!(asked.status.code(), Some(2), "a reason is required");
    for _ in 0..2 {
        let put = place.json("dead discard 3 --reason broken");
        assert_eq!((put[0]["state"].as_str(), put[0]["reason"].as_str()), (Some("discarded"), Some("broken")));
    }
    let mut reader = OrderedReader::open(&place.bus, subjects::AUDIT_STREAM, 1).await.unwrap();
    let entries = reader.next_ready(10, 1 << 20, Duration::from_secs(10)).await.unwrap();
    let audit: Value = serde_json::from_slice(&entries[0].message().unwrap().payload).unwrap();
    assert_eq!((audit["kind"].as_str(), audit["letter"].as_u64()), (Some("letter_discarded"), Some(3)));
    assert_eq!(place.bus.stream_state(subjects::AUDIT_STREAM).await.unwrap().messages, 1);
    assert_eq!(place.json("dead replay --source readings").as_array().unwrap().len(), 0, "nothing is open any more");
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_that_holds_its_whole_message_is_read_and_replayed_as_before() {
    let place = Place::start(&meters("")).await;
    let given = [
        ("ce-id", "b"),
        ("content-type", "application/json"),
        ("tm-dead-code", "TM0312"),
        ("tm-dead-stream", "TM_EVENTS_meters_readings@2026-01-01T00:00:00Z"),
        ("tm-dead-seq", "7"),
        ("tm-dead-row", "1"),
    ];
    let rows = format!("[{},{}]", reading(1, 1.0), reading(2, 1.0));
    let headers = Headers::from_pairs(given).unwrap();
    place.bus.publish("tm.dead.meters.readings", &headers, rows.clone()).await.unwrap();
    let shown = place.json("dead show 1");
    assert_eq!((shown["body"].as_str(), shown["event"][0]["n"].as_i64()), (Some(&rows[..]), Some(2)), "{shown:#}");
    let made = place.json("dead replay 1");
    assert_eq!(made[0]["event_id"], "dead:TM_EVENTS_meters_readings@2026-01-01T00:00:00Z:7:1");
    place.caught_up().await;
    assert_eq!(place.numbers().await, [2]);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn letters_that_are_named_in_any_order_are_replayed_in_their_own() {
    let place = Place::start(&meters("")).await;
    // Three refusals of key 5, one of key 6: the value is a text.
    let bad = |n: i64, value: &str| reading(n, 1.0).replace("1.0", &format!("\"{value}\""));
    let sent = [("x1", bad(5, "first")), ("x2", bad(6, "other")), ("x3", bad(5, "second")), ("x4", bad(5, "third"))];
    place.publish(&sent).await;
    // Named in any order, they go out in their own.
    let made = place.json("dead replay 4 3 1 2");
    let order: Vec<u64> = made.as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect();
    assert_eq!(order, [1, 2, 3, 4]);
    let sequences: Vec<u64> = made.as_array().unwrap().iter().map(|row| row["event_seq"].as_u64().unwrap()).collect();
    assert!(sequences.is_sorted(), "{sequences:?}");
    place.caught_up().await;
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_overtakes_an_earlier_one_of_its_key_that_was_left_out_or_cannot_be_sent() {
    let place = Place::start(&meters("")).await;
    let subject = "tm.dead.meters.readings";
    let letters = [("TM0301", reading(5, 1.0)), ("TM0312", reading(5, 2.0)), ("TM0312", reading(6, 3.0))];
    for (code, body) in letters {
        place.letter(subject, code, None, body).await;
    }
    place.letter(subject, "TM0312", None, "{no json".to_owned()).await;
    let sent = |output: &Output| -> Vec<u64> {
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect()
    };
    // Letter 1 has another code and is open, so 2 waits for it; so does 4, whose key nobody can read.
    let some = place.run("dead replay --source readings --code TM0312 -o json");
    assert_eq!((some.status.code(), sent(&some)), (Some(5), vec![3]), "{some:?}");
    refuses(&some, "letter 2: letter 1, an earlier event of its key, was not published");
    let open = |seq: u64| (seq, "open".to_owned());
    assert_eq!(states(&place), [open(1), open(2), (3, "replayed".to_owned()), open(4)]);
    let all = place.run("dead replay --source readings -o json");
    assert_eq!((all.status.code(), sent(&all)), (Some(0), vec![1, 2, 4]));
    place.caught_up().await;
    assert_eq!(place.numbers().await, [6, 5, 5]);

    // Of a row that its message does not have nobody knows the key, so everything behind it waits.
    place.json("dead discard 5 --reason broken");
    place.letter(subject, "TM0312", Some(7), format!("[{}]", reading(8, 1.0))).await;
    place.letter(subject, "TM0312", None, reading(9, 1.0)).await;
    let none = place.run("dead replay --source readings -o json");
    assert_eq!((none.status.code(), sent(&none)), (Some(5), Vec::new()), "{none:?}");
    assert_eq!(states(&place)[5..], [open(6), open(7)]);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_letters_go_oldest_first_however_few_at_a_time() {
    let place = Place::start(&meters("")).await;
    // More than are read at once, all of one key; the value is a text.
    let bad = |n: i64| reading(5, 1.0).replace("1.0", &format!("\"no {n}\""));
    let ids: Vec<String> = (0..520).map(|n| format!("m{n}")).collect();
    let sent: Vec<(&str, String)> = (0..).zip(&ids).map(|(n, id)| (id.as_str(), bad(n))).collect();
    place.publish(&sent).await;
    let seqs = |command: &str| -> Vec<u64> {
        place.json(command).as_array().unwrap().iter().map(|row| row["seq"].as_u64().unwrap()).collect()
    };
    // What is done does not use up the limit.
    assert_eq!(seqs("dead replay --source readings --limit 3"), [1, 2, 3]);
    assert_eq!(seqs("dead replay --source readings --limit 3"), [4, 5, 6]);
    assert_eq!(seqs("dead discard --source readings --limit 2 --reason broken"), [7, 8]);
    place.caught_up().await;
    // Those that were refused again stand behind all others, and are not replayed while they come in.
    let rest = seqs("dead replay --source readings");
    assert_eq!(rest, (9..=526).collect::<Vec<u64>>());
    place.caught_up().await;
    let counted = |command: &str| -> u64 {
        place.json(command).as_array().unwrap().iter().map(|row| row["letters"].as_u64().unwrap()).sum()
    };
    assert_eq!((counted("dead summary"), counted("dead summary --limit 10")), (526 + 518, 10), "all are counted");
    assert_eq!(seqs("dead ls --limit 2"), [526 + 517, 526 + 518], "lists show the newest");
    assert_eq!(seqs("dead discard --code TM0312 --reason broken").len(), 518);
    assert_eq!(seqs("dead ls --state open"), [0_u64; 0]);
    place.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_refusals_raise_one_alarm() {
    let place = Place::start(&meters("")).await;
    let subject = "tm.notices.meters.alert.raised".to_owned();
    let mut alerts = place.bus.tail(subjects::NOTICES_STREAM, vec![subject]).await.unwrap();
    let good: Vec<String> = (0..100).map(|n| reading(n, 1.0)).collect();
    let bad: Vec<String> = (100..140).map(refused).collect();
    place.publish(&[("good", format!("[{}]", good.join(",")))]).await;
    place.publish(&[("bad", format!("[{}]", bad.join(",")))]).await;
    place.publish(&[("more", format!("[{}]", bad.join(",")))]).await;
    let raised = alerts.next_within(Duration::from_secs(30)).await.unwrap().unwrap();
    let Some(Fact::AlertRaised(alert)) = Notice::decode(raised.payload).unwrap().fact else { panic!("no alert") };
    assert_eq!((alert.rule.as_str(), alert.severity.as_str()), ("dead_letters", "warn"));
    assert!(alert.text.starts_with("40 of the newest 140 rows of readings were refused"), "{}", alert.text);
    assert!(alerts.next_within(Duration::from_millis(300)).await.unwrap().is_none(), "an alarm is raised once");
    place.end().await;
}
