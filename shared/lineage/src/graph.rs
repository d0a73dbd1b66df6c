//! The graph of what came from what, with versions.
//!
//! A version of a table holds what all versions before it brought. So the way up from a version leads through the newest
//! run that wrote this version or an earlier one, and what that run had read up to; the way down leads through the first
//! run that had read this version or a later one, and through every run that read the table as a whole.

use crate::facets::{InputField, OutputColumn};
use crate::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use tidemill_types::Millis;

/// A dataset, as far as a run read or wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The version that was read or made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// First sequence that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<i64>,
    /// Last sequence that was read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<i64>,
    /// Rows that were written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
}

impl Node {
    /// How far it was read or written; all of it when nothing says.
    fn position(&self) -> u64 {
        let last = self.last.and_then(|last| u64::try_from(last).ok());
        self.version.or(last).unwrap_or(u64::MAX)
    }
}

/// A run that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) at: Millis,
    pub(crate) job: String,
    pub(crate) run_id: String,
    pub(crate) failed: bool,
    pub(crate) inputs: Vec<Node>,
    pub(crate) outputs: Vec<Node>,
}

/// One step on the way up or down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// Steps from where the question began.
    pub distance: usize,
    /// What was found.
    #[serde(flatten)]
    pub node: Node,
    /// The dataset from which it was reached.
    pub from: String,
    /// The job between the two.
    pub job: String,
    /// Its run.
    pub run_id: String,
    /// When the run ended.
    pub at: Millis,
}

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

/// Columns of datasets with what each is made from.
type Told = BTreeMap<String, BTreeMap<String, OutputColumn>>;
type Column = (String, String);

/// What came from what.
#[derive(Debug, Default)]
pub struct Graph {
    runs: Vec<Run>,
    /// Runs by what they wrote, in the order of its versions.
    makers: HashMap<String, Vec<usize>>,
    /// Runs by what they read, in the order in which they ended.
    readers: HashMap<String, Vec<usize>>,
    made_from: HashMap<Column, Vec<InputField>>,
    used_by: HashMap<Column, Vec<(Column, InputField)>>,
}

/// Datasets of which there are many, one a run, with the same columns: training sets and models.
pub(crate) fn family(name: &str) -> &str {
    if name.starts_with("model/") {
        return "model";
    }
    match name.strip_prefix("features/").and_then(|rest| rest.split_once('/')) {
        Some((set, _)) => name.get(.."features/".len() + set.len()).unwrap_or(name),
        None => name,
    }
}

impl Graph {
    /// Puts runs and column lineage together; what is told later replaces what was told before.
    pub(crate) fn new(mut runs: Vec<Run>, told: impl Iterator<Item = Told>) -> Self {
        runs.sort_by_key(|run| run.at);
        let mut graph = Self { runs, ..Self::default() };
        for (place, run) in graph.runs.iter().enumerate().filter(|(_, run)| !run.failed) {
            for output in &run.outputs {
                graph.makers.entry(output.name.clone()).or_default().push(place);
            }
            for input in &run.inputs {
                graph.readers.entry(input.name.clone()).or_default().push(place);
            }
        }
        let runs = &graph.runs;
        for (name, places) in &mut graph.makers {
            places.sort_by_key(|place| node(&runs[*place].outputs, name).map(Node::position));
        }
        for fields in told {
            for (dataset, columns) in fields {
                for (column, made) in columns {
                    graph.made_from.insert((dataset.clone(), column), made.input_fields);
                }
            }
        }
        for (made, inputs) in &graph.made_from {
            for input in inputs {
                let key = (family(&input.name).to_owned(), input.field.clone());
                graph.used_by.entry(key).or_default().push((made.clone(), input.clone()));
            }
        }
        graph
    }

    /// Number of runs that have ended.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Whether a dataset was read or written by any run.
    #[must_use]
    pub fn knows(&self, name: &str) -> bool {
        self.makers.contains_key(name) || self.readers.contains_key(name)
    }

    /// Names of all datasets, sorted.
    #[must_use]
    pub fn datasets(&self) -> Vec<&str> {
        let names: BTreeSet<&str> = self.makers.keys().chain(self.readers.keys()).map(String::as_str).collect();
        names.into_iter().collect()
    }

    /// What a dataset came from, nearest first; `None` for the newest version.
    #[must_use]
    pub fn up(&self, name: &str, version: Option<u64>) -> Vec<Hop> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut queue = VecDeque::from([(0, name.to_owned(), version.unwrap_or(u64::MAX))]);
        while let Some((distance, name, until)) = queue.pop_front() {
            if seen.get(&name).is_some_and(|before| *before >= until) {
                continue;
            }
            seen.insert(name.clone(), until);
            let Some(run) = self.maker(&name, until) else { continue };
            for input in &run.inputs {
                let mut found = input.clone();
                if names::carries_on(&run.job) {
                    // The runs before it have read what came before.
                    found.first = found.first.map(|_| 1);
                }
                queue.push_back((distance + 1, input.name.clone(), input.position()));
                add(&mut hops, distance + 1, found, &name, run, u64::max);
            }
        }
        hops
    }

    /// The newest run that wrote a dataset up to a version.
    fn maker(&self, name: &str, until: u64) -> Option<&Run> {
        let places = self.makers.get(name)?;
        let reaches = |place: &usize| node(&self.runs[*place].outputs, name).is_some_and(|n| n.position() <= until);
        let newest = places.iter().rev().find(|place| reaches(place));
        // A dataset without versions is what its last run made it.
        newest.or_else(|| places.last().filter(|_| until == u64::MAX)).map(|place| &self.runs[*place])
    }

    /// What was made of a dataset, nearest first; `None` for any version, for events the sequence.
    #[must_use]
    pub fn down(&self, name: &str, version: Option<u64>) -> Vec<Hop> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut seen: HashMap<String, u64> = HashMap::new();
        let mut queue = VecDeque::from([(0, name.to_owned(), version.unwrap_or(0))]);
        while let Some((distance, name, since)) = queue.pop_front() {
            if seen.get(&name).is_some_and(|before| *before <= since) {
                continue;
            }
            seen.insert(name.clone(), since);
            for run in self.readers_since(&name, since) {
                for output in &run.outputs {
                    let version = output.version.unwrap_or(0);
                    queue.push_back((distance + 1, output.name.clone(), version));
                    add(&mut hops, distance + 1, output.clone(), &name, run, u64::min);
                }
            }
        }
        hops
    }

    /// Runs that had read a dataset from a version on: of a job that carries on, the first; of others, all.
    fn readers_since(&self, name: &str, since: u64) -> Vec<&Run> {
        let mut first_of: BTreeSet<&str> = BTreeSet::new();
        let mut found = Vec::new();
        for place in self.readers.get(name).into_iter().flatten() {
            let run = &self.runs[*place];
            let reached = node(&run.inputs, name).is_some_and(|input| input.position() >= since);
            if reached && (!names::carries_on(&run.job) || first_of.insert(&run.job)) {
                found.push(run);
            }
        }
        found
    }

    /// What a column is made from, nearest first.
    #[must_use]
    pub fn column_up(&self, dataset: &str, column: &str) -> Vec<ColumnHop> {
        self.walk(dataset, column, |key| {
            let inputs = self.made_from.get(key).map(Vec::as_slice).unwrap_or_default();
            inputs.iter().map(|input| ((family(&input.name).to_owned(), input.field.clone()), input)).collect()
        })
    }

    /// What is made from a column, nearest first.
    #[must_use]
    pub fn column_down(&self, dataset: &str, column: &str) -> Vec<ColumnHop> {
        self.walk(dataset, column, |key| {
            let made = self.used_by.get(key).map(Vec::as_slice).unwrap_or_default();
            made.iter().map(|(made, input)| (made.clone(), input)).collect()
        })
    }

    /// Whether a column is made from others, or others from it.
    #[must_use]
    pub fn knows_column(&self, dataset: &str, column: &str) -> bool {
        let key = (family(dataset).to_owned(), column.to_owned());
        self.made_from.contains_key(&key) || self.used_by.contains_key(&key)
    }

    fn walk<'g>(
        &'g self,
        dataset: &str,
        column: &str,
        next: impl Fn(&Column) -> Vec<(Column, &'g InputField)>,
    ) -> Vec<ColumnHop> {
        let begin = (family(dataset).to_owned(), column.to_owned());
        let mut seen = BTreeSet::from([begin.clone()]);
        let mut queue = VecDeque::from([(0, begin)]);
        let mut hops = Vec::new();
        while let Some((distance, at)) = queue.pop_front() {
            let mut found = next(&at);
            found.sort_by(|a, b| a.0.cmp(&b.0));
            for (key, input) in found {
                let how: BTreeSet<&str> = input.transformations.iter().map(|t| t.subtype.as_str()).collect();
                let texts: BTreeSet<&str> =
                    input.transformations.iter().map(|t| t.description.as_str()).filter(|t| !t.is_empty()).collect();
                hops.push(ColumnHop {
                    distance: distance + 1,
                    dataset: key.0.clone(),
                    column: key.1.clone(),
                    from: format!("{}.{}", at.0, at.1),
                    direct: input.transformations.iter().any(|t| t.kind == "DIRECT"),
                    how: how.into_iter().collect::<Vec<_>>().join(", "),
                    text: texts.into_iter().collect::<Vec<_>>().join("; "),
                });
                if seen.insert(key.clone()) {
                    queue.push_back((distance + 1, key));
                }
            }
        }
        hops
    }
}

fn node<'n>(nodes: &'n [Node], name: &str) -> Option<&'n Node> {
    nodes.iter().find(|node| node.name == name)
}

/// Adds a hop, or widens the one that is there for the same dataset.
fn add(hops: &mut Vec<Hop>, distance: usize, found: Node, from: &str, run: &Run, wider: fn(u64, u64) -> u64) {
    if let Some(hop) = hops.iter_mut().find(|hop| hop.node.name == found.name) {
        if wider(hop.node.position(), found.position()) != hop.node.position() {
            let first = hop.node.first.min(found.first);
            hop.node = Node { first, ..found };
            (hop.job, hop.run_id, hop.at) = (run.job.clone(), run.run_id.clone(), run.at);
        }
        return;
    }
    hops.push(Hop {
        distance,
        node: found,
        from: from.to_owned(),
        job: run.job.clone(),
        run_id: run.run_id.clone(),
        at: run.at,
    });
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn of(name: &str, version: Option<u64>, last: Option<i64>) -> Node {
        Node { name: name.to_owned(), version, first: last.map(|last| last - 9), last, rows: None }
    }

    fn run(at: i64, job: &str, inputs: Vec<Node>, outputs: Vec<Node>) -> Run {
        let (at, job, run_id) = (Millis(at), job.to_owned(), format!("{job}-{at}"));
        Run { at, job, run_id, failed: false, inputs, outputs }
    }

    /// Ten events a raw version, two raw versions a clean one, a training set of clean version 1 and one of 2.
    fn graph() -> Graph {
        let mut runs = Vec::new();
        for v in 1..=4_u64 {
            let last = i64::try_from(v * 10).unwrap();
            runs.push(run(
                last,
                "ingestion.x",
                vec![of("events/x", None, Some(last))],
                vec![of("raw/x", Some(v), None)],
            ));
        }
        for v in 1..=2_u64 {
            let at = 100 + i64::try_from(v).unwrap();
            runs.push(run(
                at,
                "validation.x",
                vec![of("raw/x", Some(v * 2), None)],
                vec![of("clean/x", Some(v), None)],
            ));
        }
        for v in 1..=2_u64 {
            let (at, set, model) = (200 + i64::try_from(v).unwrap(), format!("features/s/{v}"), format!("model/{v}"));
            runs.push(run(at, "feature.s", vec![of("clean/x", Some(v), None)], vec![of(&set, None, None)]));
            runs.push(run(at + 10, "training", vec![of(&set, None, None)], vec![of(&model, None, None)]));
        }
        runs.push(run(300, "serving.d", vec![of("model/1", None, None)], vec![of("deployment/d", None, None)]));
        Graph::new(runs, std::iter::empty())
    }

    fn found(hops: &[Hop]) -> Vec<(usize, String)> {
        let text = |node: &Node| match (node.version, node.last) {
            (Some(version), _) => format!("{}@{version}", node.name),
            (None, Some(last)) => format!("{} {}..{last}", node.name, node.first.unwrap()),
            _ => node.name.clone(),
        };
        hops.iter().map(|hop| (hop.distance, text(&hop.node))).collect()
    }

    fn expected(hops: &[(usize, &str)]) -> Vec<(usize, String)> {
        hops.iter().map(|(distance, text)| (*distance, (*text).to_owned())).collect()
    }

    #[test]
    fn the_way_up_reaches_every_event_that_was_known_and_no_later_one() {
        let graph = graph();
        let up = graph.up("model/1", None);
        let way = [(1, "features/s/1"), (2, "clean/x@1"), (3, "raw/x@2"), (4, "events/x 1..20")];
        assert_eq!(found(&up), expected(&way));
        assert_eq!(found(&graph.up("model/2", None)).last().unwrap().1, "events/x 1..40");
        assert_eq!(found(&graph.up("raw/x", Some(3))), expected(&[(1, "events/x 1..30")]));
        assert!(graph.up("events/x", None).is_empty());
        assert!(graph.up("nowhere", None).is_empty() && !graph.knows("nowhere"));
    }

    #[test]
    fn the_way_down_reaches_what_was_made_after_and_nothing_before() {
        let graph = graph();
        let down = found(&graph.down("events/x", Some(25)));
        let way = [(1, "raw/x@3"), (2, "clean/x@2"), (3, "features/s/2"), (4, "model/2")];
        assert_eq!(down, expected(&way), "model 1 and what it answers are from before the event");
        let names: Vec<String> = graph.down("events/x", Some(5)).into_iter().map(|hop| hop.node.name).collect();
        for name in ["model/1", "model/2", "deployment/d"] {
            assert!(names.contains(&name.to_owned()), "{names:?}");
        }
    }

    #[test]
    fn datasets_that_differ_only_by_run_share_their_columns() {
        assert_eq!(family("features/s/training/c.parquet"), "features/s");
        assert_eq!(family("features/s/rows"), "features/s");
        assert_eq!(family("model/abc"), "model");
        assert_eq!(family("clean/p/x"), "clean/p/x");
    }

    #[test]
    fn columns_lead_both_ways() {
        let spec = tidemill_spec::Spec::parse(include_str!("../../../infra/examples/flights/project.yaml")).unwrap();
        let source = "weather".parse().unwrap();
        let told = BTreeMap::from([
            ("raw/flights/weather".to_owned(), crate::columns::raw(&spec, &source)),
            ("clean/flights/weather".to_owned(), crate::columns::cleaned(&spec, &source)),
            ("features/flight_2h".to_owned(), crate::columns::features(&spec)),
            (
                "model".to_owned(),
                crate::columns::score(&spec, "features/flight_2h/training/c.parquet", "trees", &["w_temp".to_owned()]),
            ),
        ]);
        let graph = Graph::new(Vec::new(), std::iter::once(told));
        let up = graph.column_up("model", "score");
        let direct: Vec<_> =
            up.iter().filter(|hop| hop.direct).map(|hop| (hop.distance, hop.column.as_str())).collect();
        assert!(direct.contains(&(1, "w_temp")) && direct.contains(&(4, "temp")), "{direct:?}");
        let down = graph.column_down("events/flights/weather", "temp");
        let names: Vec<&str> = down.iter().map(|hop| hop.column.as_str()).collect();
        assert_eq!(names, ["temp", "temp", "w_temp", "score"]);
        assert_eq!(down[2].text, "temp of the newest row by origin");
        assert!(graph.knows_column("features/flight_2h/training/x.parquet", "w_temp"));
        assert!(!graph.knows_column("features/flight_2h", "none"));
    }
}
