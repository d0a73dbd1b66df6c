//! The latest traces of this process, and each as a waterfall.

mod trace;

pub(crate) use trace::TracePage;

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, State, badge, choice, empty, panel, table};
use crate::page::Page;
use crate::pages::paging::{Part, address, field, filled, select};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_telemetry::recent::RecentDropped;
use tidemill_telemetry::{RecentPage, RecentQuery, RecentSummary};
use tidemill_types::Millis;

/// Traces on one page.
const SHOWN: usize = 50;
/// Names of roots offered as links.
const ROOTS: usize = 8;

/// The list of traces.
#[derive(Debug, Serialize)]
pub(crate) struct Traces {
    part: Part,
    filter: Filter,
    traces: Vec<RecentSummary>,
    /// How many are kept in all.
    kept: usize,
    /// Names of roots with their number.
    roots: BTreeMap<String, usize>,
    /// What was not kept.
    dropped: RecentDropped,
    roles: Vec<String>,
    #[serde(skip)]
    traces_url: String,
}

/// Which traces are shown.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    role: Option<String>,
    name: Option<String>,
    min_ms: Option<String>,
    errors: Option<String>,
    page: Option<String>,
}

impl Filter {
    fn query(&self) -> Result<RecentQuery> {
        let shortest = match filled(self.min_ms.as_ref()) {
            None => 0.0,
            Some(text) => {
                let refused = || Error::Query(format!("\"{text}\" is no number of milliseconds"));
                text.parse::<f64>().ok().filter(|ms| *ms >= 0.0).ok_or_else(refused)?
            }
        };
        Ok(RecentQuery {
            root: filled(self.name.as_ref()).map(str::to_owned),
            min_duration_micros: (shortest * 1_000.0) as u64,
            errors_only: filled(self.errors.as_ref()).is_some(),
            skip: 0,
            limit: usize::MAX,
        })
    }

    fn pairs(&self) -> [(&'static str, &str); 5] {
        [
            ("role", self.role.as_deref().unwrap_or_default()),
            ("name", self.name.as_deref().unwrap_or_default()),
            ("min_ms", self.min_ms.as_deref().unwrap_or_default()),
            ("errors", self.errors.as_deref().unwrap_or_default()),
            ("page", self.page.as_deref().unwrap_or_default()),
        ]
    }
}

impl Page for Traces {
    type Query = Filter;

    async fn load(app: &App, filter: Filter) -> Result<Self> {
        let RecentPage { traces: mut found, kept, roots, dropped, .. } = app.recent.list(&filter.query()?);
        let all = app.recent.list(&RecentQuery { limit: usize::MAX, ..RecentQuery::default() });
        let mut roles: Vec<String> = all.traces.into_iter().flat_map(|trace| trace.services).collect();
        roles.sort_unstable();
        roles.dedup();
        if let Some(role) = filled(filter.role.as_ref()) {
            found.retain(|trace| trace.services.iter().any(|service| service == role));
        }
        let part = Part::of(found.len(), SHOWN, filled(filter.page.as_ref()))?;
        Ok(Self {
            part,
            filter,
            traces: part.cut(found),
            kept,
            roots,
            dropped,
            roles,
            traces_url: app.traces_url.clone(),
        })
    }

    fn view(&self) -> Markup {
        if self.kept == 0 {
            return html! {
                (empty("No trace yet. This process keeps the last 500: of its roles, and of what they are asked.", "tidemill predict --key KEY"))
                (self.elsewhere())
            };
        }
        let note = format!("{} found of {} in memory", self.part.found, self.kept);
        html! {
            (self.form())
            @if self.traces.is_empty() {
                (empty("No trace matches the filter.", ""))
            } @else {
                (panel("Traces", &note, &self.list()))
            }
            (self.elsewhere())
        }
    }
}

impl Traces {
    fn form(&self) -> Markup {
        let filter = &self.filter;
        let to = |name: &str| address("/traces", &filter.pairs(), &[("name", name), ("page", "")]);
        let mut roots: Vec<(&String, &usize)> = self.roots.iter().collect();
        // The rare ones are what a person looks for.
        roots.sort_by_key(|(_, count)| **count);
        let mut options: Vec<(&str, String)> = vec![("all", to(""))];
        options.extend(roots.into_iter().take(ROOTS).map(|(name, _)| (plain(name), to(name))));
        let chosen = filled(filter.name.as_ref()).map_or("all", plain);
        html! {
            form.filter method="get" action="/traces" role="search" {
                (field("Role", &select("role", "all", &self.roles, filled(filter.role.as_ref()))))
                (field("Name", &html! {
                    input type="search" name="name" value=[&filter.name] list="roots" placeholder="part of the name";
                    datalist #roots { @for root in self.roots.keys() { option value=(root) {} } }
                }))
                (field("At least, ms", &html! { input type="number" name="min_ms" min="0" step="any" value=[&filter.min_ms]; }))
                label.check { input type="checkbox" name="errors" value="1" checked[filled(filter.errors.as_ref()).is_some()]; span { "Only failed" } }
                button type="submit" { "Show" }
            }
            @if self.roots.len() > 1 {
                div.sort { span { "Root" } (choice("Root", chosen, &options)) }
            }
        }
    }

    fn list(&self) -> Markup {
        let heads = [
            ("Trace", Align::Text),
            ("Root", Align::Text),
            ("State", Align::Text),
            ("Began, UTC", Align::Text),
            ("Took", Align::Number),
            ("Spans", Align::Number),
            ("Roles", Align::Text),
        ];
        let rows: Vec<Vec<Markup>> = self.traces.iter().map(row).collect();
        html! {
            (table("Traces", &heads, &rows))
            (self.part.links("/traces", &self.filter.pairs()))
        }
    }

    fn elsewhere(&self) -> Markup {
        let dropped = self.dropped;
        html! {
            p.muted {
                "Traces of this process only; what other processes did is in a trace backend. "
                @if self.traces_url.is_empty() {
                    "Set " code { "telemetry.otlp_endpoint" } " and " code { "console.traces_url" } " to send them to one and to link to it. "
                } @else {
                    a href=(self.traces_url) rel="noreferrer" { "All traces in Jaeger ↗" } ". "
                }
                @if dropped.traces > 0 { (format::count(dropped.traces)) " older traces made room. " }
                @if dropped.spans > 0 { (format::count(dropped.spans)) " spans of full traces were not kept." }
            }
        }
    }
}

fn row(trace: &RecentSummary) -> Vec<Markup> {
    let roles: Vec<&str> = trace.services.iter().map(|name| role(name)).collect();
    vec![
        html! { a href={ "/traces/" (trace.trace_id) } title=(trace.trace_id) { code { (short(&trace.trace_id)) } } },
        html! { span title=(trace.root) { (plain(&trace.root)) } },
        if trace.error { badge(State::Bad, "failed") } else { badge(State::Good, "ok") },
        html! { (began(trace.start_micros)) },
        html! { (micros(trace.duration_micros)) },
        html! { (trace.spans) @if trace.dropped_spans > 0 { " + " (trace.dropped_spans) } },
        html! { (roles.join(", ")) },
    ]
}

/// The role behind the name of a service.
fn role(service: &str) -> &str {
    service.strip_prefix("tidemill-").unwrap_or(service)
}

/// The name of a root without the package of a service: `/tidemill.feature.v1.FeatureService/Describe`.
fn plain(root: &str) -> &str {
    let call = root.strip_prefix('/').and_then(|call| call.split_once('/').map(|(service, _)| (call, service)));
    call.map_or(root, |(call, service)| service.rfind('.').map_or(call, |dot| &call[dot + 1..]))
}

/// An instant to the millisecond.
fn began(micros: i64) -> String {
    let at = Millis(micros.div_euclid(1_000)).to_utc();
    at.map_or_else(|| format::ABSENT.to_owned(), |at| at.format("%Y-%m-%d %H:%M:%S%.3f").to_string())
}

/// The first characters of a trace's id.
fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Microseconds in the unit a person would choose.
fn micros(value: u64) -> String {
    match value {
        0..1_000 => format!("{value} µs"),
        1_000..1_000_000 => format!("{} ms", format::number((value as f64 / 100.0).round() / 10.0)),
        _ => format::seconds(value as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn lengths_have_units() {
        assert_eq!([412, 2_345, 3_200_000].map(micros), ["412 µs", "2.3 ms", "3.2 s"]);
    }

    #[test]
    fn calls_are_named_without_their_package() {
        assert_eq!(plain("/tidemill.feature.v1.FeatureService/Describe"), "FeatureService/Describe");
        assert_eq!(["training cycle", "/livez", "/a/b"].map(plain), ["training cycle", "/livez", "a/b"]);
    }

    #[test]
    fn a_length_that_is_none_is_refused() {
        let filter = |text: &str| Filter { min_ms: Some(text.to_owned()), ..Filter::default() };
        assert_eq!(filter("2.5").query().unwrap().min_duration_micros, 2_500);
        assert_eq!(filter("").query().unwrap().min_duration_micros, 0);
        assert!(filter("-1").query().is_err() && filter("soon").query().is_err());
    }
}
