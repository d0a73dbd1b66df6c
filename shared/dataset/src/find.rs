//! Finding few rows in a large table, for several questions at a time.
//!
//! What is read narrows step by step: files, row groups and pages by their bounds, of these the columns that are looked
//! at, and only of the pages in which rows were found the other columns.

use crate::codec::FileReader;
use crate::error::Error;
use crate::fetch::Partial;
use crate::file::DataFile;
use crate::snapshot::Snapshot;
use crate::table::{Table, blocking};
use arrow::array::{Array as _, ArrayRef, AsArray as _, BooleanArray, RecordBatch, StringArray, UInt64Array};
use arrow::compute::kernels::cmp::eq;
use arrow::compute::{and, cast, filter_record_batch, is_not_null, or, prep_null_mask_filter};
use arrow::datatypes::{DataType, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;
use futures::{StreamExt as _, TryStreamExt as _};
use parquet::arrow::arrow_reader::RowSelection;
use parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use parquet::arrow::parquet_to_arrow_schema;
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;
use tidemill_types::Millis;

/// Files that are read at a time.
const AT_ONCE: usize = 8;

/// What is demanded of a row. A row without a value does not meet it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// An instant lies between two others, both included.
    Between {
        /// A timestamp column.
        column: String,
        /// First instant.
        from: Millis,
        /// Last instant.
        to: Millis,
    },
    /// A value, written as text, is this one: so keys meet whatever integer width they have.
    Is {
        /// A column.
        column: String,
        /// The value.
        value: String,
    },
    /// There is a value.
    Given {
        /// A column.
        column: String,
    },
}

/// A bound of some values.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Edge {
    Whole(i64),
    Text(String),
}

impl Condition {
    fn column(&self) -> &str {
        match self {
            Self::Between { column, .. } | Self::Is { column, .. } | Self::Given { column } => column,
        }
    }

    /// Whether there may be such a value between two bounds.
    fn may_lie(&self, low: Option<&Edge>, high: Option<&Edge>) -> bool {
        let above = |edge: &Edge| match (self, edge) {
            (Self::Between { to, .. }, Edge::Whole(low)) => *low > to.0,
            (Self::Is { value, .. }, Edge::Whole(low)) => value.parse::<i64>().is_ok_and(|value| value < *low),
            (Self::Is { value, .. }, Edge::Text(low)) => value < low,
            (Self::Between { .. }, Edge::Text(_)) | (Self::Given { .. }, _) => false,
        };
        let below = |edge: &Edge| match (self, edge) {
            // Other writers round maxima down to whole milliseconds.
            (Self::Between { from, .. }, Edge::Whole(high)) => high.saturating_add(1) < from.0,
            (Self::Is { value, .. }, Edge::Whole(high)) => value.parse::<i64>().is_ok_and(|value| value > *high),
            (Self::Is { value, .. }, Edge::Text(high)) => value > high,
            (Self::Between { .. }, Edge::Text(_)) | (Self::Given { .. }, _) => false,
        };
        !low.is_some_and(above) && !high.is_some_and(below)
    }

    /// Whether a file may hold such a value, by the statistics of the log.
    fn may_be_in(&self, file: &DataFile, schema: &Schema) -> bool {
        let column = self.column();
        // A row without a value meets nothing.
        if file.nulls(column).is_some_and(|nulls| nulls >= file.rows) {
            return false;
        }
        let edges = match schema.field_with_name(column).map(|field| field.data_type()) {
            Ok(DataType::Timestamp(..)) => {
                file.instants(column).map(|(low, high)| (Edge::Whole(low.0), Edge::Whole(high.0)))
            }
            Ok(DataType::Utf8) => file.texts(column).map(|(low, high)| (Edge::Text(low), Edge::Text(high))),
            Ok(data_type) if data_type.is_signed_integer() => {
                file.wholes(column).map(|(low, high)| (Edge::Whole(low), Edge::Whole(high)))
            }
            _ => None,
        };
        edges.is_none_or(|(low, high)| self.may_lie(Some(&low), Some(&high)))
    }

    /// Which rows meet it.
    fn holds(&self, batch: &RecordBatch) -> Result<BooleanArray, Error> {
        let missing = || Error::Column(self.column().to_owned());
        let column = batch.column_by_name(self.column()).ok_or_else(missing)?;
        match self {
            Self::Given { .. } => is_not_null(column).map_err(failed),
            Self::Between { from, to, .. } => {
                let instants = column.as_primitive_opt::<TimestampMillisecondType>().ok_or_else(missing)?;
                Ok(BooleanArray::from_unary(instants, |at| from.0 <= at && at <= to.0))
            }
            Self::Is { value, .. } => {
                let texts = cast(column, &DataType::Utf8).map_err(failed)?;
                eq(texts.as_string::<i32>(), &StringArray::new_scalar(value)).map_err(failed)
            }
        }
    }
}

fn failed(error: ArrowError) -> Error {
    Error::Encode(error.to_string())
}

/// Rows that meet all conditions of a question.
fn meets(ask: &[Condition], batch: &RecordBatch) -> Result<BooleanArray, Error> {
    let mut mask = BooleanArray::from(vec![true; batch.num_rows()]);
    for condition in ask {
        mask = and(&mask, &condition.holds(batch)?).map_err(failed)?;
    }
    Ok(if mask.null_count() > 0 { prep_null_mask_filter(&mask) } else { mask })
}

/// What is looked for: the columns that are wanted and those that conditions look at, and the questions.
struct Search {
    columns: Vec<String>,
    keys: Vec<String>,
    asks: Vec<Vec<Condition>>,
    schema: SchemaRef,
}

impl Table {
    /// For each question the rows that meet all its conditions, in the order of the commits, with the given columns and
    /// then those of the conditions. The table is read once, whatever the number of questions.
    ///
    /// # Errors
    /// [`Error::Column`] for an unknown column or one of another type than its condition, [`Error::Corrupt`] for a
    /// damaged file.
    pub async fn find(
        &self,
        snapshot: &Snapshot,
        columns: &[&str],
        asks: &[Vec<Condition>],
    ) -> Result<Vec<Vec<RecordBatch>>, Error> {
        let keys: BTreeSet<&str> = asks.iter().flatten().map(Condition::column).collect();
        let mut wanted: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
        wanted.extend(keys.iter().filter(|key| !columns.contains(key)).map(|key| (*key).to_owned()));
        let schema = self.schema();
        for name in &wanted {
            schema.index_of(name).map_err(|_| Error::Column(name.clone()))?;
        }
        let may_hold =
            |file: &&DataFile| asks.iter().any(|ask| ask.iter().all(|condition| condition.may_be_in(file, &schema)));
        let files: Vec<DataFile> = snapshot.files().filter(may_hold).cloned().collect();
        let keys = keys.into_iter().map(str::to_owned).collect();
        let search = Arc::new(Search { columns: wanted, keys, asks: asks.to_vec(), schema });
        let found: Vec<Vec<RecordBatch>> = futures::stream::iter(files)
            .map(|file| {
                let search = Arc::clone(&search);
                async move { self.search(&file, &search).await }
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
        let mut answers = vec![Vec::new(); asks.len()];
        for batch in found.iter().flatten() {
            for (ask, answer) in asks.iter().zip(&mut answers) {
                let kept = filter_record_batch(batch, &meets(ask, batch)?).map_err(failed)?;
                if kept.num_rows() > 0 {
                    answer.push(kept);
                }
            }
        }
        Ok(answers)
    }

    /// Rows of a file that meet any of the questions.
    async fn search(&self, file: &DataFile, search: &Arc<Search>) -> Result<Vec<RecordBatch>, Error> {
        let partial = self.partial(file).await?;
        let corrupt = |e: ParquetError| Error::Corrupt { path: partial.path.clone(), reason: e.to_string() };
        let bounds = Bounds::of(&partial.metadata).map_err(corrupt)?;
        let mut groups = Vec::new();
        for group in 0..partial.metadata.num_row_groups() {
            if let Some(rows) = bounds.rows(group, &search.asks) {
                groups.push(search_group(partial.clone(), group, rows, search));
            }
        }
        Ok(futures::future::try_join_all(groups).await?.into_iter().flatten().collect())
    }
}

/// Rows of a row group that meet any of the questions, among those that may.
async fn search_group(
    mut partial: Partial,
    group: usize,
    rows: RowSelection,
    search: &Arc<Search>,
) -> Result<Vec<RecordBatch>, Error> {
    let rows = if search.keys.is_empty() {
        rows
    } else {
        partial.fetch(&[group], Some(&search.keys), Some(&rows)).await?;
        let (read, search, among) = (partial.clone(), Arc::clone(search), rows.clone());
        let found = blocking(move || {
            let keys = decode(&read, group, among, &search.keys, &search.schema)?;
            let met = |batch: &RecordBatch| {
                let none = BooleanArray::from(vec![false; batch.num_rows()]);
                let any = |mask: BooleanArray, ask: &Vec<Condition>| or(&mask, &meets(ask, batch)?).map_err(failed);
                search.asks.iter().try_fold(none, any)
            };
            keys.iter().map(met).collect::<Result<Vec<_>, _>>()
        });
        rows.and_then(&RowSelection::from_filters(&found.await?))
    };
    if !rows.selects_any() {
        return Ok(Vec::new());
    }
    partial.fetch(&[group], Some(&search.columns), Some(&rows)).await?;
    let search = Arc::clone(search);
    blocking(move || decode(&partial, group, rows, &search.columns, &search.schema)).await
}

fn decode(
    partial: &Partial,
    group: usize,
    rows: RowSelection,
    columns: &[String],
    schema: &SchemaRef,
) -> Result<Vec<RecordBatch>, Error> {
    let builder = partial.reader(vec![group], Some(rows))?;
    FileReader::over(&partial.path, builder, Some(columns), Some(schema))?.rest()
}

/// Between which values row groups and pages of a file lie.
struct Bounds<'m> {
    metadata: &'m ParquetMetaData,
    schema: Schema,
}

impl<'m> Bounds<'m> {
    fn of(metadata: &'m ParquetMetaData) -> Result<Self, ParquetError> {
        let of_file = metadata.file_metadata();
        let schema = parquet_to_arrow_schema(of_file.schema_descr(), of_file.key_value_metadata())?;
        Ok(Self { metadata, schema })
    }

    /// Rows of a row group that may meet any of the questions; `None` when there are none.
    fn rows(&self, group: usize, asks: &[Vec<Condition>]) -> Option<RowSelection> {
        let all = usize::try_from(self.metadata.row_group(group).num_rows()).ok()?;
        let of_ask = |ask: &Vec<Condition>| {
            let begin = RowSelection::from_consecutive_ranges(std::iter::once(0..all), all);
            ask.iter().try_fold(begin, |rows, condition| {
                let may = RowSelection::from_consecutive_ranges(self.pages(group, all, condition)?.into_iter(), all);
                Some(rows.intersection(&may)).filter(RowSelection::selects_any)
            })
        };
        asks.iter().filter_map(of_ask).reduce(|one, other| one.union(&other))
    }

    /// Rows of the pages that may meet a condition, all where nothing is known of them; `None` for none of the row
    /// group.
    fn pages(&self, group: usize, all: usize, condition: &Condition) -> Option<Vec<Range<usize>>> {
        let whole: Vec<Range<usize>> = std::iter::once(0..all).collect();
        let described = self.metadata.file_metadata().schema_descr();
        let Ok(statistics) = StatisticsConverter::try_new(condition.column(), &self.schema, described) else {
            return Some(whole);
        };
        let groups = || std::iter::once(self.metadata.row_group(group));
        let (low, high) = (statistics.row_group_mins(groups()), statistics.row_group_maxes(groups()));
        let of_group = Values::of(low, high, statistics.row_group_null_counts(groups()));
        if !of_group.may_hold(0, all, condition) {
            return None;
        }
        let index = self.metadata.column_index().zip(self.metadata.offset_index());
        let index = index.filter(|(bounds, places)| {
            bounds.get(group).is_some_and(|of| !of.is_empty()) && places.get(group).is_some_and(|of| !of.is_empty())
        });
        let (Some((bounds, places)), Some(column)) = (index, statistics.parquet_column_index()) else {
            return Some(whole);
        };
        let of_pages = Values::of(
            statistics.data_page_mins(bounds, places, [&group]),
            statistics.data_page_maxes(bounds, places, [&group]),
            statistics.data_page_null_counts(bounds, places, [&group]),
        );
        let starts = places[group][column].page_locations().iter().map(|page| usize::try_from(page.first_row_index));
        let Ok(starts) = starts.collect::<Result<Vec<usize>, _>>() else { return Some(whole) };
        let ends = starts.iter().skip(1).copied().chain([all]);
        let pages = starts.iter().copied().zip(ends).map(|(start, end)| start..end);
        let may = pages.enumerate().filter(|(page, rows)| of_pages.may_hold(*page, rows.len(), condition));
        Some(may.map(|(_, rows)| rows).collect())
    }
}

/// What is known of the values of row groups or pages, by their place; what is not known rules nothing out.
struct Values {
    low: Vec<Option<Edge>>,
    high: Vec<Option<Edge>>,
    nulls: Vec<Option<u64>>,
}

impl Values {
    fn of(
        low: Result<ArrayRef, ParquetError>,
        high: Result<ArrayRef, ParquetError>,
        nulls: Result<UInt64Array, ParquetError>,
    ) -> Self {
        let edges = |found: Result<ArrayRef, ParquetError>| found.map(|values| edges(&values)).unwrap_or_default();
        Self { low: edges(low), high: edges(high), nulls: nulls.map(|n| n.iter().collect()).unwrap_or_default() }
    }

    fn may_hold(&self, place: usize, rows: usize, condition: &Condition) -> bool {
        let edge = |edges: &'_ [Option<Edge>]| edges.get(place).cloned().flatten();
        let is_empty = self.nulls.get(place).copied().flatten().is_some_and(|nulls| nulls >= rows as u64);
        !is_empty && condition.may_lie(edge(&self.low).as_ref(), edge(&self.high).as_ref())
    }
}

/// Bounds as statistics of Parquet give them, instants in milliseconds; none where they are of a type that no condition
/// orders.
fn edges(values: &ArrayRef) -> Vec<Option<Edge>> {
    let to = match values.data_type() {
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Millisecond, zone.clone()),
        DataType::Utf8 => DataType::Utf8,
        whole if whole.is_signed_integer() => DataType::Int64,
        _ => return Vec::new(),
    };
    let Ok(values) = cast(values, &to) else { return Vec::new() };
    if let Some(instants) = values.as_primitive_opt::<TimestampMillisecondType>() {
        return instants.iter().map(|value| value.map(Edge::Whole)).collect();
    }
    if let Some(wholes) = values.as_primitive_opt::<Int64Type>() {
        return wholes.iter().map(|value| value.map(Edge::Whole)).collect();
    }
    let texts = values.as_string_opt::<i32>();
    texts.into_iter().flatten().map(|value| value.map(|text| Edge::Text(text.to_owned()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_rule_out_what_lies_beyond_them_and_nothing_else() {
        let (whole, text) = (Edge::Whole, |text: &str| Edge::Text(text.to_owned()));
        let between = |from, to| Condition::Between { column: "at".to_owned(), from: Millis(from), to: Millis(to) };
        let is = |value: &str| Condition::Is { column: "key".to_owned(), value: value.to_owned() };
        for (condition, low, high, may) in [
            (between(5, 9), whole(9), whole(20), true),
            (between(5, 9), whole(10), whole(20), false),
            (between(5, 9), whole(0), whole(4), true),
            (between(5, 9), whole(0), whole(3), false),
            (is("7"), whole(7), whole(7), true),
            (is("7"), whole(8), whole(90), false),
            (is("10"), whole(8), whole(90), true),
            (is("a"), whole(8), whole(90), true),
            (is("JFK"), text("EWR"), text("LGA"), true),
            (is("ATL"), text("EWR"), text("LGA"), false),
        ] {
            assert_eq!(condition.may_lie(Some(&low), Some(&high)), may, "{condition:?} {low:?} {high:?}");
            assert!(condition.may_lie(None, None));
        }
    }
}
