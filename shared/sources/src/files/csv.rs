//! Comma-separated values with a header, strictly: every line has the fields of the header, all of it is UTF-8.

use crate::error::{Fault, FaultKind};
use crate::message::ROW_BYTES;
use crate::records::{OpenRecord, RecordEnd, Records};
use crate::text::{Lines, Rules, Sink};
use csv::{ByteRecord, ErrorKind, ReaderBuilder};
use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};

const UTF8_MEND: &str = "write the file as UTF-8, for example: iconv -f LATIN1 -t UTF-8 FILE";

pub(super) fn read(mut file: File, rules: &Rules, skip: u64, sink: Sink<'_>) -> Result<u64, Fault> {
    skip_mark(&mut file)?;
    let end = RecordEnd::Csv { delimiter: rules.delimiter };
    let records = Records::new(BufReader::with_capacity(1 << 20, file), end, ROW_BYTES as u64);
    let mut reader =
        ReaderBuilder::new().delimiter(rules.delimiter).flexible(false).has_headers(false).from_reader(records);
    let mut record = ByteRecord::new();
    if !reader.read_byte_record(&mut record).map_err(|e| fault(&e))? {
        return Err(Fault::new(FaultKind::Damaged, "the file is empty", "a CSV file has a header at least"));
    }
    let names = record.iter().map(|name| text(name, 1).map(str::to_owned)).collect::<Result<Vec<_>, _>>()?;
    let fields = rules.header(&names).map_err(|fault| fault.line(1))?;
    let mut lines = Lines::new(skip);
    let mut out = Vec::new();
    while reader.read_byte_record(&mut record).map_err(|e| fault(&e))? {
        let line = record.position().map_or(0, csv::Position::line);
        out.clear();
        out.push(b'{');
        for (field, value) in fields.iter().zip(&record) {
            let value = text(value, line)?;
            let Some(field) = field else { continue };
            if out.len() > 1 {
                out.push(b',');
            }
            field.write_key(&mut out);
            rules.write_value(field, value, &mut out);
        }
        out.push(b'}');
        if !lines.push(&out, sink).map_err(|fault| fault.line(line))? {
            break;
        }
    }
    Ok(lines.finish(sink))
}

/// Passes over the byte order mark of UTF-8 and refuses those of UTF-16.
pub(super) fn skip_mark(file: &mut File) -> Result<(), Fault> {
    let lost = |e: std::io::Error| Fault::new(FaultKind::Damaged, e.to_string(), "see the disk of this machine");
    let mut mark = Vec::new();
    file.by_ref().take(3).read_to_end(&mut mark).map_err(lost)?;
    if mark.starts_with(&[0xff, 0xfe]) || mark.starts_with(&[0xfe, 0xff]) {
        let mend = "write the file as UTF-8, for example: iconv -f UTF-16 -t UTF-8 FILE";
        return Err(Fault::new(FaultKind::Encoding, "the text is UTF-16", mend).line(1));
    }
    let start = if mark == [0xef, 0xbb, 0xbf] { 3 } else { 0 };
    file.seek(SeekFrom::Start(start)).map_err(lost)?;
    Ok(())
}

fn text(bytes: &[u8], line: u64) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|e| {
        let reason = format!("the text is not UTF-8, at byte {} of a field", e.valid_up_to());
        Fault::new(FaultKind::Encoding, reason, UTF8_MEND).line(line).sample(bytes)
    })
}

/// A fault of the whole file from what the reader says.
pub(crate) fn fault(error: &csv::Error) -> Fault {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            let reason = format!("{len} fields where the header has {expected_len}");
            let mend = "quote fields that hold the delimiter, and see whether the file was cut off";
            Fault::new(FaultKind::Ragged, reason, mend).line(line)
        }
        ErrorKind::Io(error) => match OpenRecord::behind(error) {
            Some(open) => endless(&open),
            None => Fault::new(FaultKind::Damaged, error.to_string(), "see the disk of this machine"),
        },
        ErrorKind::Utf8 { .. } => Fault::new(FaultKind::Encoding, "the text is not UTF-8", UTF8_MEND).line(line),
        _ => Fault::new(FaultKind::Damaged, error.to_string(), "write the file again"),
    }
}

/// A record without an end: which column its values belong to cannot be told, or no message can hold it.
pub(crate) fn endless(open: &OpenRecord) -> Fault {
    let (kind, mend) = if open.is_quote {
        (FaultKind::Ragged, "close the quote; one that belongs to a quoted text is written twice")
    } else {
        (FaultKind::Row, "end every row with a line end, and move large values to files")
    };
    let mut fault = Fault::new(kind, open.to_string(), mend);
    fault.position = format!("line {}, byte {}", open.line, open.byte);
    fault
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::files::Scratch;
    use crate::message::Piece;
    use serde_json::json;
    use tidemill_spec::Source;

    fn rules(form: serde_json::Value) -> Rules {
        let source: Source = serde_json::from_value(json!({"key": ["n"], "event_time": "at", "columns": {
            "n": {"type": "int64"}, "at": {"type": "timestamp"}, "name": {"type": "string", "nullable": true}}}))
        .unwrap();
        Rules::new(&source, &serde_json::from_value(form).unwrap())
    }

    fn all(text: &[u8], form: serde_json::Value, skip: u64) -> Result<(u64, Vec<Piece>), Fault> {
        let mut pieces = Vec::new();
        let file = Scratch::of(text, None).unwrap().file;
        let rows = read(file, &rules(form), skip, &mut |piece| {
            pieces.push(piece);
            true
        })?;
        Ok((rows, pieces))
    }

    #[test]
    fn lines_become_rows_from_any_row_on() {
        let text = b"\xef\xbb\xbfn,at,name\n1,2024-01-01T00:00:00Z,\"a, \"\"b\"\"\"\n2,x,\n";
        let (rows, pieces) = all(text, json!({}), 0).unwrap();
        let lines = String::from_utf8(pieces[0].body.to_vec()).unwrap();
        assert_eq!(rows, 2);
        let mut expected = r#"{"n":1,"at":"2024-01-01T00:00:00Z","name":"a, \"b\""}"#.to_owned();
        expected.push_str("\n{\"n\":2,\"at\":\"x\",\"name\":null}\n");
        assert_eq!(lines, expected);
        let (rows, pieces) = all(text, json!({}), 1).unwrap();
        assert_eq!((rows, pieces[0].first, pieces[0].rows), (2, 1, 1));
        assert!(all(b"n;at\n3;y\n", json!({"delimiter": ";"}), 0).is_ok());
    }

    #[test]
    fn a_stray_quote_does_not_swallow_the_rest_of_the_file() {
        let refused = |text: &str| all(text.as_bytes(), json!({}), 0).unwrap_err();
        let rest = "3,x,three\n".repeat(ROW_BYTES / 5);
        let long = refused(&format!("n,at,name\n1,x,one\n2,x,\"two\n{rest}"));
        assert!(long.reason.contains("does not close within") && long.mend.contains("close the quote"), "{long}");
        assert_eq!((long.kind, long.position.as_str()), (FaultKind::Ragged, "line 3, byte 5"));
        // Within the limit too: the quote would make one row of all that follow.
        let short = refused("n,at,name\n1,x,\"one\n2,x,two\n");
        assert_eq!((short.kind, short.position.as_str()), (FaultKind::Ragged, "line 2, byte 5"));
        let endless = refused(&format!("n,at,name\n1,x,{}", "x".repeat(2 * ROW_BYTES)));
        assert_eq!((endless.kind, endless.position.as_str()), (FaultKind::Row, "line 2, byte 1"));
        assert_eq!(all(b"n,at,name\n1,x,5\" pipe\n2,x,\"\"\"a\"\"\"\n", json!({}), 0).unwrap().0, 2);
    }

    #[test]
    fn a_bad_file_is_refused_with_line_and_mend() {
        let refused = |text: &[u8]| all(text, json!({}), 0).unwrap_err();
        let ragged = refused(b"n,at\n1,x\n2\n3,y\n");
        assert_eq!((ragged.kind, ragged.position.as_str()), (FaultKind::Ragged, "line 3"));
        let latin = refused(b"n,at,name\n1,x,\"M\xfcller\"\n");
        assert_eq!((latin.kind, latin.position.as_str()), (FaultKind::Encoding, "line 2"));
        assert!(latin.mend.contains("iconv"));
        assert_eq!(refused(b"\xff\xfen\0,\0").kind, FaultKind::Encoding);
        assert_eq!(refused(b"").kind, FaultKind::Damaged);
        assert_eq!(refused(b"n,name\n1,x\n").kind, FaultKind::Schema);
    }
}
