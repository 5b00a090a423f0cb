//! Digest, signature and canonical JSON functions of the door.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

use super::args::{Bytes, Count, Fixed};
use super::fault::{call, call_detached};
use crate::json;
use crate::sign::{self, Algorithm, Signed};

/// From this many bytes hashing or checking may take over a millisecond.
const LONG: usize = 1 << 18;

/// Adds this area's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_canonical, module)?)?;
    module.add_function(wrap_pyfunction!(keccak256, module)?)?;
    module.add_function(wrap_pyfunction!(ed25519_public, module)?)?;
    module.add_function(wrap_pyfunction!(ed25519_sign, module)?)?;
    module.add_function(wrap_pyfunction!(ed25519_verify, module)?)?;
    module.add_function(wrap_pyfunction!(p256_public, module)?)?;
    module.add_function(wrap_pyfunction!(p256_sign, module)?)?;
    module.add_function(wrap_pyfunction!(p256_verify, module)?)?;
    module.add_function(wrap_pyfunction!(secp256k1_public, module)?)?;
    module.add_function(wrap_pyfunction!(secp256k1_sign, module)?)?;
    module.add_function(wrap_pyfunction!(secp256k1_recover, module)?)?;
    module.add_function(wrap_pyfunction!(verify_batch, module)?)
}

#[pyfunction]
fn check_canonical(py: Python<'_>, data: Bytes<'_>, max_bytes: Count, max_depth: Count) -> PyResult<()> {
    let (bytes, depth) = (bound(max_bytes), bound(max_depth));
    let check = || json::check_canonical(data.0, bytes, depth);
    if data.0.len() < LONG { call(check) } else { call_detached(py, check) }
}

#[pyfunction]
fn keccak256<'py>(py: Python<'py>, data: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let digest = || Ok(alloy_primitives::keccak256(data.0));
    let digest = if data.0.len() < LONG { call(digest) } else { call_detached(py, digest) }?;
    Ok(PyBytes::new(py, digest.as_slice()))
}

#[pyfunction]
fn ed25519_public<'py>(py: Python<'py>, seed: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let public = call(|| Ok(sign::ed25519_public(&seed.0)))?;
    Ok(PyBytes::new(py, &public))
}

#[pyfunction]
fn ed25519_sign<'py>(py: Python<'py>, seed: Fixed<32>, message: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let signature = call(|| Ok(sign::ed25519_sign(&seed.0, message.0)))?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
fn ed25519_verify(public: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    call(|| sign::ed25519_verify(public.0, message.0, signature.0))
}

#[pyfunction]
fn p256_public<'py>(py: Python<'py>, secret: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let public = call(|| sign::p256_public(&secret.0))?;
    Ok(PyBytes::new(py, &public))
}

#[pyfunction]
fn p256_sign<'py>(py: Python<'py>, secret: Fixed<32>, message: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let signature = call(|| sign::p256_sign(&secret.0, message.0))?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
fn p256_verify(public: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    call(|| sign::p256_verify(public.0, message.0, signature.0))
}

#[pyfunction]
fn secp256k1_public<'py>(py: Python<'py>, secret: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let public = call(|| sign::secp256k1_public(&secret.0))?;
    Ok(PyBytes::new(py, &public))
}

#[pyfunction]
fn secp256k1_sign<'py>(py: Python<'py>, secret: Fixed<32>, digest: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let signature = call(|| sign::secp256k1_sign(&secret.0, &digest.0))?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
fn secp256k1_recover<'py>(py: Python<'py>, digest: Bytes<'_>, signature: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let address = call(|| sign::secp256k1_recover(digest.0, signature.0))?;
    Ok(PyBytes::new(py, &address))
}

#[pyfunction]
fn verify_batch(py: Python<'_>, items: Vec<Bound<'_, PyTuple>>) -> PyResult<Vec<usize>> {
    let fields = items
        .iter()
        .map(|item| item.extract::<(String, Bytes<'_>, Bytes<'_>, Bytes<'_>)>())
        .collect::<PyResult<Vec<_>>>()?;
    let signed = fields
        .iter()
        .map(|(algorithm, public, message, signature)| {
            let algorithm = call(|| Algorithm::parse(algorithm))?;
            Ok(Signed { algorithm, public: public.0, message: message.0, signature: signature.0 })
        })
        .collect::<PyResult<Vec<_>>>()?;
    call_detached(py, || Ok(sign::verify_batch(&signed)))
}

fn bound(count: Count) -> usize {
    usize::try_from(count.0).unwrap_or(usize::MAX)
}
