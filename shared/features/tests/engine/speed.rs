//! Throughput on synthetic flights with the example's whole feature set.

use crate::data::{HOUR, MINUTE, Random, flights, source};
use arrow::array::{
    ArrayRef, Float32Array, Int16Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use std::sync::Arc;
use std::time::Instant;
use tidemill_features::{Feed, Plan, Replay, Status};
use tidemill_types::{Millis, SourceName};

/// Days simulated: about 85,000 events.
const DAYS: i64 = 30;
const FLIGHTS_A_DAY: i64 = 920;

struct Flight {
    id: i32,
    sched: i64,
    carrier: String,
    number: i16,
    tail: Option<String>,
    origin: &'static str,
    dest: String,
    delay: i16,
    cancelled: bool,
}

fn simulate() -> Vec<Flight> {
    let mut random = Random(2013);
    let mut flights = Vec::new();
    for id in 0..DAYS * FLIGHTS_A_DAY {
        let day = id / FLIGHTS_A_DAY;
        let carrier = random.below(16);
        let (dest, number, tail) = (random.below(100), random.below(60), random.below(250));
        flights.push(Flight {
            id: id as i32,
            sched: (day + 2) * 24 * HOUR + 5 * HOUR + random.below(18 * 60) * MINUTE,
            carrier: format!("C{carrier}"),
            number: (carrier * 100 + number) as i16,
            tail: (random.below(130) != 0).then(|| format!("N{}", carrier * 250 + tail)),
            origin: ["EWR", "JFK", "LGA"][random.below(3) as usize],
            dest: format!("D{dest:02}"),
            delay: (random.below(60) + random.below(60) * random.below(2) - 20) as i16,
            cancelled: random.below(40) == 0,
        });
    }
    flights
}

type Column<'a, T> = &'a dyn Fn(&Flight) -> T;

fn batch(rows: &[&Flight], known: Column<'_, i64>, more: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let instants = |get: Column<'_, i64>| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| get(r))).with_timezone("UTC"))
    };
    let texts = |get: &dyn Fn(&Flight) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|r| get(r)).collect::<StringArray>())
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("flight_id", Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| r.id)))),
        ("sched_dep_at", instants(&|r| r.sched)),
        ("carrier", texts(&|r| Some(r.carrier.clone()))),
        ("flight", Arc::new(Int16Array::from_iter_values(rows.iter().map(|r| r.number)))),
        ("tailnum", texts(&|r| r.tail.clone())),
        ("origin", texts(&|r| Some(r.origin.to_owned()))),
        ("dest", texts(&|r| Some(r.dest.clone()))),
        ("tm_seq", Arc::new(Int64Array::from_iter_values(rows.iter().map(|r| i64::from(r.id))))),
        ("tm_row", Arc::new(Int32Array::from_iter_values(rows.iter().map(|_| 0)))),
        ("tm_known_at", instants(known)),
    ];
    columns.extend(more);
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

fn feed(
    flights: &[Flight],
    keep: impl Fn(&Flight) -> bool,
    known: Column<'_, i64>,
    more: impl Fn(&[&Flight]) -> Vec<(&'static str, ArrayRef)>,
) -> Feed<'static> {
    let mut rows: Vec<&Flight> = flights.iter().filter(|f| keep(f)).collect();
    rows.sort_by_key(|f| known(f));
    let batches: Vec<_> = rows.chunks(8_192).map(|rows| Ok(batch(rows, known, more(rows)))).collect();
    Box::new(batches.into_iter())
}

fn weather() -> Feed<'static> {
    let hours: Vec<i64> = (0..(DAYS + 3) * 24).flat_map(|h| [h * HOUR; 3]).collect();
    let origins: StringArray = (0..hours.len()).map(|i| Some(["EWR", "JFK", "LGA"][i % 3])).collect();
    let at = |delay: i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(hours.iter().map(|h| h + delay)).with_timezone("UTC"))
    };
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("origin", Arc::new(origins)),
        ("observed_at", at(0)),
        ("tm_known_at", at(15 * MINUTE)),
        ("tm_seq", Arc::new(Int64Array::from_iter_values(0..hours.len() as i64))),
        ("tm_row", Arc::new(Int32Array::from_iter_values(hours.iter().map(|_| 0)))),
    ];
    for name in ["temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib"] {
        columns.push((name, Arc::new(Float32Array::from_iter_values((0..hours.len()).map(|i| (i % 77) as f32)))));
    }
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    Box::new([Ok(batch)].into_iter())
}

#[test]
fn a_season_of_flights_replays_in_seconds() {
    let flights = simulate();
    let instants = |rows: &[&Flight], delay: i64| -> ArrayRef {
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|r| r.sched + delay)).with_timezone("UTC"))
    };
    let local = |rows: &[&Flight]| -> ArrayRef {
        Arc::new(Int16Array::from_iter_values(rows.iter().map(|r| (r.sched / HOUR % 24 * 100) as i16)))
    };
    let schedules = feed(
        &flights,
        |_| true,
        &|f| f.sched - 24 * HOUR,
        |rows| {
            let distance: ArrayRef = Arc::new(Int16Array::from_iter_values(rows.iter().map(|r| r.number + 100)));
            vec![
                ("published_at", instants(rows, -24 * HOUR)),
                ("sched_arr_at", instants(rows, 2 * HOUR)),
                ("distance", distance),
                ("sched_dep_local", local(rows)),
                ("sched_arr_local", local(rows)),
            ]
        },
    );
    let left = |f: &Flight| f.sched + i64::from(f.delay) * MINUTE;
    let delays = |rows: &[&Flight]| -> ArrayRef {
        Arc::new(rows.iter().map(|r| (!r.cancelled).then_some(r.delay)).collect::<Int16Array>())
    };
    let departures = feed(&flights, |f| !f.cancelled, &left, |rows| vec![("dep_delay_min", delays(rows))]);
    let outcomes = feed(
        &flights,
        |_| true,
        &|f| left(f) + 3 * HOUR,
        |rows| {
            let status =
                rows.iter().map(|r| Some(if r.cancelled { "cancelled" } else { "landed" })).collect::<StringArray>();
            vec![("arr_delay_min", delays(rows)), ("status", Arc::new(status)), ("air_time_min", delays(rows))]
        },
    );
    let feeds: Vec<(SourceName, Feed<'static>)> = vec![
        (source("schedules"), schedules),
        (source("departures"), departures),
        (source("outcomes"), outcomes),
        (source("weather"), weather()),
    ];
    let mut asked: Vec<&Flight> = flights.iter().collect();
    asked.sort_by_key(|f| f.sched);
    let keys: ArrayRef = Arc::new(Int32Array::from_iter_values(asked.iter().map(|f| f.id)));
    let as_of: Vec<Millis> = asked.iter().map(|f| Millis(f.sched - 2 * HOUR)).collect();

    let plan = Arc::new(Plan::compile(&self::flights()).unwrap());
    let start = Instant::now();
    let mut replay = Replay::new(plan, feeds).unwrap();
    let reading = replay.read(&keys, &as_of).unwrap();
    let took = start.elapsed();
    let engine = replay.into_engine();
    let reads = as_of.len() as f64;
    println!("{reads} reads in {took:?}: {:.0} reads/s, {:?}", reads / took.as_secs_f64(), engine.size());
    assert!(reading.status.iter().all(|s| *s == Status::Present));
    let backlog = reading.batch.column_by_name("backlog_o3").unwrap();
    assert_eq!(backlog.null_count(), 0);
    assert!(took.as_secs() < 60, "{took:?} for {reads} reads");

    let one = Instant::now();
    let rounds = 200;
    for i in 0..rounds {
        let at = asked.len() - 1 - i;
        engine.read(&keys.slice(at, 1), &as_of[at..=at]).unwrap();
    }
    println!("one read of all features: {:?}", one.elapsed() / rounds as u32);
}
