//! Waterfall of the spans of one trace: what ran when, below what, and for how long.

use crate::Labels;
use crate::frame::{self, colour, px};
use crate::scale::number;
use crate::text::shortened;
use maud::{Markup, html};

/// Spans drawn at most.
const MOST: usize = 200;
/// Levels that are indented.
const DEEPEST: usize = 8;
const WIDE: f64 = 960.0;
const NAMES: f64 = 330.0;
const RIGHT: f64 = WIDE - 84.0;
const TOP: f64 = 56.0;
const ROW: f64 = 22.0;

/// One span.
#[derive(Clone, Debug)]
pub struct SpanBar<'a> {
    /// What was done.
    pub name: &'a str,
    /// Who did it, for instance a role; bars of one group share a colour.
    pub group: &'a str,
    /// How far below the root.
    pub depth: usize,
    /// Begin, in milliseconds after the begin of the trace.
    pub start_ms: f64,
    /// Length in milliseconds.
    pub duration_ms: f64,
    /// Whether it failed: told by a cross and an outline, not by colour alone.
    pub failed: bool,
    /// Where a click leads, for instance the row with its attributes.
    pub href: Option<String>,
}

/// The spans of a trace, in the order given (parents before children); the first ones of a very long trace.
#[must_use]
pub fn waterfall(labels: Labels<'_>, spans: &[SpanBar<'_>]) -> Markup {
    let shown: Vec<&SpanBar<'_>> =
        spans.iter().filter(|s| s.start_ms.is_finite() && s.duration_ms.is_finite()).take(MOST).collect();
    let end = shown.iter().map(|s| s.start_ms + s.duration_ms).fold(0.0, f64::max);
    if shown.is_empty() {
        return frame::empty(labels);
    }
    let end = if end > 0.0 { end } else { 1.0 };
    let mut groups: Vec<&str> = Vec::new();
    for span in &shown {
        if !groups.contains(&span.group) {
            groups.push(span.group);
        }
    }
    let group = |span: &SpanBar<'_>| groups.iter().position(|g| *g == span.group).unwrap_or(0);
    let height = TOP + ROW * shown.len() as f64 + 26.0;
    let at = |ms: f64| NAMES + (ms / end).clamp(0.0, 1.0) * (RIGHT - NAMES);
    frame::wide(
        labels,
        (WIDE, height),
        &html! {
            @for (i, name) in groups.iter().enumerate().take(8) {
                @let left = 8.0 + 116.0 * i as f64;
                rect x=(px(left)) y="30" width="12" height="12" rx="2" fill=(colour(i)) {}
                text x=(px(left + 17.0)) y="40" font-size="11" { title { (name) } (shortened(name, 15)) }
            }
            @for quarter in 0..=4_u8 {
                @let ms = end * f64::from(quarter) / 4.0;
                line x1=(px(at(ms))) x2=(px(at(ms))) y1=(px(TOP)) y2=(px(height - 20.0)) stroke="currentColor" opacity="0.15" {}
                text x=(px(at(ms))) y=(px(height - 6.0)) text-anchor="middle" font-size="11" opacity="0.8" { (length(ms)) }
            }
            @for (i, span) in shown.iter().enumerate() {
                @let y = TOP + ROW * i as f64;
                @let bar = bar(span, group(span), (at(span.start_ms), at(span.start_ms + span.duration_ms)), y);
                @if let Some(href) = &span.href { a href=(href) { (bar) } } @else { g { (bar) } }
            }
            @if spans.len() > shown.len() {
                text x="8" y=(px(height - 6.0)) font-size="11" opacity="0.8" { (spans.len() - shown.len()) " more spans" }
            }
        },
    )
}

fn bar(span: &SpanBar<'_>, group: usize, (left, right): (f64, f64), y: f64) -> Markup {
    let indent = 8.0 + 12.0 * span.depth.min(DEEPEST) as f64;
    let letters = ((NAMES - 12.0 - indent) / 6.6) as usize;
    let wide = (right - left).max(2.0);
    let outline = span.failed.then_some("currentColor");
    html! {
        title {
            (span.name) ", " (span.group) ": " (length(span.duration_ms)) " from " (length(span.start_ms))
            @if span.failed { ", failed" }
        }
        rect x="0" width=(WIDE) y=(px(y)) height=(px(ROW)) fill="transparent" {}
        text x=(px(indent)) y=(px(y + 15.0)) { (shortened(span.name, letters)) }
        rect x=(px(left)) width=(px(wide)) y=(px(y + 4.0)) height=(px(ROW - 8.0)) rx="2" fill=(colour(group)) stroke=[outline] {}
        text x=(px(left + wide + 5.0)) y=(px(y + 15.0)) font-size="11" {
            @if span.failed { tspan fill="var(--tm-bad, #dc2626)" font-weight="700" { "✕ " } }
            (length(span.duration_ms))
        }
    }
}

/// Milliseconds in the unit a person would choose.
fn length(ms: f64) -> String {
    let rounded = |value: f64| {
        let places = if value >= 100.0 { 1.0 } else { 100.0 };
        (value * places).round() / places
    };
    match ms {
        ms if ms >= 1_000.0 => format!("{} s", number(rounded(ms / 1_000.0))),
        ms if ms >= 1.0 || ms == 0.0 => format!("{} ms", number(rounded(ms))),
        ms => format!("{} µs", number((ms * 1_000.0).round())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(name: &str, failed: bool) -> SpanBar<'_> {
        let href = Some(format!("#{name}"));
        SpanBar { name, group: "serving", depth: 40, start_ms: 1.0, duration_ms: 2.5, failed, href }
    }

    #[test]
    fn failures_are_told_without_colour_and_text_is_escaped() {
        let svg = waterfall(Labels::default(), &[span("model <infer>", false), span("read", true)]).into_string();
        assert!(svg.contains("model &lt;infer&gt;") && svg.contains("2.5 ms from 1 ms, failed") && svg.contains("✕"));
        assert_eq!(svg.matches("<a href=").count(), 2);
    }

    #[test]
    fn size_is_bounded_and_nothing_is_said() {
        let svg = waterfall(Labels::default(), &vec![span("a", false); 5_000]).into_string();
        assert!(svg.contains("4800 more spans") && svg.len() < 130_000, "{}", svg.len());
        let broken = SpanBar { duration_ms: f64::INFINITY, ..span("a", false) };
        assert!(waterfall(Labels::default(), &[broken]).into_string().contains("no values"));
    }

    #[test]
    fn lengths_have_units() {
        assert_eq!([0.0, 0.25, 3.0, 977.87, 1_250.0].map(length), ["0 ms", "250 µs", "3 ms", "978 ms", "1.25 s"]);
    }
}
