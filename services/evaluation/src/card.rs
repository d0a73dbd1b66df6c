//! The model card: one self-contained HTML page for people.

use crate::domain::scorecard::{CHAMPION, Comparison, Scorecard};
use crate::domain::slices::Slice;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use tidemill_metrics::Estimate;
use tidemill_plot::{Bar, Labels, bar_chart, reliability};
use tidemill_spec::Spec;

/// Slices drawn as bars, and rows of long tables.
const SHOWN: usize = 40;
/// Features named by importance.
const IMPORTANT: usize = 15;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1c2330;--dim:#5b6472;--paper:#fff;--line:#dfe3e9;--yes:#137a4b;--no:#b42318;
--tm-series-0:#2563eb}
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--dim:#9aa4b2;--paper:#12161d;--line:#2b323d;--yes:#4ade80;
--no:#f87171;--tm-series-0:#7aa2ff}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);max-width:56rem;margin:2rem auto;
padding:0 1rem}
h1{font-size:1.5rem;margin-bottom:.2rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid var(--line)}
table{border-collapse:collapse;width:100%;margin:.6rem 0}th,td{text-align:left;padding:.25rem .5rem;
border-bottom:1px solid var(--line);vertical-align:top}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
.dim{color:var(--dim)}.yes{color:var(--yes);font-weight:600}.no{color:var(--no);font-weight:600}
code{font-size:.85em;word-break:break-all}svg{max-width:100%;height:auto}
";

/// The card of a judged model.
#[must_use]
pub fn render(spec: &Spec, card: &Scorecard) -> Markup {
    let subject = &card.subject;
    let title = format!("Model card: {} {}", subject.project, short(&subject.model_digest));
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width,initial-scale=1";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { (title) }
                p.dim { "cycle " (subject.cycle) ", knowledge of " (subject.as_of) ", learner " (subject.learner) }
                p { (mark(card.passed)) " " (card.verdict) }
                (purpose(spec))
                (gates(card))
                (quality(card))
                (data(card))
                (comparisons(card))
                (calibration(card))
                (slices(spec, &card.slices))
                (leaks(spec, card))
                (twins(card))
                (insides(card))
                (origin(card))
            }
        }
    }
}

fn purpose(spec: &Spec) -> Markup {
    let problem = &spec.problem;
    html! {
        h2 { "What it is for" }
        table {
            tr { th { "Decision" } td { (problem.decision) } }
            tr { th { "One prediction" } td { (problem.unit) ", " (problem.horizon) " ahead" } }
            tr { th { "Action" } td { (problem.action) ", on at most " (percent(spec.kpi.budget)) " of them" } }
            tr { th { "Target" } td { (spec.features.label.name) ": " code { (spec.features.label.value) } } }
            tr { th { "Owners" } td { @for (role, who) in &problem.owners { (role) ": " (who) "; " } } }
            @if let Some(exclude) = &spec.train.exclude {
                tr { th { "Not trained on" } td { code { (exclude.filter) } ": " (exclude.reason) } }
            }
        }
    }
}

fn gates(card: &Scorecard) -> Markup {
    html! {
        h2 { "Gates" }
        p.dim { "Every gate is on a 95 % bound, not on the point." }
        table {
            tr { th { "Gate" } th { "Verdict" } th { "Why" } }
            @for gate in &card.gates {
                tr { td { (gate.gate) } td { (mark(gate.passed)) } td { (gate.sentence) } }
            }
        }
    }
}

fn quality(card: &Scorecard) -> Markup {
    let report = &card.report;
    let at = &card.at_threshold;
    let rows: [(&str, &Estimate); 9] = [
        ("ROC AUC", &report.roc_auc),
        ("Average precision", &report.pr_auc),
        ("Log loss", &report.log_loss),
        ("Brier score", &report.brier),
        ("Calibration error", &report.ece),
        ("Precision at the budget", &report.precision_at_budget),
        ("Recall at the budget", &report.recall_at_budget),
        ("Lift at the budget", &report.lift_at_budget),
        ("Share of positives", &report.prevalence),
    ];
    html! {
        h2 { "Quality on the sealed test" }
        p.dim {
            (report.n) " rows from " (card.subject.test_from) " to " (card.subject.test_until) ", "
            (report.positives) " of them positive; opened once for this card, as noted in "
            code { (card.subject.opening) } "."
        }
        table {
            tr { th { "Metric" } th.n { "Value" } th.n { "95 % interval" } th { "Method" } }
            @for (name, value) in rows {
                tr { td { (name) } td.n { (number(value.value)) } td.n { (interval(value)) } td.dim { (value.method) } }
            }
            @for (name, value) in [("at the budget", &card.kpi.at_budget), ("at the threshold", &card.kpi.at_threshold)] {
                tr {
                    td { (card.kpi.name) " " (name) ", " (card.kpi.unit) }
                    td.n { (format!("{:.0}", value.value)) }
                    td.n { (format!("{:.0} to {:.0}", value.low, value.high)) }
                    td.dim { (value.method) }
                }
            }
        }
        table {
            tr { th { "At threshold " (number(at.threshold)) } th.n { "positive" } th.n { "negative" } }
            tr { td { "alerted (" (percent(card.kpi.alerted_share)) ")" } td.n { (at.true_positives) } td.n { (at.false_positives) } }
            tr { td { "not alerted" } td.n { (at.false_negatives) } td.n { (at.true_negatives) } }
        }
        p.dim { "Precision " (number(at.precision)) ", recall " (number(at.recall)) "." }
    }
}

fn data(card: &Scorecard) -> Markup {
    html! {
        h2 { "Quality of the data behind it" }
        @if card.subject.quality.is_empty() {
            p.dim { "It was not measured." }
        } @else {
            p.dim { "From 0 to 100, as validation checked the rows that were known by " (card.subject.as_of) "." }
            table {
                tr { th { "Source" } th.n { "Accuracy" } th.n { "Completeness" } th.n { "Consistency" } th.n { "Timeliness" } th.n { "Score" } th.n { "Rows" } }
                @for (source, found) in &card.subject.quality {
                    tr title=(found.formula) {
                        td { (source) }
                        @for value in [found.accuracy, found.completeness, found.consistency, found.timeliness, found.total] {
                            td.n { (value.map_or_else(|| "unknown".to_owned(), |value| format!("{value:.1}"))) }
                        }
                        td.n { (found.rows) }
                    }
                }
            }
        }
    }
}

fn comparisons(card: &Scorecard) -> Markup {
    let bar = |c: &Comparison| {
        let d = &c.metrics.roc_auc.difference;
        (c.against.clone(), d.value, (d.low, d.high))
    };
    let bars: Vec<_> = card.comparisons.iter().map(bar).collect();
    let bars: Vec<Bar<'_>> =
        bars.iter().map(|(name, value, ends)| Bar { name, value: *value, interval: Some(*ends) }).collect();
    let labels = Labels { title: "Lead in AUC on the same rows", x: "compared with", y: "difference of AUC" };
    html! {
        h2 { "Against baselines and champion" }
        table {
            tr { th { "Against" } th.n { "its AUC" } th.n { "lead in AUC" } th.n { "lead in Brier" } th.n { "lead in " (card.kpi.name) } }
            @for c in &card.comparisons {
                tr {
                    td { (c.against) @if let Some(digest) = &c.digest { " " code { (short(digest)) } } }
                    td.n { (number(c.metrics.roc_auc.champion)) }
                    td.n { (signed(&c.metrics.roc_auc.difference, 1.0)) }
                    td.n { (signed(&c.metrics.brier.difference, -1.0)) }
                    td.n { (format!("{:+.0} ({:+.0} to {:+.0})", c.kpi.difference.value, c.kpi.difference.low, c.kpi.difference.high)) }
                }
            }
            @for c in &card.not_compared {
                tr { td { (c.against) } td colspan="4" { "not compared: " (c.reason) } }
            }
        }
        @if card.subject.champion.is_none() {
            p.dim { "There was no " (CHAMPION) " to compare with." }
        }
        (bar_chart(labels, &bars))
    }
}

fn calibration(card: &Scorecard) -> Markup {
    let bins = card.report.calibration.iter().filter(|bin| bin.count > 0);
    let points: Vec<_> = bins.map(|b| (b.mean_score, b.positive_share, b.share_low, b.share_high)).collect();
    let labels = Labels { title: "Calibration on the sealed test", x: "mean score", y: "share of positives" };
    html! {
        h2 { "Calibration" }
        (reliability(labels, &points))
    }
}

fn slices(spec: &Spec, all: &[Slice]) -> Markup {
    let masks = spec.slice_masks();
    let has_masked = all.iter().any(|slice| masks.covers(&slice.feature));
    html! {
        h2 { "By slices" }
        @if all.is_empty() {
            p.dim { "No slice has enough rows." }
        } @else {
            p.dim { "Bias is outcome minus score; flagged where it differs from the other rows (false-discovery rate held over all slices)." }
            table {
                tr { th { "Slice" } th.n { "Rows" } th.n { "Positive" } th.n { "AUC" } th.n { "Bias" } th { "" } }
                @for slice in all.iter().take(SHOWN) {
                    tr {
                        td { (slice.feature) " = " (slice.value) }
                        td.n { (slice.rows) }
                        td.n { (percent(slice.prevalence.value)) }
                        td.n { @if let Some(auc) = &slice.roc_auc { (number(auc.value)) " (" (interval(auc)) ")" } @else { "–" } }
                        td.n { (signed(&slice.bias, 1.0)) }
                        td { @if slice.flagged { span.no { "differs" } } }
                    }
                }
            }
            @if has_masked { p.dim { "Values of personal features are masked; those that look alike then are numbered." } }
            @if all.len() > SHOWN { p.dim { (all.len() - SHOWN) " more in the scorecard." } }
        }
    }
}

fn leaks(spec: &Spec, card: &Scorecard) -> Markup {
    let rules = &spec.train.leak_checks;
    html! {
        h2 { "Columns that give the outcome away" }
        p.dim {
            "Checked: AUC above " (number(rules.auc_above)) ", purity above " (percent(rules.purity_above)) ", "
            (rules.min_support) " rows at least. A finding on a feature would have stopped the run."
        }
        @if card.subject.leaks.is_empty() {
            p { "None was found." }
        } @else {
            table {
                tr { th { "Column" } th { "Finding" } }
                @for leak in card.subject.leaks.iter().take(SHOWN) {
                    tr { td { (leak.column) } td { (leak.verdict) } }
                }
            }
        }
    }
}

fn twins(card: &Scorecard) -> Markup {
    html! {
        @if let Some(twins) = &card.twins {
            h2 { "Rows that the fit has seen" }
            p { (twins.verdict) "." }
        }
    }
}

fn insides(card: &Scorecard) -> Markup {
    let bar = |(name, value): &(String, f64)| (name.clone(), *value);
    let top: Vec<_> = card.subject.importance.iter().take(IMPORTANT).map(bar).collect();
    let bars: Vec<Bar<'_>> = top.iter().map(|(name, value)| Bar { name, value: *value, interval: None }).collect();
    let labels = Labels { title: "What the model depends on", x: "feature", y: "importance" };
    html! {
        h2 { "Inside" }
        (bar_chart(labels, &bars))
        table {
            tr { th { "Feature" } th.n { "Importance" } }
            @for (name, value) in &top { tr { td { (name) } td.n { (number(*value)) } } }
        }
        p.dim { "Parameters: " code { (card.subject.params) } }
    }
}

fn origin(card: &Scorecard) -> Markup {
    let subject = &card.subject;
    html! {
        h2 { "Where it comes from" }
        table {
            tr { th { "Model" } td { code { (subject.model_digest) } } }
            tr { th { "Training set" } td { code { (subject.training_set.0) } br; code { (subject.training_set.1) } } }
            tr { th { "Spec" } td { code { (subject.spec_digest) } } }
            tr { th { "Champion then" } td { code { (subject.champion.as_deref().unwrap_or("none")) } } }
        }
        p.dim {
            "Limits: judged on one window of time; it says nothing about rows that the spec leaves out, nor about "
            "conditions that the test window did not see. Scores are probabilities of the target, not causes."
        }
    }
}

fn mark(yes: bool) -> Markup {
    html! { @if yes { span.yes { "passed" } } @else { span.no { "refused" } } }
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}

fn number(value: f64) -> String {
    format!("{value:.4}")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn interval(value: &Estimate) -> String {
    format!("{:.4} to {:.4}", value.low, value.high)
}

/// A difference with its interval, turned so that positive is better.
fn signed(value: &Estimate, sense: f64) -> String {
    let (a, b) = (sense * value.low, sense * value.high);
    format!("{:+.4} ({:+.4} to {:+.4})", sense * value.value, a.min(b), a.max(b))
}
