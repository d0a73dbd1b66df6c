//! `explain`: the page of an error code, with cause, remedy and example.

mod pages;

use super::output::{Output, next};
use crate::error::{Error, Result};
use clap::Args;
use pages::Page;
use serde_json::{Value, json};

const EXAMPLES: &str = "\
Examples:
  tidemill explain TM0403
  tidemill explain 403
  tidemill explain            lists all codes
  tidemill explain -o json    all pages as one document";

/// Widest line of a page.
const WIDTH: usize = 100;
/// Codes that are suggested for one that does not exist.
const SUGGESTED: usize = 3;

/// `tidemill explain`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ExplainArgs {
    /// Code of an error, such as TM0403; without one, all codes are listed.
    #[arg(value_name = "CODE")]
    code: Option<String>,
}

/// Shows a page, or the list of all.
pub(super) fn run(out: Output, args: &ExplainArgs) -> Result<u8> {
    let pages = pages::all();
    let Some(code) = &args.code else {
        let rows: Vec<Value> = pages.iter().map(shown).collect();
        out.rows(&["code", "area", "title"], &rows)?;
        next("tidemill explain CODE");
        return Ok(0);
    };
    let number = number(code)?;
    let Some(page) = pages.iter().find(|page| page.code == number) else {
        return Err(Error::NoPage { code: format!("TM{number:04}"), near: nearest(&pages, number) });
    };
    if out.is_table() {
        out.text("page", &text(page))?;
    } else {
        out.record(&shown(page))?;
    }
    Ok(0)
}

fn shown(page: &Page) -> Value {
    json!({
        "code": page.name(),
        "area": page.area,
        "title": page.title,
        "cause": page.cause,
        "remedy": page.remedy,
        "example": page.example,
    })
}

/// `TM0403`, `tm403` and `403` are the same.
fn number(code: &str) -> Result<u16> {
    let digits = code.trim().trim_start_matches(['T', 't']).trim_start_matches(['M', 'm']);
    let number = digits.parse().ok().filter(|number| *number < 10_000);
    number.ok_or_else(|| Error::Usage(format!("\"{code}\" is no code: write one like TM0403")))
}

/// The codes that lie nearest, or differ in the fewest digits.
fn nearest(pages: &[Page], number: u16) -> Vec<String> {
    let wanted = format!("{number:04}");
    let mut ranked: Vec<(usize, u16, u16)> = pages
        .iter()
        .map(|page| {
            let code = format!("{:04}", page.code);
            let other = code.bytes().zip(wanted.bytes()).filter(|(a, b)| a != b).count();
            (other, page.code.abs_diff(number), page.code)
        })
        .collect();
    ranked.sort_unstable();
    ranked.into_iter().take(SUGGESTED).map(|(_, _, code)| format!("TM{code:04}")).collect()
}

fn text(page: &Page) -> String {
    let mut text = format!("{}  {}\n{}\n", page.name(), page.title, page.area);
    for (head, body) in [("Cause", &page.cause), ("Remedy", &page.remedy)] {
        text.push_str(&format!("\n{head}\n{}", wrapped(body)));
    }
    text.push_str("\nExample\n");
    for line in page.example.lines() {
        text.push_str(&format!("  {line}\n"));
    }
    text
}

/// The words of a paragraph in lines, indented.
fn wrapped(paragraph: &str) -> String {
    let mut lines = String::new();
    let mut width = 0;
    for word in paragraph.split_whitespace() {
        let letters = word.chars().count();
        if width > 0 && width + 1 + letters > WIDTH {
            lines.push('\n');
            width = 0;
        }
        lines.push_str(if width == 0 { "  " } else { " " });
        lines.push_str(word);
        width += letters + if width == 0 { 2 } else { 1 };
    }
    lines.push('\n');
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_may_be_written_in_short() {
        for code in ["TM0403", "tm403", "403", " 0403 "] {
            assert_eq!(number(code).unwrap(), 403, "{code}");
        }
        for wrong in ["", "TM", "E403", "12345"] {
            assert!(number(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_code_that_does_not_exist_is_answered_with_its_neighbours() {
        let near = nearest(&pages::all(), 409);
        assert_eq!(near, ["TM0408", "TM0407", "TM0406"]);
    }

    #[test]
    fn pages_are_wrapped() {
        let text = text(&pages::all()[0]);
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH + 2), "{text}");
        assert!(text.contains("\nCause\n  ") && text.contains("\nRemedy\n  ") && text.contains("\nExample\n  TM"));
    }
}
