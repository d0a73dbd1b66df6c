//! What commits say about themselves, as far as more than one service reads it.

use std::collections::BTreeMap;

/// Knowledge instant up to which the table is complete, in milliseconds since 1970. Ingestion says it of raw tables,
/// validation passes it on to clean ones.
pub const WATERMARK: &str = "tidemill.watermark";

/// Names of the columns, as a JSON list, for whose classification validation holds a source: a commit of the clean table
/// without rows says so, and the next one without this key that it is over.
pub const HELD: &str = "tidemill.held";

/// For which columns a commit of a clean table says that its source is held: `Some(None)` for none, `None` when it says
/// nothing of it, as upkeep. `notes` are the sequences that it notes as done.
#[must_use]
pub fn held<'m>(metadata: &'m BTreeMap<String, String>, notes: &BTreeMap<String, i64>) -> Option<Option<&'m str>> {
    let columns = metadata.get(HELD).map(String::as_str);
    (columns.is_some() || !notes.is_empty()).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commit_that_goes_on_ends_a_hold_and_upkeep_does_not() {
        let hold = BTreeMap::from([(HELD.to_owned(), "[\"meter\"]".to_owned())]);
        let (none, notes) = (BTreeMap::new(), BTreeMap::from([("raw/p/s".to_owned(), 7)]));
        assert_eq!(held(&hold, &BTreeMap::new()), Some(Some("[\"meter\"]")));
        assert_eq!(held(&none, &notes), Some(None));
        assert_eq!(held(&none, &BTreeMap::new()), None);
    }
}
