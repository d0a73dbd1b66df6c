//! The card of one model: what it is for, how good it is, against what, on whom, and whence it came.

mod parts;

use super::scorecard::{Comparison, Scorecard, p_value, scorecard};
use super::{Known, importance};
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{Align, State, badge, columns, empty, facts, panel, table, tiles};
use crate::page::Page;
use axum::extract::{Path, State as AxumState};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_spec::Spec;
use tidemill_types::Digest;

/// The card of a model.
#[derive(Debug, Serialize)]
pub(crate) struct ModelPage {
    digest: String,
    version: Option<u64>,
    aliases: Vec<String>,
    run: Option<String>,
    scorecard: Option<Scorecard>,
    card_url: String,
    #[serde(skip)]
    known: Known,
    #[serde(skip)]
    spec: Arc<Spec>,
}

/// The model in the path.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ModelQuery {
    model: String,
}

impl Page for ModelPage {
    type Query = ModelQuery;

    async fn load(app: &App, query: ModelQuery) -> Result<Self> {
        let digest = digest(&query.model)?;
        let (known, card) = tokio::try_join!(Known::load(app), scorecard(app, digest.as_str()))?;
        let entry = known.version(digest.as_str()).cloned();
        if entry.is_none() && card.is_none() {
            return Err(Error::missing("model", digest.to_string()));
        }
        Ok(Self {
            version: entry.as_ref().map(|e| e.version),
            aliases: known.aliases(digest.as_str()).to_vec(),
            run: entry.map(|e| e.run.to_string()).or_else(|| card.as_ref().map(|c| c.subject.cycle.clone())),
            scorecard: card,
            card_url: format!("/models/{digest}/card"),
            digest: digest.to_string(),
            known,
            spec: Arc::clone(&app.spec),
        })
    }

    fn title(&self) -> Option<String> {
        Some(format!("Model {}", self.known.name(&self.digest)))
    }

    fn view(&self) -> Markup {
        let Some(card) = &self.scorecard else {
            return html! {
                (self.head())
                (empty("This model was not judged yet. Evaluation judges each candidate when its run ends.", "tidemill status"))
            };
        };
        html! {
            (verdict(card))
            (self.head())
            (tiles(&parts::numbers(card)))
            (columns(&[panel("What it is for", "", &parts::purpose(&self.spec)), panel("Gates", "Each looks at a 95 % bound, not at the point.", &parts::gates(card))]))
            (panel("Quality on the sealed test", &parts::test_note(card), &parts::quality(card)))
            (panel("Against baselines and champion", "Differences on the same rows, this model less the other.", &self.comparisons(card)))
            (columns(&[panel("Calibration", "", &parts::calibration(card)), panel("What it depends on", "", &importance(&card.subject.importance))]))
            (panel("Slices", "Bias is the mean score less the share of positives; flagged where it is beyond chance.", &parts::slices(card)))
            (panel("Leak checks", "Columns that alone give the outcome away, and test rows that the fit has seen.", &parts::leaks(card)))
            @if !card.subject.quality.is_empty() {
                (panel("Data behind it", "Quality from 0 to 100 of the rows that were known when it was trained.", &parts::data(card)))
            }
            (panel("Origin", "", &self.origin(card)))
        }
    }
}

impl ModelPage {
    fn head(&self) -> Markup {
        html! {
            p.actions {
                (self.known.badges(&self.digest))
                " " (format::digest(&self.digest))
                @if self.scorecard.is_some() { " · " a href=(self.card_url) download { "Self-contained card (HTML)" } }
                @if let Some(run) = &self.run { " · " a href={ "/runs/" (run) } { "Its run" } }
                " · " a href={ "/lineage?of=model%2F" (self.digest) } { "Lineage" }
                " · " a href="/deployments" { "Promote or roll back" }
            }
        }
    }

    fn comparisons(&self, card: &Scorecard) -> Markup {
        let measure = format!("Lead in {}, {}", card.kpi.name.replace('_', " "), card.kpi.unit);
        let heads = [
            ("Against", Align::Text),
            ("Its AUC", Align::Number),
            ("Lead in AUC", Align::Number),
            ("p", Align::Number),
            ("Difference of Brier", Align::Number),
            ("p", Align::Number),
            (&measure, Align::Number),
            ("p", Align::Number),
        ];
        let row = |c: &Comparison| {
            let (auc, brier) = (&c.metrics.roc_auc, &c.metrics.brier);
            vec![
                html! { (c.against) @if let Some(digest) = &c.digest { " " (self.known.link(digest)) } },
                html! { (format::fixed(auc.champion, 3)) },
                auc.difference.show(4),
                html! { (p_value(auc.p)) },
                brier.difference.show(4),
                html! { (p_value(brier.p)) },
                c.kpi.difference.show(0),
                html! { (p_value(c.kpi.p)) },
            ]
        };
        let rows: Vec<Vec<Markup>> = card.comparisons.iter().map(row).collect();
        html! {
            @if rows.is_empty() { p.muted { "There was nothing to compare with." } } @else { (table("Comparisons", &heads, &rows)) }
            @for other in &card.not_compared {
                p { (badge(State::Warn, "not compared")) " " (other.against) ": " (other.reason) }
            }
        }
    }

    fn origin(&self, card: &Scorecard) -> Markup {
        let subject = &card.subject;
        let champion = match &subject.champion {
            Some(digest) => self.known.link(digest),
            None => html! { "none" },
        };
        facts(&[
            ("Learner", html! { (subject.learner) }),
            ("Parameters", html! { code { (parts::parameters(card)) } }),
            ("Knowledge of", format::time(subject.as_of)),
            ("Threshold", html! { (format::fixed(subject.threshold, 4)) }),
            ("Run", html! { a href={ "/runs/" (subject.cycle) } { (subject.cycle) } }),
            ("Champion when it was judged", champion),
            ("Training set", html! { code { (subject.training_set.0) } " " (format::digest(&subject.training_set.1)) }),
            ("Project file", format::digest(&subject.spec_digest)),
            ("Opening of the test", html! { code { (subject.opening) } }),
        ])
    }
}

fn digest(text: &str) -> Result<Digest> {
    Digest::parse(text).ok_or_else(|| Error::missing("model", text.chars().take(80).collect::<String>()))
}

fn verdict(card: &Scorecard) -> Markup {
    let (state, word) = if card.passed { (State::Good, "passed") } else { (State::Bad, "refused") };
    html! { p.lead { (badge(state, word)) " " (card.verdict) } }
}

/// The card as one file that needs nothing else. It brings its own style, so it is saved, not shown here.
pub(crate) async fn download(
    AxumState(app): AxumState<Arc<App>>,
    Path(model): Path<String>,
    headers: HeaderMap,
) -> Response {
    match card_file(&app, &headers, &model).await {
        Ok(response) => response,
        Err(error) => crate::page::refusal(&app, &headers, false, &error),
    }
}

async fn card_file(app: &App, headers: &HeaderMap, model: &str) -> Result<Response> {
    crate::security::check_host(app, headers)?;
    let digest = digest(model)?;
    let path = format!("scorecards/{}/{digest}.html", app.project());
    let bytes = match app.storage.get(&path).await {
        Ok(bytes) => bytes,
        Err(tidemill_storage::Error::NotFound(_)) => return Err(Error::missing("card of model", digest.to_string())),
        Err(other) => return Err(other.into()),
    };
    let name = format!("attachment; filename=\"{}-{}.html\"", app.project(), digest.short());
    let head = [(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, name)];
    Ok((head, bytes).into_response())
}
