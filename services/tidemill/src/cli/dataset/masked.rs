//! Rows of a table with their personal columns masked, batch by batch. A masked column holds text, whatever it held.

use crate::cli::classify::Known;
use crate::cli::masking::Unmask;
use crate::cli::target::Target;
use crate::error::Result;
use arrow::array::{Array, ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;
use tidemill_dataset::{Snapshot, Table};
use tidemill_privacy::{LOOKED_AT, Masks, PiiClass, mask};

/// What is masked in a table: what the project calls personal, by what it says of the table, and what looks so in the
/// first rows. All columns are looked at, also those that are not asked for, as neighbours say what a column is.
pub(super) async fn found(table: &Table, snapshot: &Snapshot, known: &Known) -> Result<Masks> {
    Ok(Masks::of_columns(&known.said, &table.head(snapshot, LOOKED_AT).await?)?)
}

/// The same for the columns of a schema, or nothing where personal data is asked for, which is noted.
pub(super) async fn masks(
    target: &Target,
    (table, snapshot): (&Table, &Snapshot),
    known: &Known,
    schema: &Schema,
    unmask: &Unmask,
) -> Result<Masks> {
    let found = found(table, snapshot, known).await?.of(|column| schema.index_of(column).is_ok());
    unmask.asked(target, table.path(), found).await
}

/// The schema of masked rows.
pub(super) fn schema(schema: &Schema, masks: &Masks) -> SchemaRef {
    let field = |field: &Arc<Field>| match masks.covers(field.name()) {
        true => Arc::new(field.as_ref().clone().with_data_type(DataType::Utf8)),
        false => Arc::clone(field),
    };
    Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Vec<_>>()))
}

/// Masked rows.
pub(super) fn batch(batch: &RecordBatch, schema: &SchemaRef, masks: &Masks) -> Result<RecordBatch> {
    if masks.is_empty() {
        return Ok(batch.clone());
    }
    let column = |(field, values): (&Arc<Field>, &ArrayRef)| match masks.class(field.name()) {
        Some(class) => hidden(values, class),
        None => Ok(Arc::clone(values)),
    };
    let columns = batch.schema_ref().fields().iter().zip(batch.columns()).map(column);
    let masked = columns.collect::<std::result::Result<Vec<_>, ArrowError>>();
    let masked = masked.and_then(|columns| RecordBatch::try_new(Arc::clone(schema), columns));
    Ok(masked.map_err(std::io::Error::other)?)
}

/// The values of a column as they may be shown; what is absent stays absent.
fn hidden(values: &ArrayRef, class: PiiClass) -> std::result::Result<ArrayRef, ArrowError> {
    let texts = ArrayFormatter::try_new(values.as_ref(), &FormatOptions::default())?;
    let shown = |row: usize| match values.is_valid(row) {
        true => texts.value(row).try_to_string().map(|text| Some(mask(class, &text))),
        false => Ok(None),
    };
    let cells = (0..values.len()).map(shown).collect::<std::result::Result<StringArray, _>>()?;
    Ok(Arc::new(cells))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{AsArray as _, Int64Array};

    #[test]
    fn masked_columns_become_text_and_nothing_else_changes() {
        let columns: [(&str, ArrayRef); 3] = [
            ("n", Arc::new(Int64Array::from(vec![1, 2]))),
            ("mail", Arc::new(StringArray::from(vec![Some("anna@example.org"), None]))),
            ("tax", Arc::new(Int64Array::from(vec![123_456_789, 987_654_321]))),
        ];
        let rows = RecordBatch::try_from_iter(columns).unwrap();
        let masks: Masks =
            [("mail".to_owned(), PiiClass::Email), ("tax".to_owned(), PiiClass::NationalId)].into_iter().collect();
        let schema = schema(rows.schema_ref(), &masks);
        let masked = batch(&rows, &schema, &masks).unwrap();
        assert_eq!(masked.column(0), rows.column(0));
        let (mail, tax) = (masked.column(1).as_string::<i32>(), masked.column(2).as_string::<i32>());
        assert_eq!((mail.value(0), mail.is_null(1)), ("a***@***.org", true));
        assert_eq!((tax.value(0), tax.value(1)), ("***", "***"));
        assert_eq!(batch(&rows, &rows.schema(), &Masks::default()).unwrap(), rows);
    }
}
