//! A real HTTP interface that pages, throttles, fails, redirects and changes its mind.
#![allow(clippy::unwrap_used, reason = "tests")]

use super::{PATIENCE, holds, messages, process, rig};
use anyhow::{Context as _, Result};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use std::collections::HashMap;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidemill_sources::Snapshots;
use tidemill_testkit::eventually;
use tidemill_tests::{Rig, messages as readings};
use tidemill_types::Millis;

/// Rows of a page.
const PAGE: i64 = 100;

/// An interface with its books.
#[derive(Default)]
struct Interface {
    /// Rows as JSON texts.
    rows: Mutex<Vec<String>>,
    requests: AtomicU64,
    unchanged: AtomicU64,
    /// Answers that are still to fail.
    failures: AtomicU64,
    /// The latest pause that was asked for, to be kept.
    wait_until: Mutex<Option<Instant>>,
    too_early: AtomicBool,
    token_elsewhere: AtomicBool,
    /// When pages were asked for.
    asked: Mutex<Vec<Instant>>,
    /// Requests that showed the header of the project, and those for `robots.txt`.
    with_header: AtomicU64,
    robots: AtomicU64,
}

impl Interface {
    async fn start() -> Result<(Arc<Self>, String)> {
        let interface = Arc::new(Self::default());
        let routes = Router::new()
            .route("/numbered", get(numbered))
            .route("/linked", get(linked))
            .route("/cursors", get(cursors))
            .route("/moved", get(|| async { Redirect::temporary("/linked") }))
            .route("/inside", get(|| async { Redirect::temporary("http://169.254.169.254/latest/meta-data") }))
            .route("/circle", get(|| async { ([("link", "</circle>; rel=next")], "[]") }))
            .route("/bomb", get(bomb))
            .route("/private", get(|| async { "[]" }))
            .route("/robots.txt", get(robots))
            .route("/plain/numbered", get(|asked: Asked| without_tag(numbered(asked))))
            .route("/plain/linked", get(|asked: Asked| without_tag(linked(asked))))
            .route("/elsewhere", get(elsewhere))
            .route("/later", get(later))
            .route("/down", get(down))
            .route("/page", get(|| async { ([("content-type", "text/html")], "<html>") }))
            .with_state(Arc::clone(&interface));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Ok((interface, format!("http://{address}")))
    }

    fn put(&self, numbers: std::ops::Range<i64>) {
        self.rows.lock().unwrap().extend(numbers.map(readings::object));
    }

    fn page(&self, number: i64) -> Vec<String> {
        let rows = self.rows.lock().unwrap();
        rows.iter()
            .skip(usize::try_from(number * PAGE).unwrap())
            .take(usize::try_from(PAGE).unwrap())
            .cloned()
            .collect()
    }

    /// Counts a request; some of them are told to come later.
    fn admit(&self) -> Option<Response> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.asked.lock().unwrap().push(Instant::now());
        let mut wait = self.wait_until.lock().unwrap();
        if wait.take().is_some_and(|until| Instant::now() < until) {
            self.too_early.store(true, Ordering::Relaxed);
        }
        let left = self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).ok()?;
        Some(match left % 3 {
            0 => (StatusCode::SERVICE_UNAVAILABLE, "later").into_response(),
            1 => {
                *wait = Some(Instant::now() + Duration::from_millis(950));
                (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "1")], "slower").into_response()
            }
            _ => StatusCode::BAD_GATEWAY.into_response(),
        })
    }

    fn answer(&self, headers: &HeaderMap, body: String, link: Option<String>) -> Response {
        let tag = format!("\"{}\"", tidemill_types::Digest::of(body.as_bytes()).short());
        let link = link.unwrap_or_default();
        if headers.get("if-none-match").is_some_and(|known| known.as_bytes() == tag.as_bytes()) {
            self.unchanged.fetch_add(1, Ordering::Relaxed);
            return (StatusCode::NOT_MODIFIED, [("etag", tag)]).into_response();
        }
        ([("etag", tag), ("link", link)], body).into_response()
    }
}

type Asked = (State<Arc<Interface>>, HeaderMap, Query<HashMap<String, String>>);

fn number(query: &HashMap<String, String>, name: &str) -> i64 {
    query.get(name).and_then(|text| text.parse().ok()).unwrap_or(0)
}

async fn numbered((State(interface), headers, Query(query)): Asked) -> Response {
    if let Some(refusal) = interface.admit() {
        return refusal;
    }
    let rows = interface.page(number(&query, "p") - 1);
    interface.answer(&headers, format!("[{}]", rows.join(",")), None)
}

async fn linked((State(interface), headers, Query(query)): Asked) -> Response {
    if let Some(refusal) = interface.admit() {
        return refusal;
    }
    interface.with_header.fetch_add(u64::from(headers.contains_key("x-team")), Ordering::Relaxed);
    let page = number(&query, "page");
    let rows = interface.page(page);
    let next = format!("<?page={}>; rel=\"next\"", page + 1);
    let link = (!interface.page(page + 1).is_empty()).then_some(next);
    interface.answer(&headers, rows.join("\n"), link)
}

async fn cursors((State(interface), headers, Query(query)): Asked) -> Response {
    if headers.get("authorization").is_none_or(|shown| shown != "Bearer t0ken") {
        interface.token_elsewhere.store(true, Ordering::Relaxed);
        return (StatusCode::UNAUTHORIZED, "who are you").into_response();
    }
    if let Some(refusal) = interface.admit() {
        return refusal;
    }
    let page = number(&query, "after");
    let next = if interface.page(page + 1).is_empty() { "null".to_owned() } else { (page + 1).to_string() };
    let rows = interface.page(page).join(",");
    interface.answer(&headers, format!("{{\"data\": {{\"items\": [{rows}]}}, \"next\": {next}}}"), None)
}

async fn robots((State(interface), _, _): Asked) -> &'static str {
    interface.robots.fetch_add(1, Ordering::Relaxed);
    "User-agent: *\nDisallow: /private\n"
}

/// An interface that does not say which version of a page it answers with.
async fn without_tag(answer: impl Future<Output = Response>) -> Response {
    let mut answer = answer.await;
    answer.headers_mut().remove("etag");
    answer
}

async fn elsewhere((State(interface), headers, Query(query)): Asked) -> Response {
    interface.with_header.fetch_add(u64::from(headers.contains_key("x-team")), Ordering::Relaxed);
    Redirect::temporary(&query["to"]).into_response()
}

async fn later((State(interface), ..): Asked) -> Response {
    interface.admit();
    (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "2")], "much later").into_response()
}

async fn down((State(interface), ..): Asked) -> Response {
    interface.admit();
    StatusCode::SERVICE_UNAVAILABLE.into_response()
}

async fn bomb() -> Response {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(&vec![b' '; 8 << 20]).unwrap();
    ([("content-encoding", "gzip")], packed.finish().unwrap()).into_response()
}

fn origin(url: &str, more: &str) -> String {
    format!("{{http: {{url: \"{url}\", every: 100ms, per_second: 500, allow: [127.0.0.1]{more}}}}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn every_way_of_paging_brings_every_row_once_and_repeated_polls_bring_nothing() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let token = secrets.path().join("token");
    std::fs::write(&token, "t0ken\n")?;
    let cursor = format!(
        ", rows: /data/items, bearer: {{file: {}}}, paging: {{cursor: {{field: /next, param: after}}}}",
        token.display()
    );
    for (path, more) in [
        ("/numbered?limit=100", ", paging: {page: {param: p}}".to_owned()),
        ("/linked", ", format: jsonl, paging: link".to_owned()),
        ("/moved", ", format: jsonl, paging: link".to_owned()),
        ("/cursors", cursor),
    ] {
        let (interface, url) = Interface::start().await?;
        interface.put(0..1_050);
        let rig = rig(&origin(&format!("{url}{path}"), &more)).await?;
        let node = rig.ingestion().await?;
        assert!(holds(&rig, 1_050).await?.has_exactly(0..1_050), "{path}");
        let asked = interface.requests.load(Ordering::Relaxed);
        let again = || std::future::ready(interface.requests.load(Ordering::Relaxed) >= asked + 30);
        assert!(eventually(PATIENCE, again).await, "{path}");
        assert!(interface.unchanged.load(Ordering::Relaxed) > 10, "{path}: pages are asked for conditionally");
        // New rows on the last page, and one that was corrected on the first.
        interface.put(1_050..1_060);
        interface.rows.lock().unwrap()[3] = readings::object(3).replace("meter-3", "meter-x");
        let audit = holds(&rig, 1_061).await?;
        assert_eq!((audit.rows(), audit.numbers[&3]), (1_061, 2), "{path}");
        node.stop().await?;
        assert_eq!(rig.dead_letters().await?.len(), 0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_page_that_is_full_leads_on_when_rows_follow() -> Result<()> {
    for path in ["/linked", "/plain/linked"] {
        let (interface, url) = Interface::start().await?;
        interface.put(0..3 * PAGE);
        let rig = rig(&origin(&format!("{url}{path}"), ", format: jsonl, paging: link")).await?;
        let node = rig.ingestion().await?;
        holds(&rig, 300).await?;
        let asked = interface.requests.load(Ordering::Relaxed);
        let again = || std::future::ready(interface.requests.load(Ordering::Relaxed) >= asked + 6);
        assert!(eventually(PATIENCE, again).await, "{path}");
        // The last page stays as it is, and only its link is new.
        interface.put(3 * PAGE..3 * PAGE + 50);
        assert!(holds(&rig, 350).await?.has_exactly(0..350), "{path}");
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_rows_are_counted_over_all_pages_changed_or_not() -> Result<()> {
    for path in ["/numbered", "/plain/numbered"] {
        let (interface, url) = Interface::start().await?;
        interface.put(0..2 * PAGE);
        let rig = rig(&origin(&format!("{url}{path}"), ", paging: {page: {param: p}}")).await?;
        let node = rig.ingestion().await?;
        holds(&rig, 200).await?;
        // A second row like one of the second page, which stays as it is.
        interface.rows.lock().unwrap()[3] = readings::object(150);
        assert_eq!(holds(&rig, 201).await?.numbers[&150], 2, "{path}");
        // Now the second page changes, and the first one stays.
        interface.rows.lock().unwrap()[199] = readings::object(500);
        let audit = holds(&rig, 202).await?;
        assert_eq!((audit.numbers[&150], audit.numbers[&500]), (2, 1), "{path}");
        node.stop().await?;
        // A restart has the numbers from its note.
        let node = rig.ingestion().await?;
        interface.rows.lock().unwrap()[4] = readings::object(501);
        let audit = holds(&rig, 203).await?;
        assert_eq!((audit.rows(), audit.numbers[&150]), (203, 2), "{path}");
        node.stop().await?;
    }
    Ok(())
}

/// Waits for so many requests for pages; when each of them came.
async fn asked(interface: &Interface, requests: usize) -> Vec<Instant> {
    let enough = || std::future::ready(interface.asked.lock().unwrap().len() >= requests);
    assert!(eventually(PATIENCE, enough).await, "{:?}", interface.asked.lock().unwrap());
    interface.asked.lock().unwrap().clone()
}

/// A clock read by another task may be read late.
const LATE: Duration = Duration::from_millis(60);

#[tokio::test(flavor = "multi_thread")]
async fn requests_keep_their_distance_within_a_poll_and_across_failures() -> Result<()> {
    let (interface, url) = Interface::start().await?;
    interface.put(0..10 * PAGE);
    let slow = |address: String, per_second: u32| {
        format!(
            "{{http: {{url: \"{address}\", every: 50ms, per_second: {per_second}, attempts: 1, allow: [127.0.0.1], \
             paging: {{page: {{param: p}}}}}}}}"
        )
    };
    let first = rig(&slow(format!("{url}/numbered"), 20)).await?;
    let node = first.ingestion().await?;
    let seen = asked(&interface, 11).await;
    assert!(seen[10] - seen[0] + LATE >= Duration::from_millis(500), "{:?}", seen[10] - seen[0]);
    node.stop().await?;

    let (interface, url) = Interface::start().await?;
    let failing = rig(&slow(format!("{url}/down"), 2)).await?;
    let node = failing.ingestion().await?;
    let seen = asked(&interface, 5).await;
    for pair in seen.windows(2) {
        assert!(pair[1] - pair[0] + LATE >= Duration::from_millis(500), "{:?}", pair[1] - pair[0]);
    }
    assert_eq!(interface.robots.load(Ordering::Relaxed), 1, "what the host permits is remembered");
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_to_be_left_alone_is_kept_when_the_attempts_have_ended() -> Result<()> {
    let (interface, url) = Interface::start().await?;
    let rig = rig(&origin(&format!("{url}/later"), ", attempts: 1")).await?;
    let node = rig.ingestion().await?;
    for pair in asked(&interface, 4).await.windows(2) {
        assert!(pair[1] - pair[0] + LATE >= Duration::from_secs(2), "{:?}", pair[1] - pair[0]);
    }
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_of_the_project_go_to_no_other_host() -> Result<()> {
    let (ours, url) = Interface::start().await?;
    let (theirs, elsewhere) = Interface::start().await?;
    theirs.put(0..PAGE);
    let more = ", format: jsonl, headers: {X-Team: ours}";
    let rig = rig(&origin(&format!("{url}/elsewhere?to={elsewhere}/linked"), more)).await?;
    let node = rig.ingestion().await?;
    holds(&rig, 100).await?;
    node.stop().await?;
    let shown = |interface: &Interface| interface.with_header.load(Ordering::Relaxed);
    assert!(shown(&ours) > 0 && shown(&theirs) == 0);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interface_that_throttles_and_fails_is_asked_with_patience_and_kills_change_nothing() -> Result<()> {
    let (interface, url) = Interface::start().await?;
    interface.put(0..20_000);
    interface.failures.store(7, Ordering::Relaxed);
    let from = origin(&format!("{url}/numbered"), ", paging: {page: {param: p}}, license: CC-BY-4.0");
    let rig = rig(&from).await?;
    let mut killed_between = 0;
    for at in [20, 60, 100] {
        let mut node = process(&rig, &from)?;
        let begun = eventually(PATIENCE, || async { messages(&rig).await.is_ok_and(|seen| seen >= at) }).await;
        node.kill().await?;
        let seen = messages(&rig).await?;
        anyhow::ensure!(begun, "only {seen} messages: {}", std::fs::read_to_string(node.log())?);
        killed_between += u32::from(seen < 200);
        interface.failures.store(4, Ordering::Relaxed);
    }
    assert!(killed_between >= 2, "the poll had ended before anybody was killed");
    let mut node = process(&rig, &from)?;
    let audit = holds(&rig, 20_000).await?;
    node.kill().await?;
    assert!(audit.has_exactly(0..20_000));
    assert_eq!((audit.counts.duplicates, audit.counts.dead), (0, 0), "the books need no second net");
    assert!(!interface.too_early.load(Ordering::Relaxed), "Retry-After was not kept");
    snapshots(&rig).await
}

/// Bodies lie under their digests, with address, instant and terms.
async fn snapshots(rig: &Rig) -> Result<()> {
    let storage = rig.store.storage();
    let kept = storage.list("raw/_snapshots/meters/readings").await?;
    let notes: Vec<_> = kept.iter().filter(|object| object.path.ends_with(".json")).collect();
    assert!(notes.len() >= 200, "{}", notes.len());
    let note: serde_json::Value = serde_json::from_slice(&storage.get(&notes[0].path).await?)?;
    assert_eq!((note["license"].as_str(), note["status"].as_u64()), (Some("CC-BY-4.0"), Some(200)));
    let digest = note["sha256"].as_str().context("a digest")?;
    let body = storage.get(&format!("raw/_snapshots/meters/readings/{digest}.body")).await?;
    assert_eq!(tidemill_types::Digest::of(&body).as_str(), digest);

    // Read back, as of an instant, and dropped by age: what was fetched last stays.
    let (project, source) = (&rig.spec.project, readings::source()?);
    let snapshots = Snapshots::of(storage, project, &source);
    let all = snapshots.all().await?;
    assert_eq!(all.len(), notes.len());
    let (first, last) = (&all[0], &all[all.len() - 1]);
    assert!(first.fetched_at < last.fetched_at);
    assert!(snapshots.at(Millis(first.fetched_at.0 - 1)).await?.is_empty(), "nothing was known before");
    let pages: std::collections::BTreeSet<_> = all.iter().map(|kept| &kept.url).collect();
    assert_eq!(snapshots.at(last.fetched_at).await?.len(), pages.len(), "of each page one body");
    assert_eq!(snapshots.body(&last.sha256).await?.context("a body")?.len() as u64, last.bytes);

    let age = Millis(last.fetched_at.0 - all[all.len() / 2].fetched_at.0);
    let young = snapshots.plan(age, Millis::MIN).await?;
    assert!(
        !young.notes.is_empty() && young.bodies.is_empty(),
        "a body that was just written may be about to be named"
    );
    let plan = snapshots.plan(age, Millis::MAX).await?;
    assert_eq!(plan.kept + plan.notes.len(), all.len());
    snapshots.drop(&plan).await?;
    let left = snapshots.all().await?;
    assert_eq!(left.len(), plan.kept);
    for kept in &left {
        assert!(snapshots.body(&kept.sha256).await?.is_some(), "a body that is named is gone");
    }
    let gone = all.iter().filter(|kept| !left.iter().any(|other| other.sha256 == kept.sha256));
    for kept in gone {
        assert!(snapshots.body(&kept.sha256).await?.is_none(), "a body that nobody names is left");
    }
    Ok(())
}

/// Codes under which looks failed or bodies were refused.
async fn code(from: &str) -> Result<String> {
    let rig = rig(from).await?;
    let node = rig.ingestion().await?;
    let metrics = node.metrics.clone();
    let line = || {
        let text = metrics.render();
        let counted = |line: &&str| {
            let names = ["tidemill_ingestion_fetch_failures_total{", "tidemill_ingestion_refused_objects_total{"];
            names.iter().any(|name| line.starts_with(name))
        };
        text.lines().find(counted).map(str::to_owned)
    };
    let failed = eventually(PATIENCE, || std::future::ready(line().is_some())).await;
    let line = line().unwrap_or_default();
    node.stop().await?;
    assert!(failed && messages(&rig).await? == 0, "{line}");
    let code = line.split("code=\"").nth(1).and_then(|rest| rest.get(..6));
    Ok(code.unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_inside_bombs_and_circles_are_refused() -> Result<()> {
    let (interface, url) = Interface::start().await?;
    let once = ", attempts: 1";
    // Not allowed at all, allowed but redirecting further inside, by a name that means an address inside.
    let closed = |path: &str| format!("{{http: {{url: \"{url}{path}\", every: 50ms, attempts: 1}}}}");
    assert_eq!(code(&closed("/linked")).await?, "TM1720");
    assert_eq!(code(&closed("/linked").replace("127.0.0.1", "localhost")).await?, "TM1720");
    assert_eq!(interface.requests.load(Ordering::Relaxed), 0, "nobody was asked");
    assert_eq!(code(&origin(&format!("{url}/inside"), once)).await?, "TM1720");
    assert_eq!(code(&origin(&format!("{url}/circle"), ", attempts: 1, paging: link")).await?, "TM1723");
    assert_eq!(code(&origin(&format!("{url}/bomb"), ", attempts: 1, max_bytes: 1000000")).await?, "TM1713");
    assert_eq!(code(&origin(&format!("{url}/page"), once)).await?, "TM1715");
    assert_eq!(code(&origin(&format!("{url}/private?x=1"), once)).await?, "TM1724");
    assert_eq!(code(&origin(&format!("{url}/nowhere"), once)).await?, "TM1721");
    assert_eq!(code(&origin(&format!("{url}/cursors"), once)).await?, "TM1721");
    assert_eq!(code(&origin("http://127.0.0.1:1/", once)).await?, "TM1722");
    Ok(())
}
