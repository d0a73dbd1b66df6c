//! What all pages share: the document around them, and the parts they are put together from.

use crate::app::App;
use crate::assets;
use crate::page::Group;
use crate::pages::PAGES;
use axum::http::{HeaderMap, header};
use maud::{DOCTYPE, Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_runtime::Problem;

/// What the document needs to know around a page.
pub(crate) struct Frame<'a> {
    project: &'a str,
    active: &'a str,
    theme: Option<&'static str>,
    traces_url: &'a str,
    twin: Option<String>,
}

impl<'a> Frame<'a> {
    /// The frame of the page at `active`, a path of the table.
    pub(crate) fn new(app: &'a App, active: &'a str, headers: &HeaderMap) -> Self {
        let traces_url = app.traces_url.as_str();
        Self { project: app.project(), active, theme: theme(headers), traces_url, twin: None }
    }

    /// With a link to the JSON of the page.
    pub(crate) fn with_twin(mut self, twin: String) -> Self {
        self.twin = Some(twin);
        self
    }
}

/// The theme that a person chose; without one, the system's.
fn theme(headers: &HeaderMap) -> Option<&'static str> {
    let cookies = headers.get(header::COOKIE)?.to_str().ok()?;
    match cookies.split(';').find_map(|cookie| cookie.trim().strip_prefix("theme="))? {
        "dark" => Some("dark"),
        "light" => Some("light"),
        _ => None,
    }
}

/// The whole document.
pub(crate) fn document(frame: &Frame<'_>, title: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=[frame.theme] {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " · " (frame.project) " · Tidemill" }
                link rel="icon" type="image/svg+xml" href=(assets::ICON.url());
                link rel="stylesheet" href=(assets::STYLE.url());
                script src=(assets::SCRIPT.url()) defer {}
                @if let Some(twin) = &frame.twin {
                    link rel="alternate" type="application/json" href=(twin);
                }
            }
            body {
                a.skip href="#main" { "Skip to content" }
                header.bar {
                    a.brand href="/" { (assets::mark()) span { "Tidemill" } }
                    details.menu { summary { "Menu" } (navigation(frame)) }
                    button #theme type="button" hidden title="Change between light and dark" { "Theme" }
                }
                aside.side { (navigation(frame)) }
                main #main tabindex="-1" {
                    div.head {
                        h1 { (title) }
                        @if let Some(twin) = &frame.twin { a.twin href=(twin) { "JSON" } }
                    }
                    (body)
                }
            }
        }
    }
}

fn navigation(frame: &Frame<'_>) -> Markup {
    html! {
        nav aria-label="Pages" {
            p.project { span { "Project" } strong { (frame.project) } }
            @for group in Group::SHOWN {
                p.group { (group.title()) }
                ul {
                    @for page in PAGES.iter().filter(|page| page.group == group) {
                        li { a href=(page.path) aria-current=[active(frame.active, page.path)] { (page.title) } }
                    }
                    @if group == Group::Operate && !frame.traces_url.is_empty() {
                        li { a href=(frame.traces_url) rel="noreferrer" { "Jaeger ↗" } }
                    }
                }
            }
        }
    }
}

/// A page inside another one lights up the line of that one.
fn active(active: &str, path: &str) -> Option<&'static str> {
    if active == path {
        return Some("page");
    }
    (path.len() > 1 && active.starts_with(&format!("{path}/"))).then_some("true")
}

/// How something fares. Each state has a colour and a shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing there yet, or nothing to judge.
    Idle,
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// Not as it should be.
    Bad,
}

impl State {
    fn class(self) -> &'static str {
        match self {
            Self::Idle => "badge idle",
            Self::Good => "badge good",
            Self::Warn => "badge warn",
            Self::Bad => "badge bad",
        }
    }

    fn shape(self) -> Markup {
        html! {
            svg viewBox="0 0 10 10" aria-hidden="true" {
                @match self {
                    Self::Idle => circle cx="5" cy="5" r="3.5" fill="none" stroke="currentColor" stroke-width="1.5" {},
                    Self::Good => circle cx="5" cy="5" r="4" fill="currentColor" {},
                    Self::Warn => path d="M5 .8 9.6 9.2H.4z" fill="currentColor" {},
                    Self::Bad => path d="M5 0 10 5 5 10 0 5z" fill="currentColor" {},
                }
            }
        }
    }
}

/// A word with the colour and shape of a state.
pub fn badge(state: State, text: &str) -> Markup {
    html! { span class=(state.class()) { (state.shape()) (text) } }
}

/// A number that matters, with its target.
#[derive(Clone, Debug, Default)]
pub struct Tile {
    /// What is measured.
    pub label: String,
    /// Its value, formatted.
    pub value: String,
    /// Its unit.
    pub unit: String,
    /// Target, comparison or explanation.
    pub note: String,
    /// How it fares.
    pub state: Option<State>,
    /// Where it is explained.
    pub href: Option<String>,
}

/// A row of tiles.
pub fn tiles(tiles: &[Tile]) -> Markup {
    html! {
        dl.tiles {
            @for tile in tiles {
                div.tile {
                    dt { @match &tile.href { Some(href) => a href=(href) { (tile.label) }, None => (tile.label) } }
                    dd.value { (tile.value) @if !tile.unit.is_empty() { span.unit { " " (tile.unit) } } }
                    dd.note {
                        @match tile.state { Some(state) => (badge(state, &tile.note)), None => (tile.note) }
                    }
                }
            }
        }
    }
}

/// A part of a page under a heading.
pub fn panel(heading: &str, note: &str, body: &Markup) -> Markup {
    html! {
        section.panel {
            header { h2 { (heading) } @if !note.is_empty() { p { (note) } } }
            (body)
        }
    }
}

/// Panels side by side where there is room.
pub fn columns(panels: &[Markup]) -> Markup {
    html! { div.columns { @for panel in panels { (panel) } } }
}

/// How a column of a table is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Text,
    /// Numbers, to the right.
    Number,
}

/// A table that scrolls inside its own box.
pub fn table(caption: &str, heads: &[(&str, Align)], rows: &[Vec<Markup>]) -> Markup {
    let class = |at: usize| heads.get(at).filter(|(_, align)| *align == Align::Number).map(|_| "num");
    html! {
        div.scroll tabindex="0" role="region" aria-label=(caption) {
            table {
                caption.hidden { (caption) }
                thead { tr { @for (at, (head, _)) in heads.iter().enumerate() { th scope="col" class=[class(at)] { (head) } } } }
                tbody {
                    @for row in rows {
                        tr { @for (at, cell) in row.iter().enumerate() { td class=[class(at)] { (cell) } } }
                    }
                }
            }
        }
    }
}

/// Names with their values.
pub fn facts(pairs: &[(&str, Markup)]) -> Markup {
    html! { dl.facts { @for (name, value) in pairs { div { dt { (name) } dd { (value) } } } } }
}

/// What is shown instead of nothing: what would stand here, and the command that fills it.
pub fn empty(what: &str, command: &str) -> Markup {
    html! {
        div.empty {
            p { (what) }
            @if !command.is_empty() { p { "Fill it with " code { (command) } } }
        }
    }
}

/// A part that is missing while the rest of the page is shown.
pub fn absent(why: &str) -> Markup {
    html! { div.empty role="status" { p { (badge(State::Warn, "not reachable now")) } p { (why) } } }
}

/// A message above the page.
pub fn note(state: State, text: &str) -> Markup {
    html! { p.message role="status" { (badge(state, text)) } }
}

/// The choice among a few, as links.
pub fn choice(label: &str, chosen: &str, options: &[(&str, String)]) -> Markup {
    html! {
        nav.choice aria-label=(label) {
            @for (name, href) in options {
                a href=(href) aria-current=[(*name == chosen).then_some("true")] { (name) }
            }
        }
    }
}

/// A refusal as the body of a page.
pub(crate) fn problem(problem: &Problem, mend: &str) -> Markup {
    html! {
        section.panel {
            p { (badge(State::Bad, &problem.code)) }
            p.lead { (problem.detail) }
            p { strong { "Mend: " } (mend) "." }
            p { "More about it: " code { "tidemill explain " (problem.code) } }
            p { a href="/" { "Back to the overview" } }
        }
    }
}

/// Text as a part of an address.
#[must_use]
pub fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_inside_another_lights_up_its_line() {
        assert_eq!(active("/models", "/models"), Some("page"));
        assert_eq!(active("/models/{model}", "/models"), Some("true"));
        assert_eq!(active("/models", "/"), None);
        assert_eq!(active("/modelsx", "/models"), None);
    }

    #[test]
    fn states_differ_in_shape_and_text_is_escaped() {
        let shapes = [State::Idle, State::Good, State::Warn, State::Bad].map(|state| state.shape().into_string());
        assert!(shapes.iter().enumerate().all(|(at, shape)| !shapes[..at].contains(shape)));
        assert!(badge(State::Good, "<b>").into_string().contains("&lt;b&gt;"));
        assert_eq!(encoded("a/b c"), "a%2Fb%20c");
    }

    #[test]
    fn the_theme_is_one_of_two() {
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, "x=1; theme=dark".parse().unwrap());
        assert_eq!(theme(&headers), Some("dark"));
        headers.insert(header::COOKIE, "theme=\"><script>".parse().unwrap());
        assert_eq!(theme(&headers), None);
    }
}
