//! Many changes at once, on all cores.
//!
//! A large trie does not fit the caches of the processor, so that following its paths is mostly waiting for memory: the
//! sixteen subtrees of the root are changed and hashed beside each other.

use alloy_primitives::B256;
use rayon::prelude::*;

use super::{Leaf, Node, Trie, branch_mut, find, insert_at, nibble, remove_at, settled};

/// Below this many changes the hand-over to other threads costs more than it gives.
const WORTH_IT: usize = 64;

impl<V: Leaf + PartialEq> Trie<V> {
    /// Apply changes (None removes), sorted by key, each key once. Returns the value before of what really changed.
    pub fn update(&mut self, changes: &[(B256, Option<V>)]) -> Vec<(B256, Option<V>)> {
        match &mut self.root {
            Some(Node::Branch(root)) if root.prefix.is_empty() && changes.len() >= WORTH_IT => {
                let priors: Vec<_> = branch_mut(root)
                    .children
                    .par_iter_mut()
                    .enumerate()
                    .map(|(index, child)| {
                        let priors = update_at(child, 1, share(changes, index));
                        if let Some(node) = child.as_ref().filter(|_| !priors.is_empty()) {
                            node.reference(1);
                        }
                        priors
                    })
                    .collect();
                if let Some(Node::Branch(root)) = self.root.take() {
                    self.root = settled(root);
                }
                priors.concat()
            }
            root => update_at(root, 0, changes),
        }
    }
}

/// The changes whose keys begin with a nibble.
fn share<V>(changes: &[(B256, Option<V>)], index: usize) -> &[(B256, Option<V>)] {
    let from = changes.partition_point(|(key, _)| nibble(key, 0) < index);
    let to = changes.partition_point(|(key, _)| nibble(key, 0) <= index);
    &changes[from..to]
}

fn update_at<V: Leaf + PartialEq>(
    slot: &mut Option<Node<V>>,
    depth: usize,
    changes: &[(B256, Option<V>)],
) -> Vec<(B256, Option<V>)> {
    let mut priors = Vec::with_capacity(changes.len());
    for (key, value) in changes {
        let prior = find(slot.as_ref(), depth, key);
        if prior == value.as_ref() {
            continue;
        }
        priors.push((*key, prior.cloned()));
        match value {
            Some(value) => insert_at(slot, depth, *key, value.clone()),
            None => {
                remove_at(slot, depth, key);
            }
        }
    }
    priors
}
