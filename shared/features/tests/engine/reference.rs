//! The naive reference: for every question a scan over all rows, written without the engine.

use crate::data::{Click, HOUR, LOOKBACK, MINUTE, Order, Shops};
use tidemill_features::Status;

/// One expected row: values by feature name, as bits or text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Cell {
    Null,
    Number(u64),
    Text(String),
}

fn number(value: Option<f64>) -> Cell {
    value.filter(|v| !v.is_nan()).map_or(Cell::Null, |v| Cell::Number(v.to_bits()))
}

fn text(value: Option<&str>) -> Cell {
    value.map_or(Cell::Null, |v| Cell::Text(v.to_owned()))
}

fn sum(values: &[f64]) -> Option<f64> {
    let mut total = 0.0;
    values.iter().for_each(|v| total += v);
    (!values.is_empty()).then_some(total)
}

fn mean(values: &[f64]) -> Option<f64> {
    sum(values).map(|s| s / values.len() as f64)
}

fn std(values: &[f64]) -> Option<f64> {
    let mean = mean(values).filter(|_| values.len() > 1)?;
    let squares: Vec<f64> = values.iter().map(|v| (v - mean) * (v - mean)).collect();
    sum(&squares).map(|s| (s / (values.len() as f64 - 1.0)).sqrt())
}

fn different<T: Ord>(mut values: Vec<T>) -> f64 {
    values.sort();
    values.dedup();
    values.len() as f64
}

/// The entity row that counts at an instant.
fn entity(shops: &Shops, id: i32, as_of: i64) -> Option<&Order> {
    let newest = shops.orders.iter().filter(|o| o.id == id && o.known <= as_of).max_by_key(|o| (o.known, o.seq))?;
    (as_of <= newest.due - 2 * HOUR + LOOKBACK).then_some(newest)
}

fn window(
    shops: &Shops,
    as_of: i64,
    keep: impl Fn(&Click) -> bool,
    on: impl Fn(&Click) -> Option<i64>,
    span: (i64, i64),
) -> Vec<&Click> {
    let inside = |r: &&Click| r.known <= as_of && keep(r) && on(r).is_some_and(|t| t > span.0 && t <= span.1);
    let mut rows: Vec<_> = shops.clicks.iter().filter(inside).collect();
    rows.sort_by_key(|r| (on(r), r.known, r.seq, r.row));
    rows
}

/// The answer to one question as (feature, cell), in no particular order.
pub(crate) fn answer(shops: &Shops, id: i32, as_of: i64) -> (Status, Vec<(&'static str, Cell)>) {
    let Some(order) = entity(shops, id, as_of) else { return (Status::UnknownEntity, vec![]) };
    let mut cells =
        vec![("shop", text(order.shop.as_deref())), ("lead", number(Some((order.due - as_of) as f64 / MINUTE as f64)))];
    let values = |rows: &[&Click]| rows.iter().filter_map(|r| r.value).collect::<Vec<f64>>();
    let newest = |rows: &[&Click]| {
        let mut rows = rows.to_vec();
        rows.sort_by_key(|r| (r.known, r.seq, r.row));
        let value = rows.iter().rev().find_map(|r| r.value);
        (value, rows.iter().rev().find_map(|r| r.label.clone()))
    };
    if let Some(shop) = &order.shop {
        let rows =
            window(shops, as_of, |r| r.shop.as_ref() == Some(shop), |r| Some(r.known), (as_of - 3 * HOUR, as_of));
        let v = values(&rows);
        let flags: Vec<f64> = rows.iter().filter_map(|r| r.flag).map(f64::from).collect();
        let (last, label) = newest(&rows);
        cells.extend([
            ("w_n", number(Some(rows.len() as f64))),
            ("w_nv", number(Some(v.len() as f64))),
            ("w_sum", number(sum(&v))),
            ("w_mean", number(mean(&v))),
            ("w_rate", number(mean(&flags))),
            ("w_min", number(v.iter().copied().reduce(f64::min))),
            ("w_max", number(v.iter().copied().reduce(f64::max))),
            ("w_sd", number(std(&v))),
            ("w_last", number(last)),
            ("w_label", text(label.as_deref())),
            ("w_labels", number(Some(different(rows.iter().filter_map(|r| r.label.as_ref()).collect())))),
            ("w_values", number(Some(different(v.iter().map(|v| v.to_bits()).collect())))),
        ]);
        let keep =
            |r: &Click| r.shop.as_ref() == Some(shop) && r.kind == order.kind && r.value.is_some_and(|v| v > -1.0);
        let rows = window(shops, as_of, keep, |r| r.at, (as_of - 5 * HOUR, as_of));
        let v: Vec<f64> = values(&rows).iter().map(|v| v * 3.0).collect();
        let (last, label) = newest(&rows);
        cells.extend([
            ("on_n", number(Some(rows.len() as f64))),
            ("on_sum", number(sum(&v))),
            ("on_last", number(last)),
            ("on_label", text(label.as_deref())),
        ]);
        let near = order.due >= as_of - LOOKBACK;
        let peer = |o: &&Order| {
            o.known <= as_of
                && o.shop.as_ref() == Some(shop)
                && o.due > order.due - 4 * HOUR
                && o.due <= order.due + 4 * HOUR
        };
        cells.push(("peers_n", number(near.then(|| shops.orders.iter().filter(peer).count() as f64))));
        let mut known: Vec<_> =
            shops.clicks.iter().filter(|r| r.shop.as_ref() == Some(shop) && r.known <= as_of).collect();
        known.sort_by_key(|r| std::cmp::Reverse((r.known, r.seq, r.row)));
        let l0 = known.first().filter(|r| as_of - r.known <= 2 * HOUR);
        let age = |r: &Click| (as_of - r.known) as f64 / 1000.0;
        cells.extend([
            ("l0_value", number(l0.and_then(|r| r.value))),
            ("l0_label", text(l0.and_then(|r| r.label.as_deref()))),
            ("l0_age", number(l0.map(|r| age(r)))),
            ("l2_value", number(known.get(2).and_then(|r| r.value))),
            ("l2_age", number(known.get(2).map(|r| age(r)))),
        ]);
    } else {
        let names =
            ["w_n", "w_nv", "w_sum", "w_mean", "w_rate", "w_min", "w_max", "w_sd", "w_last", "w_label", "w_labels"];
        let more = ["w_values", "on_n", "on_sum", "on_last", "on_label", "peers_n", "l0_value", "l0_label", "l0_age"];
        cells.extend(names.into_iter().chain(more).chain(["l2_value", "l2_age"]).map(|n| (n, Cell::Null)));
    }
    let near = order.due >= as_of - LOOKBACK;
    let rows = window(shops, as_of, |r| r.kind == order.kind, |r| r.at, (order.due - 90 * MINUTE, order.due + HOUR));
    cells.push(("around_n", number(near.then_some(rows.len() as f64))));
    cells.push(("around_mean", number(mean(&values(&rows)).filter(|_| near))));
    let rows = window(shops, as_of, |_| true, |r| Some(r.known), (as_of - HOUR, as_of));
    cells.push(("all_n", number(Some(rows.len() as f64))));
    cells.push(("all_sd", number(std(&values(&rows)))));
    (Status::Present, cells)
}
