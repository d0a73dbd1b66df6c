//! Rows that say nearly the same: pairs above a similarity, and the groups that they form.
//!
//! A row is the set of its shingles, three letters each of every word of the columns looked at. Two rows are as similar as
//! their sets, by Jaccard: shared shingles in all shingles. Pairs are found by `MinHash` (Broder 1997) with banding
//! (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, chapter 3.4) instead of comparing all with all; each pair
//! found is then compared exactly, so no pair below the threshold is told. What banding misses is known: a pair of
//! similarity *s* with probability (1 − sʳ)ᵇ, see [`Banding::missed`]. Deterministic for a seed.

use crate::error::Result;
use crate::exploration::known;
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use serde::Serialize;
use std::collections::{BTreeMap, HashMap, HashSet};

/// Letters of a shingle.
const LETTERS: usize = 3;
/// Rows of one bucket that are compared with each other; a fuller one says nothing but that its rows look alike.
const CROWD: usize = 200;
/// Largest share of pairs exactly at the threshold that may be missed, where the signature is long enough.
const MISSED: f64 = 0.01;

/// What counts as nearly the same.
#[derive(Clone, Debug)]
pub struct NearOptions {
    /// Columns compared; none: all.
    pub columns: Vec<String>,
    /// Smallest similarity, in (0, 1].
    pub at_least: f64,
    /// Length of the signature.
    pub hashes: usize,
    /// Seed of the hashes.
    pub seed: u64,
}

impl Default for NearOptions {
    fn default() -> Self {
        Self { columns: Vec::new(), at_least: 0.6, hashes: 128, seed: 7 }
    }
}

/// How signatures are cut: `bands` of `rows` hashes each; rows that agree in one band are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Banding {
    /// Number of bands.
    pub bands: usize,
    /// Hashes of a band.
    pub rows: usize,
}

impl Banding {
    /// The widest bands, so the fewest comparisons, with which hardly a pair at the threshold is missed.
    #[must_use]
    pub fn for_threshold(at_least: f64, hashes: usize) -> Self {
        let of = |rows: usize| Self { bands: hashes / rows.max(1), rows };
        let fits = (1..=hashes.max(1)).rev().map(of).find(|banding| banding.missed(at_least) <= MISSED);
        fits.unwrap_or_else(|| of(1))
    }

    /// Probability that a pair of this similarity is missed.
    #[must_use]
    pub fn missed(self, similarity: f64) -> f64 {
        let power = |base: f64, times: usize| base.powi(i32::try_from(times).unwrap_or(i32::MAX));
        power(1.0 - power(similarity, self.rows), self.bands)
    }
}

/// Rows of a group, each at least as similar to another of the group as was asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearGroup {
    /// Places of the rows, from 0, rising.
    pub rows: Vec<usize>,
    /// Smallest and largest similarity among the pairs found.
    pub similarity: (f64, f64),
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NearDuplicates {
    /// Rows looked at.
    pub rows: usize,
    /// Rows without any letter, which are compared with none.
    pub empty: usize,
    /// Columns compared.
    pub columns: Vec<String>,
    /// Pairs at least so similar, as places of rows with their similarity.
    #[serde(skip)]
    pub pairs: Vec<(usize, usize, f64)>,
    /// How many those are.
    pub pair_count: usize,
    /// Groups, the largest first.
    pub groups: Vec<NearGroup>,
    /// How signatures were cut.
    pub banding: Banding,
    /// Probability that a pair exactly at the threshold was missed; more similar ones are missed less.
    pub missed_at_threshold: f64,
    /// Buckets so full that only neighbours in them were compared.
    pub crowded: usize,
}

/// Finds the rows that say nearly the same.
///
/// # Errors
/// [`Error::Column`](crate::Error::Column) for a column that is not there; columns that cannot become texts.
pub fn near_duplicates(rows: &RecordBatch, options: &NearOptions) -> Result<NearDuplicates> {
    let columns = columns(rows, &options.columns)?;
    let texts = columns.iter().map(|(_, array)| text(array)).collect::<Result<Vec<_>>>()?;
    let sets: Vec<Vec<u64>> = (0..rows.num_rows()).map(|row| shingles(&texts, row)).collect();
    let at_least = options.at_least.clamp(f64::MIN_POSITIVE, 1.0);
    let banding = Banding::for_threshold(at_least, options.hashes);
    let (candidates, crowded) = candidates(&sets, banding, options);
    let mut pairs: Vec<(usize, usize, f64)> = candidates
        .into_iter()
        .map(|(a, b)| (a, b, jaccard(&sets[a], &sets[b])))
        .filter(|(_, _, similarity)| *similarity >= at_least)
        .collect();
    pairs.sort_by_key(|(a, b, _)| (*a, *b));
    Ok(NearDuplicates {
        rows: sets.len(),
        empty: sets.iter().filter(|set| set.is_empty()).count(),
        columns: columns.into_iter().map(|(name, _)| name).collect(),
        groups: groups(sets.len(), &pairs),
        pair_count: pairs.len(),
        pairs,
        banding,
        missed_at_threshold: banding.missed(at_least),
        crowded,
    })
}

fn columns(rows: &RecordBatch, wanted: &[String]) -> Result<Vec<(String, ArrayRef)>> {
    let schema = rows.schema();
    let all: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let names = if wanted.is_empty() { all.clone() } else { wanted.iter().map(String::as_str).collect() };
    for name in &names {
        known(name, &all)?;
    }
    Ok(names.into_iter().filter_map(|name| Some((name.to_owned(), rows.column_by_name(name)?.clone()))).collect())
}

fn text(array: &ArrayRef) -> Result<StringArray> {
    Ok(cast(array, &DataType::Utf8)?.as_string::<i32>().clone())
}

/// The shingles of a row, sorted and each once. Words end where letters and digits do; shorter ones are their own shingle.
fn shingles(texts: &[StringArray], row: usize) -> Vec<u64> {
    let mut set = Vec::new();
    let mut letters: Vec<char> = Vec::new();
    for text in texts.iter().filter(|text| text.is_valid(row)) {
        for word in text.value(row).split(|letter: char| !letter.is_alphanumeric()).filter(|word| !word.is_empty()) {
            letters.clear();
            letters.extend(word.chars().flat_map(char::to_lowercase));
            if letters.len() < LETTERS {
                set.push(hash(&letters));
            }
            set.extend(letters.windows(LETTERS).map(hash));
        }
    }
    set.sort_unstable();
    set.dedup();
    set
}

/// FNV-1a over the code points.
fn hash(letters: &[char]) -> u64 {
    letters.iter().fold(0xcbf2_9ce4_8422_2325, |hash, letter| {
        (hash ^ u64::from(u32::from(*letter))).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The finaliser of `SplitMix64` (Steele, Lea, Flood 2014): each seed makes another random function of it.
fn mixed(value: u64, seed: u64) -> u64 {
    let mut z = value.wrapping_add(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Pairs of rows that agree in a band, each once, and how many buckets were too full to compare all with all.
fn candidates(sets: &[Vec<u64>], banding: Banding, options: &NearOptions) -> (HashSet<(usize, usize)>, usize) {
    let mut pairs = HashSet::new();
    let mut crowded = 0;
    // Band by band, so that memory holds one band of signatures and not all.
    for band in 0..banding.bands {
        let mut buckets: HashMap<u64, Vec<usize>> = HashMap::new();
        for (row, set) in sets.iter().enumerate().filter(|(_, set)| !set.is_empty()) {
            let key = (0..banding.rows).fold(0_u64, |key, at| {
                let seed = options.seed.wrapping_add((band * banding.rows + at) as u64 + 1);
                let least = set.iter().map(|shingle| mixed(*shingle, seed)).min().unwrap_or_default();
                mixed(key ^ least, 1)
            });
            buckets.entry(key).or_default().push(row);
        }
        for rows in buckets.values().filter(|rows| rows.len() > 1) {
            let reach = if rows.len() > CROWD { 1 } else { rows.len() };
            crowded += usize::from(rows.len() > CROWD);
            for (at, a) in rows.iter().enumerate() {
                pairs.extend(rows.iter().skip(at + 1).take(reach).map(|b| (*a, *b)));
            }
        }
    }
    (pairs, crowded)
}

/// Shared shingles in all shingles of two sorted sets.
#[expect(clippy::cast_precision_loss, reason = "sets are small")]
fn jaccard(a: &[u64], b: &[u64]) -> f64 {
    let (mut i, mut j, mut shared) = (0, 0, 0_usize);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        i += usize::from(x <= y);
        j += usize::from(y <= x);
        shared += usize::from(x == y);
    }
    shared as f64 / (a.len() + b.len() - shared).max(1) as f64
}

/// Rows connected by pairs.
fn groups(rows: usize, pairs: &[(usize, usize, f64)]) -> Vec<NearGroup> {
    fn root(parents: &mut [usize], mut row: usize) -> usize {
        while parents[row] != row {
            parents[row] = parents[parents[row]];
            row = parents[row];
        }
        row
    }
    let mut parents: Vec<usize> = (0..rows).collect();
    for (a, b, _) in pairs {
        let (a, b) = (root(&mut parents, *a), root(&mut parents, *b));
        parents[a.max(b)] = a.min(b);
    }
    let mut found: BTreeMap<usize, NearGroup> = BTreeMap::new();
    for (a, b, similarity) in pairs {
        let group = found.entry(root(&mut parents, *a));
        let group = group.or_insert_with(|| NearGroup { rows: Vec::new(), similarity: (*similarity, *similarity) });
        group.rows.extend([*a, *b]);
        group.similarity = (group.similarity.0.min(*similarity), group.similarity.1.max(*similarity));
    }
    let mut groups: Vec<NearGroup> = found.into_values().collect();
    for group in &mut groups {
        group.rows.sort_unstable();
        group.rows.dedup();
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.rows.len()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bands_are_as_wide_as_the_share_that_may_be_missed_allows() {
        for at_least in [0.3, 0.5, 0.7, 0.9, 1.0] {
            let banding = Banding::for_threshold(at_least, 128);
            assert!(banding.bands * banding.rows <= 128 && banding.missed(at_least) <= MISSED, "{banding:?}");
            let wider = Banding { bands: 128 / (banding.rows + 1), rows: banding.rows + 1 };
            assert!(wider.bands == 0 || wider.missed(at_least) > MISSED, "{wider:?} would do for {at_least}");
        }
    }

    #[test]
    fn all_that_comparing_all_with_all_finds_is_found_but_for_the_share_stated() {
        // Five words of two hundred each; every second row is another one with some words changed.
        let mut state = 1_u64;
        let mut draw = move |below: u64| {
            state = mixed(state, 1);
            usize::try_from(state % below).unwrap_or_default()
        };
        let mut sets: Vec<Vec<u64>> = Vec::new();
        let mut words = [0; 5];
        for row in 0..800 {
            let changed = if row % 2 == 0 { 5 } else { 1 + row % 3 };
            (0..changed).for_each(|_| words[draw(5)] = draw(200));
            let text = words.map(|word| format!("{}x{word}y", word % 7)).join(" ");
            sets.push(shingles(&[StringArray::from(vec![text])], 0));
        }
        for at_least in [0.3, 0.5] {
            let options = NearOptions { at_least, ..NearOptions::default() };
            let (candidates, crowded) = candidates(&sets, Banding::for_threshold(at_least, options.hashes), &options);
            let all = (0..sets.len()).flat_map(|a| (a + 1..sets.len()).map(move |b| (a, b)));
            let alike: Vec<_> = all.filter(|(a, b)| jaccard(&sets[*a], &sets[*b]) >= at_least).collect();
            let missed = alike.iter().filter(|pair| !candidates.contains(*pair)).count();
            assert!(alike.len() > 100 && crowded == 0, "{} pairs at {at_least}", alike.len());
            assert!(missed * 100 <= alike.len(), "{missed} of {} at {at_least}", alike.len());
        }
    }

    #[test]
    fn similarity_is_that_of_the_sets() {
        let of = |text: &str| shingles(&[StringArray::from(vec![text])], 0);
        assert_eq!(of("Anna-Lena  at 7").len(), 2 + 2 + 1 + 1);
        // ann, nna | ann, nne: one of three.
        assert!((jaccard(&of("Anna"), &of("ANNE")) - 1.0 / 3.0).abs() < 1e-15);
        assert!((jaccard(&of("a b"), &of("b, a!")) - 1.0).abs() < 1e-15);
        assert!(of(" - ").is_empty());
    }
}
