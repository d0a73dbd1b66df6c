//! What the engine promises, on seeded random data.

use crate::data::{
    HOUR, LOOKBACK, Random, Shops, click_batch, feeds, flights, generate, order_batch, plan, questions, source,
};
use crate::reference::{Cell, answer};
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float64Type};
use tidemill_features::{Engine, FeatureError, Plan, Reading, Status, replay};
use tidemill_types::{Classified, Millis};

fn cell(array: &ArrayRef, row: usize) -> Cell {
    if array.is_null(row) {
        return Cell::Null;
    }
    match array.data_type() {
        DataType::Utf8 => Cell::Text(array.as_string::<i32>().value(row).to_owned()),
        _ => Cell::Number(array.as_primitive::<Float64Type>().value(row).to_bits()),
    }
}

/// Every cell as bits, so that equality means equality to the last bit.
fn bits(batch: &RecordBatch) -> Vec<Vec<Cell>> {
    batch.columns().iter().map(|a| (0..a.len()).map(|row| cell(a, row)).collect()).collect()
}

fn same(left: &Reading, right: &Reading) {
    assert_eq!(left.status, right.status);
    assert_eq!(bits(&left.batch), bits(&right.batch));
    assert_eq!(left.entity, right.entity);
}

fn replayed(shops: &Shops, size: usize) -> Reading {
    let (keys, as_of) = questions(&shops.questions);
    replay(plan(), feeds(shops, size), &keys, &as_of).unwrap()
}

#[test]
fn a_replay_equals_the_naive_reference() {
    let shops = generate(11, 1_500, 160);
    let reading = replayed(&shops, 97);
    let mut present = 0;
    for (row, (id, at)) in shops.questions.iter().enumerate() {
        let (status, cells) = answer(&shops, *id, *at);
        assert_eq!(reading.status[row], status, "entity {id} at {at}");
        for (name, expected) in &cells {
            let found = cell(reading.batch.column_by_name(name).unwrap(), row);
            assert_eq!(found, *expected, "{name} of entity {id} at {at}");
        }
        if status == Status::Present {
            present += 1;
            assert_eq!(cells.len(), reading.batch.num_columns(), "the reference covers every feature");
        }
    }
    assert!(present > 100 && present < shops.questions.len(), "{present} of {}", shops.questions.len());
}

#[test]
fn order_and_batching_of_pushes_do_not_matter() {
    let mut shops = generate(5, 800, 80);
    // All within one lookback, so that one engine answers all questions at any time.
    for click in &mut shops.clicks {
        click.known /= 9;
        click.at = click.at.map(|t| t / 9);
    }
    for order in &mut shops.orders {
        order.due /= 9;
        order.known /= 9;
    }
    let asked: Vec<_> = shops.questions.iter().map(|(id, at)| (*id, at / 9)).collect();
    let (keys, as_of) = questions(&asked);
    let read = |seed: u64, size: usize, twice: bool| {
        let mut random = Random(seed);
        let (mut clicks, mut orders) = (shops.clicks.clone(), shops.orders.clone());
        random.shuffle(&mut clicks);
        random.shuffle(&mut orders);
        let mut engine = Engine::new(plan());
        let mut repeated = 0;
        for _ in 0..=usize::from(twice) {
            for part in orders.chunks(size) {
                repeated += engine.push(&source("orders"), &order_batch(part)).unwrap().repeated;
            }
            for part in clicks.chunks(size) {
                repeated += engine.push(&source("clicks"), &click_batch(part)).unwrap().repeated;
            }
        }
        (engine.read(&keys, &as_of).unwrap(), repeated)
    };
    let (first, repeated) = read(1, 10_000, false);
    assert_eq!(repeated, 0);
    assert!(first.status.iter().filter(|s| **s == Status::Present).count() > 50);
    for (seed, size) in [(2, 1), (3, 7), (4, 300)] {
        let (again, repeated) = read(seed, size, false);
        assert_eq!(repeated, 0);
        same(&first, &again);
    }
    let (twice, repeated) = read(6, 50, true);
    assert_eq!(repeated, shops.clicks.len() + shops.orders.len());
    same(&first, &twice);
}

#[test]
fn online_with_evictions_restarts_and_reads_in_arrears_equals_the_replay() {
    let shops = generate(23, 1_200, 140);
    let offline = replayed(&shops, 64);
    let mut random = Random(99);
    let mut events: Vec<(i64, Option<usize>, Option<usize>)> = vec![];
    events.extend(shops.clicks.iter().enumerate().map(|(i, r)| (r.known, Some(i), None)));
    events.extend(shops.orders.iter().enumerate().map(|(i, r)| (r.known, None, Some(i))));
    random.shuffle(&mut events);
    events.sort_by_key(|e| e.0);
    // Each question waits a random time, up to the lookback, before it is asked.
    let mut waiting: Vec<(i64, usize)> =
        shops.questions.iter().enumerate().map(|(i, (_, at))| (at + random.below(LOOKBACK), i)).collect();
    waiting.sort_unstable();
    let mut waiting = waiting.into_iter().peekable();
    let mut engine = Engine::new(plan());
    let mut answered = 0;
    let mut largest = 0;
    for (known, click, order) in events.iter().chain([&(i64::MAX, None, None)]) {
        while let Some((_, i)) = waiting.next_if(|(asked, _)| asked < known) {
            let (keys, as_of) = questions(&shops.questions[i..=i]);
            let reading = engine.read(&keys, &as_of).unwrap();
            assert_eq!(reading.status[0], offline.status[i], "question {i}");
            assert_eq!(bits(&reading.batch), bits(&offline.batch.slice(i, 1)), "question {i}");
            assert_eq!(reading.entity, offline.entity.slice(i, 1));
            answered += 1;
        }
        if let Some(i) = click {
            engine.push(&source("clicks"), &click_batch(&shops.clicks[*i..=*i])).unwrap();
        }
        if let Some(i) = order {
            engine.push(&source("orders"), &order_batch(&shops.orders[*i..=*i])).unwrap();
        }
        largest = largest.max(engine.size().entries);
        match random.below(40) {
            0 => drop(engine.evict(Millis(*known)).unwrap()),
            1 => engine = Engine::restore(plan(), &engine.checkpoint().unwrap()).unwrap(),
            _ => {}
        }
    }
    assert_eq!(answered, shops.questions.len());
    let all = 5 * shops.clicks.len();
    assert!(largest < all * 3 / 4, "memory is bounded: {largest} entries at most, {all} without eviction");
}

#[test]
fn rows_taken_back_are_as_if_they_had_never_come() {
    let shops = generate(47, 1_500, 400);
    let (clicks, orders) = (source("clicks"), source("orders"));
    let newest = shops.clicks.iter().map(|r| r.known).max().unwrap();
    let floor = newest - LOOKBACK;
    // Of what became known since the floor, some will not stand; it carries later sequences than all the rest.
    let last = 1_000_000;
    let stands = |known: i64, seq: i64, every: i64| known <= floor || seq % every != 0;
    let mut sent = Shops { questions: vec![], ..generate(47, 1_500, 400) };
    for click in sent.clicks.iter_mut().filter(|r| !stands(r.known, r.seq, 3)) {
        click.seq += last;
    }
    for order in sent.orders.iter_mut().filter(|r| !stands(r.known, r.seq, 4)) {
        order.seq += last;
    }
    let kept_clicks: Vec<_> = sent.clicks.iter().filter(|r| r.seq < last).cloned().collect();
    let kept_orders: Vec<_> = sent.orders.iter().filter(|r| r.seq < last).cloned().collect();
    let made = |some_clicks: &[crate::data::Click], some_orders: &[crate::data::Order]| {
        let mut engine = Engine::new(plan());
        engine.push(&orders, &order_batch(some_orders)).unwrap();
        engine.push(&clicks, &click_batch(some_clicks)).unwrap();
        engine.evict(Millis(newest)).unwrap();
        Engine::restore(plan(), &engine.checkpoint().unwrap()).unwrap()
    };
    let (mut engine, clean) = (made(&sent.clicks, &sent.orders), made(&kept_clicks, &kept_orders));
    let (keys, as_of) = questions(&shops.questions);
    let (before, wanted) = (engine.read(&keys, &as_of).unwrap(), clean.read(&keys, &as_of).unwrap());
    assert!(wanted.status.iter().filter(|s| **s == Status::Present).count() > 20);
    assert_ne!(bits(&before.batch), bits(&wanted.batch), "what will be taken back makes a difference");

    let known = |all: &mut dyn Iterator<Item = i64>| all.max().map(Millis);
    engine.take_back(&clicks, Some(last), known(&mut kept_clicks.iter().map(|r| r.known))).unwrap();
    engine.take_back(&orders, Some(last), known(&mut kept_orders.iter().map(|r| r.known))).unwrap();
    same(&engine.read(&keys, &as_of).unwrap(), &wanted);
    assert_eq!((engine.size(), engine.newest_known_at()), (clean.size(), clean.newest_known_at()));

    // All of a source, and pushed again.
    engine.take_back(&clicks, None, None).unwrap();
    assert_ne!(bits(&engine.read(&keys, &as_of).unwrap().batch), bits(&wanted.batch));
    engine.push(&clicks, &click_batch(&kept_clicks)).unwrap();
    same(&engine.read(&keys, &as_of).unwrap(), &wanted);
}

#[test]
fn rows_known_later_change_nothing() {
    let shops = generate(31, 600, 60);
    let with_all = replayed(&shops, 50);
    let present: Vec<usize> = (0..with_all.status.len()).filter(|i| with_all.status[*i] == Status::Present).collect();
    for i in present.into_iter().step_by(7) {
        let (id, at) = shops.questions[i];
        let past = Shops {
            clicks: shops.clicks.iter().filter(|r| r.known <= at).cloned().collect(),
            orders: shops.orders.iter().filter(|r| r.known <= at).cloned().collect(),
            questions: vec![(id, at)],
        };
        assert_eq!(bits(&replayed(&past, 50).batch), bits(&with_all.batch.slice(i, 1)), "entity {id} at {at}");
    }
}

#[test]
fn a_caller_may_bring_the_entity_row() {
    let shops = generate(41, 400, 1);
    let mut engine = Engine::new(plan());
    for (feed, batches) in feeds(&shops, 1_000) {
        for batch in batches {
            engine.push(&feed, &batch.unwrap()).unwrap();
        }
    }
    let order = &shops.orders[0];
    let at = [Millis(engine.oldest_answerable().unwrap().0.max(order.known))];
    let row = order_batch(&shops.orders[..1]);
    let reading = engine.read_rows(&row, &at).unwrap();
    assert_eq!(reading.status, [Status::Present]);
    assert_eq!(reading.batch.schema(), *engine.plan().schema());
    assert_eq!(engine.plan().as_of_for(&row).unwrap(), [Some(Millis(order.due - 2 * HOUR))]);
    let early = [Millis(at[0].0 - 5 * LOOKBACK)];
    assert_eq!(engine.read_rows(&row, &early).unwrap().status, [Status::OutsideLookback]);
    let (keys, _) = questions(&[(order.id, 0)]);
    assert_eq!(engine.read(&keys, &early).unwrap().status, [Status::OutsideLookback]);
}

#[test]
fn damaged_and_foreign_checkpoints_are_refused() {
    let shops = generate(3, 50, 6);
    let mut engine = Engine::new(plan());
    for (feed, batches) in feeds(&shops, 20) {
        for batch in batches {
            engine.push(&feed, &batch.unwrap()).unwrap();
        }
    }
    let good = engine.checkpoint().unwrap();
    let restored = Engine::restore(plan(), &good).unwrap();
    assert_eq!(restored.checkpoint().unwrap(), good, "equal states give equal bytes");
    assert_eq!(restored.size(), engine.size());
    assert_eq!(restored.position(&source("clicks")), engine.position(&source("clicks")));
    for at in (0..good.len()).step_by(501) {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(matches!(Engine::restore(plan(), &bad), Err(FeatureError::Damaged(_))), "byte {at}");
    }
    assert!(matches!(Engine::restore(plan(), &good[..good.len() / 2]), Err(FeatureError::Damaged(_))));
    let other = std::sync::Arc::new(Plan::compile(&flights()).unwrap());
    let refused = Engine::restore(other, &good).err().unwrap();
    assert!(matches!(refused, FeatureError::OtherPlan { .. }));
    assert_eq!(refused.code().to_string(), "TM0809");
}

#[test]
fn a_batch_that_fails_leaves_no_trace() {
    let shops = generate(3, 50, 6);
    let mut engine = Engine::new(plan());
    let before = engine.checkpoint().unwrap();
    let batch = click_batch(&shops.clicks);
    let without = batch.project(&[0, 1, 2, 3, 4, 6, 7, 8]).unwrap();
    assert!(engine.push(&source("clicks"), &without).is_err());
    assert!(matches!(engine.push(&source("weather"), &batch), Err(FeatureError::UnknownSource(_))));
    assert_eq!(engine.checkpoint().unwrap(), before);
}

#[test]
fn a_replay_refuses_disorder() {
    let shops = generate(3, 50, 6);
    let (keys, as_of) = questions(&[(0, 10 * HOUR), (0, 9 * HOUR)]);
    assert!(matches!(replay(plan(), feeds(&shops, 9), &keys, &as_of), Err(FeatureError::Backwards { .. })));
    let (keys, as_of) = questions(&[(0, 90 * HOUR)]);
    let mut clicks = shops.clicks.clone();
    clicks.sort_by_key(|r| -r.known);
    let mut feeds = feeds(&shops, 9);
    feeds[0].1 = Box::new([Ok(click_batch(&clicks))].into_iter());
    assert!(matches!(replay(plan(), feeds, &keys, &as_of), Err(FeatureError::Feed { .. })));
}
