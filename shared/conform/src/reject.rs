//! What is said about a message or a row that cannot become part of the table.

use tidemill_types::Code;

/// The body is larger than the limit.
pub const BODY_TOO_LARGE: Code = Code(301);
/// The content type is none of those a source may send.
pub const UNSUPPORTED_CONTENT_TYPE: Code = Code(302);
/// Text that is not UTF-8.
pub const NOT_UTF8: Code = Code(303);
/// Text that is not JSON.
pub const MALFORMED_JSON: Code = Code(304);
/// JSON that is not an object where a row is expected.
pub const NOT_AN_OBJECT: Code = Code(305);
/// More rows in one message than the limit.
pub const TOO_MANY_ROWS: Code = Code(306);
/// A message without a single row.
pub const EMPTY: Code = Code(307);
/// A column that the source does not declare.
pub const UNKNOWN_COLUMN: Code = Code(308);
/// The same column twice.
pub const DUPLICATE_COLUMN: Code = Code(309);
/// A required column is absent.
pub const MISSING_COLUMN: Code = Code(310);
/// Null in a required column.
pub const NULL_IN_REQUIRED: Code = Code(311);
/// A value of another type than declared.
pub const TYPE_MISMATCH: Code = Code(312);
/// A number that the declared type cannot hold.
pub const OUT_OF_RANGE: Code = Code(313);
/// A text that is no RFC 3339 instant, or an instant outside years 1 to 9999.
pub const BAD_INSTANT: Code = Code(314);
/// The Arrow stream's envelope contradicts itself or its body.
pub const MALFORMED_ARROW: Code = Code(315);
/// A feature of the Arrow format that messages may not use.
pub const ARROW_FEATURE_REFUSED: Code = Code(316);
/// The Arrow data inside a sound envelope are invalid.
pub const INVALID_ARROW_DATA: Code = Code(317);
/// The zstd frame is damaged or larger inside than the limit.
pub const BAD_COMPRESSION: Code = Code(318);
/// The declared schema itself cannot be used.
pub const BAD_SCHEMA: Code = Code(319);
/// One call was given more text than one batch can hold.
pub const BATCH_FULL: Code = Code(320);
/// An attribute that CloudEvents 1.0 does not allow, or none where it asks for one.
pub const BAD_ATTRIBUTE: Code = Code(321);
/// An event in JSON whose envelope cannot be read.
pub const BAD_ENVELOPE: Code = Code(322);
/// Conformed columns did not form a batch: a defect of Tidemill.
pub const DEFECT: Code = Code(399);

/// A message, or one row of it, that is refused, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    /// Position of the row in its message, from 0; `None` when the message as a whole is refused.
    pub row: Option<u32>,
    /// The kind of fault, with a page in the manual.
    pub code: Code,
    /// What is wrong, for people: lower case. It names the offending value, shortened to 80 characters,
    /// where the column's [`Values`](crate::Values) allow it, else its kind and length.
    pub reason: String,
    /// Where: a JSON path, `line 3 column 14`, `byte 120` or `column "x"`; empty for the whole message.
    pub position: String,
}

impl Reject {
    /// A message as a whole.
    #[must_use]
    pub fn whole(code: Code, reason: impl Into<String>, position: impl Into<String>) -> Self {
        Self { row: None, code, reason: reason.into(), position: position.into() }
    }
}

/// A fault of one value or row, before it is known where that row stands.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) code: Code,
    pub(crate) reason: String,
    /// The column or key at fault; empty when the row as such is at fault.
    pub(crate) column: String,
}

impl Fault {
    pub(crate) fn new(code: Code, reason: impl Into<String>, column: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), column: column.into() }
    }
}

/// At most 80 characters of a value, so that a reason cannot grow with hostile input.
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(80) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}
