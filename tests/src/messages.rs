//! Messages of the source `readings` of the project `meters`: numbered readings in every accepted form.

use anyhow::{Context as _, Result};
use arrow::array::{Float64Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Schema};
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;
use tidemill_bus::{Headers, Outgoing};
use tidemill_contracts::{headers, subjects};
use tidemill_spec::Spec;
use tidemill_types::{Millis, SourceName};

/// 2024-01-01T00:00:00Z, the instant of reading 0; one reading a second follows.
pub const BEGIN: Millis = Millis(1_704_067_200_000);

/// The project of the tests.
///
/// # Errors
/// When the committed spec is not valid, which is a defect.
pub fn spec() -> Result<Spec> {
    Spec::parse(include_str!("../data/meters.yaml")).context("tests/data/meters.yaml")
}

/// Its only source.
///
/// # Errors
/// Never, as the name is valid.
pub fn source() -> Result<SourceName> {
    "readings".parse().map_err(|e| anyhow::anyhow!("{e:?}"))
}

/// The form in which readings travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// One JSON object.
    Object,
    /// A JSON array of objects.
    Array,
    /// One JSON object a line.
    Lines,
    /// An Arrow stream.
    Arrow,
}

/// Builds messages of one producer.
#[derive(Clone, Debug)]
pub struct Messages {
    subject: String,
}

impl Messages {
    /// Messages for the subject of the source.
    ///
    /// # Errors
    /// As [`spec`].
    pub fn new() -> Result<Self> {
        Self::of(&source()?)
    }

    /// Messages for the subject of another source with the same columns.
    ///
    /// # Errors
    /// As [`spec`].
    pub fn of(source: &SourceName) -> Result<Self> {
        Ok(Self { subject: subjects::events(&spec()?.project, source) })
    }

    /// The readings of a range in one message (only the first as [`Form::Object`]), its id made of the range.
    ///
    /// # Errors
    /// When the Arrow stream cannot be written.
    pub fn readings(&self, form: Form, numbers: Range<i64>) -> Result<Outgoing> {
        let id = format!("{}-{}", numbers.start, numbers.end);
        let body = body(form, numbers)?;
        self.event(content_type(form), &id, body)
    }

    /// A message with this body as a CloudEvent.
    ///
    /// # Errors
    /// When the id or the content type cannot be a header.
    pub fn event(&self, content_type: &str, id: &str, body: Vec<u8>) -> Result<Outgoing> {
        let given = [
            (headers::CE_SPECVERSION, "1.0"),
            (headers::CE_ID, id),
            (headers::CE_SOURCE, "/meters/test"),
            (headers::CE_TYPE, "meters.reading"),
            (headers::CONTENT_TYPE, content_type),
        ];
        Ok(Outgoing::new(self.subject.clone(), body).with_headers(Headers::from_pairs(given)?))
    }

    /// A message that carries only a watermark.
    ///
    /// # Errors
    /// Never, as the headers are valid.
    pub fn watermark(&self, at: Millis) -> Result<Outgoing> {
        let given = [(headers::CE_TYPE, headers::TYPE_WATERMARK), (headers::WATERMARK, &at.0.to_string())];
        Ok(Outgoing::new(self.subject.clone(), Vec::new()).with_headers(Headers::from_pairs(given)?))
    }
}

/// Media type of a form.
#[must_use]
pub fn content_type(form: Form) -> &'static str {
    match form {
        Form::Object | Form::Array => headers::JSON,
        Form::Lines => headers::NDJSON,
        Form::Arrow => headers::ARROW_STREAM,
    }
}

/// The bytes of some readings.
///
/// # Errors
/// When the Arrow stream cannot be written.
pub fn body(form: Form, numbers: Range<i64>) -> Result<Vec<u8>> {
    let text = match form {
        Form::Object => object(numbers.start),
        Form::Array => format!("[{}]", numbers.map(object).collect::<Vec<_>>().join(",")),
        Form::Lines => numbers.map(object).collect::<Vec<_>>().join("\n"),
        Form::Arrow => return Ok(tidemill_conform::encode_stream(&[batch(numbers)?])?),
    };
    Ok(text.into_bytes())
}

/// One reading as JSON; about 90 bytes.
#[must_use]
pub fn object(n: i64) -> String {
    let mut text = String::with_capacity(96);
    let (at, meter) = (Millis(BEGIN.0 + n * 1_000), n % 1_000);
    let value = value(n).map_or_else(|| "null".to_owned(), |value| format!("{value:?}"));
    // Writing to a string cannot fail.
    let _ = write!(text, r#"{{"n":{n},"at":"{at}","meter":"meter-{meter}","value":{value}}}"#);
    text
}

/// Some readings as a batch of the declared columns.
///
/// # Errors
/// Never, as the columns are of equal length.
pub fn batch(numbers: Range<i64>) -> Result<RecordBatch> {
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("at", Millis::arrow_type(), false),
        Field::new("meter", DataType::Utf8, false),
        Field::new("value", DataType::Float64, true),
    ]);
    let instants = numbers.clone().map(|n| BEGIN.0 + n * 1_000);
    let meters = numbers.clone().map(|n| format!("meter-{}", n % 1_000));
    Ok(RecordBatch::try_new(
        Arc::new(schema),
        vec![
            Arc::new(Int64Array::from_iter_values(numbers.clone())),
            Arc::new(TimestampMillisecondArray::from_iter_values(instants).with_timezone("UTC")),
            Arc::new(StringArray::from_iter_values(meters)),
            Arc::new(numbers.map(value).collect::<Float64Array>()),
        ],
    )?)
}

/// Value of a reading: null for every 17th, above the quality rule's bound for every 101st.
#[must_use]
pub fn value(n: i64) -> Option<f64> {
    match n {
        n if n % 17 == 0 => None,
        n if n % 101 == 0 => Some(5_000.0),
        n => Some((n.wrapping_mul(2_654_435_761) % 100_000) as f64 / 100.0),
    }
}
