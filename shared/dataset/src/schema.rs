//! Between our schemas and Delta's.
//!
//! All instants of Tidemill are milliseconds; Delta's timestamp is microseconds. Files hold microseconds, so that
//! every other reader agrees, and batches are cast on the way in and out. The cast is exact for years 1 to 9999.

use crate::error::Error;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Fields, Schema, SchemaRef, TimeUnit};
use arrow::error::ArrowError;
use serde_json::{Value, json};
use std::sync::Arc;

fn map_type(data_type: &DataType, unit: TimeUnit) -> DataType {
    match data_type {
        DataType::Timestamp(_, zone) => DataType::Timestamp(unit, zone.clone()),
        DataType::List(item) => DataType::List(map_field(item, unit)),
        other => other.clone(),
    }
}

fn map_field(field: &FieldRef, unit: TimeUnit) -> FieldRef {
    Arc::new(Field::new(field.name(), map_type(field.data_type(), unit), field.is_nullable()))
}

fn map_schema(schema: &Schema, unit: TimeUnit) -> SchemaRef {
    Arc::new(Schema::new(schema.fields().iter().map(|field| map_field(field, unit)).collect::<Fields>()))
}

/// The schema as callers see it: instants in milliseconds, no metadata.
pub(crate) fn in_memory(schema: &Schema) -> SchemaRef {
    map_schema(schema, TimeUnit::Millisecond)
}

/// The schema as files hold it: instants in microseconds, no metadata.
pub(crate) fn in_file(schema: &Schema) -> SchemaRef {
    map_schema(schema, TimeUnit::Microsecond)
}

/// Casts a batch, column by column in order, to a schema of the same width.
pub(crate) fn cast_batch(batch: &RecordBatch, to: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = batch.columns().iter().zip(to.fields());
    let columns =
        columns.map(|(c, f)| if c.data_type() == f.data_type() { Ok(Arc::clone(c)) } else { cast(c, f.data_type()) });
    RecordBatch::try_new(Arc::clone(to), columns.collect::<Result<Vec<ArrayRef>, _>>()?)
}

fn delta_type(column: &str, data_type: &DataType) -> Result<Value, Error> {
    let name = match data_type {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 => "string",
        DataType::Binary => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(_, Some(zone)) if zone.as_ref() == "UTC" => "timestamp",
        DataType::List(item) => {
            let element = delta_type(column, item.data_type())?;
            return Ok(json!({"type": "array", "elementType": element, "containsNull": item.is_nullable()}));
        }
        other => return Err(Error::Type { column: column.to_owned(), data_type: other.to_string() }),
    };
    Ok(Value::from(name))
}

/// Delta's form of a schema; two schemas are the same table schema when these are equal.
pub(crate) fn delta_schema(schema: &Schema) -> Result<String, Error> {
    let field = |field: &FieldRef| {
        let data_type = delta_type(field.name(), field.data_type())?;
        Ok(json!({"name": field.name(), "type": data_type, "nullable": field.is_nullable(), "metadata": {}}))
    };
    let fields = schema.fields().iter().map(field).collect::<Result<Vec<_>, Error>>()?;
    Ok(json!({"type": "struct", "fields": fields}).to_string())
}

/// The columns for people: `a Int64, b Utf8?`, where `?` marks nullable ones.
pub(crate) fn described(schema: &Schema) -> String {
    let column = |f: &FieldRef| format!("{} {}{}", f.name(), f.data_type(), if f.is_nullable() { "?" } else { "" });
    schema.fields().iter().map(column).collect::<Vec<_>>().join(", ")
}
