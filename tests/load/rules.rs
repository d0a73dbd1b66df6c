//! Twenty rules on twelve columns, beside one pass of arrow's comparison kernels over the same columns.

use anyhow::{Result, ensure};
use arrow::array::{
    Array as _, ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch, Scalar, StringArray,
    TimestampMillisecondArray,
};
use arrow::compute::kernels::cmp;
use rand::RngExt as _;
use rand_pcg::Pcg64Mcg;
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidemill_quality::Rules;
use tidemill_spec::{Rule, Source, read_yaml};

const BATCHES: usize = 16;
const ROWS: usize = 65_536;
/// 2013-01-01T00:00:00Z
const BEGIN: i64 = 1_356_998_400_000;

const RULES: &str = r#"
- {id: r01, not_null: id, on_fail: quarantine}
- {id: r02, positive: id, on_fail: quarantine}
- {id: r03, in_set: {column: code, values: [OPEN, PAID, SENT, BACK, LOST]}, on_fail: quarantine}
- {id: r04, not_in_set: {column: code, values: [TEST, "N/A"]}, on_fail: quarantine}
- {id: r05, country_code: country, on_fail: quarantine}
- {id: r06, regex: {column: sku, pattern: "^[A-Z]{2}[0-9]{4}$"}, on_fail: quarantine}
- {id: r07, length: {column: sku, min: 6, max: 6}, on_fail: quarantine}
- {id: r08, trimmed: name, on_fail: quarantine}
- {id: r09, not_blank: name, on_fail: quarantine}
- {id: r10, range: {column: amount, min: 0, max: 10000}, on_fail: quarantine}
- {id: r11, finite: amount, on_fail: quarantine}
- {id: r12, non_negative: tax, on_fail: quarantine}
- {id: r13, compare: {left: net, is: "<=", right: amount}, on_fail: quarantine}
- {id: r14, sum_equals: {columns: [net, tax], total: amount, tolerance: 0.01}, on_fail: quarantine}
- {id: r15, range: {column: quantity, min: 1, max: 100}, on_fail: quarantine}
- {id: r16, latitude: lat, on_fail: quarantine}
- {id: r17, bounding_box: {latitude: lat, longitude: lon, south: -60, north: 75, west: -180, east: 180}, on_fail: warn}
- {id: r18, date_range: {column: at, from: 2013-01-01, until: 2014-01-01}, on_fail: quarantine}
- {id: r19, not_in_future: {column: at, tolerance: 1m}, on_fail: quarantine}
- {id: r20, expr: "quantity > 0 or code = 'OPEN'", on_fail: quarantine}
"#;

fn source() -> Result<Source> {
    let mut columns = serde_json::Map::new();
    for (name, kind) in [
        ("id", "int64"),
        ("code", "string"),
        ("country", "string"),
        ("sku", "string"),
        ("name", "string"),
        ("amount", "float64"),
        ("net", "float64"),
        ("tax", "float64"),
        ("quantity", "int32"),
        ("lat", "float64"),
        ("lon", "float64"),
        ("at", "timestamp"),
    ] {
        columns.insert(name.to_owned(), json!({"type": kind, "nullable": name != "at"}));
    }
    Ok(serde_json::from_value(json!({"key": ["id"], "event_time": "at", "columns": columns}))?)
}

/// Rows of which about one in a thousand is wrong somewhere; a hundredth of the amounts is null.
fn rows(rng: &mut Pcg64Mcg, first: i64) -> Result<RecordBatch> {
    let range = || first..first + ROWS as i64;
    let pick = |rng: &mut Pcg64Mcg, of: &[&'static str]| of[rng.random_range(0..of.len())];
    let codes = ["OPEN", "PAID", "SENT", "BACK", "LOST"];
    let countries = ["DE", "FR", "US", "JP", "BR", "IN", "ZA", "GB", "IT", "PL"];
    let net: Vec<f64> = range().map(|_| f64::from(rng.random_range(100..900_000_u32)) / 100.0).collect();
    let tax: Vec<f64> = net.iter().map(|net| (net * 19.0).round() / 100.0).collect();
    let wrong: Vec<bool> = range().map(|_| rng.random_range(0..1_000_u32) == 0).collect();
    let amount: Vec<Option<f64>> = net
        .iter()
        .zip(&tax)
        .map(|(net, tax)| (rng.random_range(0..100_u32) > 0).then_some(((net + tax) * 100.0).round() / 100.0))
        .map(|amount| amount.map(|a| a.min(9_999.0)))
        .collect();
    let net: Vec<f64> = net.iter().zip(&tax).map(|(net, tax)| net.min(9_999.0 - tax)).collect();
    let at = range().map(|n| BEGIN + n * 1_000);
    let sku = |rng: &mut Pcg64Mcg| {
        format!("{}{}{:04}", pick(rng, &["A", "B", "C"]), pick(rng, &["X", "Y"]), rng.random_range(0..500_u32))
    };
    let texts = |values: Vec<String>| Arc::new(StringArray::from(values)) as ArrayRef;
    let stamps = |offset: i64| -> ArrayRef {
        Arc::new(
            TimestampMillisecondArray::from_iter_values(range().map(|n| BEGIN + n * 1_000 + offset))
                .with_timezone("UTC"),
        )
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("amount", Arc::new(Float64Array::from(amount))),
        ("at", Arc::new(TimestampMillisecondArray::from_iter_values(at).with_timezone("UTC"))),
        ("code", Arc::new(StringArray::from_iter_values(range().map(|_| pick(rng, &codes))))),
        ("country", Arc::new(StringArray::from_iter_values(range().map(|_| pick(rng, &countries))))),
        ("id", Arc::new(Int64Array::from_iter_values(range().map(|n| n + 1)))),
        ("lat", Arc::new(Float64Array::from_iter_values(range().map(|_| rng.random_range(-60.0..75.0))))),
        ("lon", Arc::new(Float64Array::from_iter_values(range().map(|_| rng.random_range(-180.0..180.0))))),
        ("name", texts(range().map(|n| format!("Customer number {n}")).collect())),
        ("net", Arc::new(Float64Array::from(net))),
        ("quantity", Arc::new(Int32Array::from_iter_values(wrong.iter().map(|wrong| if *wrong { 0 } else { 7 })))),
        ("sku", texts(range().map(|_| sku(rng)).collect())),
        ("tax", Arc::new(Float64Array::from(tax))),
        ("tm_known_at", stamps(500)),
    ];
    Ok(RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true)))?)
}

/// One comparison with a constant per rule, over the column of the rule.
fn limit(batch: &RecordBatch) -> Result<()> {
    let numbers = [
        "id", "id", "amount", "amount", "tax", "net", "amount", "lat", "lat", "lon", "at", "at", "quantity", "quantity",
    ];
    let texts = ["code", "code", "country", "sku", "sku", "name"];
    for name in numbers.into_iter().chain(texts) {
        let column = batch.column_by_name(name).ok_or_else(|| anyhow::anyhow!("{name}"))?;
        let constant = Scalar::new(column.slice(7, 1));
        black_box(cmp::lt_eq(column, &constant)?);
    }
    Ok(())
}

#[test]
#[ignore = "benchmark"]
fn twenty_rules_on_twelve_columns() -> Result<()> {
    let rules: Vec<Rule> = read_yaml(RULES)?;
    ensure!(rules.len() == 20);
    let compiled = Rules::compile(&source()?, &rules)?;
    let mut rng = Pcg64Mcg::new(7);
    let batches = (0..BATCHES).map(|n| rows(&mut rng, (n * ROWS) as i64)).collect::<Result<Vec<_>>>()?;
    let (mut ours, mut kernels) = (Duration::MAX, Duration::MAX);
    let (mut aside, mut by_rule) = (0, vec![Duration::ZERO; rules.len()]);
    for _ in 0..5 {
        let begin = Instant::now();
        aside = 0;
        for batch in &batches {
            aside += black_box(compiled.check_rows(batch)?).quarantined.num_rows();
        }
        ours = ours.min(begin.elapsed());
        let begin = Instant::now();
        batches.iter().try_for_each(limit)?;
        kernels = kernels.min(begin.elapsed());
    }
    for (nth, rule) in rules.iter().enumerate() {
        let one = Rules::compile(&source()?, std::slice::from_ref(rule))?;
        let begin = Instant::now();
        for batch in &batches {
            black_box(one.check_rows(batch)?);
        }
        by_rule[nth] = begin.elapsed();
    }
    let all = (BATCHES * ROWS) as f64;
    ensure!(aside > 0 && (aside as f64) < 0.01 * all, "{aside} rows were set aside");
    let rate = all / ours.as_secs_f64();
    println!(
        "20 rules on 12 columns, one core: {:.2} M rows/s, {:.0} ns a row; {aside} of {all:.0} rows set aside; one arrow \
         comparison a rule: {:.2} M rows/s; ratio {:.3}",
        rate / 1e6,
        1e9 / rate,
        all / kernels.as_secs_f64() / 1e6,
        kernels.as_secs_f64() / ours.as_secs_f64(),
    );
    let mut slow: Vec<_> =
        rules.iter().zip(&by_rule).map(|(rule, took)| (took.as_secs_f64() * 1e9 / all, rule)).collect();
    slow.sort_by(|a, b| b.0.total_cmp(&a.0));
    for (nanos, rule) in slow.iter().take(6) {
        println!("  {nanos:.1} ns a row: {}", rule.in_words());
    }
    ensure!(rate > 2e6, "{rate:.0} rows/s are fewer than two million");
    Ok(())
}
