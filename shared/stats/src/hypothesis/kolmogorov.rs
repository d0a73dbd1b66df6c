//! The distribution of the two-sided one-sample Kolmogorov statistic.
//!
//! The choice of methods is that of Simard & L'Ecuyer (2011), with fewer branches.

use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// P(Dₙ ≥ x) for a sample of `n` values from a continuous distribution; zero or one outside (0, 1).
#[must_use]
pub fn kolmogorov_sf(n: u64, x: f64) -> f64 {
    let size = n as f64;
    if n == 0 || size * x <= 0.5 {
        return 1.0;
    }
    if x >= 1.0 {
        return 0.0;
    }
    let scaled = size * x * x;
    let probability = match n {
        ..=140 if scaled <= 4.0 => 1.0 - durbin(n as usize, x),
        141.. if scaled < 2.2 => 1.0 - pelz_good(size, x),
        // Miller (1956): in the tail the two one-sided events hardly meet.
        _ => 2.0 * smirnov(n, x),
    };
    probability.clamp(0.0, 1.0)
}

/// P(Dₙ ≤ x) by Durbin's matrix in the form of Marsaglia, Tsang & Wang (2003); exact, for small n·x.
fn durbin(n: usize, x: f64) -> f64 {
    let nx = n as f64 * x;
    let k = nx.ceil() as usize;
    let h = k as f64 - nx;
    let m = 2 * k - 1;
    let mut matrix = vec![vec![0.0; m]; m];
    let mut inverse_factorials = vec![1.0];
    for j in 1..=m {
        inverse_factorials.push(inverse_factorials[j - 1] / j as f64);
    }
    for (i, row) in matrix.iter_mut().enumerate() {
        for (j, cell) in row.iter_mut().enumerate().take(i + 2) {
            *cell = inverse_factorials[i + 1 - j];
        }
    }
    for i in 0..m {
        let edge = (1.0 - h.powi(i as i32 + 1)) * inverse_factorials[i + 1];
        matrix[i][0] = edge;
        matrix[m - 1][m - 1 - i] = edge;
    }
    let corner = (2.0 * h - 1.0).max(0.0).powi(m as i32) - 2.0 * h.powi(m as i32);
    matrix[m - 1][0] = (1.0 + corner) * inverse_factorials[m];
    let power = matrix_power(matrix, n);
    (1..=n).fold(power[k - 1][k - 1], |p, i| p * i as f64 / n as f64)
}

fn matrix_power(mut base: Vec<Vec<f64>>, mut exponent: usize) -> Vec<Vec<f64>> {
    let m = base.len();
    let mut result: Vec<Vec<f64>> = (0..m).map(|i| (0..m).map(|j| if i == j { 1.0 } else { 0.0 }).collect()).collect();
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = product(&result, &base);
        }
        exponent /= 2;
        if exponent > 0 {
            base = product(&base, &base);
        }
    }
    result
}

fn product(a: &[Vec<f64>], b: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let m = a.len();
    let mut out = vec![vec![0.0; m]; m];
    for (row, out_row) in a.iter().zip(&mut out) {
        for (factor, b_row) in row.iter().zip(b) {
            for (cell, value) in out_row.iter_mut().zip(b_row) {
                *cell += factor * value;
            }
        }
    }
    out
}

/// P(Dₙ ≤ x) by the series of Pelz & Good (1976), good to about seven digits from n = 140.
fn pelz_good(n: f64, x: f64) -> f64 {
    let z = n.sqrt() * x;
    let (z2, z4, z6) = (z.powi(2), z.powi(4), z.powi(6));
    let (pi2, pi4, pi6) = (PI.powi(2), PI.powi(4), PI.powi(6));
    let root = (2.0 * PI).sqrt();
    let terms = (16.0 * z / PI).ceil() as i32;
    let mut sums = [0.0_f64; 4];
    for k in 1..=terms {
        let odd = f64::from(2 * k - 1);
        let (o2, o4, o6) = (odd.powi(2), odd.powi(4), odd.powi(6));
        let weight = (-pi2 * o2 / (8.0 * z2)).exp() * root;
        sums[0] += weight;
        sums[1] += weight * (pi2 / 4.0 * o2 - z2);
        sums[2] += weight
            * (6.0 * z6 + 2.0 * z4 + (2.0 * z4 - 5.0 * z2) * pi2 / 4.0 * o2 + pi4 * (1.0 - 2.0 * z2) / 16.0 * o4);
        sums[3] += weight
            * (-30.0 * z6 - 90.0 * z.powi(8)
                + pi2 * (135.0 * z4 - 96.0 * z6) / 4.0 * o2
                + pi4 * (212.0 * z4 - 60.0 * z2) / 16.0 * o4
                + pi6 * (5.0 - 30.0 * z2) / 64.0 * o6);
    }
    let (mut second, mut third) = (0.0, 0.0);
    for k in 1..=terms {
        let k2 = f64::from(k).powi(2);
        let weight = (-pi2 * k2 / (2.0 * z2)).exp() * k2;
        second += weight;
        third += weight * (3.0 * z2 - pi2 * k2);
    }
    sums[0] / z
        + sums[1] / (6.0 * z4) / n.sqrt()
        + (sums[2] / (72.0 * z.powi(7)) - second * pi2 * root / (36.0 * z.powi(3))) / n
        + (sums[3] / (6480.0 * z.powi(10)) + third * pi2 * root / (216.0 * z6)) / n.powf(1.5)
}

/// P(Dₙ⁺ ≥ x), the one-sided tail: the Birnbaum–Tingey sum, or Smirnov's 1944 approximation for a large sample.
fn smirnov(n: u64, x: f64) -> f64 {
    let size = n as f64;
    if n > 100_000 {
        return (-(6.0 * size * x + 1.0).powi(2) / (18.0 * size)).exp();
    }
    let whole = ln_gamma(size + 1.0);
    let last = (size * (1.0 - x)).floor() as u64;
    let term = |j: u64| {
        let j = j as f64;
        let (up, down) = (x + j / size, 1.0 - x - j / size);
        // The last factor is 0⁰ = 1 where j = n(1 − x) = n, and 0 where the power is positive.
        let falling = if size == j { 0.0 } else { (size - j) * down.max(0.0).ln() };
        (whole - ln_gamma(j + 1.0) - ln_gamma(size - j + 1.0) + (j - 1.0) * up.ln() + falling).exp()
    };
    x * (0..=last).map(term).sum::<f64>()
}
