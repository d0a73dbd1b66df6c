//! A batch gives what its rows give one by one, bit for bit.

use super::{batch, table};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use tidemill_expr::Compiled;

/// All rows of the small batch, repeated in varied order so that masks and buffers cross byte borders.
fn shuffled() -> RecordBatch {
    let batch = batch();
    let order: arrow::array::UInt32Array = (0..137u32).map(|n| Some((n * n + n / 3) % 4)).collect();
    let columns: Vec<ArrayRef> =
        batch.columns().iter().map(|column| arrow::compute::take(column, &order, None).unwrap()).collect();
    RecordBatch::try_new(batch.schema(), columns).unwrap()
}

fn same_bits(left: &ArrayRef, right: &ArrayRef) -> bool {
    if left.data_type() != &DataType::Float64 {
        return left == right;
    }
    let (left, right) = (left.as_primitive::<Float64Type>(), right.as_primitive::<Float64Type>());
    left.iter().map(|x| x.map(f64::to_bits)).eq(right.iter().map(|x| x.map(f64::to_bits)))
}

const MORE: &[&str] = &[
    "case when i < 100 then i * i + j when s like 'A%' then -i else coalesce(u, j * 2) end",
    "if(x > 0, ln(x) * sin(f) + exp(f) / pow(f, 3), cyclic_cos(j, 7))",
    "coalesce(nullif(x, 1.5), f, i / 3)",
    "case d when 'on' then x when lower('OFF') then f end",
    "least(x, f, j) + greatest(x, f, j)",
    "i > 10 or (j in (1, 2, 3) and not b) or i + 0 is null",
];

#[test]
fn rows_do_not_see_each_other() {
    let batch = shuffled();
    for text in table::texts().chain(MORE.iter().copied()) {
        let compiled = Compiled::new(text, &batch.schema()).unwrap_or_else(|error| panic!("{text}: {error}"));
        let whole = compiled.evaluate(&batch).unwrap_or_else(|error| panic!("{text}: {error}"));
        for row in 0..batch.num_rows() {
            let alone = compiled.evaluate(&batch.slice(row, 1)).unwrap();
            assert!(same_bits(&alone, &whole.slice(row, 1)), "{text}, row {row}: {alone:?} is not {whole:?}");
        }
    }
}
