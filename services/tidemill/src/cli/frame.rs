//! Problems of a project file, each shown at its line.

use std::fmt::Write as _;
use std::path::Path;
use tidemill_spec::SpecProblem;

/// Most letters of a source line that are shown.
const LINE_WIDTH: usize = 110;

/// Red on, bold on, and off again; all empty where no colours are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Paint {
    /// What is wrong.
    pub(crate) red: &'static str,
    /// What is a frame.
    pub(crate) blue: &'static str,
    /// The end of either.
    pub(crate) off: &'static str,
}

impl Paint {
    /// Colours for a terminal.
    pub(crate) const ON: Self = Self { red: "\x1b[31m", blue: "\x1b[34m", off: "\x1b[0m" };
}

/// The problem with its place, the line before it, the line itself and a mark under the key.
pub(crate) fn frame(problem: &SpecProblem, file: &Path, text: &str, paint: Paint) -> String {
    let Paint { red, blue, off } = paint;
    let file = file.display();
    let path = if problem.path.is_empty() { String::new() } else { format!("{}: ", problem.path) };
    let lines: Vec<&str> = text.lines().collect();
    let place = problem.line.zip(problem.column).filter(|(line, _)| (1..=lines.len()).contains(line));
    let Some((line, column)) = place else {
        let mend = problem.mend.as_ref().map(|mend| format!("\n  {blue}={off} {mend}")).unwrap_or_default();
        return format!("  {blue}-->{off} {file}\n  {blue}={off} {path}{}{mend}", problem.message);
    };
    let margin = line.to_string().len();
    let mut shown = format!("{:margin$}{blue}-->{off} {file}:{line}:{column}\n", "");
    let mut source = |number: usize| {
        let source = lines.get(number - 1).copied().unwrap_or_default();
        let source: String = source.chars().take(LINE_WIDTH).collect();
        // Writing to a text cannot fail.
        let _ = writeln!(shown, "{blue}{number:margin$} |{off} {source}");
    };
    if line > 1 {
        source(line - 1);
    }
    source(line);
    let marked = lines.get(line - 1).map_or(1, |source| marked(source, column));
    let _ = writeln!(
        shown,
        "{:margin$} {blue}|{off} {}{red}{}{off}",
        "",
        " ".repeat(column.saturating_sub(1)),
        "^".repeat(marked)
    );
    let _ = write!(shown, "{:margin$} {blue}={off} {path}{}", "", problem.message);
    if let Some(mend) = &problem.mend {
        let _ = write!(shown, "\n{:margin$} {blue}={off} {mend}", "");
    }
    shown
}

/// Letters of the word that starts at a column, at least one.
fn marked(source: &str, column: usize) -> usize {
    let word = source
        .chars()
        .skip(column.saturating_sub(1))
        .take_while(|c| !c.is_whitespace() && !matches!(c, ':' | ',' | '}' | ']'));
    word.take(LINE_WIDTH.saturating_sub(column)).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: Option<usize>, column: Option<usize>) -> SpecProblem {
        let mend = Some("did you mean \"embargo\"?".to_owned());
        SpecProblem { path: "split.embargoo".into(), line, column, message: "unknown field".into(), mend }
    }

    #[test]
    fn the_word_at_fault_is_underlined() {
        let shown =
            frame(&problem(Some(2), Some(3)), Path::new("p.yaml"), "split:\n  embargoo: 36h\n", Paint::default());
        let expected = [
            " --> p.yaml:2:3",
            "1 | split:",
            "2 |   embargoo: 36h",
            "  |   ^^^^^^^^",
            "  = split.embargoo: unknown field",
            "  = did you mean \"embargo\"?",
        ];
        assert_eq!(shown.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_problem_without_a_place_names_the_file() {
        let shown = frame(&problem(None, None), Path::new("p.yaml"), "", Paint::default());
        assert!(shown.contains("p.yaml") && shown.contains("split.embargoo"), "{shown}");
        // A place behind the end of the text is none.
        assert!(!frame(&problem(Some(9), Some(1)), Path::new("p.yaml"), "a: 1", Paint::default()).contains('^'));
    }

    #[test]
    fn the_first_line_has_none_before_it() {
        let shown = frame(&problem(Some(1), Some(1)), Path::new("p.yaml"), "x: 1", Paint::ON);
        assert!(shown.contains("\x1b[31m^\x1b[0m"), "{shown}");
    }
}
