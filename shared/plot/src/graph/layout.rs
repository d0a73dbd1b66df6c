//! Rows of the nodes of a layered graph, by sweeps of barycentres (Sugiyama, Tagawa & Toda 1981).

/// Sweeps over all layers; the best order seen is kept.
const SWEEPS: usize = 12;

/// Where a node stands in its layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// Row, from 0; halves occur because short layers are centred.
    pub(crate) row: f64,
}

/// A route of an edge: layer and row of each place it passes, ends included.
pub(crate) type Route = Vec<(usize, f64)>;

/// Places of the nodes and routes of the edges. `layers` names the layer of each node; edges lead to later layers.
///
/// An edge over several layers takes a place in each of them, so that it passes between the boxes.
pub(crate) fn layout(layers: &[usize], edges: &[(usize, usize)]) -> (Vec<Place>, Vec<Route>) {
    let mut of_layer: Vec<usize> = layers.to_vec();
    let mut links: Vec<(usize, usize)> = Vec::new();
    let mut chains = Vec::with_capacity(edges.len());
    for (from, to) in edges {
        let mut chain = vec![*from];
        for layer in layers[*from] + 1..layers[*to] {
            // Edges to one node run together: they share the places they pass.
            let shared = chains.iter().find_map(|other: &Vec<usize>| {
                let passes = other.last() == Some(to) && other.first() != Some(from);
                other.iter().copied().find(|n| passes && *n >= layers.len() && of_layer[*n] == layer)
            });
            chain.push(shared.unwrap_or_else(|| {
                of_layer.push(layer);
                of_layer.len() - 1
            }));
        }
        chain.push(*to);
        links.extend(chain.windows(2).map(|pair| (pair[0], pair[1])));
        chains.push(chain);
    }
    links.sort_unstable();
    links.dedup();
    let rows = order(&of_layer, &links);
    let routes = chains.iter().map(|chain| chain.iter().map(|n| (of_layer[*n], rows[*n])).collect()).collect();
    (rows[..layers.len()].iter().map(|row| Place { row: *row }).collect(), routes)
}

/// Row of each node.
fn order(of_layer: &[usize], links: &[(usize, usize)]) -> Vec<f64> {
    let depth = of_layer.iter().max().map_or(0, |d| d + 1);
    let mut columns: Vec<Vec<usize>> = vec![Vec::new(); depth];
    for (node, layer) in of_layer.iter().enumerate() {
        columns[*layer].push(node);
    }
    let tallest = columns.iter().map(Vec::len).max().unwrap_or(0);
    let (mut before, mut after) = (vec![Vec::new(); of_layer.len()], vec![Vec::new(); of_layer.len()]);
    for (from, to) in links {
        after[*from].push(*to);
        before[*to].push(*from);
    }
    let mut rows = centred(&columns, tallest, of_layer.len());
    let mut best = (crossings(of_layer, links, &rows), rows.clone());
    for sweep in 0..SWEEPS {
        let forward = sweep % 2 == 0;
        let neighbours = if forward { &before } else { &after };
        for step in 0..depth {
            let layer = if forward { step } else { depth - 1 - step };
            let centre = |node: usize, rows: &[f64]| {
                let around = &neighbours[node];
                if around.is_empty() {
                    return rows[node];
                }
                around.iter().map(|n| rows[*n]).sum::<f64>() / around.len() as f64
            };
            let mut wanted: Vec<(f64, usize)> = columns[layer].iter().map(|n| (centre(*n, &rows), *n)).collect();
            // Stable: nodes of one centre keep their order.
            wanted.sort_by(|a, b| a.0.total_cmp(&b.0));
            columns[layer] = wanted.into_iter().map(|(_, node)| node).collect();
            rows = centred(&columns, tallest, of_layer.len());
        }
        let found = crossings(of_layer, links, &rows);
        if found < best.0 {
            best = (found, rows.clone());
        }
    }
    best.1
}

/// Rows by the order in each layer, shorter layers in the middle.
fn centred(columns: &[Vec<usize>], tallest: usize, nodes: usize) -> Vec<f64> {
    let mut rows = vec![0.0; nodes];
    for column in columns {
        let first = (tallest - column.len()) as f64 / 2.0;
        for (i, node) in column.iter().enumerate() {
            rows[*node] = first + i as f64;
        }
    }
    rows
}

/// Pairs of links between the same two layers that cross.
fn crossings(of_layer: &[usize], links: &[(usize, usize)], rows: &[f64]) -> usize {
    let mut by_layer: Vec<Vec<(f64, f64)>> = vec![Vec::new(); of_layer.iter().max().map_or(0, |d| d + 1)];
    for (from, to) in links {
        by_layer[of_layer[*from]].push((rows[*from], rows[*to]));
    }
    let crossing = |a: &(f64, f64), b: &(f64, f64)| (a.0 - b.0) * (a.1 - b.1) < 0.0;
    by_layer
        .iter()
        .map(|links| {
            links
                .iter()
                .enumerate()
                .map(|(i, a)| links[i + 1..].iter().filter(|b| crossing(a, b)).count())
                .sum::<usize>()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_graph_that_can_be_drawn_without_crossings_is() {
        // Two trees whose nodes come in the wrong order.
        let layers = [0, 0, 1, 1, 1, 1, 2, 2];
        let edges = [(0, 3), (0, 5), (1, 2), (1, 4), (3, 7), (5, 7), (2, 6), (4, 6)];
        let (places, _) = layout(&layers, &edges);
        let rows: Vec<f64> = places.iter().map(|p| p.row).collect();
        assert_eq!(crossings(&layers, &edges, &rows), 0, "{rows:?}");
    }

    #[test]
    fn no_two_boxes_share_a_place_and_long_edges_pass_between_them() {
        let layers = [0, 0, 1, 1, 2, 3];
        let (places, routes) = layout(&layers, &[(0, 5), (1, 5), (0, 2), (1, 3), (2, 4), (3, 4), (4, 5)]);
        for (i, a) in places.iter().enumerate() {
            let twin = (i + 1..places.len()).find(|j| layers[i] == layers[*j] && *a == places[*j]);
            assert_eq!(twin, None, "{places:?}");
        }
        assert_eq!(routes[0].iter().map(|p| p.0).collect::<Vec<_>>(), [0, 1, 2, 3]);
        for passed in &routes[0][1..3] {
            let taken = |i: usize| layers[i] == passed.0 && (places[i].row - passed.1).abs() < 0.5;
            assert!(!(0..layers.len()).any(taken), "{routes:?}");
        }
    }
}
