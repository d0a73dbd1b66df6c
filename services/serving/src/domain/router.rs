//! Which model version answers, and which is asked in the shadow.
//!
//! A [`Routes`] value never changes; a swap puts another one in its place, so a request that started with
//! one finishes with it.

use crate::error::Error;
use std::sync::Arc;
use tidemill_types::Digest;

/// Shortest prefix of a digest that names a version.
const SHORTEST_VERSION: usize = 8;

/// A model that can be routed to.
pub trait Versioned {
    /// Digest of its bundle: the version.
    fn digest(&self) -> &Digest;
}

/// The versions of one deployment that are loaded and verified.
#[derive(Debug)]
pub struct Routes<M> {
    champion: Option<Arc<M>>,
    first: Option<Arc<M>>,
    previous: Option<Arc<M>>,
}

impl<M> Default for Routes<M> {
    fn default() -> Self {
        Self { champion: None, first: None, previous: None }
    }
}

impl<M> Clone for Routes<M> {
    fn clone(&self) -> Self {
        Self { champion: self.champion.clone(), first: self.first.clone(), previous: self.previous.clone() }
    }
}

/// What a request gets.
#[derive(Debug)]
pub struct Route<M> {
    /// The version that answers.
    pub answers: Arc<M>,
    /// Name of the route in answers and in the log.
    pub variant: &'static str,
    /// The version whose score is only logged.
    pub shadow: Option<Arc<M>>,
}

impl<M: Versioned> Routes<M> {
    /// These routes with another champion; the one before stays warm for a rollback.
    #[must_use]
    pub fn with_champion(&self, model: Arc<M>) -> Self {
        let same = self.champion.as_ref().is_some_and(|c| c.digest() == model.digest());
        let previous = if same { self.previous.clone() } else { self.champion.clone() };
        Self { champion: Some(model), first: self.first.clone(), previous }
    }

    /// These routes with another model in the shadow.
    #[must_use]
    pub fn with_first(&self, model: Arc<M>) -> Self {
        Self { champion: self.champion.clone(), first: Some(model), previous: self.previous.clone() }
    }

    /// The version that answers when none is asked for.
    #[must_use]
    pub fn champion(&self) -> Option<&Arc<M>> {
        self.champion.as_ref()
    }

    /// The loaded model of that digest, whatever its role.
    #[must_use]
    pub fn loaded(&self, digest: &Digest) -> Option<&Arc<M>> {
        self.all().find(|m| m.digest() == digest)
    }

    /// Digests in service, the champion's first, each once.
    #[must_use]
    pub fn versions(&self) -> Vec<&Digest> {
        let mut versions: Vec<&Digest> = Vec::new();
        for model in self.all() {
            if !versions.contains(&model.digest()) {
                versions.push(model.digest());
            }
        }
        versions
    }

    /// Chooses for a request. `version` is a digest or at least eight characters of one; empty: the champion.
    ///
    /// # Errors
    /// No champion yet, or no such version in service.
    pub fn route(&self, deployment: &str, version: &str) -> Result<Route<M>, Error> {
        let champion = self.champion.as_ref().ok_or_else(|| Error::NoChampion(deployment.to_owned()))?;
        if version.is_empty() || names(version, champion.digest()) {
            return Ok(Route { answers: Arc::clone(champion), variant: "champion", shadow: self.first.clone() });
        }
        let roles = [("previous", &self.previous), ("first", &self.first)];
        for (variant, model) in roles {
            if let Some(model) = model.as_ref().filter(|m| names(version, m.digest())) {
                return Ok(Route { answers: Arc::clone(model), variant, shadow: self.first.clone() });
            }
        }
        let known: Vec<_> = self.versions().iter().map(|d| d.short()).collect();
        Err(Error::UnknownVersion { name: deployment.to_owned(), version: version.to_owned(), known: known.join(", ") })
    }

    fn all(&self) -> impl Iterator<Item = &Arc<M>> {
        [&self.champion, &self.previous, &self.first].into_iter().flatten()
    }
}

fn names(version: &str, digest: &Digest) -> bool {
    version.len() >= SHORTEST_VERSION && digest.as_str().starts_with(version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[derive(Debug)]
    struct Model(Digest);

    impl Versioned for Model {
        fn digest(&self) -> &Digest {
            &self.0
        }
    }

    fn model(name: &str) -> Arc<Model> {
        Arc::new(Model(Digest::of(name.as_bytes())))
    }

    #[test]
    fn without_a_champion_nothing_answers() {
        let routes = Routes::<Model>::default();
        assert!(matches!(routes.route("d", ""), Err(Error::NoChampion(_))));
    }

    #[test]
    fn a_swap_keeps_the_version_before_it_warm() {
        let routes = Routes::default().with_champion(model("a")).with_champion(model("b"));
        assert_eq!(routes.route("d", "").unwrap().answers.digest(), model("b").digest());
        let rolled_back = routes.route("d", model("a").digest().short()).unwrap();
        assert_eq!((rolled_back.answers.digest(), rolled_back.variant), (model("a").digest(), "previous"));
        let again = routes.with_champion(model("b"));
        assert!(again.loaded(model("a").digest()).is_some(), "the same pointer again drops nothing");
    }

    #[test]
    fn the_shadow_never_answers_unasked() {
        let routes = Routes::default().with_champion(model("b")).with_first(model("a"));
        let route = routes.route("d", "").unwrap();
        assert_eq!(route.answers.digest(), model("b").digest());
        assert_eq!(route.shadow.unwrap().digest(), model("a").digest());
    }

    #[test]
    fn an_unknown_version_is_answered_with_the_known_ones() {
        let routes = Routes::default().with_champion(model("b")).with_first(model("b"));
        let error = routes.route("d", "cafecafe").unwrap_err().to_string();
        assert!(error.contains(model("b").digest().short()), "{error}");
        assert_eq!(routes.versions().len(), 1);
        let b = model("b");
        assert!(routes.route("d", &b.digest().as_str()[..7]).is_err(), "seven characters are too few");
    }
}
