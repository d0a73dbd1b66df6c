//! The pages of `infra/docs/errors`, read into the program: what users, the index and the tests see is one text.

/// A file of pages: one area of the program, its errors in order.
const FILES: [&str; 19] = [
    include_str!("../../../../../infra/docs/errors/process.md"),
    include_str!("../../../../../infra/docs/errors/project.md"),
    include_str!("../../../../../infra/docs/errors/expressions.md"),
    include_str!("../../../../../infra/docs/errors/events.md"),
    include_str!("../../../../../infra/docs/errors/intake.md"),
    include_str!("../../../../../infra/docs/errors/sources.md"),
    include_str!("../../../../../infra/docs/errors/store.md"),
    include_str!("../../../../../infra/docs/errors/bus.md"),
    include_str!("../../../../../infra/docs/errors/quality.md"),
    include_str!("../../../../../infra/docs/errors/features.md"),
    include_str!("../../../../../infra/docs/errors/training.md"),
    include_str!("../../../../../infra/docs/errors/evaluation.md"),
    include_str!("../../../../../infra/docs/errors/registry.md"),
    include_str!("../../../../../infra/docs/errors/serving.md"),
    include_str!("../../../../../infra/docs/errors/monitoring.md"),
    include_str!("../../../../../infra/docs/errors/servers.md"),
    include_str!("../../../../../infra/docs/errors/command-line.md"),
    include_str!("../../../../../infra/docs/errors/console.md"),
    include_str!("../../../../../infra/docs/errors/privacy.md"),
];

/// What is known about one error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Page {
    /// Number behind `TM`.
    pub(crate) code: u16,
    /// Title of the file that holds the page.
    pub(crate) area: String,
    /// The error in a few words.
    pub(crate) title: String,
    /// How it comes about.
    pub(crate) cause: String,
    /// What to do.
    pub(crate) remedy: String,
    /// How it looks.
    pub(crate) example: String,
}

impl Page {
    /// `TMnnnn`.
    pub(crate) fn name(&self) -> String {
        format!("TM{:04}", self.code)
    }
}

/// All pages, in the order of their codes.
pub(crate) fn all() -> Vec<Page> {
    let mut pages: Vec<Page> = FILES.iter().flat_map(|text| read(text)).collect();
    pages.sort_by_key(|page| page.code);
    pages
}

/// Which part of a page a line continues.
enum Part {
    Cause,
    Remedy,
    Example,
}

fn read(text: &str) -> Vec<Page> {
    let mut area = String::new();
    let mut pages: Vec<Page> = Vec::new();
    let mut part = Part::Cause;
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("# ") {
            title.clone_into(&mut area);
            continue;
        }
        if let Some((code, title)) = line.strip_prefix("## TM").and_then(|head| head.split_once(": ")) {
            let code = code.parse().unwrap_or_default();
            pages.push(Page { code, area: area.clone(), title: title.to_owned(), ..Page::default() });
            continue;
        }
        let Some(page) = pages.last_mut() else { continue };
        let line = if let Some(rest) = line.strip_prefix("- **Cause.** ") {
            part = Part::Cause;
            rest
        } else if let Some(rest) = line.strip_prefix("- **Remedy.** ") {
            part = Part::Remedy;
            rest
        } else if line == "- **Example.**" {
            part = Part::Example;
            continue;
        } else {
            line.strip_prefix("  ").unwrap_or(line)
        };
        if line.is_empty() || line.starts_with("```") {
            continue;
        }
        let (text, joint) = match part {
            Part::Cause => (&mut page.cause, " "),
            Part::Remedy => (&mut page.remedy, " "),
            Part::Example => (&mut page.example, "\n"),
        };
        if !text.is_empty() {
            text.push_str(joint);
        }
        text.push_str(line);
    }
    pages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_says_cause_remedy_and_example_under_a_code_of_its_own() {
        let pages = all();
        assert!(pages.len() > 200, "{}", pages.len());
        for page in &pages {
            let name = page.name();
            assert!(!page.area.is_empty() && !page.title.is_empty(), "{name}");
            assert!(page.cause.len() > 20 && page.cause.ends_with('.'), "{name}: {}", page.cause);
            assert!(page.remedy.len() > 10 && page.remedy.ends_with(['.', ')']), "{name}: {}", page.remedy);
            assert!(page.example.starts_with(&format!("{name}: ")), "{name}: {}", page.example);
        }
        assert!(pages.windows(2).all(|pair| pair[0].code < pair[1].code), "a code has two pages");
    }

    #[test]
    fn wrapped_lines_are_joined() {
        let text = "# A\n\n## TM0007: t\n- **Cause.** one\n  two.\n- **Remedy.** do.\n- **Example.**\n  ```text\n  TM0007: x\n  ```\n";
        let page = &read(text)[0];
        assert_eq!((page.cause.as_str(), page.example.as_str()), ("one two.", "TM0007: x"));
        assert_eq!((page.code, page.area.as_str(), page.title.as_str()), (7, "A", "t"));
    }
}
