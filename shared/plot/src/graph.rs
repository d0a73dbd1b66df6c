//! Layered directed graphs: what came from what.
//!
//! Layers stand as columns from left to right. The order within a layer is found by barycentres, so that few edges
//! cross; the same input gives the same picture.

mod layout;

use crate::Labels;
use crate::frame::{self, colour, px};
use crate::text::shortened;
use layout::layout;
use maud::{Markup, html};

/// Nodes drawn in one layer at most; the others are one box that says how many.
const MOST: usize = 28;
/// Layers at most.
const LAYERS: usize = 12;
/// Edges drawn at most.
const EDGES: usize = 400;
const BOX: f64 = 142.0;
const GAP: f64 = 44.0;
const ROW: f64 = 40.0;
const HIGH: f64 = 32.0;
const TOP: f64 = 60.0;

/// A node, which is a link.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Column, from 0.
    pub layer: usize,
    /// First line.
    pub name: &'a str,
    /// Second line, for instance a version or a count.
    pub detail: String,
    /// Where it leads.
    pub href: String,
    /// Drawn with a thick border: what the page is about, or what is in service.
    pub emphasised: bool,
}

/// A graph in layers.
#[derive(Clone, Debug, Default)]
pub struct Layered<'a> {
    /// Names of the layers, from the left.
    pub layers: Vec<&'a str>,
    /// Nodes.
    pub nodes: Vec<Node<'a>>,
    /// From, to: indices into `nodes`. Only edges to a later layer are drawn.
    pub edges: Vec<(usize, usize)>,
}

/// The graph as a picture in which each node is a link.
#[must_use]
pub fn layered_graph(labels: Labels<'_>, graph: &Layered<'_>) -> Markup {
    let (nodes, edges) = gathered(graph);
    if nodes.is_empty() {
        return frame::empty(labels);
    }
    let layers = nodes.iter().map(|n| n.layer).max().unwrap_or(0) + 1;
    let columns: Vec<usize> = nodes.iter().map(|n| n.layer).collect();
    let (places, routes) = layout(&columns, &edges);
    let passed = routes.iter().flatten().map(|(_, row)| *row);
    let tallest = places.iter().map(|p| p.row).chain(passed).fold(0.0, f64::max);
    let (width, height) = (layers as f64 * (BOX + GAP) - GAP + 16.0, TOP + tallest * ROW + ROW);
    let left = |layer: usize| 8.0 + layer as f64 * (BOX + GAP);
    frame::wide(
        labels,
        (width, height),
        &html! {
            @for (i, name) in graph.layers.iter().take(layers).enumerate() {
                text x=(px(left(i) + BOX / 2.0)) y="44" text-anchor="middle" font-size="11" font-weight="600" opacity="0.75" { (name) }
            }
            g fill="none" stroke="currentColor" stroke-opacity="0.35" {
                @for route in &routes {
                    path d=(curve(route, left)) {}
                }
            }
            @for (node, place) in nodes.iter().zip(&places) {
                (drawn(node, left(node.layer), TOP + place.row * ROW))
            }
        },
    )
}

fn drawn(node: &Node<'_>, left: f64, top: f64) -> Markup {
    let strong = if node.emphasised { "2.5" } else { "1" };
    let middle = px(left + BOX / 2.0);
    let lone = node.detail.is_empty();
    let inside = html! {
        title { (node.name) @if !lone { ", " (node.detail) } }
        rect x=(px(left)) y=(px(top)) width=(BOX) height=(HIGH) rx="5" fill=(colour(node.layer)) fill-opacity="0.14"
            stroke=(colour(node.layer)) stroke-width=(strong) {}
        text x=(middle) y=(px(top + if lone { 20.0 } else { 14.0 })) text-anchor="middle" { (shortened(node.name, 20)) }
        @if !lone {
            text x=(middle) y=(px(top + 26.0)) text-anchor="middle" font-size="10" opacity="0.75" { (shortened(&node.detail, 23)) }
        }
    };
    html! {
        @if node.href.is_empty() { g { (inside) } } @else { a href=(node.href) { (inside) } }
    }
}

/// A smooth line from the right side of a box over the free places of the layers between to the left side of another.
fn curve(route: &[(usize, f64)], left: impl Fn(usize) -> f64) -> String {
    let middle = |row: f64| TOP + row * ROW + HIGH / 2.0;
    let mut d = String::new();
    for pair in route.windows(2) {
        let ((from, above), (to, below)) = (pair[0], pair[1]);
        let (x1, x2, y1, y2) = (left(from) + BOX, left(to), middle(above), middle(below));
        let bend = (x2 - x1) / 2.0;
        if d.is_empty() {
            d = format!("M{} {}", px(x1), px(y1));
        } else {
            d.push_str(&format!("H{}", px(x1)));
        }
        d.push_str(&format!("C{} {} {} {} {} {}", px(x1 + bend), px(y1), px(x2 - bend), px(y2), px(x2), px(y2)));
    }
    d
}

/// The nodes that are drawn, with one for the rest of each overfull layer, and the edges between them.
fn gathered<'a>(graph: &Layered<'a>) -> (Vec<Node<'a>>, Vec<(usize, usize)>) {
    let mut nodes: Vec<Node<'a>> = Vec::new();
    let mut rest: [Option<(usize, usize)>; LAYERS] = [None; LAYERS];
    let mut index = Vec::with_capacity(graph.nodes.len());
    let mut totals = [0; LAYERS];
    for node in graph.nodes.iter().filter(|n| n.layer < LAYERS) {
        totals[node.layer] += 1;
    }
    let mut counts = [0; LAYERS];
    for node in &graph.nodes {
        let Some(count) = counts.get_mut(node.layer) else {
            index.push(None);
            continue;
        };
        *count += 1;
        if totals[node.layer] <= MOST || *count < MOST {
            nodes.push(node.clone());
            index.push(Some(nodes.len() - 1));
            continue;
        }
        let (at, left_out) = rest[node.layer].get_or_insert_with(|| {
            let node = Node { name: "", detail: String::new(), href: String::new(), emphasised: false, ..node.clone() };
            nodes.push(node);
            (nodes.len() - 1, 0)
        });
        *left_out += 1;
        index.push(Some(*at));
    }
    for (at, left_out) in rest.into_iter().flatten() {
        nodes[at].name = "…";
        nodes[at].detail = format!("{left_out} more");
    }
    let known = |i: &usize| index.get(*i).copied().flatten();
    let mut edges: Vec<(usize, usize)> =
        graph.edges.iter().filter_map(|(from, to)| Some((known(from)?, known(to)?))).collect();
    edges.retain(|(from, to)| nodes[*from].layer < nodes[*to].layer);
    edges.sort_unstable();
    edges.dedup();
    edges.truncate(EDGES);
    (nodes, edges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(layer: usize, name: &str) -> Node<'_> {
        Node { layer, name, detail: String::new(), href: format!("/x/{name}"), emphasised: false }
    }

    #[test]
    fn nodes_are_links_and_text_is_escaped() {
        let nodes = vec![node(0, "a<b"), node(1, "c"), node(2, "d")];
        let graph =
            Layered { layers: vec!["source", "table", "model"], nodes, edges: vec![(0, 1), (0, 2), (2, 0), (1, 9)] };
        let svg = layered_graph(Labels::default(), &graph).into_string();
        assert_eq!((svg.matches("<a href=").count(), svg.matches("<path").count()), (3, 2));
        assert!(svg.contains("a&lt;b") && !svg.contains("NaN"));
        assert_eq!(svg, layered_graph(Labels::default(), &graph).into_string());
    }

    #[test]
    fn an_overfull_layer_ends_in_one_box_that_keeps_the_edges() {
        let names: Vec<String> = (0..5_000).map(|i| format!("f{i}")).collect();
        let mut nodes: Vec<Node<'_>> = names.iter().map(|n| node(0, n)).collect();
        nodes.push(node(1, "run"));
        let edges = (0..5_000).map(|i| (i, 5_000)).collect();
        let svg =
            layered_graph(Labels::default(), &Layered { layers: vec!["feature", "run"], nodes, edges }).into_string();
        assert!(svg.contains("4973 more") && svg.len() < 60_000, "{}", svg.len());
        assert_eq!(svg.matches("<path").count(), MOST);
        assert!(layered_graph(Labels::default(), &Layered::default()).into_string().contains("no values"));
    }
}
