//! A real PostgreSQL: snapshot, changes, late commits, types, kills, TLS, and a password that nobody sees.

use super::{PATIENCE, holds, messages, process, rig};
use anyhow::{Context as _, Result};
use arrow::array::{Array as _, AsArray as _};
use arrow::datatypes::{Float64Type, TimestampMillisecondType};
use std::path::Path;
use std::process::Command;
use tidemill_testkit::{Postgres, eventually};
use tidemill_tests::Rig;
use tokio_postgres::{Client, NoTls};

async fn client(postgres: &Postgres) -> Result<Client> {
    let (client, connection) = tokio_postgres::connect(&postgres.connection(), NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Numbered readings, each changed at its own second.
const TABLE: &str = "CREATE TABLE readings (n bigint PRIMARY KEY, at timestamptz NOT NULL, meter text NOT NULL, value \
                     numeric, unread json);
                     CREATE INDEX ON readings (at)";

fn insert(from: i64, to: i64) -> String {
    format!(
        "INSERT INTO readings SELECT n, timestamptz '2024-01-01 00:00:00+00' + n * interval '1 second', 'meter-' || n, \
         n * 0.5 FROM generate_series({from}::bigint, {to} - 1) AS n"
    )
}

fn origin(postgres: &Postgres, secrets: &Path, more: &str) -> Result<String> {
    let file = secrets.join("password");
    std::fs::write(&file, "secret\n")?;
    Ok(format!(
        "{{postgres: {{host: 127.0.0.1, port: {}, database: postgres, user: tidemill, password: {{file: {}}}, tls: off, \
         table: public.readings, cursor: at, every: 50ms{more}}}}}",
        postgres.port(),
        file.display()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_read_whole_then_by_its_changes_and_late_commits_are_found() -> Result<()> {
    let (postgres, secrets) = (Postgres::start().await?, tempfile::tempdir()?);
    let (client, mut late) = (client(&postgres).await?, client(&postgres).await?);
    client.batch_execute(TABLE).await?;
    client.batch_execute(&insert(0, 10_000)).await?;
    let rig = rig(&origin(&postgres, secrets.path(), ", overlap: 1h")?).await?;
    let node = rig.ingestion().await?;
    let audit = holds(&rig, 10_000).await?;
    assert!(audit.has_exactly(0..10_000));
    // A transaction takes its instant, others commit behind it, and only then does it commit.
    let open = late.transaction().await?;
    open.batch_execute(&insert(10_000, 10_010)).await?;
    client.batch_execute(&insert(10_010, 11_000)).await?;
    holds(&rig, 10_990).await?;
    open.commit().await?;
    let audit = holds(&rig, 11_000).await?;
    assert!(audit.has_exactly(0..11_000));
    // A changed row is an event again, with its new values.
    client.batch_execute("UPDATE readings SET value = -1, at = at + interval '1 day' WHERE n = 7").await?;
    let audit = holds(&rig, 11_001).await?;
    assert_eq!(audit.numbers[&7], 2);
    node.stop().await?;
    // After a restart the overlap is read again, and nothing of it is doubled.
    let before = messages(&rig).await?;
    let node = rig.ingestion().await?;
    client.batch_execute("INSERT INTO readings VALUES (20000, '2024-01-03', 'm', 1)").await?;
    assert_eq!(holds(&rig, 11_002).await?.rows(), 11_002);
    assert_eq!(messages(&rig).await?, before + 1);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_and_a_killed_database_lose_and_double_nothing() -> Result<()> {
    let (mut postgres, secrets) = (Postgres::start().await?, tempfile::tempdir()?);
    const ROWS: i64 = 300_000;
    {
        let client = client(&postgres).await?;
        client.batch_execute(TABLE).await?;
        client.batch_execute(&insert(0, ROWS)).await?;
    }
    let from = origin(&postgres, secrets.path(), ", overlap: 1m")?;
    let rig = rig(&from).await?;
    let mut killed_between = 0;
    for at in [60, 200, 350] {
        let mut node = process(&rig, &from)?;
        let begun = eventually(PATIENCE, || async { messages(&rig).await.is_ok_and(|seen| seen >= at) }).await;
        node.kill().await?;
        let seen = messages(&rig).await?;
        anyhow::ensure!(begun, "only {seen} messages: {}", std::fs::read_to_string(node.log())?);
        killed_between += u32::from(seen < 600);
    }
    assert!(killed_between >= 2, "the table was read before anybody was killed");
    let mut node = process(&rig, &from)?;
    let seen = messages(&rig).await?;
    let reads_on = eventually(PATIENCE, || async { messages(&rig).await.is_ok_and(|now| now > seen) }).await;
    assert!(reads_on, "{}", std::fs::read_to_string(node.log())?);
    postgres.server().kill().await?;
    postgres.server().restart().await?;
    let audit = holds(&rig, usize::try_from(ROWS)?).await?;
    assert!(audit.has_exactly(0..ROWS));
    assert_eq!((audit.counts.duplicates, audit.counts.dead), (0, 0), "the books need no second net");
    node.kill().await?;
    let log = std::fs::read_to_string(node.log())?;
    assert!(!log.contains("secret"), "the password is in the log");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn values_of_every_type_keep_their_meaning() -> Result<()> {
    let (postgres, secrets) = (Postgres::start().await?, tempfile::tempdir()?);
    let client = client(&postgres).await?;
    // A wall clock without a zone is UTC, a document is its text, a number keeps all its digits as far as a double does.
    client
        .batch_execute(
            "CREATE TABLE readings (n int PRIMARY KEY, at timestamp NOT NULL, meter jsonb NOT NULL, value numeric(30, 10));
             INSERT INTO readings VALUES
               (1, '2024-02-29 12:30:00.123456', '{\"a\": [1, \"ü\"]}', 12345678901234.0625),
               (2, '2024-03-01 00:00:00', '\"text\"', NULL),
               (3, '2024-03-02 00:00:00', '1', 'NaN'),
               (4, 'infinity', '1', 1)",
        )
        .await?;
    let rig = rig(&origin(&postgres, secrets.path(), "")?).await?;
    let node = rig.ingestion().await?;
    let letters = eventually(PATIENCE, || async { rig.dead_letters().await.is_ok_and(|letters| letters.len() == 2) });
    assert!(letters.await, "a value that no column can hold, and a cursor after which nothing is new");
    holds(&rig, 2).await?;
    node.stop().await?;
    let table = tidemill_dataset::Table::open(rig.store.storage(), &rig.raw()?).await?;
    let batch = &table.scan(&table.load().await?, None, None).collect().await?[0];
    let column = |name: &str| batch.column_by_name(name).context(name.to_owned());
    let at = column("at")?.as_primitive::<TimestampMillisecondType>().value(0);
    assert_eq!(tidemill_types::Millis(at).to_string(), "2024-02-29T12:30:00.123Z");
    assert_eq!(column("meter")?.as_string::<i32>().value(0), "{\"a\": [1, \"ü\"]}");
    let values = column("value")?.as_primitive::<Float64Type>();
    assert!((values.value(0) - 12_345_678_901_234.063).abs() < 1e-3 && values.is_null(1));
    Ok(())
}

/// A certificate for the address, made by openssl; `None` when there is none.
fn certificate(folder: &Path) -> Option<(String, String)> {
    let file = |name: &str| folder.join(name).display().to_string();
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-keyout", &file("key.pem"), "-out", &file("certificate.pem")])
        .output()
        .ok()?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    made.status.success().then(|| Some((read("certificate.pem")?, read("key.pem")?)))?
}

async fn first_failure(rig: &Rig) -> Result<String> {
    let node = rig.ingestion().await?;
    let metrics = node.metrics.clone();
    let failed = eventually(PATIENCE, || {
        let text = metrics.render();
        std::future::ready(text.contains("tidemill_ingestion_fetch_failures_total{"))
    });
    assert!(failed.await, "it did not fail");
    let text = metrics.render();
    let line = text.lines().find(|line| line.starts_with("tidemill_ingestion_fetch_failures_total{"));
    node.stop().await?;
    Ok(line.unwrap_or_default().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_is_encrypted_and_its_certificate_checked() -> Result<()> {
    let secrets = tempfile::tempdir()?;
    let Some((certificate, key)) = certificate(secrets.path()) else {
        eprintln!("skipped: there is no openssl that makes a certificate");
        return Ok(());
    };
    let postgres = Postgres::start_with(Some((certificate, key))).await?;
    let client = client(&postgres).await?;
    client.batch_execute(TABLE).await?;
    client.batch_execute(&insert(0, 10)).await?;
    // Whoever does not encrypt is not let in.
    let rules = postgres.dir().join("data/pg_hba.conf");
    std::fs::write(rules, "hostssl all all 127.0.0.1/32 scram-sha-256\n")?;
    client.batch_execute("SELECT pg_reload_conf()").await?;
    let plain = origin(&postgres, secrets.path(), "")?;
    let authority = format!("tls: require, ca_file: {}", secrets.path().join("certificate.pem").display());
    let trusted = rig(&plain.replace("tls: off", &authority)).await?;
    let node = trusted.ingestion().await?;
    assert!(holds(&trusted, 10).await?.has_exactly(0..10));
    node.stop().await?;
    // Without the authority the certificate is nobody's, and without TLS the server refuses.
    let unknown = rig(&plain.replace("tls: off", "tls: require")).await?;
    assert!(first_failure(&unknown).await?.contains("TM1730"));
    let refused = rig(&plain).await?;
    assert!(first_failure(&refused).await?.contains("TM1731"));
    Ok(())
}
