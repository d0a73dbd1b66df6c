//! Files: every format, half-written, changed, bad, and read on after a kill.

use super::{PATIENCE, holds, messages, process, rig};
use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, AsArray as _, ByteView, RecordBatch, StringViewArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use tidemill_contracts::headers;
use tidemill_testkit::{S3, eventually};
use tidemill_tests::messages as readings;
use tidemill_tests::rig::header;
use tidemill_types::columns;

fn csv(numbers: Range<i64>) -> String {
    let mut text = "n,at,meter,value\n".to_owned();
    for n in numbers {
        let at = tidemill_types::Millis(readings::BEGIN.0 + n * 1_000);
        let value = readings::value(n).map(|value| value.to_string()).unwrap_or_default();
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{n},{at},meter-{},{value}", n % 1_000);
    }
    text
}

fn json_lines(numbers: Range<i64>) -> String {
    numbers.map(|n| readings::object(n) + "\n").collect()
}

fn arrow(numbers: Range<i64>) -> Result<Vec<u8>> {
    let batch = readings::batch(numbers)?;
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// The same with its texts as views, as Polars writes them.
fn views(numbers: Range<i64>) -> Result<Vec<u8>> {
    let batch = readings::batch(numbers)?;
    let (mut names, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        names.push(field.name().clone());
        let is_text = field.data_type() == &DataType::Utf8;
        columns.push(if is_text { cast(column, &DataType::Utf8View)? } else { Arc::clone(column) });
    }
    let batch = RecordBatch::try_from_iter(names.into_iter().zip(columns))?;
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(&batch)?;
    Ok(writer.into_inner()?)
}

/// Readings all of whose texts are the same 80,000 bytes: little in a file, and 800 MB as rows.
fn flood() -> Result<RecordBatch> {
    let batch = readings::batch(0..10_000)?;
    let block = arrow::buffer::Buffer::from_vec(vec![b'x'; 80_000]);
    let views = vec![ByteView::new(80_000, b"xxxx").as_u128(); batch.num_rows()];
    let flood: ArrayRef = Arc::new(StringViewArray::try_new(views.into(), vec![block], None)?);
    let schema = batch.schema();
    let columns = schema.fields().iter().zip(batch.columns()).map(|(field, column)| {
        let column = if field.name() == "meter" { &flood } else { column };
        (field.name().clone(), Arc::clone(column))
    });
    Ok(RecordBatch::try_from_iter(columns.collect::<Vec<_>>())?)
}

fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packed.write_all(bytes)?;
    Ok(packed.finish()?)
}

async fn parquet(folder: &Path, name: &str, numbers: Range<i64>) -> Result<()> {
    let storage = tidemill_storage::Storage::open(&format!("file://{}", folder.display()), &Default::default())?;
    tidemill_dataset::write_parquet(&storage, name, &[readings::batch(numbers)?]).await?;
    Ok(())
}

fn origin(folder: &Path, more: &str) -> String {
    format!("{{files: {{url: \"file://{}\", every: 50ms{more}}}}}", folder.display())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_format_become_rows_and_say_where_they_came_from() -> Result<()> {
    let inbox = tempfile::tempdir()?;
    let rig = rig(&origin(inbox.path(), "")).await?;
    let node = rig.ingestion().await?;
    std::fs::create_dir(inbox.path().join("a day"))?;
    std::fs::write(inbox.path().join("a day/1 (first).csv"), csv(0..1_200))?;
    std::fs::write(inbox.path().join("2.jsonl"), json_lines(1_200..2_000))?;
    parquet(inbox.path(), "3.parquet", 2_000..3_500).await?;
    std::fs::write(inbox.path().join("4.arrow"), arrow(3_500..3_800)?)?;
    std::fs::write(inbox.path().join("4.ipc"), views(3_800..4_000)?)?;
    std::fs::write(inbox.path().join("5.csv.zst"), zstd::encode_all(csv(4_000..4_100).as_bytes(), 1)?)?;
    // None of these is taken.
    for name in [".hidden.csv", "6.csv.tmp", "_SUCCESS", "README.md"] {
        std::fs::write(inbox.path().join(name), csv(9_000..9_010))?;
    }
    let audit = holds(&rig, 4_100).await?;
    // What was under way under another name is taken when it gets its own.
    std::fs::rename(inbox.path().join("6.csv.tmp"), inbox.path().join("6.csv"))?;
    assert!(audit.has_exactly(0..4_100));
    let audit = holds(&rig, 4_110).await?;
    assert_eq!((audit.doubled(), audit.counts.duplicates, audit.counts.dead), (0, 0, 0));
    node.stop().await?;
    let table = tidemill_dataset::Table::open(rig.store.storage(), &rig.raw()?).await?;
    let batches = table.scan(&table.load().await?, Some(&[columns::EVENT_ID]), None).collect().await?;
    let ids = batches.iter().flat_map(|batch| batch.column(0).as_string::<i32>().iter().flatten());
    assert!(ids.clone().all(|id| id.starts_with("/tidemill/files/")), "{:?}", ids.clone().next());
    let of_csv = ids.filter(|id| id.starts_with("/tidemill/files/a day/1 (first).csv#1-")).count();
    assert_eq!(of_csv, 1_200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_process_reads_on_in_the_middle_of_a_file() -> Result<()> {
    let inbox = tempfile::tempdir()?;
    let from = origin(inbox.path(), "");
    let rig = rig(&from).await?;
    const ROWS: i64 = 400_000;
    std::fs::write(inbox.path().join("long.csv"), csv(0..ROWS))?;
    let mut killed_between = 0;
    for at in [150, 350, 550] {
        let mut node = process(&rig, &from)?;
        let begun = eventually(PATIENCE, || async { messages(&rig).await.is_ok_and(|seen| seen >= at) }).await;
        node.kill().await?;
        let seen = messages(&rig).await?;
        anyhow::ensure!(begun, "only {seen} messages: {}", std::fs::read_to_string(node.log())?);
        // 500 rows a message.
        killed_between += u32::from(seen < 800);
    }
    assert!(killed_between >= 2, "the file was read before anybody was killed");
    // One process and its competitor: the stream lets one of them publish.
    let (one, other) = (process(&rig, &from)?, process(&rig, &from)?);
    let audit = holds(&rig, usize::try_from(ROWS)?).await?;
    assert!(audit.has_exactly(0..ROWS));
    assert_eq!((audit.counts.duplicates, audit.counts.dead), (0, 0), "the books need no second net");
    let all = messages(&rig).await?;
    drop((one, other));
    // A third process finds nothing to do.
    let mut third = process(&rig, &from)?;
    third.wait_for_log("reading on", PATIENCE).await?;
    std::fs::write(inbox.path().join("more.csv"), csv(ROWS..ROWS + 1))?;
    holds(&rig, usize::try_from(ROWS + 1)?).await?;
    assert_eq!(messages(&rig).await?, all + 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_file_is_a_new_revision_or_is_refused() -> Result<()> {
    let inbox = tempfile::tempdir()?;
    for (policy, rows, letters) in [("reread", 30, 0), ("refuse", 10, 1)] {
        let folder = inbox.path().join(policy);
        std::fs::create_dir(&folder)?;
        let rig = rig(&origin(&folder, &format!(", changed: {policy}"))).await?;
        let node = rig.ingestion().await?;
        std::fs::write(folder.join("a.csv"), csv(0..10))?;
        holds(&rig, 10).await?;
        std::fs::write(folder.join("a.csv"), csv(0..20))?;
        if letters == 0 {
            holds(&rig, rows).await?;
        }
        let told = eventually(PATIENCE, || async { rig.dead_letters().await.is_ok_and(|l| l.len() == letters) });
        assert!(told.await, "{policy}");
        // The same content again, also after a restart, is nothing new.
        node.stop().await?;
        let node = rig.ingestion().await?;
        std::fs::write(folder.join("a.csv"), csv(0..20))?;
        std::fs::write(folder.join("b.csv"), csv(100..101))?;
        let audit = holds(&rig, rows + 1).await?;
        assert_eq!(audit.rows(), rows + 1, "{policy}");
        assert_eq!(rig.dead_letters().await?.len(), letters);
        node.stop().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_files_are_named_with_line_and_mend_and_the_others_go_on() -> Result<()> {
    let inbox = tempfile::tempdir()?;
    let put = |name: &str, bytes: &[u8]| std::fs::write(inbox.path().join(name), bytes);
    parquet(inbox.path(), "whole.parquet", 0..2_000).await?;
    let whole = std::fs::read(inbox.path().join("whole.parquet"))?;
    std::fs::remove_file(inbox.path().join("whole.parquet"))?;
    put("cut.parquet", &whole[..whole.len() - 100])?;
    put("latin.csv", b"n,at,meter,value\n1,2024-01-01T00:00:00Z,M\xfcller,1\n")?;
    // All is well for 3,000 lines, and nothing of them may be left behind.
    put("ragged.csv", format!("{}3000,2024-01-01T00:00:00Z\n", csv(0..3_000)).as_bytes())?;
    put("bomb.csv.zst", &zstd::encode_all(&*vec![b'1'; 80 << 20], 19)?)?;
    put("other.csv", b"city,sold_at\nBern,2024-01-01\n")?;
    put("broken.jsonl", format!("{}{{\"n\":", json_lines(0..10)).as_bytes())?;
    put("wrong.csv", b"n,at,meter,value\nx,yesterday,m,1\n")?;
    put("cut.arrow", &arrow(0..100)?[..500])?;
    put("bomb.csv.gz", &gzip(&vec![b'1'; 80 << 20])?)?;
    let flood = flood()?;
    let mut writer = arrow::ipc::writer::FileWriter::try_new(Vec::new(), &flood.schema())?;
    writer.write(&flood)?;
    put("bomb.arrow", &writer.into_inner()?)?;
    let mut writer = parquet::arrow::ArrowWriter::try_new(Vec::new(), flood.schema(), None)?;
    writer.write(&flood)?;
    put("bomb.parquet", &writer.into_inner()?)?;
    let wide: Vec<u8> = format!("\u{feff}{}", csv(0..10)).encode_utf16().flat_map(u16::to_le_bytes).collect();
    put("wide.csv", &wide)?;
    put("quote.csv", format!("n,at,meter,value\n1,2024-01-01T00:00:00Z,\"m,1\n{}", csv(0..200_000)).as_bytes())?;
    let rig = rig(&origin(inbox.path(), "")).await?;
    let mut notices = rig
        .bus
        .tail(tidemill_contracts::subjects::NOTICES_STREAM, vec!["tm.notices.meters.alert.raised".to_owned()])
        .await?;
    let node = rig.ingestion().await?;
    std::fs::write(inbox.path().join("good.csv"), csv(5_000..5_100))?;
    let audit = holds(&rig, 100).await?;
    let all = eventually(PATIENCE, || async { rig.dead_letters().await.is_ok_and(|letters| letters.len() >= 13) });
    assert!(all.await, "{} letters", rig.dead_letters().await?.len());
    assert!(audit.has_exactly(5_000..5_100), "the good file and nothing else");
    let mut told: Vec<(String, String, String)> = Vec::new();
    for letter in rig.dead_letters().await? {
        let object = header(&letter, headers::SOURCE_OBJECT)?;
        let name = object.rsplit('/').next().context("a name")?.to_owned();
        let reason = header(&letter, headers::DEAD_REASON)?;
        assert!(reason.contains("; mend: "), "{name}: {reason}");
        let position = header(&letter, headers::DEAD_POSITION)?.to_owned();
        told.push((name, header(&letter, headers::DEAD_CODE)?.to_owned(), position));
    }
    told.sort();
    let expected = [
        ("bomb.arrow", "TM1713", "whole file"),
        ("bomb.csv.gz", "TM1713", "whole file"),
        ("bomb.csv.zst", "TM1713", "whole file"),
        ("bomb.parquet", "TM1713", "whole file"),
        ("broken.jsonl", "TM1715", "line 11"),
        ("cut.arrow", "TM1710", "whole file"),
        ("cut.parquet", "TM1710", "whole file"),
        ("latin.csv", "TM1711", "line 2"),
        ("other.csv", "TM1714", "line 1"),
        ("quote.csv", "TM1712", "line 2, byte 24"),
        ("ragged.csv", "TM1712", "line 3002"),
        ("wide.csv", "TM1711", "line 1"),
        ("wrong.csv", "TM1714", "line 1 $.n"),
    ];
    let expected = expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned()));
    assert_eq!(told, expected);
    let alert = notices.next_within(PATIENCE).await?.context("an alert")?;
    assert!(String::from_utf8_lossy(&alert.payload).contains("TM17"));
    // After a restart nobody is told again.
    node.stop().await?;
    let node = rig.ingestion().await?;
    std::fs::write(inbox.path().join("last.csv"), csv(6_000..6_001))?;
    holds(&rig, 101).await?;
    assert_eq!(rig.dead_letters().await?.len(), 13);
    node.stop().await
}

/// The folder `inbox` of a bucket; its keys lie in `secrets`.
fn bucket(s3: &S3, secrets: &Path, more: &str) -> Result<String> {
    let options = s3.options();
    let file = |name: &str, text: &Option<String>| -> Result<String> {
        let path = secrets.join(name);
        std::fs::write(&path, text.as_deref().context("a key")?)?;
        Ok(path.display().to_string())
    };
    let (access, secret) = (file("access", &options.access_key_id)?, file("secret", &options.secret_access_key)?);
    let endpoint = options.endpoint.context("an endpoint")?;
    Ok(format!(
        "{{files: {{url: \"{}/inbox\", every: 100ms{more}, s3: {{endpoint: \"{endpoint}\", \
         access_key_file: {access}, secret_key_file: {secret}}}}}}}",
        s3.url()
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_every_format_are_taken_from_a_bucket() -> Result<()> {
    let (s3, secrets) = (S3::start().await?, tempfile::tempdir()?);
    let storage = s3.storage()?;
    storage.put("inbox/1.jsonl", json_lines(0..1_000)).await?;
    tidemill_dataset::write_parquet(&storage, "inbox/2.parquet", &[readings::batch(1_000..3_000)?]).await?;
    storage.put("inbox/3.arrow", arrow(3_000..4_000)?).await?;
    storage.put("inbox/4.ipc", views(4_000..5_000)?).await?;
    storage.put("inbox/5.csv.gz", gzip(csv(5_000..5_100).as_bytes())?).await?;
    let rig = rig(&bucket(&s3, secrets.path(), "")?).await?;
    let node = rig.ingestion().await?;
    let audit = holds(&rig, 5_100).await?;
    assert!(audit.has_exactly(0..5_100));
    assert_eq!(rig.dead_letters().await?.len(), 0);
    node.stop().await
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_a_bucket_are_taken_like_files() -> Result<()> {
    let (s3, secrets) = (S3::start().await?, tempfile::tempdir()?);
    let storage = s3.storage()?;
    let from = bucket(&s3, secrets.path(), ", match: \"*.csv\"")?;
    storage.put("inbox/2024/a.csv", csv(0..5_000)).await?;
    storage.put("inbox/b.jsonl", json_lines(7_000..7_010)).await?;
    storage.put("elsewhere/c.csv", csv(8_000..8_010)).await?;
    let rig = rig(&from).await?;
    let node = rig.ingestion().await?;
    holds(&rig, 5_000).await?;
    node.abort().await;
    storage.put("inbox/d.csv", csv(5_000..5_500)).await?;
    let node = rig.ingestion().await?;
    let audit = holds(&rig, 5_500).await?;
    assert!(audit.has_exactly(0..5_500));
    node.stop().await
}
