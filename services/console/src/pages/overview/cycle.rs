//! The life cycle as eight boxes: how each fares is decided here, from facts alone.

use crate::format;
use crate::layout::State;
use serde::Serialize;
use tidemill_types::Millis;

/// Total quality score below which the data need a look, and below which they are not to be trusted.
const SCORES: (f64, f64) = (80.0, 95.0);

/// One box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) href: &'static str,
    pub(crate) state: State,
    /// What the state means.
    pub(crate) word: String,
    /// The one number.
    pub(crate) number: String,
    pub(crate) unit: String,
}

/// What the boxes are decided from; `None` where a service does not answer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    pub(crate) sources: usize,
    pub(crate) dead_letters: Option<u64>,
    pub(crate) rows: Option<u64>,
    pub(crate) quality: Option<QualityFacts>,
    pub(crate) features: Option<FeatureFacts>,
    pub(crate) runs: Option<RunFacts>,
    pub(crate) verdict: Option<VerdictFacts>,
    pub(crate) serving: Option<ServingFacts>,
    pub(crate) watching: Option<WatchFacts>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct QualityFacts {
    /// The lowest score of a source.
    pub(crate) score: Option<f64>,
    pub(crate) quarantined: u64,
    pub(crate) blocked: Option<String>,
    pub(crate) stale: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct FeatureFacts {
    pub(crate) count: usize,
    pub(crate) watermark: Millis,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RunFacts {
    pub(crate) count: usize,
    pub(crate) newest: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct VerdictFacts {
    pub(crate) passed: bool,
    pub(crate) auc: Option<f64>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ServingFacts {
    pub(crate) champion: Option<u64>,
    pub(crate) predictions: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct WatchFacts {
    pub(crate) joined: u64,
    /// Alerts of the newest window, and whether one of them is a page.
    pub(crate) alerts: usize,
    pub(crate) paged: bool,
}

/// The eight boxes in the order of the cycle.
pub(crate) fn steps(horizon: &str, facts: &Facts) -> [Step; 8] {
    [
        step("Problem", "/features", (State::Good, "applied".to_owned()), horizon.to_owned(), "ahead"),
        events(facts),
        quality(facts.quality.as_ref()),
        features(facts.features.as_ref()),
        training(facts.runs.as_ref()),
        evaluation(facts),
        serving(facts.serving.as_ref()),
        watching(facts.watching.as_ref()),
    ]
}

fn step(name: &'static str, href: &'static str, state: (State, String), number: String, unit: &str) -> Step {
    Step { name, href, state: state.0, word: state.1, number, unit: unit.to_owned() }
}

fn away() -> (State, String) {
    (State::Warn, "not reachable".to_owned())
}

fn events(facts: &Facts) -> Step {
    let state = match (facts.rows, facts.dead_letters) {
        (None, _) => away(),
        (Some(0), _) => (State::Idle, "no events yet".to_owned()),
        (Some(_), Some(dead)) if dead > 0 => (State::Warn, format!("{} dead letters", format::count(dead))),
        (Some(_), _) => (State::Good, format!("{} sources", facts.sources)),
    };
    step("Events", "/data", state, format::or_dash(facts.rows, format::compact), "rows")
}

fn quality(facts: Option<&QualityFacts>) -> Step {
    let score = facts.and_then(|facts| facts.score);
    let state = match facts {
        None => away(),
        Some(QualityFacts { blocked: Some(rule), .. }) => (State::Bad, format!("blocked by {rule}")),
        Some(QualityFacts { score: None, .. }) => (State::Idle, "nothing checked".to_owned()),
        Some(_) if score.is_some_and(|score| score < SCORES.0) => (State::Bad, "low score".to_owned()),
        Some(facts) if !facts.stale.is_empty() => (State::Warn, silent(&facts.stale)),
        Some(_) if score.is_some_and(|score| score < SCORES.1) => (State::Warn, "below 95".to_owned()),
        Some(facts) if facts.quarantined > 0 => {
            (State::Warn, format!("{} in quarantine", format::count(facts.quarantined)))
        }
        Some(_) => (State::Good, "all rows passed".to_owned()),
    };
    step("Quality", "/data", state, format::or_dash(score, |score| format::fixed(score, 1)), "of 100")
}

fn silent(sources: &[String]) -> String {
    match sources {
        [one] => format!("{one} is silent"),
        many => format!("{} sources silent", many.len()),
    }
}

fn features(facts: Option<&FeatureFacts>) -> Step {
    let state = match facts {
        None => away(),
        Some(facts) if facts.watermark.0 <= 0 => (State::Idle, "nothing read yet".to_owned()),
        Some(facts) => (State::Good, format!("up to {}", format::day(facts.watermark))),
    };
    let number = format::or_dash(facts.map(|facts| facts.count as u64), format::count);
    step("Features", "/features", state, number, "features")
}

fn training(facts: Option<&RunFacts>) -> Step {
    let state = match facts.map(|facts| facts.newest.as_deref()) {
        None => away(),
        Some(None) => (State::Idle, "no run yet".to_owned()),
        Some(Some("failed")) => (State::Bad, "the newest failed".to_owned()),
        Some(Some("running")) => (State::Good, "training now".to_owned()),
        Some(Some(_)) => (State::Good, "the newest is done".to_owned()),
    };
    step("Training", "/runs", state, format::or_dash(facts.map(|facts| facts.count as u64), format::count), "runs")
}

fn evaluation(facts: &Facts) -> Step {
    let nothing_to_judge = facts.runs.as_ref().is_some_and(|runs| runs.count == 0);
    let state = match &facts.verdict {
        None if nothing_to_judge || facts.runs.is_some() => (State::Idle, "no verdict yet".to_owned()),
        None => away(),
        Some(verdict) if verdict.passed => (State::Good, "gates passed".to_owned()),
        Some(_) => (State::Warn, "a gate said no".to_owned()),
    };
    let auc = facts.verdict.as_ref().and_then(|verdict| verdict.auc);
    step("Evaluation", "/models", state, format::or_dash(auc, |auc| format::fixed(auc, 3)), "test AUC")
}

fn serving(facts: Option<&ServingFacts>) -> Step {
    let state = match facts {
        None => away(),
        Some(ServingFacts { champion: None, .. }) => (State::Idle, "no champion".to_owned()),
        Some(ServingFacts { champion: Some(version), .. }) => (State::Good, format!("version {version} answers")),
    };
    let number = format::or_dash(facts.map(|facts| facts.predictions), format::compact);
    step("Serving", "/deployments", state, number, "predictions")
}

fn watching(facts: Option<&WatchFacts>) -> Step {
    let state = match facts {
        None => away(),
        Some(WatchFacts { joined: 0, alerts: 0, .. }) => (State::Idle, "no outcomes yet".to_owned()),
        Some(WatchFacts { paged: true, .. }) => (State::Bad, "look now".to_owned()),
        Some(WatchFacts { alerts: 0, .. }) => (State::Good, "no alerts".to_owned()),
        Some(WatchFacts { alerts: 1, .. }) => (State::Warn, "1 alert".to_owned()),
        Some(WatchFacts { alerts, .. }) => (State::Warn, format!("{alerts} alerts")),
    };
    step("Monitoring", "/drift", state, format::or_dash(facts.map(|facts| facts.joined), format::compact), "outcomes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn states(facts: &Facts) -> [State; 8] {
        steps("2 h", facts).map(|step| step.state)
    }

    #[test]
    fn an_empty_instance_is_idle_not_broken() {
        let facts = Facts {
            sources: 4,
            dead_letters: Some(0),
            rows: Some(0),
            quality: Some(QualityFacts::default()),
            features: Some(FeatureFacts { count: 50, watermark: Millis(0) }),
            runs: Some(RunFacts::default()),
            verdict: None,
            serving: Some(ServingFacts::default()),
            watching: Some(WatchFacts::default()),
        };
        assert_eq!(states(&facts)[1..], [State::Idle; 7]);
        assert_eq!(states(&Facts::default())[1..], [State::Warn; 7], "who does not answer needs a look");
    }

    #[test]
    fn the_worst_fact_of_a_box_decides() {
        let quality = |score, stale: &[&str], quarantined, blocked: Option<&str>| {
            let stale = stale.iter().map(|s| (*s).to_owned()).collect();
            let facts = QualityFacts { score, stale, quarantined, blocked: blocked.map(str::to_owned) };
            super::quality(Some(&facts)).state
        };
        assert_eq!(quality(Some(99.0), &[], 0, None), State::Good);
        assert_eq!(quality(Some(99.0), &[], 1, None), State::Warn);
        assert_eq!(quality(Some(99.0), &["weather"], 0, None), State::Warn);
        assert_eq!(quality(Some(90.0), &[], 0, None), State::Warn);
        assert_eq!(quality(Some(70.0), &[], 0, None), State::Bad);
        assert_eq!(quality(Some(99.0), &[], 0, Some("unique")), State::Bad);

        let watch = |alerts, paged| watching(Some(&WatchFacts { joined: 9, alerts, paged })).state;
        assert_eq!([watch(0, false), watch(1, false), watch(2, true)], [State::Good, State::Warn, State::Bad]);
        let run = |state: &str| training(Some(&RunFacts { count: 1, newest: Some(state.to_owned()) })).state;
        assert_eq!([run("done"), run("running"), run("failed")], [State::Good, State::Good, State::Bad]);
    }

    #[test]
    fn a_candidate_that_was_refused_is_seen() {
        let facts = |passed| Facts { verdict: Some(VerdictFacts { passed, auc: Some(0.7039) }), ..Facts::default() };
        assert_eq!(evaluation(&facts(true)).state, State::Good);
        let refused = evaluation(&facts(false));
        assert_eq!((refused.state, refused.number.as_str()), (State::Warn, "0.704"));
    }
}
