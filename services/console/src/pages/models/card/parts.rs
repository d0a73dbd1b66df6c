//! Parts of a model's card that follow from its scorecard alone.

use super::super::scorecard::{DataQuality, Scorecard};
use crate::format;
use crate::layout::{Align, State, Tile, badge, facts, table};
use maud::{Markup, html};
use tidemill_plot::{Bar, Labels, bar_chart, reliability};
use tidemill_spec::Spec;

/// Slices and leak findings shown.
const SHOWN: usize = 60;

pub(super) fn numbers(card: &Scorecard) -> Vec<Tile> {
    let report = &card.report;
    let tile = |label: &str, value: String, unit: &str, note: String| Tile {
        label: label.to_owned(),
        value,
        unit: unit.to_owned(),
        note,
        ..Tile::default()
    };
    let budget = &card.kpi.at_budget;
    vec![
        tile("ROC AUC", format::fixed(report.roc_auc.value, 3), "", report.roc_auc.interval(3)),
        tile(
            "Precision at the budget",
            format::fixed(report.precision_at_budget.value * 100.0, 1),
            "%",
            format!(
                "{} to {}",
                format::percent(report.precision_at_budget.low, 1),
                format::percent(report.precision_at_budget.high, 1)
            ),
        ),
        tile("Brier score", format::fixed(report.brier.value, 4), "", report.brier.interval(4)),
        tile(&card.kpi.name.replace('_', " "), format::fixed(budget.value, 0), &card.kpi.unit, budget.interval(0)),
    ]
}

pub(super) fn purpose(spec: &Spec) -> Markup {
    let problem = &spec.problem;
    let owners: Vec<String> = problem.owners.iter().map(|(role, who)| format!("{role}: {who}")).collect();
    let mut pairs = vec![
        ("Decision", html! { (problem.decision) }),
        ("One prediction", html! { (problem.unit) ", " (problem.horizon) " ahead" }),
        ("Action", html! { (problem.action) ", on at most " (format::percent(spec.kpi.budget, 0)) " of them" }),
        ("Target", html! { (spec.features.label.name) ": " code { (spec.features.label.value) } }),
        ("Owners", html! { (owners.join("; ")) }),
    ];
    if let Some(exclude) = &spec.train.exclude {
        pairs.push(("Not trained on", html! { code { (exclude.filter) } ": " (exclude.reason) }));
    }
    facts(&pairs)
}

pub(super) fn gates(card: &Scorecard) -> Markup {
    html! {
        ul.gates {
            @for gate in &card.gates {
                li {
                    @if gate.passed { (badge(State::Good, "yes")) } @else { (badge(State::Bad, "no")) }
                    " " (gate.sentence)
                }
            }
        }
    }
}

pub(super) fn test_note(card: &Scorecard) -> String {
    format!(
        "{} rows from {} to {}, {} of them positive; opened once for this card.",
        format::count(card.report.n),
        format::day(card.subject.test_from),
        format::day(card.subject.test_until),
        format::count(card.report.positives)
    )
}

pub(super) fn quality(card: &Scorecard) -> Markup {
    let heads =
        [("Metric", Align::Text), ("Value", Align::Number), ("95 % interval", Align::Number), ("Method", Align::Text)];
    let mut rows: Vec<Vec<Markup>> = Vec::new();
    for (name, estimate, better) in card.metrics() {
        rows.push(vec![
            html! { (name) span.muted { (better.arrow()) } },
            html! { (format::fixed(estimate.value, 4)) },
            html! { (estimate.interval(4)) },
            html! { span.muted { (estimate.method) } },
        ]);
    }
    for (place, estimate) in [("at the budget", &card.kpi.at_budget), ("at the threshold", &card.kpi.at_threshold)] {
        rows.push(vec![
            html! { (card.kpi.name.replace('_', " ")) " " (place) ", " (card.kpi.unit) span.muted { " ↑" } },
            html! { (format::fixed(estimate.value, 0)) },
            html! { (estimate.interval(0)) },
            html! { span.muted { (estimate.method) } },
        ]);
    }
    let at = &card.at_threshold;
    let counts = [
        vec![
            html! { "alerted" },
            html! { (format::count(at.true_positives)) },
            html! { (format::count(at.false_positives)) },
        ],
        vec![
            html! { "not alerted" },
            html! { (format::count(at.false_negatives)) },
            html! { (format::count(at.true_negatives)) },
        ],
    ];
    let heads_counts = [("At the threshold", Align::Text), ("Positive", Align::Number), ("Negative", Align::Number)];
    html! {
        (table("Metrics", &heads, &rows))
        (table("Decisions at the threshold", &heads_counts, &counts))
        p.muted {
            "At the threshold " (format::percent(card.kpi.alerted_share, 1)) " are alerted; precision "
            (format::percent(at.precision, 1)) ", recall " (format::percent(at.recall, 1)) "."
        }
    }
}

/// Quality of the data behind the training set, by source.
pub(super) fn data(card: &Scorecard) -> Markup {
    let heads = [
        ("Source", Align::Text),
        ("Accuracy", Align::Number),
        ("Completeness", Align::Number),
        ("Consistency", Align::Number),
        ("Timeliness", Align::Number),
        ("Score", Align::Number),
        ("Rows", Align::Number),
    ];
    let row = |(source, found): (&String, &DataQuality)| {
        let mut cells = vec![html! { a href={ "/data/" (source) } title=(found.formula) { (source) } }];
        let values = [found.accuracy, found.completeness, found.consistency, found.timeliness, found.total];
        cells.extend(values.map(|value| html! { (format::or_dash(value, |value| format::fixed(value, 1))) }));
        cells.push(html! { (format::count(found.rows)) });
        cells
    };
    table("Data behind it", &heads, &card.subject.quality.iter().map(row).collect::<Vec<_>>())
}

pub(super) fn calibration(card: &Scorecard) -> Markup {
    let bins = &card.report.calibration;
    let points: Vec<_> = bins
        .iter()
        .filter(|b| b.count > 0)
        .map(|b| (b.mean_score, b.positive_share, b.share_low, b.share_high))
        .collect();
    let labels = Labels { title: "Score against what happened", x: "mean score", y: "share of positives" };
    html! {
        (reliability(labels, &points))
        p.muted { "Calibration error " (format::fixed(card.report.ece.value, 4)) " " (card.report.ece.interval(4)) "; the dashed line is perfect." }
    }
}

pub(super) fn slices(card: &Scorecard) -> Markup {
    if card.slices.is_empty() {
        return html! { p.muted { "The project file names no slices (" code { "evaluate.slices" } ")." } };
    }
    let bars: Vec<Bar<'_>> = card
        .slices
        .iter()
        .take(SHOWN)
        .filter_map(|s| {
            let auc = s.roc_auc.as_ref()?;
            Some(Bar { name: &s.value, value: auc.value, interval: Some((auc.low, auc.high)) })
        })
        .collect();
    let labels = Labels { title: "AUC by slice", x: "slice", y: "AUC" };
    let heads = [
        ("Slice", Align::Text),
        ("Rows", Align::Number),
        ("Positive", Align::Number),
        ("AUC", Align::Number),
        ("Bias", Align::Number),
        ("State", Align::Text),
    ];
    let rows: Vec<Vec<Markup>> = card
        .slices
        .iter()
        .take(SHOWN)
        .map(|s| {
            vec![
                html! { (s.feature) " = " (s.value) },
                html! { (format::count(s.rows)) },
                html! { (format::percent(s.prevalence.value, 1)) },
                s.roc_auc.as_ref().map_or_else(|| html! { (format::ABSENT) }, |auc| auc.show(3)),
                s.bias.show(3),
                if s.flagged { badge(State::Warn, "flagged") } else { badge(State::Good, "as expected") },
            ]
        })
        .collect();
    html! {
        (bar_chart(labels, &bars))
        (table("Slices", &heads, &rows))
        @if card.slices.len() > SHOWN { p.muted { (card.slices.len() - SHOWN) " more slices in the JSON." } }
    }
}

pub(super) fn leaks(card: &Scorecard) -> Markup {
    html! {
        (leaking_columns(card))
        @if let Some(twins) = &card.twins { p { (twins.badge()) " " (twins.verdict) } }
    }
}

fn leaking_columns(card: &Scorecard) -> Markup {
    if card.subject.leaks.is_empty() {
        return html! { p { (badge(State::Good, "nothing found")) } };
    }
    let heads = [("Column", Align::Text), ("Where", Align::Text), ("Finding", Align::Text)];
    let rows: Vec<Vec<Markup>> = card
        .subject
        .leaks
        .iter()
        .take(SHOWN)
        .map(|leak| {
            let state = if leak.role == "feature" { State::Bad } else { State::Idle };
            vec![html! { code { (leak.column) } }, badge(state, &leak.role), html! { span.wrap { (leak.verdict) } }]
        })
        .collect();
    table("Leak findings", &heads, &rows)
}

pub(super) fn parameters(card: &Scorecard) -> String {
    let pairs: Vec<String> = card.subject.params.iter().map(|(name, value)| format!("{name}={value}")).collect();
    pairs.join(" ")
}
