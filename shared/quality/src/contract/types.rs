//! Types of columns in the standard's words.

use serde_json::Value;
use tidemill_spec::ColumnType;

/// The logical type of a column.
pub(super) fn logical(kind: ColumnType) -> &'static str {
    match kind {
        ColumnType::Boolean => "boolean",
        ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => "integer",
        ColumnType::Float32 | ColumnType::Float64 => "number",
        ColumnType::String => "string",
        ColumnType::Timestamp => "timestamp",
    }
}

/// The type of a property: its physical one when it is ours, else the widest of its logical one.
pub(super) fn column_type(physical: Option<&str>, logical: Option<&str>) -> Option<ColumnType> {
    let ours = physical.and_then(|name| serde_json::from_value(Value::from(name)).ok());
    ours.or(match logical? {
        "boolean" => Some(ColumnType::Boolean),
        "integer" => Some(ColumnType::Int64),
        "number" => Some(ColumnType::Float64),
        "string" => Some(ColumnType::String),
        "timestamp" | "date" => Some(ColumnType::Timestamp),
        _ => None,
    })
}

/// Milliseconds of a unit of the standard.
pub(super) fn unit(name: &str) -> Option<i64> {
    Some(match name {
        "ms" | "millisecond" | "milliseconds" => 1,
        "s" | "second" | "seconds" => 1_000,
        "m" | "min" | "minute" | "minutes" => 60_000,
        "h" | "hr" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        "w" | "week" | "weeks" => 604_800_000,
        _ => return None,
    })
}
