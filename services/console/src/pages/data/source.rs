//! One source: a row a column, results of the rules with failing samples.

use super::summary::Summary;
use super::{freshness, silence, state};
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align, State, Tile};
use crate::page::Page;
use crate::pages::paging::Part;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_quality::{Cleaned, QualityScore, RuleResult};
use tidemill_spec::{Decision, Severity, SourceRole};
use tidemill_types::{Millis, SourceName, columns};

/// Longest failing row that is shown, in characters.
const SAMPLE: usize = 600;
/// Columns of one page.
const PAGE: usize = 100;

/// Which source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    source: SourceName,
    page: Option<String>,
}

/// A source with its columns and rules.
#[derive(Serialize)]
pub(in crate::pages) struct Source {
    source: String,
    role: SourceRole,
    key: Vec<String>,
    event_time: String,
    known_at: Option<String>,
    /// What the source says of itself.
    about: Vec<(&'static str, String)>,
    rows: u64,
    quarantined: u64,
    version: u64,
    committed_at: Option<Millis>,
    commits: usize,
    checked: u64,
    score: Option<QualityScore>,
    silence_ms: Option<i64>,
    promised_ms: Option<i64>,
    state: State,
    word: String,
    part: Part,
    columns: Vec<Column>,
    cleaning: Vec<Cleaning>,
    rules: Vec<Rule>,
}

/// A decision, and what it did to the rows of the clean table.
#[derive(Serialize)]
struct Cleaning {
    decision: Decision,
    does: String,
    /// Whether the rows of the table were all made under the decisions of the project file.
    in_force: bool,
    did: Option<Cleaned>,
}

#[derive(Serialize)]
struct Column {
    declared_type: String,
    nullable: bool,
    #[serde(flatten)]
    summary: Option<Summary>,
    #[serde(rename = "column")]
    name: String,
}

#[derive(Serialize)]
struct Rule {
    text: String,
    #[serde(flatten)]
    result: RuleResult,
}

impl Page for Source {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let declared = app.spec.sources.get(&query.source);
        let declared = declared.ok_or_else(|| Error::missing("source", query.source.as_str()))?;
        let known = app.profiles.source(&query.source).await?;
        let part = Part::of(declared.columns.len(), PAGE, query.page.as_deref())?;
        let (state, word) = state(known.rows, known.blocked.as_deref(), freshness(&known), known.quarantined);
        let column = |(name, column): (&String, &tidemill_spec::Column)| Column {
            name: name.clone(),
            declared_type: format!("{:?}", column.kind).to_lowercase(),
            nullable: column.nullable,
            summary: known.profile.column(name).map(Summary::short),
        };
        let specs = app.spec.quality.get(&query.source).map(Vec::as_slice).unwrap_or_default();
        let rule = |spec: &tidemill_spec::Rule| {
            let result = known.rules.iter().find(|result| result.id == spec.id).cloned()?;
            let samples = result.samples.iter().map(|sample| shortened(sample)).collect();
            Some(Rule { text: spec.in_words(), result: RuleResult { samples, ..result } })
        };
        let decisions = app.spec.decisions(&query.source);
        let in_force = known.told.decisions == tidemill_quality::clean::digest(decisions);
        let cleaning = |decision: &Decision| Cleaning {
            decision: decision.clone(),
            does: decision.says(),
            in_force,
            did: known.told.of(&decision.id).cloned(),
        };
        Ok(Self {
            cleaning: decisions.iter().map(cleaning).collect(),
            source: query.source.to_string(),
            role: declared.role,
            key: declared.key.clone(),
            event_time: declared.event_time.clone(),
            known_at: declared.known_at.clone(),
            about: declared.about(),
            rows: known.rows,
            quarantined: known.quarantined,
            version: known.version,
            committed_at: known.committed_at,
            commits: known.commits,
            checked: known.checked,
            score: known.score.clone(),
            silence_ms: known.freshness.and_then(|freshness| freshness.silence()),
            promised_ms: known.freshness.and_then(|freshness| freshness.within),
            state,
            word,
            part,
            columns: part.cut(declared.columns.iter().collect()).into_iter().map(column).collect(),
            rules: specs.iter().filter_map(rule).collect(),
        })
    }

    fn title(&self) -> Option<String> {
        Some(self.source.clone())
    }

    fn view(&self) -> Markup {
        let note = format!(
            "from the profiles of the newest {} commits, {} rows",
            format::count(self.commits as u64),
            format::count(self.checked)
        );
        html! {
            p.crumbs { a href="/data" { "Data & quality" } " / " (self.source) " · " a href={ "/data/" (self.source) "/profile" } { "Profile" } }
            (layout::tiles(&self.tiles()))
            @if !self.about.is_empty() {
                (layout::facts(&self.about.iter().map(|(key, text)| (*key, html! { (text) })).collect::<Vec<_>>()))
            }
            @if self.commits == 0 {
                (layout::empty("No rows of this source were checked yet.", &format!("tidemill events publish --source {} FILE", self.source)))
            }
            (layout::panel("Columns", &note, &html! {
                (self.columns_table())
                (self.part.links(&format!("/data/{}", self.source), &[]))
            }))
            @if !self.cleaning.is_empty() {
                (layout::panel("Cleaning decisions", "before rules judge; over all rows of the clean table", &self.cleaning_table()))
            }
            (layout::panel("Rules", "over the same commits", &self.rules_table()))
            @if let Some(score) = &self.score { (layout::panel("How the score is made", "", &html! { p.formula { (score.formula) } })) }
        }
    }
}

impl Source {
    fn tiles(&self) -> Vec<Tile> {
        let score = |pick: fn(&QualityScore) -> Option<f64>| {
            format::or_dash(self.score.as_ref().and_then(pick), |score| format::fixed(score, 1))
        };
        let known = self.known_at.as_deref().unwrap_or("arrival at the bus");
        vec![
            Tile {
                label: "Clean rows".to_owned(),
                value: format::count(self.rows),
                note: self.word.clone(),
                state: Some(self.state),
                ..Tile::default()
            },
            Tile {
                label: "Quarantine".to_owned(),
                value: format::count(self.quarantined),
                unit: "rows".to_owned(),
                note: format!("{} of all", format::percent(share(self.quarantined, self.rows), 1)),
                ..Tile::default()
            },
            Tile {
                label: "Quality score".to_owned(),
                value: score(|s| s.total),
                note: "of 100".to_owned(),
                ..Tile::default()
            },
            Tile {
                label: "Completeness".to_owned(),
                value: score(|s| s.completeness),
                note: format!("accuracy {}", score(|s| s.accuracy)),
                ..Tile::default()
            },
            Tile {
                label: "Silence".to_owned(),
                value: format::or_dash(
                    self.silence_ms,
                    |ms| if ms == 0 { "none".to_owned() } else { format::span(ms) },
                ),
                note: self
                    .promised_ms
                    .map_or_else(|| "nothing promised".to_owned(), |ms| format!("at most {}", format::span(ms))),
                ..Tile::default()
            },
            Tile {
                label: "Known by".to_owned(),
                value: known.to_owned(),
                note: format!("happened at {}", self.event_time),
                ..Tile::default()
            },
        ]
    }

    fn columns_table(&self) -> Markup {
        let heads = [
            ("Column", Align::Text),
            ("Type", Align::Text),
            ("Distribution", Align::Text),
            ("Missing", Align::Number),
            ("Mean", Align::Number),
            ("SD", Align::Number),
            ("Distinct", Align::Number),
            ("Freshness", Align::Text),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = self.columns.iter().map(|column| self.column(column)).collect();
        layout::table("Columns", &heads, &rows)
    }

    fn column(&self, column: &Column) -> Vec<Markup> {
        let href = format!("/data/{}/{}", self.source, layout::encoded(&column.name));
        let key = if self.key.contains(&column.name) { ", key" } else { "" };
        let summary = column.summary.as_ref();
        let number = |pick: fn(&Summary) -> Option<f64>, show: fn(&Summary, f64) -> String| {
            let shown = summary.and_then(|summary| Some(show(summary, pick(summary)?)));
            html! { (shown.unwrap_or_else(|| format::ABSENT.to_owned())) }
        };
        vec![
            html! { a href=(href) { (column.name) } },
            html! { (column.declared_type) span.muted { (key) @if column.nullable { ", may be absent" } } },
            summary.map(Summary::picture).unwrap_or_default(),
            html! { (format::or_dash(summary.map(|summary| summary.missing_share), |share| format::percent(share, 1))) },
            number(|summary| summary.mean, Summary::value),
            number(|summary| summary.sd, Summary::spread),
            html! { (format::or_dash(summary, Summary::distinct)) },
            silence(self.silence_ms, self.promised_ms),
            column_state(column),
        ]
    }

    fn cleaning_table(&self) -> Markup {
        let heads = [
            ("Decision", Align::Text),
            ("Column", Align::Text),
            ("Does", Align::Text),
            ("Why, and by whom", Align::Text),
            ("Looked at", Align::Number),
            ("Changed", Align::Number),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = self.cleaning.iter().map(Cleaning::row).collect();
        html! {
            (layout::table("Cleaning decisions", &heads, &rows))
            @for (decision, did) in self.cleaning.iter().filter_map(|one| Some((&one.decision, one.did.as_ref()?))) {
                @if !did.examples.is_empty() {
                    details {
                        summary { "changes by " (decision.id) }
                        @for example in &did.examples {
                            p { code { (example.from) } " → " code { (example.to.as_deref().unwrap_or("null")) } span.muted { " " (format::count(example.times)) " times" } }
                        }
                    }
                }
            }
        }
    }

    fn rules_table(&self) -> Markup {
        if self.rules.is_empty() {
            let what = "No rule of this source has a result yet. Rules stand under quality in the project file.";
            return layout::empty(what, "tidemill project validate FILE");
        }
        let heads = [
            ("Rule", Align::Text),
            ("Says", Align::Text),
            ("On failure", Align::Text),
            ("Checked", Align::Number),
            ("Failed", Align::Number),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = self.rules.iter().map(Rule::row).collect();
        html! {
            (layout::table("Results of the rules", &heads, &rows))
            @for rule in self.rules.iter().filter(|rule| !rule.result.samples.is_empty()) {
                details {
                    summary { (rule.result.samples.len()) @if rule.result.samples.len() == 1 { " failing row of " } @else { " failing rows of " } (rule.result.id) }
                    @for sample in &rule.result.samples { pre tabindex="0" { (sample) } }
                }
            }
        }
    }
}

impl Cleaning {
    fn row(&self) -> Vec<Markup> {
        let count = |pick: fn(&Cleaned) -> u64| format::or_dash(self.did.as_ref().map(pick), format::count);
        let state = match (self.in_force, &self.did) {
            (true, Some(_)) => layout::badge(State::Good, "in force"),
            (true, None) => layout::badge(State::Idle, "no rows"),
            (false, _) => layout::badge(State::Warn, "history not yet made anew"),
        };
        vec![
            html! { (self.decision.id) },
            html! { (self.decision.column) },
            html! { code.wrap { (self.does) } },
            html! { span.wrap { (self.decision.reason) span.muted { " – " (self.decision.by) } } },
            html! { (count(|did| did.rows)) },
            html! { (count(|did| did.changed)) },
            state,
        ]
    }
}

impl Rule {
    fn row(&self) -> Vec<Markup> {
        let result = &self.result;
        let (state, word) = rule_state(result);
        vec![
            html! { (result.id) },
            html! { code.wrap { (self.text) } },
            html! { (format!("{:?}", result.severity).to_lowercase()) },
            html! { (format::count(result.checked)) },
            html! { (format::count(result.failed)) },
            layout::badge(state, word),
        ]
    }
}

/// Share of some rows among these and others.
fn share(some: u64, others: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rows are far fewer than 2^52")]
    let (some, all) = (some as f64, (some + others).max(1) as f64);
    some / all
}

/// How a rule fares: what it does to failing rows decides how bad a failure is.
fn rule_state(result: &RuleResult) -> (State, &'static str) {
    // As long as enough rows pass, failing ones are only counted.
    let failed = if result.on_commit && !result.commit_failed { 0 } else { result.failed };
    match (failed, result.severity) {
        (0, _) if result.checked == 0 => (State::Idle, "nothing to check"),
        (0, _) => (State::Good, "passed"),
        (_, Severity::Block) => (State::Bad, "blocks"),
        (_, Severity::Quarantine | Severity::Warn) => (State::Warn, "failing rows"),
    }
}

fn column_state(column: &Column) -> Markup {
    match &column.summary {
        None => layout::badge(State::Idle, "no rows"),
        Some(summary) if summary.rows == 0 => layout::badge(State::Idle, "no rows"),
        Some(summary) if summary.missing_share > 0.5 => layout::badge(State::Warn, "mostly missing"),
        Some(summary) if summary.withheld => layout::badge(State::Idle, "personal, not shown"),
        Some(summary) if summary.distinct <= 1 => layout::badge(State::Warn, "one value"),
        Some(_) => layout::badge(State::Good, "filled"),
    }
}

/// A failing row without Tidemill's own columns, cut off where it is long.
fn shortened(sample: &str) -> String {
    let own = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(sample).map(|mut row| {
        row.retain(|name, _| !name.starts_with(columns::PREFIX));
        serde_json::Value::Object(row).to_string()
    });
    own.unwrap_or_else(|_| sample.to_owned()).chars().take(SAMPLE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidemill_quality::Dimension;

    #[test]
    fn what_a_rule_does_to_rows_decides_how_bad_a_failure_is() {
        let result = |severity, checked, failed| RuleResult {
            id: "r".into(),
            severity,
            dimension: Dimension::Accuracy,
            checked,
            failed,
            ..RuleResult::default()
        };
        assert_eq!(rule_state(&result(Severity::Block, 0, 0)).0, State::Idle);
        assert_eq!(rule_state(&result(Severity::Block, 9, 0)).0, State::Good);
        assert_eq!(rule_state(&result(Severity::Quarantine, 9, 1)).0, State::Warn);
        assert_eq!(rule_state(&result(Severity::Block, 9, 1)).0, State::Bad);
    }

    #[test]
    fn samples_show_the_senders_columns_only() {
        assert_eq!(shortened(r#"{"humid":120.0,"tm_seq":7}"#), r#"{"humid":120.0}"#);
        assert_eq!(shortened(&"x".repeat(2_000)).len(), SAMPLE);
    }
}
