//! One hash for values, so that sketches that count them agree on what is the same value.
//!
//! All hashes are 64-bit xxh3: stored sketches of older versions go on merging with new ones.

use xxhash_rust::xxh3::xxh3_64;

/// Bytes 8..24 of xxh3's secret, folded as its path for eight bytes uses them.
const FLIP: u64 = u64::from_le_bytes([0x7c, 0x01, 0x81, 0x2c, 0xf7, 0x21, 0xad, 0x1c])
    ^ u64::from_le_bytes([0xde, 0xd4, 0x6d, 0xe9, 0x83, 0x90, 0x97, 0xdb]);
const PRIME: u64 = 0x9fb2_1c65_1e98_df25;

/// Stands for a null in a row.
pub(crate) const NULL: u64 = 0x6e75_6c6c_6e75_6c6c;
/// Stands for a NaN in a row; all NaN are alike.
pub(crate) const NAN: u64 = 0x6e61_6e6e_616e_6e61;

/// Hash of a text.
#[inline]
pub(crate) fn bytes(value: &[u8]) -> u64 {
    xxh3_64(value)
}

/// `xxh3_64` of the eight little-endian bytes of a word, without the general function's branches.
#[inline]
pub(crate) fn word(value: u64) -> u64 {
    let keyed = value.rotate_left(32) ^ FLIP;
    let mut h = keyed ^ keyed.rotate_left(49) ^ keyed.rotate_left(24);
    h = h.wrapping_mul(PRIME);
    h ^= (h >> 35).wrapping_add(8);
    h = h.wrapping_mul(PRIME);
    h ^ (h >> 28)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_short_path_is_xxh3() {
        for value in [0, 1, 42, u64::MAX, 0x4059_0000_0000_0000, 0xdead_beef_0bad_f00d] {
            assert_eq!(word(value), xxh3_64(&value.to_le_bytes()), "{value:x}");
        }
    }
}
