//! Gates on confidence bounds, never on points.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_metrics::{BinaryReport, Difference, Estimate, PairedReport};
use tidemill_registry::DataQuality;
use tidemill_spec::{BeatGate, BoundGate, GateMetric, Gates, QualityGate};

/// The verdict of one gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateVerdict {
    /// Name of the gate, with what it compares: `beats_baselines:rule`.
    pub gate: String,
    /// The metric.
    pub metric: String,
    /// What was measured, with its interval; `None` when there was nothing to measure.
    pub measured: Option<Estimate>,
    /// What the bound was held against.
    pub limit: f64,
    /// Whether the gate says yes.
    pub passed: bool,
    /// The verdict in one sentence.
    pub sentence: String,
}

/// The model in service, as far as gates care.
#[derive(Clone, Debug)]
pub(crate) enum Champion<'a> {
    /// There is none yet.
    Absent,
    /// It was compared on the same rows.
    Compared(&'a PairedReport),
    /// It could not be compared, for this reason.
    Incomparable(&'a str),
}

/// All gates of the spec, in its order.
#[must_use]
pub(crate) fn judge(
    gates: &Gates,
    report: &BinaryReport,
    baselines: &[(String, PairedReport)],
    champion: &Champion<'_>,
    quality: &BTreeMap<String, DataQuality>,
) -> Vec<GateVerdict> {
    let against = |(name, paired): &(String, PairedReport)| {
        let opponent = format!("the baseline \"{name}\"");
        if name == "logistic" {
            return beats("keeps_up_with_logistic", &gates.keeps_up_with_logistic, paired, &opponent);
        }
        beats(&format!("beats_baselines:{name}"), &gates.beats_baselines, paired, &opponent)
    };
    let mut verdicts: Vec<GateVerdict> = baselines.iter().map(against).collect();
    verdicts.push(match champion {
        Champion::Compared(paired) => beats("beats_champion", &gates.beats_champion, paired, "the champion"),
        Champion::Absent => unmeasured(&gates.beats_champion, true, "there is no champion yet"),
        Champion::Incomparable(reason) => {
            unmeasured(&gates.beats_champion, false, &format!("{reason}; a person may promote it with a reason"))
        }
    });
    verdicts.extend(gates.calibration.as_ref().map(|gate| bounded(gate, report)));
    verdicts.extend(gates.quality.map(|gate| well_kept(gate, quality)));
    verdicts
}

/// Improvement over a model: positive is better, whichever way the metric runs.
#[must_use]
pub(crate) fn improvement(metric: GateMetric, paired: &PairedReport) -> Estimate {
    let of = |difference: &Difference| difference.difference.clone();
    let turned = |difference: &Difference| {
        let d = of(difference);
        Estimate { value: -d.value, low: -d.high, high: -d.low, ..d }
    };
    match metric {
        GateMetric::RocAuc => of(&paired.roc_auc),
        GateMetric::Ece => turned(&paired.ece),
        GateMetric::Brier => turned(&paired.brier),
        GateMetric::LogLoss => turned(&paired.log_loss),
    }
}

fn beats(name: &str, gate: &BeatGate, paired: &PairedReport, opponent: &str) -> GateVerdict {
    let measured = improvement(gate.metric, paired);
    let passed = measured.low > gate.by;
    let metric = metric_name(gate.metric);
    // A negative margin asks only that the candidate is not surely worse.
    let words = match (gate.by < 0.0, passed) {
        (false, true) => "beats",
        (false, false) => "does not surely beat",
        (true, true) => "keeps up with",
        (true, false) => "may fall behind",
    };
    let sentence = format!(
        "{} {opponent} in {metric} by {:+.4} ({:+.4} to {:+.4}); the lower bound must exceed {:.4}",
        words, measured.value, measured.low, measured.high, gate.by
    );
    GateVerdict {
        gate: name.to_owned(),
        metric: metric.to_owned(),
        measured: Some(measured),
        limit: gate.by,
        passed,
        sentence,
    }
}

fn unmeasured(gate: &BeatGate, passed: bool, reason: &str) -> GateVerdict {
    GateVerdict {
        gate: "beats_champion".to_owned(),
        metric: metric_name(gate.metric).to_owned(),
        measured: None,
        limit: gate.by,
        passed,
        sentence: reason.to_owned(),
    }
}

fn bounded(gate: &BoundGate, report: &BinaryReport) -> GateVerdict {
    let measured = match gate.metric {
        GateMetric::RocAuc => &report.roc_auc,
        GateMetric::Ece => &report.ece,
        GateMetric::Brier => &report.brier,
        GateMetric::LogLoss => &report.log_loss,
    };
    let passed = measured.high <= gate.at_most;
    let metric = metric_name(gate.metric);
    let sentence = format!(
        "{metric} is {:.4} ({:.4} to {:.4}); the upper bound {} {:.4}",
        measured.value,
        measured.low,
        measured.high,
        if passed { "keeps to the limit" } else { "exceeds the limit" },
        gate.at_most
    );
    GateVerdict {
        gate: "calibration".to_owned(),
        metric: metric.to_owned(),
        measured: Some(measured.clone()),
        limit: gate.at_most,
        passed,
        sentence,
    }
}

/// The worst source decides: a model is as good as the data that it knows least well.
fn well_kept(gate: QualityGate, quality: &BTreeMap<String, DataQuality>) -> GateVerdict {
    // What is not known counts as the lowest.
    let total = |quality: &DataQuality| quality.total.unwrap_or(f64::NEG_INFINITY);
    let worst = quality.iter().min_by(|a, b| total(a.1).total_cmp(&total(b.1)));
    let passed = worst.is_some_and(|(_, worst)| worst.total.is_some_and(|total| total >= gate.at_least));
    let shown = |value: Option<f64>| value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.1}"));
    let sentence = match worst {
        Some((source, worst)) => format!(
            "the data of {source} behind the training set score {} of 100 (accuracy {}, completeness {}, consistency \
             {}, timeliness {}), the lowest of {} sources; {:.1} are asked",
            shown(worst.total),
            shown(worst.accuracy),
            shown(worst.completeness),
            shown(worst.consistency),
            shown(worst.timeliness),
            quality.len(),
            gate.at_least
        ),
        None => format!("the quality of the data was not measured; {:.1} are asked", gate.at_least),
    };
    GateVerdict {
        gate: "data_quality".to_owned(),
        metric: "quality_score".to_owned(),
        measured: None,
        limit: gate.at_least,
        passed,
        sentence,
    }
}

fn metric_name(metric: GateMetric) -> &'static str {
    match metric {
        GateMetric::RocAuc => "roc_auc",
        GateMetric::Ece => "ece",
        GateMetric::Brier => "brier",
        GateMetric::LogLoss => "log_loss",
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_metrics::{binary_report, paired_report};

    /// A weak and a good model on the same 400 rows.
    fn models() -> (Vec<f64>, Vec<f64>, Vec<bool>) {
        let noise = |i: u64| ((i * 2_654_435_761) % 1_000) as f64 / 1_000.0;
        let labels: Vec<bool> = (0..400).map(|i| noise(i) < 0.3).collect();
        let good = (0..400).map(|i| if noise(i) < 0.3 { 0.5 } else { 0.2 } + 0.2 * noise(i * 7 + 1)).collect();
        let weak = (0..400).map(|i| 0.2 + 0.2 * noise(i * 13 + 5)).collect();
        (weak, good, labels)
    }

    fn gates(at_most: f64) -> Gates {
        let beat = BeatGate { metric: GateMetric::RocAuc, by: 0.0 };
        let calibration = Some(BoundGate { metric: GateMetric::Ece, at_most });
        Gates {
            beats_baselines: beat.clone(),
            keeps_up_with_logistic: beat.clone(),
            beats_champion: beat,
            calibration,
            quality: None,
        }
    }

    #[test]
    fn a_better_model_passes_and_a_worse_one_is_told_by_how_much() {
        let (weak, good, labels) = models();
        let report = binary_report(&good, &labels, 0.1, 1).unwrap();
        let better = paired_report(&weak, &good, &labels, 0.1, 1).unwrap();
        let worse = paired_report(&good, &weak, &labels, 0.1, 1).unwrap();
        let baselines = [("rule".to_owned(), better.clone())];
        let verdicts = judge(&gates(0.9), &report, &baselines, &Champion::Absent, &BTreeMap::new());
        assert!(verdicts.iter().all(|v| v.passed), "{verdicts:?}");
        assert_eq!(verdicts[0].gate, "beats_baselines:rule");
        let verdicts = judge(&gates(0.0), &report, &baselines, &Champion::Compared(&worse), &BTreeMap::new());
        let failed: Vec<_> = verdicts.iter().filter(|v| !v.passed).map(|v| v.gate.as_str()).collect();
        assert_eq!(failed, ["beats_champion", "calibration"]);
        assert!(verdicts[1].sentence.starts_with("does not surely beat"));
    }

    fn scored(total: f64) -> DataQuality {
        DataQuality {
            accuracy: Some(100.0),
            completeness: Some(100.0),
            consistency: Some(100.0),
            timeliness: Some(4.0 * total - 300.0),
            total: Some(total),
            formula: String::new(),
            rows: 10,
            commits: 1,
        }
    }

    #[test]
    fn the_worst_source_decides_whether_the_data_were_good_enough() {
        let two = |orders, couriers| {
            BTreeMap::from([("orders".to_owned(), scored(orders)), ("couriers".to_owned(), scored(couriers))])
        };
        let gate = QualityGate { at_least: 92.0 };
        assert!(well_kept(gate, &two(92.0, 99.0)).passed, "the limit itself passes");
        let refused = well_kept(gate, &two(99.0, 91.9));
        assert_eq!((refused.gate.as_str(), refused.passed), ("data_quality", false));
        assert!(
            refused.sentence.contains("data of couriers") && refused.sentence.contains("91.9 of 100"),
            "{refused:?}"
        );
        assert!(!well_kept(gate, &BTreeMap::new()).passed, "what nobody measured is not good enough");
        let mut one_unknown = two(99.0, 99.0);
        one_unknown.insert("places".to_owned(), DataQuality { total: None, ..scored(99.0) });
        let refused = well_kept(gate, &one_unknown);
        assert!(!refused.passed && refused.sentence.contains("data of places behind the training set score unknown"));
    }

    #[test]
    fn a_lead_within_its_interval_is_no_lead() {
        let (_, good, labels) = models();
        let mut almost = good.clone();
        almost[3] += 0.001;
        let paired = paired_report(&good, &almost, &labels, 0.1, 1).unwrap();
        let report = binary_report(&almost, &labels, 0.1, 1).unwrap();
        let verdicts = judge(&gates(0.9), &report, &[], &Champion::Compared(&paired), &BTreeMap::new());
        assert!(!verdicts[0].passed);
        let verdicts =
            judge(&gates(0.9), &report, &[], &Champion::Incomparable("it has another feature plan"), &BTreeMap::new());
        assert!(!verdicts[0].passed && verdicts[0].sentence.contains("another feature plan"));
    }

    #[test]
    fn smaller_is_better_for_losses() {
        let (weak, good, labels) = models();
        let paired = paired_report(&weak, &good, &labels, 0.1, 1).unwrap();
        assert!(improvement(GateMetric::Brier, &paired).value > 0.0);
        assert!(improvement(GateMetric::LogLoss, &paired).low > 0.0);
    }
}
