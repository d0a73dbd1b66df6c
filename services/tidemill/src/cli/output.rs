//! Answers on standard output, everything else on standard error.

use super::frame::{Paint, frame};
use crate::error::{Error, Result};
use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde_json::{Map, Value};
use std::io::{ErrorKind, IsTerminal as _, Write};
use tidemill_spec::SpecProblem;

/// How answers are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Table,
    /// One JSON document.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// Comma-separated values with a header.
    Csv,
}

/// Writes the answer of one command.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// Writes in `format`.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether a person reads the answer.
    pub(crate) fn is_table(self) -> bool {
        self.format == Format::Table
    }

    /// Whether a program reads one whole document.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Rows of one kind: `columns` says which keys a table or CSV shows, in which order; JSON shows all.
    pub(crate) fn rows(self, columns: &[&str], rows: &[Value]) -> Result<()> {
        match self.format {
            Format::Json => self.json(&Value::Array(rows.to_vec())),
            Format::Jsonl => rows.iter().try_for_each(|row| write_out(&format!("{row}\n"))),
            Format::Csv => write_out(&csv(columns, rows)),
            Format::Table if rows.is_empty() => {
                say("nothing to show");
                Ok(())
            }
            Format::Table => write_out(&table(columns, rows)),
        }
    }

    /// One thing: a table shows a line per key, nested things as JSON.
    pub(crate) fn record(self, record: &Value) -> Result<()> {
        let fields = record.as_object().cloned().unwrap_or_default();
        match self.format {
            Format::Json => self.json(record),
            Format::Jsonl => write_out(&format!("{record}\n")),
            Format::Csv => {
                let columns: Vec<&str> = fields.keys().map(String::as_str).collect();
                write_out(&csv(&columns, std::slice::from_ref(record)))
            }
            Format::Table => {
                let width = fields.keys().map(String::len).max().unwrap_or_default();
                let lines = fields.iter().map(|(key, value)| format!("{key:width$}  {}\n", cell(value)));
                write_out(&lines.collect::<String>())
            }
        }
    }

    /// Text that is the answer itself, such as a stored YAML file.
    pub(crate) fn text(self, name: &str, text: &str) -> Result<()> {
        match self.format {
            Format::Table | Format::Csv => write_out(text),
            Format::Json | Format::Jsonl => {
                let mut fields = Map::new();
                fields.insert(name.to_owned(), text.into());
                self.record(&Value::Object(fields))
            }
        }
    }

    /// One line of a stream that has no end; a table shows a line of text.
    pub(crate) fn line(self, columns: &[&str], row: &Value) -> Result<()> {
        match self.format {
            Format::Json | Format::Jsonl => write_out(&format!("{row}\n")),
            Format::Csv => write_out(csv(columns, std::slice::from_ref(row)).split_once('\n').map_or("", |(_, l)| l)),
            Format::Table => {
                let cells: Vec<String> = columns.iter().map(|c| cell(row.get(*c).unwrap_or(&Value::Null))).collect();
                write_out(&format!("{}\n", cells.join("  ")))
            }
        }
    }

    /// Bytes that are the answer itself.
    pub(crate) fn bytes(self, bytes: &[u8]) -> Result<()> {
        write_bytes(bytes)
    }

    fn json(self, value: &Value) -> Result<()> {
        let text = serde_json::to_string_pretty(value).map_err(std::io::Error::other)?;
        write_out(&format!("{text}\n"))
    }
}

fn write_out(text: &str) -> Result<()> {
    write_bytes(text.as_bytes())
}

fn write_bytes(bytes: &[u8]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        // The reader has seen enough, as in `| head`.
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Error::Output),
    }
}

/// A remark for the person at the terminal.
pub(crate) fn say(text: &str) {
    // Nobody can be told that standard error is gone.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}

/// The step that follows a success.
pub(crate) fn next(step: &str) {
    say(&format!("next: {step}"));
}

/// A failure, with its code, cause, the way out and its page.
pub(crate) fn fail(error: &Error, color: bool) {
    let paint = if color && std::io::stderr().is_terminal() { Paint::ON } else { Paint::default() };
    let code = error.shown_code();
    let problems = error.problems();
    if problems.is_empty() {
        say(&format!("{}{code}{}: {}", paint.red, paint.off, error.text()));
    } else {
        tell_problems(error, &problems, &code, paint);
    }
    if let Some(mend) = error.mend() {
        say(&format!("mend: {mend}"));
    }
    say(&format!("more: tidemill explain {code}"));
}

/// The problems of a project file, at their lines when its text is known.
fn tell_problems(error: &Error, problems: &[SpecProblem], code: &str, paint: Paint) {
    let count = match problems.len() {
        1 => "one problem".to_owned(),
        n => format!("{n} problems"),
    };
    say(&format!("{}{code}{}: the project file is refused: {count}", paint.red, paint.off));
    for problem in problems {
        match error {
            Error::Refused { file, text, .. } => say(&frame(problem, file, text, paint)),
            _ => say(&format!("  {problem}")),
        }
    }
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(x) if number.is_f64() && x.abs() < 1e6 => {
                format!("{:.4}", x).trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => number.to_string(),
        },
        other => other.to_string(),
    }
}

/// Widest cell of a table; the other formats show all of it.
const CELL_WIDTH: usize = 80;

fn short(text: String) -> String {
    match text.char_indices().nth(CELL_WIDTH) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

fn table(columns: &[&str], rows: &[Value]) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(columns.to_vec());
    for row in rows {
        table.add_row(
            columns.iter().map(|column| short(cell(row.get(*column).unwrap_or(&Value::Null)))).collect::<Vec<_>>(),
        );
    }
    format!("{}\n", table.trim_fmt())
}

fn csv(columns: &[&str], rows: &[Value]) -> String {
    let quoted = |text: String| {
        if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
    };
    let line = |cells: Vec<String>| cells.into_iter().map(quoted).collect::<Vec<_>>().join(",") + "\n";
    let mut text = line(columns.iter().map(|c| (*c).to_owned()).collect());
    for row in rows {
        let exact = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        text.push_str(&line(columns.iter().map(|c| exact(row.get(*c).unwrap_or(&Value::Null))).collect()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn csv_quotes_what_must_be_quoted() {
        let text = csv(&["a", "b"], &[json!({"a": "x,\"y\"", "b": 1.25}), json!({"a": null})]);
        assert_eq!(text, "a,b\n\"x,\"\"y\"\"\",1.25\n,\n");
    }

    #[test]
    fn tables_show_the_columns_in_order() {
        let text = table(&["b", "a"], &[json!({"a": 1, "b": "two"})]);
        assert!(text.find('b') < text.find('a'), "{text}");
        assert!(text.contains("two"));
    }
}
