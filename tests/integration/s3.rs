//! Tables on an S3 store: conditional creation, competing writers, ingestion.

use anyhow::Result;
use std::collections::BTreeMap;
use tidemill_dataset::{CommitError, Table};
use tidemill_ingestion::Options;
use tidemill_testkit::S3;
use tidemill_tests::audit::{Audit, Findings};
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Published, Rig};

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_lets_one_writer_win_each_version_and_keeps_every_row() -> Result<()> {
    let s3 = S3::start().await?;
    let storage = s3.storage()?;
    conditional_create(&storage).await?;
    competing_commits(&storage).await?;
    ingestion_into_a_bucket(&storage).await
}

async fn conditional_create(storage: &tidemill_storage::Storage) -> Result<()> {
    let writers = (0..16).map(|writer| {
        let storage = storage.clone();
        tokio::spawn(async move { storage.put_if_absent("contest/entry", writer.to_string()).await })
    });
    let mut winners = Vec::new();
    for (writer, task) in writers.collect::<Vec<_>>().into_iter().enumerate() {
        if task.await?? {
            winners.push(writer.to_string());
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert_eq!(storage.get("contest/entry").await?, winners[0]);
    Ok(())
}

async fn competing_commits(storage: &tidemill_storage::Storage) -> Result<()> {
    let schema = messages::batch(0..1)?.schema();
    let mut tasks = Vec::new();
    for writer in 0..4_i64 {
        let table = Table::open_or_create(storage, "contest/table", &schema).await?;
        tasks.push(tokio::spawn(async move {
            let mut conflicts = 0;
            for round in 0..10 {
                let n = writer * 10 + round;
                let batch = messages::batch(n..n + 1)?;
                loop {
                    let snapshot = table.load().await?;
                    let app = format!("writer-{writer}");
                    match table.commit(snapshot, std::slice::from_ref(&batch), &app, round, BTreeMap::new()).await {
                        Ok(_) => break,
                        Err(CommitError::Conflict { .. }) => conflicts += 1,
                        Err(error) => return Err(error.into()),
                    }
                }
            }
            anyhow::Ok(conflicts)
        }));
    }
    let mut conflicts = 0;
    for task in tasks {
        conflicts += task.await??;
    }
    assert!(conflicts > 0, "nobody competed");
    let table = Table::open(storage, "contest/table").await?;
    let snapshot = table.load().await?;
    assert_eq!((snapshot.version(), snapshot.num_rows()), (40, 40));
    let rows = table.scan(&snapshot, Some(&["n"]), None).collect().await?;
    let mut numbers: Vec<i64> = Vec::new();
    for batch in rows {
        numbers.extend(arrow::array::AsArray::as_primitive::<arrow::datatypes::Int64Type>(batch.column(0)).values());
    }
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..40));
    for writer in 0..4 {
        assert_eq!(snapshot.done(&format!("writer-{writer}")).await?, Some(9));
    }
    Ok(())
}

async fn ingestion_into_a_bucket(storage: &tidemill_storage::Storage) -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let options = || Options { commit_age: std::time::Duration::from_millis(50), ..Options::default() };
    let first = rig.ingestion_with(storage, options()).await?;
    let second = rig.ingestion_with(storage, options()).await?;
    let mut published = Published::default();
    for round in 0..20 {
        let n = round * 1_010;
        let arrow = (messages.readings(Form::Arrow, n..n + 1_000)?, 1_000);
        let array = (messages.readings(Form::Array, n + 1_000..n + 1_010)?, 10);
        published.publish(&rig.bus, &[arrow, array]).await?;
    }
    caught_up(&rig.bus, storage, &rig.raw()?, &rig.stream()?, published.last()).await?;
    first.stop().await?;
    second.stop().await?;
    let audit = Audit::of(storage, &rig.raw()?).await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert!(audit.has_exactly(0..20 * 1_010));
    Ok(())
}
