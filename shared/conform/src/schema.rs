//! The declared schema of a source and the limits its messages are held to.

use crate::error::Error;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use std::sync::Arc;
use tidemill_types::{Millis, columns};

/// One declared column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnDef {
    /// Name of the column and of the JSON key.
    pub name: String,
    /// `Boolean`, `Int8` to `Int64`, `Float32`, `Float64`, `Utf8` or `Timestamp(ms, UTC)`.
    pub data_type: DataType,
    /// Whether null, or absence, is accepted. The event time is required whatever stands here.
    pub nullable: bool,
    /// What reasons may tell of its values.
    pub values: Values,
}

/// What is known of the values of a column, which decides what a reason may tell of them: it goes to dead letters, logs
/// and pages, where personal data is not shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Values {
    /// They are personal or protected: only their kind and length are told.
    Personal,
    /// Nobody has said: numbers and instants are quoted where the column takes them, and no other texts.
    #[default]
    Unclassified,
    /// They are no personal data: they are quoted.
    Plain,
}

/// What a source declares about its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConformSchema {
    /// The columns in table order.
    pub columns: Vec<ColumnDef>,
    /// Column holding the instant at which the event happened; must be a timestamp.
    pub event_time: String,
    /// Column holding the instant from which the row may be used; without it, or where it is null, arrival counts.
    pub known_at: Option<String>,
}

/// What happens to a JSON key or Arrow column that is not declared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Extra {
    /// The row (JSON) or message (Arrow) is refused: nothing is dropped silently.
    #[default]
    Reject,
    /// It is dropped.
    Ignore,
}

/// Limits on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest body in bytes, as received.
    pub body_bytes: usize,
    /// Largest body in bytes after decompression.
    pub decoded_bytes: usize,
    /// Most rows in one message.
    pub rows: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body_bytes: 8 << 20, decoded_bytes: 64 << 20, rows: 10_000 }
    }
}

/// The type of a column, as far as conforming cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Bool,
    /// Signed integer of 8, 16, 32 or 64 bits.
    Int(u32),
    F32,
    F64,
    Text,
    Instant,
}

impl Kind {
    fn of(data_type: &DataType) -> Option<Self> {
        match data_type {
            DataType::Boolean => Some(Self::Bool),
            DataType::Int8 => Some(Self::Int(8)),
            DataType::Int16 => Some(Self::Int(16)),
            DataType::Int32 => Some(Self::Int(32)),
            DataType::Int64 => Some(Self::Int(64)),
            DataType::Float32 => Some(Self::F32),
            DataType::Float64 => Some(Self::F64),
            DataType::Utf8 => Some(Self::Text),
            DataType::Timestamp(TimeUnit::Millisecond, Some(zone)) if zone.as_ref() == "UTC" => Some(Self::Instant),
            _ => None,
        }
    }

    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int(8) => DataType::Int8,
            Self::Int(16) => DataType::Int16,
            Self::Int(32) => DataType::Int32,
            Self::Int(_) => DataType::Int64,
            Self::F32 => DataType::Float32,
            Self::F64 => DataType::Float64,
            Self::Text => DataType::Utf8,
            Self::Instant => Millis::arrow_type(),
        }
    }

    /// How the type is called in a reason.
    pub(crate) fn noun(self) -> &'static str {
        match self {
            Self::Bool => "a boolean",
            Self::Int(8) => "an 8-bit integer",
            Self::Int(16) => "a 16-bit integer",
            Self::Int(32) => "a 32-bit integer",
            Self::Int(_) => "a 64-bit integer",
            Self::F32 => "a 32-bit float",
            Self::F64 => "a number",
            Self::Text => "a text",
            Self::Instant => "an instant (RFC 3339 text or integer milliseconds)",
        }
    }
}

/// One column, checked.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) nullable: bool,
    pub(crate) values: Values,
}

/// A checked schema with everything the decoders look up.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    pub(crate) columns: Vec<Column>,
    pub(crate) known_at: Option<usize>,
    pub(crate) output: SchemaRef,
}

impl Checked {
    pub(crate) fn new(schema: &ConformSchema) -> Result<Self, Error> {
        let mut checked: Vec<Column> = Vec::with_capacity(schema.columns.len());
        for column in &schema.columns {
            let name = &column.name;
            if name.is_empty() || columns::ADDED.contains(&name.as_str()) {
                return Err(Error::Schema(format!("column name \"{name}\" is empty or one that conforming adds")));
            }
            if checked.iter().any(|c| c.name == *name) {
                return Err(Error::Schema(format!("column \"{name}\" is declared twice")));
            }
            let Some(kind) = Kind::of(&column.data_type) else {
                return Err(Error::Schema(format!("column \"{name}\" has type {}", column.data_type)));
            };
            let nullable = column.nullable && *name != schema.event_time;
            checked.push(Column { name: name.clone(), kind, nullable, values: column.values });
        }
        instant(&checked, "event_time", &schema.event_time)?;
        let known_at = schema.known_at.as_deref().map(|name| instant(&checked, "known_at", name)).transpose()?;
        let output = output_schema(&checked);
        Ok(Self { columns: checked, known_at, output })
    }
}

fn instant(checked: &[Column], role: &str, name: &str) -> Result<usize, Error> {
    match checked.iter().position(|c| c.name == name) {
        Some(at) if checked.get(at).is_some_and(|c| c.kind == Kind::Instant) => Ok(at),
        Some(_) => Err(Error::Schema(format!("{role} column \"{name}\" is not a timestamp"))),
        None => Err(Error::Schema(format!("{role} column \"{name}\" is not declared"))),
    }
}

fn output_schema(checked: &[Column]) -> SchemaRef {
    let mut fields: Vec<Field> = checked.iter().map(|c| Field::new(&c.name, c.kind.data_type(), c.nullable)).collect();
    fields.push(Field::new(columns::SEQ, DataType::Int64, false));
    fields.push(Field::new(columns::ROW, DataType::Int32, false));
    fields.push(Field::new(columns::EVENT_ID, DataType::Utf8, false));
    fields.push(Field::new(columns::KNOWN_AT, Millis::arrow_type(), false));
    Arc::new(Schema::new(fields))
}
