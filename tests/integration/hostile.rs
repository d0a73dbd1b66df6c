//! Hostile events among good ones: each is set aside with code, reason and position, and the line goes on.

use anyhow::{Context as _, Result, bail, ensure};
use arrow::array::RecordBatch;
use rand::seq::SliceRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64Mcg;
use std::collections::BTreeMap;
use tidemill_bus::Outgoing;
use tidemill_contracts::headers;
use tidemill_tests::audit::Findings;
use tidemill_tests::messages::{self, Form, Messages};
use tidemill_tests::rig::{header, origin};
use tidemill_tests::{Published, Rig};

const GOOD: i64 = 20_000;
const BAD: i64 = 1_000;
/// Readings of the mended events have numbers from here on.
const MENDED: i64 = 1_000_000;

/// Rows of a hostile Arrow message; a number that occurs nowhere else in its envelope.
const ROWS: i64 = 777;

/// The twelve kinds and the code that each must be given.
const KINDS: [(&str, &str); 12] = [
    ("truncated_json", "TM0304"),
    ("not_utf8", "TM0303"),
    ("no_object", "TM0305"),
    ("unknown_column", "TM0308"),
    ("missing_column", "TM0310"),
    ("wrong_type", "TM0312"),
    ("out_of_range", "TM0313"),
    ("bad_instant", "TM0314"),
    ("unknown_content_type", "TM0302"),
    ("arrow_compressed_length", "TM0316"),
    ("arrow_row_count", "TM0306"),
    ("damaged_frame", "TM0318"),
];

/// A length that no machine has: a decoder that believes it ends the process.
const ABSURD: [u8; 8] = (1_i64 << 60).to_le_bytes();

/// A plain Arrow stream of a batch, not inside a zstd frame.
fn plain_stream(batch: &RecordBatch) -> Result<Vec<u8>> {
    let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    Ok(writer.into_inner()?)
}

/// A stream with compressed buffers of which one says that it unfolds to 2^60 bytes.
fn compressed_length() -> Result<Vec<u8>> {
    let mut stream = include_bytes!("../../shared/conform/tests/data/compressed_buffers.arrows").to_vec();
    let magics: [[u8; 4]; 2] = [[0x28, 0xb5, 0x2f, 0xfd], [0x04, 0x22, 0x4d, 0x18]];
    let at = stream.windows(4).position(|window| magics.iter().any(|magic| window == magic));
    let at = at.filter(|at| *at >= 8).context("no compressed buffer in the sample")?;
    stream[at - 8..at].copy_from_slice(&ABSURD);
    Ok(stream)
}

/// A stream that says it has 2^60 rows, in its batch and in its columns.
fn row_count() -> Result<Vec<u8>> {
    let mut stream = plain_stream(&messages::batch(0..ROWS)?)?;
    let wanted = ROWS.to_le_bytes();
    let found = stream.windows(8).take(1_200).enumerate().filter(|(_, window)| *window == wanted);
    let places: Vec<usize> = found.map(|(at, _)| at).collect();
    ensure!(places.len() >= 5, "row counts of the batch and its four columns: {places:?}");
    for at in places {
        stream[at..at + 8].copy_from_slice(&ABSURD);
    }
    Ok(stream)
}

fn hostile(kind: &str, n: i64, rng: &mut Pcg64Mcg) -> Result<(&'static str, Vec<u8>)> {
    let good = messages::object(n);
    let json = |text: String| (headers::JSON, text.into_bytes());
    Ok(match kind {
        "truncated_json" => json(good[..rng.random_range(1..good.len())].to_owned()),
        "not_utf8" => (headers::JSON, [good.as_bytes(), &[0xff, 0xfe]].concat()),
        "no_object" => json(format!("[{n}]")),
        "unknown_column" => json(good.replace(r#""value""#, r#""valve""#)),
        "missing_column" => json(format!(r#"{{"n":{n},"meter":"m"}}"#)),
        "wrong_type" => json(good.replacen(&n.to_string(), r#""many""#, 1)),
        "out_of_range" => json(good.replacen(&n.to_string(), "9223372036854775808", 1)),
        "bad_instant" => json(format!(r#"{{"n":{n},"at":"2024-13-45T99:00:00Z","meter":"m","value":1.0}}"#)),
        "unknown_content_type" => ("text/csv", good.into_bytes()),
        "arrow_compressed_length" => (headers::ARROW_STREAM, compressed_length()?),
        "arrow_row_count" => (headers::ARROW_STREAM, row_count()?),
        "damaged_frame" => {
            let mut frame = messages::body(Form::Arrow, n..n + ROWS)?;
            frame.truncate(rng.random_range(20..frame.len() - 4));
            (headers::ARROW_STREAM, frame)
        }
        other => bail!("no kind {other}"),
    })
}

/// A hostile event: its number, its message and the code it must be given.
struct Hostile {
    number: i64,
    message: Outgoing,
    code: &'static str,
}

fn all_hostile(messages: &Messages, rng: &mut Pcg64Mcg) -> Result<Vec<Hostile>> {
    let kinds = KINDS.iter().cycle();
    (MENDED..MENDED + BAD)
        .zip(kinds)
        .map(|(number, (kind, code))| {
            let (content_type, body) = hostile(kind, number, rng)?;
            let message = messages.event(content_type, &format!("event-{number}"), body)?;
            Ok(Hostile { number, message, code })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_hostile_events_of_twelve_kinds_are_set_aside_and_land_once_when_mended() -> Result<()> {
    let rig = Rig::start().await?;
    let messages = Messages::new()?;
    let mut rng = Pcg64Mcg::seed_from_u64(2_013);
    let node = rig.ingestion().await?;

    let hostile = all_hostile(&messages, &mut rng)?;
    let mut line: Vec<(Outgoing, i64)> = Vec::new();
    for n in 0..GOOD {
        line.push((messages.readings(Form::Object, n..n + 1)?, 1));
    }
    // Rows of the hostile ones: none.
    line.extend(hostile.iter().map(|hostile| (hostile.message.clone(), 0)));
    line.shuffle(&mut rng);
    let mut published = Published::default();
    for part in line.chunks(1_000) {
        published.publish(&rig.bus, part).await?;
    }
    rig.caught_up(published.last()).await?;

    let audit = rig.audit().await?;
    assert_eq!(audit.against(&published), Findings::default());
    assert_eq!((audit.counts.rows, audit.counts.dead), (GOOD as u64, BAD as u64));
    check_letters(&rig, &hostile, &line).await?;

    // The owner mends each event and sends it again under its id.
    let mended: Vec<(Outgoing, i64)> = hostile
        .iter()
        .map(|hostile| {
            let body = messages::object(hostile.number).into_bytes();
            Ok((messages.event(headers::JSON, &format!("event-{}", hostile.number), body)?, 1))
        })
        .collect::<Result<_>>()?;
    for _ in 0..2 {
        published.publish(&rig.bus, &mended).await?;
    }
    rig.caught_up(published.last()).await?;
    node.stop().await?;
    let audit = rig.audit().await?;
    assert!(audit.numbers.keys().copied().eq((0..GOOD).chain(MENDED..MENDED + BAD)));
    assert_eq!(audit.doubled(), 0);
    assert_eq!((audit.counts.dead, audit.counts.duplicates), (BAD as u64, BAD as u64));
    Ok(())
}

async fn check_letters(rig: &Rig, hostile: &[Hostile], line: &[(Outgoing, i64)]) -> Result<()> {
    let letters = rig.dead_letters().await?;
    assert_eq!(letters.len(), hostile.len());
    let by_id: BTreeMap<&str, &Hostile> =
        hostile.iter().filter_map(|h| Some((h.message.headers.get(headers::CE_ID)?, h))).collect();
    let incarnation = rig.bus.incarnation(&rig.stream()?).await?;
    for letter in &letters {
        let id = header(letter, headers::CE_ID)?;
        let original = by_id.get(id).with_context(|| format!("no hostile event {id}"))?;
        assert_eq!(
            header(letter, headers::DEAD_CODE)?,
            original.code,
            "{id}: {:?}",
            header(letter, headers::DEAD_REASON)
        );
        assert!(header(letter, headers::DEAD_REASON)?.len() > 5, "{id} has no reason");
        assert!(!header(letter, headers::DEAD_POSITION)?.is_empty(), "{id} has no position");
        assert_eq!(header(letter, headers::DEAD_STREAM)?, incarnation);
        // The only row of an array is kept as it stands in it.
        let sent = &original.message.payload[..];
        let row = sent.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(sent);
        assert_eq!(letter.payload, row, "{id} is not kept as it came");
        // The line was published in order from sequence 1.
        let at = usize::try_from(origin(letter)? - 1)?;
        assert_eq!(line[at].0.headers.get(headers::CE_ID), Some(id), "{id} has another sequence");
    }
    Ok(())
}
