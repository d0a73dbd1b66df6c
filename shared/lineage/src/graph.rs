//! The graph of what came from what, with versions.
//!
//! A version of a table holds what all versions before it brought. So the way up from a version leads through the newest
//! run that wrote this version or an earlier one, and what that run had read up to; the way down leads through the first
//! run that had read this version or a later one, and through every run that read the table as a whole. Where a run does
//! not say which version it read or made, the instant at which it ended says it.

use crate::names;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use tidemill_types::Millis;

/// A dataset, as far as a run read or wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// The version that was read or made; of a deployment, the instant since which it answers so, in milliseconds.
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
    /// How far it was read or written, when anything says.
    fn reach(&self) -> Option<u64> {
        self.version.or_else(|| self.last.and_then(|last| u64::try_from(last).ok()))
    }

    /// How far it was read or written; all of it when nothing says.
    fn position(&self) -> u64 {
        self.reach().unwrap_or(u64::MAX)
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

/// A place in the life of a dataset: a version, and an instant for what has none.
#[derive(Clone, Copy, Debug)]
struct Moment {
    version: Option<u64>,
    at: Millis,
}

/// What came from what. Runs may be added at any time, in any order.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    runs: Vec<Run>,
    /// Runs by what they wrote, in the order in which they ended.
    makers: HashMap<String, Vec<usize>>,
    /// Runs by what they read, in the order in which they ended.
    readers: HashMap<String, Vec<usize>>,
}

impl Graph {
    /// Adds a run that has ended.
    pub(crate) fn add(&mut self, run: Run) {
        let place = self.runs.len();
        let (at, failed) = (run.at, run.failed);
        let names = |nodes: &[Node]| nodes.iter().map(|node| node.name.clone()).collect::<BTreeSet<_>>();
        let (read, made) = (names(&run.inputs), names(&run.outputs));
        self.runs.push(run);
        if failed {
            return;
        }
        let runs = &self.runs;
        for (index, names) in [(&mut self.readers, read), (&mut self.makers, made)] {
            for name in names {
                let places = index.entry(name).or_default();
                let behind = places.partition_point(|place| runs[*place].at <= at);
                places.insert(behind, place);
            }
        }
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

    /// When a version of a dataset was made; `None` for the newest version.
    #[must_use]
    pub fn made_at(&self, name: &str, version: Option<u64>) -> Option<Millis> {
        self.maker(name, Moment { version, at: Millis::MAX }).map(|place| self.runs[place].at)
    }

    /// What a dataset came from, nearest first; `None` for the newest version.
    #[must_use]
    pub fn up(&self, name: &str, version: Option<u64>) -> Vec<Hop> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut seen: HashSet<(String, usize)> = HashSet::new();
        let mut queue = VecDeque::from([(0, name.to_owned(), Moment { version, at: Millis::MAX })]);
        while let Some((distance, name, until)) = queue.pop_front() {
            let Some(place) = self.maker(&name, until) else { continue };
            if !seen.insert((name.clone(), place)) {
                continue;
            }
            let run = &self.runs[place];
            for input in &run.inputs {
                let mut found = input.clone();
                if names::carries_on(&run.job) {
                    // The runs before it have read what came before.
                    found.first = found.first.map(|_| 1);
                }
                queue.push_back((distance + 1, input.name.clone(), Moment { version: input.reach(), at: run.at }));
                add(&mut hops, distance + 1, found, &name, run, u64::max);
            }
        }
        hops
    }

    /// The newest run that wrote a dataset up to a moment.
    fn maker(&self, name: &str, until: Moment) -> Option<usize> {
        let places = self.makers.get(name)?;
        let version = |place: usize| node(&self.runs[place].outputs, name).and_then(Node::reach);
        if let Some(until) = until.version {
            let reached = places.iter().filter(|place| version(**place).is_some_and(|made| made <= until));
            // The later of two that made the same.
            if let Some(newest) = reached.max_by_key(|place| version(**place)) {
                return Some(*newest);
            }
        }
        // What says no version has the instant at which it was made.
        let in_time = |place: &&usize| self.runs[**place].at <= until.at;
        if until.version.is_some() {
            return places.iter().rev().filter(|place| version(**place).is_none()).find(in_time).copied();
        }
        let newest = places.iter().filter(in_time).max_by_key(|place| version(**place));
        // Clocks may differ between the two: what was read had been made.
        newest.or_else(|| places.first()).copied()
    }

    /// What was made of a dataset, nearest first; `None` for any version, for events the sequence.
    #[must_use]
    pub fn down(&self, name: &str, version: Option<u64>) -> Vec<Hop> {
        let mut hops: Vec<Hop> = Vec::new();
        let mut seen: HashSet<(String, usize)> = HashSet::new();
        let mut queue = VecDeque::from([(0, name.to_owned(), Moment { version, at: Millis::MIN })]);
        while let Some((distance, name, since)) = queue.pop_front() {
            for place in self.readers_since(&name, since) {
                if !seen.insert((name.clone(), place)) {
                    continue;
                }
                let run = &self.runs[place];
                for output in &run.outputs {
                    queue.push_back((
                        distance + 1,
                        output.name.clone(),
                        Moment { version: output.version, at: run.at },
                    ));
                    add(&mut hops, distance + 1, output.clone(), &name, run, u64::min);
                }
            }
        }
        hops
    }

    /// Runs that had read a dataset from a moment on: of a job that carries on, the first; of others, all.
    fn readers_since(&self, name: &str, since: Moment) -> Vec<usize> {
        // What was made once is what everybody read, whatever the clocks say.
        let is_only_one = self.makers.get(name).is_some_and(|places| places.len() == 1);
        let reached = |run: &Run, input: &Node| match (input.reach(), since.version) {
            (Some(read), Some(since)) => read >= since,
            _ => is_only_one || run.at >= since.at,
        };
        let mut first_of: BTreeSet<&str> = BTreeSet::new();
        let mut found = Vec::new();
        for place in self.readers.get(name).into_iter().flatten() {
            let run = &self.runs[*place];
            let reached = run.inputs.iter().any(|input| input.name == name && reached(run, input));
            if reached && (!names::carries_on(&run.job) || first_of.insert(&run.job)) {
                found.push(*place);
            }
        }
        found
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

    fn of_runs(runs: Vec<Run>) -> Graph {
        let mut graph = Graph::default();
        runs.into_iter().for_each(|run| graph.add(run));
        graph
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
        of_runs(runs)
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

    /// Two champions, one from 300 on, one from 400 on, and five commits of what they answered.
    fn served(says_since: bool) -> Graph {
        let since = |at: u64| says_since.then_some(at);
        let mut runs = Vec::new();
        for (at, model) in [(300, "model/1"), (400, "model/2")] {
            let of_model = i64::try_from(at).unwrap() - 50;
            runs.push(run(of_model, "training", vec![], vec![of(model, None, None)]));
            // It is loaded after the alias has moved.
            let made = vec![of("deployment/d", since(at), None)];
            runs.push(run(of_model + 55, "serving.d", vec![of(model, None, None)], made));
        }
        for (version, read, at) in
            [(1, vec![300], 320), (2, vec![300], 398), (3, vec![300, 400], 410), (4, vec![400], 420)]
        {
            let read = read.into_iter().map(|at| of("deployment/d", since(at), None)).collect();
            runs.push(run(at, "monitoring.d", read, vec![of("predictions/d", Some(version), None)]));
        }
        of_runs(runs)
    }

    fn named(hops: &[Hop], begin: &str) -> Vec<String> {
        found(hops).into_iter().map(|(_, text)| text).filter(|text| text.starts_with(begin)).collect()
    }

    #[test]
    fn a_version_of_predictions_comes_from_the_model_that_answered_and_leads_to_no_earlier_one() {
        for says_since in [true, false] {
            let graph = served(says_since);
            for (version, models) in [(1, vec!["model/1"]), (2, vec!["model/1"]), (4, vec!["model/2"])] {
                assert_eq!(named(&graph.up("predictions/d", Some(version)), "model"), models, "{version} {says_since}");
            }
            let down = |model| named(&graph.down(model, None), "predictions");
            assert_eq!(down("model/1"), ["predictions/d@1"]);
            assert_eq!(down("model/2"), ["predictions/d@3"]);
        }
        // A commit that holds answers of two models names both.
        assert_eq!(named(&served(true).up("predictions/d", Some(3)), "model"), ["model/1", "model/2"]);
    }

    #[test]
    fn what_was_told_before_deployments_had_versions_goes_on_to_be_found() {
        let mut graph = served(false);
        graph.add(run(505, "serving.d", vec![of("model/2", None, None)], vec![of("deployment/d", Some(500), None)]));
        let made = vec![of("predictions/d", Some(5), None)];
        graph.add(run(450, "monitoring.d", vec![of("deployment/d", Some(400), None)], made));
        assert_eq!(named(&graph.up("predictions/d", Some(5)), "model"), ["model/2"]);
        assert_eq!(named(&graph.up("predictions/d", Some(1)), "model"), ["model/1"]);
    }

    #[test]
    fn runs_that_are_told_late_stand_where_they_ended() {
        let mut graph = Graph::default();
        for (at, version) in [(30, 3), (10, 1), (20, 2)] {
            let last = i64::try_from(version * 10).unwrap();
            let made = vec![of("raw/x", Some(version), None)];
            graph.add(run(at, "ingestion.x", vec![of("events/x", None, Some(last))], made));
        }
        assert_eq!(found(&graph.down("events/x", Some(11))), expected(&[(1, "raw/x@2")]));
        assert_eq!(found(&graph.up("raw/x", Some(2))), expected(&[(1, "events/x 1..20")]));
        assert_eq!(graph.made_at("raw/x", Some(2)), Some(Millis(20)));
    }
}
