//! An order of columns in which alike ones stand side by side.

/// The leaves of a tree of clusters from left to right: average linkage over `1 − strength`.
///
/// Of two clusters that are joined, the orientation is taken in which the columns that meet are most alike.
#[must_use]
pub fn clustered(columns: usize, strength: impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let mut clusters: Vec<Vec<usize>> = (0..columns).map(|at| vec![at]).collect();
    let mean = |a: &[usize], b: &[usize]| {
        let sum: f64 = a.iter().flat_map(|x| b.iter().map(|y| strength(*x, *y))).sum();
        sum / (a.len() * b.len()) as f64
    };
    while clusters.len() > 1 {
        let mut best = (0, 1, f64::NEG_INFINITY);
        for i in 0..clusters.len() {
            for j in i + 1..clusters.len() {
                let alike = mean(&clusters[i], &clusters[j]);
                if alike > best.2 {
                    best = (i, j, alike);
                }
            }
        }
        let second = clusters.remove(best.1);
        let first = std::mem::take(&mut clusters[best.0]);
        clusters[best.0] = oriented(first, second, &strength);
    }
    clusters.pop().unwrap_or_default()
}

fn oriented(first: Vec<usize>, second: Vec<usize>, strength: &impl Fn(usize, usize) -> f64) -> Vec<usize> {
    let turned = |side: &[usize]| side.iter().rev().copied().collect::<Vec<_>>();
    let mut best: Option<(f64, Vec<usize>)> = None;
    for a in [first.clone(), turned(&first)] {
        for b in [second.clone(), turned(&second)] {
            let meeting = a.last().zip(b.first()).map_or(0.0, |(x, y)| strength(*x, *y));
            if best.as_ref().is_none_or(|(most, _)| meeting > *most) {
                best = Some((meeting, a.iter().chain(&b).copied().collect()));
            }
        }
    }
    best.map(|(_, order)| order).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alike_columns_stand_side_by_side() {
        // 0 and 3 are alike, 1 and 2 are alike, 3 and 1 a little.
        let strength = |a: usize, b: usize| match (a.min(b), a.max(b)) {
            (0, 3) => 0.9,
            (1, 2) => 0.8,
            (1, 3) => 0.4,
            _ => 0.1,
        };
        let order = clustered(4, strength);
        assert!(order == [0, 3, 1, 2] || order == [2, 1, 3, 0], "{order:?}");
        assert!(clustered(0, |_, _| 0.0).is_empty() && clustered(1, |_, _| 0.0) == [0]);
    }
}
