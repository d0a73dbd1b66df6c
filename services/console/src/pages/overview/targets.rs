//! The numbers that matter, each with what it is held against.

use crate::answers::{Counts, Window};
use crate::format;
use crate::layout::{State, Tile};
use tidemill_spec::Spec;

/// Share of predictions that should have an outcome once a window is closed.
const WANTED_COVERAGE: f64 = 0.9;

/// Tiles about the newest window whose outcomes are in.
pub(super) fn tiles(
    spec: &Spec,
    window: Option<&Window>,
    before: Option<&Window>,
    counts: Option<&Counts>,
) -> Vec<Tile> {
    let Some(window) = window else { return Vec::new() };
    let mut tiles = vec![value(spec, window, before), auc(window)];
    tiles.extend(precision(spec, window));
    tiles.push(alerted(spec, window));
    tiles.extend(calibration(spec, window));
    tiles.push(coverage(window, counts));
    tiles
}

fn judged(good: bool) -> Option<State> {
    Some(if good { State::Good } else { State::Warn })
}

fn value(spec: &Spec, window: &Window, before: Option<&Window>) -> Tile {
    let point = |window: &Window| window.kpi.and_then(|kpi| kpi.value);
    let (now, then) = (point(window), before.and_then(point));
    let low = window.kpi.and_then(|kpi| kpi.low);
    let note = match (now, then) {
        (Some(now), Some(then)) => {
            let change = now - then;
            let sign = if change >= 0.0 { "+" } else { "" };
            format!("target above 0, {sign}{} to before", format::fixed(change, 0))
        }
        _ => "target above 0".to_owned(),
    };
    Tile {
        label: title(&spec.kpi.name),
        value: format::or_dash(now, |now| format::fixed(now, 0)),
        unit: spec.kpi.unit.clone(),
        note,
        state: low.or(now).and_then(|low| judged(low > 0.0)),
        href: None,
    }
}

fn auc(window: &Window) -> Tile {
    let auc = window.performance.champion.as_ref().map(|quality| quality.roc_auc);
    let point = auc.and_then(|auc| auc.value);
    let high = auc.and_then(|auc| auc.high).or(point);
    let (note, state) = match (window.auc_reference, high) {
        (Some(reference), Some(high)) => {
            (format!("before promotion {}", format::fixed(reference.value, 3)), judged(high >= reference.low))
        }
        _ => (window.performance.why_absent.clone().unwrap_or_else(|| "no reference".to_owned()), None),
    };
    Tile {
        label: "AUC".to_owned(),
        value: format::or_dash(point, |value| format::fixed(value, 3)),
        note,
        state,
        href: Some("/drift".to_owned()),
        ..Tile::default()
    }
}

fn precision(spec: &Spec, window: &Window) -> Option<Tile> {
    let precision = window.performance.champion.as_ref()?.precision_at_budget.value?;
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    let base = window.positives as f64 / window.outcomes.max(1) as f64;
    Some(Tile {
        label: format!("Precision at {}", format::percent(spec.kpi.budget, 0)),
        value: format::percent(precision, 1),
        note: format!("without a model {}", format::percent(base, 1)),
        state: judged(precision > base),
        ..Tile::default()
    })
}

#[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
fn alerted(spec: &Spec, window: &Window) -> Tile {
    let share = window.performance.decisions.as_ref().filter(|_| window.outcomes > 0);
    let share = share.map(|decisions| decisions.as_served.alerts as f64 / window.outcomes as f64);
    Tile {
        label: "Acted on".to_owned(),
        value: format::or_dash(share, |share| format::percent(share, 1)),
        note: format!("budget {}", format::percent(spec.kpi.budget, 0)),
        state: share.and_then(|share| judged(share <= spec.kpi.budget)),
        ..Tile::default()
    }
}

fn calibration(spec: &Spec, window: &Window) -> Option<Tile> {
    let ece = window.performance.champion.as_ref()?.ece;
    let limit = spec.evaluate.gates.calibration.as_ref().map(|gate| gate.at_most)?;
    Some(Tile {
        label: "Calibration error".to_owned(),
        value: format::or_dash(ece.value, |value| format::fixed(value, 3)),
        note: format!("at most {}", format::number(limit)),
        state: ece.low.or(ece.value).and_then(|low| judged(low <= limit)),
        ..Tile::default()
    })
}

fn coverage(window: &Window, counts: Option<&Counts>) -> Tile {
    let joined = counts.map(|counts| format!(", {} in all", format::count(counts.joined))).unwrap_or_default();
    Tile {
        label: "Outcomes known".to_owned(),
        value: format::percent(window.coverage, 1),
        note: format!("at least {}{joined}", format::percent(WANTED_COVERAGE, 0)),
        state: judged(window.coverage >= WANTED_COVERAGE),
        ..Tile::default()
    }
}

/// `net_value` as a heading.
pub(super) fn title(name: &str) -> String {
    let text = name.replace(['_', '-'], " ");
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn window(auc: f64, alerts: u64) -> Window {
        let estimate = |value: f64| json!({"value": value, "low": value - 0.01, "high": value + 0.01});
        let quality = json!({"roc_auc": estimate(auc), "brier": estimate(0.15), "ece": estimate(0.03),
            "precision_at_budget": estimate(0.7)});
        serde_json::from_value(json!({
            "start": 0, "end": 1, "start_date": "1970-01-01", "closed": true, "predictions": 100, "unscored": 0,
            "outcomes": 100, "coverage": 1.0, "positives": 25, "main_model": null, "kpi_unit": "points",
            "auc_reference": {"value": 0.72, "low": 0.70}, "kpi": estimate(120.0), "drift": null,
            "performance": {"champion": quality, "why_absent": null, "shadow": null,
                "decisions": {"as_served": {"alerts": alerts, "caught": 5, "precision": null, "recall": null}}}
        }))
        .unwrap()
    }

    #[test]
    fn every_tile_is_held_against_its_target() {
        let spec = Spec::parse(include_str!("../../../../../infra/examples/flights/project.yaml")).unwrap();
        let good = tiles(&spec, Some(&window(0.71, 10)), None, None);
        assert!(good.iter().all(|tile| tile.state == Some(State::Good)), "{good:?}");
        let bad = tiles(&spec, Some(&window(0.60, 30)), Some(&window(0.7, 10)), None);
        let state = |label: &str| bad.iter().find(|tile| tile.label == label).unwrap().state;
        assert_eq!((state("AUC"), state("Acted on")), (Some(State::Warn), Some(State::Warn)));
        assert!(tiles(&spec, None, None, None).is_empty());
        assert_eq!(title("net_value"), "Net value");
    }
}
