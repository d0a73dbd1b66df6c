//! Fewer points for the same picture: what is drawn is bounded whatever is given.

/// Points a chart draws at most, over all its series.
pub(crate) const MOST_POINTS: usize = 1_000;
/// Points kept of one column of pixels: first, lowest, highest, last.
const KEPT: usize = 4;

/// At most `most` points with the same outline: of each column of pixels the first, lowest, highest and last remain.
///
/// Points go from left to right; a value that is not finite is a gap, which stays one where whole columns are missing.
pub(crate) fn thinned(points: &[(f64, f64)], most: usize) -> Vec<(f64, f64)> {
    if points.len() <= most {
        return points.to_vec();
    }
    let finite = || points.iter().filter(|(x, y)| x.is_finite() && y.is_finite());
    let (low, high) = finite().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(p.0), h.max(p.0)));
    // Each column may be followed by a gap.
    let columns = (most / (KEPT + 1)).max(1);
    let column =
        |x: f64| (((x - low) / (high - low).max(f64::MIN_POSITIVE) * columns as f64) as usize).min(columns - 1);
    let mut kept = Vec::with_capacity(most);
    let mut open: Option<(usize, Column)> = None;
    let mut gap = false;
    for point in points {
        if !point.0.is_finite() || !point.1.is_finite() {
            gap = true;
            continue;
        }
        let at = column(point.0);
        match &mut open {
            Some((current, held)) if *current == at => held.take(*point),
            _ => {
                if let Some((_, held)) = open.take() {
                    held.push_to(&mut kept);
                    if gap {
                        kept.push((f64::NAN, f64::NAN));
                    }
                }
                open = Some((at, Column::new(*point)));
            }
        }
        gap = false;
    }
    if let Some((_, held)) = open {
        held.push_to(&mut kept);
    }
    kept
}

/// At most `most` neighbouring groups, each summed: bars of a histogram that is finer than its picture.
pub(crate) fn merged(counts: &[f64], most: usize) -> Vec<f64> {
    let size = counts.len().div_ceil(most.max(1)).max(1);
    counts.chunks(size).map(|group| group.iter().filter(|c| c.is_finite()).sum()).collect()
}

/// The edges that remain when [`merged`] sums neighbouring bins.
pub(crate) fn merged_edges(edges: &[f64], most: usize) -> Vec<f64> {
    let bins = edges.len().saturating_sub(1);
    let size = bins.div_ceil(most.max(1)).max(1);
    (0..bins).step_by(size).chain((bins > 0).then_some(bins)).map(|i| edges[i]).collect()
}

/// The first, lowest, highest and last point of one column, with their order.
struct Column {
    first: (f64, f64),
    low: (usize, (f64, f64)),
    high: (usize, (f64, f64)),
    last: (usize, (f64, f64)),
}

impl Column {
    fn new(point: (f64, f64)) -> Self {
        Self { first: point, low: (0, point), high: (0, point), last: (0, point) }
    }

    fn take(&mut self, point: (f64, f64)) {
        let order = self.last.0 + 1;
        if point.1 < self.low.1.1 {
            self.low = (order, point);
        }
        if point.1 > self.high.1.1 {
            self.high = (order, point);
        }
        self.last = (order, point);
    }

    fn push_to(self, kept: &mut Vec<(f64, f64)>) {
        let mut all = [(0, self.first), self.low, self.high, self.last];
        all.sort_by_key(|(order, _)| *order);
        let mut before = None;
        for (order, point) in all {
            if before != Some(order) {
                kept.push(point);
            }
            before = Some(order);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_points_become_a_thousand_and_keep_their_extremes() {
        let mut points: Vec<(f64, f64)> = (0..1_000_000).map(|i| (f64::from(i), f64::from(i % 97))).collect();
        points[123_456].1 = 5_000.0;
        points[765_432].1 = -5_000.0;
        let kept = thinned(&points, MOST_POINTS);
        assert!(kept.len() <= MOST_POINTS, "{}", kept.len());
        for extreme in [points[0], points[123_456], points[765_432], points[999_999]] {
            assert!(kept.contains(&extreme), "{extreme:?}");
        }
        assert!(kept.windows(2).all(|pair| pair[0].0 <= pair[1].0), "the order changed");
    }

    #[test]
    fn wide_gaps_stay_gaps() {
        let value = |i: i32| if (30_000..60_000).contains(&i) { f64::NAN } else { 1.0 };
        let points: Vec<(f64, f64)> = (0..100_000).map(|i| (f64::from(i), value(i))).collect();
        let gaps = thinned(&points, 100).iter().filter(|p| p.1.is_nan()).count();
        assert_eq!(gaps, 1);
        assert!(thinned(&[(0.0, f64::NAN); 5_000], 100).is_empty());
    }

    #[test]
    fn groups_keep_the_sum() {
        let counts = vec![1.0; 1_003];
        let groups = merged(&counts, 40);
        assert!(groups.len() <= 40);
        assert!((groups.iter().sum::<f64>() - 1_003.0).abs() < 1e-9);
        assert!(merged(&[], 40).is_empty());
        let edges: Vec<f64> = (0..=1_003).map(f64::from).collect();
        let kept = merged_edges(&edges, 40);
        assert_eq!((kept.len(), kept.first(), kept.last()), (groups.len() + 1, Some(&0.0), Some(&1_003.0)));
    }
}
