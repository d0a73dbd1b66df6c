//! The feature engine beside the Parquet reader that feeds it.

use crate::flights::Flights;
use anyhow::{Result, ensure};
use std::time::{Duration, Instant};
use tidemill_dataset::{read_parquet, write_parquet};
use tidemill_testkit::Store;
use tidemill_types::Millis;

/// 2013-04-01T00:00:00Z: a quarter of flights.
const UNTIL: Millis = Millis(1_364_774_400_000);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn feature_replay() -> Result<()> {
    let flights = Flights::load(UNTIL).await?;
    let store = Store::local()?;
    for (source, rows) in &flights.sources {
        write_parquet(store.storage(), &format!("{source}.parquet"), std::slice::from_ref(rows)).await?;
    }
    let (mut read, mut replayed) = (Duration::MAX, Duration::MAX);
    for _ in 0..2 {
        let begin = Instant::now();
        let mut rows = 0;
        for (source, _) in &flights.sources {
            let batches = read_parquet(store.storage(), &format!("{source}.parquet"), None).await?;
            rows += batches.iter().map(|b| b.num_rows()).sum::<usize>();
        }
        ensure!(rows == flights.events(), "{rows} rows of {}", flights.events());
        read = read.min(begin.elapsed());
        let begin = Instant::now();
        let vectors = tokio::task::block_in_place(|| flights.vectors())?;
        ensure!(vectors.num_rows() == flights.as_of.len(), "{} vectors", vectors.num_rows());
        replayed = replayed.min(begin.elapsed());
    }
    let seconds = replayed.as_secs_f64();
    println!(
        "feature replay on one core: {:.0} events/s and {:.0} vectors of {} features/s together; \
         the Parquet reader: {:.0} rows/s; ratio {:.3}",
        flights.events() as f64 / seconds,
        flights.as_of.len() as f64 / seconds,
        flights.plan.schema().fields().len(),
        flights.events() as f64 / read.as_secs_f64(),
        read.as_secs_f64() / seconds,
    );
    Ok(())
}
