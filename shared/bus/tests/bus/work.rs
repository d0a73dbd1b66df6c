//! Jobs: redelivered until done, given up only with a dead letter.

use crate::server::{Server, numbered};
use futures::FutureExt;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tidemill_bus::{
    BatchPublisher, DeadJob, DeadLetterFn, Error, Headers, Notices, OrderedReader, Retention, StreamSpec, WorkQueue,
    WorkSpec, trace,
};
use tidemill_types::Pauses;

const SOON: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(300);

/// Dead letters in memory, to look at.
fn letters() -> (Arc<Mutex<Vec<DeadJob>>>, DeadLetterFn) {
    let stored = Arc::new(Mutex::new(Vec::new()));
    let store = Arc::clone(&stored);
    let write: DeadLetterFn = Arc::new(move |job| {
        store.lock().unwrap().push(job);
        async { Ok(()) }.boxed()
    });
    (stored, write)
}

async fn jobs(server: &Server, count: usize) -> tidemill_bus::Bus {
    let bus = server.bus().await;
    let spec = StreamSpec { retention: Retention::WorkQueue, ..StreamSpec::new("W", ["w.>"]) };
    bus.ensure_stream(&spec).await.unwrap();
    BatchPublisher::new(&bus).publish(&numbered("w.trial", 0..count)).await.unwrap();
    bus
}

#[tokio::test]
async fn an_abandoned_job_comes_again_and_an_acknowledged_one_is_gone() {
    let server = Server::start().await;
    let bus = jobs(&server, 3).await;
    let (_, dead_letter) = letters();
    let spec = WorkSpec { ack_wait: Duration::from_millis(500), ..WorkSpec::new("W", "trials", dead_letter) };
    let mut queue = WorkQueue::open(&bus, spec).await.unwrap();
    let taken = queue.next_batch(10, SOON).await.unwrap();
    assert_eq!(taken.iter().map(|job| (job.sequence, job.attempt)).collect::<Vec<_>>(), [(1, 1), (2, 1), (3, 1)]);
    taken[0].ack().await.unwrap();
    // 2 is kept alive past its lease, 3 is abandoned.
    let heartbeat = taken[1].keep_alive();
    let again = queue.next(SOON).await.unwrap().unwrap();
    assert_eq!((again.sequence, again.attempt, again.payload.as_ref()), (3, 2, b"2".as_slice()));
    again.ack().await.unwrap();
    assert!(queue.next(Duration::from_millis(900)).await.unwrap().is_none());
    drop(heartbeat);
    taken[1].ack().await.unwrap();
    assert_eq!(bus.stream_state("W").await.unwrap().messages, 0);
}

#[tokio::test]
async fn a_job_is_given_up_only_after_its_dead_letter() {
    let server = Server::start().await;
    let bus = jobs(&server, 2).await;
    let (stored, dead_letter) = letters();
    let mut spec = WorkSpec::new("W", "trials", dead_letter);
    spec.max_deliver = 2;
    spec.pauses = Pauses::new(Duration::ZERO, Duration::ZERO);
    spec.ack_wait = Duration::from_millis(400);
    let mut queue = WorkQueue::open(&bus, spec).await.unwrap();
    // One fails in words, the other as if its worker had crashed every time.
    for _ in 0..2 {
        for job in queue.next_batch(2, SOON).await.unwrap() {
            if job.sequence == 1 {
                job.fail(&Error::TimedOut("it".to_owned())).await.unwrap();
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(queue.next(Duration::from_secs(1)).await.unwrap().is_none());
    let mut stored = stored.lock().unwrap().clone();
    stored.sort_by_key(|job| job.sequence);
    let found: Vec<_> = stored.iter().map(|job| (job.sequence, job.stream.as_str(), job.payload.as_ref())).collect();
    assert_eq!(found, [(1, "W", b"0".as_slice()), (2, "W", b"1".as_slice())]);
    let why: Vec<_> = stored.iter().map(|job| (job.code.to_string(), job.attempt, job.reason.as_str())).collect();
    assert_eq!(why[0], ("TM0608".to_owned(), 2, "the bus did not answer it in time"));
    assert_eq!(why[1], ("TM0616".to_owned(), 2, "W:2 was delivered 2 times without being finished"));
    assert_eq!(bus.stream_state("W").await.unwrap().messages, 0);
}

#[tokio::test]
async fn without_a_dead_letter_nothing_is_given_up() {
    let server = Server::start().await;
    let bus = jobs(&server, 1).await;
    let broken: DeadLetterFn = Arc::new(|_| async { Err("disk full".to_owned()) }.boxed());
    let spec = WorkSpec { ack_wait: SHORT, ..WorkSpec::new("W", "trials", broken) };
    let mut queue = WorkQueue::open(&bus, spec).await.unwrap();
    let job = queue.next(SOON).await.unwrap().unwrap();
    let error = job.term(&Error::Malformed("bad".to_owned())).await.unwrap_err();
    assert!(matches!(error, Error::DeadLetter { sequence: 1, .. }), "{error}");
    assert_eq!(queue.next(SOON).await.unwrap().unwrap().attempt, 2);
}

#[tokio::test]
async fn jobs_survive_a_crash_of_the_server() {
    let mut server = Server::start().await;
    let bus = jobs(&server, 20).await;
    let (_, dead_letter) = letters();
    let mut spec = WorkSpec::new("W", "trials", dead_letter);
    spec.ack_wait = Duration::from_secs(1);
    spec.max_deliver = 100;
    let mut queue = WorkQueue::open(&bus, spec).await.unwrap();
    let first = queue.next_batch(5, SOON).await.unwrap();
    assert_eq!(first.len(), 5);
    server.nats.kill().await.unwrap();
    assert!(queue.next(SHORT).await.unwrap().is_none());
    server.nats.restart().await.unwrap();
    let mut done = std::collections::BTreeSet::new();
    let begin = std::time::Instant::now();
    while done.len() < 20 {
        assert!(begin.elapsed() < Duration::from_secs(30), "only {done:?}");
        for job in queue.next_batch(7, Duration::from_secs(1)).await.unwrap() {
            if job.ack().await.is_ok() {
                done.insert(job.sequence);
            }
        }
    }
    assert_eq!(bus.stream_state("W").await.unwrap().messages, 0);
}

#[tokio::test]
async fn each_service_sees_each_notice_and_a_tail_sees_what_follows() {
    let server = Server::start().await;
    let bus = server.bus().await;
    bus.ensure_stream(&StreamSpec::new("N", ["n.>"])).await.unwrap();
    let mut headers = Headers::new();
    trace::inject(&mut headers, Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")).unwrap();
    bus.publish("n.demo.raw.committed", &headers, "1").await.unwrap();
    bus.publish("n.demo.model.promoted", &headers, "2").await.unwrap();
    let mut tail = bus.tail("N", vec!["n.*.raw.>".to_owned()]).await.unwrap();
    for service in ["validation", "feature"] {
        let (_, dead_letter) = letters();
        let filter = vec!["n.*.raw.>".to_owned(), "n.*.clean.>".to_owned()];
        let mut notices = Notices::open(&bus, "N", service, filter, dead_letter).await.unwrap();
        let notice = notices.next(SOON).await.unwrap().unwrap();
        assert_eq!(notice.subject, "n.demo.raw.committed");
        assert!(trace::extract(&notice.headers).unwrap().starts_with("00-0af7"));
        notice.ack().await.unwrap();
        assert!(notices.next(SHORT).await.unwrap().is_none());
    }
    assert!(tail.next_within(SHORT).await.unwrap().is_none());
    bus.publish("n.demo.raw.committed", &Headers::new(), "3").await.unwrap();
    assert_eq!(tail.next_within(SOON).await.unwrap().unwrap().payload.as_ref(), b"3");
}

#[tokio::test]
async fn dead_letters_are_kept_once_with_their_origin() {
    let server = Server::start().await;
    let bus = jobs(&server, 1).await;
    bus.ensure_stream(&StreamSpec::new("D", ["dead.>"])).await.unwrap();
    let spec = WorkSpec { ack_wait: SHORT, ..WorkSpec::new("W", "trials", bus.dead_letters("dead.training")) };
    let mut queue = WorkQueue::open(&bus, spec).await.unwrap();
    let job = queue.next(SOON).await.unwrap().unwrap();
    // A failure that stays is not tried again, however many deliveries are left.
    job.fail(&Error::Malformed("two\nlines".to_owned())).await.unwrap();
    job.term(&Error::Malformed("again".to_owned())).await.unwrap();
    let mut reader = OrderedReader::open(&bus, "D", 1).await.unwrap();
    let letters = reader.next_ready(10, 1 << 20, SOON).await.unwrap();
    let letter = letters[0].message().unwrap();
    assert_eq!(
        (letters.len(), letter.subject.as_str(), letter.payload.as_ref()),
        (1, "dead.training", b"0".as_slice())
    );
    assert_eq!(letter.headers.get("tm-dead-stream").unwrap(), bus.incarnation("W").await.unwrap());
    assert_eq!(letter.headers.get("tm-dead-seq"), Some("1"));
    assert_eq!(letter.headers.get("tm-dead-reason"), Some("two lines"));
    assert_eq!(letter.headers.get("tm-dead-code"), Some("TM0612"));
    assert_eq!(letter.headers.get("tm-dead-attempts"), Some("1"));
    assert_eq!(bus.stream_state("D").await.unwrap().messages, 1);
}
