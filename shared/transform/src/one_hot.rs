//! One column per category, with rare categories together.
//!
//! As scikit-learn's `OneHotEncoder(min_frequency = share, handle_unknown = "ignore")`: kept categories in sorted
//! order, then the rare ones as one column, unseen ones all zeros. Nulls get a column of their own.

use arrow::array::{Array, StringArray};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// Fitted categories and the output column each one sets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Saved", into = "Saved")]
pub(crate) struct OneHot {
    slots: HashMap<String, usize>,
    kept: Vec<String>,
    other: Option<usize>,
    missing: Option<usize>,
}

/// The file form: names only; slots follow from their order.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Saved {
    kept: Vec<String>,
    rare: Vec<String>,
    missing: bool,
}

impl From<Saved> for OneHot {
    fn from(saved: Saved) -> Self {
        let mut slots: HashMap<String, usize> =
            saved.kept.iter().enumerate().map(|(slot, name)| (name.clone(), slot)).collect();
        let other = (!saved.rare.is_empty()).then_some(saved.kept.len());
        if let Some(slot) = other {
            slots.extend(saved.rare.into_iter().map(|name| (name, slot)));
        }
        let missing = saved.missing.then(|| saved.kept.len() + usize::from(other.is_some()));
        Self { slots, kept: saved.kept, other, missing }
    }
}

impl From<OneHot> for Saved {
    fn from(one_hot: OneHot) -> Self {
        let is_rare = |slot: usize| Some(slot) == one_hot.other;
        let mut rare: Vec<String> =
            one_hot.slots.iter().filter(|&(_, &slot)| is_rare(slot)).map(|(name, _)| name.clone()).collect();
        rare.sort_unstable();
        Self { kept: one_hot.kept, rare, missing: one_hot.missing.is_some() }
    }
}

impl OneHot {
    /// A category is rare when it has fewer than `rare_share` of all rows.
    pub(crate) fn fit(texts: &StringArray, rare_share: f64) -> Self {
        let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
        for text in texts.iter().flatten() {
            *counts.entry(text).or_default() += 1;
        }
        let least = rare_share * texts.len() as f64;
        let (mut kept, mut rare) = (Vec::new(), Vec::new());
        for (name, count) in counts {
            if (count as f64) < least { &mut rare } else { &mut kept }.push(name.to_owned());
        }
        Saved { kept, rare, missing: texts.null_count() > 0 }.into()
    }

    /// Gives the categories other names; the columns they set stay.
    pub(crate) fn rename(&mut self, name: impl Fn(&str) -> String) {
        self.slots =
            std::mem::take(&mut self.slots).into_iter().map(|(category, slot)| (name(&category), slot)).collect();
        self.kept.iter_mut().for_each(|category| *category = name(category));
    }

    /// Number of output columns.
    pub(crate) fn width(&self) -> usize {
        self.kept.len() + usize::from(self.other.is_some()) + usize::from(self.missing.is_some())
    }

    /// The output column a value sets; `None` for an unseen category, or a null where training had none.
    pub(crate) fn slot(&self, category: Option<&str>) -> Option<usize> {
        match category {
            Some(category) => self.slots.get(category).copied(),
            None => self.missing,
        }
    }

    /// Names of the output columns, for instance `carrier=UA`, `carrier=__other__`.
    pub(crate) fn names<'a>(&'a self, column: &'a str) -> impl Iterator<Item = String> + 'a {
        let other = self.other.map(|_| "__other__");
        let missing = self.missing.map(|_| "__missing__");
        self.kept.iter().map(String::as_str).chain(other).chain(missing).map(move |name| format!("{column}={name}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rare_ones_share_a_column_and_unseen_ones_have_none() {
        let texts = StringArray::from(vec![Some("b"), Some("b"), Some("a"), Some("a"), Some("c"), Some("d"), None]);
        let fitted = OneHot::fit(&texts, 0.2);
        assert_eq!(fitted.names("k").collect::<Vec<_>>(), ["k=a", "k=b", "k=__other__", "k=__missing__"]);
        assert_eq!(fitted.width(), 4);
        assert_eq!(fitted.slot(Some("d")), Some(2));
        assert_eq!(fitted.slot(None), Some(3));
        assert_eq!(fitted.slot(Some("e")), None);
        let loaded: OneHot = serde_json::from_str(&serde_json::to_string(&fitted).unwrap()).unwrap();
        assert_eq!(loaded, fitted);
    }
}
