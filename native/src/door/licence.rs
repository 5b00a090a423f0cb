//! The licences of the door.

use pyo3::prelude::*;
use pyo3::types::PyBytes;

use super::args::{Bytes, Fixed};
use super::fault::call;
use crate::licence::sm;

/// Adds this area's functions to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(sm3_digest, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_public, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_sign, module)?)?;
    module.add_function(wrap_pyfunction!(sm2_verify, module)?)
}

#[pyfunction]
fn sm3_digest<'py>(py: Python<'py>, data: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let digest = call(|| Ok(sm::digest(data.0)))?;
    Ok(PyBytes::new(py, &digest))
}

#[pyfunction]
fn sm2_public<'py>(py: Python<'py>, secret: Fixed<32>) -> PyResult<Bound<'py, PyBytes>> {
    let point = call(|| sm::public(&secret.0))?;
    Ok(PyBytes::new(py, &point))
}

#[pyfunction]
fn sm2_sign<'py>(py: Python<'py>, secret: Fixed<32>, message: Bytes<'_>) -> PyResult<Bound<'py, PyBytes>> {
    let signature = call(|| sm::sign(&secret.0, message.0))?;
    Ok(PyBytes::new(py, &signature))
}

#[pyfunction]
fn sm2_verify(point: Bytes<'_>, message: Bytes<'_>, signature: Bytes<'_>) -> PyResult<()> {
    call(|| sm::verify(point.0, message.0, signature.0))
}
