//! Tests of texts. A dictionary is looked at once per value, and what was tested lately is not tested again.

use super::{RowCheck, column};
use crate::error::QualityError;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, GenericStringArray, OffsetSizeTrait, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use std::fmt;
use xxhash_rust::xxh3::xxh3_64;

/// A test of one text.
pub(super) struct Texts<F> {
    pub(super) column: String,
    /// Whether a test costs more than recognising a text.
    pub(super) dear: bool,
    pub(super) test: F,
}

impl<F> fmt::Debug for Texts<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Texts").field("column", &self.column).finish_non_exhaustive()
    }
}

impl<F: Fn(&str) -> bool + Send + Sync> RowCheck for Texts<F> {
    fn passes(&self, batch: &RecordBatch) -> Result<BooleanArray, QualityError> {
        self.array(column(batch, &self.column)?)
    }
}

impl<F: Fn(&str) -> bool> Texts<F> {
    fn array(&self, array: &ArrayRef) -> Result<BooleanArray, QualityError> {
        Ok(match array.data_type() {
            DataType::Utf8 => self.plain(array.as_string::<i32>()),
            DataType::LargeUtf8 => self.plain(array.as_string::<i64>()),
            DataType::Dictionary(_, _) => {
                let dictionary = array.as_any_dictionary();
                let by_value = self.array(dictionary.values())?;
                take(&by_value, dictionary.keys(), None)?.as_boolean().clone()
            }
            _ => self.plain(cast(array, &DataType::Utf8)?.as_string::<i32>()),
        })
    }

    fn plain<O: OffsetSizeTrait>(&self, texts: &GenericStringArray<O>) -> BooleanArray {
        let bits = if self.dear {
            let mut known = Known::default();
            BooleanBuffer::collect_bool(texts.len(), |i| known.look_up(texts, i, &self.test))
        } else {
            BooleanBuffer::collect_bool(texts.len(), |i| (self.test)(texts.value(i)))
        };
        BooleanArray::new(bits, texts.nulls().cloned())
    }
}

/// Slots of the memory of tested texts.
const SLOTS: usize = 1_024;
/// After so many looks it is decided whether the memory pays.
const TRIAL: u32 = 4_096;

/// Verdicts on texts seen lately in the same array: the row that holds the text, and whether it passed.
#[derive(Default)]
struct Known {
    slots: Vec<(u32, bool)>,
    looks: u32,
    hits: u32,
}

impl Known {
    fn look_up<O: OffsetSizeTrait>(
        &mut self,
        texts: &GenericStringArray<O>,
        row: usize,
        test: &impl Fn(&str) -> bool,
    ) -> bool {
        let text = texts.value(row);
        if self.looks >= TRIAL && self.hits < self.looks / 2 {
            return test(text);
        }
        if self.slots.is_empty() {
            self.slots.resize(SLOTS, (u32::MAX, false));
        }
        self.looks = self.looks.saturating_add(1);
        let slot = &mut self.slots[xxh3_64(text.as_bytes()) as usize % SLOTS];
        if slot.0 != u32::MAX && texts.value(slot.0 as usize) == text {
            self.hits = self.hits.saturating_add(1);
            return slot.1;
        }
        *slot = (u32::try_from(row).unwrap_or(u32::MAX), test(text));
        slot.1
    }
}

/// A set of texts: short ones are compared as numbers.
#[derive(Debug)]
pub(super) struct Set {
    short: Vec<(u8, u64)>,
    long: Vec<String>,
}

impl Set {
    pub(super) fn of(values: &[String]) -> Self {
        let (short, long): (Vec<_>, Vec<_>) = values.iter().cloned().partition(|v| v.len() <= 8);
        let mut short: Vec<_> = short.iter().map(|v| packed(v.as_bytes())).collect();
        let mut long = long;
        short.sort_unstable();
        long.sort_unstable();
        Self { short, long }
    }

    #[inline]
    pub(super) fn contains(&self, text: &str) -> bool {
        if text.len() > 8 {
            return self.long.binary_search_by(|known| known.as_str().cmp(text)).is_ok();
        }
        let wanted = packed(text.as_bytes());
        if self.short.len() <= 16 { self.short.contains(&wanted) } else { self.short.binary_search(&wanted).is_ok() }
    }
}

/// Length and bytes of a text of at most eight bytes.
#[inline]
fn packed(bytes: &[u8]) -> (u8, u64) {
    let mut word = 0_u64;
    for byte in bytes {
        word = word << 8 | u64::from(*byte);
    }
    (bytes.len() as u8, word)
}

/// Whether every word begins with a capital and goes on in small letters.
pub(super) fn is_title(text: &str) -> bool {
    let mut in_word = false;
    for letter in text.chars() {
        let wrong = if in_word { letter.is_uppercase() } else { letter.is_lowercase() };
        if wrong {
            return false;
        }
        in_word = letter.is_alphanumeric() || (in_word && letter == '\'');
    }
    true
}
