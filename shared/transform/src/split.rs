//! Splitting rows into training and validation rows.
//!
//! The only place that makes [`TrainRows`].

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Where a split by time cuts. Instants are in the unit of the times given to [`Split::by_time`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// Training rows are strictly before this instant.
    pub train_until: i64,
    /// Embargo: rows in `[train_until, train_until + gap)` are used by neither side, so that outcomes that
    /// were still open at `train_until` do not leak.
    pub gap: i64,
    /// Validation rows are in `[train_until + gap, valid_until)`; equal to `train_until` for none.
    pub valid_until: i64,
}

/// Row numbers that may be fitted on. Only a [`Split`] makes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrainRows {
    indices: Vec<u32>,
    of: usize,
}

/// Row numbers that may be looked at for early stopping and scoring, never fitted on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValidRows {
    indices: Vec<u32>,
    of: usize,
}

macro_rules! row_set {
    ($type:ident) => {
        impl $type {
            /// Row numbers, ascending.
            #[must_use]
            pub fn indices(&self) -> &[u32] {
                &self.indices
            }

            /// Number of rows of the batch that was split.
            #[must_use]
            pub fn of(&self) -> usize {
                self.of
            }

            /// Number of rows in the set.
            #[must_use]
            pub fn len(&self) -> usize {
                self.indices.len()
            }

            /// True without rows.
            #[must_use]
            pub fn is_empty(&self) -> bool {
                self.indices.is_empty()
            }
        }
    };
}
row_set!(TrainRows);
row_set!(ValidRows);

/// Training and validation rows of one batch, disjoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Split {
    train: TrainRows,
    valid: ValidRows,
    embargoed: usize,
}

impl Split {
    /// Splits by the instant of each row.
    ///
    /// # Errors
    /// [`Error::Option`] for a negative gap or `valid_until < train_until`; [`Error::NoTrainingRows`].
    pub fn by_time(times: &[i64], spec: SplitSpec) -> Result<Self> {
        if spec.gap < 0 {
            return Err(Error::Option { option: "gap", value: spec.gap.to_string(), range: "≥ 0" });
        }
        if spec.valid_until < spec.train_until {
            return Err(Error::Option {
                option: "valid_until",
                value: spec.valid_until.to_string(),
                range: "≥ train_until",
            });
        }
        let valid_from = spec.train_until.saturating_add(spec.gap);
        let side = |row: usize| match times[row] {
            t if t < spec.train_until => Side::Train,
            t if t >= valid_from && t < spec.valid_until => Side::Valid,
            t if t < valid_from => Side::Embargoed,
            _ => Side::Later,
        };
        Self::from_sides(times.len(), side)
    }

    /// Splits by a stable hash of each row's key (an entity, an event id): the same key is on the same side in
    /// every run and on every machine, so rows of one entity never straddle the split.
    ///
    /// # Errors
    /// [`Error::Option`] unless `0 ≤ valid_share < 1`; [`Error::NoTrainingRows`].
    pub fn by_hash(keys: &[u64], valid_share: f64, seed: u64) -> Result<Self> {
        if !(0.0..1.0).contains(&valid_share) {
            return Err(Error::Option {
                option: "valid_share",
                value: valid_share.to_string(),
                range: "0 ≤ share < 1",
            });
        }
        let side = |row: usize| if unit(mix(keys[row] ^ mix(seed))) < valid_share { Side::Valid } else { Side::Train };
        Self::from_sides(keys.len(), side)
    }

    /// Every row is a training row; for a last fit whose settings were chosen before.
    ///
    /// # Errors
    /// [`Error::NoTrainingRows`] when `n` is 0.
    pub fn all_training(n: usize) -> Result<Self> {
        Self::from_sides(n, |_| Side::Train)
    }

    fn from_sides(of: usize, side: impl Fn(usize) -> Side) -> Result<Self> {
        let rows = u32::try_from(of).map_err(|_| Error::Option {
            option: "rows",
            value: of.to_string(),
            range: "≤ 4,294,967,295",
        })?;
        let (mut train, mut valid, mut embargoed) = (Vec::new(), Vec::new(), 0);
        for row in 0..rows {
            match side(row as usize) {
                Side::Train => train.push(row),
                Side::Valid => valid.push(row),
                Side::Embargoed => embargoed += 1,
                Side::Later => {}
            }
        }
        if train.is_empty() {
            return Err(Error::NoTrainingRows { reason: format!("none of {of} rows is on the training side") });
        }
        Ok(Self { train: TrainRows { indices: train, of }, valid: ValidRows { indices: valid, of }, embargoed })
    }

    /// Rows to fit on.
    #[must_use]
    pub fn train(&self) -> &TrainRows {
        &self.train
    }

    /// Rows to stop and score on.
    #[must_use]
    pub fn valid(&self) -> &ValidRows {
        &self.valid
    }

    /// Number of rows in the gap.
    #[must_use]
    pub fn embargoed(&self) -> usize {
        self.embargoed
    }
}

enum Side {
    Train,
    Valid,
    Embargoed,
    Later,
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): a bijection that scatters neighbouring keys.
pub(crate) fn mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// The upper 53 bits as a number in `[0, 1)`.
fn unit(hash: u64) -> f64 {
    (hash >> 11) as f64 / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_inside_the_gap_are_on_neither_side() {
        let times = [0, 5, 10, 11, 12, 19, 20, 25];
        let split = Split::by_time(&times, SplitSpec { train_until: 10, gap: 2, valid_until: 20 }).unwrap();
        assert_eq!(split.train().indices(), [0, 1]);
        assert_eq!(split.valid().indices(), [4, 5]);
        assert_eq!(split.embargoed(), 2);
    }

    #[test]
    fn a_split_without_training_rows_is_refused() {
        let spec = SplitSpec { train_until: 0, gap: 0, valid_until: 9 };
        assert!(matches!(Split::by_time(&[1, 2], spec), Err(Error::NoTrainingRows { .. })));
        assert!(matches!(Split::all_training(0), Err(Error::NoTrainingRows { .. })));
        assert!(Split::by_time(&[1], SplitSpec { train_until: 2, gap: -1, valid_until: 9 }).is_err());
        assert!(Split::by_time(&[1], SplitSpec { train_until: 2, gap: 0, valid_until: 1 }).is_err());
    }

    #[test]
    fn the_hash_split_keeps_a_key_on_one_side_and_the_share() {
        let keys: Vec<u64> = (0..20_000).map(|i| i / 2).collect();
        let split = Split::by_hash(&keys, 0.2, 7).unwrap();
        let valid: std::collections::HashSet<u64> =
            split.valid().indices().iter().map(|&row| keys[row as usize]).collect();
        assert!(split.train().indices().iter().all(|&row| !valid.contains(&keys[row as usize])));
        assert!((split.valid().len() as f64 / 20_000.0 - 0.2).abs() < 0.02);
        assert_eq!(split, Split::by_hash(&keys, 0.2, 7).unwrap());
    }
}
