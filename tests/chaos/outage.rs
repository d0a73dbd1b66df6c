//! A store that answers with errors, then not at all, then has no room; a bus that has none; and processes whose clocks
//! are wrong.

use crate::disk::Disk;
use crate::end::End;
use crate::kills::{Nodes, publish};
use anyhow::{Context as _, Result, ensure};
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};
use tidemill_dataset::Table;
use tidemill_ingestion::Options;
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::{Nats, S3, eventually};
use tidemill_tests::audit::{Audit, Findings};
use tidemill_tests::messages::{Form, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Published, Rig};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Readings of one message.
const ROWS: i64 = 200;

/// How the way to the store behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Open,
    /// Every request is answered with 503.
    Failing,
    /// Requests are taken and never answered.
    Silent,
}

/// Stands between ingestion and the store; a change of way ends all connections.
async fn stand_between(store: SocketAddr, way: watch::Receiver<Way>) -> Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let mut way = way.clone();
            tokio::spawn(async move {
                let now = *way.borrow_and_update();
                tokio::select! {
                    _ = pass(client, store, now) => {}
                    _ = way.changed() => {}
                }
            });
        }
    });
    Ok(address)
}

async fn pass(mut client: TcpStream, store: SocketAddr, way: Way) -> Result<()> {
    match way {
        Way::Open => {
            let mut server = TcpStream::connect(store).await?;
            copy_bidirectional(&mut client, &mut server).await?;
        }
        Way::Failing => {
            let mut request = [0; 4_096];
            // Whatever was asked, as soon as it was asked.
            let _ = client.read(&mut request).await?;
            client
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
                .await?;
        }
        Way::Silent => std::future::pending().await,
    }
    Ok(())
}

/// Publishes some messages and adds them to the books.
async fn publish_some(rig: &Rig, published: &mut Published, messages: i64) -> Result<()> {
    let maker = Messages::new()?;
    for _ in 0..messages {
        let first = published.total();
        let message = maker.readings(Form::Arrow, first..first + ROWS)?.with_id(&first.to_string())?;
        publish(&rig.bus, published, &[(message, ROWS)]).await?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures of the run")]
async fn outage(each: Duration) -> Result<()> {
    let begin = Instant::now();
    let rig = Rig::start().await?;
    let s3 = S3::start().await?;
    let options = s3.options();
    let store = options.endpoint.as_deref().and_then(|e| e.strip_prefix("http://")).context("an address")?.parse()?;
    let (set_way, way) = watch::channel(Way::Open);
    let between = stand_between(store, way).await?;
    let storage = Storage::open(&s3.url(), &S3Options { endpoint: Some(format!("http://{between}")), ..options })?;
    let node =
        rig.ingestion_with(&storage, Options { commit_age: Duration::from_millis(100), ..Options::default() }).await?;
    let validation = rig.validation_of(&rig.spec, &storage).await?;
    let (raw, stream) = (rig.raw()?, rig.stream()?);
    let mut published = Published::default();
    publish_some(&rig, &mut published, 50).await?;
    caught_up(&rig.bus, &storage, &raw, &stream, published.last()).await?;
    for broken in [Way::Failing, Way::Silent] {
        set_way.send_replace(broken);
        let until = Instant::now() + each;
        while Instant::now() < until {
            publish_some(&rig, &mut published, 1).await?;
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        set_way.send_replace(Way::Open);
        let back = Instant::now();
        caught_up(&rig.bus, &storage, &raw, &stream, published.last()).await?;
        println!(
            "store {broken:?} for {:.0} s: caught up {:.1} s after it came back",
            each.as_secs_f64(),
            back.elapsed().as_secs_f64()
        );
    }
    let end = End::of(&rig, &storage, &rig.store.dir().join("nodes.log"), &published).await?;
    node.stop().await?;
    validation.stop().await?;
    println!("outage: {} events; {end}; {:.1} s", published.total(), begin.elapsed().as_secs_f64());
    end.must_balance();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn outage_quick() -> Result<()> {
    outage(Duration::from_secs(2)).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "two minutes: cargo test --workspace --test chaos -- --ignored --nocapture"]
async fn outage_full() -> Result<()> {
    outage(Duration::from_secs(60)).await
}

/// Writes until nothing more fits.
fn fill(file: &Path) -> Result<()> {
    let mut file = std::fs::File::create(file)?;
    let mut step = vec![0_u8; 1 << 20];
    while !step.is_empty() {
        match file.write(&step) {
            Ok(0) => break,
            Ok(_) => {}
            // What is left is less than a step: halve it until not even one byte fits.
            Err(_) => step.truncate(step.len() / 2),
        }
    }
    // Space is only taken for certain once it is on the disk.
    let _ = file.sync_all();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_commits_and_loses_nothing() -> Result<()> {
    let Some(disk) = Disk::new(64 << 20)? else { return Ok(()) };
    let rig = Rig::start().await?;
    let store = format!("file://{}", disk.path().join("objects").display());
    let storage = Storage::open(&store, &S3Options::default())?;
    let node =
        rig.ingestion_with(&storage, Options { commit_age: Duration::from_millis(100), ..Options::default() }).await?;
    let (raw, stream) = (rig.raw()?, rig.stream()?);
    let mut published = Published::default();
    publish_some(&rig, &mut published, 20).await?;
    caught_up(&rig.bus, &storage, &raw, &stream, published.last()).await?;

    let ballast = disk.path().join("ballast");
    fill(&ballast)?;
    let before = Table::open(&storage, &raw).await?.load().await?.num_rows();
    publish_some(&rig, &mut published, 200).await?;
    // A commit that does not fit leaves what it wrote of the data file for no longer than the attempt.
    let held = eventually(Duration::from_secs(3), || async {
        let now = Table::open(&storage, &raw).await.ok();
        let rows = match now {
            Some(table) => table.load().await.map(|snapshot| snapshot.num_rows()).unwrap_or(before),
            None => before,
        };
        rows as i64 == published.total()
    });
    ensure!(!held.await, "the disk was not full: everything was committed");
    std::fs::remove_file(&ballast)?;
    let back = Instant::now();
    caught_up(&rig.bus, &storage, &raw, &stream, published.last()).await?;
    let took = back.elapsed();
    node.stop().await?;
    let audit = Audit::of(&storage, &raw).await?;
    let findings = audit.against(&published);
    println!(
        "disk full: {} events, {} rows, lost {}, doubled {}; caught up {:.1} s after there was room",
        published.total(),
        audit.rows(),
        findings.lost,
        findings.doubled,
        took.as_secs_f64()
    );
    assert_eq!(findings, Findings::default());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_of_the_bus_takes_no_message_and_loses_none_that_it_took() -> Result<()> {
    let Some(disk) = Disk::new(128 << 20)? else { return Ok(()) };
    let mut rig = Rig::over(Nats::start_in(&disk.path().join("nats")).await?).await?;
    let node = rig.ingestion().await?;
    let validation = rig.validation().await?;
    let mut published = Published::default();
    publish_some(&rig, &mut published, 20).await?;

    let ballast = disk.path().join("ballast");
    fill(&ballast)?;
    let maker = Messages::new()?;
    let mut refused = false;
    for _ in 0..1_000 {
        let first = published.total();
        let message = maker.readings(Form::Arrow, first..first + ROWS)?.with_id(&first.to_string())?;
        match rig.bus.publish(&message.subject, &message.headers, message.payload).await {
            Ok(ack) => published.rows.insert(i64::try_from(ack.sequence)?, ROWS),
            Err(_) => {
                refused = true;
                break;
            }
        };
    }
    ensure!(refused, "the disk was not full: everything was taken");
    std::fs::remove_file(&ballast)?;
    // The server gives up its streams when a disk is full, and takes them up again at its next start.
    rig.nats.server().kill().await?;
    rig.nats.server().restart().await?;
    publish_some(&rig, &mut published, 20).await?;
    let end = End::of(&rig, rig.store.storage(), &rig.store.dir().join("nodes.log"), &published).await?;
    node.stop().await?;
    validation.stop().await?;
    println!("disk of the bus full: {} events; {end}", published.total());
    rig.nats.server().kill().await?;
    end.must_balance();
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_ten_minutes_apart_change_nothing() -> Result<()> {
    // The program only loads the library before another program; killed, it would leave that one running.
    let asked =
        std::process::Command::new("faketime").args(["-m", "-f", "+0", "sh", "-c", "printf %s $LD_PRELOAD"]).output();
    let Ok(library) = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()) else {
        eprintln!("skipped: clocks are set wrong by the program faketime (package faketime), which is not there");
        return Ok(());
    };
    let rig = Rig::start().await?;
    let spec_file = rig.store.dir().join("meters.yaml");
    std::fs::write(&spec_file, include_str!("../data/meters.yaml"))?;
    let store_url = format!("file://{}", rig.store.dir().join("objects").display());
    let arguments = vec![rig.nats.url(), store_url.clone(), spec_file.display().to_string(), "40".to_owned()];
    let log = rig.store.dir().join("nodes.log");
    let mut nodes = Nodes { arguments, variables: Vec::new(), log, running: Vec::new() };
    nodes.start_at(&library, &["+10m", "-10m", "-10m", "+10m"])?;
    let mut published = Published::default();
    publish_some(&rig, &mut published, 400).await?;
    // Who takes over has another clock than who wrote last.
    nodes.kill_and_start_at(0, &library, "-10m").await?;
    nodes.kill_and_start_at(2, &library, "+10m").await?;
    publish_some(&rig, &mut published, 400).await?;
    let storage = Storage::open(&store_url, &S3Options::default())?;
    let end = End::of(&rig, &storage, &nodes.log, &published).await?;
    nodes.kill().await?;
    println!("clocks +10 and -10 minutes: {} events; {end}", published.total());
    end.must_balance();
    Ok(())
}
