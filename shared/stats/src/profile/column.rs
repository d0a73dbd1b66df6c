//! Reading one column: every value is hashed once, and the hash serves all sketches that count values.

use super::{ColumnProfile, Reading, mismatch};
use crate::sketch::{Counter, Entry};
use crate::values::{self, Kind};
use crate::{Moments, Result, TopK, hash};
use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, Float64Array};
use arrow::datatypes::DataType;

/// Values of one piece that stays near the processor.
const PIECE: usize = 2048;
/// Longest text that is kept as a frequent value, in characters.
const LONGEST: usize = 200;

impl ColumnProfile {
    /// Adds a batch of values, read as told.
    ///
    /// # Errors
    /// An array of another kind than the profile's.
    pub fn read(&mut self, array: &ArrayRef, mut reading: Reading<'_>) -> Result<()> {
        let kind = Kind::of(array.data_type());
        if kind != self.kind {
            return Err(mismatch("kind of column", &self.kind, &kind));
        }
        if let Some(words) = reading.words.as_deref().filter(|words| words.len() != array.len()) {
            return Err(mismatch("rows", &words.len(), &array.len()));
        }
        if self.count == 0 {
            self.quantiles.stir(reading.first_row);
        }
        match kind {
            Kind::Numeric | Kind::Instant => self.read_numbers(array, &mut reading)?,
            Kind::Boolean => self.read_booleans(values::booleans(array)?.as_boolean(), &mut reading),
            Kind::Text => self.read_texts(array, &mut reading)?,
            Kind::Other => {
                if let Some(words) = reading.words.as_deref_mut() {
                    words.fill(hash::NULL);
                }
            }
        }
        self.count += array.len() as u64;
        self.nulls += array.logical_null_count() as u64;
        Ok(())
    }

    fn read_numbers(&mut self, array: &ArrayRef, reading: &mut Reading<'_>) -> Result<()> {
        let numbers = values::floats(array)?;
        let level = crate::Quantiles::level_for(reading.expected);
        let gathered;
        let finite: &[f64] = if numbers.null_count() == 0 && numbers.values().iter().all(|v| v.is_finite()) {
            numbers.values()
        } else {
            gathered = self.gather(&numbers);
            &gathered
        };
        for piece in finite.chunks(PIECE) {
            self.moments.merge(&Moments::of(piece));
            if self.kind == Kind::Numeric {
                self.extremes.extend(piece);
                self.zeros += piece.iter().filter(|v| **v == 0.0).count() as u64;
                self.negatives += piece.iter().filter(|v| **v < 0.0).count() as u64;
            }
        }
        self.quantiles.extend(finite, level);
        let mut counter = Counter::new();
        let words = values::words(array, &numbers);
        for (row, word) in words.into_iter().enumerate() {
            let hashed = match word {
                values::Word::Null => hash::NULL,
                values::Word::Nan => hash::NAN,
                values::Word::Value(bits) => {
                    let hashed = hash::word(bits);
                    self.distinct.update_hash(hashed);
                    counter.add(hashed, row as u32, 1);
                    hashed
                }
            };
            if let Some(words) = reading.words.as_deref_mut() {
                words[row] = hashed;
            }
        }
        self.count_top(&counter, |row| values::written(array, &numbers, row));
        if let Some(histogram) = &mut self.histogram {
            numbers.iter().for_each(|value| histogram.update(value));
        }
        Ok(())
    }

    /// The finite ones; the others are counted.
    fn gather(&mut self, numbers: &Float64Array) -> Vec<f64> {
        let mut finite = Vec::with_capacity(numbers.len() - numbers.null_count());
        for value in numbers.iter().flatten() {
            if value.is_finite() {
                finite.push(value);
            } else if value.is_nan() {
                self.nans += 1;
            } else {
                self.infs += 1;
            }
        }
        finite
    }

    fn read_booleans(&mut self, array: &BooleanArray, reading: &mut Reading<'_>) {
        let (yes, no) = (array.true_count() as u64, array.false_count() as u64);
        let hashes = [hash::bytes(b"false"), hash::bytes(b"true")];
        let mut entries = Vec::new();
        for (text, count, hashed) in [("true", yes, hashes[1]), ("false", no, hashes[0])] {
            if count > 0 {
                self.distinct.update_hash(hashed);
                entries.push(Entry { value: text.to_owned(), count, error: 0 });
            }
        }
        self.topk.merge(&TopK::counted(entries, 0));
        if let Some(words) = reading.words.as_deref_mut() {
            for (word, value) in words.iter_mut().zip(array) {
                *word = value.map_or(hash::NULL, |value| hashes[usize::from(value)]);
            }
        }
    }

    fn read_texts(&mut self, array: &ArrayRef, reading: &mut Reading<'_>) -> Result<()> {
        match array.data_type() {
            DataType::Dictionary(..) => return self.read_dictionary(array, reading),
            DataType::Utf8 => self.read_plain(array.as_string::<i32>().iter(), reading),
            DataType::LargeUtf8 => self.read_plain(array.as_string::<i64>().iter(), reading),
            _ => self.read_plain(array.as_string_view().iter(), reading),
        }
        Ok(())
    }

    fn read_plain<'a>(&mut self, texts: impl Iterator<Item = Option<&'a str>> + Clone, reading: &mut Reading<'_>) {
        let mut counter = Counter::new();
        let mut lengths = Vec::with_capacity(PIECE);
        for (row, text) in texts.clone().enumerate() {
            let hashed = match text {
                None => hash::NULL,
                Some(text) => {
                    let hashed = hash::bytes(text.as_bytes());
                    self.distinct.update_hash(hashed);
                    counter.add(hashed, row as u32, 1);
                    self.blanks += u64::from(is_blank(text));
                    lengths.push(characters(text) as f64);
                    hashed
                }
            };
            if lengths.len() == PIECE {
                self.lengths.merge(&Moments::of(&lengths));
                lengths.clear();
            }
            if let Some(words) = reading.words.as_deref_mut() {
                words[row] = hashed;
            }
        }
        self.lengths.merge(&Moments::of(&lengths));
        let (top, floor) = counter.top(crate::sketch::CAPACITY);
        // Looked up in the order of the rows, since the texts can only be walked through.
        let mut wanted: Vec<_> = top.into_iter().map(|one| (one.row as usize, one)).collect();
        wanted.sort_unstable_by_key(|(row, _)| *row);
        let mut rest = wanted.into_iter().peekable();
        let mut entries = Vec::new();
        if rest.peek().is_some() {
            for (row, text) in texts.enumerate() {
                if let Some((_, one)) = rest.next_if(|(wanted, _)| *wanted == row) {
                    let value = shortened(text.unwrap_or_default());
                    entries.push(Entry { value, count: one.count, error: one.error });
                }
            }
        }
        self.topk.merge(&TopK::counted(entries, floor));
    }

    /// Every value of the dictionary is looked at once, however many rows have it.
    fn read_dictionary(&mut self, array: &ArrayRef, reading: &mut Reading<'_>) -> Result<()> {
        let dictionary = array.as_any_dictionary();
        if dictionary.values().is_empty() {
            // Without any value all rows are null, and there are no keys to look up.
            reading.words.as_deref_mut().into_iter().for_each(|words| words.fill(hash::NULL));
            return Ok(());
        }
        let texts = values::texts(dictionary.values())?;
        let keys = dictionary.normalized_keys();
        let nulls = array.logical_nulls();
        let valid = |row: usize| nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        let mut counts = vec![0_u64; texts.len()];
        for (row, key) in keys.iter().enumerate() {
            if valid(row) {
                counts[*key] += 1;
            }
        }
        let mut hashes = vec![hash::NULL; texts.len()];
        let mut counter = Counter::new();
        for (key, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let text = texts.value(key);
            let hashed = hash::bytes(text.as_bytes());
            hashes[key] = hashed;
            self.distinct.update_hash(hashed);
            counter.add(hashed, key as u32, *count);
            self.blanks += if is_blank(text) { *count } else { 0 };
            self.lengths.merge(&Moments::repeated(characters(text) as f64, *count));
        }
        if let Some(words) = reading.words.as_deref_mut() {
            for (row, (word, key)) in words.iter_mut().zip(&keys).enumerate() {
                *word = if valid(row) { hashes[*key] } else { hash::NULL };
            }
        }
        self.count_top(&counter, |key| shortened(texts.value(key)));
        Ok(())
    }

    fn count_top(&mut self, counter: &Counter, value: impl Fn(usize) -> String) {
        let (top, floor) = counter.top(crate::sketch::CAPACITY);
        let entry =
            |one: &crate::sketch::Counted| Entry { value: value(one.row as usize), count: one.count, error: one.error };
        self.topk.merge(&TopK::counted(top.iter().map(entry).collect(), floor));
    }
}

fn is_blank(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_whitespace())
}

/// Characters, not bytes: every byte but the ones that continue a character.
fn characters(text: &str) -> usize {
    text.as_bytes().iter().filter(|b| (**b as i8) >= -0x40).count()
}

/// Very long texts are told by their beginning and their hash, since two may begin alike.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…{:08x}", &text[..end], hash::bytes(text.as_bytes()) >> 32),
        None => text.to_owned(),
    }
}
