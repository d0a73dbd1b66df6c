//! What a feature reads: the operators and columns that its expression names, and the sources behind them.

use std::collections::BTreeSet;
use tidemill_spec::Spec;

/// What one feature reads.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Uses {
    /// Operators, by their names in `features.inputs`.
    pub(crate) inputs: BTreeSet<String>,
    /// Columns of the entity row.
    pub(crate) columns: BTreeSet<String>,
    /// Sources behind both.
    pub(crate) sources: BTreeSet<String>,
}

/// What the expression of a feature reads.
pub(crate) fn uses(spec: &Spec, expr: &str) -> Uses {
    let entity = &spec.features.entity.source;
    let columns = spec.sources.get(entity).map(|source| &source.columns);
    let mut found = Uses::default();
    for word in words(expr) {
        if let Some((input, _)) = word.split_once('.')
            && let Some(operator) = spec.features.inputs.get(input)
        {
            found.inputs.insert(input.to_owned());
            found.sources.insert(operator.from.to_string());
        } else if columns.is_some_and(|columns| columns.contains_key(word.as_str())) {
            found.columns.insert(word);
            found.sources.insert(entity.to_string());
        }
    }
    found
}

/// Names in an expression, with the dots inside them; texts in quotes are no names.
fn words(expr: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (i, part) in expr.split('\'').enumerate() {
        if i % 2 == 1 {
            continue;
        }
        let named = part.split(|c: char| !(c.is_alphanumeric() || c == '_' || c == '.'));
        words.extend(named.filter(|word| word.starts_with(|c: char| c.is_alphabetic() || c == '_')).map(str::to_owned));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_no_names() {
        assert_eq!(words("case when wx.temp > 3.5 then 'wx.dewp' else carrier end")[2..4], ["wx.temp", "then"]);
        assert!(!words("'a.b' || c").contains(&"a.b".to_owned()));
    }
}
