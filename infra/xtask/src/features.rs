//! One build for the program and for its tests.
//!
//! Cargo compiles a library once for each set of features it is asked for. Tools of the tests ask for more than the
//! program does; what they ask for more, the program must ask for too, or half of the tree is compiled twice.

use std::collections::{BTreeMap, BTreeSet};

/// Libraries with their features, as `cargo tree --prefix none -f "{p} {f}"` prints them.
#[must_use]
pub fn features(tree: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in tree.lines().map(|line| line.trim_end_matches(" (*)")) {
        let mut parts = line.splitn(3, ' ');
        let (Some(name), Some(version)) = (parts.next(), parts.next()) else { continue };
        let rest = parts.next().unwrap_or_default();
        let list = rest.rsplit(") ").next().unwrap_or_default().trim();
        let features =
            list.split(',').filter(|feature| !feature.is_empty() && !feature.contains('(')).map(str::to_owned);
        found.entry(format!("{name} {version}")).or_default().extend(features);
    }
    found
}

/// Features that the tests ask for and the program does not, by library.
#[must_use]
pub fn missing(program: &str, tests: &str) -> Vec<String> {
    let tests = features(tests);
    let lacks = |(library, has): (String, BTreeSet<String>)| {
        let wanted = tests.get(&library)?;
        let missing: Vec<&str> = wanted.difference(&has).map(String::as_str).collect();
        (!missing.is_empty()).then(|| format!("{library}: the tests also ask for {}", missing.join(", ")))
    };
    features(program).into_iter().filter_map(lacks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_feature_that_only_the_tests_ask_for_is_named() {
        let program = "tidemill v0.1.0 (/somewhere)\nsyn v2.0.1 full,parsing\nserde v1.0.0 derive (*)\n";
        let tests = "syn v2.0.1 fold,full,parsing (*)\nserde v1.0.0 derive\nonly-there v1.0.0 big\n";
        assert_eq!(missing(program, tests), ["syn v2.0.1: the tests also ask for fold"]);
        assert!(missing(tests, tests).is_empty());
        assert_eq!(features("quote v1.0.0 (proc-macro) std")["quote v1.0.0"], BTreeSet::from(["std".to_owned()]));
    }
}
