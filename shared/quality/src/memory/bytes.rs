//! A memory as bytes: `TMUQ`, digest of the rules, capacity, keys with their rows (and values), SHA-256 of all that.

use super::{Entry, Memory, digest};
use crate::error::QualityError;
use crate::rule::Rules;
use tidemill_types::Digest;

const MAGIC: &[u8; 4] = b"TMUQ";
const DIGEST_BYTES: usize = 64;
const ENTRY_BYTES: usize = 28;

impl Memory {
    /// The memory as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.rules.as_str().as_bytes());
        bytes.extend_from_slice(&(self.capacity as u64).to_le_bytes());
        for kept in &self.kept {
            bytes.extend_from_slice(&(kept.len() as u64).to_le_bytes());
            for (key, value, (seq, row)) in kept.entries() {
                bytes.extend_from_slice(&key.to_le_bytes());
                bytes.extend_from_slice(&seq.to_le_bytes());
                bytes.extend_from_slice(&row.to_le_bytes());
                if kept.has_values() {
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
        }
        let digest = Digest::of(&bytes);
        bytes.extend_from_slice(digest.as_str().as_bytes());
        bytes
    }

    /// Reads what [`Memory::to_bytes`] wrote.
    ///
    /// # Errors
    /// Damaged bytes, or keys of other rules.
    pub fn from_bytes(rules: &Rules, bytes: &[u8]) -> Result<Self, QualityError> {
        let content = bytes.len().checked_sub(DIGEST_BYTES).ok_or(QualityError::Damaged("too short"))?;
        let (content, sum) = bytes.split_at(content);
        if Digest::of(content).as_str().as_bytes() != sum {
            return Err(QualityError::Damaged("the digest is wrong"));
        }
        let mut reader = Reader(content);
        if reader.take::<4>()? != *MAGIC {
            return Err(QualityError::Damaged("it does not start with TMUQ"));
        }
        if reader.take::<DIGEST_BYTES>()? != *digest(rules).as_str().as_bytes() {
            return Err(QualityError::OtherRules);
        }
        let capacity = reader.length()?;
        let mut memory = Self::new(rules, capacity);
        for kept in &mut memory.kept {
            let entries = reader.length()?;
            if entries > reader.0.len() / ENTRY_BYTES {
                return Err(QualityError::Damaged("keys are cut off"));
            }
            for _ in 0..entries {
                let key = u128::from_le_bytes(reader.take()?);
                let owner = (i64::from_le_bytes(reader.take()?), i32::from_le_bytes(reader.take()?));
                let value = if kept.has_values() { i64::from_le_bytes(reader.take()?) } else { 0 };
                let _ = kept.take(Entry { key, value }, owner, capacity);
            }
        }
        Ok(memory)
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], QualityError> {
        let (head, rest) = self.0.split_first_chunk::<N>().ok_or(QualityError::Damaged("too short"))?;
        self.0 = rest;
        Ok(*head)
    }

    fn length(&mut self) -> Result<usize, QualityError> {
        usize::try_from(u64::from_le_bytes(self.take()?)).map_err(|_| QualityError::Damaged("a length is too large"))
    }
}
