//! Text into rows: fields of a CSV line, or JSON whose instants are written in another way, as JSON lines.
//!
//! A value that does not fit its column travels as the text it is: the intake refuses that row with its reason, and
//! the others go on.

use crate::error::{Fault, FaultKind};
use crate::message::{PIECE_BYTES, PIECE_ROWS, Piece, ROW_BYTES};
use bytes::Bytes;
use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone as _, Utc};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use tidemill_contracts::headers;
use tidemill_spec::{ColumnType, ExtraColumns, Source, TextForm};

/// What is done with each piece; false stops the reading.
pub(crate) type Sink<'a> = &'a mut dyn FnMut(Piece) -> bool;

/// How the instants of a column are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InstantForm {
    /// Seconds since 1970.
    EpochSeconds,
    /// Milliseconds since 1970.
    EpochMillis,
    /// A `strftime` pattern.
    Pattern(String),
}

impl InstantForm {
    pub(crate) fn of(text: &str) -> Self {
        match text {
            "epoch_s" => Self::EpochSeconds,
            "epoch_ms" => Self::EpochMillis,
            pattern => Self::Pattern(pattern.to_owned()),
        }
    }

    /// The instant as RFC 3339, or `None` when the text is not written so.
    pub(crate) fn rfc3339(&self, text: &str) -> Option<String> {
        let text = text.trim();
        let instant: DateTime<Utc> = match self {
            Self::EpochSeconds => {
                let seconds: f64 = text.parse().ok().filter(|s: &f64| s.is_finite() && s.abs() < 1e12)?;
                #[expect(clippy::cast_possible_truncation, reason = "bounded above")]
                let millis = (seconds * 1_000.0).round() as i64;
                Utc.timestamp_millis_opt(millis).single()?
            }
            Self::EpochMillis => Utc.timestamp_millis_opt(text.parse().ok()?).single()?,
            Self::Pattern(pattern) => {
                // A pattern that chrono cannot use fails for every value, and so becomes visible.
                if let Ok(with_offset) = DateTime::parse_from_str(text, pattern) {
                    with_offset.to_utc()
                } else if let Ok(naive) = NaiveDateTime::parse_from_str(text, pattern) {
                    naive.and_utc()
                } else {
                    NaiveDate::parse_from_str(text, pattern).ok()?.and_hms_opt(0, 0, 0)?.and_utc()
                }
            }
        };
        Some(instant.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

/// The rules by which text becomes rows of one source.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    pub(crate) columns: BTreeMap<String, (ColumnType, bool)>,
    pub(crate) delimiter: u8,
    nulls: BTreeSet<String>,
    instants: BTreeMap<String, InstantForm>,
    pub(crate) extra: ExtraColumns,
}

impl Rules {
    pub(crate) fn new(source: &Source, form: &TextForm) -> Self {
        let column = |(name, column): (&String, &tidemill_spec::Column)| {
            let required = !column.nullable;
            (name.clone(), (column.kind, required))
        };
        Self {
            columns: source.columns.iter().map(column).collect(),
            delimiter: u8::try_from(form.delimiter).unwrap_or(b','),
            nulls: form.null_values.iter().cloned().collect(),
            instants: form.instants.iter().map(|(name, text)| (name.clone(), InstantForm::of(text))).collect(),
            extra: form.extra_columns,
        }
    }

    /// Whether JSON rows travel as they are.
    pub(crate) fn is_plain(&self) -> bool {
        self.instants.is_empty() && self.extra == ExtraColumns::Refuse
    }

    /// For each field of a header, the column it fills; a fault when the header does not fit the declaration.
    pub(crate) fn header(&self, names: &[String]) -> Result<Vec<Option<Field>>, Fault> {
        let present: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        if present.len() != names.len() {
            let reason = format!("the header names a column twice: {}", names.join(", "));
            return Err(Fault::new(FaultKind::Schema, reason, "give each column a name of its own"));
        }
        self.fits(&present)?;
        Ok(names.iter().map(|name| self.field(name)).collect())
    }

    /// Whether columns of these names can fill the source.
    pub(crate) fn fits(&self, present: &BTreeSet<&str>) -> Result<(), Fault> {
        let required = self.columns.iter().filter(|(_, (_, required))| *required).map(|(name, _)| name.as_str());
        let missing: Vec<&str> = required.filter(|name| !present.contains(name)).collect();
        if !missing.is_empty() {
            let reason = format!("required columns are missing: {}", missing.join(", "));
            return Err(Fault::new(FaultKind::Schema, reason, "add them, or declare them nullable"));
        }
        let unknown: Vec<&str> = present.iter().copied().filter(|name| !self.columns.contains_key(*name)).collect();
        if self.extra == ExtraColumns::Refuse && !unknown.is_empty() {
            let reason = format!("the source does not declare the columns {}", unknown.join(", "));
            return Err(Fault::new(FaultKind::Schema, reason, "declare them, or set text.extra_columns: ignore"));
        }
        Ok(())
    }

    fn field(&self, name: &str) -> Option<Field> {
        let (kind, _) = self.columns.get(name)?;
        let key = serde_json::to_string(name).ok()?;
        Some(Field { key, kind: *kind, form: self.instants.get(name).cloned() })
    }

    /// Writes one field as JSON.
    pub(crate) fn write_value(&self, field: &Field, text: &str, out: &mut Vec<u8>) {
        if self.nulls.contains(text) {
            out.extend_from_slice(b"null");
            return;
        }
        let trimmed = text.trim();
        let plain = match field.kind {
            ColumnType::Int8 | ColumnType::Int16 | ColumnType::Int32 | ColumnType::Int64 => {
                trimmed.parse::<i64>().ok().map(|n| n.to_string())
            }
            ColumnType::Float32 | ColumnType::Float64 => {
                trimmed.parse::<f64>().ok().filter(|x| x.is_finite()).map(|x| format!("{x:?}"))
            }
            ColumnType::Boolean => match trimmed.to_ascii_lowercase().as_str() {
                "true" | "t" | "1" => Some("true".to_owned()),
                "false" | "f" | "0" => Some("false".to_owned()),
                _ => None,
            },
            ColumnType::Timestamp => {
                let instant = field.form.as_ref().and_then(|form| form.rfc3339(trimmed));
                instant.map(|instant| format!("\"{instant}\""))
            }
            ColumnType::String => None,
        };
        match plain {
            Some(plain) => out.extend_from_slice(plain.as_bytes()),
            // Writing to memory cannot fail.
            None => drop(serde_json::to_writer(out, text)),
        }
    }

    /// A JSON row with its instants rewritten and, when so declared, without undeclared keys.
    pub(crate) fn rewrite(&self, row: &mut serde_json::Value) {
        let Some(object) = row.as_object_mut() else { return };
        if self.extra == ExtraColumns::Ignore {
            object.retain(|name, _| self.columns.contains_key(name));
        }
        for (name, form) in &self.instants {
            let Some(value) = object.get_mut(name) else { continue };
            let text = match &*value {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Number(number) => number.to_string(),
                _ => continue,
            };
            if let Some(instant) = form.rfc3339(&text) {
                *value = instant.into();
            }
        }
    }
}

/// One field of a CSV line.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// The key, quoted.
    key: String,
    kind: ColumnType,
    form: Option<InstantForm>,
}

impl Field {
    /// Writes `"key":`.
    pub(crate) fn write_key(&self, out: &mut Vec<u8>) {
        // Writing to memory cannot fail.
        let _ = write!(out, "{}:", self.key);
    }
}

/// Gathers JSON lines into pieces.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Vec<u8>,
    first: u64,
    rows: u64,
    skip: u64,
}

impl Lines {
    /// Rows before `skip` are counted and left out.
    pub(crate) fn new(skip: u64) -> Self {
        Self { body: Vec::with_capacity(PIECE_BYTES), first: 0, rows: 0, skip }
    }

    /// Adds one line without its end; false when the sink wants no more.
    pub(crate) fn push(&mut self, line: &[u8], sink: Sink<'_>) -> Result<bool, Fault> {
        if line.len() > ROW_BYTES {
            let reason = format!("a row of {} bytes; the limit is {ROW_BYTES}", line.len());
            return Err(Fault::new(FaultKind::Row, reason, "move large values to files and name them in the row"));
        }
        if self.first + self.rows < self.skip {
            self.first += 1;
            return Ok(true);
        }
        let full = self.rows > 0 && self.body.len() + line.len() > PIECE_BYTES;
        if full && !self.emit(sink) {
            return Ok(false);
        }
        self.body.extend_from_slice(line);
        self.body.push(b'\n');
        self.rows += 1;
        if self.rows >= PIECE_ROWS as u64 { Ok(self.emit(sink)) } else { Ok(true) }
    }

    /// Hands over what is left; the number of rows in all.
    pub(crate) fn finish(mut self, sink: Sink<'_>) -> u64 {
        if self.rows > 0 {
            self.emit(sink);
        }
        self.first
    }

    fn emit(&mut self, sink: Sink<'_>) -> bool {
        let body = Bytes::from(std::mem::replace(&mut self.body, Vec::with_capacity(PIECE_BYTES)));
        let piece = Piece { content_type: headers::NDJSON, body, first: self.first, rows: self.rows };
        self.first += self.rows;
        self.rows = 0;
        sink(piece)
    }
}

/// Lines with their positions, packed into pieces; each is named by the position of its first line.
pub(crate) fn pack(lines: impl IntoIterator<Item = (u64, Vec<u8>)>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Option<(u64, u64, Vec<u8>)> = None;
    let close = |(first, rows, body): (u64, u64, Vec<u8>)| Piece {
        content_type: headers::NDJSON,
        body: Bytes::from(body),
        first,
        rows,
    };
    for (at, line) in lines {
        let full = |(_, rows, body): &mut (u64, u64, Vec<u8>)| {
            *rows >= PIECE_ROWS as u64 || body.len() + line.len() > PIECE_BYTES
        };
        pieces.extend(open.take_if(full).map(close));
        let (_, rows, body) = open.get_or_insert_with(|| (at, 0, Vec::new()));
        body.extend_from_slice(&line);
        body.push(b'\n');
        *rows += 1;
    }
    pieces.extend(open.map(close));
    pieces
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use serde_json::json;

    pub(crate) fn source(columns: serde_json::Value) -> Source {
        serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": columns})).unwrap()
    }

    fn rules(form: serde_json::Value) -> Rules {
        let columns = json!({"n": {"type": "int64"}, "at": {"type": "timestamp"}, "x": {"type": "float64", "nullable": true},
            "ok": {"type": "boolean", "nullable": true}, "name": {"type": "string", "nullable": true}});
        Rules::new(&source(columns), &serde_json::from_value(form).unwrap())
    }

    fn value(rules: &Rules, column: &str, text: &str) -> String {
        let mut out = Vec::new();
        rules.write_value(&rules.field(column).unwrap(), text, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn fields_become_typed_values_and_what_does_not_fit_stays_text() {
        let rules = rules(json!({"null_values": ["", "NA"], "instants": {"at": "%d.%m.%Y %H:%M"}}));
        let seen = |column, text| value(&rules, column, text);
        assert_eq!(seen("n", "007"), "7");
        assert_eq!(seen("n", "7.5"), "\"7.5\"");
        assert_eq!(seen("x", "1e3"), "1000.0");
        assert_eq!(seen("x", "NaN"), "\"NaN\"");
        assert_eq!(seen("x", "NA"), "null");
        assert_eq!(seen("ok", "TRUE"), "true");
        assert_eq!(seen("name", "a\"b\n"), r#""a\"b\n""#);
        assert_eq!(seen("at", "24.12.2023 18:30"), "\"2023-12-24T18:30:00Z\"");
        assert_eq!(seen("at", "24/12/2023"), "\"24/12/2023\"");
    }

    #[test]
    fn instants_are_read_in_every_declared_form() {
        let read = |form: &str, text: &str| InstantForm::of(form).rfc3339(text);
        assert_eq!(read("epoch_s", "1.5").as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert_eq!(read("epoch_ms", "1500").as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert_eq!(read("%Y-%m-%d", "2024-02-29").as_deref(), Some("2024-02-29T00:00:00Z"));
        assert_eq!(read("%Y-%m-%dT%H:%M:%S%z", "2024-01-01T02:00:00+0200").as_deref(), Some("2024-01-01T00:00:00Z"));
        assert_eq!(read("%Q", "2024"), None);
    }

    #[test]
    fn a_header_is_held_against_the_declaration() {
        let names = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
        let strict = rules(json!({}));
        assert!(strict.header(&names("n,at")).is_ok());
        assert!(strict.header(&names("n,name")).unwrap_err().reason.ends_with("missing: at"));
        assert!(strict.header(&names("n,at,other")).unwrap_err().reason.contains("other"));
        assert!(strict.header(&names("n,at,at")).unwrap_err().reason.contains("twice"));
        let lax = rules(json!({"extra_columns": "ignore"}));
        assert!(lax.header(&names("n,at,other")).unwrap()[2].is_none());
    }

    #[test]
    fn packed_pieces_are_named_by_their_first_line() {
        let lines = (0..1_200).map(|n| (n * 2, b"{}".to_vec()));
        let spans: Vec<_> = pack(lines).iter().map(|piece| (piece.first, piece.rows)).collect();
        assert_eq!(spans, [(0, 500), (1_000, 500), (2_000, 200)]);
        let wide = (0..3).map(|n| (n, vec![b'x'; PIECE_BYTES / 2]));
        assert_eq!(pack(wide).len(), 3);
        assert!(pack([]).is_empty());
    }

    #[test]
    fn pieces_go_on_where_others_ended() {
        let mut all = Vec::new();
        let mut lines = Lines::new(700);
        for n in 0..1_300 {
            assert!(
                lines
                    .push(n.to_string().as_bytes(), &mut |piece| {
                        all.push(piece);
                        true
                    })
                    .unwrap()
            );
        }
        assert_eq!(
            lines.finish(&mut |piece| {
                all.push(piece);
                true
            }),
            1_300
        );
        let spans: Vec<_> = all.iter().map(|piece| (piece.first, piece.rows)).collect();
        assert_eq!(spans, [(700, 500), (1_200, 100)]);
        assert!(all[0].body.starts_with(b"700\n701\n"));
    }
}
