//! JSON objects, arrays of objects and newline-delimited objects into cells.
//!
//! One strict reader serves good and bad rows alike, so that a row's fate never depends on its neighbours. (A
//! general decoder such as `arrow_json` truncates 2.7 to the integer 2, takes the text "NaN" for a number and lets
//! the last of two equal keys win; all three would be silent loss.) A fault in a value refuses its row only; text
//! that is not JSON refuses the message, or for newline-delimited input the line.

use crate::cells::Rows;
use crate::reject::{self, Fault, Reject};
use crate::row::{RowSeed, RowsSeed};
use crate::schema::{Checked, Extra};
use serde::de::DeserializeSeed as _;
use serde_json::error::Category;

/// Rows in a text at most, without reading it: lines, or commas of what may be an array.
pub(crate) fn rows_at_most(body: &[u8]) -> usize {
    let count = |byte| memchr::memchr_iter(byte, body).count();
    let is_array = body.trim_ascii_start().starts_with(b"[");
    1 + count(b'\n') + if is_array { count(b',') } else { 0 }
}

/// Reads one object or one array of objects.
pub(crate) fn read_document(
    schema: &Checked,
    extra: Extra,
    max_rows: usize,
    body: &[u8],
    rows: &mut Rows,
) -> Result<Vec<Reject>, Reject> {
    let text = utf8(body)?;
    let mut rejects = Vec::new();
    let mut json = serde_json::Deserializer::from_str(text);
    match text.trim_start().as_bytes().first() {
        Some(b'[') => {
            let faults = RowsSeed { schema, extra, max_rows, rows: &mut *rows }
                .deserialize(&mut json)
                .map_err(|error| damaged(&error, max_rows))?;
            rejects.extend(faults.into_iter().map(|(row, fault)| of_row(row, fault, &format!("$[{row}]"))));
        }
        Some(_) => {
            let seed = RowSeed { schema, extra, rows: &mut *rows };
            match seed.deserialize(&mut json).map_err(|error| damaged(&error, max_rows))? {
                Ok(()) => rows.accepted.push(0),
                Err(fault) => rejects.push(of_row(0, fault, "$")),
            }
        }
        None => return Err(Reject::whole(reject::EMPTY, "the body is empty", "")),
    }
    json.end().map_err(|error| damaged(&error, max_rows))?;
    if rows.accepted.is_empty() && rejects.is_empty() {
        return Err(Reject::whole(reject::EMPTY, "the array holds no rows", "$"));
    }
    Ok(rejects)
}

/// Reads one object per line; blank lines are skipped and do not count.
pub(crate) fn read_lines(
    schema: &Checked,
    extra: Extra,
    max_rows: usize,
    body: &[u8],
    rows: &mut Rows,
) -> Result<Vec<Reject>, Reject> {
    match std::str::from_utf8(body) {
        Ok(text) => read_each(schema, extra, max_rows, lines(text).map(Ok), rows),
        // The lines that are text are read all the same.
        Err(_) => read_each(schema, extra, max_rows, body.split(|byte| *byte == b'\n').map(utf8), rows),
    }
}

/// The lines of a text, the last one whether or not it is ended.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut begin = 0;
    let ends = memchr::memchr_iter(b'\n', text.as_bytes()).chain(std::iter::once(text.len()));
    ends.map(move |end| text.get(std::mem::replace(&mut begin, end + 1)..end).unwrap_or_default())
}

fn read_each<'t>(
    schema: &Checked,
    extra: Extra,
    max_rows: usize,
    lines: impl Iterator<Item = Result<&'t str, Reject>>,
    rows: &mut Rows,
) -> Result<Vec<Reject>, Reject> {
    let mut rejects = Vec::new();
    let mut row = 0_u32;
    for (number, line) in lines.enumerate() {
        if line.as_ref().is_ok_and(|line| line.as_bytes().trim_ascii_start().is_empty()) {
            continue;
        }
        if row as usize >= max_rows {
            return Err(too_many(max_rows));
        }
        let place = || format!("line {}", number + 1);
        let arena = rows.arena.len();
        let cells = rows.cells.len();
        match line.and_then(|line| read_line(schema, extra, line, rows)) {
            Ok(Ok(())) => rows.accepted.push(row),
            Ok(Err(fault)) => rejects.push(of_row(row, fault, &format!("{} $", place()))),
            Err(reject) => {
                rows.arena.truncate(arena);
                rows.cells.truncate(cells);
                let position = format!("{} {}", place(), reject.position);
                rejects.push(Reject { row: Some(row), position, ..reject });
            }
        }
        row += 1;
    }
    if row == 0 {
        return Err(Reject::whole(reject::EMPTY, "no line holds a row", ""));
    }
    Ok(rejects)
}

fn read_line(schema: &Checked, extra: Extra, line: &str, rows: &mut Rows) -> Result<Result<(), Fault>, Reject> {
    let mut json = serde_json::Deserializer::from_str(line);
    let outcome = RowSeed { schema, extra, rows }.deserialize(&mut json).map_err(|error| damaged(&error, 0))?;
    json.end().map_err(|error| damaged(&error, 0))?;
    Ok(outcome)
}

fn utf8(body: &[u8]) -> Result<&str, Reject> {
    std::str::from_utf8(body)
        .map_err(|e| Reject::whole(reject::NOT_UTF8, "the text is not utf-8", format!("byte {}", e.valid_up_to())))
}

fn of_row(row: u32, fault: Fault, place: &str) -> Reject {
    let position = if fault.column.is_empty() { place.to_owned() } else { format!("{place}.{}", fault.column) };
    Reject { row: Some(row), code: fault.code, reason: fault.reason, position }
}

fn too_many(max_rows: usize) -> Reject {
    Reject::whole(reject::TOO_MANY_ROWS, format!("more than {max_rows} rows in one message"), "")
}

fn damaged(error: &serde_json::Error, max_rows: usize) -> Reject {
    // The only data error our own visitors raise is the row limit; all others are faults of a row.
    if error.classify() == Category::Data {
        return too_many(max_rows);
    }
    let position = format!("line {} column {}", error.line(), error.column());
    let text = error.to_string();
    let code = if text.starts_with("number out of range") { reject::OUT_OF_RANGE } else { reject::MALFORMED_JSON };
    let what = text.split(" at line ").next().unwrap_or_default().to_owned();
    Reject::whole(code, what, position)
}
