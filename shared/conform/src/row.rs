//! Serde visitors that read one row, or an array of rows, straight into cells.

use crate::cells::{Cell, Rows};
use crate::reject::{self, Fault, shortened};
use crate::schema::{Checked, Extra};
use crate::value::ValueSeed;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// Reads one row; its cells stay in `rows` only when it is accepted.
pub(crate) struct RowSeed<'a> {
    pub(crate) schema: &'a Checked,
    pub(crate) extra: Extra,
    pub(crate) rows: &'a mut Rows,
}

impl<'de> DeserializeSeed<'de> for RowSeed<'_> {
    type Value = Result<(), Fault>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

fn not_an_object(what: &str) -> Result<(), Fault> {
    Err(Fault::new(reject::NOT_AN_OBJECT, format!("a row must be an object, not {what}"), ""))
}

impl<'de> Visitor<'de> for RowSeed<'_> {
    type Value = Result<(), Fault>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let start = self.rows.cells.len();
        let arena = self.rows.arena.len();
        let width = self.schema.columns.len();
        self.rows.cells.resize(start + width, Cell::Absent);
        let mut fault: Option<Fault> = None;
        let mut likely = 0;
        while let Some(key) = map.next_key_seed(KeySeed { schema: self.schema, likely })? {
            let at = match key {
                Key::Column(at) => at,
                Key::Unknown(name) => {
                    map.next_value::<IgnoredAny>()?;
                    if self.extra == Extra::Reject && fault.is_none() {
                        let reason = format!("the source declares no column \"{name}\"");
                        fault = Some(Fault::new(reject::UNKNOWN_COLUMN, reason, name));
                    }
                    continue;
                }
            };
            likely = at + 1;
            let Some(column) = self.schema.columns.get(at) else { continue };
            let value = map.next_value_seed(ValueSeed {
                kind: column.kind,
                values: column.values,
                arena: &mut self.rows.arena,
            })?;
            let Some(cell) = self.rows.cells.get_mut(start + at) else { continue };
            match value {
                Ok(_) if *cell != Cell::Absent => {
                    let reason = format!("the key \"{}\" occurs twice", column.name);
                    fault.get_or_insert(Fault::new(reject::DUPLICATE_COLUMN, reason, &column.name));
                }
                Ok(value) => *cell = value,
                Err((code, reason)) => {
                    *cell = Cell::Null;
                    fault.get_or_insert(Fault::new(code, reason, &column.name));
                }
            }
        }
        let cells = self.rows.cells.get(start..).unwrap_or_default();
        let outcome = fault.map_or_else(|| required(self.schema, cells), Err);
        if outcome.is_err() {
            self.rows.cells.truncate(start);
            self.rows.arena.truncate(arena);
        }
        Ok(outcome)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(not_an_object("an array"))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(not_an_object("null"))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(not_an_object("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(not_an_object("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(not_an_object("a text"))
    }
}

fn required(schema: &Checked, cells: &[Cell]) -> Result<(), Fault> {
    for (column, cell) in schema.columns.iter().zip(cells) {
        if column.nullable {
            continue;
        }
        let (code, what) = match cell {
            Cell::Absent => (reject::MISSING_COLUMN, "absent"),
            Cell::Null => (reject::NULL_IN_REQUIRED, "null"),
            _ => continue,
        };
        return Err(Fault::new(code, format!("the required column \"{}\" is {what}", column.name), &column.name));
    }
    Ok(())
}

/// Reads an array of rows; the value is the fault of each refused row with its position.
pub(crate) struct RowsSeed<'a> {
    pub(crate) schema: &'a Checked,
    pub(crate) extra: Extra,
    pub(crate) max_rows: usize,
    pub(crate) rows: &'a mut Rows,
}

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Vec<(u32, Fault)>;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<(u32, Fault)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut faults = Vec::new();
        let mut row = 0_u32;
        loop {
            let seed = RowSeed { schema: self.schema, extra: self.extra, rows: &mut *self.rows };
            let Some(outcome) = seq.next_element_seed(seed)? else { return Ok(faults) };
            if row as usize >= self.max_rows {
                return Err(A::Error::custom("too many rows"));
            }
            match outcome {
                Ok(()) => self.rows.accepted.push(row),
                Err(fault) => faults.push((row, fault)),
            }
            row += 1;
        }
    }
}

enum Key {
    Column(usize),
    Unknown(String),
}

/// Finds the column of a key; producers mostly keep the order, so the one after the last is tried first.
struct KeySeed<'a> {
    schema: &'a Checked,
    likely: usize,
}

impl<'de> DeserializeSeed<'de> for KeySeed<'_> {
    type Value = Key;
    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeySeed<'_> {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Key, E> {
        if self.schema.columns.get(self.likely).is_some_and(|c| c.name == key) {
            return Ok(Key::Column(self.likely));
        }
        let found = self.schema.columns.iter().position(|c| c.name == key);
        Ok(found.map_or_else(|| Key::Unknown(shortened(key)), Key::Column))
    }
}
