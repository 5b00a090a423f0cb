//! Merkle functions of the door.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use super::args::{Bytes, Count, Hash};
use super::fault::{call, call_detached};
use crate::error::{Class, Error};
use crate::merkle::{self, Leaves};
use crate::tiles;

/// From this many hashes a call may take over a millisecond.
const LONG: usize = 4096;

/// Adds this area's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(leaf_hash, module)?)?;
    module.add_function(wrap_pyfunction!(node_hash, module)?)?;
    module.add_function(wrap_pyfunction!(merkle_root, module)?)?;
    module.add_function(wrap_pyfunction!(inclusion_proof, module)?)?;
    module.add_function(wrap_pyfunction!(consistency_proof, module)?)?;
    module.add_function(wrap_pyfunction!(verify_inclusion, module)?)?;
    module.add_function(wrap_pyfunction!(verify_consistency, module)?)?;
    module.add_function(wrap_pyfunction!(bundle_leaves, module)?)?;
    module.add_function(wrap_pyfunction!(tile_roots, module)?)
}

/// Hashes as a list of bytes.
pub fn hash_list<'py>(py: Python<'py>, hashes: &[merkle::Hash]) -> PyResult<Bound<'py, PyList>> {
    PyList::new(py, hashes.iter().map(|hash| PyBytes::new(py, hash)))
}

#[pyfunction]
fn leaf_hash<'py>(py: Python<'py>, entry: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let hash = call(|| Ok(merkle::leaf_hash(entry.0)))?;
    Ok(PyBytes::new(py, &hash))
}

#[pyfunction]
fn node_hash<'py>(py: Python<'py>, left: Hash, right: Hash) -> PyResult<Bound<'py, PyBytes>> {
    let hash = call(|| Ok(merkle::node_hash(&left.0, &right.0)))?;
    Ok(PyBytes::new(py, &hash))
}

#[pyfunction]
fn merkle_root<'py>(py: Python<'py>, leaf_hashes: Vec<Hash>) -> PyResult<Bound<'py, PyBytes>> {
    let leaves = plain(leaf_hashes);
    let root = detach_if_long(py, leaves.len(), || merkle::root(&Leaves(&leaves), leaves.len() as u64))?;
    Ok(PyBytes::new(py, &root))
}

#[pyfunction]
fn inclusion_proof(py: Python<'_>, leaf_hashes: Vec<Hash>, index: Count, size: Count) -> PyResult<Bound<'_, PyList>> {
    let leaves = plain(leaf_hashes);
    let proof = detach_if_long(py, leaves.len(), || {
        require_leaves(&leaves, size.0)?;
        merkle::inclusion_proof(&Leaves(&leaves), index.0, size.0)
    })?;
    hash_list(py, &proof)
}

#[pyfunction]
fn consistency_proof(
    py: Python<'_>,
    leaf_hashes: Vec<Hash>,
    size1: Count,
    size2: Count,
) -> PyResult<Bound<'_, PyList>> {
    let leaves = plain(leaf_hashes);
    let proof = detach_if_long(py, leaves.len(), || {
        require_leaves(&leaves, size2.0)?;
        merkle::consistency_proof(&Leaves(&leaves), size1.0, size2.0)
    })?;
    hash_list(py, &proof)
}

#[pyfunction]
fn verify_inclusion(leaf_hash: Hash, index: Count, size: Count, root: Hash, proof: Vec<Hash>) -> PyResult<()> {
    call(|| merkle::verify_inclusion(&leaf_hash.0, index.0, size.0, &root.0, &plain(proof)))
}

#[pyfunction]
fn verify_consistency(size1: Count, size2: Count, root1: Hash, root2: Hash, proof: Vec<Hash>) -> PyResult<()> {
    call(|| merkle::verify_consistency(size1.0, size2.0, &root1.0, &root2.0, &plain(proof)))
}

#[pyfunction]
fn bundle_leaves<'py>(py: Python<'py>, bundle: Bytes<'_>, count: Count) -> PyResult<Bound<'py, PyBytes>> {
    let count = usize::try_from(count.0).unwrap_or(usize::MAX);
    let hashes = call_detached(py, || tiles::bundle_leaves(bundle.0, count))?;
    Ok(PyBytes::new(py, hashes.as_flattened()))
}

#[pyfunction]
fn tile_roots<'py>(py: Python<'py>, hashes: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let roots = call_detached(py, || tiles::tile_roots(hashes.0))?;
    Ok(PyBytes::new(py, roots.as_flattened()))
}

fn plain(hashes: Vec<Hash>) -> Vec<merkle::Hash> {
    hashes.into_iter().map(|hash| hash.0).collect()
}

fn require_leaves(leaves: &[merkle::Hash], size: u64) -> crate::error::Result<()> {
    if size <= leaves.len() as u64 {
        return Ok(());
    }
    Err(Error::new(Class::InvalidInput, "merkle.size", "fewer leaf hashes than the tree size")
        .hint("give the hashes of all leaves below the size")
        .numbers(size, leaves.len() as u64))
}

fn detach_if_long<T: Send>(
    py: Python<'_>,
    count: usize,
    work: impl FnOnce() -> crate::error::Result<T> + Send,
) -> PyResult<T> {
    if count < LONG { call(work) } else { call_detached(py, work) }
}
