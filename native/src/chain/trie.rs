//! A persistent Merkle Patricia trie with 32-byte keys.
//!
//! Nodes are shared (`Arc`) and copied on the first write after a clone, so a clone of a trie is an immutable snapshot
//! that costs nothing: the roots of past blocks stay provable beside the head. Every node caches its reference (hash or
//! embedded RLP); a write drops the caches on its path only, so a root costs what changed, not what exists.
//!
//! An extension node has no type of its own: a branch carries the nibbles before it (`prefix`), written as an extension
//! when they are not empty. With keys of one length no branch carries a value.
//! Source: Ethereum yellow paper, appendix D.

mod batch;

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{BufMut, Encodable, Header, length_of_length};
use alloy_trie::nodes::RlpNode;
use rayon::prelude::*;

/// keccak256(rlp("")): the root of a trie without leaves.
pub const EMPTY_ROOT: B256 = alloy_trie::EMPTY_ROOT_HASH;

/// Nibbles in a key.
const KEY_NIBBLES: usize = 64;

/// A value that a trie can hold; `encode` writes the bytes that stand in the leaf (itself RLP in both of our tries).
pub trait Leaf: Clone + Send + Sync {
    /// Append the leaf's value to `out`.
    fn encode(&self, out: &mut Vec<u8>);
}

/// The trie. `Clone` is a snapshot.
#[derive(Clone)]
pub struct Trie<V> {
    root: Option<Node<V>>,
}

#[derive(Clone)]
enum Node<V> {
    Leaf(Arc<LeafNode<V>>),
    Branch(Arc<BranchNode<V>>),
}

/// The whole key is kept: the path of a leaf depends on its depth, and a contract's slots can be listed.
#[derive(Clone)]
struct LeafNode<V> {
    key: B256,
    value: V,
    cached: OnceLock<RlpNode>,
}

#[derive(Clone)]
struct BranchNode<V> {
    prefix: Box<[u8]>,
    children: [Option<Node<V>>; 16],
    cached: OnceLock<RlpNode>,
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V: Leaf> Trie<V> {
    /// Whether the trie has no leaf.
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value at `key`.
    pub fn get(&self, key: &B256) -> Option<&V> {
        find(self.root.as_ref(), 0, key)
    }

    /// Set the value at `key`.
    pub fn insert(&mut self, key: B256, value: V) {
        insert_at(&mut self.root, 0, key, value);
    }

    /// Remove `key`; true when it was there.
    pub fn remove(&mut self, key: &B256) -> bool {
        // Looked up first: removing what is absent must not copy a path.
        self.get(key).is_some() && remove_at(&mut self.root, 0, key)
    }

    /// The root hash.
    pub fn root(&self) -> B256 {
        match &self.root {
            None => EMPTY_ROOT,
            Some(node) => {
                let reference = node.reference(0);
                // A root shorter than 32 bytes is embedded nowhere: it is hashed all the same.
                reference.as_hash().unwrap_or_else(|| alloy_primitives::keccak256(reference.as_slice()))
            }
        }
    }

    /// The nodes (RLP, root first) that prove the value at `key` or its absence; embedded nodes ride in their parent.
    pub fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        let mut next = self.root.as_ref();
        let mut depth = 0;
        while let Some(node) = next {
            match node {
                Node::Leaf(leaf) => {
                    push_node(&mut proof, leaf.rlp(depth));
                    break;
                }
                Node::Branch(branch) => {
                    let body = branch.rlp(depth);
                    if !branch.prefix.is_empty() {
                        push_node(&mut proof, extension_rlp(&branch.prefix, &RlpNode::from_rlp(&body)));
                    }
                    let common = branch.common(key, depth);
                    if common < branch.prefix.len() {
                        break;
                    }
                    push_node(&mut proof, body);
                    depth += common;
                    next = branch.children[nibble(key, depth)].as_ref();
                    depth += 1;
                }
            }
        }
        proof
    }

    /// Call `f` with every leaf in key order.
    pub fn for_each(&self, mut f: impl FnMut(&B256, &V)) {
        fn walk<V>(node: &Node<V>, f: &mut impl FnMut(&B256, &V)) {
            match node {
                Node::Leaf(leaf) => f(&leaf.key, &leaf.value),
                Node::Branch(branch) => branch.children.iter().flatten().for_each(|child| walk(child, f)),
            }
        }
        if let Some(node) = &self.root {
            walk(node, &mut f);
        }
    }
}

impl<V: Leaf> Node<V> {
    /// What a parent holds for this node. Computed once per version of the node.
    fn reference(&self, depth: usize) -> RlpNode {
        // get, compute, set: never `get_or_init`. Hashing runs on the rayon pool, where a thread that waits steals other
        // work; initialising one cell from inside itself would deadlock. Two threads computing it twice does no harm.
        match self {
            Node::Leaf(leaf) => leaf.cached.get().cloned().unwrap_or_else(|| {
                let made = RlpNode::from_rlp(&leaf.rlp(depth));
                let _ = leaf.cached.set(made.clone());
                made
            }),
            Node::Branch(branch) => branch.cached.get().cloned().unwrap_or_else(|| {
                let mut made = RlpNode::from_rlp(&branch.rlp(depth));
                if !branch.prefix.is_empty() {
                    made = RlpNode::from_rlp(&extension_rlp(&branch.prefix, &made));
                }
                let _ = branch.cached.set(made.clone());
                made
            }),
        }
    }

    fn is_cached(&self) -> bool {
        match self {
            Node::Leaf(leaf) => leaf.cached.get().is_some(),
            Node::Branch(branch) => branch.cached.get().is_some(),
        }
    }
}

impl<V: Leaf> LeafNode<V> {
    fn rlp(&self, depth: usize) -> Vec<u8> {
        let mut value = Vec::with_capacity(110);
        self.value.encode(&mut value);
        let path: Vec<u8> = (depth..KEY_NIBBLES).map(|i| nibble(&self.key, i) as u8).collect();
        pair_rlp(&compact(&path, true), |out| value.as_slice().encode(out), value.as_slice().length())
    }
}

impl<V: Leaf> BranchNode<V> {
    /// RLP of the branch itself, without its prefix. `depth` is where the prefix starts.
    fn rlp(&self, depth: usize) -> Vec<u8> {
        let below = depth + self.prefix.len() + 1;
        // Only the top levels fan out: below them a subtree is too small to pay for the hand-over.
        if below <= 2 && self.children.iter().flatten().filter(|c| !c.is_cached()).count() > 3 {
            self.children.par_iter().flatten().for_each(|child| {
                child.reference(below);
            });
        }
        let references: [Option<RlpNode>; 16] =
            std::array::from_fn(|i| self.children[i].as_ref().map(|child| child.reference(below)));
        let payload = references.iter().map(|r| r.as_ref().map_or(1, |r| r.len())).sum::<usize>() + 1;
        let mut out = Vec::with_capacity(payload + length_of_length(payload));
        Header { list: true, payload_length: payload }.encode(&mut out);
        for reference in &references {
            match reference {
                Some(reference) => out.put_slice(reference.as_slice()),
                None => out.put_u8(alloy_rlp::EMPTY_STRING_CODE),
            }
        }
        out.put_u8(alloy_rlp::EMPTY_STRING_CODE);
        out
    }
}

impl<V> BranchNode<V> {
    /// How many nibbles of the prefix agree with `key` from `depth`.
    fn common(&self, key: &B256, depth: usize) -> usize {
        self.prefix.iter().enumerate().take_while(|(i, n)| nibble(key, depth + i) == usize::from(**n)).count()
    }
}

/// Writable access to a shared node: copied when a snapshot holds it, its cached reference dropped.
fn leaf_mut<V: Leaf>(leaf: &mut Arc<LeafNode<V>>) -> &mut LeafNode<V> {
    let leaf = Arc::make_mut(leaf);
    leaf.cached = OnceLock::new();
    leaf
}

fn branch_mut<V: Leaf>(branch: &mut Arc<BranchNode<V>>) -> &mut BranchNode<V> {
    let branch = Arc::make_mut(branch);
    branch.cached = OnceLock::new();
    branch
}

fn new_leaf<V: Leaf>(key: B256, value: V) -> Node<V> {
    Node::Leaf(Arc::new(LeafNode { key, value, cached: OnceLock::new() }))
}

/// A leaf that moves to another depth keeps its value but not its cached path.
fn moved_leaf<V: Leaf>(mut leaf: Arc<LeafNode<V>>) -> Node<V> {
    leaf_mut(&mut leaf);
    Node::Leaf(leaf)
}

fn fork<V: Leaf>(prefix: Box<[u8]>, a: (usize, Node<V>), b: (usize, Node<V>)) -> Node<V> {
    let mut children: [Option<Node<V>>; 16] = std::array::from_fn(|_| None);
    children[a.0] = Some(a.1);
    children[b.0] = Some(b.1);
    Node::Branch(Arc::new(BranchNode { prefix, children, cached: OnceLock::new() }))
}

fn find<'a, V>(mut node: Option<&'a Node<V>>, mut depth: usize, key: &B256) -> Option<&'a V> {
    loop {
        match node? {
            Node::Leaf(leaf) => return (leaf.key == *key).then_some(&leaf.value),
            Node::Branch(branch) => {
                let common = branch.common(key, depth);
                if common < branch.prefix.len() {
                    return None;
                }
                depth += common;
                node = branch.children[nibble(key, depth)].as_ref();
                depth += 1;
            }
        }
    }
}

fn insert_at<V: Leaf>(slot: &mut Option<Node<V>>, depth: usize, key: B256, value: V) {
    *slot = Some(match slot.take() {
        None => new_leaf(key, value),
        Some(Node::Leaf(mut leaf)) => {
            if leaf.key == key {
                leaf_mut(&mut leaf).value = value;
                Node::Leaf(leaf)
            } else {
                let mut split = depth;
                while nibble(&leaf.key, split) == nibble(&key, split) {
                    split += 1;
                }
                let prefix = (depth..split).map(|i| nibble(&key, i) as u8).collect();
                let old = nibble(&leaf.key, split);
                fork(prefix, (old, moved_leaf(leaf)), (nibble(&key, split), new_leaf(key, value)))
            }
        }
        Some(Node::Branch(mut branch)) => {
            let common = branch.common(&key, depth);
            if common == branch.prefix.len() {
                let at = depth + common;
                insert_at(&mut branch_mut(&mut branch).children[nibble(&key, at)], at + 1, key, value);
                Node::Branch(branch)
            } else {
                let head: Box<[u8]> = branch.prefix[..common].into();
                let old = usize::from(branch.prefix[common]);
                let tail: Box<[u8]> = branch.prefix[common + 1..].into();
                branch_mut(&mut branch).prefix = tail;
                fork(head, (old, Node::Branch(branch)), (nibble(&key, depth + common), new_leaf(key, value)))
            }
        }
    });
}

fn remove_at<V: Leaf>(slot: &mut Option<Node<V>>, depth: usize, key: &B256) -> bool {
    match slot.take() {
        None => false,
        Some(Node::Leaf(leaf)) => {
            let found = leaf.key == *key;
            if !found {
                *slot = Some(Node::Leaf(leaf));
            }
            found
        }
        Some(Node::Branch(mut branch)) => {
            if branch.common(key, depth) < branch.prefix.len() {
                *slot = Some(Node::Branch(branch));
                return false;
            }
            let at = depth + branch.prefix.len();
            let found = remove_at(&mut branch_mut(&mut branch).children[nibble(key, at)], at + 1, key);
            *slot = settled(branch);
            found
        }
    }
}

/// A writable branch that may have lost children: with one left it is no branch any more.
fn settled<V: Leaf>(mut branch: Arc<BranchNode<V>>) -> Option<Node<V>> {
    let mut left = branch.children.iter().enumerate().filter(|(_, child)| child.is_some()).map(|(index, _)| index);
    let (index, None) = (left.next()?, left.next()) else { return Some(Node::Branch(branch)) };
    drop(left);
    let writable = branch_mut(&mut branch);
    Some(match writable.children[index].take()? {
        Node::Leaf(leaf) => moved_leaf(leaf),
        Node::Branch(mut child) => {
            // Two branches in a row with nothing beside them are one with a longer prefix.
            let joined = [&*writable.prefix, &[index as u8], &*child.prefix].concat().into();
            branch_mut(&mut child).prefix = joined;
            Node::Branch(child)
        }
    })
}

/// The `i`-th nibble of a key, high half first.
fn nibble(key: &B256, i: usize) -> usize {
    let byte = key.0[i / 2];
    usize::from(if i.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f })
}

/// Hex-prefix encoding (yellow paper, appendix C).
fn compact(path: &[u8], leaf: bool) -> Vec<u8> {
    let flag = if leaf { 0x20 } else { 0x00 };
    let (first, rest) = match path {
        [odd, rest @ ..] if path.len() % 2 == 1 => (flag | 0x10 | odd, rest),
        rest => (flag, rest),
    };
    std::iter::once(first).chain(rest.chunks_exact(2).map(|pair| (pair[0] << 4) | pair[1])).collect()
}

fn extension_rlp(prefix: &[u8], child: &RlpNode) -> Vec<u8> {
    pair_rlp(&compact(prefix, false), |out| out.put_slice(child.as_slice()), child.len())
}

/// RLP list of a compact path and a second item that `write` appends in `length` bytes.
fn pair_rlp(path: &[u8], write: impl FnOnce(&mut Vec<u8>), length: usize) -> Vec<u8> {
    let payload = path.length() + length;
    let mut out = Vec::with_capacity(payload + length_of_length(payload));
    Header { list: true, payload_length: payload }.encode(&mut out);
    path.encode(&mut out);
    write(&mut out);
    out
}

/// Only nodes that are referred to by hash stand in a proof; the root always does.
fn push_node(proof: &mut Vec<Bytes>, rlp: Vec<u8>) {
    if proof.is_empty() || rlp.len() >= 32 {
        proof.push(rlp.into());
    }
}
