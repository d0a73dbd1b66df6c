//! From the tensors of a request to what is asked: entities whose features are to be fetched, or full rows.

use super::tensor::{Tensor, Values};
use crate::error::Error;
use arrow::array::{
    Array, ArrayRef, Float64Array, RecordBatch, StringArray, TimestampMillisecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeSet;
use std::sync::Arc;
use tidemill_types::Millis;

/// Name of the optional tensor with the instant of the prediction (`INT64`, milliseconds since 1970).
pub const AS_OF: &str = "as_of";

/// What a deployment accepts.
#[derive(Clone, Debug)]
pub struct Signature {
    /// Name of the entity key.
    pub key: String,
    /// Stored type of the key.
    pub key_type: DataType,
    /// Features in the order of the model: `Utf8` categories, everything else a number.
    pub features: Vec<Field>,
    /// Most rows in one request.
    pub max_rows: usize,
}

/// What a request asks.
#[derive(Debug)]
pub enum Question {
    /// Entities: features are to be fetched.
    Entities {
        /// Keys in request order.
        keys: ArrayRef,
        /// Instant per key; `None`: now.
        as_of: Option<TimestampMillisecondArray>,
    },
    /// Full rows: nothing is to be fetched.
    Rows {
        /// All features of the signature, in its order.
        features: RecordBatch,
        /// Keys for the log; null when not given.
        keys: ArrayRef,
        /// Instant per row for the log; `None`: now.
        as_of: Option<TimestampMillisecondArray>,
    },
}

impl Question {
    /// Number of predictions asked for.
    #[must_use]
    pub fn rows(&self) -> usize {
        match self {
            Self::Entities { keys, .. } | Self::Rows { keys, .. } => keys.len(),
        }
    }
}

/// Reads the tensors of a request. When any tensor names a feature the rows are taken as they are, absent
/// features being null; otherwise the tensor named like the entity key says whose features to fetch.
///
/// # Errors
/// Unknown, repeated or badly typed tensors, differing lengths, no rows, or too many.
pub fn question(signature: &Signature, tensors: &[Tensor]) -> Result<Question, Error> {
    let rows = common_rows(signature, tensors)?;
    let find = |name: &str| tensors.iter().find(|t| t.name == name);
    let as_of = find(AS_OF).map(instants).transpose()?;
    let keys = find(&signature.key).map(|t| keys(t, &signature.key_type)).transpose()?;
    let full = signature.features.iter().any(|f| find(f.name()).is_some());
    if full {
        let columns = signature.features.iter().map(|field| match find(field.name()) {
            Some(tensor) => feature(tensor, field.data_type()),
            None => Ok(new_null_array(field.data_type(), rows)),
        });
        let columns = columns.collect::<Result<Vec<_>, _>>()?;
        let schema = Arc::new(Schema::new(signature.features.clone()));
        let features = RecordBatch::try_new(schema, columns).map_err(Error::arrow("assembling feature rows"))?;
        let keys = keys.unwrap_or_else(|| new_null_array(&signature.key_type, rows));
        return Ok(Question::Rows { features, keys, as_of });
    }
    match keys {
        Some(keys) => Ok(Question::Entities { keys, as_of }),
        None => Err(Error::BadRequest(format!(
            "no tensor \"{}\" and no feature tensor: send entity keys or feature rows",
            signature.key
        ))),
    }
}

/// Checks names and lengths; returns the number of rows.
fn common_rows(signature: &Signature, tensors: &[Tensor]) -> Result<usize, Error> {
    let mut seen = BTreeSet::new();
    let mut rows = None;
    for tensor in tensors {
        let known = tensor.name == signature.key
            || tensor.name == AS_OF
            || signature.features.iter().any(|f| f.name() == &tensor.name);
        if !known {
            let features: Vec<_> = signature.features.iter().map(|f| f.name().as_str()).collect();
            let reason = format!("unknown; known are {}, {AS_OF}, {}", signature.key, features.join(", "));
            return Err(Error::tensor(&tensor.name, reason));
        }
        if !seen.insert(tensor.name.as_str()) {
            return Err(Error::tensor(&tensor.name, "given twice"));
        }
        let n = tensor.rows()?;
        if *rows.get_or_insert(n) != n {
            let reason = format!("{n} rows, where \"{}\" has {}", tensors[0].name, rows.unwrap_or(0));
            return Err(Error::tensor(&tensor.name, reason));
        }
    }
    match rows {
        None | Some(0) => Err(Error::BadRequest("the request has no rows".to_owned())),
        Some(n) if n > signature.max_rows => {
            Err(Error::BadRequest(format!("{n} rows in one request: at most {} are taken", signature.max_rows)))
        }
        Some(n) => Ok(n),
    }
}

fn instants(tensor: &Tensor) -> Result<TimestampMillisecondArray, Error> {
    let wrong = || Error::tensor(&tensor.name, "must be INT64: milliseconds since 1970-01-01T00:00:00Z");
    let millis = match &tensor.values {
        Values::Int(v) => v.clone(),
        Values::Uint(v) => v.iter().map(|x| i64::try_from(*x).map_err(|_| wrong())).collect::<Result<_, _>>()?,
        _ => return Err(wrong()),
    };
    if let Some(bad) = millis.iter().find(|t| Millis(**t).to_utc().is_none()) {
        return Err(Error::tensor(&tensor.name, format!("{bad} ms is outside the calendar")));
    }
    Ok(TimestampMillisecondArray::from(millis).with_timezone("UTC"))
}

/// Keys in their stored type, whatever integer type or text they came as.
fn keys(tensor: &Tensor, stored: &DataType) -> Result<ArrayRef, Error> {
    let texts = texts(tensor, "must be an integer or BYTES")?;
    let array: ArrayRef = Arc::new(StringArray::from(texts));
    if stored == &DataType::Utf8 {
        return Ok(array);
    }
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(&array, stored, &options)
        .map_err(|_| Error::tensor(&tensor.name, format!("a value does not fit the key's type {stored}")))
}

fn texts(tensor: &Tensor, wrong: &str) -> Result<Vec<String>, Error> {
    match &tensor.values {
        Values::Int(v) => Ok(v.iter().map(ToString::to_string).collect()),
        Values::Uint(v) => Ok(v.iter().map(ToString::to_string).collect()),
        Values::Bytes(v) => v.iter().map(|b| text(tensor, b).map(str::to_owned)).collect(),
        Values::Bool(_) | Values::Float(_) => Err(Error::tensor(&tensor.name, wrong)),
    }
}

/// Longest text of a key or category. A log message holds at least one whole row, so rows must stay small.
const TEXT_BYTES: usize = 1_024;

fn text<'a>(tensor: &Tensor, bytes: &'a [u8]) -> Result<&'a str, Error> {
    if bytes.len() > TEXT_BYTES {
        return Err(Error::tensor(&tensor.name, format!("an element is longer than {TEXT_BYTES} bytes")));
    }
    std::str::from_utf8(bytes).map_err(|_| Error::tensor(&tensor.name, "an element is not UTF-8"))
}

/// One feature column. The protocol has no null: NaN in a number and an empty text stand for it.
fn feature(tensor: &Tensor, stored: &DataType) -> Result<ArrayRef, Error> {
    if stored == &DataType::Utf8 {
        let Values::Bytes(values) = &tensor.values else {
            return Err(Error::tensor(&tensor.name, "is a category: must be BYTES"));
        };
        let texts = values.iter().map(|b| text(tensor, b).map(|t| (!t.is_empty()).then_some(t)));
        return Ok(Arc::new(StringArray::from(texts.collect::<Result<Vec<_>, _>>()?)));
    }
    #[expect(clippy::cast_precision_loss, reason = "features are Float64 everywhere; the same rounding as in training")]
    let numbers: Vec<f64> = match &tensor.values {
        Values::Float(v) => v.clone(),
        Values::Int(v) => v.iter().map(|x| *x as f64).collect(),
        Values::Uint(v) => v.iter().map(|x| *x as f64).collect(),
        Values::Bool(v) => v.iter().map(|x| f64::from(u8::from(*x))).collect(),
        Values::Bytes(_) => return Err(Error::tensor(&tensor.name, "is a number: must be FP*, INT*, UINT* or BOOL")),
    };
    let numbers: ArrayRef = Arc::new(numbers.into_iter().map(|x| (!x.is_nan()).then_some(x)).collect::<Float64Array>());
    if stored == &DataType::Float64 {
        return Ok(numbers);
    }
    let options = arrow::compute::CastOptions { safe: false, ..Default::default() };
    arrow::compute::cast_with_options(&numbers, stored, &options)
        .map_err(|_| Error::tensor(&tensor.name, format!("a value does not fit the feature's type {stored}")))
}

/// The model's features out of a wider batch, in the model's order and types.
///
/// # Errors
/// A feature is missing, or cannot be had in the stored type.
pub fn select(batch: &RecordBatch, features: &[Field]) -> Result<RecordBatch, Error> {
    let columns = features.iter().map(|field| {
        let column = batch.column_by_name(field.name()).ok_or_else(|| Error::Features {
            text: format!("feature \"{}\" is not computed by the feature service", field.name()),
            kind: tidemill_types::ErrorKind::Conflict,
        })?;
        if column.data_type() == field.data_type() {
            return Ok(Arc::clone(column));
        }
        arrow::compute::cast(column, field.data_type()).map_err(Error::arrow("casting a feature"))
    });
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(Arc::new(Schema::new(features.to_vec())), columns)
        .map_err(Error::arrow("selecting the features of the model"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
    use super::*;
    use crate::domain::tensor::Datatype;
    use arrow::array::{AsArray, Int32Array};
    use arrow::datatypes::Float64Type;
    use bytes::Bytes;

    fn signature() -> Signature {
        let features =
            vec![Field::new("carrier", DataType::Utf8, true), Field::new("distance", DataType::Float64, true)];
        Signature { key: "flight_id".into(), key_type: DataType::Int32, features, max_rows: 3 }
    }

    fn ints(name: &str, values: &[i64]) -> Tensor {
        Tensor::column(name, Datatype::Int64, Values::Int(values.to_vec()))
    }

    #[test]
    fn keys_come_as_any_integer_or_as_text() {
        let text = Values::Bytes(vec![Bytes::from_static(b"7"), Bytes::from_static(b"8")]);
        for tensor in [ints("flight_id", &[7, 8]), Tensor::column("flight_id", Datatype::Bytes, text)] {
            let Question::Entities { keys, as_of } = question(&signature(), &[tensor]).unwrap() else {
                panic!("keys ask for entities")
            };
            assert_eq!(keys.as_any().downcast_ref::<Int32Array>().unwrap(), &Int32Array::from(vec![7, 8]));
            assert!(as_of.is_none());
        }
        assert!(question(&signature(), &[ints("flight_id", &[i64::MAX])]).is_err(), "does not fit 32 bits");
    }

    #[test]
    fn absent_features_and_nan_are_null() {
        let distance = Tensor::column("distance", Datatype::Fp64, Values::Float(vec![f64::NAN, 3.0]));
        let Question::Rows { features, keys, .. } = question(&signature(), &[distance]).unwrap() else {
            panic!("features make rows")
        };
        assert_eq!(features.column(0).null_count(), 2);
        let numbers = features.column(1).as_primitive::<Float64Type>();
        assert_eq!((numbers.is_null(0), numbers.value(1)), (true, 3.0));
        assert_eq!(keys.null_count(), 2);
    }

    #[test]
    fn an_unknown_tensor_is_answered_with_the_known_ones() {
        let error = question(&signature(), &[ints("flight", &[1])]).unwrap_err().to_string();
        assert!(error.contains("flight_id, as_of, carrier, distance"), "{error}");
    }

    #[test]
    fn requests_that_do_not_add_up_are_refused() {
        let bad: [&[Tensor]; 6] = [
            &[],
            &[ints("flight_id", &[])],
            &[ints("flight_id", &[1, 2, 3, 4])],
            &[ints("flight_id", &[1]), ints("as_of", &[1, 2])],
            &[ints("flight_id", &[1]), ints("flight_id", &[1])],
            &[ints("carrier", &[1])],
        ];
        for tensors in bad {
            assert!(question(&signature(), tensors).is_err(), "{tensors:?}");
        }
        assert!(question(&signature(), &[ints("as_of", &[1])]).is_err(), "neither keys nor features");
    }

    #[test]
    fn selecting_keeps_the_order_of_the_model() {
        let signature = signature();
        let distance = Tensor::column("distance", Datatype::Int16, Values::Int(vec![3]));
        let Question::Rows { features, .. } = question(&signature, &[distance]).unwrap() else {
            panic!("features make rows")
        };
        let reversed: Vec<_> = signature.features.iter().rev().cloned().collect();
        assert_eq!(select(&features, &reversed).unwrap().schema().field(0).name(), "distance");
        assert!(select(&features, &[Field::new("other", DataType::Float64, true)]).is_err());
    }
}
