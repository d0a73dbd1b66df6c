//! What lists share: which part is shown, and the way to the others.

use crate::error::{Error, Result};
use crate::layout::encoded;
use maud::{Markup, html};
use serde::Serialize;

/// Which part of a list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Part {
    /// Number of the page, from 1.
    pub(crate) page: usize,
    /// Pages in all, at least 1.
    pub(crate) pages: usize,
    /// Lines in all.
    pub(crate) found: usize,
    #[serde(skip)]
    size: usize,
}

impl Part {
    /// The part that was asked for; one behind the end is the last.
    pub(crate) fn of(found: usize, size: usize, asked: Option<&str>) -> Result<Self> {
        let page = match asked {
            None => 1,
            Some(text) => text.parse().map_err(|_| Error::Query(format!("\"{text}\" is no number of a page")))?,
        };
        let pages = found.div_ceil(size).max(1);
        Ok(Self { page: usize::clamp(page, 1, pages), pages, found, size })
    }

    /// The lines of this part.
    pub(crate) fn cut<T>(self, mut lines: Vec<T>) -> Vec<T> {
        let first = ((self.page - 1) * self.size).min(lines.len());
        let mut shown = lines.split_off(first);
        shown.truncate(self.size);
        shown
    }

    /// Links to the parts around; nothing when all is shown.
    pub(crate) fn links(self, path: &str, filter: &[(&str, &str)]) -> Markup {
        let to = |page: usize| address(path, filter, &[("page", &page.to_string())]);
        html! {
            @if self.pages > 1 {
                nav.pager aria-label="Parts of the list" {
                    @if self.page > 1 { a rel="prev" href=(to(self.page - 1)) { "← Previous" } }
                    span { "Page " (self.page) " of " (self.pages) }
                    @if self.page < self.pages { a rel="next" href=(to(self.page + 1)) { "Next →" } }
                }
            }
        }
    }
}

/// A path with the parameters that say something; later ones replace earlier ones of the same name.
pub(crate) fn address(path: &str, filter: &[(&str, &str)], changed: &[(&str, &str)]) -> String {
    let kept = filter.iter().filter(|(name, _)| changed.iter().all(|(other, _)| other != name));
    let said: Vec<String> = kept
        .chain(changed)
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    if said.is_empty() { path.to_owned() } else { format!("{path}?{}", said.join("&")) }
}

/// What a form sent: an empty field says nothing.
pub(crate) fn filled(text: Option<&String>) -> Option<&str> {
    text.map(|text| text.trim()).filter(|text| !text.is_empty())
}

/// A field of a form with its label.
pub(crate) fn field(label: &str, input: &Markup) -> Markup {
    html! { label { span { (label) } (input) } }
}

/// A choice in a form; the first option stands for all.
pub(crate) fn select(name: &str, all: &str, options: &[String], chosen: Option<&str>) -> Markup {
    html! {
        select name=(name) {
            option value="" { (all) }
            @for option in options {
                option value=(option) selected[chosen == Some(option.as_str())] { (option) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn parts_stay_inside_the_list() {
        let part = |asked| Part::of(23, 10, asked).unwrap();
        assert_eq!(part(None).cut((0..23).collect()), (0..10).collect::<Vec<_>>());
        assert_eq!(part(Some("99")).cut((0..23).collect()), [20, 21, 22]);
        assert_eq!(part(Some("0")).page, 1);
        assert!(Part::of(1, 10, Some("x")).is_err());
        assert_eq!(Part::of(0, 10, None).unwrap().cut(Vec::<u8>::new()), Vec::<u8>::new());
        let links = part(Some("2")).links("/runs", &[("q", "a b"), ("page", "2")]).into_string();
        assert!(links.contains("/runs?q=a%20b&amp;page=1") && links.contains("page=3"));
    }

    #[test]
    fn empty_parameters_are_left_out() {
        assert_eq!(address("/runs", &[("q", ""), ("sort", "auc")], &[("sort", "")]), "/runs");
        assert_eq!(address("/runs", &[("q", "x")], &[("sort", "auc")]), "/runs?q=x&sort=auc");
    }
}
