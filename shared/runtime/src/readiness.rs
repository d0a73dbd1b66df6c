//! Readiness as a set of named conditions. Ready means that every condition is met, and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::watch;

type Conditions = BTreeMap<String, Option<String>>;

/// The conditions of a process. Clones share them.
#[derive(Clone, Debug)]
pub struct Readiness {
    // Per condition the reason why it is not met, `None` when it is.
    conditions: Arc<watch::Sender<Conditions>>,
}

/// One condition; whoever holds it says whether it is met.
#[derive(Clone, Debug)]
pub struct Condition {
    name: String,
    readiness: Readiness,
}

impl Default for Readiness {
    fn default() -> Self {
        Self::new()
    }
}

impl Readiness {
    /// No condition yet, hence ready: declare all conditions before serving.
    #[must_use]
    pub fn new() -> Self {
        Self { conditions: Arc::new(watch::Sender::new(Conditions::new())) }
    }

    /// Declares a condition, not met until said so. An existing one of that name is shared, as it is.
    #[must_use]
    pub fn condition(&self, name: impl Into<String>) -> Condition {
        let name = name.into();
        self.conditions.send_if_modified(|all| {
            if all.contains_key(&name) {
                return false;
            }
            all.insert(name.clone(), Some("starting".to_owned()));
            true
        });
        Condition { name, readiness: self.clone() }
    }

    /// True when every condition is met.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.conditions.borrow().values().all(Option::is_none)
    }

    /// The conditions that are not met, with the reason of each.
    #[must_use]
    pub fn unmet(&self) -> Vec<(String, String)> {
        let all = self.conditions.borrow();
        all.iter().filter_map(|(name, reason)| reason.clone().map(|reason| (name.clone(), reason))).collect()
    }

    /// Waits until every condition is met.
    pub async fn ready(&self) {
        self.reach(true).await;
    }

    /// Waits until readiness is as wanted.
    pub(crate) async fn reach(&self, wanted: bool) {
        let mut changes = self.conditions.subscribe();
        // The sender lives as long as `self`, so that waiting cannot fail.
        let _ = changes.wait_for(|all| all.values().all(Option::is_none) == wanted).await;
    }

    fn set(&self, name: &str, reason: Option<String>) {
        self.conditions.send_if_modified(|all| {
            if all.get(name) == Some(&reason) {
                return false;
            }
            match &reason {
                None => tracing::info!(condition = name, "met"),
                Some(reason) => tracing::info!(condition = name, reason, "not met"),
            }
            all.insert(name.to_owned(), reason);
            true
        });
    }
}

impl Condition {
    /// The condition holds.
    pub fn met(&self) {
        self.readiness.set(&self.name, None);
    }

    /// The condition does not hold.
    pub fn unmet(&self, reason: impl Into<String>) {
        self.readiness.set(&self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn ready_means_every_condition_is_met() {
        let readiness = Readiness::new();
        let bus = readiness.condition("bus");
        let model = readiness.condition("model");
        bus.met();
        assert_eq!(readiness.unmet(), [("model".to_owned(), "starting".to_owned())]);
        let waiting = tokio::spawn({
            let readiness = readiness.clone();
            async move { readiness.ready().await }
        });
        model.met();
        waiting.await.unwrap();
        readiness.condition("bus").unmet("connection lost");
        assert!(!readiness.is_ready());
    }
}
