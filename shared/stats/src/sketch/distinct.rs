//! `HyperLogLog`: how many different values, in four kilobytes.

use serde::{Deserialize, Serialize};

const PRECISION: u32 = 12;
const REGISTERS: usize = 1 << PRECISION;
const Q: usize = 64 - PRECISION as usize;

/// Distinct count of hashed values; standard error 1.04/√4096 = 1.6 %.
///
/// Registers of Flajolet et al. (2007) over 64-bit xxh3 hashes; Ertl's improved raw estimator (2017), which needs no
/// switch to linear counting because it is unbiased over the whole range, small counts included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Distinct {
    registers: Vec<u8>,
}

impl Default for Distinct {
    fn default() -> Self {
        Self { registers: vec![0; REGISTERS] }
    }
}

impl Distinct {
    /// The standard error of [`Self::estimate`], relative to the true count.
    #[must_use]
    pub fn standard_error() -> f64 {
        1.04 / (REGISTERS as f64).sqrt()
    }

    /// Adds a value by its bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.update_hash(crate::hash::bytes(bytes));
    }

    #[inline]
    pub(crate) fn update_hash(&mut self, hash: u64) {
        let register = (hash >> Q) as usize;
        let run = ((hash << PRECISION).leading_zeros() as usize).min(Q) as u8 + 1;
        self.registers[register] = self.registers[register].max(run);
    }

    /// Adds all values behind `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.registers.iter_mut().zip(&other.registers) {
            *mine = (*mine).max(*theirs);
        }
    }

    /// The estimated number of different values.
    #[must_use]
    pub fn estimate(&self) -> f64 {
        let mut histogram = [0.0_f64; Q + 2];
        for register in &self.registers {
            histogram[usize::from(*register)] += 1.0;
        }
        let m = REGISTERS as f64;
        let mut z = m * tau(1.0 - histogram[Q + 1] / m);
        for count in histogram[1..=Q].iter().rev() {
            z = 0.5 * (z + count);
        }
        z += m * sigma(histogram[0] / m);
        m * m / (2.0 * std::f64::consts::LN_2 * z)
    }
}

/// Σ x^(2^k)·2^(k−1), summed until it stands still; infinite at one.
fn sigma(mut x: f64) -> f64 {
    if x >= 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x <= 0.0 || x >= 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

/// One printable character per register, `0` for an empty one.
impl From<Distinct> for String {
    fn from(distinct: Distinct) -> Self {
        distinct.registers.iter().map(|r| char::from(b'0' + r)).collect()
    }
}

impl TryFrom<String> for Distinct {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let registers: Vec<u8> = text.bytes().map(|b| b.wrapping_sub(b'0')).collect();
        if registers.len() != REGISTERS || registers.iter().any(|r| usize::from(*r) > Q + 1) {
            return Err(format!("distinct sketch must be {REGISTERS} registers of at most {}", Q + 1));
        }
        Ok(Self { registers })
    }
}
