//! *Data & quality*: every source with its columns, rules and freshness, from profiles; no table is read.

pub(super) mod column;
pub(super) mod letters;
pub(super) mod profile;
pub(super) mod source;
mod summary;

use crate::app::App;
use crate::error::Result;
use crate::format;
use crate::layout::{self, Align, State};
use crate::page::{NoQuery, Page};
use crate::profiles::SourceState;
use maud::{Markup, html};
use serde::Serialize;
use tidemill_contracts::subjects;
use tidemill_plot::sparkline;
use tidemill_quality::FreshnessState;
use tidemill_types::Millis;

/// All sources.
#[derive(Serialize)]
pub(super) struct Data {
    sources: Vec<Source>,
    dead_letters: u64,
}

#[derive(Serialize)]
struct Source {
    name: String,
    role: &'static str,
    columns: usize,
    rules: usize,
    rows: u64,
    quarantined: u64,
    bytes: u64,
    version: u64,
    committed_at: Option<Millis>,
    events: u64,
    score: Option<f64>,
    scores: Vec<f64>,
    blocked: Option<String>,
    silence_ms: Option<i64>,
    promised_ms: Option<i64>,
    #[serde(skip)]
    freshness: FreshnessState,
}

impl Page for Data {
    type Query = NoQuery;

    async fn load(app: &App, _: NoQuery) -> Result<Self> {
        let profiles = app.profiles.all().await?;
        let mut sources = Vec::new();
        for (name, declared) in &app.spec.sources {
            let stream = app.bus.stream_state(&subjects::events_stream(&app.spec.project, name)).await;
            let Some(state) = profiles.get(name) else { continue };
            sources.push(Source {
                name: name.to_string(),
                role: match declared.role {
                    tidemill_spec::SourceRole::Input => "input",
                    tidemill_spec::SourceRole::Outcome => "outcome",
                },
                columns: declared.columns.len(),
                rules: app.spec.quality.get(name).map_or(0, Vec::len),
                rows: state.rows,
                quarantined: state.quarantined,
                bytes: state.bytes,
                version: state.version,
                committed_at: state.committed_at,
                events: stream.map(|stream| stream.last_seq).unwrap_or_default(),
                score: state.score.as_ref().and_then(|score| score.total),
                scores: state.scores.clone(),
                blocked: state.blocked.clone(),
                silence_ms: state.freshness.and_then(|freshness| freshness.silence()),
                promised_ms: state.freshness.and_then(|freshness| freshness.within),
                freshness: freshness(state),
            });
        }
        let dead_letters = app.bus.stream_state(subjects::DEAD_STREAM).await?.messages;
        Ok(Self { sources, dead_letters })
    }

    fn view(&self) -> Markup {
        let heads = [
            ("Source", Align::Text),
            ("Role", Align::Text),
            ("Clean rows", Align::Number),
            ("Quarantine", Align::Number),
            ("Messages", Align::Number),
            ("Size", Align::Number),
            ("Score", Align::Number),
            ("Newest commits", Align::Text),
            ("Freshness", Align::Text),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = self.sources.iter().map(Source::row).collect();
        let note = "score: mean of what is known of accuracy, completeness, consistency and timeliness over the newest commits";
        let dead = if self.dead_letters == 0 {
            layout::empty("No event was refused. Refused events are kept here with the reason.", "")
        } else {
            html! {
                p { (layout::badge(State::Warn, &format!("{} dead letters", format::count(self.dead_letters)))) " are kept with the reason of their refusal." }
                p.more { a href="/dead" { "Look at them" } }
            }
        };
        html! {
            (layout::panel("Sources", note, &layout::table("Sources", &heads, &rows)))
            @if self.sources.iter().all(|source| source.rows == 0) {
                (layout::empty("No rows yet.", "tidemill events publish --source SOURCE FILE"))
            }
            (layout::panel("Refused events", "", &dead))
        }
    }
}

impl Source {
    fn row(&self) -> Vec<Markup> {
        let name = format!("quality score of {} over the newest {} commits", self.name, self.scores.len());
        vec![
            html! { a href={ "/data/" (self.name) } { strong { (self.name) } } br; small.muted { (self.columns) " columns, " (self.rules) " rules" } },
            html! { (self.role) },
            html! { (format::count(self.rows)) },
            html! { (format::count(self.quarantined)) },
            html! { (format::count(self.events)) },
            html! { (format::bytes(self.bytes)) },
            html! { (format::or_dash(self.score, |score| format::fixed(score, 1))) },
            if self.scores.len() > 1 {
                sparkline(&name, &self.scores)
            } else {
                html! { (format::ABSENT) }
            },
            silence(self.silence_ms, self.promised_ms),
            self.state(),
        ]
    }

    fn state(&self) -> Markup {
        let (state, word) = state(self.rows, self.blocked.as_deref(), self.freshness, self.quarantined);
        layout::badge(state, &word)
    }
}

/// How a source fares; the worst fact decides.
fn state(rows: u64, blocked: Option<&str>, freshness: FreshnessState, quarantined: u64) -> (State, String) {
    match (blocked, freshness) {
        (Some(rule), _) => (State::Bad, format!("blocked by {rule}")),
        _ if rows == 0 && quarantined == 0 => (State::Idle, "no rows yet".to_owned()),
        (None, FreshnessState::Stale) => (State::Warn, "silent".to_owned()),
        _ if quarantined > 0 => (State::Warn, "quarantine".to_owned()),
        _ => (State::Good, "fresh".to_owned()),
    }
}

/// The verdict on freshness of what is known of a source.
pub(super) fn freshness(state: &SourceState) -> FreshnessState {
    state.freshness.map_or(FreshnessState::Undeclared, |freshness| freshness.state())
}

/// Silence against what was promised.
fn silence(silence: Option<i64>, promised: Option<i64>) -> Markup {
    match (silence, promised) {
        (Some(0), Some(promised)) => html! { "none of " (format::span(promised)) },
        (Some(silence), Some(promised)) => html! { (format::span(silence)) " of " (format::span(promised)) },
        (Some(silence), None) => html! { (format::span(silence)) },
        (None, _) => html! { (format::ABSENT) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_fact_of_a_source_decides() {
        let of = |rows, blocked, freshness, quarantined| state(rows, blocked, freshness, quarantined).0;
        assert_eq!(of(0, None, FreshnessState::Empty, 0), State::Idle);
        assert_eq!(of(9, None, FreshnessState::Fresh, 0), State::Good);
        assert_eq!(of(9, None, FreshnessState::Undeclared, 0), State::Good);
        assert_eq!(of(9, None, FreshnessState::Fresh, 1), State::Warn);
        assert_eq!(of(9, None, FreshnessState::Stale, 0), State::Warn);
        assert_eq!(of(0, Some("once"), FreshnessState::Fresh, 9), State::Bad);
    }
}
