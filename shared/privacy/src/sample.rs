//! A bounded sample of a column as text.

use arrow::array::{Array, ArrayRef, AsArray as _, UInt64Array};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// SplitMix64: one step of a sequence that is the same for the same seed.
fn mixed(seed: u64, step: u64) -> u64 {
    let mut z = seed.wrapping_add(step.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Whether values of a type can be personal data at all.
pub(crate) fn is_examined(kind: &DataType) -> bool {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => true,
        DataType::Int32 | DataType::Int64 | DataType::UInt32 | DataType::UInt64 | DataType::Int16 => true,
        DataType::Float32 | DataType::Float64 => true,
        DataType::Date32 | DataType::Date64 | DataType::Timestamp(_, _) => true,
        DataType::Dictionary(_, values) => is_examined(values),
        _ => false,
    }
}

/// At most `most` values that are not null, one from each stretch of equal length, chosen by the seed.
pub(crate) fn values(array: &ArrayRef, most: usize, seed: u64) -> Result<Vec<String>, ArrowError> {
    if !is_examined(array.data_type()) {
        return Ok(Vec::new());
    }
    let present = array.len() - array.logical_null_count();
    let most = most.min(present);
    if most == 0 {
        return Ok(Vec::new());
    }
    let nulls = array.logical_nulls();
    let all: Vec<u64> = match nulls.as_ref().filter(|nulls| nulls.null_count() > 0) {
        Some(nulls) => nulls.valid_indices().map(|row| row as u64).collect(),
        None => (0..array.len() as u64).collect(),
    };
    let bounds = |nth: usize| nth * all.len() / most;
    let chosen = (0..most).filter_map(|nth| {
        let (from, to) = (bounds(nth), bounds(nth + 1));
        let step = usize::try_from(mixed(seed, nth as u64) % (to - from).max(1) as u64).unwrap_or(0);
        all.get(from + step).copied()
    });
    let taken = take(array, &UInt64Array::from_iter_values(chosen), None)?;
    let text = cast(&taken, &DataType::Utf8)?;
    let text = text.as_string::<i32>();
    Ok(text.iter().flatten().map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn a_sample_is_bounded_spread_and_the_same_for_a_seed() {
        let column: ArrayRef = Arc::new(Int64Array::from_iter((0..10_000).map(|n| (n % 3 != 0).then_some(n))));
        let first = values(&column, 100, 7).unwrap();
        assert_eq!(first.len(), 100);
        assert_eq!(first, values(&column, 100, 7).unwrap());
        assert_ne!(first, values(&column, 100, 8).unwrap());
        let numbers: Vec<i64> = first.iter().map(|text| text.parse().unwrap()).collect();
        assert!(numbers.windows(2).all(|pair| pair[0] < pair[1]) && numbers[0] < 200 && numbers[99] > 9_800);
    }

    #[test]
    fn nulls_and_empty_columns_give_nothing() {
        let column: ArrayRef = Arc::new(StringArray::from(vec![None, Some("a"), None]));
        assert_eq!(values(&column, 10, 0).unwrap(), ["a"]);
        let empty: ArrayRef = Arc::new(StringArray::from(Vec::<Option<&str>>::new()));
        assert!(values(&empty, 10, 0).unwrap().is_empty());
    }
}
