//! The one-pass profile of a large Parquet file, beside DuckDB reading and aggregating the same file.
//!
//! Each runs in a process of its own, so that peak memory is its own. DuckDB computes what SQL can say of a profile:
//! counts, distinct, top-k, extremes, mean, deviation, three quantiles. The profile holds more: moments up to the fourth,
//! exact repeats of rows, keys and instants, outermost values, a sample. `dataset profile FILE --report`, which a person
//! waits for, is measured beside both: it adds relations, tests and the page.

use anyhow::{Context as _, Result, ensure};
use arrow::array::{
    ArrayRef, AsArray as _, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMillisecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type, TimestampMillisecondType};
use rand::{RngExt as _, SeedableRng as _};
use rand_pcg::Pcg64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;
use tidemill_dataset::{LocalParquet, read_parquet, write_parquet};
use tidemill_explore::{ScanOptions, Scanned, Shape, scan};
use tidemill_storage::{S3Options, Storage};
use tidemill_testkit::Store;
use tidemill_tests::python;

const ROWS: usize = 5_000_000;
/// Rows of one part while the table is made.
const PART: usize = 500_000;
const THREADS: usize = 2;
/// Best of so many runs each.
const RUNS: usize = 3;
/// Names the file to the process that profiles it.
const FILE: &str = "TIDEMILL_PROFILE_FILE";

/// Flights over and over, each time with other noise: 12 columns of all sorts.
fn part(flights: &RecordBatch, first: usize, rng: &mut Pcg64) -> Result<RecordBatch> {
    let rows = PART.min(ROWS - first);
    let at = |i: usize| (first + i) % flights.num_rows();
    let column = |name: &str| flights.column_by_name(name).with_context(|| format!("no {name}"));
    let numbers = |name: &str| -> Result<Float64Array> {
        Ok(cast(column(name)?, &DataType::Float64)?.as_primitive::<Float64Type>().clone())
    };
    let texts =
        |name: &str| -> Result<StringArray> { Ok(cast(column(name)?, &DataType::Utf8)?.as_string::<i32>().clone()) };
    let noisy = |values: &Float64Array, spread: f64, rng: &mut Pcg64| -> ArrayRef {
        let one =
            |i: usize| values.is_valid_at(at(i)).then(|| values.value(at(i)) + spread * (rng.random::<f64>() - 0.5));
        Arc::new((0..rows).map(one).collect::<Float64Array>())
    };
    let instants = cast(column("sched_dep_at")?, &DataType::Timestamp(arrow::datatypes::TimeUnit::Millisecond, None))?;
    let instants = instants.as_primitive::<TimestampMillisecondType>().clone();
    let again = |i: usize| ((first + i) / flights.num_rows()) as i64 * 31_536_000_000;
    let (carrier, dest, tail) = (texts("carrier")?, texts("dest")?, texts("tailnum")?);
    let (distance, delay, air) = (numbers("distance")?, numbers("dep_delay_min")?, numbers("air_time_min")?);
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new((0..rows).map(|i| Some((first + i) as i64)).collect::<Int64Array>())),
        (
            "sched_dep_at",
            Arc::new((0..rows).map(|i| Some(instants.value(at(i)) + again(i))).collect::<TimestampMillisecondArray>()),
        ),
        ("carrier", Arc::new((0..rows).map(|i| Some(carrier.value(at(i)))).collect::<StringArray>())),
        ("dest", Arc::new((0..rows).map(|i| Some(dest.value(at(i)))).collect::<StringArray>())),
        (
            "tailnum",
            Arc::new((0..rows).map(|i| tail.is_valid_at(at(i)).then(|| tail.value(at(i)))).collect::<StringArray>()),
        ),
        (
            "token",
            Arc::new((0..rows).map(|_| Some(format!("{:012x}", rng.random::<u64>() >> 16))).collect::<StringArray>()),
        ),
        ("distance_mi", noisy(&distance, 0.0, rng)),
        ("dep_delay_min", noisy(&delay, 1.0, rng)),
        ("air_time_min", noisy(&air, 0.01, rng)),
        ("passengers", Arc::new((0..rows).map(|_| Some(rng.random_range(0..400_i32))).collect::<Int32Array>())),
        ("seats_sold", Arc::new((0..rows).map(|_| Some(rng.random::<u32>() as i64)).collect::<Int64Array>())),
        (
            "late",
            Arc::new(
                (0..rows)
                    .map(|i| delay.is_valid_at(at(i)).then(|| delay.value(at(i)) > 15.0))
                    .collect::<BooleanArray>(),
            ),
        ),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))?)
}

trait Valid {
    fn is_valid_at(&self, row: usize) -> bool;
}

impl<A: arrow::array::Array> Valid for A {
    fn is_valid_at(&self, row: usize) -> bool {
        self.is_valid(row)
    }
}

fn profiled(path: &Path) -> Result<Scanned> {
    let file = LocalParquet::open(path)?;
    let columns: Vec<Field> = file.schema().fields().iter().map(|field| field.as_ref().clone()).collect();
    let shape = Shape { columns, groups: file.row_groups() };
    let options = ScanOptions { threads: THREADS, ..ScanOptions::default() };
    scan(&shape, &options, |group, column, visit| file.read::<anyhow::Error>(group, column, visit))
}

/// The part of the benchmark that runs in a process of its own.
#[test]
#[ignore = "benchmark"]
fn profile_in_a_process_of_its_own() -> Result<()> {
    let Some(path) = std::env::var_os(FILE) else { return Ok(()) };
    let begin = Instant::now();
    let scanned = profiled(Path::new(&path))?;
    let seconds = begin.elapsed().as_secs_f64();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok());
    let peak = peak.context("no VmHWM")? / 1024.0;
    println!("profiled {} rows in {seconds} s with {peak} MB", scanned.profile.rows);
    Ok(())
}

fn number_before(text: &str, unit: &str) -> Result<f64> {
    let before = text.split(unit).next().and_then(|head| head.rsplit(' ').next());
    Ok(before.with_context(|| format!("no number before {unit} in {text}"))?.parse()?)
}

/// Seconds and peak megabytes of the best run.
fn ours(path: &Path) -> Result<(f64, f64)> {
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let mut run = Command::new(std::env::current_exe()?);
        run.args(["--ignored", "--exact", "profile::profile_in_a_process_of_its_own", "--nocapture"]).env(FILE, path);
        let output = run.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let line = text.lines().find(|line| line.contains("profiled ")).with_context(|| text.clone())?;
        let (seconds, peak) = (number_before(line, " s with")?, number_before(line, " MB")?);
        best = if seconds < best.0 { (seconds, peak) } else { best };
    }
    Ok(best)
}

/// Seconds and peak megabytes of the best run of the whole command, from the start of its process to the report.
fn command(path: &Path) -> Result<(f64, f64)> {
    let cargo = std::env::var_os("CARGO").context("the benchmark runs by cargo")?;
    let built = Command::new(cargo).args(["build", "--workspace", "--locked", "--bin", "tidemill"]).status()?;
    ensure!(built.success(), "the program cannot be built");
    // The benchmark lies in `deps` beside it.
    let own = std::env::current_exe()?;
    let program = own.parent().and_then(Path::parent).context("no folder of programs")?.join("tidemill");
    let (script, python) = (scripts().join("measured.py"), python()?);
    let mut best = (f64::INFINITY, f64::INFINITY);
    for _ in 0..RUNS {
        let mut run = Command::new(&python);
        run.arg(&script).arg(&program).args(["dataset", "profile"]).arg(path).arg("--report");
        run.arg(path.with_extension("html")).arg("--threads").arg(THREADS.to_string());
        let output = run.output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        let number = |name: &str| answer[name].as_f64().with_context(|| format!("no {name} in {answer}"));
        let (seconds, peak) = (number("seconds")?, number("peak_mb")?);
        best = if seconds < best.0 { (seconds, peak) } else { best };
    }
    Ok(best)
}

fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("load")
}

fn python() -> Result<PathBuf> {
    python::environment("duckdb", &scripts().join("profile.requirements.txt"))
}

fn theirs(path: &Path) -> Result<(f64, f64, String)> {
    let (script, python) = (scripts().join("profile_duckdb.py"), python()?);
    let mut best = (f64::INFINITY, f64::INFINITY, String::new());
    for _ in 0..RUNS {
        let mut run = Command::new(&python);
        let output = run.arg(&script).arg(path).arg(THREADS.to_string()).output()?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
        ensure!(answer["rows"] == ROWS, "{answer}");
        let number = |name: &str| answer[name].as_f64().with_context(|| format!("no {name} in {answer}"));
        let seconds = number("seconds")?;
        if seconds < best.0 {
            best = (seconds, number("peak_mb")?, answer["version"].as_str().unwrap_or_default().to_owned());
        }
    }
    Ok(best)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "benchmark"]
async fn profile_of_a_large_file() -> Result<()> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../infra/examples/flights/data").canonicalize()?;
    let source = Storage::open(&format!("file://{}", data.display()), &S3Options::default())?;
    let flights = read_parquet(&source, "flights.parquet", None).await?;
    let flights = arrow::compute::concat_batches(&flights[0].schema(), &flights)?;
    let store = Store::local()?;
    let mut rng = Pcg64::seed_from_u64(11);
    let parts = (0..ROWS).step_by(PART).map(|first| part(&flights, first, &mut rng));
    let parts = parts.collect::<Result<Vec<_>>>()?;
    write_parquet(store.storage(), "large.parquet", &parts).await?;
    drop(parts);
    let path = store.dir().join("large.parquet");
    let megabytes = std::fs::metadata(&path)?.len() / 1_000_000;
    let (seconds, peak) = tokio::task::block_in_place(|| ours(&path))?;
    let (whole_seconds, whole_peak) = tokio::task::block_in_place(|| command(&path))?;
    let (their_seconds, their_peak, version) = tokio::task::block_in_place(|| theirs(&path))?;
    println!(
        "profile of {ROWS} × 12 ({megabytes} MB of Parquet, {THREADS} threads): {seconds:.2} s, peak {peak:.0} MB; \
         DuckDB {version} reading and aggregating the same: {their_seconds:.2} s, peak {their_peak:.0} MB; \
         ratio {:.2} of DuckDB's time (limit 2), memory limit 1000 MB; the command with relations, tests and report: \
         {whole_seconds:.2} s, peak {whole_peak:.0} MB",
        seconds / their_seconds
    );
    ensure!(seconds <= 2.0 * their_seconds && peak <= 1_000.0, "the profile misses its limits");
    Ok(())
}
