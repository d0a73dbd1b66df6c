//! One JSON value against the declared type of its column.

use crate::cells::Cell;
use crate::reject;
use crate::schema::{Kind, Values};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;
use tidemill_types::{Code, Millis};

/// First millisecond of year 1, what calendars and table formats agree on.
const FIRST_INSTANT: i64 = -62_135_596_800_000;
/// Last millisecond of year 9999.
const LAST_INSTANT: i64 = 253_402_300_799_999;
/// Integers beyond 2^53 are not exact in a double.
const EXACT_DOUBLE: f64 = 9_007_199_254_740_992.0;

/// Whether an instant in milliseconds lies in years 1 to 9999.
pub(crate) fn is_calendar(millis: i64) -> bool {
    (FIRST_INSTANT..=LAST_INSTANT).contains(&millis)
}

/// The fault of an instant outside the calendar.
pub(crate) fn outside(values: Values, millis: i64) -> (Code, String) {
    let instant = values.subject(Kind::Instant, format_args!("{millis} ms"), "the instant");
    (reject::BAD_INSTANT, format!("{instant} is outside the years 1 to 9999"))
}

type Outcome = Result<Cell, (Code, String)>;

/// Reads one value; texts go to the end of `arena`.
pub(crate) struct ValueSeed<'a> {
    pub(crate) kind: Kind,
    pub(crate) values: Values,
    pub(crate) arena: &'a mut String,
}

impl ValueSeed<'_> {
    fn mismatch(&self, what: &str) -> Outcome {
        Err((reject::TYPE_MISMATCH, format!("expected {}, found {what}", self.kind.noun())))
    }

    fn integer(&self, value: i64) -> Outcome {
        match self.kind {
            Kind::Int(bits) => {
                let spare = 64 - bits;
                if (value << spare) >> spare == value { Ok(Cell::Int(value)) } else { self.too_large(value) }
            }
            Kind::Instant if is_calendar(value) => Ok(Cell::Int(value)),
            Kind::Instant => Err(outside(self.values, value)),
            #[expect(clippy::cast_precision_loss, reason = "a JSON number in a float column is rounded as JSON does")]
            Kind::F32 | Kind::F64 => Ok(Cell::Float(value as f64)),
            Kind::Bool | Kind::Text => self.mismatch(&self.values.number(self.kind, value)),
        }
    }

    fn too_large(&self, value: impl fmt::Display) -> Outcome {
        let value = self.values.subject(self.kind, value, "the number");
        Err((reject::OUT_OF_RANGE, format!("{value} does not fit {}", self.kind.noun())))
    }

    fn text(self, text: &str) -> Outcome {
        match self.kind {
            Kind::Text => {
                let start = self.arena.len();
                self.arena.push_str(text);
                Ok(Cell::Text(start..self.arena.len()))
            }
            Kind::Instant => match Millis::parse(text) {
                Some(Millis(millis)) if is_calendar(millis) => Ok(Cell::Int(millis)),
                _ => Err((reject::BAD_INSTANT, format!("{} is no RFC 3339 instant", self.values.instant(text)))),
            },
            _ => self.mismatch(&self.values.text(text)),
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "the value is whole and below 2^53; f32 range is checked")]
    fn float(&self, value: f64) -> Outcome {
        match self.kind {
            Kind::F64 => Ok(Cell::Float(value)),
            Kind::F32 if (value as f32).is_finite() => Ok(Cell::Float(value)),
            Kind::F32 => self.too_large(value),
            Kind::Int(_) | Kind::Instant if value.fract() == 0.0 && value.abs() <= EXACT_DOUBLE => {
                self.integer(value as i64)
            }
            _ => self.mismatch(&self.values.number(self.kind, value)),
        }
    }
}

impl<'de> DeserializeSeed<'de> for ValueSeed<'_> {
    type Value = Outcome;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Outcome, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for ValueSeed<'_> {
    type Value = Outcome;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.noun())
    }

    fn visit_unit<E>(self) -> Result<Outcome, E> {
        Ok(Ok(Cell::Null))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Outcome, E> {
        Ok(if self.kind == Kind::Bool { Ok(Cell::Bool(value)) } else { self.mismatch("a boolean") })
    }

    fn visit_i64<E>(self, value: i64) -> Result<Outcome, E> {
        Ok(self.integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Outcome, E> {
        Ok(match (i64::try_from(value), self.kind) {
            (Ok(value), _) => self.integer(value),
            #[expect(clippy::cast_precision_loss, reason = "a JSON number in a float column is rounded as JSON does")]
            (Err(_), Kind::F32 | Kind::F64) => Ok(Cell::Float(value as f64)),
            (Err(_), Kind::Int(_) | Kind::Instant) => self.too_large(value),
            (Err(_), Kind::Bool | Kind::Text) => self.mismatch(&self.values.number(self.kind, value)),
        })
    }

    fn visit_f64<E>(self, value: f64) -> Result<Outcome, E> {
        Ok(self.float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Outcome, E> {
        Ok(self.text(value))
    }

    // Nested values are walked without recursion by `IgnoredAny`, so depth costs nothing.
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Outcome, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self.mismatch("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outcome, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self.mismatch("an object"))
    }
}
