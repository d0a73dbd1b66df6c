//! Tables on an S3 store: conditional creation, competing writers, ingestion.

use anyhow::{Result, ensure};
use std::collections::BTreeMap;
use tidemill_contracts::paths;
use tidemill_dataset::{CommitError, Table};
use tidemill_ingestion::Options;
use tidemill_testkit::{S3, eventually};
use tidemill_tests::audit::{Audit, Findings};
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::caught_up;
use tidemill_tests::{Published, Rig};
use tidemill_types::Classified as _;

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_lets_one_writer_win_each_version_and_keeps_every_row() -> Result<()> {
    let s3 = S3::start().await?;
    let storage = s3.storage()?;
    conditional_create(&storage).await?;
    competing_commits(&storage).await?;
    ingestion_into_a_bucket(&storage).await?;
    what_a_bucket_lost_of_the_newest_versions_is_filled_again(&storage).await
}

/// What a power cut leaves of objects whose names outlived their content.
#[derive(Clone, Copy, Debug)]
enum Loss {
    /// The file of so many versions before the newest one, or of one before that, is gone.
    File(u64),
    /// It has another content.
    Content(u64),
    /// The entry is torn, while later ones are whole.
    Entry(u64),
    /// A gap in the log.
    Gap(u64),
    /// All entries.
    Everything,
}

impl Loss {
    async fn befall(self, storage: &tidemill_storage::Storage, path: &str) -> Result<()> {
        let newest = Table::open(storage, path).await?.load().await?.version();
        let entry = |version: u64| format!("{path}/_delta_log/{version:020}.json");
        // Some versions only note something.
        let file = async |before: u64| {
            let table = Table::open(storage, path).await?;
            for version in (1..=newest - before).rev() {
                if let Some(file) = table.version_adds(version).await?.files.first() {
                    return Ok(format!("{path}/{}", file.path));
                }
            }
            anyhow::bail!("{path} has no files")
        };
        match self {
            Self::File(before) => storage.delete(&file(before).await?).await?,
            Self::Content(before) => {
                let path = file(before).await?;
                let size = storage.get(&path).await?.len();
                storage.put(&path, vec![0; size]).await?;
            }
            Self::Entry(before) => {
                let path = entry(newest - before);
                let whole = storage.get(&path).await?;
                storage.put(&path, whole.slice(..whole.len() / 2)).await?;
            }
            Self::Gap(before) => storage.delete(&entry(newest - before)).await?,
            Self::Everything => {
                for version in 0..=newest {
                    storage.put(&entry(version), "").await?;
                }
            }
        }
        Ok(())
    }
}

async fn what_a_bucket_lost_of_the_newest_versions_is_filled_again(storage: &tidemill_storage::Storage) -> Result<()> {
    let rig = Rig::start().await?;
    let options = || Options { commit_age: std::time::Duration::from_millis(50), ..Options::default() };
    let (raw, stream) = (rig.raw()?, rig.stream()?);
    let source = messages::source()?;
    let tables = [
        raw.clone(),
        paths::clean_table(&rig.spec.project, &source),
        paths::quarantine_table(&rig.spec.project, &source),
    ];
    for object in storage.list("raw").await? {
        storage.delete(&object.path).await?;
    }
    let maker = Messages::new()?;
    let mut published = Published::default();
    let mut losses = vec![None];
    let of_raw = [Loss::File(0), Loss::Content(2), Loss::Entry(1), Loss::Gap(1), Loss::Everything];
    losses.extend(of_raw.map(|loss| Some((0, loss))));
    losses.extend([(1, Loss::Content(1)), (1, Loss::Gap(1)), (2, Loss::File(0)), (2, Loss::Entry(1))].map(Some));
    for loss in losses {
        if let Some((table, loss)) = loss {
            loss.befall(storage, &tables[table]).await?;
        }
        let ingestion = rig.ingestion_with(storage, options()).await?;
        let validation = rig.validation_of(&rig.spec, storage).await?;
        for _ in 0..4 {
            let first = published.total();
            // Every message has readings that go into quarantine.
            published.publish(&rig.bus, &[(maker.readings(Form::Arrow, first..first + 300)?, 300)]).await?;
            caught_up(&rig.bus, storage, &raw, &stream, published.last()).await?;
        }
        let [_, clean, quarantine] = &tables;
        let both = async || {
            let mut both = Audit::of(storage, clean).await?;
            both.merge(Audit::of(storage, quarantine).await?);
            anyhow::Ok(both)
        };
        let wanted = usize::try_from(published.total())?;
        let is_done = eventually(std::time::Duration::from_secs(60), || async {
            both().await.is_ok_and(|both| both.rows() >= wanted)
        });
        ensure!(is_done.await, "{loss:?}: {:?} of {wanted} rows were validated", both().await.map(|b| b.rows()));
        ingestion.stop().await?;
        validation.stop().await?;
        let raw = Audit::of(storage, &raw).await?;
        assert_eq!(raw.against(&published), Findings::default(), "{loss:?}: the raw table");
        assert_eq!(both().await?.against(&published), Findings::default(), "{loss:?}: clean and quarantine");
    }

    // What the bus no longer has is not given up.
    Loss::File(1).befall(storage, &raw).await?;
    for sequence in 1..=u64::try_from(published.last())? {
        rig.bus.delete_message(&stream, sequence).await?;
    }
    let refused = tidemill_intake::mend(&rig.bus, storage, &raw, &stream).await;
    let code = refused.err().map(|error| error.code());
    assert_eq!(code, Some(tidemill_types::Code(408)));
    Ok(())
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
