//! Seeded random shops: orders (the entity, with corrections) and clicks (late, with nulls).

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray,
};
use std::sync::Arc;
use tidemill_features::{Feed, Plan};
use tidemill_spec::Spec;
use tidemill_types::{Millis, SourceName};

pub(crate) const MINUTE: i64 = 60_000;
pub(crate) const HOUR: i64 = 60 * MINUTE;
pub(crate) const LOOKBACK: i64 = 12 * HOUR;

const EXAMPLE: &str = include_str!("../../../../infra/examples/flights/project.yaml");

pub(crate) fn flights() -> Spec {
    Spec::parse(EXAMPLE).unwrap()
}

/// The flights project with its sources and features replaced by the shops.
pub(crate) fn shops() -> Spec {
    let mut spec = flights();
    spec.sources = serde_json::from_value(serde_json::json!({
        "orders": {"key": ["id"], "event_time": "due", "columns": {
            "id": {"type": "int32"}, "shop": {"type": "string", "nullable": true}, "kind": {"type": "string"},
            "due": {"type": "timestamp"}}},
        "clicks": {"key": ["at"], "event_time": "at", "columns": {
            "shop": {"type": "string", "nullable": true}, "kind": {"type": "string"}, "at": {"type": "timestamp", "nullable": true},
            "value": {"type": "float64", "nullable": true}, "flag": {"type": "boolean", "nullable": true},
            "label": {"type": "string", "nullable": true}}}
    }))
    .unwrap();
    spec.features = serde_json::from_value(serde_json::json!({
        "set": "shops", "entity": {"source": "orders", "key": "id"}, "as_of": "due - interval '2 hours'", "lookback": "12h",
        "label": {"name": "bad", "source": "clicks", "key": "shop", "value": "flag", "matures_within": "1h"},
        "inputs": {
            "w": {"from": "clicks", "by": ["shop"], "window": "3h", "values": {
                "n": "count()", "nv": "count(value)", "sum": "sum(value)", "mean": "mean(value)", "rate": "mean(flag)",
                "min": "min(value)", "max": "max(value)", "sd": "std(value)", "last": "last(value)",
                "label": "last(label)", "labels": "distinct(label)", "values": "distinct(value)"}},
            "on": {"from": "clicks", "by": ["shop", "kind"], "on": "at", "window": "5h", "where": "value > -1.0",
                "values": {"n": "count()", "sum": "sum(value * 3.0)", "last": "last(value)", "label": "last(label)"}},
            "around": {"from": "clicks", "by": ["kind"], "on": "at", "anchor": "due", "window": "90m", "ahead": "1h",
                "values": {"n": "count()", "mean": "mean(value)"}},
            "all": {"from": "clicks", "by": [], "window": "1h", "values": {"n": "count()", "sd": "std(value)"}},
            "peers": {"from": "orders", "by": ["shop"], "on": "due", "anchor": "due", "window": "4h", "ahead": "4h",
                "values": {"n": "count()"}},
            "l0": {"from": "clicks", "by": ["shop"], "last": {"value": "value", "label": "label"}, "within": "2h"},
            "l2": {"from": "clicks", "by": ["shop"], "last": {"value": "value"}, "lag": 2}
        },
        "define": {
            "shop": {"expr": "shop", "kind": "category"},
            "lead": "minutes(due - as_of)",
            "w_n": "w.n", "w_nv": "w.nv", "w_sum": "w.sum", "w_mean": "w.mean", "w_rate": "w.rate", "w_min": "w.min",
            "w_max": "w.max", "w_sd": "w.sd", "w_last": "w.last", "w_label": {"expr": "w.label", "kind": "category"},
            "w_labels": "w.labels", "w_values": "w.values",
            "on_n": "on.n", "on_sum": "on.sum", "on_last": "on.last", "on_label": {"expr": "on.label", "kind": "category"},
            "around_n": "around.n", "around_mean": "around.mean", "all_n": "all.n", "all_sd": "all.sd", "peers_n": "peers.n",
            "l0_value": "l0.value", "l0_label": {"expr": "l0.label", "kind": "category"}, "l0_age": "l0.age_s",
            "l2_value": "l2.value", "l2_age": "l2.age_s"
        }
    }))
    .unwrap();
    spec
}

/// `SplitMix64`: Steele, Lea and Flood 2014.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub(crate) fn below(&mut self, n: i64) -> i64 {
        (self.next() % n.unsigned_abs()) as i64
    }
    pub(crate) fn maybe<T>(&mut self, value: T) -> Option<T> {
        (self.below(8) != 0).then_some(value)
    }
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as i64 + 1) as usize);
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Click {
    pub(crate) known: i64,
    pub(crate) seq: i64,
    pub(crate) row: i32,
    pub(crate) shop: Option<String>,
    pub(crate) kind: String,
    pub(crate) at: Option<i64>,
    pub(crate) value: Option<f64>,
    pub(crate) flag: Option<bool>,
    pub(crate) label: Option<String>,
}

#[derive(Clone, Debug)]
pub(crate) struct Order {
    pub(crate) known: i64,
    pub(crate) seq: i64,
    pub(crate) id: i32,
    pub(crate) shop: Option<String>,
    pub(crate) kind: String,
    pub(crate) due: i64,
}

pub(crate) struct Shops {
    pub(crate) clicks: Vec<Click>,
    pub(crate) orders: Vec<Order>,
    /// Entity key and instant, sorted by instant.
    pub(crate) questions: Vec<(i32, i64)>,
}

/// Four days of shops; times collide on purpose (whole minutes).
pub(crate) fn generate(seed: u64, clicks: usize, orders: usize) -> Shops {
    let mut random = Random(seed);
    let shop = |r: &mut Random| {
        let n = r.below(5);
        r.maybe(format!("shop{n}"))
    };
    let mut found = Shops { clicks: vec![], orders: vec![], questions: vec![] };
    for i in 0..clicks {
        let known = random.below(4 * 24 * 60) * MINUTE;
        let at = known - random.below(6 * 60) * MINUTE + HOUR;
        let (n, kind) = (random.below(4), random.below(2));
        let value = (random.below(2001) - 1000) as f64 / 7.0;
        found.clicks.push(Click {
            known,
            seq: i as i64 / 3,
            row: i as i32 % 3,
            shop: shop(&mut random),
            kind: format!("k{kind}"),
            at: random.maybe(at),
            value: random.maybe(value),
            flag: random.maybe(n > 1),
            label: random.maybe(format!("label{n}")),
        });
    }
    for i in 0..orders {
        let id = i as i32 / 2;
        let due = random.below(4 * 24 * 60) * MINUTE;
        let known = due - random.below(30 * 60) * MINUTE;
        let kind = random.below(2);
        let order = Order { known, seq: i as i64, id, shop: shop(&mut random), kind: format!("k{kind}"), due };
        for _ in 0..2 {
            let delay = random.below(20 * 60) * MINUTE;
            found.questions.push((id, due - 2 * HOUR + delay - 3 * HOUR));
        }
        found.orders.push(order);
    }
    found.questions.push((i32::MAX, 2 * 24 * HOUR));
    found.questions.sort_by_key(|(id, at)| (*at, *id));
    found
}

fn instants(values: impl Iterator<Item = Option<i64>>) -> ArrayRef {
    Arc::new(values.collect::<TimestampMillisecondArray>().with_timezone("UTC"))
}

pub(crate) fn click_batch(rows: &[Click]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("shop", Arc::new(rows.iter().map(|r| r.shop.as_deref()).collect::<StringArray>())),
        ("kind", Arc::new(rows.iter().map(|r| Some(r.kind.as_str())).collect::<StringArray>())),
        ("at", instants(rows.iter().map(|r| r.at))),
        ("value", Arc::new(rows.iter().map(|r| r.value).collect::<Float64Array>())),
        ("flag", Arc::new(rows.iter().map(|r| r.flag).collect::<BooleanArray>())),
        ("label", Arc::new(rows.iter().map(|r| r.label.as_deref()).collect::<StringArray>())),
        ("tm_seq", Arc::new(rows.iter().map(|r| Some(r.seq)).collect::<Int64Array>())),
        ("tm_row", Arc::new(rows.iter().map(|r| Some(r.row)).collect::<Int32Array>())),
        ("tm_known_at", instants(rows.iter().map(|r| Some(r.known)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub(crate) fn order_batch(rows: &[Order]) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(rows.iter().map(|r| Some(r.id)).collect::<Int32Array>())),
        ("shop", Arc::new(rows.iter().map(|r| r.shop.as_deref()).collect::<StringArray>())),
        ("kind", Arc::new(rows.iter().map(|r| Some(r.kind.as_str())).collect::<StringArray>())),
        ("due", instants(rows.iter().map(|r| Some(r.due)))),
        ("tm_seq", Arc::new(rows.iter().map(|r| Some(r.seq)).collect::<Int64Array>())),
        ("tm_row", Arc::new(rows.iter().map(|_| Some(0)).collect::<Int32Array>())),
        ("tm_known_at", instants(rows.iter().map(|r| Some(r.known)))),
    ];
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap()
}

pub(crate) fn source(name: &str) -> SourceName {
    name.parse().unwrap()
}

pub(crate) fn plan() -> Arc<Plan> {
    Arc::new(Plan::compile(&shops()).unwrap())
}

pub(crate) fn questions(asked: &[(i32, i64)]) -> (ArrayRef, Vec<Millis>) {
    let keys: Int32Array = asked.iter().map(|(id, _)| Some(*id)).collect();
    (Arc::new(keys), asked.iter().map(|(_, at)| Millis(*at)).collect())
}

/// Feeds in knowledge-time order, in batches of `size` rows.
pub(crate) fn feeds(shops: &Shops, size: usize) -> Vec<(SourceName, Feed<'static>)> {
    let mut clicks = shops.clicks.clone();
    clicks.sort_by_key(|r| r.known);
    let mut orders = shops.orders.clone();
    orders.sort_by_key(|r| r.known);
    let clicks: Vec<_> = clicks.chunks(size).map(|c| Ok(click_batch(c))).collect();
    let orders: Vec<_> = orders.chunks(size).map(|c| Ok(order_batch(c))).collect();
    vec![(source("clicks"), Box::new(clicks.into_iter())), (source("orders"), Box::new(orders.into_iter()))]
}
