//! *Deployments*: which model answers, how it came to be, and the two decisions a person can take about it.
//!
//! Both are plain forms: they work without a script, ask who and why, and are taken by the evaluation service, which
//! verifies the model and writes the audit. What a form sends is believed only from a page of this console.

use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align, State, Tile};
use crate::page::{self, Page};
use crate::security;
use axum::extract::{RawForm, State as Shared};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tidemill_registry::{AliasEntry, AliasMove, MoveKind, VersionEntry};

/// Versions offered in the form, and moves listed.
const OFFERED: usize = 50;
/// Longest name and reason.
const NAME: usize = 80;
const REASON: usize = 500;

/// What was done before the page was shown again.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    done: Option<Done>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Done {
    Promoted,
    RolledBack,
}

/// The deployment.
#[derive(Serialize)]
pub(super) struct Deployments {
    deployment: String,
    champion: Option<AliasEntry>,
    aliases: Vec<Alias>,
    versions: Vec<VersionEntry>,
    older_versions: usize,
    moves: Vec<AliasMove>,
    done: Option<Done>,
    #[serde(skip)]
    token: String,
}

#[derive(Serialize)]
struct Alias {
    name: String,
    version: u64,
    digest: String,
    since: tidemill_types::Millis,
}

impl Page for Deployments {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let project = &app.spec.project;
        let (aliases, versions) = tokio::try_join!(app.registry.aliases(project), app.registry.versions(project))?;
        let champion = aliases.iter().find(|(name, _)| name == "champion").map(|(_, state)| state.entry.clone());
        let moves = champion.iter().flat_map(|entry| entry.moves.iter().rev().cloned()).take(OFFERED).collect();
        let alias = |(name, state): &(String, tidemill_registry::AliasState)| Alias {
            name: name.clone(),
            version: state.entry.version,
            digest: state.entry.digest.to_string(),
            since: state.entry.since,
        };
        Ok(Self {
            deployment: app.spec.serve.deployment.to_string(),
            aliases: aliases.iter().map(alias).collect(),
            older_versions: versions.len().saturating_sub(OFFERED),
            versions: versions.into_iter().rev().take(OFFERED).collect(),
            moves,
            champion,
            done: query.done,
            token: app.form_token.clone(),
        })
    }

    fn view(&self) -> Markup {
        let Some(champion) = &self.champion else {
            let what = "No model answers yet. The first one that passes the gates becomes champion by itself.";
            return layout::panel("Champion", "", &layout::empty(what, "tidemill train"));
        };
        html! {
            @match self.done {
                Some(Done::Promoted) => { (layout::note(State::Good, "The champion was moved. Serving swaps to it within a second.")) }
                Some(Done::RolledBack) => { (layout::note(State::Good, "The champion before answers again.")) }
                None => {}
            }
            (layout::tiles(&self.tiles(champion)))
            div.columns {
                (layout::panel("Promote", "gates do not bind a person; the reason does", &self.promote(champion)))
                (layout::panel("Roll back", "to the champion before the present one", &self.roll_back(champion)))
            }
            (layout::panel("History", "moves of the champion, newest first", &self.history()))
            (layout::panel("Aliases", "names that point to a version", &self.alias_table()))
        }
    }
}

impl Deployments {
    fn tiles(&self, champion: &AliasEntry) -> Vec<Tile> {
        let version = |version: u64| format!("version {version}");
        vec![
            Tile {
                label: "Deployment".to_owned(),
                value: self.deployment.clone(),
                note: "model name in the prediction API".to_owned(),
                ..Tile::default()
            },
            Tile {
                label: "Champion".to_owned(),
                value: version(champion.version),
                note: champion.digest.short().to_owned(),
                state: Some(State::Good),
                href: Some(format!("/models/{}", champion.digest)),
                ..Tile::default()
            },
            Tile {
                label: "Since".to_owned(),
                value: format::minute(champion.since),
                unit: "UTC".to_owned(),
                note: format!("by {}", champion.by),
                ..Tile::default()
            },
            Tile {
                label: "A rollback leads to".to_owned(),
                value: champion.previous.as_ref().map_or_else(|| format::ABSENT.to_owned(), |to| version(to.version)),
                note: champion
                    .previous
                    .as_ref()
                    .map_or_else(|| "there is none before".to_owned(), |to| to.digest.short().to_owned()),
                ..Tile::default()
            },
        ]
    }

    fn promote(&self, champion: &AliasEntry) -> Markup {
        let others: Vec<_> = self.versions.iter().filter(|version| version.digest != champion.digest).collect();
        if others.is_empty() {
            return layout::empty("There is no other version.", "tidemill train");
        }
        html! {
            form method="post" action="/deployments/promote" {
                input type="hidden" name="token" value=(self.token);
                label { span { "Version" }
                    select name="model" required {
                        @for version in others {
                            option value=(version.digest) { (version.version) " · " (version.digest.short()) " · " (format::minute(version.created)) }
                        }
                    }
                }
                (signature())
                button.primary type="submit" { "Promote" }
                @if self.older_versions > 0 {
                    p.muted { (self.older_versions) " older versions: " code { "tidemill models promote VERSION --reason TEXT" } }
                }
            }
        }
    }

    fn roll_back(&self, champion: &AliasEntry) -> Markup {
        let Some(previous) = &champion.previous else {
            return layout::empty("There is no champion before this one.", "");
        };
        html! {
            form method="post" action="/deployments/rollback" {
                input type="hidden" name="token" value=(self.token);
                p { "From version " (champion.version) " back to version " (previous.version) " (" (format::digest(previous.digest.as_str())) ")." }
                (signature())
                button.danger type="submit" { "Roll back" }
            }
        }
    }

    fn history(&self) -> Markup {
        let heads = [
            ("When", Align::Text),
            ("What", Align::Text),
            ("Version", Align::Number),
            ("Model", Align::Text),
            ("By", Align::Text),
            ("Reason", Align::Text),
        ];
        let row = |made: &AliasMove| {
            let what = match (made.kind, &made.from) {
                (MoveKind::Rollback, _) => layout::badge(State::Warn, "rollback"),
                (MoveKind::Set, None) => layout::badge(State::Good, "first champion"),
                (MoveKind::Set, Some(_)) => layout::badge(State::Good, "promotion"),
            };
            vec![
                format::time(made.at),
                what,
                html! { (made.version) },
                html! { a href={ "/models/" (made.to) } { (format::digest(made.to.as_str())) } },
                html! { (made.by) },
                html! { span.wrap { (made.reason) } },
            ]
        };
        layout::table("Moves of the champion", &heads, &self.moves.iter().map(row).collect::<Vec<_>>())
    }

    fn alias_table(&self) -> Markup {
        let heads =
            [("Alias", Align::Text), ("Version", Align::Number), ("Model", Align::Text), ("Since", Align::Text)];
        let row = |alias: &Alias| {
            vec![
                html! { (alias.name) },
                html! { (alias.version) },
                html! { a href={ "/models/" (alias.digest) } { (format::digest(&alias.digest)) } },
                format::time(alias.since),
            ]
        };
        layout::table("Aliases", &heads, &self.aliases.iter().map(row).collect::<Vec<_>>())
    }
}

/// Who and why.
fn signature() -> Markup {
    html! {
        label { span { "Your name" } input name="by" required maxlength=(NAME) autocomplete="name"; }
        label { span { "Reason" } textarea name="reason" required maxlength=(REASON) rows="2" {} }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Promotion {
    token: String,
    model: String,
    by: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rollback {
    token: String,
    by: String,
    reason: String,
}

/// Takes the form of a promotion.
pub(super) async fn promote(Shared(app): Shared<Arc<App>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    let decide = async {
        let form: Promotion = form(&body)?;
        security::check_form(&app, &headers, &form.token)?;
        let (by, reason) = signed(&form.by, &form.reason)?;
        app.promote(form.model, by, reason).await
    };
    answer(&app, &headers, decide.await.map(|_| "promoted"))
}

/// Takes the form of a rollback.
pub(super) async fn roll_back(Shared(app): Shared<Arc<App>>, headers: HeaderMap, RawForm(body): RawForm) -> Response {
    let decide = async {
        let form: Rollback = form(&body)?;
        security::check_form(&app, &headers, &form.token)?;
        let (by, reason) = signed(&form.by, &form.reason)?;
        app.roll_back(by, reason).await
    };
    answer(&app, &headers, decide.await.map(|_| "rolled_back"))
}

fn form<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T> {
    let text = std::str::from_utf8(body).map_err(|_| Error::Form("the form is no text".to_owned()))?;
    page::parameters(text).map_err(|error| match error {
        Error::Query(reason) => Error::Form(format!("the form cannot be understood: {reason}")),
        other => other,
    })
}

/// Name and reason, trimmed; neither may be empty or longer than the form allows.
fn signed(by: &str, reason: &str) -> Result<(String, String)> {
    let (by, reason) = (by.trim(), reason.trim());
    if by.is_empty() || reason.is_empty() {
        return Err(Error::Form("your name and a reason are both needed, for the audit".to_owned()));
    }
    if by.chars().count() > NAME || reason.chars().count() > REASON {
        return Err(Error::Form(format!("a name has at most {NAME} characters, a reason {REASON}")));
    }
    Ok((by.to_owned(), reason.to_owned()))
}

/// Back to the page, so that loading it again does not decide again.
fn answer(app: &App, headers: &HeaderMap, done: Result<&str>) -> Response {
    match done {
        Ok(done) => {
            let place = format!("/deployments?done={done}");
            (StatusCode::SEE_OTHER, [(header::LOCATION, place)]).into_response()
        }
        Err(error) => page::refusal(app, headers, false, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_needs_a_name_and_a_reason() {
        assert!(signed(" ", "why").is_err() && signed("me", "\n").is_err());
        assert!(signed(&"x".repeat(NAME + 1), "why").is_err());
        assert_eq!(signed(" me ", " why ").unwrap(), ("me".to_owned(), "why".to_owned()));
    }

    #[test]
    fn forms_are_read_as_browsers_send_them() {
        let sent: Rollback = form(b"token=t&by=Ada+L&reason=alerts%20doubled%20%26%20wrong").unwrap();
        assert_eq!((sent.by.as_str(), sent.reason.as_str()), ("Ada L", "alerts doubled & wrong"));
        assert!(form::<Rollback>(b"token=t&by=x").is_err());
        assert!(form::<Rollback>(b"token=t&by=x&reason=y&more=z").is_err());
    }
}
