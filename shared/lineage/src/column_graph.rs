//! The graph of which column came from which, through time.
//!
//! What is told of a dataset holds from then on until something else is told of it. A model is fitted once: it read the
//! columns as they were then, and stays what it is.

use crate::facets::{InputField, OutputColumn};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use tidemill_types::Millis;

/// One step between columns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ColumnHop {
    /// Steps from where the question began.
    pub distance: usize,
    /// The dataset.
    pub dataset: String,
    /// The column.
    pub column: String,
    /// The column from which it was reached, `dataset.column`.
    pub from: String,
    /// Whether its values take part, or decide which do.
    pub direct: bool,
    /// What kinds of transformation, such as `AGGREGATION`.
    pub how: String,
    /// The expression, as it stands in the project file.
    pub text: String,
}

/// Columns of one dataset with what each is made from.
pub(crate) type Told = BTreeMap<String, OutputColumn>;
/// A dataset and one of its columns.
type Column = (String, String);

/// Between two instants, the second not included, a column was made from these.
#[derive(Clone, Debug)]
struct Stretch {
    from: Millis,
    to: Millis,
    made: Vec<InputField>,
}

impl Stretch {
    fn is_open(&self) -> bool {
        self.to == Millis::MAX
    }
}

/// Which column came from which. What is told later may be added at any time.
#[derive(Clone, Debug, Default)]
pub struct ColumnGraph {
    /// The instant of what was told last of each dataset.
    told: HashMap<String, Millis>,
    /// The columns of each dataset, those of old included, each with its stretches in the order of time.
    datasets: HashMap<String, BTreeMap<String, Vec<Stretch>>>,
    /// Stretches of columns by what they are made from.
    used_by: HashMap<Column, Vec<(Column, usize)>>,
}

/// The dataset whose columns a dataset has: there are many training sets of a feature set, one a run, with the same
/// columns.
pub(crate) fn family(name: &str) -> &str {
    match name.strip_prefix("features/").and_then(|rest| rest.split_once('/')) {
        Some((set, _)) => name.get(.."features/".len() + set.len()).unwrap_or(name),
        None => name,
    }
}

/// Whether a dataset is made once, and stays what it is.
pub(crate) fn is_made_once(name: &str) -> bool {
    name.starts_with("model/")
}

impl ColumnGraph {
    /// Notes all columns of a dataset, in the order in which they are told: what it had before and has no more is past.
    pub(crate) fn tell(&mut self, dataset: &str, at: Millis, told: Told) {
        let dataset = family(dataset).to_owned();
        let last = self.told.entry(dataset.clone()).or_insert(at);
        let at = at.max(*last);
        *last = at;
        let columns = self.datasets.entry(dataset.clone()).or_default();
        for (name, stretches) in columns.iter_mut() {
            if let Some(open) = stretches.last_mut().filter(|stretch| stretch.is_open())
                && told.get(name).is_none_or(|now| now.input_fields != open.made)
            {
                open.to = at;
            }
        }
        for (name, now) in told {
            let stretches = columns.entry(name.clone()).or_default();
            if stretches.last().is_some_and(Stretch::is_open) {
                continue;
            }
            let keys: BTreeSet<Column> = now.input_fields.iter().map(key_of).collect();
            for key in keys {
                self.used_by.entry(key).or_default().push(((dataset.clone(), name.clone()), stretches.len()));
            }
            stretches.push(Stretch { from: at, to: Millis::MAX, made: now.input_fields });
        }
    }

    /// Whether a column is made from others, or others from it.
    #[must_use]
    pub fn knows(&self, dataset: &str, column: &str) -> bool {
        let key = (family(dataset).to_owned(), column.to_owned());
        !self.stretches(&key).is_empty() || self.used_by.contains_key(&key)
    }

    /// Whether the columns of a version, or of one dataset among many of its kind, are those of when it was made.
    #[must_use]
    pub fn is_of_an_instant(&self, dataset: &str, version: Option<u64>) -> bool {
        version.is_some() || family(dataset) != dataset
    }

    /// What a column is made from, nearest first: as it was at an instant, or as it is.
    #[must_use]
    pub fn up(&self, dataset: &str, column: &str, at: Option<Millis>) -> Vec<ColumnHop> {
        let begin = (family(dataset).to_owned(), column.to_owned());
        let mut seen: HashSet<(Column, usize)> = HashSet::new();
        let mut queue = VecDeque::from([(0, begin, at.unwrap_or(Millis::MAX))]);
        let mut hops = Vec::new();
        while let Some((distance, key, at)) = queue.pop_front() {
            let Some((index, stretch)) = self.at(&key, at) else { continue };
            if !seen.insert((key.clone(), index)) {
                continue;
            }
            let then = if is_made_once(&key.0) { stretch.from } else { at.min(Millis(stretch.to.0 - 1)) };
            let mut inputs: Vec<(Column, &InputField)> = stretch.made.iter().map(|i| (key_of(i), i)).collect();
            inputs.sort_by(|a, b| a.0.cmp(&b.0));
            for (found, input) in inputs {
                hops.push(hop(distance + 1, &found, &key, input));
                queue.push_back((distance + 1, found, then));
            }
        }
        hops
    }

    /// What is made from a column, nearest first: what was since an instant, or what is now. Models made from what is
    /// now are among them, however old.
    #[must_use]
    pub fn down(&self, dataset: &str, column: &str, since: Option<Millis>) -> Vec<ColumnHop> {
        let key = (family(dataset).to_owned(), column.to_owned());
        let since = since.unwrap_or(Millis::MAX);
        let mut queue: VecDeque<_> =
            self.lives(&key, since).into_iter().map(|life| (0, key.clone(), life, since)).collect();
        let mut seen: HashSet<(&Column, usize)> = HashSet::new();
        let mut edges: HashSet<(Column, &Column, usize)> = HashSet::new();
        let mut hops = Vec::new();
        while let Some((distance, key, (from, to), since)) = queue.pop_front() {
            // Who reads a model reads it from when it was made.
            let since = if is_made_once(&key.0) { from } else { since };
            let mut found: Vec<(&Column, usize, &Stretch)> = Vec::new();
            for (column, index) in self.used_by.get(&key).into_iter().flatten() {
                let Some(stretch) = self.stretches(column).get(*index) else { continue };
                let met = if is_made_once(&column.0) {
                    from <= stretch.from && stretch.from < to
                } else {
                    stretch.from < to && from < stretch.to && (stretch.is_open() || stretch.to > since)
                };
                if met && edges.insert((key.clone(), column, *index)) {
                    found.push((column, *index, stretch));
                }
            }
            found.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
            for (column, index, stretch) in found {
                let inputs = stretch.made.iter().filter(|input| key_of(input) == key);
                hops.extend(inputs.map(|input| hop(distance + 1, column, &key, input)));
                if seen.insert((column, index)) {
                    let to = if is_made_once(&column.0) { Millis::MAX } else { stretch.to };
                    queue.push_back((distance + 1, column.clone(), (stretch.from, to), since));
                }
            }
        }
        hops
    }

    fn stretches(&self, (dataset, column): &Column) -> &[Stretch] {
        self.datasets.get(dataset).and_then(|columns| columns.get(column)).map(Vec::as_slice).unwrap_or_default()
    }

    /// The stretch in which an instant lies; where nothing was told yet the next one, where nothing is any more the last.
    fn at(&self, key: &Column, at: Millis) -> Option<(usize, &Stretch)> {
        let stretches = self.stretches(key);
        let index = stretches.partition_point(|stretch| stretch.to <= at && !stretch.is_open());
        let index = index.min(stretches.len().checked_sub(1)?);
        stretches.get(index).map(|stretch| (index, stretch))
    }

    /// When a column was there, from an instant on.
    fn lives(&self, key: &Column, since: Millis) -> Vec<(Millis, Millis)> {
        let stretches = self.stretches(key);
        let lives = stretches.iter().map(|stretch| (stretch.from, stretch.to));
        if stretches.is_empty() {
            // What nobody tells of, as the columns of events, was always there.
            return vec![(Millis::MIN, Millis::MAX)];
        }
        if is_made_once(&key.0) {
            return lives.map(|(from, _)| (from, Millis::MAX)).collect();
        }
        let first = self.at(key, since).map_or(0, |(index, _)| index);
        lives.skip(first).collect()
    }
}

fn key_of(input: &InputField) -> Column {
    (family(&input.name).to_owned(), input.field.clone())
}

fn hop(distance: usize, found: &Column, from: &Column, input: &InputField) -> ColumnHop {
    let how: BTreeSet<&str> = input.transformations.iter().map(|t| t.subtype.as_str()).collect();
    let texts: BTreeSet<&str> =
        input.transformations.iter().map(|t| t.description.as_str()).filter(|t| !t.is_empty()).collect();
    ColumnHop {
        distance,
        dataset: found.0.clone(),
        column: found.1.clone(),
        from: format!("{}.{}", from.0, from.1),
        direct: input.transformations.iter().any(|t| t.kind == "DIRECT"),
        how: how.into_iter().collect::<Vec<_>>().join(", "),
        text: texts.into_iter().collect::<Vec<_>>().join("; "),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::facets::Transformation;
    use tidemill_spec::Spec;

    fn flights() -> Spec {
        Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap()
    }

    fn names(hops: &[ColumnHop]) -> Vec<String> {
        hops.iter().map(|hop| format!("{}.{}", hop.dataset, hop.column)).collect()
    }

    #[test]
    fn training_sets_of_a_feature_set_have_its_columns() {
        assert_eq!(family("features/s/training/c.parquet"), "features/s");
        assert_eq!(family("features/s/rows"), "features/s");
        assert_eq!(family("model/abc"), "model/abc");
        assert_eq!(family("clean/p/x"), "clean/p/x");
    }

    #[test]
    fn columns_lead_both_ways() {
        let (spec, mut graph) = (flights(), ColumnGraph::default());
        let source = "weather".parse().unwrap();
        graph.tell("raw/flights/weather", Millis(1), crate::columns::raw(&spec, &source));
        graph.tell("clean/flights/weather", Millis(2), crate::columns::cleaned(&spec, &source));
        let set = "features/flight_2h/training/c.parquet";
        graph.tell(set, Millis(3), crate::columns::features(&spec));
        graph.tell("model/1", Millis(4), crate::columns::score(&spec, set, "trees", &["w_temp".to_owned()]));
        let log = crate::columns::predictions(&spec, ["tm_key", "tm_as_of", "tm_score"], ["model/1"].into_iter());
        graph.tell("predictions/flights/disruption", Millis(5), log);

        let up = graph.up("predictions/flights/disruption", "tm_score", None);
        let direct: Vec<_> =
            up.iter().filter(|hop| hop.direct).map(|hop| (hop.distance, hop.column.as_str())).collect();
        assert!(direct.contains(&(2, "w_temp")) && direct.contains(&(5, "temp")), "{direct:?}");
        let down = graph.down("events/flights/weather", "temp", None);
        let found: Vec<&str> = down.iter().map(|hop| hop.column.as_str()).collect();
        assert_eq!(found, ["temp", "temp", "w_temp", "score", "w_temp", "tm_score"]);
        assert_eq!(down[2].text, "temp of the newest row by origin");
        assert!(graph.knows("features/flight_2h/training/x.parquet", "w_temp"));
        assert!(!graph.knows("features/flight_2h", "none"));
    }

    fn from(inputs: &[(&str, &str)]) -> OutputColumn {
        let field = |(name, field): &(&str, &str)| InputField {
            namespace: "n".to_owned(),
            name: (*name).to_owned(),
            field: (*field).to_owned(),
            transformations: vec![Transformation::direct("IDENTITY", "")],
        };
        OutputColumn { input_fields: inputs.iter().map(field).collect() }
    }

    fn told(columns: &[(&str, &[(&str, &str)])]) -> Told {
        columns.iter().map(|(name, inputs)| ((*name).to_owned(), from(inputs))).collect()
    }

    /// Two feature sets of the same name, and a model of each: `warm` read temp and then humid, `old` is gone.
    fn changed() -> ColumnGraph {
        let mut graph = ColumnGraph::default();
        graph.tell("clean/x", Millis(10), told(&[("temp", &[("raw/x", "temp")]), ("humid", &[("raw/x", "humid")])]));
        let (warm, old): (&[_], &[_]) = (&[("clean/x", "temp")], &[("clean/x", "temp")]);
        let same: &[_] = &[("clean/x", "humid")];
        graph.tell("features/s/a", Millis(20), told(&[("warm", warm), ("old", old), ("same", same)]));
        let of = |set: &'static str, names: [&'static str; 2]| names.map(|name| (set, name));
        graph.tell("model/1", Millis(30), told(&[("score", &of("features/s/a", ["warm", "old"]))]));
        graph.tell("features/s/b", Millis(40), told(&[("warm", same), ("same", same)]));
        graph.tell("model/2", Millis(50), told(&[("score", &of("features/s/b", ["warm", "same"]))]));
        graph
    }

    #[test]
    fn the_score_of_a_model_is_made_from_the_features_that_it_was_fitted_to() {
        let graph = changed();
        let first = names(&graph.up("model/1", "score", None));
        let expected = ["features/s.old", "features/s.warm", "clean/x.temp", "clean/x.temp", "raw/x.temp"];
        assert_eq!(first, expected);
        let second = names(&graph.up("model/2", "score", None));
        assert_eq!(second, ["features/s.same", "features/s.warm", "clean/x.humid", "clean/x.humid", "raw/x.humid"]);
    }

    #[test]
    fn what_was_removed_is_not_made_from_a_column_any_more() {
        let graph = changed();
        assert!(graph.down("clean/x", "temp", None).is_empty(), "{:?}", graph.down("clean/x", "temp", None));
        let since = names(&graph.down("clean/x", "temp", Some(Millis(25))));
        assert_eq!(since, ["features/s.old", "features/s.warm", "model/1.score", "model/1.score"], "but it was");
        let down = names(&graph.down("raw/x", "humid", None));
        assert_eq!(down, ["clean/x.humid", "features/s.same", "features/s.warm", "model/2.score", "model/2.score"]);
        assert_eq!(names(&graph.up("features/s", "warm", None))[0], "clean/x.humid");
        assert_eq!(names(&graph.up("features/s", "warm", Some(Millis(35))))[0], "clean/x.temp");
        assert_eq!(names(&graph.up("features/s", "old", None))[0], "clean/x.temp", "as it was last");
    }

    #[test]
    fn a_definition_that_is_told_again_changes_nothing() {
        let mut graph = changed();
        let before = graph.down("raw/x", "humid", None);
        let same: &[_] = &[("clean/x", "humid")];
        graph.tell("features/s/c", Millis(60), told(&[("warm", same), ("same", same)]));
        graph.tell("features/s/d", Millis(55), told(&[("warm", same), ("same", same)]));
        assert_eq!(graph.down("raw/x", "humid", None), before);
    }
}
