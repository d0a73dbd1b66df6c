//! Relations between columns: missing cells, associations, tests, time.

use super::text::{chance, cut, instant};
use super::{Room, part};
use crate::association::{Associations, Measure};
use crate::compare::{Comparison, Effect, Test};
use crate::distance::NonLinear;
use crate::exploration::Exploration;
use crate::missing::{Missing, Places};
use crate::times::TimeFacts;
use crate::warnings::{count, number, percent, span};
use maud::{Markup, html};
use tidemill_plot::{Labels, Square, pattern_matrix, square_matrix};

/// Missing cells.
pub(super) fn missing(missing: &Missing, found: &Exploration, room: Room) -> Markup {
    let note = format!("in {} sampled rows", count(missing.rows));
    if missing.columns.is_empty() {
        let text =
            if found.missing_cells == 0 { "No cell is missing." } else { "No column is missing in some rows only." };
        return part("missing", "Missing cells", &note, &html! { p.muted { (text) } });
    }
    let names: Vec<&str> = missing.columns.iter().take(room.matrix).map(String::as_str).collect();
    let rows: Vec<(Vec<bool>, String)> = missing
        .patterns
        .iter()
        .map(|pattern| {
            let flags = names.iter().map(|name| pattern.missing.iter().any(|m| m == name)).collect();
            let share = percent(pattern.rows as f64 / missing.rows.max(1) as f64);
            (flags, format!("{} · {share}", count(pattern.rows)))
        })
        .collect();
    let body = html! {
        div.wide tabindex="0" { (pattern_matrix("Patterns of missing cells", &names, &rows)) }
        @if missing.pattern_count > missing.patterns.len() as u64 {
            p.muted { (missing.pattern_count - missing.patterns.len() as u64) " rarer patterns are not drawn." }
        }
        @if let Some(test) = &missing.little {
            p {
                "Little's test of \"missing completely at random\" over " (test.columns.len()) " number columns: d² "
                (number(test.statistic)) " with " (test.dof) " degrees of freedom, p " (chance(test.p)) ". "
                @if test.p < 0.05 { "Rows with gaps differ from the others: leaving them out would bias." } @else { "Nothing speaks against it." }
            }
        }
        @if !missing.predictability.is_empty() {
            h3 { "Can the gaps be foretold from the other columns?" }
            div.scroll tabindex="0" { table {
                thead { tr { th { "Column" } th.num { "Missing" } th.num { "AUC" } th { "Most by" } th { "Reading" } } }
                tbody { @for score in missing.predictability.iter().take(room.lines) {
                    tr {
                        td { (cut(&score.column, 40)) } td.num { (percent(score.share)) } td.num { (format!("{:.3}", score.auc)) }
                        td { @if let Some((by, auc)) = &score.strongest { (cut(by, 40)) " (" (format!("{auc:.2}")) ")" } }
                        td { @if score.auc > 0.6 { "▲ not at random" } @else { "○ looks random" } }
                    }
                } }
            } }
        }
        @if !missing.nullity.is_empty() { (nullity(missing)) }
        (places(&missing.places))
    };
    part("missing", "Missing cells", &note, &body)
}

fn nullity(missing: &Missing) -> Markup {
    let mut pairs: Vec<_> = missing.nullity.iter().filter(|pair| pair.correlation.abs() >= 0.1).collect();
    pairs.sort_by(|a, b| b.correlation.abs().total_cmp(&a.correlation.abs()));
    html! {
        @if !pairs.is_empty() {
            h3 { "Gaps that come together" }
            div.scroll tabindex="0" { table {
                thead { tr { th { "Column" } th { "Column" } th.num { "Correlation of gaps" } } }
                tbody { @for pair in pairs.iter().take(10) {
                    tr { td { (cut(&pair.a, 40)) } td { (cut(&pair.b, 40)) } td.num { (format!("{:.3}", pair.correlation)) } }
                } }
            } }
        }
    }
}

/// Where gaps lie, of the columns whose gaps differ between segments.
fn places(places: &[Places]) -> Markup {
    let told: Vec<(&Places, &String)> = places.iter().filter_map(|one| Some((one, one.by.as_ref()?))).take(6).collect();
    html! {
        @if !told.is_empty() {
            h3 { "Where the gaps are" }
            div.scroll tabindex="0" { table {
                thead { tr { th { "Column" } th { "Differs most by" } th.num { "V" } th { "Share of missing cells" } } }
                tbody { @for (one, by) in told {
                    tr {
                        td { (cut(&one.column, 40)) } td { (cut(by, 40)) } td.num { (one.cramers_v.map_or_else(String::new, |v| format!("{v:.2}"))) }
                        td.reason {
                            @for (at, segment) in one.segments.iter().enumerate() {
                                @if at > 0 { ", " }
                                (cut(&segment.value, 24)) " " (percent(segment.missing))
                            }
                        }
                    }
                } }
            } }
        }
    }
}

/// What a linear model will miss.
fn hidden(found: &NonLinear, lines: usize) -> Markup {
    let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    html! {
        h3 { "Relations that a linear model will miss" }
        @if found.found.is_empty() {
            p.muted { "None among " (count(found.pairs)) " pairs of number columns." }
        } @else {
            div.scroll tabindex="0" { table {
                thead { tr { th { "Columns" } th.num { "Distance correlation" } th.num { "Pearson" } th.num { "Spearman" } th.num { "p" } th.num { "q" } } }
                tbody { @for one in found.found.iter().take(lines) {
                    tr {
                        td { (cut(&one.a, 30)) " · " (cut(&one.b, 30)) } td.num { (format!("{:.3}", one.distance)) }
                        td.num { (or_dash(one.pearson)) } td.num { (or_dash(one.spearman)) }
                        td.num { (chance(one.p)) } td.num { (chance(one.q)) }
                    }
                } }
            } }
        }
        p.muted {
            "Distance correlation over at most " (count(found.rows)) " rows, clearly above Pearson's and Spearman's; p from "
            (found.permutations) " permutations (seed " (found.seed) "), q: false discovery rate over " (count(found.pairs))
            " pairs, at most 5 %."
        }
    }
}

/// Associations as a matrix in clustered order, the strongest pairs, and what a linear model will miss.
pub(super) fn associations(found: &Associations, non_linear: Option<&NonLinear>, room: Room) -> Markup {
    let names: Vec<&str> = found.order.iter().take(room.matrix).map(String::as_str).collect();
    let cell = |a: usize, b: usize| {
        let pair = found.pair(names[a], names[b])?;
        let hint = match pair.measure {
            Measure::Spearman => {
                format!("Spearman, Pearson {}", pair.pearson.map_or_else(|| "–".to_owned(), |r| format!("{r:.3}")))
            }
            Measure::CramersV => "Cramér's V".to_owned(),
            Measure::Eta => "correlation ratio η".to_owned(),
        };
        Some(Square { value: pair.value?, hint: format!("{} and {}: {:.3} ({hint})", names[a], names[b], pair.value?) })
    };
    let mut strongest: Vec<_> = found.pairs.iter().filter(|pair| pair.value.is_some()).collect();
    strongest.sort_by(|a, b| b.value.map_or(0.0, f64::abs).total_cmp(&a.value.map_or(0.0, f64::abs)));
    let measure = |measure: Measure| match measure {
        Measure::Spearman => "Spearman",
        Measure::CramersV => "Cramér's V",
        Measure::Eta => "η",
    };
    let or_dash = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    let body = html! {
        p.muted {
            "Numbers with numbers: Spearman's rank correlation. Categories: Cramér's V corrected for bias. One of each: the "
            "correlation ratio η. Alike columns stand side by side."
        }
        @if names.len() > 1 {
            div.wide tabindex="0" { (square_matrix(Labels { title: "Associations", ..Labels::default() }, &names, &cell)) }
            details { summary { "Strongest pairs" }
                div.scroll tabindex="0" { table {
                    thead { tr { th { "Columns" } th { "Measure" } th.num { "Value" } th.num { "Pearson" } th.num { "Distance" } th.num { "Mutual information (nats)" } th.num { "Rows" } } }
                    tbody { @for pair in strongest.iter().take(room.lines) {
                        tr {
                            td { (cut(&pair.a, 30)) " · " (cut(&pair.b, 30)) } td { (measure(pair.measure)) } td.num { (or_dash(pair.value)) }
                            td.num { (or_dash(pair.pearson)) } td.num { (or_dash(pair.distance)) } td.num { (or_dash(pair.mutual_information)) } td.num { (count(pair.rows)) }
                        }
                    } }
                } }
            }
        } @else { p.muted { "Fewer than two columns can be compared." } }
        @if found.order.len() > names.len() {
            p.muted { (found.order.len() - names.len()) " more columns are in the JSON form." }
        }
        @if let Some(non_linear) = non_linear.filter(|of| of.pairs > 0) { (hidden(non_linear, room.lines)) }
        @if !found.left_out.is_empty() {
            p.muted { "Left out, being constant, of too many values, or beyond the first sixty: " (cut(&found.left_out.join(", "), 300)) }
        }
    };
    part("associations", "Associations", &format!("over {} rows", count(found.rows)), &body)
}

/// Tests of difference.
pub(super) fn tests(tests: &[Comparison], made: u64, room: Room) -> Markup {
    let name = |test: Test| match test {
        Test::WelchT => "Welch t",
        Test::Anova => "ANOVA",
        Test::KruskalWallis => "Kruskal–Wallis",
        Test::ChiSquare => "chi-square",
        Test::ChiSquareMonteCarlo => "chi-square, random tables",
        Test::FisherExact => "Fisher exact",
    };
    let effect = |effect: Effect| match effect {
        Effect::CohensD => "d",
        Effect::EtaSquared => "η²",
        Effect::CramersV => "V",
    };
    let body = html! {
        div.scroll tabindex="0" { table {
            thead { tr { th { "Compared" } th { "Between" } th { "Test" } th.num { "Effect" } th.num { "p" } th.num { "q" } th { "Why this test" } } }
            tbody { @for one in tests.iter().take(room.lines) {
                tr {
                    td { (cut(&one.column, 30)) } td { (cut(&one.by, 30)) " (" (one.groups) ")" }
                    td { (name(one.test)) } td.num { (effect(one.effect)) " " (format!("{:.3}", one.size)) }
                    td.num { (chance(one.p)) } td.num { (chance(one.q)) } td.reason { (one.reason) }
                }
            } }
        } }
    };
    let shown = tests.len().min(room.lines) as u64;
    let left_out = match made.saturating_sub(shown) {
        0 => String::new(),
        smaller => format!(", {} of smaller effects not shown", count(smaller)),
    };
    let note = format!(
        "{} comparisons, the largest effects first{left_out}; q: false discovery rate over all {}",
        count(made),
        count(made)
    );
    part("tests", "Differences between groups", &note, &body)
}

/// Rhythm of time columns.
pub(super) fn times(times: &[TimeFacts]) -> Markup {
    let body = html! {
        div.scroll tabindex="0" { table {
            thead { tr { th { "Column" } th { "Order" } th.num { "Repeated" } th.num { "Usual step" } th.num { "Gaps" } th { "Longest gaps" } } }
            tbody { @for facts in times {
                tr {
                    td { (cut(&facts.column, 40)) } td { @if facts.ordered { "rising" } @else { "mixed" } } td.num { (count(facts.repeated)) }
                    td.num { (span(facts.median_step)) } td.num { (count(facts.gap_count)) }
                    td { @for gap in &facts.gaps { div { (span(gap.millis())) ": " (instant(gap.from)) " to " (instant(gap.to)) } } }
                }
            } }
        } }
    };
    part("times", "Time columns", "", &body)
}
