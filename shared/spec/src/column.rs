//! Types of columns, and the Arrow types that they stand for.

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};
use tidemill_types::Millis;

/// Types a declared column can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names say it all")]
pub enum ColumnType {
    Boolean,
    Int8,
    Int16,
    Int32,
    Int64,
    Float32,
    Float64,
    String,
    /// Instant, milliseconds, UTC.
    Timestamp,
}

impl ColumnType {
    /// The Arrow type.
    #[must_use]
    pub fn arrow(self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int8 => DataType::Int8,
            Self::Int16 => DataType::Int16,
            Self::Int32 => DataType::Int32,
            Self::Int64 => DataType::Int64,
            Self::Float32 => DataType::Float32,
            Self::Float64 => DataType::Float64,
            Self::String => DataType::Utf8,
            Self::Timestamp => Millis::arrow_type(),
        }
    }

    /// The type that holds the values of an Arrow type; none for nested ones. Decimals become the nearest number of
    /// double precision, instants are kept to the millisecond, and a column of nothing but nulls is taken for text.
    #[must_use]
    pub fn holding(kind: &DataType) -> Option<Self> {
        Some(match kind {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 => Self::Int8,
            DataType::Int16 | DataType::UInt8 => Self::Int16,
            DataType::Int32 | DataType::UInt16 => Self::Int32,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::Int64,
            DataType::Float16 | DataType::Float32 => Self::Float32,
            DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..) => Self::Float64,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Null => Self::String,
            DataType::Dictionary(_, value) => return Self::holding(value),
            DataType::Timestamp(..) | DataType::Date32 | DataType::Date64 => Self::Timestamp,
            _ => return None,
        })
    }

    /// The name in project files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Boolean => "boolean",
            Self::Int8 => "int8",
            Self::Int16 => "int16",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Float32 => "float32",
            Self::Float64 => "float64",
            Self::String => "string",
            Self::Timestamp => "timestamp",
        }
    }
}
