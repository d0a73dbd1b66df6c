//! A bounded sample of rows: a row is in it when its hash is small enough.
//!
//! Which rows are drawn depends on seed and row number alone, so that columns that are read apart, in any order and on
//! any thread, yield the same rows.

/// Decides which rows are in the sample.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
    /// Rows whose hash is at most this are drawn.
    limit: u64,
}

impl Draw {
    /// About `wanted` of `rows` rows; all of them when there are no more.
    #[must_use]
    pub fn of(rows: u64, wanted: u64, seed: u64) -> Self {
        let limit = match rows <= wanted {
            true => u64::MAX,
            false => ((u128::from(u64::MAX) * u128::from(wanted)) / u128::from(rows)) as u64,
        };
        Self { seed, limit }
    }

    /// Half as many rows, all of which are in this draw too.
    #[must_use]
    pub fn halved(self) -> Self {
        Self { limit: self.limit / 2, ..self }
    }

    /// Whether every row is drawn.
    #[must_use]
    pub fn is_whole(self) -> bool {
        self.limit == u64::MAX
    }

    /// Whether a row is drawn.
    #[must_use]
    pub fn takes(self, row: u64) -> bool {
        self.is_whole() || mixed(row ^ self.seed) <= self.limit
    }

    /// The drawn rows of `first .. first + rows`, counted from `first`.
    #[must_use]
    pub fn rows(self, first: u64, rows: u64) -> Vec<u32> {
        (0..rows as u32).filter(|row| self.takes(first + u64::from(*row))).collect()
    }
}

/// The finaliser of SplitMix64: every bit of a word depends on every bit of the row.
fn mixed(row: u64) -> u64 {
    let mut z = row.wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_draw_has_about_the_wanted_size_and_no_pattern() {
        let draw = Draw::of(1_000_000, 10_000, 7);
        let rows = draw.rows(0, 1_000_000);
        assert!(rows.len().abs_diff(10_000) < 400, "{}", rows.len());
        assert!(rows.iter().filter(|row| *row % 2 == 0).count().abs_diff(5_000) < 300);
        assert!(Draw::of(50, 100, 7).rows(0, 50).len() == 50 && Draw::of(50, 100, 7).is_whole());
        let half = draw.halved();
        assert!((0..100_000).all(|row| !half.takes(row) || draw.takes(row)));
        assert_ne!(draw.rows(0, 1_000), Draw::of(1_000_000, 10_000, 8).rows(0, 1_000));
    }
}
