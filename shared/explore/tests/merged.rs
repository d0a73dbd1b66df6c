//! Many commits in bounded memory.

mod commits;

use commits::report;
use tidemill_explore::{Merged, Spans};
use tidemill_stats::random::Random;

#[test]
fn everything_is_kept_in_few_spans_in_whatever_order_it_comes() {
    let mut instants: Vec<i64> = (0..5_000).map(|n| 1_700_000_000_000 + n * 61_000).collect();
    instants.extend([0, i64::MIN, i64::MAX]);
    let mut random = Random::new(3);
    for beyond in [3, 2, 0] {
        let mut some = instants[..instants.len() - beyond].to_vec();
        random.shuffle(&mut some);
        let mut spans = Spans::default();
        for at in &some {
            spans.add(*at, 1, |a, b| *a += b);
            assert!(spans.iter().count() <= 64);
        }
        assert_eq!(spans.iter().map(|(_, count)| count).sum::<usize>(), some.len());
        assert!(beyond < 3 || spans.iter().count() > 32, "{}", spans.iter().count());
        assert!(spans.iter().is_sorted_by_key(|(at, _)| at));
    }
}

#[test]
fn what_is_kept_does_not_grow_with_the_number_of_commits() {
    let mut merged = Merged::default();
    for version in 1..=1_000 {
        merged.add(report(version));
    }
    assert_eq!((merged.commits, merged.profile.rows), (1_000, 10_000));
    let over_time = merged.over_time().unwrap();
    let moments = &over_time.columns[0].moments;
    assert!((32..=64).contains(&moments.len()), "{}", moments.len());
    assert_eq!(moments.iter().map(|moment| moment.rows).sum::<u64>(), 10_000);
    let medians: Vec<f64> = moments.iter().map(|moment| moment.quartiles.unwrap()[1]).collect();
    assert!(medians.is_sorted(), "{medians:?}");
    assert!(merged.quality().scores.len() <= 64);
    assert!(merged.origin().contains("known from 1970-01-02"), "{}", merged.origin());
}
