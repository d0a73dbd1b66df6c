//! Registered models with their aliases: how pages name a model.

use crate::app::App;
use crate::error::Result;
use crate::layout::{State, badge};
use maud::{Markup, html};
use serde::Serialize;
use std::collections::BTreeMap;
use tidemill_registry::VersionEntry;

/// Versions and aliases of the project.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Known {
    /// Versions, the newest first.
    pub(crate) versions: Vec<VersionEntry>,
    /// Names that point to a model, by its digest.
    pub(crate) aliases: BTreeMap<String, Vec<String>>,
}

impl Known {
    /// What the registry holds now.
    pub(crate) async fn load(app: &App) -> Result<Self> {
        let project = &app.spec.project;
        let (mut versions, states) = tokio::try_join!(app.registry.versions(project), app.registry.aliases(project))?;
        versions.sort_by_key(|entry| std::cmp::Reverse(entry.version));
        let mut aliases: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (alias, state) in states {
            aliases.entry(state.entry.digest.to_string()).or_default().push(alias);
        }
        Ok(Self { versions, aliases })
    }

    /// The version of a digest.
    pub(crate) fn version(&self, digest: &str) -> Option<&VersionEntry> {
        self.versions.iter().find(|entry| entry.digest.as_str() == digest)
    }

    /// The aliases of a digest.
    pub(crate) fn aliases(&self, digest: &str) -> &[String] {
        self.aliases.get(digest).map(Vec::as_slice).unwrap_or_default()
    }

    /// Digest of the model that an alias points to.
    pub(crate) fn behind(&self, alias: &str) -> Option<&str> {
        self.aliases.iter().find(|(_, names)| names.iter().any(|n| n == alias)).map(|(digest, _)| digest.as_str())
    }

    /// `version 3`, or the beginning of the digest.
    pub(crate) fn name(&self, digest: &str) -> String {
        match self.version(digest) {
            Some(entry) => format!("version {}", entry.version),
            None => digest.chars().take(12).collect(),
        }
    }

    /// The name as a link, with the aliases behind it.
    pub(crate) fn link(&self, digest: &str) -> Markup {
        html! {
            a href={ "/models/" (digest) } title=(digest) { (self.name(digest)) }
            (self.badges(digest))
        }
    }

    /// The aliases of a digest; the champion is marked as in service.
    pub(crate) fn badges(&self, digest: &str) -> Markup {
        html! {
            @for alias in self.aliases(digest) {
                " " (badge(if alias == "champion" { State::Good } else { State::Idle }, alias))
            }
        }
    }
}
