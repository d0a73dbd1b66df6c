//! Steps of lineage as a picture: each dataset or column is a box in the layer of its kind.

use crate::layout::encoded;
use serde::Serialize;
use std::collections::{BTreeSet, HashMap};
use tidemill_lineage::{ColumnHop, Hop, Node};

/// Boxes at most; what is farther away is counted.
const MOST: usize = 120;
/// Kinds of datasets, each a layer; the last for what is none of them.
pub(super) const LAYERS: [&str; 8] =
    ["events", "raw table", "clean table", "training set", "model", "in service", "predictions", "other"];

/// Something that was made, or that things are made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Made {
    pub(super) layer: usize,
    pub(super) name: String,
    pub(super) detail: String,
    pub(super) href: String,
    pub(super) emphasised: bool,
}

/// Boxes and what leads from one to another.
#[derive(Debug, Default, Serialize)]
pub(super) struct Picture {
    pub(super) nodes: Vec<Made>,
    /// From, to: places in `nodes`.
    pub(super) edges: BTreeSet<(usize, usize)>,
    /// Boxes that are not shown, because there are too many.
    pub(super) left_out: usize,
    #[serde(skip)]
    places: HashMap<String, Option<usize>>,
}

/// Whether steps lead to what something came from, or to what was made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Up,
    Down,
}

impl Picture {
    /// Adds what the picture is about.
    pub(super) fn begin(&mut self, name: &str, column: Option<&str>, detail: String) {
        let id = column.map_or_else(|| name.to_owned(), |column| format!("{name}.{column}"));
        if let Some(place) = self.place(&id, name, column, || detail) {
            self.nodes[place].emphasised = true;
        }
    }

    /// Adds steps between datasets, the nearest first.
    pub(super) fn add(&mut self, hops: &[Hop], way: Way) {
        for hop in hops {
            let found = self.place(&hop.node.name, &hop.node.name, None, || detail(&hop.node));
            let from = self.place(&hop.from, &hop.from, None, String::new);
            self.join(found, from, way);
        }
    }

    /// Adds steps between columns, the nearest first.
    pub(super) fn add_columns(&mut self, hops: &[ColumnHop], way: Way) {
        for hop in hops {
            let id = format!("{}.{}", hop.dataset, hop.column);
            let said = if hop.text.is_empty() { &hop.how } else { &hop.text };
            let found = self.place(&id, &hop.dataset, Some(&hop.column), || said.to_lowercase());
            let from = self.places.get(&hop.from).copied().flatten();
            self.join(found, from, way);
        }
    }

    fn join(&mut self, found: Option<usize>, from: Option<usize>, way: Way) {
        if let (Some(found), Some(from)) = (found, from) {
            self.edges.insert(if way == Way::Up { (found, from) } else { (from, found) });
        }
    }

    fn place(
        &mut self,
        id: &str,
        dataset: &str,
        column: Option<&str>,
        detail: impl FnOnce() -> String,
    ) -> Option<usize> {
        if let Some(known) = self.places.get(id) {
            return *known;
        }
        let place = (self.nodes.len() < MOST).then_some(self.nodes.len());
        self.places.insert(id.to_owned(), place);
        if place.is_none() {
            self.left_out += 1;
            return None;
        }
        self.nodes.push(Made {
            layer: layer(dataset),
            name: column.map_or_else(|| short(dataset), str::to_owned),
            detail: detail(),
            href: format!("/lineage?of={}", encoded(id)),
            emphasised: false,
        });
        place
    }
}

/// How much of a dataset, for people.
fn detail(node: &Node) -> String {
    // Versions of a deployment are instants, which say nothing here.
    let version = node.version.filter(|_| !node.name.starts_with("deployment/"));
    match (version, node.first, node.last) {
        (Some(version), ..) => format!("version {version}"),
        (None, Some(first), Some(last)) => format!("events {first} to {last}"),
        (None, None, Some(last)) => format!("up to event {last}"),
        _ => node.rows.map(|rows| format!("{rows} rows")).unwrap_or_default(),
    }
}

/// The layer of a dataset by the area that it lies in.
fn layer(dataset: &str) -> usize {
    match dataset.split('/').next().unwrap_or_default() {
        "events" => 0,
        "raw" => 1,
        "clean" | "quarantine" => 2,
        "features" => 3,
        "model" => 4,
        "deployment" | "scorecards" => 5,
        "predictions" => 6,
        _ => 7,
    }
}

/// The part of a name that tells it from others in its layer.
fn short(dataset: &str) -> String {
    let last = dataset.rsplit('/').next().unwrap_or(dataset);
    let last = last.strip_suffix(".parquet").or_else(|| last.strip_suffix(".json")).unwrap_or(last);
    let is_digest = last.len() == 64 && last.bytes().all(|b| b.is_ascii_hexdigit());
    let last = if is_digest { last.get(..12).unwrap_or(last) } else { last };
    match dataset.split('/').next() {
        Some(area @ ("quarantine" | "scorecards")) => format!("{area} {last}"),
        _ => last.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use tidemill_types::Millis;

    fn hop(name: &str, from: &str, version: Option<u64>) -> Hop {
        Hop {
            distance: 1,
            node: Node { name: name.to_owned(), version, first: None, last: None, rows: None },
            from: from.to_owned(),
            job: String::new(),
            run_id: String::new(),
            at: Millis(0),
        }
    }

    #[test]
    fn edges_lead_from_what_was_read_to_what_was_made_whichever_way_was_asked() {
        let mut picture = Picture::default();
        picture.begin("clean/p/x", None, "version 3".to_owned());
        picture.add(&[hop("raw/p/x", "clean/p/x", Some(7))], Way::Up);
        picture.add(&[hop("features/s/training/c.parquet", "clean/p/x", None)], Way::Down);
        picture.add(&[hop("features/s/training/c.parquet", "clean/p/x", None)], Way::Down);
        let shown: Vec<_> =
            picture.nodes.iter().map(|made| (made.layer, made.name.as_str(), made.detail.as_str())).collect();
        assert_eq!(shown, [(2, "x", "version 3"), (1, "x", "version 7"), (3, "c", "")]);
        assert_eq!(picture.edges, BTreeSet::from([(0, 2), (1, 0)]));
        assert_eq!(picture.nodes[1].href, "/lineage?of=raw%2Fp%2Fx");
        assert!(picture.nodes[0].emphasised && !picture.nodes[1].emphasised);
    }

    #[test]
    fn a_picture_stays_bounded_and_says_what_it_left_out() {
        let mut picture = Picture::default();
        picture.begin("clean/p/x", None, String::new());
        let many: Vec<Hop> = (0..1_000).map(|i| hop(&format!("features/s/{i}"), "clean/p/x", None)).collect();
        picture.add(&many, Way::Down);
        assert_eq!((picture.nodes.len(), picture.left_out), (MOST, 1_000 + 1 - MOST));
        assert_eq!(picture.edges.len(), MOST - 1);
    }
}
