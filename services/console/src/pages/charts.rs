//! Charts over time that several pages show.

use super::overview::Promotion;
use crate::answers::{Estimate, Quality, Window};
use maud::Markup;
use tidemill_plot::{Labels, Mark, Series, Shade, TimeSeries, time_series};
use tidemill_types::Millis;

/// AUC by window of the model in service and of the first champion, with the promotions between.
///
/// `waiting` is the span in which outcomes are still coming in.
pub(super) fn quality(windows: &[Window], promotions: &[Promotion], waiting: Option<(Millis, Millis)>) -> Markup {
    let auc = |pick: fn(&Window) -> Option<&Quality>| move |window: &Window| Some(pick(window)?.roc_auc);
    let champion = series("in service", windows, auc(|window| window.performance.champion.as_ref()));
    let shadow = series("first champion", windows, auc(|window| window.performance.shadow.as_ref()));
    // Until the first retraining, both are one model.
    let differ = champion.points.iter().zip(&shadow.points).any(|(a, b)| (a.1 - b.1).abs() > 1e-9);
    let mut shown = vec![champion];
    if differ {
        shown.push(Series { dashed: true, ..shadow });
    }
    draw(Labels { title: "AUC by window", x: "event time", y: "AUC" }, shown, promotions, waiting, None)
}

/// The KPI as served, by window.
pub(super) fn value(windows: &[Window], promotions: &[Promotion], name: &str, unit: &str) -> Markup {
    let title = format!("{name} by window");
    let labels = Labels { title: &title, x: "event time", y: unit };
    draw(labels, vec![series(name, windows, |window| window.kpi)], promotions, None, Some(0.0))
}

/// Share of right alerts and of caught positives, as served.
pub(super) fn decisions(windows: &[Window], promotions: &[Promotion], waiting: Option<(Millis, Millis)>) -> Markup {
    let served = |window: &Window| window.performance.decisions.clone().map(|decisions| decisions.as_served);
    let shown = vec![
        series("precision", windows, |window| served(window)?.precision),
        Series { dashed: true, ..series("recall", windows, |window| served(window)?.recall) },
    ];
    let labels = Labels { title: "Precision and recall as served", x: "event time", y: "share" };
    draw(labels, shown, promotions, waiting, None)
}

/// PSI of one feature by window.
pub(super) fn psi(name: &str, points: &[(Millis, f64)], limit: f64) -> Markup {
    let points = points.iter().map(|(at, value)| (at.0, *value)).collect();
    let labels = Labels { title: "PSI by window", x: "event time", y: "PSI" };
    let shown = Series { name: name.to_owned(), points, band: Vec::new(), dashed: false };
    draw(labels, vec![shown], &[], None, Some(limit))
}

/// One estimate by window; the middle of the window stands for it.
fn series(name: &str, windows: &[Window], pick: impl Fn(&Window) -> Option<Estimate>) -> Series {
    let at = |window: &Window| window.start.0 + (window.end.0 - window.start.0) / 2;
    let found: Vec<_> = windows.iter().filter_map(|window| Some((at(window), pick(window)?))).collect();
    let band = found.iter().filter_map(|(at, estimate)| estimate.ends().map(|(low, high)| (*at, low, high)));
    Series {
        name: name.to_owned(),
        band: band.collect(),
        points: found.iter().map(|(at, estimate)| (*at, estimate.point())).collect(),
        dashed: false,
    }
}

fn draw(
    labels: Labels<'_>,
    series: Vec<Series>,
    promotions: &[Promotion],
    waiting: Option<(Millis, Millis)>,
    limit: Option<f64>,
) -> Markup {
    let marks = promotions.iter().map(|made| Mark { at_ms: made.as_of.0, label: format!("v{}", made.version) });
    let label = "outcomes still coming in".to_owned();
    let shade = waiting.map(|(from, until)| Shade { from_ms: from.0, to_ms: until.0, label });
    let (marks, shade) = (marks.collect(), shade.into_iter().collect());
    time_series(labels, &TimeSeries { series, marks, shade, limit })
}
