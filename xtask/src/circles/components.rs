//! Strongly connected components of a small graph.

use std::collections::BTreeSet;

/// The components with more than one node of the graph with nodes `0..nodes`, each in ascending order.
pub fn components(nodes: usize, edges: impl Iterator<Item = (usize, usize)>) -> Vec<BTreeSet<usize>> {
    let edges: Vec<(usize, usize)> = edges.collect();
    let reachable: Vec<BTreeSet<usize>> = (0..nodes).map(|node| reachable(node, &edges)).collect();
    let reaches = |from: usize, to: usize| reachable.get(from).is_some_and(|nodes| nodes.contains(&to));
    let mut found: BTreeSet<BTreeSet<usize>> = BTreeSet::new();
    for node in 0..nodes {
        found.insert((0..nodes).filter(|&other| reaches(node, other) && reaches(other, node)).collect());
    }
    found.into_iter().filter(|component| component.len() > 1).collect()
}

fn reachable(from: usize, edges: &[(usize, usize)]) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut next = vec![from];
    while let Some(node) = next.pop() {
        next.extend(
            edges.iter().filter(|(from, _)| *from == node).map(|(_, to)| *to).filter(|to| seen.insert(*to)),
        );
    }
    seen
}
