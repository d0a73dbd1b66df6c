//! *Drift & performance*: which features moved, when, and whether the model still does its work.

pub(super) mod feature;

use super::overview::{Promotion, feature_state, known_promotions, windows};
use super::window::WindowKind;
use super::{charts, paging};
use crate::answers::{DriftWindow, Window};
use crate::app::{App, Part};
use crate::error::Result;
use crate::format;
use crate::layout::{self, Align, State};
use crate::page::Page;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tidemill_plot::{HeatCell, HeatMap, HeatRow, Labels, heat_map};
use tidemill_types::Millis;

/// PSI from which a shift is watched, and from which it calls for action; the usual convention.
pub(super) const WATCH: f64 = 0.1;
pub(super) const ACT: f64 = 0.25;
/// Values at which a cell of the map grows deeper.
const STEPS: [f64; 5] = [0.02, 0.05, WATCH, ACT, 0.5];
/// Features and windows of the map.
const FEATURES: usize = 20;
const WINDOWS: usize = 16;

/// Which windows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    window: Option<WindowKind>,
    page: Option<String>,
}

/// Drift and performance by window.
#[derive(Serialize)]
pub(super) struct Drift {
    window: WindowKind,
    windows: Part<Vec<Window>>,
    map: Part<Map>,
    promotions: Vec<Promotion>,
    /// Span in which outcomes are still coming in.
    waiting: Option<(Millis, Millis)>,
}

/// Feature × window, the feature with the largest PSI first.
#[derive(Debug, Serialize)]
struct Map {
    windows: Vec<String>,
    features: Vec<Row>,
    part: paging::Part,
    not_compared: Vec<String>,
    fdr: f64,
}

#[derive(Debug, Serialize)]
struct Row {
    name: String,
    psi: Vec<Option<f64>>,
    drifted: usize,
    actionable: usize,
}

impl Page for Drift {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let (months, state, promotions) =
            tokio::join!(windows(app, WindowKind::Month), feature_state(app), known_promotions(app));
        let few = months.as_ref().is_ok_and(|months| months.len() < 3);
        let window = query.window.unwrap_or(if few { WindowKind::Week } else { WindowKind::Month });
        let windows = match window {
            WindowKind::Month => months,
            WindowKind::Week => windows(app, WindowKind::Week).await,
        };
        let map = match app.drift_windows(window.name()).await {
            Ok(windows) => Part::Here(Map::of(&windows, query.page.as_deref())?),
            Err(error) => Part::from(Err(error)),
        };
        let now = state.ok().map(|state| state.watermark_ms);
        let waiting = windows.as_ref().ok().and_then(|windows| waiting(windows, now));
        Ok(Self { window, windows: windows.into(), map, promotions: promotions?, waiting })
    }

    fn view(&self) -> Markup {
        let options = [("week", "/drift?window=week".to_owned()), ("month", "/drift?window=month".to_owned())];
        html! {
            p.muted {
                "Each feature of a window is compared with the training of the model that served it. PSI from "
                (WATCH) " on is worth a look, from " (ACT) " on calls for action."
            }
            div.toolbar { (layout::choice("Window", self.window.name(), &options)) }
            (self.performance())
            (self.heat())
        }
    }
}

impl Drift {
    fn performance(&self) -> Markup {
        let windows = match &self.windows {
            Part::Here(windows) if windows.is_empty() => {
                let what = "Performance appears once predictions have met their outcomes.";
                return layout::panel("Performance", "", &layout::empty(what, "tidemill predict --key KEY"));
            }
            Part::Here(windows) => windows,
            Part::Absent(why) => return layout::panel("Performance", "", &layout::absent(why)),
        };
        let heads = [
            ("Window", Align::Text),
            ("Predictions", Align::Number),
            ("Outcomes", Align::Number),
            ("Positive", Align::Number),
            ("AUC", Align::Number),
            ("Brier", Align::Number),
            ("Precision", Align::Number),
            ("Value", Align::Number),
            ("Drifted", Align::Number),
            ("Large", Align::Number),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = windows.iter().rev().take(WINDOWS).map(row).collect();
        html! {
            (layout::columns(&[
                layout::panel("Quality", "shaded: outcomes are still coming in", &charts::quality(windows, &self.promotions, self.waiting)),
                layout::panel("Decisions", "right alerts among all, caught positives among all", &charts::decisions(windows, &self.promotions, self.waiting)),
            ]))
            (layout::panel("By window", "newest first", &layout::table("Performance by window", &heads, &rows)))
        }
    }

    fn heat(&self) -> Markup {
        let map = match &self.map {
            Part::Here(map) if map.part.found == 0 => {
                let what = "Drift appears once a window of predictions is complete and its model has a reference.";
                return layout::panel("Drift by feature", "", &layout::empty(what, "tidemill drift"));
            }
            Part::Here(map) => map,
            Part::Absent(why) => return layout::panel("Drift by feature", "", &layout::absent(why)),
        };
        let chart = heat_map(
            Labels { title: "PSI by feature and window", x: "window", y: "feature" },
            &HeatMap {
                columns: map.windows.iter().map(|window| self.window.short(window).to_owned()).collect(),
                rows: map.features.iter().map(|row| self.heat_row(map, row)).collect(),
                steps: &STEPS,
            },
        );
        let note = format!("largest shift first; {} of wrong alarms accepted", format::percent(map.fdr, 0));
        let links = html! {
            (map.part.links("/drift", &[("window", self.window.name())]))
            @if !map.not_compared.is_empty() {
                details { summary { (map.not_compared.len()) " features could not be compared" }
                    ul { @for reason in &map.not_compared { li { (reason) } } } }
            }
        };
        let heads = [
            ("Feature", Align::Text),
            ("Largest PSI", Align::Number),
            ("Newest PSI", Align::Number),
            ("Windows drifted", Align::Number),
            ("State", Align::Text),
        ];
        let rows: Vec<_> = map.features.iter().map(|row| self.feature(row)).collect();
        html! {
            (layout::panel("Drift by feature", &note, &html! { div.wide tabindex="0" role="region" aria-label="Heat map" { (chart) } (links) }))
            (layout::panel("Features", "follow one to see both distributions", &layout::table("Features by drift", &heads, &rows)))
        }
    }

    fn heat_row(&self, map: &Map, row: &Row) -> HeatRow {
        let cell = |(window, psi): (&String, &Option<f64>)| HeatCell {
            value: *psi,
            text: format::or_dash(*psi, |psi| format::fixed(psi, 2)),
            hint: format!("{} from {window}: PSI {}", row.name, format::or_dash(*psi, |psi| format::fixed(psi, 3))),
            marked: psi.is_some_and(|psi| psi >= ACT),
        };
        let href = format!("/drift/{}?window={}", layout::encoded(&row.name), self.window.name());
        let cells = map.windows.iter().zip(&row.psi).map(cell).collect();
        HeatRow { name: row.name.clone(), href: Some(href), cells }
    }

    fn feature(&self, row: &Row) -> Vec<Markup> {
        let newest = row.psi.last().copied().flatten();
        let href = format!("/drift/{}?window={}", layout::encoded(&row.name), self.window.name());
        vec![
            html! { a href=(href) { (row.name) } },
            html! { (format::or_dash(row.peak(), |psi| format::fixed(psi, 3))) },
            html! { (format::or_dash(newest, |psi| format::fixed(psi, 3))) },
            html! { (row.drifted) " of " (row.psi.iter().flatten().count()) },
            newest.map_or_else(|| layout::badge(State::Idle, "not measured"), band),
        ]
    }
}

impl Row {
    fn peak(&self) -> Option<f64> {
        self.psi.iter().copied().flatten().reduce(f64::max)
    }
}

impl Map {
    fn of(windows: &[DriftWindow], page: Option<&str>) -> Result<Self> {
        let windows = &windows[windows.len().saturating_sub(WINDOWS)..];
        let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
        for (at, window) in windows.iter().enumerate() {
            for verdict in window.drift.iter().flat_map(|drift| &drift.features) {
                let name = verdict.drift.name.as_str();
                let row = rows.entry(name).or_insert_with(|| Row {
                    name: name.to_owned(),
                    psi: vec![None; windows.len()],
                    drifted: 0,
                    actionable: 0,
                });
                row.psi[at] = Some(verdict.drift.psi);
                row.drifted += usize::from(verdict.drifted);
                row.actionable += usize::from(verdict.actionable);
            }
        }
        let mut features: Vec<Row> = rows.into_values().collect();
        features.sort_by(|a, b| b.peak().unwrap_or(-1.0).total_cmp(&a.peak().unwrap_or(-1.0)));
        let part = paging::Part::of(features.len(), FEATURES, page)?;
        let newest = windows.iter().rev().find_map(|window| window.drift.as_ref());
        Ok(Self {
            windows: windows.iter().map(|window| window.start_date.clone()).collect(),
            features: part.cut(features),
            part,
            not_compared: newest.map(|drift| drift.not_compared.clone()).unwrap_or_default(),
            fdr: newest.map_or(0.0, |drift| drift.fdr),
        })
    }
}

/// From the first window that may still change, or the last report, up to what is known by now.
fn waiting(windows: &[Window], now: Option<Millis>) -> Option<(Millis, Millis)> {
    let open = windows.iter().find(|window| !window.closed).map(|window| window.start);
    let from = open.or_else(|| windows.last().map(|window| window.end))?;
    let until = now.max(windows.last().map(|window| window.end))?;
    (from < until).then_some((from, until))
}

/// The band of a PSI.
pub(super) fn band(psi: f64) -> Markup {
    match psi {
        psi if psi >= ACT => layout::badge(State::Bad, "act"),
        psi if psi >= WATCH => layout::badge(State::Warn, "watch"),
        _ => layout::badge(State::Good, "stable"),
    }
}

fn row(window: &Window) -> Vec<Markup> {
    let quality = window.performance.champion.as_ref();
    let precision = window.performance.decisions.as_ref().and_then(|decisions| decisions.as_served.precision);
    #[expect(clippy::cast_precision_loss, reason = "a share needs no more")]
    let positive = window.positives as f64 / window.outcomes as f64;
    let fixed = |value: Option<f64>, decimals| format::or_dash(value, |value| format::fixed(value, decimals));
    vec![
        html! { (window.start_date) },
        html! { (format::count(window.predictions)) },
        html! { (format::count(window.outcomes)) },
        html! { (format::percent(positive, 1)) },
        html! { (fixed(quality.and_then(|quality| quality.roc_auc.value), 3)) },
        html! { (fixed(quality.and_then(|quality| quality.brier.value), 3)) },
        html! { (format::or_dash(precision.and_then(|precision| precision.value), |value| format::percent(value, 1))) },
        html! { (fixed(window.kpi.and_then(|kpi| kpi.value), 0)) " " (window.kpi_unit) },
        html! { (format::or_dash(window.drift.as_ref(), |drift| drift.drifted.len().to_string())) },
        html! { (format::or_dash(window.drift.as_ref(), |drift| drift.actionable.len().to_string())) },
        if window.closed {
            layout::badge(State::Good, "complete")
        } else {
            layout::badge(State::Idle, &format!("{} known", format::percent(window.coverage, 0)))
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn window(start: i64, closed: bool) -> Window {
        serde_json::from_value(json!({
            "start": start, "end": start + 10, "start_date": "d", "closed": closed, "predictions": 1, "unscored": 0,
            "outcomes": 1, "coverage": 1.0, "positives": 0, "main_model": null, "kpi_unit": "points",
            "auc_reference": null, "kpi": null, "drift": null,
            "performance": {"champion": null, "why_absent": null, "shadow": null, "decisions": null}
        }))
        .unwrap()
    }

    #[test]
    fn shading_covers_what_may_still_change() {
        let shaded = |windows: &[Window], now| waiting(windows, now).map(|(from, until)| (from.0, until.0));
        assert_eq!(shaded(&[window(0, true), window(10, false)], Some(Millis(25))), Some((10, 25)));
        assert_eq!(shaded(&[window(0, true)], Some(Millis(25))), Some((10, 25)));
        assert_eq!(shaded(&[window(0, true)], None), None);
        assert_eq!(shaded(&[], Some(Millis(25))), None);
    }

    #[test]
    fn the_map_puts_the_largest_shift_first() {
        let verdict = |name: &str, psi: f64| {
            json!({"drift": {"name": name, "psi": psi, "psi_critical": 0.01, "p_value": 0.0, "test": "ks", "statistic": 0.1, "reference_null_share": 0.0,
                "null_share": 0.0, "reference_rows": 9, "rows": 9}, "q_value": 0.0, "drifted": psi > 0.1, "actionable": false})
        };
        let window = |date: &str, features: Vec<serde_json::Value>| -> DriftWindow {
            serde_json::from_value(
                json!({"start": 0, "start_date": date, "drift": {"reference_model": "m", "fdr": 0.05,
                "features": features}}),
            )
            .unwrap()
        };
        let map = Map::of(
            &[
                window("2013-02-01", vec![verdict("b", 0.3), verdict("a", 0.01)]),
                window("2013-03-01", vec![verdict("a", 0.2)]),
            ],
            None,
        )
        .unwrap();
        let names: Vec<_> = map.features.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["b", "a"]);
        assert_eq!(map.features[0].psi, [Some(0.3), None]);
        assert_eq!(map.features[1].drifted, 1);
    }
}
