//! The feature vector of one entity, as it would be served.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, State, badge, empty, encoded, facts, panel, table};
use crate::page::Page;
use crate::pages::paging::{field, filled};
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray, TimestampMillisecondArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::util::display::{ArrayFormatter, FormatOptions};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tidemill_conform::{Limits, decode_stream, encode_stream};
use tidemill_privacy::Masks;
use tidemill_types::Millis;

/// Columns of the contract beside the features.
const AS_OF: &str = "as_of";
const STATUS: &str = "status";
/// Longest wait for the watermark.
const WITHIN: Duration = Duration::from_secs(2);

/// The vector of one entity.
#[derive(Debug, Serialize)]
pub(crate) struct Lookup {
    key_column: String,
    key: Option<String>,
    as_of: Option<String>,
    vector: Option<Vector>,
}

/// Which entity, and when.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LookupQuery {
    key: Option<String>,
    as_of: Option<String>,
}

#[derive(Debug, Serialize)]
struct Vector {
    /// `present`, `unknown_entity` or `outside_lookback`.
    status: String,
    as_of: Option<Millis>,
    plan_digest: String,
    /// Knowledge instant of the newest row used, by source.
    newest_known: BTreeMap<String, Millis>,
    /// Values as text; absent where missing.
    features: Vec<(String, Option<String>)>,
}

impl Page for Lookup {
    type Query = LookupQuery;

    async fn load(app: &App, query: LookupQuery) -> Result<Self> {
        let entity = &app.spec.features.entity;
        let key_column = entity.key.clone();
        let (key, as_of) = (filled(query.key.as_ref()), filled(query.as_of.as_ref()));
        let at = as_of.map(instant).transpose()?;
        let vector = match key {
            None => None,
            Some(key) => {
                let kind = app.spec.sources.get(&entity.source).and_then(|source| source.columns.get(&key_column));
                let kind = kind.map_or(DataType::Utf8, |column| column.kind.arrow());
                let answer = app.read_online(question(&key_column, key, &kind, at)?, WITHIN).await?;
                let newest = answer.newest_known_ms.into_iter().map(|(source, at)| (source, Millis(at))).collect();
                Some(vector(&answer.rows, answer.plan_digest, newest, &app.spec.feature_masks())?)
            }
        };
        Ok(Self { key_column, key: key.map(str::to_owned), as_of: as_of.map(str::to_owned), vector })
    }

    fn view(&self) -> Markup {
        html! {
            form.filter method="get" action="/lookup" role="search" {
                (field(&self.key_column, &html! { input type="text" name="key" required value=[&self.key]; }))
                (field("As of, UTC", &html! { input type="text" name="as_of" placeholder="2013-02-01T06:00:00Z, or now" value=[&self.as_of]; }))
                button type="submit" { "Look up" }
            }
            @match &self.vector {
                None => (empty("The vector that would be served for a key stands here: the same values, bit for bit.", "tidemill events tail")),
                Some(vector) => (self.found(vector)),
            }
        }
    }
}

impl Lookup {
    fn found(&self, vector: &Vector) -> Markup {
        let state = if vector.status == "present" { State::Good } else { State::Warn };
        let newest = html! {
            ul.plain { @for (source, at) in &vector.newest_known { li { (source) ": " (format::time(*at)) } } }
        };
        let rows: Vec<Vec<Markup>> = vector
            .features
            .iter()
            .map(|(name, value)| {
                let shown = match value {
                    Some(value) => html! { (value) },
                    None => html! { span.muted { "missing" } },
                };
                vec![html! { a href={ "/features/" (encoded(name)) } { (name) } }, shown]
            })
            .collect();
        html! {
            (panel("Answer", "", &facts(&[
                ("Status", badge(state, &vector.status.replace('_', " "))),
                ("As of", vector.as_of.map_or_else(|| html! { (format::ABSENT) }, format::time)),
                ("Plan", format::digest(&vector.plan_digest)),
                ("Newest row used", newest),
            ])))
            @if vector.status == "present" {
                (panel("Vector", &format!("{} features", rows.len()), &table("Vector", &[("Feature", Align::Text), ("Value", Align::Number)], &rows)))
            } @else {
                (empty("There is no vector: the entity row was not known at that instant, or the instant lies behind the look-back.", "tidemill events tail"))
            }
        }
    }
}

fn instant(text: &str) -> Result<Millis> {
    Millis::parse(text)
        .ok_or_else(|| Error::Query(format!("\"{text}\" is no instant: write it as 2013-02-01T06:00:00Z")))
}

fn damaged(reason: impl std::fmt::Display) -> Error {
    Error::Answer { service: "feature", reason: reason.to_string() }
}

/// The key and the instant as the contract wants them: one Arrow batch.
fn question(column: &str, key: &str, kind: &DataType, at: Option<Millis>) -> Result<Vec<u8>> {
    let text: ArrayRef = Arc::new(StringArray::from(vec![key]));
    let refused = || Error::Query(format!("\"{key}\" is no {column}, which is {kind}"));
    let keys = cast(&text, kind).map_err(|_| refused())?;
    if keys.is_null(0) {
        return Err(refused());
    }
    let instants = TimestampMillisecondArray::from(vec![at.map(|at| at.0)]).with_timezone("UTC");
    let fields = vec![Field::new(column, kind.clone(), false), Field::new(AS_OF, Millis::arrow_type(), true)];
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema, vec![keys, Arc::new(instants)]).map_err(damaged)?;
    encode_stream(&[batch]).map_err(damaged)
}

/// The one row of an answer, what is personal in it masked.
fn vector(rows: &[u8], plan_digest: String, newest_known: BTreeMap<String, Millis>, masks: &Masks) -> Result<Vector> {
    let batches = decode_stream(rows, &Limits::default()).map_err(|refused| damaged(refused.reason))?;
    let batch = batches.first().ok_or_else(|| damaged("no batch"))?;
    if batch.num_rows() != 1 {
        return Err(damaged(format!("{} rows for one key", batch.num_rows())));
    }
    let text = |array: &ArrayRef| -> Result<Option<String>> {
        if array.is_null(0) {
            return Ok(None);
        }
        let options = FormatOptions::default();
        let shown = ArrayFormatter::try_new(array.as_ref(), &options).map_err(damaged)?.value(0).to_string();
        Ok(Some(shown))
    };
    let (mut status, mut as_of, mut features) = (String::new(), None, Vec::new());
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        match field.name().as_str() {
            STATUS => status = text(array)?.unwrap_or_default(),
            AS_OF => {
                let numbers = cast(array, &DataType::Int64).map_err(damaged)?;
                as_of = text(&numbers)?.and_then(|number| number.parse().ok()).map(Millis);
            }
            name => features.push((name.to_owned(), text(array)?.map(|value| masks.text(name, &value)))),
        }
    }
    Ok(Vector { status, as_of, plan_digest, newest_known, features })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_privacy::PiiClass;

    #[test]
    fn a_key_of_another_type_is_refused() {
        assert!(question("flight_id", "abc", &DataType::Int32, None).is_err());
        assert!(question("flight_id", "99999999999", &DataType::Int32, None).is_err());
        let bytes = question("flight_id", "42", &DataType::Int32, Some(Millis(7))).unwrap();
        let vector = |rows: &[u8], masks: &Masks| vector(rows, "plan".into(), BTreeMap::new(), masks);
        let found = vector(&bytes, &Masks::default()).unwrap();
        assert_eq!(found.features, [("flight_id".to_owned(), Some("42".to_owned()))]);
        assert_eq!(found.as_of, Some(Millis(7)));
        assert!(vector(b"nonsense", &Masks::default()).is_err());
        let masks = [("flight_id".to_owned(), PiiClass::NationalId)].into_iter().collect();
        let found = vector(&bytes, &masks).unwrap();
        assert_eq!(found.features[0].1.as_deref(), Some("***"), "a key that is a person's is not shown");
    }
}
