//! A reader of text that stops where a record does not end, so that a stray quote or a file without line ends is not
//! gathered in memory to its last byte. What the records hold is left to whoever reads them.

use std::fmt;
use std::io::{Error, ErrorKind, Read};

/// What ends a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordEnd {
    /// A line end.
    Line,
    /// A line end outside of quotes, which open where a field begins.
    Csv {
        /// Between two fields.
        delimiter: u8,
    },
}

/// A record that does not end; comes as the cause of an [`std::io::Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenRecord {
    /// Line in which the record, or its open quote, begins; from 1.
    pub line: u64,
    /// Byte of that line, from 1.
    pub byte: u64,
    /// Whether a quote is open.
    pub is_quote: bool,
    /// Most bytes of a record; `None` when the text ended before.
    pub most: Option<u64>,
}

impl fmt::Display for OpenRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_quote {
            write!(f, "line {} opens a quote at byte {} that does not close", self.line, self.byte)?;
        } else {
            write!(f, "line {} does not end", self.line)?;
        }
        self.most.map_or(Ok(()), |most| write!(f, " within {most} bytes"))
    }
}

impl std::error::Error for OpenRecord {}

impl OpenRecord {
    /// The open record behind an error, if that is what it is about.
    #[must_use]
    pub fn behind(error: &Error) -> Option<Self> {
        error.get_ref().and_then(|cause| cause.downcast_ref()).copied()
    }
}

/// Where a reader of CSV stands in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Begins,
    Plain,
    Quoted,
    /// Behind a quote in a quoted field: it closes unless another one follows.
    Closing,
}

/// A place in the text: byte from its start, line, and byte at which the line starts.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    at: u64,
    line: u64,
    line_at: u64,
}

/// Hands through what it reads, and fails with [`OpenRecord`] instead of handing through a record without end.
#[derive(Debug)]
pub struct Records<R> {
    inner: R,
    end: RecordEnd,
    most: u64,
    field: Field,
    here: Place,
    record: Place,
    quote: Place,
}

impl<R: Read> Records<R> {
    /// A reader of records of at most about `most` bytes: one that ends in the same read may be longer by that read.
    pub fn new(inner: R, end: RecordEnd, most: u64) -> Self {
        let start = Place { line: 1, ..Place::default() };
        Self { inner, end, most, field: Field::Begins, here: start, record: start, quote: start }
    }

    fn pass(&mut self, byte: u8) {
        let is_end = matches!(byte, b'\n' | b'\r');
        self.field = match (self.field, byte, self.end) {
            (_, _, RecordEnd::Line) => Field::Begins,
            (Field::Begins, b'"', _) => {
                self.quote = self.here;
                Field::Quoted
            }
            (Field::Quoted, b'"', _) => Field::Closing,
            (Field::Closing, b'"', _) | (Field::Quoted, ..) => Field::Quoted,
            (_, byte, RecordEnd::Csv { delimiter }) if byte == delimiter || is_end => Field::Begins,
            _ => Field::Plain,
        };
        self.here.at += 1;
        if byte == b'\n' {
            self.here.line += 1;
            self.here.line_at = self.here.at;
        }
        if is_end && self.field == Field::Begins {
            self.record = self.here;
        }
    }

    fn open(&self, most: Option<u64>) -> Error {
        let is_quote = self.field == Field::Quoted;
        let place = if is_quote { self.quote } else { self.record };
        let byte = place.at - place.line_at + 1;
        Error::new(ErrorKind::InvalidData, OpenRecord { line: place.line, byte, is_quote, most })
    }
}

impl<R: Read> Read for Records<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.read(buffer)?;
        if read == 0 && !buffer.is_empty() && self.field == Field::Quoted {
            return Err(self.open(None));
        }
        for byte in buffer.get(..read).unwrap_or_default() {
            self.pass(*byte);
        }
        if self.here.at - self.record.at > self.most {
            return Err(self.open(Some(self.most)));
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    const CSV: RecordEnd = RecordEnd::Csv { delimiter: b',' };

    fn all(text: &str, end: RecordEnd, most: u64) -> Result<String, OpenRecord> {
        let mut reader = Records::new(text.as_bytes(), end, most);
        let (mut out, mut buffer) = (String::new(), [0; 7]);
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(out),
                Ok(read) => out.push_str(std::str::from_utf8(&buffer[..read]).unwrap()),
                Err(error) => return Err(OpenRecord::behind(&error).unwrap()),
            }
        }
    }

    #[test]
    fn records_that_end_pass_as_they_are() {
        for text in [
            "a,b\n1,2\r\n3,4",
            "a\n\"x, \"\"y\"\"\n z\",1\n",
            // Quotes inside of plain fields are text.
            "size\n5\" pipe\n6\" pipe\n",
            "\"a\"b,c\n\"\"\n",
            "",
        ] {
            let long = text.repeat(40);
            assert_eq!(all(&long, CSV, 40).as_deref(), Ok(long.as_str()), "{text}");
        }
        assert_eq!(all("{\"a\": \"\n{\"\n", RecordEnd::Line, 20).as_deref(), Ok("{\"a\": \"\n{\"\n"));
    }

    #[test]
    fn a_quote_that_does_not_close_is_named_by_its_place() {
        let text = format!("a,b\n1,\"2\n{}", "3,4\n".repeat(100));
        let open = all(&text, CSV, 50).unwrap_err();
        assert_eq!(open, OpenRecord { line: 2, byte: 3, is_quote: true, most: Some(50) });
        assert_eq!(open.to_string(), "line 2 opens a quote at byte 3 that does not close within 50 bytes");
        let open = all("a,b\n1,\"2\n3,4\n", CSV, 50).unwrap_err();
        assert_eq!(open.to_string(), "line 2 opens a quote at byte 3 that does not close");
    }

    #[test]
    fn a_line_without_end_is_named_by_its_number() {
        for end in [CSV, RecordEnd::Line] {
            let open = all(&format!("a\nb\n{}", "x".repeat(200)), end, 100).unwrap_err();
            assert_eq!(open.to_string(), "line 3 does not end within 100 bytes");
        }
    }
}
