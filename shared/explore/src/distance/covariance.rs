//! Distance covariance of two number columns in O(n log n) (Huo & Székely 2016; Chaudhuri & Hu 2019).

/// A column as its distances are needed: Σ |xᵢ − xⱼ| of each row, and the order of the rows.
#[derive(Clone, Debug)]
pub struct Distances {
    /// Values, moved and scaled into −1 … 1, which changes no correlation.
    values: Vec<f64>,
    /// Rows in rising order.
    order: Vec<usize>,
    /// Place of each row's value among the different values, from 1.
    ranks: Vec<usize>,
    /// Distances of each row to all rows.
    sums: Vec<f64>,
    /// Distances of all rows to all rows.
    total: f64,
    /// Distance variance: the covariance with itself.
    variance: f64,
}

impl Distances {
    /// Prepares finite values.
    #[must_use]
    pub fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let far = values.iter().map(|value| (value - mean).abs()).fold(0.0, f64::max);
        let scale = if far > 0.0 && far.is_finite() { far } else { 1.0 };
        let values: Vec<f64> = values.iter().map(|value| (value - mean) / scale).collect();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
        let all: f64 = values.iter().sum();
        let (mut ranks, mut sums) = (vec![0; values.len()], vec![0.0; values.len()]);
        let (mut rank, mut last, mut below) = (0, f64::NAN, 0.0);
        for (place, row) in order.iter().enumerate() {
            let value = values[*row];
            if value != last {
                (rank, last) = (rank + 1, value);
            }
            ranks[*row] = rank;
            // Rows before it are smaller, those behind it larger.
            sums[*row] = value * (2.0 * place as f64 - n) + all - 2.0 * below;
            below += value;
        }
        let total = sums.iter().sum();
        let squares: f64 = values.iter().map(|value| value * value).sum();
        let mut made = Self { values, order, ranks, sums, total, variance: 0.0 };
        let of_sums: f64 = made.sums.iter().map(|sum| sum * sum).sum();
        let own = 2.0 * n * squares - 2.0 * all * all;
        made.variance = centred(own, of_sums, (total, total), n);
        made
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len()
    }

    /// Distance covariance, squared, with the other column in this order of its rows: row `i` of this column meets row
    /// `order[i]` of the other.
    pub(super) fn product(&self, other: &Self, order: &[usize]) -> f64 {
        let of_sums: f64 = self.sums.iter().zip(order).map(|(sum, row)| sum * other.sums[*row]).sum();
        centred(self.products(other, order), of_sums, (self.total, other.total), self.rows() as f64)
    }

    /// Σ |xᵢ − xⱼ| |yᵢ − yⱼ| over all pairs of rows.
    fn products(&self, other: &Self, order: &[usize]) -> f64 {
        let mut seen = Sums::default();
        let mut by_rank = vec![Sums::default(); other.ranks.iter().max().map_or(0, |most| most + 1)];
        let mut found = 0.0;
        for row in &self.order {
            let (x, met) = (self.values[*row], order[*row]);
            let (y, rank) = (other.values[met], other.ranks[met]);
            // Rows before have a smaller x; of those with a smaller y the product counts as it is, of the others negative.
            let mut below = Sums::default();
            let mut at = rank;
            while at > 0 {
                below.add(&by_rank[at]);
                at &= at - 1;
            }
            found += 2.0 * below.product(x, y) - seen.product(x, y);
            let own = Sums { count: 1.0, x, y, xy: x * y };
            seen.add(&own);
            let mut at = rank;
            while let Some(sums) = by_rank.get_mut(at) {
                sums.add(&own);
                at += at & at.wrapping_neg();
            }
        }
        2.0 * found
    }
}

/// Sums over some rows.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    count: f64,
    x: f64,
    y: f64,
    xy: f64,
}

impl Sums {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.x += other.x;
        self.y += other.y;
        self.xy += other.xy;
    }

    /// Σ (x − xᵢ)(y − yᵢ) over the rows.
    fn product(&self, x: f64, y: f64) -> f64 {
        x * y * self.count - x * self.y - y * self.x + self.xy
    }
}

/// The mean product of doubly centred distances, from sums of the plain ones.
fn centred(products: f64, of_sums: f64, totals: (f64, f64), n: f64) -> f64 {
    products / (n * n) - 2.0 * of_sums / (n * n * n) + (totals.0 / (n * n)) * (totals.1 / (n * n))
}

/// Distance correlation, 0 to 1; none when a column does not vary.
#[must_use]
pub fn correlation(a: &Distances, b: &Distances) -> Option<f64> {
    let rows: Vec<usize> = (0..a.rows()).collect();
    let scale = (a.variance * b.variance).sqrt();
    let varies = a.rows() == b.rows() && scale > f64::EPSILON;
    varies.then(|| (a.product(b, &rows).max(0.0) / scale).sqrt().min(1.0))
}
