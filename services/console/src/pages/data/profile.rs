//! The profile of one source: warnings first, then columns, relations and gaps, then rules with masked samples. Columns
//! come from stored sketches, what needs rows from rows that were drawn before anybody asked.
//!
//! The parts are those of the self-contained report, which can be had from here as a file.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout;
use crate::page::Page;
use crate::profiles::SourceState;
use crate::samples::Drawn;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_explore::report::{Context, QualityFacts, Room, RuleFacts, ScoreAt, page, sections};
use tidemill_explore::{Exploration, explore_profile};
use tidemill_types::{Millis, SourceName};

/// Which source.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    source: SourceName,
}

/// What is known of the rows of a source.
#[derive(Serialize)]
pub(in crate::pages) struct Profile {
    source: String,
    commits: usize,
    /// Rows behind relations, gaps and tests; nothing before the first draw.
    drawn: Option<Drawn>,
    exploration: Exploration,
    quality: QualityFacts,
}

impl Page for Profile {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        Self::of(app, &query.source).await
    }

    fn title(&self) -> Option<String> {
        Some(format!("Profile of {}", self.source))
    }

    fn view(&self) -> Markup {
        // Charts of a column stand on its own page.
        let context = Context {
            quality: Some(self.quality.clone()),
            drawn: 0,
            room: Room::PAGE,
            column_link: Some(format!("/data/{}/", self.source)),
            ..Context::default()
        };
        html! {
            p.crumbs {
                a href="/data" { "Data & quality" } " / " a href={ "/data/" (self.source) } { (self.source) } " / Profile"
                @if self.commits > 0 {
                    " · " a href={ "/data/" (self.source) "/profile/report" } download { "Self-contained report (HTML)" }
                }
            }
            @if self.commits == 0 {
                (layout::empty("No rows of this source were checked yet.", &format!("tidemill events publish --source {} FILE", self.source)))
            } @else {
                p.muted { (self.origin()) }
                (sections(&self.exploration, &context))
            }
        }
    }
}

impl Profile {
    async fn of(app: &App, source: &SourceName) -> Result<Self> {
        if !app.spec.sources.contains_key(source) {
            return Err(Error::missing("source", source.as_str()));
        }
        let known = app.profiles.source(source).await?;
        let sampled = app.samples.of(source);
        let relations = sampled.as_ref().map(|sampled| &sampled.relations);
        let mut exploration = explore_profile(source.as_str(), &known.profile, relations, &app.samples.options(source));
        // What Tidemill itself adds to rows is not what the sender should look at.
        let own = |name: &str| name.starts_with(tidemill_types::columns::PREFIX);
        exploration.columns.retain(|column| !own(&column.name));
        exploration.warnings.retain(|warning| !warning.column.as_deref().is_some_and(own));
        Ok(Self {
            source: source.to_string(),
            commits: known.commits,
            drawn: sampled.map(|sampled| sampled.drawn),
            exploration,
            quality: quality(&known),
        })
    }

    fn origin(&self) -> String {
        let profiles = format!("profiles of the newest {} commits, merged", format::count(self.commits as u64));
        let Some(drawn) = &self.drawn else {
            return format!("{profiles}; rows are being drawn, relations between columns follow within a minute");
        };
        let which = match drawn.whole {
            true => format!("all {} rows", format::count(drawn.rows)),
            false => format!(
                "{} of {} rows, drawn by seed {} from {} files",
                format::count(drawn.rows),
                format::count(drawn.of_rows),
                drawn.seed,
                format::count(drawn.files as u64)
            ),
        };
        format!("{profiles}; relations, gaps and tests: {which} of version {}", drawn.version)
    }
}

fn quality(known: &SourceState) -> QualityFacts {
    let scores = known.scores.iter().zip(&known.scored_at);
    let scores = scores.filter_map(|(score, at)| at.map(|Millis(at)| ScoreAt { at, score: *score }));
    QualityFacts { rules: known.rules.iter().map(RuleFacts::from).collect(), scores: scores.collect() }
}

/// The report as a file.
pub(crate) async fn download(State(app): State<Arc<App>>, Path(source): Path<String>, headers: HeaderMap) -> Response {
    match report(&app, &headers, &source).await {
        Ok(response) => response,
        Err(error) => crate::page::refusal(&app, &headers, false, &error),
    }
}

async fn report(app: &App, headers: &HeaderMap, source: &str) -> Result<Response> {
    crate::security::check_host(app, headers)?;
    let name: SourceName = source.parse().map_err(|_| Error::missing("source", source))?;
    let profile = Profile::of(app, &name).await?;
    let made = chrono::Utc::now().format("%Y-%m-%d %H:%M UTC").to_string();
    let context = Context {
        origin: profile.origin(),
        made_at: made,
        quality: Some(profile.quality.clone()),
        ..Context::default()
    };
    let file = format!("attachment; filename=\"profile-{}-{name}.html\"", app.project());
    let head = [(header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()), (header::CONTENT_DISPOSITION, file)];
    Ok((head, page(&profile.exploration, &context)).into_response())
}
