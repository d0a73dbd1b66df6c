//! One feature: its training against a window, and its PSI over time.

use super::{ACT, WATCH, band};
use crate::answers::{DriftWindow, FeatureDrift, FeatureVerdict, WindowDrift};
use crate::app::App;
use crate::error::{Error, Result};
use crate::format;
use crate::layout::{self, Align};
use crate::page::Page;
use crate::pages::charts;
use crate::pages::window::WindowKind;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use tidemill_contracts::paths;
use tidemill_plot::{Labels, PairedBar, paired_bars};
use tidemill_types::Millis;

/// Longest name of a value in a chart.
const NAME: usize = 24;

/// Which feature, and which window of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::pages) struct Query {
    feature: String,
    window: Option<WindowKind>,
    start: Option<String>,
}

/// A feature over time.
#[derive(Serialize)]
pub(in crate::pages) struct Feature {
    feature: String,
    window: WindowKind,
    /// First day of the window that is compared.
    start: String,
    history: Vec<Line>,
    verdict: FeatureVerdict,
    reference_model: String,
}

#[derive(Clone, Debug, Serialize)]
struct Line {
    start: Millis,
    start_date: String,
    psi: f64,
    q_value: f64,
    drifted: bool,
    null_share: f64,
}

impl Page for Feature {
    type Query = Query;

    async fn load(app: &App, query: Query) -> Result<Self> {
        let window = query.window.unwrap_or(WindowKind::Month);
        let windows = app.drift_windows(window.name()).await?;
        let missing = || Error::missing("feature with drift in such windows", query.feature.clone());
        let verdict_of = |drift: &WindowDrift| drift.features.iter().find(|v| v.drift.name == query.feature).cloned();
        let measured: Vec<(&DriftWindow, FeatureVerdict)> =
            windows.iter().filter_map(|window| Some((window, verdict_of(window.drift.as_ref()?)?))).collect();
        let newest = measured.last().ok_or_else(missing)?;
        let chosen = match &query.start {
            Some(start) => {
                let no_window = || Error::missing("window", start.clone());
                measured.iter().find(|(window, _)| window.start_date == *start).ok_or_else(no_window)?
            }
            None => newest,
        };
        // Bins stand in the stored report of that window alone.
        let folder = paths::monitors(&app.spec.project, &app.spec.serve.deployment);
        let stored = app.stored(&format!("{folder}/{}/{}.json", window.name(), chosen.0.start_date)).await?;
        let drift: Option<WindowDrift> = stored.and_then(|report| serde_json::from_value(report["drift"].clone()).ok());
        let verdict = drift.as_ref().and_then(verdict_of).unwrap_or_else(|| chosen.1.clone());
        let line = |(window, verdict): &(&DriftWindow, FeatureVerdict)| Line {
            start: window.start,
            start_date: window.start_date.clone(),
            psi: verdict.drift.psi,
            q_value: verdict.q_value,
            drifted: verdict.drifted,
            null_share: verdict.drift.null_share,
        };
        Ok(Self {
            window,
            start: chosen.0.start_date.clone(),
            history: measured.iter().rev().take(60).rev().map(line).collect(),
            verdict,
            reference_model: drift.map(|drift| drift.reference_model).unwrap_or_default(),
            feature: query.feature,
        })
    }

    fn title(&self) -> Option<String> {
        Some(self.feature.clone())
    }

    fn view(&self) -> Markup {
        let drift = &self.verdict.drift;
        let points: Vec<(Millis, f64)> = self.history.iter().map(|line| (line.start, line.psi)).collect();
        let name = layout::encoded(&self.feature);
        let options = [WindowKind::Week, WindowKind::Month]
            .map(|kind| (kind.name(), format!("/drift/{name}?window={}", kind.name())));
        let note = format!("training against the {} from {}", self.window.name(), self.start);
        html! {
            p.crumbs { a href={ "/drift?window=" (self.window.name()) } { "Drift & performance" } " / " (self.feature) }
            div.toolbar { (layout::choice("Window", self.window.name(), &options)) }
            (layout::columns(&[
                layout::panel("Distribution", &note, &overlay(drift)),
                layout::panel("Over time", "dashed: worth a look from here on", &charts::psi(&self.feature, &points, WATCH)),
            ]))
            (layout::panel("Measured", "", &layout::facts(&[
                ("State", band(drift.psi)),
                ("PSI", html! { (format::fixed(drift.psi, 4)) " (act from " (ACT) ")" }),
                ("Test", html! { (test(&drift.test)) ", statistic " (format::number(drift.statistic)) }),
                ("Adjusted p-value", html! { (format::number(self.verdict.q_value)) }),
                ("Missing", html! { (format::percent(drift.null_share, 1)) ", at training " (format::percent(drift.reference_null_share, 1)) }),
                ("Rows", html! { (format::count(drift.rows)) ", at training " (format::count(drift.reference_rows)) }),
                ("New values", html! { @if drift.new_categories.is_empty() { "none" } @else { (drift.new_categories.join(", ")) } }),
                ("Reference", html! { @if self.reference_model.is_empty() { (format::ABSENT) } @else {
                    a href={ "/models/" (self.reference_model) } { (format::digest(&self.reference_model)) } } }),
            ])))
            (layout::panel("Windows", "newest first; follow one to compare it", &self.windows()))
        }
    }
}

impl Feature {
    fn windows(&self) -> Markup {
        let heads = [
            ("From", Align::Text),
            ("PSI", Align::Number),
            ("Adjusted p-value", Align::Number),
            ("Missing", Align::Number),
            ("State", Align::Text),
        ];
        let name = layout::encoded(&self.feature);
        let row = |line: &Line| {
            let href = format!("/drift/{name}?window={}&start={}", self.window.name(), line.start_date);
            let chosen = (line.start_date == self.start).then_some("true");
            vec![
                html! { a href=(href) aria-current=[chosen] { (line.start_date) } },
                html! { (format::fixed(line.psi, 4)) },
                html! { (format::number(line.q_value)) },
                html! { (format::percent(line.null_share, 1)) },
                band(line.psi),
            ]
        };
        layout::table("Windows of this feature", &heads, &self.history.iter().rev().map(row).collect::<Vec<_>>())
    }
}

fn overlay(drift: &FeatureDrift) -> Markup {
    let Some(distribution) = &drift.distribution else {
        return layout::empty("This report holds no distribution; the next one will.", "");
    };
    let missing = distribution.expected.last().copied().unwrap_or(0) + distribution.actual.last().copied().unwrap_or(0);
    let shown = distribution.cells.len() + usize::from(missing > 0);
    let mut names: Vec<String> = distribution.cells.iter().map(|name| name.chars().take(NAME).collect()).collect();
    names.push("missing".to_owned());
    names.truncate(shown);
    let counts = distribution.expected.iter().zip(&distribution.actual);
    #[expect(clippy::cast_precision_loss, reason = "counts become shares")]
    let bar =
        |(name, (reference, current)): (&String, (&u64, &u64))| (name.clone(), *reference as f64, *current as f64);
    let bars: Vec<_> = names.iter().zip(counts).map(bar).collect();
    let bars: Vec<_> = bars
        .iter()
        .map(|(name, reference, current)| PairedBar { name, reference: *reference, current: *current })
        .collect();
    paired_bars(Labels { title: "Share of rows", x: "value", y: "share of rows" }, &bars, ("training", "window"))
}

fn test(name: &str) -> &str {
    match name {
        "ks" => "Kolmogorov–Smirnov",
        "chi2" => "chi-square",
        other => other,
    }
}
