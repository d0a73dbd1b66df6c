//! *Overview*: what is decided, how each step of the life cycle fares, whether the model pays.

mod cycle;
mod targets;

use super::charts;
use crate::answers::{self, Alert, Counts, FeatureState, Run, Verdict, Window};
use crate::app::{App, Part};
use crate::error::Result;
use crate::format;
use crate::layout::{self, State};
use crate::page::Page;
use crate::pages::window::WindowKind;
use crate::profiles::SourceState;
use cycle::{Facts, FeatureFacts, QualityFacts, RunFacts, ServingFacts, Step, VerdictFacts, WatchFacts};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use tidemill_contracts::subjects;
use tidemill_quality::FreshnessState;
use tidemill_spec::Spec;
use tidemill_types::{Millis, SourceName};

/// Windows of a chart.
const MOST_WINDOWS: usize = 60;
/// With fewer months than this, weeks tell more.
const FEW: usize = 4;

/// Size of the windows of the charts.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    window: Option<WindowKind>,
}

/// What the instance does and how it fares.
#[derive(Serialize)]
pub(super) struct Overview {
    decision: String,
    unit: String,
    horizon: String,
    action: String,
    owners: BTreeMap<String, String>,
    spec_digest: String,
    steps: Vec<Step>,
    retrain: Retrain,
    window: WindowKind,
    windows: Part<Vec<Window>>,
    promotions: Vec<Promotion>,
    #[serde(skip)]
    tiles: Vec<layout::Tile>,
    #[serde(skip)]
    kpi_name: String,
    #[serde(skip)]
    kpi_unit: String,
    alerts: Vec<Alert>,
}

/// What leads back from watching to training.
#[derive(Debug, Serialize)]
struct Retrain {
    every: String,
    rules: Vec<String>,
    last: Option<Run>,
}

/// A champion and the instant its training knew everything of.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Promotion {
    pub(super) as_of: Millis,
    pub(super) version: u64,
}

impl Page for Overview {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let (runs, counts, features, profiles, months) = tokio::join!(
            runs(app),
            counts(app),
            feature_state(app),
            app.profiles.all(),
            windows(app, WindowKind::Month),
        );
        let dead = app.bus.stream_state(subjects::DEAD_STREAM).await.ok().map(|state| state.messages);
        let champion = app.registry.alias(&app.spec.project, "champion").await?;
        let promotions = promotions(app, runs.as_deref().unwrap_or_default()).await?;
        let few = months.as_ref().is_ok_and(|months| months.len() < FEW);
        let window = query.window.unwrap_or(if few { WindowKind::Week } else { WindowKind::Month });
        let windows = match window {
            WindowKind::Month => months,
            WindowKind::Week => windows(app, WindowKind::Week).await,
        };
        let closed: Vec<&Window> = windows.iter().flatten().filter(|window| window.closed).collect();
        let newest = closed.last().copied();
        let before = closed.len().checked_sub(2).map(|at| closed[at]);
        let facts = Facts {
            sources: app.spec.sources.len(),
            dead_letters: dead,
            rows: profiles.as_ref().ok().map(|all| all.values().map(|s| s.rows + s.quarantined).sum()),
            quality: profiles.as_ref().ok().map(quality_facts),
            features: features.as_ref().ok().map(feature_facts),
            runs: runs
                .as_ref()
                .ok()
                .map(|runs| RunFacts { count: runs.len(), newest: runs.first().map(|run| run.state.clone()) }),
            verdict: verdict(app, runs.as_deref().unwrap_or_default()).await,
            serving: counts.as_ref().ok().map(|counts| ServingFacts {
                champion: champion.as_ref().map(|state| state.entry.version),
                predictions: counts.predictions,
            }),
            watching: counts.as_ref().ok().map(watch_facts),
        };
        let problem = &app.spec.problem;
        let horizon = format::span(problem.horizon.millis());
        let mut alerts = counts.as_ref().map(newest_alerts).unwrap_or_default();
        alerts.truncate(5);
        Ok(Self {
            decision: problem.decision.clone(),
            unit: problem.unit.clone(),
            action: problem.action.clone(),
            owners: problem.owners.clone(),
            spec_digest: app.spec.digest().to_string(),
            steps: cycle::steps(&horizon, &facts).to_vec(),
            horizon,
            retrain: Retrain {
                every: window_name(&app.spec).to_owned(),
                rules: app.spec.retrain.when.clone(),
                last: runs.ok().and_then(|runs| runs.into_iter().next()),
            },
            tiles: targets::tiles(&app.spec, newest, before, counts.as_ref().ok()),
            kpi_name: targets::title(&app.spec.kpi.name),
            kpi_unit: app.spec.kpi.unit.clone(),
            window,
            windows: windows.into(),
            promotions,
            alerts,
        })
    }

    fn view(&self) -> Markup {
        html! {
            p.lead {
                "For every " strong { (self.unit) } ", " (self.horizon) " ahead: " (self.decision) "."
            }
            p.muted {
                "If yes: " (self.action) "."
                @for (role, owner) in &self.owners { " " (targets::title(role)) " owner: " (owner) "." }
            }
            (self.map())
            (self.numbers())
            (self.over_time())
            (self.recent_alerts())
        }
    }
}

impl Overview {
    fn map(&self) -> Markup {
        html! {
            section.cycle aria-label="Life cycle" {
                ol {
                    @for step in &self.steps {
                        li {
                            a href=(step.href) {
                                span.name { (step.name) }
                                span.number { (step.number) @if !step.unit.is_empty() { small { (step.unit) } } }
                                (layout::badge(step.state, &step.word))
                            }
                        }
                    }
                }
                p.back {
                    span.arrow aria-hidden="true" { "↩" }
                    "Retrain every " strong { (self.retrain.every) } " of event time"
                    @for rule in &self.retrain.rules { ", or when " code { (rule) } }
                    @if let Some(run) = &self.retrain.last {
                        ". Last: " a href={ "/runs/" (layout::encoded(&run.cycle)) } { (run.cycle) } " by " (run.reason)
                    }
                    "."
                }
            }
        }
    }

    fn numbers(&self) -> Markup {
        let newest = self.windows.value().and_then(|windows| windows.iter().rev().find(|window| window.closed));
        let Some(newest) = newest else {
            return layout::panel("Against target", "", &self.nothing("Numbers against their targets appear"));
        };
        let note = format!(
            "{} from {}: {} predictions, {} outcomes",
            targets::title(self.window.name()),
            newest.start_date,
            format::count(newest.predictions),
            format::count(newest.outcomes)
        );
        layout::panel("Against target", &note, &layout::tiles(&self.tiles))
    }

    fn over_time(&self) -> Markup {
        let options = [("week", "/?window=week".to_owned()), ("month", "/?window=month".to_owned())];
        let choice = layout::choice("Window of the charts", self.window.name(), &options);
        let Some(windows) = self.windows.value().filter(|windows| !windows.is_empty()) else {
            let quality = layout::panel("Model quality", "", &self.nothing("The quality of each window is shown"));
            let value = layout::panel(&self.kpi_name, "", &self.nothing("The business value of each window is shown"));
            return layout::columns(&[quality, value]);
        };
        let quality = charts::quality(windows, &self.promotions, None);
        let value = charts::value(windows, &self.promotions, &self.kpi_name, &self.kpi_unit);
        html! {
            div.toolbar { (choice) }
            (layout::columns(&[
                layout::panel("Model quality", "AUC with 95 % interval; the first champion runs along in the shadow", &quality),
                layout::panel(&self.kpi_name, &format!("{} as served, with 95 % interval", self.kpi_unit), &value),
            ]))
        }
    }

    fn recent_alerts(&self) -> Markup {
        let rows = self.alerts.iter().map(super::alerts::short_row).collect::<Vec<_>>();
        let body = if rows.is_empty() {
            layout::empty("No alert was raised.", "")
        } else {
            html! {
                (layout::table("Newest alerts", &super::alerts::HEADS, &rows))
                p.more { a href="/alerts" { "All alerts" } }
            }
        };
        layout::panel("Newest alerts", "", &body)
    }

    fn nothing(&self, what: &str) -> Markup {
        match self.windows.why() {
            Some(why) => layout::absent(why),
            None => layout::empty(
                &format!("{what} once predictions have met their outcomes."),
                "tidemill train, then tidemill predict --key KEY",
            ),
        }
    }
}

/// Reports of a kind of window, oldest first; the newest of them when there are very many.
pub(super) async fn windows(app: &App, kind: WindowKind) -> Result<Vec<Window>> {
    let all = app.windows(kind.name()).await?;
    Ok(all[all.len().saturating_sub(MOST_WINDOWS)..].to_vec())
}

/// Runs, the one that knew most first.
async fn runs(app: &App) -> Result<Vec<Run>> {
    let mut runs: Vec<Run> = answers::read("training", &*app.runs().await?)?;
    runs.sort_by_key(|run| std::cmp::Reverse(run.as_of));
    Ok(runs)
}

pub(super) async fn counts(app: &App) -> Result<Counts> {
    answers::read("monitoring", &*app.monitoring_status().await?)
}

pub(super) async fn feature_state(app: &App) -> Result<FeatureState> {
    answers::read("feature", &*app.feature_state().await?)
}

/// The moves of the champion, at the instants of event time up to which the models knew everything.
async fn promotions(app: &App, runs: &[Run]) -> Result<Vec<Promotion>> {
    let Some(state) = app.registry.alias(&app.spec.project, "champion").await? else { return Ok(Vec::new()) };
    let made = state.entry.moves.iter().filter_map(|made| {
        let run = runs.iter().find(|run| run.model_digest.as_deref() == Some(made.to.as_str()))?;
        Some(Promotion { as_of: run.as_of, version: made.version })
    });
    Ok(made.collect())
}

/// Moves of the champion for charts of other pages; none while training does not answer.
pub(super) async fn known_promotions(app: &App) -> Result<Vec<Promotion>> {
    let runs = runs(app).await.unwrap_or_default();
    promotions(app, &runs).await
}

/// The verdict on the newest model that was judged; running cycles have none yet.
async fn verdict(app: &App, runs: &[Run]) -> Option<VerdictFacts> {
    for run in runs.iter().take(3) {
        let Some(digest) = &run.model_digest else { continue };
        // A scorecard is written once.
        let key = format!("verdict:{digest}");
        let known = app.lasting(&key, async {
            let answer = app.scorecard(digest).await?;
            let card: Verdict = answers::read("evaluation", &answer["scorecard"])?;
            Ok(json!({"passed": card.passed, "auc": card.report.roc_auc.value}))
        });
        let Ok(known) = known.await else { continue };
        return Some(VerdictFacts { passed: known["passed"] == true, auc: known["auc"].as_f64() });
    }
    None
}

fn quality_facts(all: &BTreeMap<SourceName, Arc<SourceState>>) -> QualityFacts {
    let scores = all.values().filter_map(|state| state.score.as_ref().and_then(|score| score.total));
    let silent = |state: &SourceState| state.freshness.is_some_and(|f| f.state() == FreshnessState::Stale);
    QualityFacts {
        score: scores.reduce(f64::min),
        quarantined: all.values().map(|state| state.quarantined).sum(),
        blocked: all.values().find_map(|state| state.blocked.clone()),
        stale: all.iter().filter(|(_, state)| silent(state)).map(|(name, _)| name.to_string()).collect(),
    }
}

fn feature_facts(state: &FeatureState) -> FeatureFacts {
    FeatureFacts { count: state.features.len(), watermark: state.watermark_ms }
}

/// Alerts of the newest window that has any, and on sources that are silent or refused now.
fn watch_facts(counts: &Counts) -> WatchFacts {
    let of_window = |alert: &&Alert| alert.source.is_none() && !alert.elsewhere;
    let newest = counts.alerts.iter().filter(of_window).map(|alert| alert.raised_at).max();
    let is_current = |alert: &&Alert| match alert.source {
        Some(_) => alert.resolved_at.is_none(),
        None => of_window(alert) && Some(alert.raised_at) == newest,
    };
    let alerts: Vec<&Alert> = counts.alerts.iter().filter(is_current).collect();
    WatchFacts {
        joined: counts.joined,
        alerts: alerts.len(),
        paged: alerts.iter().any(|alert| alert.severity == "page"),
    }
}

fn newest_alerts(counts: &Counts) -> Vec<Alert> {
    let mut alerts = counts.alerts.clone();
    alerts.sort_by_key(|alert| std::cmp::Reverse(alert.raised_at));
    alerts
}

fn window_name(spec: &Spec) -> &'static str {
    match spec.retrain.every {
        tidemill_spec::Window::Week => "week",
        tidemill_spec::Window::Month => "month",
    }
}

/// State of an alert by its urgency.
pub(super) fn urgency(severity: &str) -> State {
    if matches!(severity, "page" | "error") { State::Bad } else { State::Warn }
}
