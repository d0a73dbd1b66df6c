//! One trace as a waterfall, with what each span said.

use super::{began, micros, role, short};
use crate::app::App;
use crate::error::{Error, Result};
use crate::layout::{State, badge, facts, panel};
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use tidemill_plot::{Labels, SpanBar, waterfall};
use tidemill_telemetry::{RecentSpan, RecentTrace};

/// Spans whose attributes are written out.
const DETAILED: usize = 100;

/// One trace.
#[derive(Debug, Serialize)]
pub(crate) struct TracePage {
    #[serde(flatten)]
    trace: RecentTrace,
    #[serde(skip)]
    traces_url: String,
    /// Traces that are linked from here and still in memory.
    linked: BTreeSet<String>,
}

/// The trace in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceQuery {
    trace: String,
}

impl Page for TracePage {
    type Query = TraceQuery;

    async fn load(app: &App, query: TraceQuery) -> Result<Self> {
        let id: String = query.trace.chars().take(64).collect();
        let trace = app.recent.trace(&id).ok_or_else(|| Error::missing("trace in memory", id))?;
        let links = trace.tree.iter().flat_map(|span| &span.links).map(|link| link.trace_id.clone());
        let linked = links.filter(|id| app.recent.trace(id).is_some()).collect();
        Ok(Self { trace, traces_url: app.traces_url.clone(), linked })
    }

    fn title(&self) -> Option<String> {
        Some(format!("Trace {}", short(&self.trace.summary.trace_id)))
    }

    fn view(&self) -> Markup {
        let summary = &self.trace.summary;
        let ordered = ordered(&self.trace.tree);
        html! {
            p.lead {
                (if summary.error { badge(State::Bad, "failed") } else { badge(State::Good, "ok") })
                " " (summary.root)
            }
            (panel("What it is", "", &facts(&[
                ("Began, UTC", html! { (began(summary.start_micros)) }),
                ("Took", html! { (micros(summary.duration_micros)) }),
                ("Spans", html! { (summary.spans) @if summary.dropped_spans > 0 { ", " (summary.dropped_spans) " more not kept" } }),
                ("Roles", html! { (summary.services.iter().map(|name| role(name)).collect::<Vec<_>>().join(", ")) }),
                ("Id", html! { code { (summary.trace_id) } }),
            ])))
            @if !self.traces_url.is_empty() {
                p.actions { a href={ (self.traces_url.trim_end_matches('/')) "/trace/" (summary.trace_id) } rel="noreferrer" { "This trace in Jaeger ↗" } }
            }
            (panel("Waterfall", "", &html! { div.scroll tabindex="0" role="region" aria-label="Waterfall" { (self.picture(&ordered)) } }))
            (panel("Spans", "", &self.spans(&ordered)))
        }
    }
}

impl TracePage {
    fn picture(&self, ordered: &[(usize, &RecentSpan)]) -> Markup {
        let begin = self.trace.summary.start_micros;
        let bars: Vec<SpanBar<'_>> = ordered
            .iter()
            .enumerate()
            .map(|(i, (depth, span))| SpanBar {
                name: &span.name,
                group: role(&span.service),
                depth: *depth,
                start_ms: (span.start_micros - begin) as f64 / 1_000.0,
                duration_ms: span.duration_micros as f64 / 1_000.0,
                failed: span.error,
                href: (i < DETAILED).then(|| format!("#s-{}", span.span_id)),
            })
            .collect();
        waterfall(Labels { title: "What ran when", ..Labels::default() }, &bars)
    }

    fn spans(&self, ordered: &[(usize, &RecentSpan)]) -> Markup {
        let begin = self.trace.summary.start_micros;
        html! {
            @for (_, span) in ordered.iter().take(DETAILED) {
                details.span id={ "s-" (span.span_id) } open[span.error] {
                    summary {
                        (span.name) " " span.muted {
                            (role(&span.service)) ", " (span.kind) ", " (micros(span.duration_micros)) " from "
                            (micros(u64::try_from(span.start_micros - begin).unwrap_or_default()))
                        }
                        @if span.error { " " (badge(State::Bad, "failed")) }
                    }
                    (self.said(span))
                }
            }
            @if ordered.len() > DETAILED { p.muted { (ordered.len() - DETAILED) " more spans in the JSON." } }
        }
    }

    fn said(&self, span: &RecentSpan) -> Markup {
        let mut pairs: Vec<(&str, Markup)> = Vec::new();
        if let Some(message) = &span.message {
            pairs.push(("message", html! { (message) }));
        }
        pairs.extend(span.attributes.iter().map(|(name, value)| (name.as_str(), html! { code { (value) } })));
        html! {
            @if pairs.is_empty() && span.links.is_empty() { p.muted { "It said nothing." } } @else { (facts(&pairs)) }
            @if !span.links.is_empty() {
                p.links {
                    "Takes up "
                    @for link in &span.links {
                        @if self.linked.contains(&link.trace_id) { a href={ "/traces/" (link.trace_id) } { code { (short(&link.trace_id)) } } }
                        @else { code title=(link.trace_id) { (short(&link.trace_id)) } }
                        " "
                    }
                }
            }
        }
    }
}

/// Spans with their depth, each after its parent; children in the order of their start. A span whose parent is not
/// here stands on its own.
fn ordered(spans: &[RecentSpan]) -> Vec<(usize, &RecentSpan)> {
    let here: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    let mut children: BTreeMap<&str, Vec<&RecentSpan>> = BTreeMap::new();
    let mut roots: Vec<&RecentSpan> = Vec::new();
    for span in spans {
        match span.parent_id.as_deref().filter(|parent| here.contains(parent) && *parent != span.span_id) {
            Some(parent) => children.entry(parent).or_default().push(span),
            None => roots.push(span),
        }
    }
    let mut found = Vec::with_capacity(spans.len());
    let mut waiting: Vec<(usize, &RecentSpan)> = roots.into_iter().rev().map(|span| (0, span)).collect();
    while let Some((depth, span)) = waiting.pop() {
        found.push((depth, span));
        // Taken out, so that spans that name each other as parent cannot go round.
        let below = children.remove(span.span_id.as_str()).unwrap_or_default();
        waiting.extend(below.into_iter().rev().map(|child| (depth + 1, child)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: Option<&str>) -> RecentSpan {
        RecentSpan { span_id: id.to_owned(), parent_id: parent.map(str::to_owned), ..RecentSpan::default() }
    }

    #[test]
    fn children_follow_their_parent_and_strangers_stand_alone() {
        let spans = [
            span("a", None),
            span("c", Some("b")),
            span("b", Some("a")),
            span("d", Some("gone")),
            span("e", Some("a")),
        ];
        let order: Vec<(usize, &str)> =
            ordered(&spans).into_iter().map(|(depth, s)| (depth, s.span_id.as_str())).collect();
        assert_eq!(order, [(0, "a"), (1, "b"), (2, "c"), (1, "e"), (0, "d")]);
    }
}
